"""Epochs of the log: after a restore it goes on above every position that was ever told to anybody.

Receivers of webhooks keep the highest `sequence` they saw, and heads that are kept elsewhere name positions of the
history that was lost; neither may be met by another event at the same place.
"""

from typing import Final

from django.db import transaction
from django.utils import timezone

from accounts.audit.chain import Jump
from accounts.audit.lines import moment
from accounts.canonical import canonical_bytes
from accounts.keyring import key_ring
from accounts.log import newest
from accounts.models.archive import Epoch

PURPOSE: Final = "log-epoch"
LENGTH: Final = (
    1_000_000_000  # an epoch begins at a multiple: more than any history loses behind its last known head
)


def epoch_bytes(epoch: Epoch) -> bytes:
    """Return what the MAC of an epoch's row is made over: every column."""
    return canonical_bytes(
        [
            epoch.first_position,
            epoch.after_position,
            epoch.previous_mac,
            epoch.backup,
            moment(epoch.made_at),
        ]
    )


def is_ours(epoch: Epoch) -> bool:
    """Tell whether the application made this row; somebody with SQL alone can't."""
    return key_ring().verifies(epoch_bytes(epoch), epoch.mac, purpose=PURPOSE, key_id=epoch.key_id)


def begin(*, above: int, backup: str, using: str) -> Epoch:
    """Have the log go on above a position, and above all that it holds; `using` is the owner's connection."""
    with transaction.atomic(using=using):
        position, mac = newest(using=using)
        epoch = Epoch(
            first_position=(max(above, position) // LENGTH + 1) * LENGTH,
            after_position=position,
            previous_mac=mac,
            backup=backup,
            made_at=timezone.now(),
        )
        epoch.key_id, epoch.mac = key_ring().mac(epoch_bytes(epoch), purpose=PURPOSE)
        epoch.save(force_insert=True, using=using)
        return epoch


def jumps(*, using: str = "default") -> dict[int, Jump]:
    """Return where the chain may jump: the position that would come next → where it goes on instead."""
    return {
        epoch.after_position + 1: Jump(epoch.first_position, epoch.previous_mac)
        for epoch in Epoch.objects.using(using).order_by("first_position")
        if is_ours(epoch)
    }


def is_lost(position: int) -> bool:
    """Tell whether a position is of a history that a restore gave up."""
    epochs = Epoch.objects.filter(after_position__lt=position, first_position__gt=position)
    return any(is_ours(epoch) for epoch in epochs)
