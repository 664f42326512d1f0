"""Whether what is lost could be brought back, and by nobody else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

from accounts.models.alert import Severity
from cms_project.security_check.check import Check, Found, strict
from content.backups import keeping
from content.models.backup import Backup


def made() -> Iterator[Found]:
    """Look at whether backups are made at all, and lately."""
    if not settings.BACKUPS.to:
        yield Found("BACKUP_TO is not set: no backups are made.", strict(Severity.CRITICAL))
        return
    plan = keeping.plan()
    if plan.is_overdue:
        yield Found(f"The newest backup: {_day(plan.newest)}.")


def proven() -> Iterator[Found]:
    """Look at whether one was restored lately."""
    if not settings.BACKUPS.to:
        return
    plan = keeping.plan()
    if plan.is_proof_overdue:
        yield Found(f"A backup was last proven to restore: {_day(plan.last_proven)}.")
    for item in Backup.objects.filter(removed_at__isnull=True, is_whole=False):
        yield Found(f"{item.name} is damaged.", Severity.CRITICAL)


def apart() -> Iterator[Found]:
    """Look at whether backups would be lost with what they are of, and who could read them."""
    place = urlsplit(settings.BACKUPS.to)
    if place.scheme == "file" and Path(place.path).resolve().is_relative_to(
        Path(settings.DATA_DIR).resolve()
    ):
        yield Found("Backups lie in DATA_DIR: a disk that dies takes both.", strict(Severity.WARNING))
    if settings.BACKUPS.identities and "owner" not in settings.DATABASES:
        yield Found("This process holds BACKUP_IDENTITY and does not prove: it could read every backup.")


def _day(moment: object) -> str:
    return f"{moment:%-d %B %Y}" if moment is not None else "never"


CHECKS: Final = (
    Check("backups-made", "Backups are made", Severity.CRITICAL,
          "Set BACKUP_TO and BACKUP_RECIPIENTS, start a worker for the queue backups, or run manage.py backup create.",
          made, page="content-backups"),
    Check("backups-proven", "A backup is proven to restore", Severity.WARNING,
          "Run manage.py backup prove where the private key is.", proven, page="content-backups"),
    Check("backups-apart", "Backups lie elsewhere, and only the prover reads them", Severity.WARNING,
          "Point BACKUP_TO at another machine; give BACKUP_IDENTITY to a worker that proves, and to nothing else.",
          apart, page="content-backups"),
)  # fmt: skip
