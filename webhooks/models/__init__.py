"""The tables of webhooks: endpoints and deliveries, sources and receipts, and what owners of endpoints saw last."""

from webhooks.models.delivery import Attempt, Delivery
from webhooks.models.endpoint import Endpoint, EndpointSecret
from webhooks.models.sight import Sight
from webhooks.models.source import Receipt, Source, SourceSecret

__all__ = [
    "Attempt",
    "Delivery",
    "Endpoint",
    "EndpointSecret",
    "Receipt",
    "Sight",
    "Source",
    "SourceSecret",
]
