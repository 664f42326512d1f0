"""What content tells monitoring: when the last backup was made, and when one was last proven to restore."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from accounts.measuring import Measure
from content.backups import keeping
from content.models.backup import Backup


def _stamp(read: Callable[[], datetime | None]) -> Callable[[], float | None]:
    def seconds() -> float | None:
        moment = read()
        return moment.timestamp() if moment is not None else None

    return seconds


def _size() -> float | None:
    newest = Backup.objects.filter(removed_at__isnull=True).first()
    return float(newest.size) if newest is not None else None


MEASURES: Final = (
    Measure(
        "quillkeep_backup_last_made_timestamp_seconds",
        "When the newest backup was made.",
        _stamp(lambda: keeping.plan().newest),
    ),
    Measure(
        "quillkeep_backup_last_proven_timestamp_seconds",
        "When a backup was last proven to restore.",
        _stamp(lambda: keeping.plan().last_proven),
    ),
    Measure("quillkeep_backup_size_bytes", "Bytes of the newest backup, without media files.", _size),
)
