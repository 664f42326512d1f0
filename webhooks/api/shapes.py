"""How rows of webhooks look as JSON."""

from typing import Any

from django.utils import timezone

from accounts.access import Principal
from accounts.api.shapes import moment
from webhooks import endpoints, health, payload
from webhooks.models import Attempt, Delivery, Endpoint, EndpointSecret


def endpoint_json(endpoint: Endpoint, *, by: Principal) -> dict[str, Any]:
    """Return an endpoint without anything secret; of collections that are gone, or not the viewer's, the number."""
    seen = endpoints.seen_collections(by)
    keys = [seen[item].key for item in endpoint.collection_ids if item in seen]
    return {
        "id": str(endpoint.pk),
        "name": endpoint.name,
        "url": endpoint.url,
        "types": list(endpoint.types),
        "collections": keys,
        "hidden_collections": len(endpoint.collection_ids) - len(keys),
        "owner": str(endpoint.owner_id),
        "algorithm": endpoint.algorithm,
        "state": endpoint.state,
        "is_active": endpoint.is_active,
        "disabled_because": endpoint.disabled_because or None,
        "created_at": moment(endpoint.created_at),
        "failing_since": moment(endpoint.failing_since),
        "held_until": moment(endpoint.held_until),
        "is_recovering": endpoint.recovers_to is not None,
        "conformance": endpoint.conformance,
    }


def endpoint_details_json(endpoint: Endpoint, *, by: Principal) -> dict[str, Any]:
    """Return an endpoint with what it signs with, and its health: the last 24 hours, and what waits."""
    live = EndpointSecret.objects.signing(timezone.now()).filter(endpoint=endpoint).defer("private")
    return endpoint_json(endpoint, by=by) | {
        "secrets": [_secret_json(secret) for secret in live],
        "health": health.of(endpoint.pk).as_json(),
    }


def _secret_json(secret: EndpointSecret) -> dict[str, Any]:
    """Return since and until when a secret signs, and its public key, where it has one."""
    return {
        "algorithm": secret.algorithm,
        "state": secret.state,
        "public_key": secret.public or None,
        "created_at": moment(secret.created_at),
        "retires_at": moment(secret.retires_at),
    }


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery of the log."""
    return {
        "id": str(delivery.pk),
        "endpoint": str(delivery.endpoint_id),
        "event_id": str(delivery.event_id),
        "type": delivery.type,
        "occurred_at": moment(delivery.occurred_at),
        "subject_id": delivery.subject_id or None,
        "locale": delivery.locale or None,
        "sequence": delivery.position or None,
        "state": delivery.state,
        "attempt_count": delivery.attempt_count,
        "created_at": moment(delivery.created_at),
        "next_attempt_at": moment(delivery.next_attempt_at),
        "ended_at": moment(delivery.ended_at),
    }


def delivery_details_json(delivery: Delivery, *, by: Principal) -> dict[str, Any]:
    """Return a delivery with its attempts, the oldest first, and the body as far as the viewer may read it."""
    attempts = delivery.attempts.order_by("number")
    body = payload.shown(delivery, by=by)
    is_whole = body == delivery.body
    return delivery_json(delivery) | {
        "request_body": body or None,
        "attempts": [_attempt_json(attempt, shows_answer=is_whole) for attempt in attempts],
    }


def _attempt_json(attempt: Attempt, *, shows_answer: bool) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "at": moment(attempt.at),
        "is_success": attempt.is_success,
        "status": attempt.status,
        "error": attempt.error or None,
        "milliseconds": attempt.milliseconds,
        "request_headers": attempt.request_headers,
        "response_headers": attempt.response_headers,
        "response_body": (attempt.response_body if shows_answer else "") or None,
    }
