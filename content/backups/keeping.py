"""Keeping backups: each act is told to the log and to the table that pages read, and what is due is done.

All of it is done by the owner's role, in a command or in the one worker that has its connection.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from accounts.access import Principal
from accounts.log import Subject, record
from accounts.models.event import Event
from content.backups import creating, manifest, media, postgres, proving, pruning, verifying
from content.backups.creating import Made
from content.backups.errors import BackupError, BusyError, OtherVersionError, RefusedError, WrongKeyError
from content.backups.manifest import Manifest
from content.backups.progress import Progress
from content.backups.proving import Proof
from content.backups.pruning import Pruned
from content.backups.stores import MANIFEST, Store, names
from content.backups.streams import identities, require_key
from content.backups.verifying import Verified
from content.models.backup import Backup

logger = logging.getLogger("quillkeep.backup")

COMPLETED, FAILED = "backup.completed", "backup.failed"
DAMAGED, VERIFIED = "backup.damaged", "backup.verified"
PROVEN, NOT_PROVEN = "backup.proven", "backup.not-proven"
REMOVED, OVERDUE, PROOF_OVERDUE = "backup.removed", "backup.overdue", "backup.proof-overdue"
VERIFY_EVERY: Final = timedelta(days=1)  # one a day, the one that was looked at longest ago
_TELL_AGAIN: Final = timedelta(days=1)
_MOST_PROBLEM: Final = 300  # characters of what is wrong, in the log
OWNER: Final = postgres.OWNER


# --- Acts -----------------------------------------------------------------------------------------------------------


def create(place: Store, *, by: Principal, progress: Progress | None = None) -> Made:
    """Make a backup and tell of it. Raises BackupError, which the log tells of too."""
    with _told(FAILED, "backup", by=by):
        _require_media()
        made = creating.create(place, progress=progress, doubts=_found_damage())
    with transaction.atomic(using=OWNER):
        _note(made.manifest, seconds=round(made.seconds), new_bytes=made.new_bytes)
        now = timezone.now()
        # Every byte was read back before it became one.
        Backup.objects.using(OWNER).filter(name=made.manifest.name).update(verified_at=now, is_whole=True)
        detail = {
            "size": made.manifest.size,
            "media_files": made.manifest.media_files,
            "new_media_bytes": made.new_bytes,
            "seconds": round(made.seconds),
            "log_position": made.manifest.log_position,
        }
        _record(COMPLETED, made.manifest.name, by, detail)
    if made.cleared:
        _tried(lambda: pruning.sweep(place))
    return made


def _require_media() -> None:
    """Raise BackupError where the media folder is gone: a disk that is not mounted looks like a library of nothing."""
    newest = Backup.objects.using(OWNER).filter(removed_at__isnull=True).first()
    if newest is not None and newest.media_files and not media.folder().is_dir():
        raise BackupError(
            f"DATA_DIR holds no media folder, and the newest backup has {newest.media_files:,} files of one: is its "
            "disk mounted here? Where all of them are gone on purpose, make the folder, empty."
        )


def _found_damage() -> bool:
    """Tell whether a backup was found damaged since the newest one was made: they share media files."""
    kept = Backup.objects.using(OWNER).filter(removed_at__isnull=True)
    newest = kept.first()
    return newest is not None and kept.filter(is_whole=False, verified_at__gte=newest.made_at).exists()


def verify(place: Store, name: str, *, by: Principal, progress: Progress | None = None) -> Verified:
    """Verify a backup and tell of it. Raises RefusedError for a name that there is not, and never was."""
    is_known = Backup.objects.using(OWNER).filter(name=name, removed_at__isnull=True).exists()
    if not is_known and name not in names(place):
        manifest.read(place, name)  # says so: it is an error of who typed it, and no damage
    found = verifying.verify(place, name, progress=progress)
    with transaction.atomic(using=OWNER):
        if found.manifest is not None:
            _note(found.manifest)
        row = Backup.objects.using(OWNER).filter(name=name)
        row.update(
            verified_at=timezone.now(), is_whole=found.is_whole, problem=" ".join(found.findings)[:2000]
        )
        if not found.is_whole:
            row.update(proven_at=None)  # it restored once, and would not now
        if found.is_whole:
            _record(VERIFIED, name, by, {"files": found.files, "bytes": found.bytes})
        else:
            problem = found.findings[0][:_MOST_PROBLEM]
            _record(DAMAGED, name, by, {"findings": len(found.findings), "problem": problem})
    return found


def prove(
    place: Store,
    name: str,
    *,
    by: Principal,
    keys: list[str] | None = None,
    every: int = 1,
    progress: Progress | None = None,
) -> Proof:
    """Prove a backup and tell of it; `keys` are private keys of age, those of the environment unless given.

    Raises BackupError when it could not be tried: a name that there is not, or a private key of another backup, is an
    error of who typed it. Neither proves anything, and neither takes away what was proven.
    """
    opened = identities(settings.BACKUPS.identities if keys is None else keys)
    require_key(opened, manifest.read(place, name).recipients)
    try:
        proof = proving.prove(place, name, identities=opened, every=every, progress=progress)
    except OtherVersionError:  # found at the end of it, which may take hours: not again in five minutes
        Backup.objects.using(OWNER).filter(name=name).update(tried_at=timezone.now())
        raise
    with transaction.atomic(using=OWNER):
        with contextlib.suppress(RefusedError):
            _note(manifest.read(place, name))
        changed: dict[str, Any] = {"tried_at": proof.made, "problem": proof.problem[:2000]}
        if proof.is_proven:
            changed |= {"proven_at": proof.made, "proof_seconds": proof.seconds}
        else:
            changed |= {"proven_at": None}
        Backup.objects.using(OWNER).filter(name=name).update(**changed)
        if proof.is_proven:
            detail = {"seconds": proof.seconds, "rows": proof.rows, "documents": proof.golden}
            _record(PROVEN, name, by, {**detail, "media_every": proof.media_every})
        else:
            _record(NOT_PROVEN, name, by, {"problem": proof.problem[:_MOST_PROBLEM]})
    return proof


def prune(place: Store, *, by: Principal, dry_run: bool = False) -> Pruned:
    """Remove what retention lets go, and tell of each."""
    with _told(FAILED, "prune", by=by):
        damaged = set(Backup.objects.using(OWNER).filter(is_whole=False).values_list("name", flat=True))
        done = pruning.prune(place, dry_run=dry_run, damaged=damaged)
    if not dry_run:
        with transaction.atomic(using=OWNER):
            for name in done.removed:
                Backup.objects.using(OWNER).filter(name=name).update(removed_at=timezone.now())
                _record(REMOVED, name, by, {"kept": len(done.kept)})
    return done


def sync(place: Store, *, by: Principal) -> None:
    """Make the table say what the store holds, and tell of manifests that can't be believed any more.

    Raises BackupError for a store that holds nothing of what was there: a disk that is not mounted looks just so.
    """
    found: list[tuple[Manifest, list[Proof]]] = []
    # Asked before: what somebody else makes meanwhile is not gone.
    known = list(Backup.objects.using(OWNER).filter(removed_at__isnull=True).values_list("name", flat=True))
    there, unreadable = names(place), {}
    if not there and known:
        raise BackupError(
            "BACKUP_TO holds none of the backups that are known: is its disk mounted? Where it is a new place, run "
            "`backup create` once."
        )
    for name in there:  # before the transaction: a store that is slow holds no lock
        try:
            item = manifest.read(place, name)
        except RefusedError as error:
            if (
                place.size(f"{name}/{MANIFEST}") is not None
            ):  # else it was pruned meanwhile, which is no damage
                unreadable[name] = str(error)
        else:
            found.append((item, proving.proofs(place, name)))
    with transaction.atomic(using=OWNER):
        for item, proofs in found:
            _note(item)
            _note_proof(item.name, proofs)
        for name, problem in unreadable.items():
            row = Backup.objects.using(OWNER).filter(name=name).exclude(is_whole=False)
            if row.update(is_whole=False, proven_at=None, problem=problem[:2000]):
                _record(DAMAGED, name, by, {"findings": 1, "problem": problem[:_MOST_PROBLEM]})
        gone = Backup.objects.using(OWNER).filter(removed_at__isnull=True, name__in=set(known) - set(there))
        for name in gone.values_list("name", flat=True):
            _record(REMOVED, name, by, {"is_gone": True})  # by somebody else, who told nobody
        gone.update(removed_at=timezone.now())


def _note(item: Manifest, *, seconds: int | None = None, new_bytes: int | None = None) -> None:
    values: dict[str, Any] = {
        "made_at": item.made,
        "environment": item.environment,
        "size": item.size,
        "media_files": item.media_files,
        "media_bytes": item.media_bytes,
        "log_position": item.log_position,
        "removed_at": None,
    }
    if seconds is not None:
        values |= {"seconds": seconds, "new_bytes": new_bytes or 0}
    Backup.objects.using(OWNER).update_or_create(name=item.name, defaults=values)


def _note_proof(name: str, proofs: list[Proof]) -> None:
    """Keep what the last proof in the store found: a good one of before is none any more once a later one is bad."""
    if not proofs:
        return
    last = proofs[-1]
    row = Backup.objects.using(OWNER).filter(name=name).exclude(is_whole=False)
    row.update(
        tried_at=Greatest("tried_at", Value(last.made)), proven_at=last.made if last.is_proven else None
    )
    if last.is_proven:
        row.update(proof_seconds=last.seconds)


def _record(type_: str, name: str, by: Principal, detail: Mapping[str, object]) -> None:
    record(type_, actor=by, subject=Subject("backup", name), detail=detail, using=OWNER)


@contextlib.contextmanager
def _told(type_: str, name: str, *, by: Principal) -> Iterator[None]:
    """Have the log tell of what fails, whatever it is."""
    try:
        yield
    except BusyError:
        raise  # somebody makes one just now, which is no reason to wake anybody
    except Exception as error:
        with contextlib.suppress(Exception), transaction.atomic(using=OWNER):
            _record(type_, name, by, {"problem": _problem(error)})
        if isinstance(error, OSError):
            raise BackupError(f"It can't be written ({_os_words(error)}). Nothing is in the list.") from error
        raise


def _problem(error: Exception) -> str:
    """Return a sentence for the log: what others than we say may hold names of files, or more."""
    words = str(error) if isinstance(error, BackupError) else f"{type(error).__name__}: {_os_words(error)}"
    return words[:_MOST_PROBLEM]


def _os_words(error: Exception) -> str:
    return str(error.strerror or "") if isinstance(error, OSError) else ""


# --- What is due ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """When each act is due; a moment that is past means now. None: not here, `why_not` says why."""

    create_at: datetime
    verify_at: datetime | None
    prove_at: datetime | None
    newest: datetime | None
    last_proven: datetime | None
    why_not: str = ""

    @property
    def is_overdue(self) -> bool:
        late = timedelta(hours=2 * settings.BACKUPS.every_hours)
        return self.newest is None or timezone.now() - self.newest > late

    @property
    def is_proof_overdue(self) -> bool:
        late = timedelta(days=settings.BACKUPS.prove_every_days)
        return self.last_proven is None or timezone.now() - self.last_proven > late


def plan() -> Plan:
    """Return what is due when, from the table."""
    kept = Backup.objects.filter(removed_at__isnull=True)
    newest = kept.order_by("-made_at").first()
    proven = kept.filter(proven_at__isnull=False).order_by("-proven_at").first()
    tried = kept.filter(tried_at__isnull=False).order_by("-tried_at").first()
    last_look = kept.filter(verified_at__isnull=False).order_by("-verified_at").first()
    now = timezone.now()
    every, prove_every = settings.BACKUPS.every_hours, settings.BACKUPS.prove_every_days
    prove_at = None
    if newest is not None:
        # A day before it would be overdue; after one that failed, once a day.
        due = (proven.proven_at if proven else None) or now - timedelta(days=prove_every)
        prove_at = due + timedelta(days=max(1, prove_every - 1), hours=-1 if prove_every == 1 else 0)
        if tried is not None and tried.tried_at is not None and tried.tried_at != tried.proven_at:
            prove_at = max(prove_at, tried.tried_at + timedelta(days=1))
    return Plan(
        create_at=newest.made_at + timedelta(hours=every) if newest else now,
        verify_at=_verify_at(newest, last_look),
        prove_at=prove_at,
        newest=newest.made_at if newest else None,
        last_proven=proven.proven_at if proven else None,
        why_not=_why_no_proof(),
    )


def _verify_at(newest: Backup | None, last_look: Backup | None) -> datetime | None:
    """Return when one is to be verified: at once where none ever was (the store of another installation, say)."""
    if last_look is not None and last_look.verified_at is not None:
        return last_look.verified_at + VERIFY_EVERY
    return newest.made_at if newest is not None else None


def _why_no_proof() -> str:
    if not settings.BACKUPS.to:
        return "BACKUP_TO is not set."
    if not settings.BACKUPS.identities:
        return "This process holds no private key (BACKUP_IDENTITY), so it proves nothing."
    if settings.BACKUPS.scratch_database is None:
        return "SCRATCH_DATABASE_URL is not set, so nothing is proven here."
    return ""


def keep(place: Store, *, by: Principal) -> list[str]:
    """Do what is due: make, verify, prove, prune; return what was done. One that fails keeps no other waiting."""
    try:
        return _keep(place, by=by)
    except (BackupError, OSError) as error:  # the store does not answer, or is another one
        _tell_once(FAILED, {"problem": _problem(error)}, by)
        raise
    finally:
        tell_overdue(by=by)


def _keep(place: Store, *, by: Principal) -> list[str]:
    sync(place, by=by)
    present, now, done = plan(), timezone.now(), []
    if present.create_at <= now and not _failed_lately(now):
        if _tried(lambda: create(place, by=by)):
            done.append("create")
            if _tried(lambda: prune(place, by=by)):
                done.append("prune")
    elif present.verify_at is not None and present.verify_at <= now:
        longest_ago = F("verified_at").asc(nulls_first=True)
        oldest = Backup.objects.filter(removed_at__isnull=True).order_by(longest_ago, "pk")[0]
        if _tried(lambda: verify(place, oldest.name, by=by)):
            done.append("verify")
    present, now = plan(), timezone.now()
    if not present.why_not and present.prove_at is not None and present.prove_at <= now:
        newest = Backup.objects.filter(removed_at__isnull=True).order_by("-made_at")[0]
        try:
            if _tried(lambda: prove(place, newest.name, by=by, every=proving.SAMPLE)):
                done.append("prove")
        except WrongKeyError as error:
            logger.error("%s", error)
            _tell_once(NOT_PROVEN, {"problem": str(error)[:_MOST_PROBLEM]}, by)
    return done


def tell_overdue(*, by: Principal) -> None:
    """Record, once a day, that no backup was made for long or that none is proven: alerts rise from it."""
    present = plan()
    if present.is_overdue:
        _tell_once(OVERDUE, {"since": _stamp(present.newest), "problem": _nowhere()}, by)
    if present.is_proof_overdue:
        _tell_once(PROOF_OVERDUE, {"since": _stamp(present.last_proven), "problem": present.why_not}, by)


def _nowhere() -> str:
    return "" if settings.BACKUPS.to else "BACKUP_TO is not set."


def _stamp(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else "never"


def _tell_once(type_: str, detail: dict[str, object], by: Principal) -> None:
    if not Event.objects.filter(type=type_, at__gt=timezone.now() - _TELL_AGAIN).exists():
        with transaction.atomic(using=OWNER):
            _record(type_, "backups", by, detail)


def _failed_lately(now: datetime) -> bool:
    """Tell whether an attempt failed within the last quarter of an hour: a full disk is not filled every minute."""
    return Event.objects.filter(type=FAILED, subject_id="backup", at__gt=now - timedelta(minutes=15)).exists()


def _tried(act: Any) -> bool:
    try:
        act()
    except WrongKeyError:
        raise  # nobody types it here: it stays so until somebody is told
    except BackupError as error:
        logger.error("%s", error)
        return False
    except Exception:  # a bad disk, a database that goes: what is overdue must be told all the same
        logger.exception("Keeping backups failed.")
        return False
    return True
