"""`environment show|adopt`: which environment the database is of, and taking a copy of another one over."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import environments
from accounts.access import system
from accounts.errors import DomainError
from accounts.models import Installation
from accounts.models.installation import ONLY
from cms_project import adopting
from cms_project.environment import ENVIRONMENTS


class Command(BaseCommand):
    """Two small commands; they work where other processes refuse to start."""

    help = "Say which environment this process and its database are of, or adopt a copy of another one's database."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `show` and `adopt`."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="show|adopt")
        show = verbs.add_parser("show", help="Say both. Exits 1 when they differ.")
        adopt = verbs.add_parser(
            "adopt",
            help="Make a copied database one of this environment: API keys are revoked, sessions and previews end,"
            " webhooks pause. Needs OWNER_DATABASE_URL.",
        )
        adopt.add_argument(
            "--from",
            dest="former",
            required=True,
            choices=ENVIRONMENTS,
            help="Which environment it is a copy of.",
        )
        for verb in (show, adopt):
            verb.add_argument(
                "--json", action="store_true", help="Print the result as JSON, in the last line."
            )

    def handle(self, *, verb: str, **options: Any) -> None:
        """Do it, or say why not and exit with 1."""
        try:
            {"show": self._show, "adopt": self._adopt}[verb](options)
        except DomainError as error:
            reasons = " ".join(problem.detail for problem in error.errors) or error.detail
            raise CommandError(reasons) from error

    def _show(self, options: dict[str, Any]) -> None:
        found = Installation.objects.filter(pk=ONLY).first()
        told = {"process": environments.name(), "database": found.environment if found else None}
        if options["json"]:
            self.stdout.write(json.dumps(told))
        else:
            self.stdout.write(f"process: {told['process']}\ndatabase: {told['database'] or 'not said yet'}")
        if found is not None and told["process"] != told["database"]:
            raise CommandError("They differ: no process starts here. `environment adopt` takes a copy over.")

    def _adopt(self, options: dict[str, Any]) -> None:
        done = adopting.adopt(by=system("environment adopt"), former=options["former"])
        if options["json"]:
            self.stdout.write(json.dumps({"from": done.former, "to": done.present, "ended": done.ended}))
        elif not done.ended:
            self.stdout.write(f"This database is of {done.present} already. Nothing was done.")
        else:
            ended = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in done.ended.items())
            self.stdout.write(
                f"This database is of {done.present} now; it was of {done.former}. Ended: {ended}."
            )
