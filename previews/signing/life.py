"""The life of signing keys: a first one, the next one, an overlap, and an end."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts.access import Area, Principal
from accounts.errors import ConflictError, InvalidInputError, Problem
from accounts.log import Subject, record
from accounts.models.generation import Generation
from previews.models import PreviewSite, SigningKey
from previews.models.signing_key import Algorithm
from previews.models.site import LONGEST
from previews.signing import halves

GENERATION: Final = "previews"  # moves with keys and sites
OVERLAP: Final = timedelta(hours=24)
LONGEST_OVERLAP: Final = timedelta(days=30)
# How long caches may keep the JWKS. A key signs only after it was published for longer than that, and no overlap that
# is not zero is shorter: so no cache ever lacks a key that signs.
JWKS_LIFE: Final = timedelta(minutes=5)
SHORTEST_OVERLAP: Final = max(timedelta(seconds=LONGEST), JWKS_LIFE)
_LOCK_ID: Final = 0x71_6B_70_6B  # "qkpk": one at a time changes keys


class TooYoungError(ConflictError):
    """The key that waits was published so lately that caches of the JWKS may not know it yet."""


@dataclass(frozen=True, slots=True, repr=False)
class Rotation:
    """What a rotation did. `secret` is the text of a new shared secret, "" for keys with a public half."""

    key: SigningKey
    former: SigningKey | None
    secret: str = ""


@transaction.atomic
def ensure(site: PreviewSite, *, by: Principal) -> str:
    """See that tokens for a site can be signed. Returns the text of its shared secret when one was made, else ""."""
    _lock()
    found = _of(site.algorithm, site)
    secret = ""
    if SigningKey.State.ACTIVE not in found:
        _, secret = _make(site.algorithm, site, SigningKey.State.ACTIVE, by)
    if site.algorithm != Algorithm.HS256 and SigningKey.State.PENDING not in found:
        _make(site.algorithm, site, SigningKey.State.PENDING, by)
    return secret


@transaction.atomic
def rotate(algorithm: str, *, overlap: timedelta = OVERLAP, at_once: bool = False, by: Principal) -> Rotation:
    """Let the pending key sign, the former one verify until the overlap ends, and make the next one.

    `overlap` zero ends the former one at once, and every token that it signed. Raises TooYoungError for a pending key
    that caches of the JWKS may not know yet, unless `at_once`; InvalidInputError for an overlap that is too short.
    """
    _require(by)
    _require_overlap(overlap)
    _lock()
    found = _of(algorithm, None)
    pending, active = found.get(SigningKey.State.PENDING), found.get(SigningKey.State.ACTIVE)
    if pending is None:
        raise ConflictError(f"There is no key for {algorithm}: no site asks for it.")
    now = timezone.now()
    wait = wait_for(pending, now)
    if wait and overlap and not at_once:
        raise TooYoungError(
            f"The next key was made a moment ago, and caches may not know it yet. Try again in {wait} seconds."
        )
    former = _end(active, now, overlap, by) if active is not None else None
    _activate(pending, now, by)
    _make(algorithm, None, SigningKey.State.PENDING, by)
    return Rotation(pending, former)


@transaction.atomic
def rotate_shared(site: PreviewSite, *, overlap: timedelta = OVERLAP, by: Principal) -> Rotation:
    """Make a new shared secret for a site, whose text is returned here and never again.

    It signs after `overlap`, so that the site can be told before; then the former one verifies for as long again.
    With `overlap` zero it signs at once, and the former one is over. Raises ConflictError when one waits already.
    """
    _require(by)
    _require_overlap(overlap)
    _lock()
    site = PreviewSite.objects.select_for_update().get(pk=site.pk)
    if site.algorithm != Algorithm.HS256:
        raise ConflictError("This site has no shared secret: its tokens are verified by public keys.")
    found = _of(Algorithm.HS256, site)
    now = timezone.now()
    pending, active = found.get(SigningKey.State.PENDING), found.get(SigningKey.State.ACTIVE)
    if pending is not None and overlap:
        raise ConflictError("A new secret waits already until the site knows it. Let it sign, or revoke it.")
    if not overlap:
        for key in (pending, active):
            if key is not None:
                _end(key, now, overlap, by)
        key, secret = _make(Algorithm.HS256, site, SigningKey.State.ACTIVE, by)
        return Rotation(key, active, secret)
    key, secret = _make(Algorithm.HS256, site, SigningKey.State.PENDING, by, activates_at=now + overlap)
    return Rotation(key, active, secret)


@transaction.atomic
def end(key: SigningKey, *, by: Principal) -> SigningKey:
    """End a key now, with every token that it signed. Raises ConflictError for the one that signs: rotate first."""
    _require(by)
    _lock()
    key = SigningKey.objects.get(pk=key.pk)
    if key.state == SigningKey.State.ACTIVE:
        raise ConflictError("This key signs. Rotate it with no overlap: then it is over at once.")
    if key.state in (SigningKey.State.RETIRED, SigningKey.State.REVOKED):
        raise ConflictError("This key is over already.")
    is_pending = key.state == SigningKey.State.PENDING
    _over(key, timezone.now(), SigningKey.State.REVOKED, by, because="asked")
    if is_pending and key.site_id is None:
        _make(key.algorithm, None, SigningKey.State.PENDING, by)
    return key


def keep(*, by: Principal) -> list[Rotation]:
    """Do what is due: rotate keys that are old enough, let shared secrets sign, retire what is over."""
    done = [rotate(algorithm, by=by) for algorithm in used_algorithms() if is_due(algorithm)]
    with transaction.atomic():
        _lock()
        now = timezone.now()
        waiting = SigningKey.objects.filter(state=SigningKey.State.PENDING, activates_at__lte=now)
        for key in waiting.select_related("site"):
            former = _of(Algorithm.HS256, key.site).get(SigningKey.State.ACTIVE)
            if former is not None:
                _end(former, now, max(now - key.created_at, SHORTEST_OVERLAP), by)
            _activate(key, now, by)
            done.append(Rotation(key, former))
        over = SigningKey.objects.filter(state=SigningKey.State.RETIRING, retires_at__lte=now)
        for key in over:
            _over(key, now, SigningKey.State.RETIRED, by, because="time")
    return done


def used_algorithms() -> list[str]:
    """Return the algorithms with a public half that some key signs by."""
    found = SigningKey.objects.filter(state=SigningKey.State.ACTIVE, site=None)
    return sorted(found.values_list("algorithm", flat=True))


def is_due(algorithm: str, now: datetime | None = None) -> bool:
    """Tell whether the key that signs has signed for long enough, and the next one is known to caches."""
    found = _of(algorithm, None)
    active, pending = found.get(SigningKey.State.ACTIVE), found.get(SigningKey.State.PENDING)
    now = now or timezone.now()
    return (
        active is not None
        and pending is not None
        and active.activated_at is not None
        and now - active.activated_at >= rotation_period()
        and now - pending.created_at >= JWKS_LIFE
    )


def wait_for(pending: SigningKey, now: datetime) -> int:
    """Return for how many seconds a published key should not sign yet: caches may not know it. 0 when they do."""
    left = JWKS_LIFE - (now - pending.created_at)
    return int(left.total_seconds()) + 1 if left > timedelta(0) else 0


def due_at(key: SigningKey) -> datetime | None:
    """Return when something happens to a key by itself; None where nothing does."""
    state = SigningKey.State
    if key.state == state.ACTIVE and key.site_id is None and key.activated_at is not None:
        return key.activated_at + rotation_period()
    return {state.PENDING: key.activates_at, state.RETIRING: key.retires_at}.get(state(key.state))


def stopped_signing_at(key: SigningKey) -> datetime | None:
    """Return since when another key signs in place of this one; None while none does."""
    if key.activated_at is None:
        return None
    later = SigningKey.objects.filter(
        algorithm=key.algorithm, site_id=key.site_id, activated_at__gt=key.activated_at
    )
    return later.order_by("activated_at").values_list("activated_at", flat=True).first()


def rotation_period() -> timedelta:
    """Return after how long a key is replaced by itself."""
    return timedelta(days=settings.PREVIEW_KEY_ROTATION_DAYS)


# --- Steps, under the lock ------------------------------------------------------------------------------------------


def _require(by: Principal) -> None:
    by.require_area(Area.PREVIEWS)
    by.require_step_up()


def _require_overlap(overlap: timedelta) -> None:
    if overlap and not SHORTEST_OVERLAP <= overlap <= LONGEST_OVERLAP:
        detail = "No hours, which ends what was signed before at once; or from 1 to 720."
        raise InvalidInputError(errors=[Problem.at(["overlap_hours"], "out-of-range", detail)])


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_ID])


def _of(algorithm: str, site: PreviewSite | None) -> Mapping[str, SigningKey]:
    """Return the key that signs and the one that waits, by state."""
    is_shared = algorithm == Algorithm.HS256
    states = (SigningKey.State.ACTIVE, SigningKey.State.PENDING)
    found = SigningKey.objects.filter(algorithm=algorithm, site=site if is_shared else None, state__in=states)
    return {key.state: key for key in found}


def _make(
    algorithm: str,
    site: PreviewSite | None,
    state: SigningKey.State,
    by: Principal,
    *,
    activates_at: datetime | None = None,
) -> tuple[SigningKey, str]:
    now = timezone.now()
    key = SigningKey(
        algorithm=algorithm,
        site=site if algorithm == Algorithm.HS256 else None,
        state=state,
        created_at=now,
        activates_at=activates_at,
        activated_at=now if state is SigningKey.State.ACTIVE else None,
    )
    secret = halves.fill(key)
    key.save(force_insert=True)
    _record("signing-key.created", key, by, {"state": str(state.value)})
    return key, secret


def _activate(key: SigningKey, now: datetime, by: Principal) -> None:
    key.state, key.activated_at = SigningKey.State.ACTIVE, now
    key.save(update_fields=["state", "activated_at"])
    _record("signing-key.activated", key, by, {})


def _end(key: SigningKey, now: datetime, overlap: timedelta, by: Principal) -> SigningKey:
    """Let a key verify until the overlap ends; without one it is revoked."""
    if not overlap:
        return _over(key, now, SigningKey.State.REVOKED, by, because="rotated without overlap")
    key.state, key.retires_at = SigningKey.State.RETIRING, now + overlap
    key.save(update_fields=["state", "retires_at"])
    _record("signing-key.retiring", key, by, {"overlap_seconds": int(overlap.total_seconds())})
    return key


def _over(
    key: SigningKey, now: datetime, state: SigningKey.State, by: Principal, *, because: str
) -> SigningKey:
    key.state, key.ended_at, key.private = state, now, ""
    key.save(update_fields=["state", "ended_at", "private"])
    _record(f"signing-key.{state.value}", key, by, {"because": because})
    return key


def _record(type_: str, key: SigningKey, by: Principal, detail: Mapping[str, object]) -> None:
    about = {"algorithm": str(key.algorithm), **({"site": str(key.site_id)} if key.site_id else {})}
    record(type_, actor=by, subject=Subject("signing-key", str(key.pk)), detail={**about, **detail})
    Generation.objects.bump(GENERATION)
