"""`alerts list` shows alerts; `alerts test` raises a harmless one and waits for its mail."""

import json
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from rich.console import Console
from rich.table import Table

from accounts.access import system
from accounts.alerting import mailing, reading
from accounts.alerting.house import TEST
from accounts.alerting.registry import RULES
from accounts.alerting.rule import OPENED
from accounts.api.alerts import alert_json
from accounts.log import record, seal_pending
from accounts.models.alert import Alert, Severity
from accounts.models.event import Event
from accounts.sign_in.mails import REFUSED, SENT


class Command(BaseCommand):
    """Two small commands about alerts."""

    help = "List alerts, or prove with a harmless one that their mails arrive."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `list` and `test`."""
        commands = parser.add_subparsers(dest="command", required=True)
        listing = commands.add_parser("list", help="Show alerts, the pressing ones first.")
        listing.add_argument("--open", action="store_true", help="Only those that nobody has acknowledged.")
        listing.add_argument("--limit", type=int, default=50, help="At most so many (default: 50).")
        listing.add_argument(
            "--json", action="store_true", help="Print them as one JSON list, in the last line."
        )
        test = commands.add_parser("test", help="Raise a test alert; exits 1 when a mail does not arrive.")
        test.add_argument(
            "--now", action="store_true", help="Do it all here, without the worker and the beat."
        )
        test.add_argument("--wait", type=int, default=150, help="Seconds to wait for them (default: 150).")

    def handle(self, *, command: str, **options: Any) -> None:
        """Do the one asked for."""
        if command == "list":
            self._list(only_open=options["open"], limit=max(0, options["limit"]), as_json=options["json"])
        else:
            self._test(is_here=options["now"], wait=options["wait"])

    def _list(self, *, only_open: bool, limit: int, as_json: bool) -> None:
        alerts = Alert.objects.open().pressing() if only_open else Alert.objects.pressing()
        if as_json:
            shown = [alert_json(alert) for alert in alerts[:limit]]
            self.stdout.write(json.dumps(shown, ensure_ascii=False))
            return
        table = Table("severity", "what", "count", "last (UTC)", "state", "id")
        for alert in alerts[:limit]:
            title = RULES[alert.rule].title if alert.rule in RULES else alert.rule
            table.add_row(
                Severity(alert.severity).label, f"{title}\n{alert.sentence}".replace("[", "\\["), str(alert.count),
                f"{alert.last_at:%Y-%m-%d %H:%M}", "open" if alert.is_open else "acknowledged", str(alert.pk),
            )  # fmt: skip
        Console().print(table)

    def _test(self, *, is_here: bool, wait: int) -> None:
        whom = len(mailing.recipients())
        if not whom:
            raise CommandError(
                "Nobody would be told: there is no active administrator, and no SECURITY_ALERT_TO."
            )
        with transaction.atomic():
            event = record(TEST, actor=system("a test of alerts"), subject=None)
        self.stdout.write(f"A test alert is on its way to {whom} mailbox{'es' if whom > 1 else ''}.")
        deadline = time.monotonic() + (0 if is_here else wait)
        if is_here:
            seal_pending()
            reading.raise_due()
            seal_pending()
            try:
                mailing.send_due(waits=False)
            except OSError as error:
                raise CommandError(f"The mail server does not take mails: {type(error).__name__}.") from error
        while (told := self._told(event)) is None:
            if time.monotonic() >= deadline:
                raise CommandError(
                    "No mail was sent in time. Is there a worker and a beat, and does EMAIL_URL answer?"
                )
            time.sleep(1)
        sent, refused = told
        self.stdout.write(f"{sent} sent, {refused} refused. Acknowledge the test on the page of alerts.")
        if refused:
            raise CommandError("The mail server refused some of them; the log names whose.")

    @staticmethod
    def _told(event: Event) -> tuple[int, int] | None:
        """Return how many mails were sent and refused, None before any was."""
        alert = Alert.objects.filter(rule="test", group=str(event.pk)).first()
        if alert is None:
            return None
        mails = Event.objects.filter(
            type__in=(SENT, REFUSED),
            at__gte=event.at,
            detail__about=OPENED,
            detail__alerts__contains=[str(alert.pk)],
        )
        types = list(mails.values_list("type", flat=True))
        return (types.count(SENT), types.count(REFUSED)) if types else None
