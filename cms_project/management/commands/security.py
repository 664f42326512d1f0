"""`security check`: how safely this installation is run, as a table or as JSON."""

import json
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cms_project.security_check import registry
from cms_project.security_check.check import Grade, Report

STYLES = {"fail": "bold red", "warn": "yellow", "unknown": "yellow", "notice": "cyan", "pass": "green"}


class Command(BaseCommand):
    """One small command."""

    help = "Grade the running configuration and data, and say what to do next."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the command."""
        commands = parser.add_subparsers(dest="command", required=True)
        check = commands.add_parser(
            "check", help="Look at everything; prints what was found, the most severe first, and the grade."
        )
        check.add_argument("--json", action="store_true", help="Print the result as JSON, in the last line.")
        check.add_argument(
            "--fail-below",
            choices=[grade.value for grade in Grade],
            metavar="GRADE",
            help="Exit with 1 when the grade is worse than this one (A to F); without it the exit status is 0.",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Look, print, and exit truthfully."""
        report = registry.report()
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json()))
        else:
            _print(report)
        least = options["fail_below"]
        if least is not None and report.grade.is_below(Grade(least)):
            raise CommandError(
                f"The grade is {report.grade}, below {least}. Begin with what stands first, then run this again.",
                returncode=1,
            )


def _print(report: Report) -> None:
    console = Console(file=sys.stdout, highlight=False)
    table = Table(title=f"Grade {report.grade}", title_justify="left", show_lines=True)
    for name in ("Status", "Check", "Found", "What to do next"):
        table.add_column(name, overflow="fold")
    for result in report.open:
        found = result.fault or "\n".join(result.evidence)
        advice = "" if result.fault else result.check.advice
        where = f"\n{settings.PUBLIC_URL}{result.path}" if result.path else ""
        table.add_row(
            Text(result.status, STYLES[result.status]),
            Text(f"{result.check.title}\n{result.check.id}"),
            Text(found),
            Text(f"{advice}{where}"),
        )
    console.print(table)
    console.print(f"{len(report.passed)} of {len(report.results)} checks passed.")
