"""Proving a backup: it is restored beside the living, looked at from every side, and what was found is kept, signed.

The scratch database is wiped before and after, so it must be one that holds nothing else; it says so itself.
"""

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import psycopg
from django.conf import settings
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from accounts.canonical import canonical_bytes
from accounts.keyring import key_ring
from content.backups import children, creating, golden, loading, postgres, snapshot, verifying
from content.backups.children import ChildError
from content.backups.errors import BackupError, OtherVersionError, RefusedError
from content.backups.manifest import Golden, Manifest, read
from content.backups.progress import Progress, Silent
from content.backups.stores import NOTE, Store

logger = logging.getLogger("quillkeep.backup")

PURPOSE: Final = "backup-proof"
MARK: Final = "quillkeep: scratch, wiped by every proof"
SAMPLE: Final = 10  # a proof by schedule restores each tenth media file
_MOST_NOTE: Final = 64 * 1024
_LOCK_ID: Final = 0x71_6B_70_72_66  # "qkprf": one proof in a scratch database at a time
_EXAMINE_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Proof:
    """What proving a backup found. `problem` is "" for one that is proven to restore."""

    name: str
    at: str
    seconds: int
    tables: int
    rows: int
    media_files: int
    media_every: int
    golden: int
    log_checked: int
    problem: str = ""

    @property
    def is_proven(self) -> bool:
        return not self.problem

    @property
    def made(self) -> datetime:
        return datetime.fromisoformat(self.at)

    def signed_bytes(self) -> bytes:
        body = asdict(self)
        key_id, signature = key_ring().sign(canonical_bytes(body), purpose=PURPOSE)
        return canonical_bytes({"proof": body, "key_id": key_id, "signature": signature}) + b"\n"

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Return a proof that this key ring signed. Raises RefusedError."""
        try:
            document = json.loads(raw)
            body, key_id, signature = document["proof"], document["key_id"], document["signature"]
            is_ours = key_ring().has_signed(
                canonical_bytes(body), str(signature), purpose=PURPOSE, key_id=str(key_id)
            )
            found = cls(**body) if is_ours else None
            if found is not None and found.made.tzinfo is None:
                raise ValueError("time")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RefusedError("A proof can't be read.") from error
        if found is None:
            raise RefusedError("A proof has a wrong signature.")
        return found


def proofs(place: Store, name: str) -> list[Proof]:
    """Return what proofs of a backup found, the oldest first; what nobody of us signed is left out.

    By the time that is signed, not by the file's name: a good proof that is copied under a later name hides no bad one.
    """
    found = []
    for key in sorted(place.keys(f"proofs/{name}")):
        if not NOTE.fullmatch(key.rpartition("/")[2]):
            continue
        try:
            with place.read(key) as stream:
                found.append(Proof.parse(stream.read(_MOST_NOTE)))
        except RefusedError as error:
            logger.warning("%s: %s", key, error)
    return sorted((proof for proof in found if proof.name == name), key=lambda proof: proof.made)


def last_proven(place: Store, name: str) -> Proof | None:
    """Return the newest proof that a backup restores, unless a later one found that it does not."""
    found = proofs(place, name)
    return found[-1] if found and found[-1].is_proven else None


def prove(
    place: Store, name: str, *, identities: list[Any], every: int = 1, progress: Progress | None = None
) -> Proof:
    """Restore a backup into the scratch database and folder, compare everything, and keep what was found.

    Raises BackupError when it can't be tried (no scratch database, no private key); what is wrong with the backup is
    in the proof.
    """
    progress = progress or Silent()
    config = settings.BACKUPS.scratch_database
    if config is None:
        raise BackupError("SCRATCH_DATABASE_URL is not set: proving needs an empty database of its own.")
    _require_our_tables(place, name)
    began = datetime.now(UTC)
    proof = Proof(name, began.isoformat(timespec="seconds"), 0, 0, 0, 0, every, 0, 0)
    with _scratch(config) as connection:
        try:
            proof = _prove(proof, place, identities, config, progress)
        except RefusedError as error:
            proof = replace(proof, problem=str(error)[:1000])
        finally:
            _wipe(connection)
    proof = replace(proof, seconds=max(1, round((datetime.now(UTC) - began).total_seconds())))
    with place.write(f"proofs/{name}/{began:%Y%m%dT%H%M%SZ}.json") as stream:
        stream.write(proof.signed_bytes())
    return proof


def _require_our_tables(place: Store, name: str) -> None:
    """Raise BackupError for a backup of an older version: restoring migrates it, examining would take it for broken."""
    try:
        known = set(read(place, name).migrations)
    except RefusedError:
        return  # what is wrong with it is for the proof to say
    newer = [f"{app}.{item}" for app, item in MigrationLoader(None).disk_migrations]
    if not known.issuperset(newer):
        raise BackupError(
            "The backup is from before this version's migrations. A restore brings it up to date, a proof does not: "
            "make a new one (`backup create`), and prove that."
        )


def _prove(
    proof: Proof, place: Store, identities: list[Any], config: Mapping[str, Any], progress: Progress
) -> Proof:
    manifest = verifying.verify(place, proof.name, progress=progress).require_whole()
    loading.database(place, manifest, identities, config=config, progress=progress)
    with tempfile.TemporaryDirectory(prefix="quillkeep-proof-") as folder:
        number = loading.media_files(
            place,
            manifest,
            identities,
            into=Path(folder) / "media",
            progress=progress,
            every=proof.media_every,
        )
        shutil.rmtree(Path(folder) / "media", ignore_errors=True)
        progress.step("examining")
        seen = examine(manifest, config, data_dir=Path(folder))
    return replace(
        proof,
        tables=len(manifest.tables),
        rows=sum(table.rows for table in manifest.tables.values()),
        media_files=number,
        golden=len(_readable(manifest)),
        log_checked=seen,
    )


def examine(manifest: Manifest, config: Mapping[str, Any], *, data_dir: Path) -> int:
    """Run our own checks over a loaded database, in a process that sees nothing else; return how many seals it proved.

    Raises RefusedError for what is wrong.
    """
    names = ("DATABASE_URL", "DELIVERY_DATABASE_URL", "OWNER_DATABASE_URL")
    values = {**dict.fromkeys(names, postgres.url_of(config)), "DATA_DIR": str(data_dir)}
    try:
        seen = children.ask("examine", values=values, without=("BACKUP_",), seconds=_EXAMINE_SECONDS)
    except ChildError as error:
        raise RefusedError(f"The restored database can't be examined: {error}") from error
    if seen["findings"]:
        raise RefusedError("Restored, it is not sound: " + " ".join(seen["findings"][:3]))
    if (seen["log_position"], seen["log_mac"]) != (manifest.log_position, manifest.log_mac):
        raise RefusedError("The log ends elsewhere than when the backup was made.")
    other_answers = golden_differences(manifest, config)
    if other_answers and manifest.versions["quillkeep"] != creating.version():
        raise OtherVersionError(
            f"{other_answers} Another version made the backup: make a new one, and prove that."
        )
    if other_answers:
        raise RefusedError(other_answers)
    return int(seen["log_checked"])


def golden_differences(manifest: Manifest, config: Mapping[str, Any]) -> str:
    """Read again what was read when the backup was made, and say where an answer has other bytes; "" for nowhere."""
    before = _readable(manifest)
    wanted = [asdict(item) for item in before]
    rows = creating.run_golden(dict(config), wanted=wanted) if wanted else []
    differing = [item for item, row in zip(before, rows, strict=True) if row["sha256"] != item.sha256]
    if not differing:
        return ""
    return (
        f"The API answers {len(differing)} of {len(rows)} documents otherwise than before, the first of them "
        f"{differing[0].entry} ({differing[0].locale})."
    )


def _readable(manifest: Manifest) -> list[Golden]:
    """Return what the API answered then; of what it failed at nothing is known, and mending it makes no backup bad."""
    return [item for item in manifest.golden if item.sha256 != golden.UNREADABLE]


@contextmanager
def _scratch(config: Mapping[str, Any]) -> Iterator[psycopg.Connection[Any]]:
    """Take the scratch database for us, wiped. Raises BackupError for one that could hold anything else."""
    with postgres.connect(config) as connection:
        for alias in settings.DATABASES.values():
            if _is_same(connection, alias):
                raise BackupError(
                    "SCRATCH_DATABASE_URL names the database that is in use. Give it one of its own."
                )
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK_ID]).fetchone()
        if not row or not row[0]:
            raise BackupError("Another proof uses the scratch database just now. Wait for it.")
        marked = connection.execute(
            "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s",
            [snapshot.SCHEMA],
        ).fetchone()
        if not loading.empty(connection) and (marked is None or marked[0] != MARK):
            raise BackupError(
                "The scratch database holds tables that no proof of ours put there. Give an empty one."
            )
        _wipe(connection)
        yield connection


def _is_same(connection: psycopg.Connection[Any], config: Mapping[str, Any]) -> bool:
    query = "SELECT current_database(), pg_postmaster_start_time()"
    try:
        with postgres.connect(config) as other:
            return other.execute(query).fetchone() == connection.execute(query).fetchone()
    except BackupError:
        return False  # a replica that is away, say


def _wipe(connection: psycopg.Connection[Any]) -> None:
    loading.wipe(connection)
    connection.execute(
        sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(snapshot.SCHEMA), sql.Literal(MARK))
    )
