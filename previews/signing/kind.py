"""Signing keys as `manage.py keys` knows them: by algorithm, by site for shared secrets, one by one by their `kid`."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.access import Principal
from accounts.errors import ConflictError, NotFoundError
from accounts.keys import kinds
from accounts.keys.kinds import Rotated
from accounts.keys.usage import Verdict
from previews.models import PreviewSite, SigningKey
from previews.models.signing_key import Algorithm
from previews.models.site import LONGEST
from previews.signing import life
from previews.signing.life import Rotation, TooYoungError

NAME: Final = "previews"


class SigningKeys:
    """Keys of preview tokens. Private halves leave in no row, and in no rotation but that of a shared secret."""

    columns: Final = (
        "kid",
        "algorithm",
        "site",
        "state",
        "activated_at",
        "retires_at",
        "last_used_at",
        "due",
    )
    retired: Final = "no token that it signed works any more"

    def rows(self) -> list[dict[str, Any]]:
        found = SigningKey.objects.defer("private").select_related("site").order_by("algorithm", "pk")
        return [_row(key) for key in found]

    def rotate(
        self, name: str, *, overlap: timedelta, at_once: bool = False, by: Principal
    ) -> Sequence[Rotated]:
        """Rotate the keys of an algorithm, the shared secret of a site, or with the kind's name every algorithm."""
        if name == NAME:
            return self._rotate_every(overlap, at_once=at_once, by=by)
        if name in Algorithm.values and name != Algorithm.HS256:
            return [_told(_rotated(name, overlap, at_once=at_once, by=by))]
        site = _site(name)
        if site is None:
            raise NotFoundError(
                "Name an algorithm that a site uses, the id of a site with a shared secret, or every one: previews."
            )
        return [_told(life.rotate_shared(site, overlap=overlap, by=by))]

    @transaction.atomic
    def _rotate_every(self, overlap: timedelta, *, at_once: bool, by: Principal) -> Sequence[Rotated]:
        """Rotate all algorithms in use, or none."""
        used = life.used_algorithms()
        if not used:
            raise ConflictError("There is no signing key yet: the first site gets one.")
        return [_told(_rotated(algorithm, overlap, at_once=at_once, by=by)) for algorithm in used]

    def judge(self, name: str) -> Verdict | None:
        key = _key(name)
        if key.state == SigningKey.State.PENDING:
            return Verdict(is_safe=True, sentence="Nothing was signed with it yet.")
        if key.state != SigningKey.State.RETIRING:
            return None
        stopped_at = life.stopped_signing_at(key)
        if stopped_at is not None and (timezone.now() - stopped_at).total_seconds() > LONGEST:
            return Verdict(is_safe=True, sentence="Every token that it signed has expired.")
        return Verdict(
            is_safe=False, sentence="Not yet: tokens that it signed within the last half hour still work."
        )

    def retire(self, name: str, *, by: Principal) -> None:
        life.end(_key(name), by=by)


def register() -> None:
    """Let `manage.py keys` know of them."""
    kinds.register(NAME, SigningKeys())


def _rotated(algorithm: str, overlap: timedelta, *, at_once: bool, by: Principal) -> Rotation:
    try:
        return life.rotate(algorithm, overlap=overlap, at_once=at_once, by=by)
    except TooYoungError as error:
        raise ConflictError(
            f"{algorithm}: {error.detail} Or add --now: sites that keep the JWKS may refuse previews for a moment."
        ) from error


def _told(done: Rotation) -> Rotated:
    key, former = done.key, done.former
    name = f"site {key.site_id}" if key.site_id else str(key.algorithm)
    return Rotated(
        id=str(key.pk),
        text=done.secret,
        old_secret_until=former.retires_at if former is not None else None,
        name=name,
        former=str(former.pk) if former is not None else None,
        signs_at=key.activates_at or key.activated_at,
    )


def _row(key: SigningKey) -> dict[str, Any]:
    due = life.due_at(key)
    return {
        "id": str(key.pk),
        "kid": str(key.pk),
        "name": f"{key.algorithm} of {key.site.name}" if key.site else str(key.algorithm),
        "algorithm": str(key.algorithm),
        "site": str(key.site_id) if key.site_id else None,
        "site_name": key.site.name if key.site else None,
        "state": str(key.state),
        "created_at": key.created_at.isoformat(),
        "activates_at": key.activates_at.isoformat() if key.activates_at else None,
        "activated_at": key.activated_at.isoformat() if key.activated_at else None,
        "retires_at": key.retires_at.isoformat() if key.retires_at else None,
        "ended_at": key.ended_at.isoformat() if key.ended_at else None,
        "last_used_at": key.last_used_at.isoformat() if key.last_used_at else None,
        "due": due.isoformat() if due else None,
    }


def _site(text: str) -> PreviewSite | None:
    wanted = _id(text)
    return PreviewSite.objects.filter(pk=wanted).first() if wanted is not None else None


def _key(name: str) -> SigningKey:
    wanted = _id(name)
    key = SigningKey.objects.filter(pk=wanted).first() if wanted is not None else None
    if key is None:
        raise NotFoundError("There is no such key.")
    return key


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
