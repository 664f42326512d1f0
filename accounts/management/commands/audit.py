"""The log by command: `audit verify`, `export`, `archive` and `head`."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, transaction
from django.utils import timezone
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from accounts.access import system
from accounts.audit import archiving, exporting, heads, results, verifying
from accounts.audit.archiving import ArchiveBlockedError
from accounts.audit.chain import Finding
from accounts.audit.searching import FILTERS, Sought
from accounts.errors import InvalidInputError
from accounts.files import write_new
from accounts.log import seal_pending, sync_folder

BY = system("manage.py audit")


class Command(BaseCommand):
    """Four small commands about the log."""

    help = "Prove that nobody altered, removed or inserted a row of the log; export it, archive it, sign its head."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the commands."""
        commands = parser.add_subparsers(dest="command", required=True)
        verify = commands.add_parser(
            "verify",
            help="Check every seal, or an export; exits 1 and names the position when something is wrong.",
        )
        verify.add_argument("--json", action="store_true", help="Print the result as JSON, in the last line.")
        verify.add_argument(
            "--archives",
            type=Path,
            metavar="DIR",
            help="The archives' files (default: DATA_DIR/audit-archive).",
        )
        verify.add_argument(
            "--head", type=Path, metavar="FILE", help="Compare with a signed head that was kept elsewhere."
        )
        verify.add_argument(
            "--export",
            type=Path,
            metavar="MANIFEST",
            help="Check an export, or an archive, by its manifest instead.",
        )
        export = commands.add_parser(
            "export", help="Write the sealed log to stdout, or to a file with a manifest."
        )
        export.add_argument("--format", choices=exporting.FORMATS, default="jsonl")
        export.add_argument("--after", type=int, default=0, help="Start behind this position.")
        export.add_argument(
            "--output", type=Path, metavar="DIR_OR_FILE", help="With a signed manifest beside it."
        )
        export.add_argument("--json", action="store_true", help="Print the manifest as JSON; with --output.")
        for name in FILTERS:
            export.add_argument(f"--{name}", default="", help=_HELP[name])
        archive = commands.add_parser(
            "archive", help="Put old events into sealed files and delete them; needs OWNER_DATABASE_URL."
        )
        archive.add_argument(
            "--before", metavar="DATE", help="Such as 2026-01-31; default: by AUDIT_RETENTION_DAYS."
        )
        archive.add_argument(
            "--json", action="store_true", help="Print the result as JSON, in the last line."
        )
        head = commands.add_parser("head", help="Print the signed head of today.")
        head.add_argument("--send", action="store_true", help="Send it to AUDIT_HEAD_TO now.")
        head.add_argument("--json", action="store_true", help="Print it as JSON, in the last line.")

    def handle(self, *, command: str, **options: Any) -> None:
        """Do the one asked for."""
        {"verify": self._verify, "export": self._export, "archive": self._archive, "head": self._head}[
            command
        ](options)

    # verify

    def _verify(self, options: dict[str, Any]) -> None:
        if options["export"]:
            self._verify_export(options)
            return
        try:
            seal_pending()
        except DatabaseError as error:  # what stops the sealer may be what the proof has to find
            self.stderr.write(f"Note: what waits for its seal could not be sealed ({type(error).__name__}).")
        with _progress("Checking seals") as progress:
            result = verifying.verify(
                progress, archives=options["archives"] or archiving.folder(), head=options["head"]
            )
        results.keep(result, by="command")
        if options["json"]:
            self.stdout.write(json.dumps(result.as_json(), ensure_ascii=False))
        else:
            self._show(result)
        if not result.is_intact:
            raise CommandError(f"The log is not intact: {_counted(len(result.findings), 'finding')}.")

    def _show(self, result: verifying.Verification) -> None:
        for warning in result.warnings:
            self.stderr.write(f"Note: {warning}")
        if not result.is_intact:
            self._table(result.findings)
            return
        text = f"{_counted(result.checked, 'seal')} checked, {_counted(result.pending, 'event')} pending."
        if result.archives:
            text += (
                f" {_counted(result.archived, 'event')} in {_counted(result.archives, 'archive')}, "
                f"{result.archive_files_checked} of them read."
            )
        self.stdout.write(f"{text} The log is intact.")

    def _verify_export(self, options: dict[str, Any]) -> None:
        with _progress("Checking lines") as progress:
            result = exporting.check(options["export"], progress)
        manifest = result.manifest
        if options["json"]:
            found = {
                "intact": not result.findings,
                "checked": result.checked,
                "file": manifest.file if manifest else None,
                "findings": verifying.Verification(findings=result.findings).as_json()["findings"],
            }
            self.stdout.write(json.dumps(found, ensure_ascii=False))
        elif result.findings:
            self._table(result.findings)
        elif manifest:
            self.stdout.write(
                f"{manifest.file} is as it was written: {_counted(manifest.count, 'event')}, "
                f"positions {manifest.first_position} to {manifest.last_position}."
            )
        if result.findings:
            raise CommandError(f"The export is not intact: {_counted(len(result.findings), 'finding')}.")

    def _table(self, findings: list[Finding]) -> None:
        table = Table("position", "problem", "event", "what")
        for finding in findings:
            table.add_row(
                str(finding.position or "-"), finding.problem, finding.event_id or "-", finding.detail
            )
        Console(file=cast("IO[str]", self.stdout), width=None if sys.stdout.isatty() else 120).print(table)

    # export

    def _export(self, options: dict[str, Any]) -> None:
        if options["json"] and not options["output"]:
            raise CommandError("--json prints the manifest, which only --output makes.")
        if options["after"] < 0:
            raise CommandError("--after is a position, 0 or more.")
        try:
            sought = Sought.parse({name: options[name] for name in FILTERS}, is_typed=True)
        except InvalidInputError as error:
            lines = (f"--{problem.parameter}: {problem.detail}" for problem in error.errors)
            raise CommandError("\n".join(lines)) from error
        seal_pending()
        if options["output"]:
            self._export_to(options["output"], options, sought)
            return
        with transaction.atomic():
            exporting.note_export(None, format=options["format"], sought=sought, by=BY)
        for _, data in exporting.lines(options["format"], exporting.sealed(sought, after=options["after"])):
            self.stdout.write(data.decode(), ending="")

    def _export_to(self, output: Path, options: dict[str, Any], sought: Sought) -> None:
        kind = options["format"]
        folder = output.parent if output.suffix and not output.is_dir() else output
        if not folder.is_dir():
            raise CommandError(f"There is no folder {folder}.")
        if folder != output and not exporting.is_name(output.name):
            raise CommandError("A name of letters, digits, points, dashes and underscores, please.")

        def name(first: int | None, last: int | None) -> str:
            if folder != output:
                return output.name
            return f"log-{first or 0}-{last or 0}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{kind}"

        descriptor, part = tempfile.mkstemp(prefix=".log-", dir=folder)  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as stream, _progress("Exporting") as progress:
                manifest = exporting.write(
                    stream,
                    format=kind,
                    sought=sought,
                    name=name,
                    after=options["after"],
                    progress=progress,
                )
                stream.flush()
                os.fsync(stream.fileno())
            target, beside = folder / manifest.file, folder / (manifest.file + exporting.SUFFIX)
            if target.exists() or beside.exists():
                raise CommandError(
                    f"{target.name} or its manifest is there already; nothing was overwritten."
                )
            with transaction.atomic():
                exporting.note_export(manifest, format=kind, sought=sought, by=BY)
            write_new(beside, manifest.text())
            Path(part).replace(target)
            sync_folder(folder)
        finally:
            Path(part).unlink(missing_ok=True)
        if options["json"]:
            self.stdout.write(json.dumps(manifest.signed(), ensure_ascii=False))
        else:
            self.stdout.write(f"{_counted(manifest.count, 'event')} in {target}; manifest {beside.name}.")

    # archive

    def _archive(self, options: dict[str, Any]) -> None:
        before = _moment(options["before"]) if options["before"] else archiving.due()
        if before is None:
            raise CommandError("Name a day with --before, or set AUDIT_RETENTION_DAYS.")
        if before > timezone.now():
            raise CommandError("--before lies in the future.")
        seal_pending()
        done: list[archiving.Archived] = []
        blocked: ArchiveBlockedError | None = None
        try:
            with _progress("Archiving") as progress:
                for item in archiving.archive(before, by=BY, progress=progress):
                    done.append(item)
                    if not options["json"]:
                        self.stdout.write(f"Positions {item.first} to {item.last} are in {item.file}.")
        except ArchiveBlockedError as error:
            blocked = error
        if options["json"]:
            ranges = [{"first": item.first, "last": item.last, "file": item.file} for item in done]
            self.stdout.write(json.dumps({"archived": ranges}))
        elif not done and blocked is None:
            self.stdout.write("There is nothing that old.")
        if blocked is not None:
            raise CommandError(str(blocked)) from blocked

    # head

    def _head(self, options: dict[str, Any]) -> None:
        if options["send"] and not heads.is_sent_somewhere():
            raise CommandError("AUDIT_HEAD_TO is not set, so there is nowhere to send it.")
        try:
            kept = heads.keep_today(force=True) if options["send"] else heads.current()
        except heads.HeadNotSentError as error:
            raise CommandError(f"The head was not sent. {error}") from error
        if kept is None:
            raise CommandError("The log is empty: it has no head yet.")
        if options["json"]:
            self.stdout.write(json.dumps(kept.head))
            return
        self.stdout.write(json.dumps(kept.head, indent=1))
        if options["send"]:
            self.stdout.write("Sent.")


_HELP = {
    "type": "entry.published, or all that begin alike: entry.*",
    "actor": "A user's id or e-mail address, the beginning of a name, or api-key:PUBLIC_ID.",
    "subject": "The id of a thing, entry:ID, or entry: for all of a kind.",
    "since": "From this day or moment on (UTC).",
    "until": "Before this moment, or until the end of this day (UTC).",
    "address": "An address or a network.",
}


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show progress on a terminal; None elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _moment(text: str) -> datetime:
    try:
        found = Sought.parse({"since": text}, is_typed=True).since
    except InvalidInputError as error:
        raise CommandError(f"--before: {error.errors[0].detail}") from error
    return found or timezone.now()


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
