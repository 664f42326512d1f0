"""`backup create|list|show|verify|prove|restore|prune|schedule`: what ops do with backups, and two verbs of our own."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from django.conf import settings
from django.core import checks
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone
from rich.console import Console
from rich.table import Table

from accounts.access import system
from accounts.audit import verifying as log
from accounts.errors import DomainError
from accounts.log import newest, write_head
from accounts.models import Seal
from cms_project import restoring
from cms_project.environment_backups import identity_lines, is_identity
from cms_project.restoring import Wish
from cms_project.shown_progress import Shown
from content.backups import golden, keeping, manifest, postgres, proving
from content.backups.errors import BackupError
from content.backups.manifest import Golden, Manifest
from content.backups.stores import names, store
from content.models import Backup

_MOST_INPUT: Final = 1024 * 1024
_LONGEST_FILE: Final = 64 * 1024


class Command(BaseCommand):
    """Thin: each verb finds, calls and prints. A fault is one sentence on stderr and the status 1."""

    help = "Make, look at, verify, prove, restore and remove backups. docs/operations/ has the drill."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        verbs.add_parser("create", help="Make a backup now.")
        verbs.add_parser("list", help="List the backups that the store holds, with their proofs.")
        verbs.add_parser("show", help="Show what a backup holds, without reading it.")
        verbs.add_parser(
            "verify", help="Read every byte of a backup and compare. Exits 1 for one that is damaged."
        )
        prove = verbs.add_parser(
            "prove", help="Restore into the scratch database, compare, and keep the proof."
        )
        restore = verbs.add_parser("restore", help="Restore into an empty target, or with --replace.")
        prune = verbs.add_parser("prune", help="Remove what retention (BACKUP_KEEP) lets go.")
        verbs.add_parser(
            "schedule", help="Show what is due when, and what is overdue. Exits 1 when something is."
        )
        for name in ("show", "verify", "prove"):
            verbs.choices[name].add_argument("name", nargs="?", help="The newest one unless given.")
        restore.add_argument("name", nargs="?", help="The backup to restore.")
        for verb in (prove, restore):
            verb.add_argument(
                "--identity", metavar="FILE", help="The private key, as `age-keygen` writes it."
            )
        prove.add_argument(
            "--media-every", type=int, default=1, metavar="N", help="Restore each Nth media file only."
        )
        restore.add_argument("--replace", action="store_true", help="Replace what the target holds.")
        restore.add_argument(
            "--confirm", metavar="NAME", help="The name once more, where nobody can be asked."
        )
        restore.add_argument("--from-environment", default="", metavar="ENVIRONMENT", help="Of another one.")
        restore.add_argument(
            "--known-position",
            type=int,
            default=0,
            metavar="N",
            help="The highest position of the log that a receiver, or a head kept elsewhere, has seen.",
        )
        restore.add_argument(
            "--undo", action="store_true", help="Put back what a restore that was cut off replaced."
        )
        restore.add_argument(
            "--finish", action="store_true", help="Keep what a restore that was cut off has restored whole."
        )
        prune.add_argument("--dry-run", action="store_true", help="Only say what would be removed.")
        # What our own processes ask of one another; of no use to people.
        one = verbs.add_parser("golden")
        one.add_argument("--snapshot", default="")
        verbs.add_parser("examine")
        for verb in verbs.choices.values():
            verb.add_argument(
                "--json", action="store_true", help="Print the result as JSON, in the last line."
            )

    def handle(self, *, verb: str, **options: Any) -> None:
        """Do it, or say in one sentence why not."""
        try:
            act: Callable[[dict[str, Any]], None] = getattr(self, f"_{verb}")
            act(options)
        except (BackupError, OSError) as error:
            raise CommandError(str(error)) from error
        except DomainError as error:
            raise CommandError(error.detail) from error
        except (psycopg.Error, DatabaseError) as error:
            raise CommandError(f"The database failed: {_first_words(error)}") from error

    # --- Making and looking

    def _create(self, options: dict[str, Any]) -> None:
        with Shown() as progress:
            made = keeping.create(store(), by=system("backup create"), progress=progress)
        told = _told(made.manifest) | {
            "seconds": round(made.seconds, 1),
            "new_media_files": made.new_objects,
            "new_media_bytes": made.new_bytes,
        }
        if made.cleared:
            self.stderr.write(f"Removed what {made.cleared} backups that were cut off had left.")
        new = f" and {_size(made.new_bytes)} of new media files" if made.new_objects else ""
        self._say(
            options, told, f"{made.manifest.name}: {_size(made.manifest.size)}{new}, every byte read back."
        )

    def _list(self, options: dict[str, Any]) -> None:
        place = store()
        rows: list[dict[str, Any]] = []
        damaged = _damaged()
        for name in names(place):
            try:
                found = manifest.read(place, name)
            except BackupError as error:
                rows.append({"name": name, "problem": str(error)})
                continue
            proof = proving.last_proven(place, name)
            rows.append(
                _told(found)
                | {
                    "proven_at": proof.at if proof else None,
                    "proof_seconds": proof.seconds if proof else None,
                    "damage": damaged.get(name),
                }
            )
        if options["json"]:
            self.stdout.write(json.dumps({"backups": rows}))
            return
        table = Table("name", "age", "size", "media", "proven", box=None, pad_edge=False)
        for row in rows:
            if "problem" in row:
                table.add_row(row["name"], "", "", "", str(row["problem"]))
                continue
            proven = (
                f"{_ago(row['proven_at'])}, took {row['proof_seconds']} s" if row["proven_at"] else "never"
            )
            if row["damage"] is not None:
                proven = f"DAMAGED: {row['damage']}"
            media = f"{row['media_files']:,} files, {_size(row['media_bytes'])}"
            table.add_row(row["name"], _ago(row["made_at"]), _size(row["size"]), media, proven)
        _print(table, self.stdout)
        if not rows:
            self.stderr.write(_none_there())

    def _show(self, options: dict[str, Any]) -> None:
        place = store()
        found = manifest.read(place, _name(options, place))
        proofs = [asdict(proof) for proof in proving.proofs(place, found.name)]
        if options["json"]:
            self.stdout.write(json.dumps(asdict(found) | {"proofs": proofs}))
            return
        facts = Table(show_header=False, box=None, pad_edge=False)
        for label, value in (
            ("made", f"{found.made_at} in {found.environment}"),
            ("by", ", ".join(f"{name} {text}" for name, text in found.versions.items())),
            ("log", f"up to position {found.log_position:,}"),
            ("keys", f"needs {', '.join(found.key_ids)} of the key ring"),
            ("readable by", ", ".join(found.recipients)),
            ("media", f"{found.media_files:,} files, {_size(found.media_bytes)}"),
            ("documents", _documents(found)),
            *((part.name, f"{_size(part.size)}  sha256 {part.sha256}") for part in found.parts),
            *(("proof", _proof_line(proof)) for proof in proofs[-3:]),
        ):
            facts.add_row(label, value)
        _print(facts, self.stdout)
        tables = Table("table", "rows", box=None, pad_edge=False)
        for name, table in found.tables.items():
            if table.rows:
                tables.add_row(name, f"{table.rows:,}")
        _print(tables, self.stdout)

    def _verify(self, options: dict[str, Any]) -> None:
        place = store()
        name = _name(options, place)
        with Shown() as progress:
            found = keeping.verify(place, name, by=system("backup verify"), progress=progress)
        told = {
            "name": name,
            "whole": found.is_whole,
            "files": found.files,
            "bytes": found.bytes,
            "findings": found.findings,
        }
        if not found.is_whole:
            if options["json"]:
                self.stdout.write(json.dumps(told))
            raise CommandError(
                "\n".join([f"{name} is NOT whole:", *(f"  {item}" for item in found.findings)])
            )
        self._say(
            options, told, f"{name} is whole: {found.files:,} files, {_size(found.bytes)}, all as they were."
        )

    def _prove(self, options: dict[str, Any]) -> None:
        place = store()
        name = _name(options, place)
        keys = _identity(options["identity"])
        with Shown() as progress:
            proof = keeping.prove(
                place,
                name,
                by=system("backup prove"),
                keys=keys,
                every=max(1, options["media_every"]),
                progress=progress,
            )
        if not proof.is_proven:
            if options["json"]:
                self.stdout.write(json.dumps(asdict(proof)))
            raise CommandError(f"{name} does NOT restore: {proof.problem}")
        self._say(options, asdict(proof), f"{name} restores: {_proof_line(asdict(proof))}")

    # --- Restoring

    def _restore(self, options: dict[str, Any]) -> None:
        if options["undo"] or options["finish"]:
            with postgres.connect(postgres.owner_config()) as connection:
                (restoring.undo if options["undo"] else restoring.finish)(connection)
            words = "What was about to be replaced is back in its place."
            kept = "What was restored stays, and what it replaced is gone."
            self._say(options, {"undone": options["undo"]}, words if options["undo"] else kept)
            return
        place = store()
        if not options["name"]:
            raise CommandError("Say which backup: `backup list` shows them.")
        manifest.read(place, options["name"])
        if options["replace"]:
            self._confirm(options)
        wish = Wish(
            options["name"],
            replaces=options["replace"],
            environment=options["from_environment"],
            known_position=options["known_position"],
            keys=tuple(_identity(options["identity"]) or ()),
        )
        try:
            with Shown() as progress:
                report = restoring.restore(place, wish, by=system("backup restore"), progress=progress)
        except BackupError as error:
            raise CommandError(f"{error} Nothing was changed.") from error
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json()))
            return
        self.stdout.write(
            f"Restored {report.name} in {report.seconds} s; {report.media_files:,} media files."
        )
        self.stdout.write(
            f"The log ended at {report.log_position:,} and goes on at {report.log_goes_on_at:,}. Ended: "
            f"{report.sessions_ended} sessions, {report.previews_ended} previews, "
            f"{report.signing_keys_ended} signing keys."
        )
        for label, items in (
            (
                "API key off",
                [f"{item['public_id']}  {item['name']} ({item['owner']})" for item in report.keys_disabled],
            ),
            ("person off", report.people_disabled),
            ("roles taken", report.roles_taken),
            ("endpoint paused", report.endpoints_paused),
            ("source off", report.sources_disabled),
            ("preview site off", report.sites_disabled),
        ):
            for item in items:
                self.stdout.write(f"  {label}: {item}")
        for number, step in enumerate(report.next_steps, start=1):
            self.stdout.write(f"{number}. {step}")

    def _confirm(self, options: dict[str, Any]) -> None:
        name = options["name"]
        if options["confirm"] is not None:
            typed = options["confirm"]
        elif sys.stdin.isatty():
            self.stderr.write("This replaces the database and all media files of this installation.")
            typed = input(f"Type {name} to go on: ")
        else:
            raise CommandError(
                f"Nobody can be asked here: say --confirm {name} to replace what the target holds."
            )
        if typed.strip() != name:
            raise CommandError("That is another name. Nothing was done.")

    # --- Keeping

    def _prune(self, options: dict[str, Any]) -> None:
        done = keeping.prune(store(), by=system("backup prune"), dry_run=options["dry_run"])
        for note in done.notes:
            self.stderr.write(note)
        verb = "would be removed" if options["dry_run"] else "removed"
        lines = [f"{name} {verb}" for name in done.removed] or ["Nothing is to be removed."]
        told = asdict(done) | {"dry_run": options["dry_run"]}
        self._say(options, told, "\n".join([*lines, _stay(len(done.kept))]))

    def _schedule(self, options: dict[str, Any]) -> None:
        plan = keeping.plan()
        told = {
            "create_at": _stamp(plan.create_at),
            "verify_at": _stamp(plan.verify_at),
            "prove_at": _stamp(plan.prove_at) if not plan.why_not else None,
            "newest": _stamp(plan.newest),
            "last_proven": _stamp(plan.last_proven),
            "overdue": plan.is_overdue,
            "proof_overdue": plan.is_proof_overdue,
            "note": plan.why_not,
        }
        lines = [
            f"newest backup   {_stamp(plan.newest) or 'there is none'}{'  OVERDUE' if plan.is_overdue else ''}",
            f"last proven     {_stamp(plan.last_proven) or 'never'}{'  OVERDUE' if plan.is_proof_overdue else ''}",
            f"next backup     {_stamp(plan.create_at)}",
            f"next verifying  {_stamp(plan.verify_at) or 'once there is a backup'}",
            f"next proof      {plan.why_not or _stamp(plan.prove_at) or 'once there is a backup'}",
        ]
        self._say(options, told, "\n".join(lines))
        if plan.is_overdue or plan.is_proof_overdue:
            sys.exit(1)

    # --- What our own processes ask

    def _golden(self, options: dict[str, Any]) -> None:
        """Read documents as the API gives them: those of standard input, or a sample."""
        raw = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read(_MOST_INPUT)
        wanted = [Golden(**row) for row in json.loads(raw)] if raw.strip() else None
        rows = golden.read(wanted, snapshot_id=options["snapshot"])
        self.stdout.write(json.dumps([asdict(row) for row in rows]))

    def _examine(self, options: dict[str, Any]) -> None:  # noqa: ARG002 (a verb like the others)
        """Prove the log of a database that was just loaded, and run the checks of Django over it."""
        seal = Seal.objects.order_by("-position").first()
        if seal is not None:
            write_head(seal)  # where the log ends is compared by who asks; here it only must not be missing
        found = log.verify()
        position, mac = newest() if seal is not None else (0, "")
        findings = [f"The log: {finding.detail}" for finding in found.findings[:5]]
        findings += [
            f"{item.id}: {item.msg}" for item in checks.run_checks(databases=["default"]) if item.is_serious()
        ]
        self.stdout.write(
            json.dumps(
                {
                    "findings": findings,
                    "log_checked": found.checked,
                    "log_position": position,
                    "log_mac": mac,
                }
            )
        )

    def _say(self, options: dict[str, Any], told: dict[str, Any], words: str) -> None:
        self.stdout.write(json.dumps(told) if options["json"] else words)


def _first_words(error: BaseException) -> str:
    """Return what the server says in its first line: it names tables, and no rows."""
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    said = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    return said or type(error).__name__


def _name(options: dict[str, Any], place: Any) -> str:
    if options["name"]:
        return str(options["name"])
    found = names(place)
    if not found:
        raise CommandError(_none_there())
    return found[-1]


def _damaged() -> dict[str, str]:
    """Return what verifying found last, by the names of backups that are not whole."""
    try:
        found = Backup.objects.filter(is_whole=False, removed_at__isnull=True)
        return dict(found.values_list("name", "problem"))
    except DatabaseError:
        return {}  # before a restore there is nothing to ask


def _stay(number: int) -> str:
    return "1 backup stays." if number == 1 else f"{number:,} backups stay."


def _none_there() -> str:
    return (
        f"There is no backup in {settings.BACKUPS.to} (BACKUP_TO). `backup create` makes one; where there should be "
        "some, is the disk mounted?"
    )


def _identity(path: str | None) -> list[str] | None:
    """Return the private keys of a file, None where none is given. Raises CommandError."""
    if path is None:
        return None
    try:
        with Path(path).open(encoding="ascii") as file:
            keys = identity_lines(file.read(_LONGEST_FILE))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not a text in ASCII"
        raise CommandError(f"The private key can't be read from {path}: {why}.") from error
    if not keys or not all(is_identity(key) for key in keys):
        raise CommandError(
            f"{path} holds no private key of age (AGE-SECRET-KEY-…, as `age-keygen` writes it)."
        )
    return keys


def _told(found: Manifest) -> dict[str, Any]:
    return {
        "name": found.name,
        "made_at": found.made_at,
        "environment": found.environment,
        "size": found.size,
        "media_files": found.media_files,
        "media_bytes": found.media_bytes,
        "log_position": found.log_position,
        "versions": dict(found.versions),
    }


def _documents(found: Manifest) -> str:
    failed = sum(item.sha256 == golden.UNREADABLE for item in found.golden)
    ending = f"; the API fails at {failed}" if failed else ""
    return f"{len(found.golden) - failed} read as the API gives them{ending}"


def _proof_line(proof: dict[str, Any]) -> str:
    if proof["problem"]:
        return f"{proof['at']} FAILED: {proof['problem']}"
    media = "all media files" if proof["media_every"] == 1 else f"each {proof['media_every']}th media file"
    return (
        f"{proof['at']}: {proof['tables']} tables with {proof['rows']:,} rows, {media}, {proof['log_checked']:,} seals "
        f"of the log and {proof['golden']} documents are the same; it took {proof['seconds']} s."
    )


def _print(table: Table, stream: Any) -> None:
    Console(file=stream, width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


def _size(number: int) -> str:
    amount = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{amount:,.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"
        amount /= 1024
    return ""


def _stamp(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def _ago(stamp: str) -> str:
    seconds = int((timezone.now() - datetime.fromisoformat(stamp)).total_seconds())
    for length, word in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds // length} {word} ago"
    return "just now"
