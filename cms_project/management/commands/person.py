"""`person export EMAIL --to FILE`: all that is held about one e-mail address, as one file for who asks for it."""

import json
import os
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from accounts.access import system
from accounts.errors import InvalidInputError
from accounts.log import sync_folder
from cms_project import person

REASON: Final = "asked for on the machine"


class Command(BaseCommand):
    """One command, which leaves nothing out."""

    help = "Export all that is held about one e-mail address: account, log, content, submissions of forms."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `export`."""
        commands = parser.add_subparsers(dest="command", required=True)
        export = commands.add_parser(
            "export", help="Write a JSON file (mode 0600). The log notes that, and why."
        )
        export.add_argument(
            "email", help="The address; the log keeps the account's id, or a code of the address."
        )
        export.add_argument("--to", type=Path, required=True, metavar="FILE", help="It must not exist yet.")
        export.add_argument("--reason", default=REASON, help="Why; for the log (%(default)s).")
        export.add_argument("--json", action="store_true", help="Print the result as JSON, in the last line.")

    def handle(self, *, email: str, to: Path, reason: str, **options: Any) -> None:
        """Write it aside, and give it its name when it is whole."""
        counts: dict[str, int] = {}
        aside = to.with_name(f".{to.name}.part")
        if to.exists():
            raise CommandError(f"{to} exists already. Name another file.")
        try:
            with Console(stderr=True).status("Searching") as shown:

                def progress(name: str, count: int) -> None:
                    counts[name] = count
                    shown.update(f"{name}: {count:,}")

                found = person.export(email, reason=reason, by=system("manage.py person"), progress=progress)
                _write(aside, found)
        except InvalidInputError as error:
            raise CommandError(" ".join(problem.detail for problem in error.errors)) from error
        except FileExistsError as error:
            raise CommandError(f"{aside} is left over from another run. Remove it.") from error
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise CommandError(f"{to} can't be written: {error.strerror}.") from error
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        aside.rename(to)
        sync_folder(to.parent)
        total = sum(counts.values())
        if options["json"]:
            self.stdout.write(json.dumps({"file": str(to), "count": total, "parts": counts}))
        else:
            for name, count in counts.items():
                if count:
                    self.stdout.write(f"{name}: {count:,}")
            self.stdout.write(
                f"{total:,} in all, in {to}. It holds personal data: hand it over, then delete it."
            )


def _write(path: Path, found: person.Export) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for chunk in found.chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
