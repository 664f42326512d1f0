"""The kinds of keys that `manage.py keys` knows. A room above registers its own when it has one."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from django.db.models import Q

from accounts.access import Principal
from accounts.errors import ConflictError, NotFoundError
from accounts.keys import api_keys
from accounts.keys.usage import Verdict, verdict
from accounts.models.api_key import ApiKey
from accounts.models.generation import Generation


@dataclass(frozen=True, slots=True, repr=False)
class Rotated:
    """A new key or secret, and until when the old one still works. `text` is "" where no secret leaves the house."""

    id: str
    text: str
    old_secret_until: datetime | None
    name: str = ""  # of what was rotated, where one name stands for several keys
    former: str | None = None  # the id of the key before, where it is another one
    signs_at: datetime | None = None  # from when on the new one is used, where that is not at once
    told: str = ""  # what is to be done with `text`, where it is not in use by itself


class KeyKind(Protocol):
    """What can be done with keys of one kind. `name` is an id; NotFoundError where there is none."""

    @property
    def columns(self) -> Sequence[str]:
        """Return which names of a row people are shown."""
        ...

    @property
    def retired(self) -> str:
        """Return what is so once a key is retired."""
        ...

    def rows(self) -> list[dict[str, Any]]:
        """Return what is known of each, without secrets: `id`, `name`, `state`, and what the kind adds."""
        ...

    def rotate(
        self, name: str, *, overlap: timedelta, at_once: bool = False, by: Principal
    ) -> Sequence[Rotated]:
        """Rotate what is named; with the name of the kind, all of it. `at_once`: whether it is ripe or not."""
        ...

    def judge(self, name: str) -> Verdict | None:
        """Say whether the old secret can go; None where no overlap is running."""
        ...

    def retire(self, name: str, *, by: Principal) -> None: ...


class ApiKeys:
    """API keys, named by their id or their public id."""

    columns: Final = ("public_id", "name", "owner", "state", "expires_at", "last_used_at", "calls", "verdict")
    retired: Final = "the old secret no longer works"

    def rows(self) -> list[dict[str, Any]]:
        is_known = api_keys.is_use_known(Generation.objects.current())
        found = []
        for key in ApiKey.objects.select_related("owner").order_by("pk"):
            judged = verdict(key, is_known=is_known)
            found.append(
                {
                    "id": str(key.pk),
                    "public_id": key.public_id,
                    "name": key.name,
                    "owner": key.owner.name or key.owner.email,
                    "state": "expired" if key.is_expired and key.state != "revoked" else key.state,
                    "idle": api_keys.is_flagged_idle(key),
                    "expires_at": key.expires_at.isoformat(),
                    "last_used_at": key.last_used_at.isoformat() if key.last_used_at else None,
                    "calls": key.use_count,
                    "old_secret_calls": key.old_use_count if key.rotated_at else None,
                    "safe_to_retire": judged.is_safe if judged else None,
                    "verdict": judged.sentence if judged else None,
                }
            )
        return found

    def rotate(
        self,
        name: str,
        *,
        overlap: timedelta,
        at_once: bool = False,  # noqa: ARG002 (they are always ripe)
        by: Principal,
    ) -> Sequence[Rotated]:
        if name == "api":
            raise ConflictError(
                "API keys are rotated one by one, since each new secret goes to another place."
            )
        minted = api_keys.rotate(_api_key(name), overlap=overlap, by=by)
        return [Rotated(str(minted.key.pk), minted.text, minted.key.previous_valid_until)]

    def judge(self, name: str) -> Verdict | None:
        return verdict(_api_key(name), is_known=api_keys.is_use_known(Generation.objects.current()))

    def retire(self, name: str, *, by: Principal) -> None:
        api_keys.retire(_api_key(name), by=by)


def _api_key(name: str) -> ApiKey:
    wanted = Q(public_id=name.replace("\x00", ""))
    with contextlib.suppress(ValueError):
        wanted |= Q(pk=UUID(name))
    key = ApiKey.objects.filter(wanted).first()
    if key is None:
        raise NotFoundError("There is no such key.")
    return key


_kinds: dict[str, KeyKind] = {"api": ApiKeys()}


def register(name: str, kind: KeyKind) -> None:
    """Add a kind. Raises ConflictError for a name that is taken."""
    if name in _kinds:
        raise ConflictError(f"There are keys of the kind {name} already.")
    _kinds[name] = kind


def kinds() -> Mapping[str, KeyKind]:
    """Return the kinds by name."""
    return _kinds
