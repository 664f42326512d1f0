"""`audit verify` proves the log untouched; `audit export` writes it out as JSON lines."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from accounts import audit
from accounts.log import seal_pending


class Command(BaseCommand):
    """Two small commands about the log."""

    help = "Prove that nobody altered, removed or inserted a row of the log, or export it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `verify` and `export`."""
        commands = parser.add_subparsers(dest="command", required=True)
        verify = commands.add_parser("verify", help="Check every seal; exits 1 when something is wrong.")
        verify.add_argument("--json", action="store_true", help="Print the result as JSON, in the last line.")
        export = commands.add_parser("export", help="Write the sealed log to stdout, one JSON object a line.")
        export.add_argument("--after", type=int, default=0, help="Start behind this position.")

    def handle(self, *, command: str, **options: Any) -> None:
        """Do the one asked for."""
        seal_pending()
        if command == "export":
            for line in audit.export(options["after"]):
                self.stdout.write(json.dumps(line, ensure_ascii=False))
            return
        result = self._verify()
        if options["json"]:
            self.stdout.write(json.dumps(result.as_json(), ensure_ascii=False))
        else:
            self._show(result)
        if not result.is_intact:
            raise CommandError(f"The log is not intact: {len(result.findings)} findings.")

    @staticmethod
    def _verify() -> audit.Verification:
        if not sys.stderr.isatty():
            return audit.verify()
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("Checking seals", total=None)
            return audit.verify(lambda done, total: progress.update(task, completed=done, total=total))

    def _show(self, result: audit.Verification) -> None:
        if result.is_intact:
            self.stdout.write(
                f"{result.checked} seals checked, {result.pending} events pending. The log is intact."
            )
            return
        table = Table("position", "problem", "event", "what")
        for finding in result.findings:
            table.add_row(
                str(finding.position or "-"), finding.problem, finding.event_id or "-", finding.detail
            )
        Console().print(table)
