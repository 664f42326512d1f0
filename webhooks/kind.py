"""Secrets of endpoints as `manage.py keys` knows them: by the id or the name of their endpoint."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from accounts.access import Principal
from accounts.errors import ConflictError, NotFoundError
from accounts.keys import kinds
from accounts.keys.kinds import Rotated
from accounts.keys.usage import Verdict
from webhooks import endpoints
from webhooks.models import Endpoint, EndpointSecret

NAME: Final = "webhooks"


class EndpointSecrets:
    """Secrets that deliveries are signed with. Each goes to another receiver, so they are rotated one by one."""

    columns: Final = ("name", "algorithm", "state", "created_at", "retires_at")
    retired: Final = "deliveries are signed with the new secret alone"

    def rows(self) -> list[dict[str, Any]]:
        found = EndpointSecret.objects.defer("private").select_related("endpoint")
        return [_row(secret) for secret in found.order_by("endpoint__name", "pk")]

    def rotate(
        self,
        name: str,
        *,
        overlap: timedelta,
        at_once: bool = False,  # noqa: ARG002 (they are always ripe)
        by: Principal,
    ) -> Sequence[Rotated]:
        if name == NAME:
            raise ConflictError("Name an endpoint: each new secret goes to another receiver.")
        endpoint = _endpoint(name)
        made = endpoints.rotate_secret(endpoint, overlap=overlap, by=by)
        former = _retiring(endpoint)
        until = former.retires_at if former is not None else None
        return [Rotated(str(endpoint.pk), made.secret, until, name=endpoint.name)]

    def judge(self, name: str) -> Verdict | None:
        if _retiring(_endpoint(name)) is None:
            return None
        sentence = (
            "Deliveries are signed with both. Nobody but the receiver knows whether it has the new secret."
        )
        return Verdict(is_safe=False, sentence=sentence)

    def retire(self, name: str, *, by: Principal) -> None:
        endpoints.retire_secret(_endpoint(name), by=by)


def register() -> None:
    """Let `manage.py keys` know them."""
    kinds.register(NAME, EndpointSecrets())


def _endpoint(name: str) -> Endpoint:
    found = Endpoint.objects.named(name)
    if found is None:
        raise NotFoundError("There is no webhook endpoint of this name or id.")
    return found


def _retiring(endpoint: Endpoint) -> EndpointSecret | None:
    return endpoint.secrets.filter(state=EndpointSecret.State.RETIRING).order_by("-pk").first()


def _row(secret: EndpointSecret) -> dict[str, Any]:
    return {
        "id": str(secret.pk),
        "endpoint": str(secret.endpoint_id),
        "name": secret.endpoint.name,
        "algorithm": str(secret.algorithm),
        "public_key": secret.public or None,
        "state": str(secret.state),
        "created_at": secret.created_at.isoformat(),
        "retires_at": secret.retires_at.isoformat() if secret.retires_at else None,
        "ended_at": secret.ended_at.isoformat() if secret.ended_at else None,
    }
