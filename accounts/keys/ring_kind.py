"""The key ring as `manage.py keys` knows it: `ring`, and one key of it as `ring:k1` or `k1`."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django.conf import settings

from accounts import encrypted, ring
from accounts.access import Area, Principal
from accounts.errors import ConflictError
from accounts.keyring import key_ring
from accounts.keys import kinds
from accounts.keys.kinds import Rotated
from accounts.keys.usage import Verdict

NAME: Final = "ring"


class RingKeys:
    """Keys of QUILLKEEP_KEY_RING. The variable is the operator's, so rotating makes its next value and no more."""

    columns: Final = ("id", "state", "encrypts", "moved", "verifies", "needed_by", "active_at", "retired_at")
    retired: Final = (
        "nothing is encrypted with it any more. Keep it in the ring as long as the log is to be verified, and as long"
        " as a backup of its time is kept: without it that backup is not believed, and can't be opened"
    )

    def rows(self) -> list[dict[str, Any]]:
        found = ring.shown()
        whole = sum(key.needs for key in found)
        active = sum(key.needs for key in found if key.state == "active")
        share = f"{100 * active // whole} %" if whole else None
        return [_row(key, share) for key in found]

    def rotate(
        self,
        name: str,
        *,
        overlap: timedelta,  # noqa: ARG002 (a former key ends when nothing needs it)
        at_once: bool = False,  # noqa: ARG002
        by: Principal,
    ) -> Sequence[Rotated]:
        """Return a new value of QUILLKEEP_KEY_RING. Nothing changes before processes start with it."""
        if name != NAME:
            raise ConflictError("The ring is rotated as a whole: name it, `keys rotate ring`.")
        by.require_area(Area.KEYS)
        by.require_step_up()
        key_id, text = ring.value_with_new_key()
        former = settings.KEY_RING[0][0]
        told = (
            f"Nothing has changed yet. Put this into {place('QUILLKEEP_KEY_RING')} and restart every process;"
            f" then {key_id} is the active key and {former} retires. Where hosts restart one after another, put"
            f" {key_id} last first, restart all, and then first. When `keys list --kind ring` says that nothing needs"
            f" {former} any more, `keys retire ring:{former}`."
        )
        return [Rotated(key_id, text, None, name=NAME, former=former, told=told)]

    def judge(self, name: str) -> Verdict | None:
        key = ring.known(_id(name))
        left = encrypted.counts().get(key.pk, {})
        if left:
            tables = ", ".join(f"{table} {number}" for table, number in sorted(left.items()))
            is_held = key_ring().holds(key.pk)
            ending = "" if is_held else " It is not in the ring: they are lost without it."
            return Verdict(
                is_safe=False,
                sentence=f"Not yet: {sum(left.values())} values are encrypted with {key.pk} ({tables}).{ending}",
            )
        return Verdict(is_safe=True, sentence=f"Nothing here is encrypted with {key.pk}.")

    def retire(self, name: str, *, by: Principal) -> None:
        ring.retire(_id(name), by=by)


def place(name: str) -> str:
    """Say where the value of a variable is to be changed: in a file, in Vault, or where it is set."""
    form = settings.ENVIRONMENT.places.get(name, name)
    return f"what {form} names" if form != name else name


def register() -> None:
    """Let `manage.py keys` know of it."""
    kinds.register(NAME, RingKeys())


def _id(name: str) -> str:
    return name.removeprefix(f"{NAME}:")


def _row(key: ring.Shown, share: str | None) -> dict[str, Any]:
    row = key.row
    return {
        "id": key.id,
        "name": f"{NAME}:{key.id}",
        "state": key.state,
        "encrypts": key.needs,
        "verifies": sum(key.verifies.values()),
        "moved": share if key.state == "active" else None,  # of all values, how many are under the active key
        "needed_by": ", ".join(f"{name} {number}" for name, number in sorted(key.encrypts.items())),
        "tables": {**key.encrypts},
        "signed": {**key.verifies},
        "is_in_ring": key.is_held,
        "active_at": row.active_at.isoformat() if row else None,
        "retiring_at": row.retiring_at.isoformat() if row and row.retiring_at else None,
        "retired_at": row.retired_at.isoformat() if row and row.retired_at else None,
    }
