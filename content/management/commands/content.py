"""`content export|import|keys`: chosen entries go to another house, and come from one."""

import json
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.access import system
from accounts.errors import DomainError
from accounts.models.generation import Generation
from accounts.models.lockdown import LOCKDOWN
from accounts.terminal import printable, progress
from content.bundles import form, signing, taking, writing
from content.bundles.form import BundleError
from content.bundles.taking import Taken
from content.bundles.writing import Choice, Exported

SHOWN: Final = 50  # conflicts and faults; --json lists all


class Command(BaseCommand):
    """Writes a signed bundle, takes one in, and shows the keys that bundles are signed with."""

    help = "Move chosen entries between houses: write a signed bundle, take one in, show this house's key."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the three verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="export|import|keys")
        export = verbs.add_parser("export", help="Write chosen entries into a new file, signed.")
        export.add_argument("file", metavar="FILE", type=Path)
        export.add_argument(
            "--collection",
            action="append",
            default=[],
            metavar="KEY",
            help="All entries of a collection; may be repeated.",
        )
        export.add_argument(
            "--entry", action="append", default=[], metavar="ID", help="One entry; may be repeated."
        )
        export.add_argument(
            "--with-references",
            nargs="?",
            const=1,
            default=0,
            type=int,
            metavar="DEPTH",
            help=f"What these refer to as well, so many steps far (1 unless told, {writing.MAX_DEPTH} at most).",
        )
        take = verbs.add_parser("import", help="Take a bundle in: all of it, or nothing.")
        take.add_argument("file", metavar="FILE", type=Path)
        take.add_argument(
            "--trust",
            action="append",
            default=[],
            metavar="KEY",
            help="The key of the house that made it, as `content keys` shows it there; one's own is trusted.",
        )
        take.add_argument(
            "--on-conflict",
            choices=("fail", "skip", "update"),
            default="fail",
            help="What becomes of entries that were changed here too: nothing is written at all (fail, unless told),"
            " they stay as they are (skip), or they get a new version (update).",
        )
        take.add_argument(
            "--publish", action="store_true", help="Publish what is public over there; else all are drafts."
        )
        take.add_argument("--dry-run", action="store_true", help="Try everything, then take all of it back.")
        keys = verbs.add_parser("keys", help="Show the public keys of this house; the first one signs.")
        for verb in (export, take):
            verb.add_argument(
                "--with-sensitive",
                action="store_true",
                help="Fields of the classes personal and secret as well.",
            )
        for verb in (export, take, keys):
            verb.add_argument(
                "--json", action="store_true", help="Print the result as JSON, in the last line."
            )

    def handle(self, *, verb: str, **options: Any) -> None:
        """Do it, or say why not and exit with 1."""
        try:
            {"export": self._export, "import": self._import, "keys": self._keys}[verb](options)
        except BundleError as error:
            raise CommandError(f"Nothing was changed. {error}") from error
        except DomainError as error:
            raise CommandError(" ".join(item.detail for item in error.errors) or error.detail) from error
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}.") from error

    def _export(self, options: dict[str, Any]) -> None:
        if not options["collection"] and not options["entry"]:
            raise CommandError("Say what to export: --collection KEY or --entry ID.")
        if not 0 <= options["with_references"] <= writing.MAX_DEPTH:
            raise CommandError(f"--with-references takes 0 to {writing.MAX_DEPTH}.")
        self._require_no_lockdown()
        choice = Choice(
            collections=options["collection"],
            entries=[_uuid(text) for text in options["entry"]],
            depth=options["with_references"],
            with_sensitive=options["with_sensitive"],
        )
        with progress("Exporting", "entries", self.stdout) as told:
            result = writing.export(options["file"], choice, by=system("content export"), progress=told)
        self._tell_export(result, options)

    def _tell_export(self, result: Exported, options: dict[str, Any]) -> None:
        counts = ", ".join(f"{number} of {key}" for key, number in result.entries.items())
        self.stdout.write(
            f"Written to {options['file']}: {counts}; bundle {result.name}, {result.size:,} bytes."
        )
        for key, names in result.left_out.items():
            self.stdout.write(f"Left out of {key}, since they are personal or secret: {', '.join(names)}.")
        if result.refers_out:
            self.stdout.write(
                f"It refers to {result.refers_out} entries that are not in it; the other house must have them."
            )
        self.stdout.write(f"Signed by {result.key}")
        if options["json"]:
            self.stdout.write(json.dumps(result.as_json(), ensure_ascii=False))

    def _import(self, options: dict[str, Any]) -> None:
        self._require_no_lockdown()
        try:
            trusted = {*signing.own_keys(), *(signing.canonical_key(text) for text in options["trust"])}
        except signing.KeyTextError as error:
            raise CommandError(f"--trust: {error}") from error
        terms = taking.Terms(
            on_conflict=options["on_conflict"],
            publish=options["publish"],
            with_sensitive=options["with_sensitive"],
            dry_run=options["dry_run"],
        )
        file, bundle = form.open_bundle(options["file"], trusted=trusted)
        with file, progress("Importing", "entries", self.stdout) as told:
            result = taking.take(bundle, terms, by=system("content import"), progress=told)
        self._tell_import(result, terms)
        if options["json"]:
            self.stdout.write(json.dumps(result.as_json(), ensure_ascii=False))
        if result.faults:
            raise CommandError(f"Nothing was written: {len(result.faults)} to put right.")
        if result.conflicts and terms.on_conflict == "fail":
            raise CommandError(
                "Nothing was written: entries were changed here as well. See --on-conflict skip and update."
            )

    def _tell_import(self, result: Taken, terms: taking.Terms) -> None:
        for key, names in result.ignored.items():
            self.stdout.write(f"Not taken into {key}, since they are personal or secret: {', '.join(names)}.")
        self._list(
            "Conflicts",
            [
                _words(
                    item["collection"],
                    item["entry"],
                    item["locale"],
                    item["detail"],
                    f"({', '.join(item['fields'])})" if item["fields"] else "",
                )
                for item in result.conflicts
            ],
        )
        self._list(
            "To put right",
            [
                f"{_words(item['collection'], item['entry'], item['pointer'])}: {item['detail']}"
                for item in result.faults
            ],
        )
        kept = "" if result.is_written else "Tried only: " if terms.dry_run else "Not written: "
        self.stdout.write(
            f"{kept}{result.created} created, {result.updated} updated, {result.unchanged} unchanged,"
            f" {result.skipped} skipped, {result.published} published"
        )

    def _keys(self, options: dict[str, Any]) -> None:
        keys = signing.own_keys()
        if options["json"]:
            self.stdout.write(json.dumps({"keys": keys}))
            return
        for number, key in enumerate(keys):
            self.stdout.write(f"{key}{'' if number == 0 else '  (of a former key of the ring)'}")

    def _list(self, title: str, lines: list[str]) -> None:
        if not lines:
            return
        self.stdout.write(f"{title}:")
        for line in lines[:SHOWN]:
            self.stdout.write(f"  {printable(line)}")
        if len(lines) > SHOWN:
            self.stdout.write(f"  … and {len(lines) - SHOWN} more; --json lists them.")

    @staticmethod
    def _require_no_lockdown() -> None:
        if LOCKDOWN in Generation.objects.current():
            raise CommandError(
                "The system is locked down: nothing is taken out or in. See `lockdown status`."
            )


def _words(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise CommandError(f"--entry takes an id, and {text[:60]!r} is none.") from error
