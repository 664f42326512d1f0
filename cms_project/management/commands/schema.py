"""`schema export|diff|apply`: how a house is set up, as one file."""

import json
import os
import stat
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from accounts.access import system
from accounts.as_code import Secret
from accounts.errors import DomainError
from accounts.files import write_new
from accounts.log import sync_folder
from accounts.terminal import printable
from cms_project import lockdown
from cms_project.schema_code import planning, showing, yaml_in, yaml_out
from cms_project.schema_code.planning import (
    DataLossError,
    Plan,
    SecretsWithoutPlaceError,
    StalePlanError,
    Terms,
)
from cms_project.schema_code.yaml_in import FileError, Read

DIFFERENT: Final = 2  # exit code of `diff`, as of `terraform plan -detailed-exitcode`
BY: Final = "schema apply"


class Command(BaseCommand):
    """Writes the file, tells what another one would change, and applies it."""

    help = "Write collections, locales, roles, policies, webhooks and preview sites as a file; compare and apply one."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `export`, `diff` and `apply`."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="export|diff|apply")
        export = verbs.add_parser("export", help="Write what there is as YAML, without secrets.")
        export.add_argument("file", type=Path, nargs="?", help="Where to; unless told, it is printed.")
        diff = verbs.add_parser(
            "diff",
            help="Say what a file would change. Exits 0 without a difference, 2 with one, 1 when something is wrong.",
        )
        apply = verbs.add_parser("apply", help="Bring the house to what a file says: all of it, or nothing.")
        for verb in (diff, apply):
            verb.add_argument("file", type=Path, help="A file as `schema export` writes it.")
            verb.add_argument(
                "--match-by-key",
                action="store_true",
                help="Take collections and fields with the same key for the same, also where their ids differ.",
            )
            verb.add_argument("--json", action="store_true", help="Print the plan as JSON, in the last line.")
        apply.add_argument(
            "--allow-data-loss",
            action="store_true",
            help="Don't ask, also where entries or secrets are lost.",
        )
        apply.add_argument(
            "--plan",
            default="",
            metavar="ID",
            help="Apply only if the plan is still the one that `diff` showed.",
        )
        apply.add_argument(
            "--secrets-to", type=Path, metavar="FILE", help="Write new secrets into a new file (mode 0600)."
        )

    def handle(self, *, verb: str, **options: Any) -> None:
        """Do it, or say why not and exit with 1."""
        try:
            {"export": self._export, "diff": self._diff, "apply": self._apply}[verb](**options)
        except FileError as error:
            raise CommandError(self._told(error, options)) from error
        except DomainError as error:
            raise CommandError(" ".join(item.detail for item in error.errors) or error.detail) from error

    # The three verbs

    def _export(self, *, file: Path | None, **_options: Any) -> None:
        text = yaml_out.write(planning.export())
        if file is None:
            self.stdout.write(text, ending="")
            return
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{file} can't be written: {error.strerror}.") from error
        self.stdout.write(f"Written to {file}.")

    def _diff(self, *, file: Path, match_by_key: bool, json: bool, **_options: Any) -> None:
        self._require_no_lockdown()
        plan = planning.try_out(self._read(file), by=system("schema diff"), match_by_key=match_by_key)
        self._show(plan, as_json=json)
        if plan.changes:
            sys.exit(DIFFERENT)

    def _apply(self, *, file: Path, match_by_key: bool, **options: Any) -> None:
        self._require_no_lockdown()
        read = self._read(file)
        asks = sys.stdin.isatty() and not options["json"]
        expected, agreed = options["plan"], options["allow_data_loss"]
        plan = planning.try_out(read, by=system(BY), match_by_key=match_by_key)
        if not options["json"]:
            self._show(plan, as_json=False)
        if not plan.changes:
            if options["json"]:
                self._print({**plan.as_json(), "applied": False})
            return
        if plan.loses and not agreed and asks:
            answer = input("This loses what can't be brought back. Type yes to apply it: ")
            if answer.strip() != "yes":
                raise CommandError("Nothing was changed.")
            agreed = True
        place = options["secrets_to"]
        can_show = place is not None or sys.stdout.isatty()
        terms = Terms(
            expected or plan.digest,
            allows_data_loss=agreed,
            hand_over=partial(self._hand_over, place) if can_show else None,
        )
        done = self._do(read, terms, plan, match_by_key=match_by_key)
        if options["json"]:
            self._print({**done.as_json(), "applied": True})
        else:
            self.stdout.write("Applied.")

    def _do(self, read: Read, terms: Terms, shown: Plan, *, match_by_key: bool) -> Plan:
        try:
            return planning.apply(read, terms, by=system(BY), match_by_key=match_by_key)
        except StalePlanError as error:
            raise CommandError(_stale(shown, error.plan)) from error
        except DataLossError as error:
            raise CommandError(
                "Nothing was changed: the plan loses what can't be brought back. Look at it with `schema diff`, then"
                " apply it on a terminal, or with --allow-data-loss."
            ) from error
        except SecretsWithoutPlaceError as error:
            names = ", ".join(sorted({secret.name for secret in error.plan.secrets}))
            raise CommandError(
                f"Nothing was changed: new secrets would be made ({names}), and this is no terminal to show them on."
                " Say with --secrets-to FILE where they go."
            ) from error

    # Files

    @staticmethod
    def _read(file: Path) -> Read:
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as opened:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise CommandError(f"{file} is no file.")
                return yaml_in.read(opened.read(yaml_in.MAX_BYTES + 1))
        except OSError as error:
            raise CommandError(f"{file} can't be read: {error.strerror}.") from error

    def _hand_over(self, file: Path | None, secrets: Sequence[Secret]) -> None:
        """Show new secrets this once."""
        if file is None:
            for item in secrets:
                title = showing.TITLES[item.section]
                self.stdout.write(f"{title}: {printable(item.name)}: {item.kind} {item.text}")
            self.stdout.write("These are shown this once.")
            return
        listed = [
            {"section": item.section, "name": item.name, "kind": item.kind, "secret": item.text}
            for item in secrets
        ]
        try:
            write_new(file, json.dumps({"secrets": listed}, indent=1, ensure_ascii=False).encode() + b"\n")
            sync_folder(file.resolve().parent)
        except OSError as error:
            raise CommandError(f"Nothing was changed: {file} can't be made: {error.strerror}.") from error
        self.stdout.write(f"New secrets are in {file}. They are nowhere else.")

    # Telling

    def _show(self, plan: Plan, *, as_json: bool) -> None:
        if as_json:
            self._print(plan.as_json())
        elif self.stdout.isatty():
            Console(file=sys.stdout).print(showing.tree(plan))
        else:
            for line in showing.lines(plan):
                self.stdout.write(line)

    def _print(self, value: object) -> None:
        self.stdout.write(json.dumps(value, ensure_ascii=False))

    def _told(self, error: FileError, options: dict[str, Any]) -> str:
        if options.get("json"):
            self._print({"faults": [fault.as_json() for fault in error.faults]})
        shown = "\n".join(
            printable(f"  {options['file']}:{fault.line}: {fault.pointer or '/'}: {fault.detail}")
            for fault in error.faults
        )
        return f"Nothing was changed. {len(error.faults)} to put right:\n{shown}"

    @staticmethod
    def _require_no_lockdown() -> None:
        if lockdown.status().lockdown is not None:
            raise CommandError(
                "The system is locked down: nothing can be changed or tried. See `lockdown status`."
            )


def _stale(shown: Plan, plan: Plan) -> str:
    """Say what is no longer so, and what is now."""
    before, after = list(showing.lines(shown)), list(showing.lines(plan))
    gone = [f"  no longer: {line.strip()}" for line in before if line not in after]
    come = [f"  now: {line.strip()}" for line in after if line not in before]
    return "\n".join(
        [
            "Nothing was changed: the plan is not the one that was shown. Look at it again with `schema diff`.",
            *gone,
            *come,
        ]
    )
