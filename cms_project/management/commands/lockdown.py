"""`lockdown on|off|status`: one command that stops every change, at once and everywhere, and keeps what can be told."""

import getpass
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from accounts.access import Principal, system
from accounts.alerting.rule import plain
from accounts.errors import DomainError
from accounts.log import seal_pending
from accounts.models import Lockdown
from cms_project import lockdown, lockdown_bundle
from cms_project.lockdown import Effect, Status, TakenAway, rfc3339


class Command(BaseCommand):
    """Three small commands; needs the database, and neither a web process nor Valkey."""

    help = "Lock the system down in an incident: end sessions, refuse every change, keep the log. Or lift it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `on`, `off` and `status`."""
        commands = parser.add_subparsers(dest="command", required=True)
        on = commands.add_parser(
            "on", help="Lock down. Exits 1 when something of it failed; the lockdown is on all the same."
        )
        off = commands.add_parser("off", help="Lift it. Needs OWNER_DATABASE_URL. Ended sessions stay ended.")
        status = commands.add_parser("status", help="Say whether it is on, since when, by whom and why.")
        for command in (on, off):
            command.add_argument("--reason", required=True, help="Why; the log keeps it.")
            command.add_argument("--yes", action="store_true", help="Don't ask, also on a terminal.")
        on.add_argument("--keep-sessions", action="store_true", help="Freeze only: nobody is signed out.")
        on.add_argument(
            "--days",
            type=int,
            default=lockdown_bundle.DAYS,
            help="How many days of the log the bundle holds (%(default)s).",
        )
        off.add_argument(
            "--revoke-key",
            action="append",
            default=[],
            metavar="ID",
            help="Revoke this API key at the same moment.",
        )
        off.add_argument(
            "--revoke-keys", action="store_true", help="Revoke every API key that was refused meanwhile."
        )
        off.add_argument(
            "--deactivate",
            action="append",
            default=[],
            metavar="EMAIL",
            help="Switch this person off as well.",
        )
        for command in (on, off, status):
            command.add_argument(
                "--json", action="store_true", help="Print the result as JSON, in the last line."
            )

    def handle(self, *, command: str, **options: Any) -> None:
        """Do the one asked for."""
        try:
            {"on": self._on, "off": self._off, "status": self._status}[command](**options)
        except DomainError as error:
            raise CommandError(" ".join(item.detail for item in error.errors) or error.detail) from error

    def _on(self, *, reason: str, keep_sessions: bool, days: int, **options: Any) -> None:
        self._confirm("Lock the whole system down? Editors lose what they have not saved.", options)
        effect = lockdown.begin(reason=reason, by=_operator(), keep_sessions=keep_sessions)
        bundle = self._bundle(effect, days)
        if options["json"]:
            result = {
                **lockdown.status().as_json(),
                "changed": effect.is_new,
                "ended": effect.ended,
                "cut_off": effect.cut_off,
                "bundle": str(bundle) if bundle else None,
                "faults": effect.faults,
            }
            self.stdout.write(json.dumps(result, ensure_ascii=False))
        else:
            self._say_on(effect, bundle)
        if effect.faults:
            raise CommandError("The lockdown is on, but not all of it was done: " + " ".join(effect.faults))

    @staticmethod
    def _bundle(effect: Effect, days: int) -> Path | None:
        try:
            return lockdown_bundle.write(effect, days=days)
        except (OSError, DatabaseError) as error:
            effect.faults.append(f"The bundle could not be written ({type(error).__name__}).")
            return None

    def _say_on(self, effect: Effect, bundle: Path | None) -> None:
        found = effect.lockdown
        if not effect.is_new:
            self.stdout.write(f"It is on already, since {rfc3339(found.on_at)} by {_words(found)}")
        self.stdout.write("Locked down. Every change is refused; what is published is still read.")
        ended = ", ".join(f"{name}: {number}" for name, number in effect.ended.items())
        self.stdout.write(f"Ended: {ended or 'nothing'}. Transactions cut off: {effect.cut_off}.")
        if bundle is not None:
            self.stdout.write(f"Bundle: {bundle}")
        self.stdout.write('Lift it with: manage.py lockdown off --reason "…"')

    def _off(self, *, reason: str, **options: Any) -> None:
        self._confirm(
            "Lift the lockdown? API keys that were refused and are not revoked work again.", options
        )
        taken = TakenAway(options["revoke_key"], options["revoke_keys"], options["deactivate"])
        lifted = lockdown.lift(reason=reason, by=_operator(), taken=taken)
        seal_pending()
        if options["json"]:
            state = lockdown.status().as_json()
            self.stdout.write(json.dumps({**state, "changed": lifted is not None}, ensure_ascii=False))
        elif lifted is None:
            self.stdout.write("No lockdown is on.")
        else:
            self.stdout.write(
                f"Lifted. It was on since {rfc3339(lifted.on_at)}. Sessions that were ended stay ended."
            )

    def _status(self, **options: Any) -> None:
        found = lockdown.status()
        if options["json"]:
            self.stdout.write(json.dumps(found.as_json(), ensure_ascii=False))
        else:
            self._say_status(found)

    def _say_status(self, found: Status) -> None:
        if found.lockdown is None:
            self.stdout.write(f"No lockdown is on. Sessions alive: {found.sessions}.")
            return
        on = found.lockdown
        self.stdout.write(f"Locked down since {rfc3339(on.on_at)} by {_words(on)}")
        self.stdout.write("Refused:")
        for line in lockdown.REFUSED:
            self.stdout.write(f"  {line}")
        self.stdout.write(
            f"Sessions alive: {found.sessions}. API keys refused: {found.keys_refused}."
            f" Tables closed by the database: {found.tables_closed}."
        )

    def _confirm(self, question: str, options: dict[str, Any]) -> None:
        if options["yes"] or not sys.stdin.isatty():
            return
        if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was done.")


def _words(found: Lockdown) -> str:
    """Return by whom and why, in one line: whoever took a web process over may have written it for this terminal."""
    return f"{plain(found.on_by)}: {plain(found.reason, most=lockdown.LONGEST_REASON)}"


def _operator() -> Principal:
    """Return who runs the command, as the machine knows them."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "an operator"
    return system(f"{name}, at the command line")
