"""The life of the key ring: which key is active, what still needs a former one, and when it can go.

The keys themselves are the operator's (`QUILLKEEP_KEY_RING`); the database remembers their ids and fingerprints.
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import encrypted
from accounts.access import Area, Principal
from accounts.encrypted import Moved
from accounts.errors import ConflictError, NotFoundError
from accounts.keyring import key_ring
from accounts.log import Subject, record
from accounts.models import RingKey

KEY_BYTES: Final = 32
SLICE_SECONDS: Final = 20.0  # of one run in the background
State = RingKey.State


@dataclass(frozen=True, slots=True)
class Shown:
    """One key id as people see it. `state` is one of the row's, or pending, missing, changed."""

    id: str
    state: str
    row: RingKey | None
    encrypts: dict[str, int]  # table.column → values
    verifies: dict[str, int]  # table.column → MACs, which can't be made anew
    is_held: bool

    @property
    def needs(self) -> int:
        return sum(self.encrypts.values())


def fingerprint(key_id: str) -> str:
    """Return 64 bits of a hash of something that is derived from the key: it tells keys apart and nothing else."""
    return hashlib.sha256(key_ring().derive("fingerprint", key_id)).hexdigest()[:16]


def note_active(*, by: Principal) -> None:
    """Remember the active key; with another one than before, the former ones are retiring from now on.

    At start, by processes that may write. It takes one look when nothing has changed.
    """
    active = key_ring().active_id
    if RingKey.objects.filter(pk=active, state=State.ACTIVE).exists():
        return
    try:
        with transaction.atomic():
            _turn(active, by)
    except IntegrityError:  # another process noted it in the same moment
        return


def _turn(active: str, by: Principal) -> None:
    now = timezone.now()
    known = {key.pk: key for key in RingKey.objects.select_for_update().order_by("pk")}
    # From before anybody kept this, or after a restore: what values need is remembered too.
    for key_id in encrypted.counts().keys() - known.keys() - {active}:
        seen = fingerprint(key_id) if key_ring().holds(key_id) else ""
        known[key_id] = RingKey.objects.create(
            pk=key_id, fingerprint=seen, state=State.RETIRING, retiring_at=now
        )
    former = [key for key in known.values() if key.state == State.ACTIVE]
    for key in former:
        key.state, key.retiring_at = State.RETIRING, now
        key.save(update_fields=["state", "retiring_at"])
    if active in known:  # taken back: it is the first one again
        found = known[active]
        found.fingerprint = found.fingerprint or fingerprint(active)  # it was not there when it was noted
        found.state, found.active_at, found.retiring_at, found.retired_at = State.ACTIVE, now, None, None
        found.save()
    else:
        RingKey.objects.create(pk=active, fingerprint=fingerprint(active), active_at=now)
    if former or active in known:
        record(
            "key.rotated",
            actor=by,
            subject=Subject("ring-key", active),
            detail={"kind": "ring", "active": active, "retiring": sorted(key.pk for key in former)},
        )


def faults() -> list[str]:
    """Return what is wrong between the ring and what values need: keys that are missing, or not the same as before."""
    rows = list(RingKey.objects.order_by("pk"))
    found = [
        f"{row.pk} is another key than the one that values were encrypted with"
        for row in rows
        if _is_another(row)
    ]
    missing = [row.pk for row in rows if row.state != State.RETIRED and not key_ring().holds(row.pk)]
    counts = encrypted.counts() if missing else {}
    for key_id in missing:
        needs = sum(counts.get(key_id, {}).values())
        found.append(
            f"{key_id} is missing, and {needs} stored value{'' if needs == 1 else 's'} can't be opened without it"
        )
    return found


def _is_another(row: RingKey) -> bool:
    return key_ring().holds(row.pk) and bool(row.fingerprint) and row.fingerprint != fingerprint(row.pk)


def shown(*, with_signed: bool = True) -> list[Shown]:
    """Return every key that is in the ring, was active, or is needed by a value: in the ring's order, others last.

    `with_signed` looks at the whole log, too.
    """
    rows = {row.pk: row for row in RingKey.objects.all()}
    encrypts, verifies = encrypted.counts(), encrypted.signed_counts() if with_signed else {}
    held = [key_id for key_id, _ in settings.KEY_RING]
    others = sorted({*rows, *encrypts, *verifies} - set(held))
    return [
        Shown(
            id=key_id,
            state=_state(key_id, rows.get(key_id)),
            row=rows.get(key_id),
            encrypts=encrypts.get(key_id, {}),
            verifies=verifies.get(key_id, {}),
            is_held=key_ring().holds(key_id),
        )
        for key_id in [*held, *others]
    ]


def _state(key_id: str, row: RingKey | None) -> str:
    if not key_ring().holds(key_id):
        return "retired, gone" if row is not None and row.state == State.RETIRED else "missing"
    if row is None:
        return "active" if key_id == key_ring().active_id else "pending"
    if _is_another(row):
        return "changed"
    return str(row.state)


def value_with_new_key() -> tuple[str, str]:
    """Return the id of a new key, and the whole value of QUILLKEEP_KEY_RING with it as the first one."""
    ring = dict(settings.KEY_RING)
    taken = {*ring, *RingKey.objects.values_list("pk", flat=True)}
    number = 1
    while f"k{number}" in taken:
        number += 1
    fresh = {f"k{number}": secrets.token_bytes(KEY_BYTES), **ring}
    text = ",".join(f"{key_id}:{base64.b64encode(key).decode()}" for key_id, key in fresh.items())
    return f"k{number}", text


def move(key_id: str, *, goes_on: Callable[[], bool], progress: Callable[[int], None] | None = None) -> Moved:
    """Move what a former key encrypts to the active one. Raises ConflictError for that, and one that is gone."""
    if key_id == key_ring().active_id:
        raise ConflictError(f"{key_id} is the active key.")
    if not key_ring().holds(key_id):
        raise ConflictError(f"{key_id} is not in the ring: what it encrypts can't be opened.")
    return encrypted.move(key_id, goes_on=goes_on, progress=progress)


def move_some() -> Moved:
    """Move for some seconds what retiring keys encrypt; the schedule comes again."""
    until = time.monotonic() + SLICE_SECONDS
    whole = Moved()
    for key in RingKey.objects.filter(state=State.RETIRING).order_by("pk"):
        if key.pk != key_ring().active_id and key_ring().holds(key.pk):
            done = move(key.pk, goes_on=lambda: time.monotonic() < until)
            whole.moved += done.moved
            whole.unreadable += done.unreadable
    return whole


def known(key_id: str) -> RingKey:
    """Return the row of a key. Raises NotFoundError."""
    found = RingKey.objects.filter(pk=key_id.replace("\x00", "")).first()
    if found is None:
        raise NotFoundError("There is no such key of the ring, or it was never active.")
    return found


@transaction.atomic
def retire(key_id: str, *, by: Principal) -> None:
    """Let a former key be retired. The log keeps how many values still needed it."""
    by.require_area(Area.KEYS)
    by.require_step_up()
    known(key_id)
    row = RingKey.objects.select_for_update().get(pk=key_id)
    if row.pk == key_ring().active_id or row.state == State.ACTIVE:
        raise ConflictError(f"{row.pk} is the active key: put another one first in QUILLKEEP_KEY_RING.")
    if row.state != State.RETIRED:
        left = sum(encrypted.counts().get(row.pk, {}).values())
        row.state, row.retired_at = State.RETIRED, timezone.now()
        row.save(update_fields=["state", "retired_at"])
        detail = {"kind": "ring", "key": row.pk, "left": left}
        record("key.retired", actor=by, subject=Subject("ring-key", row.pk), detail=detail)
