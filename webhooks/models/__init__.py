"""The tables of webhooks: endpoints with their secrets, deliveries with their attempts, and what owners saw last."""

from webhooks.models.delivery import Attempt, Delivery
from webhooks.models.endpoint import Endpoint, EndpointSecret
from webhooks.models.sight import Sight

__all__ = ["Attempt", "Delivery", "Endpoint", "EndpointSecret", "Sight"]
