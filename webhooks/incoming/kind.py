"""Secrets of sources as `manage.py keys` knows them: by the key or the id of their source."""

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from accounts.access import Principal
from accounts.errors import ConflictError, NotFoundError
from accounts.keys import kinds
from accounts.keys.kinds import Rotated
from accounts.keys.usage import Verdict
from webhooks.incoming import sources
from webhooks.models import Source, SourceSecret

NAME: Final = "sources"


class SourceSecrets:
    """Secrets that sources sign with: those of ours. Where a service issues its own, it is entered in the admin."""

    columns: Final = ("name", "scheme", "state", "created_at", "retires_at")
    retired: Final = "what is signed with the old secret is refused"

    def rows(self) -> list[dict[str, Any]]:
        found = SourceSecret.objects.defer("secret").select_related("source").order_by("source__key", "pk")
        return [_row(secret) for secret in found]

    def rotate(
        self,
        name: str,
        *,
        overlap: timedelta,
        at_once: bool = False,  # noqa: ARG002 (they are always ripe)
        by: Principal,
    ) -> Sequence[Rotated]:
        if name == NAME:
            raise ConflictError("Name a source: each new secret goes to another sender.")
        source = _source(name)
        made = sources.rotate_secret(source, overlap=overlap, by=by)
        former = _retiring(source)
        until = former.retires_at if former is not None else None
        return [Rotated(str(source.pk), made.secret, until, name=source.key)]

    def judge(self, name: str) -> Verdict | None:
        if _retiring(_source(name)) is None:
            return None
        sentence = "Both secrets count. Nobody but the sender knows whether it signs with the new one."
        return Verdict(is_safe=False, sentence=sentence)

    def retire(self, name: str, *, by: Principal) -> None:
        sources.retire_secret(_source(name), by=by)


def register() -> None:
    """Let `manage.py keys` know them."""
    kinds.register(NAME, SourceSecrets())


def _source(name: str) -> Source:
    wanted = Q(key=name.replace("\x00", ""))
    with contextlib.suppress(ValueError):
        wanted |= Q(pk=UUID(name))
    found = Source.objects.filter(wanted).first()
    if found is None:
        raise NotFoundError("There is no webhook source of this key or id.")
    return found


def _retiring(source: Source) -> SourceSecret | None:
    return source.secrets.filter(state=SourceSecret.State.RETIRING).order_by("-pk").first()


def _row(secret: SourceSecret) -> dict[str, Any]:
    return {
        "id": str(secret.pk),
        "source": str(secret.source_id),
        "name": secret.source.key,
        "scheme": str(secret.source.scheme),
        "state": str(secret.state),
        "created_at": secret.created_at.isoformat(),
        "retires_at": secret.retires_at.isoformat() if secret.retires_at else None,
        "ended_at": secret.ended_at.isoformat() if secret.ended_at else None,
    }
