"""`import_markdown DIR --collection KEY`: Markdown and MDX files become entries."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.access import Principal, system
from accounts.addresses import canonical_email
from accounts.models import User
from accounts.principals import of_user
from accounts.terminal import printable, progress
from content.importing.planning import ImportRefusedError
from content.importing.running import Options, Result, run
from content.importing.sources import LocalePattern, PatternError

SHOWN = 50  # failures, notes and the like; --json lists all
SOME_FAILED = 3


class Command(BaseCommand):
    """Imports a folder."""

    help = (
        "Import the .md and .mdx files of a folder, with YAML (---) or TOML (+++) front matter. A second run changes"
        " nothing, a changed file makes one version, a file that is gone is reported only. What people changed here"
        " since stays until the file changes too. Bad files are listed with their reasons and don't stop the others."
        " Exit status: 0 when every file was imported or unchanged, 3 when some failed, 1 when nothing could be done."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what the contract names."""
        parser.add_argument("folder", metavar="DIR", type=Path)
        parser.add_argument(
            "--collection", metavar="KEY", required=True, help="The collection to import into."
        )
        parser.add_argument(
            "--create",
            action="store_true",
            help="Create what is missing: the collection, with field types inferred from all documents; a collection"
            " `authors` for author names, and its entries; locales. An existing collection is not changed.",
        )
        parser.add_argument(
            "--locale-pattern",
            metavar="PATTERN",
            help="Where a path names the locale: '{locale}/**', 'blog/{locale}/*', '**/*.{locale}.md'. The same"
            " document in several locales becomes one entry. Without it, everything is in the default locale.",
        )
        publish = parser.add_mutually_exclusive_group()
        publish.add_argument(
            "--publish", action="store_true", default=True, help="Publish what is imported (default)."
        )
        publish.add_argument("--no-publish", action="store_false", dest="publish", help="Leave it as drafts.")
        parser.add_argument(
            "--dry-run", action="store_true", help="Try everything, then take all of it back."
        )
        parser.add_argument(
            "--as", metavar="EMAIL", dest="email", help="Whose rights it has (default: the system's)."
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON, in the last line.")

    def handle(self, *, folder: Path, **options: Any) -> None:
        """Import, tell what came of it, and exit by it."""
        if not folder.is_dir():
            raise CommandError(f"There is no folder {folder}.")
        try:
            pattern = LocalePattern(options["locale_pattern"]) if options["locale_pattern"] else None
            chosen = Options(
                folder=folder,
                collection=options["collection"],
                by=self._principal(options["email"]),
                create=options["create"],
                publish=options["publish"],
                pattern=pattern,
                dry_run=options["dry_run"],
            )
            with progress("Importing", "documents", self.stdout) as told:
                result = run(chosen, told)
        except (PatternError, ImportRefusedError) as error:
            raise CommandError(str(error)) from error
        self._tell(result, dry_run=chosen.dry_run)
        if options["json"]:
            self.stdout.write(json.dumps(result.as_json()))
        if result.failed:
            raise CommandError(f"{len(result.failed)} files were not imported.", returncode=SOME_FAILED)

    @staticmethod
    def _principal(email: str | None) -> Principal:
        if not email:
            return system("import_markdown")
        user = User.objects.filter(email=canonical_email(email) or "", is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active user {email}.")
        return of_user(user)

    def _tell(self, result: Result, *, dry_run: bool) -> None:
        self._list("Created", [(item, "") for item in result.made])
        self._list(
            "Keys of the front matter that are not imported",
            [(key, f"{count} documents. {reason}") for key, (count, reason) in result.ignored.items()],
        )
        self._list("No longer in the folder (nothing is deleted)", [(path, "") for path in result.gone])
        self._list("Notes", result.notes)
        self._list("Not imported", result.failed)
        rate = (result.created + result.updated + result.unchanged) / max(result.seconds, 0.001)
        self.stdout.write(
            f"{'Tried only: ' if dry_run else ''}{result.created} created, {result.updated} updated,"
            f" {result.unchanged} unchanged, {result.published} published, {len(result.failed)} failed"
            f" in {result.seconds:.1f} s ({rate:.0f} documents a second)"
        )

    def _list(self, title: str, items: list[tuple[str, str]]) -> None:
        if not items:
            return
        self.stdout.write(f"{title}:")
        for name, text in items[:SHOWN]:
            self.stdout.write(printable(f"  {name}{': ' if text else ''}{text}"))
        if len(items) > SHOWN:
            self.stdout.write(f"  … and {len(items) - SHOWN} more; --json lists all.")
