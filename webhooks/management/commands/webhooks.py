"""`webhooks status|redeliver|recover`: what ops see and do about outgoing deliveries."""

import json
import re
import sys
import time
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from accounts.access import system
from accounts.api.shapes import moment
from accounts.errors import DomainError
from accounts.models import Lockdown
from accounts.models.event import Position
from webhooks import asking, fanning
from webhooks.models import Delivery, Endpoint

_AGO: Final = re.compile(r"(\d{1,4})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


class Command(BaseCommand):
    """Three commands about outgoing webhooks."""

    help = "Show how deliveries stand, send some once more, or let an endpoint recover what it missed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the three verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="status|redeliver|recover")
        status = verbs.add_parser(
            "status", help="Show each endpoint, what waits for it, and how far the log is read."
        )
        again = verbs.add_parser("redeliver", help="Send deliveries once more, each with its id.")
        again.add_argument("deliveries", nargs="*", help="Ids of deliveries.")
        again.add_argument(
            "--endpoint", help="Instead of ids: what was given up or missed for this endpoint (id or name)."
        )
        again.add_argument("--since", help="Only what happened since: a time (RFC 3339), or 30m, 6h, 2d ago.")
        recovery = verbs.add_parser(
            "recover", help="Queue everything that an endpoint was not told of since a time, in order."
        )
        recovery.add_argument("endpoint", help="Its id or its name.")
        recovery.add_argument(
            "--since", required=True, help="A time (RFC 3339), or 30m, 6h, 2d ago; at most 30 days."
        )
        recovery.add_argument("--wait", action="store_true", help="Wait until all of it is queued.")
        for verb in (status, again, recovery):
            verb.add_argument(
                "--json", action="store_true", help="Print the result as JSON, in the last line."
            )

    def handle(self, *, verb: str, **options: Any) -> None:
        """Do it, or say why not and exit with 1."""
        if verb == "status":
            self._status(as_json=options["json"])
            return
        if Lockdown.objects.is_on():
            raise CommandError("The system is locked down: nothing is sent.")
        try:
            told = self._redeliver(options) if verb == "redeliver" else self._recover(options)
        except DomainError as error:
            reasons = " ".join(problem.detail for problem in error.errors) or error.detail
            raise CommandError(reasons) from error
        if options["json"]:
            self.stdout.write(json.dumps(told, ensure_ascii=False))

    def _status(self, *, as_json: bool) -> None:
        unread = Position.objects.unread(fanning.CONSUMER).count()
        rows = [_row(endpoint) for endpoint in Endpoint.objects.order_by("name")]
        if as_json:
            self.stdout.write(json.dumps({"unread_events": unread, "endpoints": rows}, ensure_ascii=False))
            return
        # Eighty columns hold it, and nothing is cut: a name or a time that ends in "…" is of no use in a log.
        names = (
            "endpoint",
            "state",
            "delivered",
            "waiting",
            "given up",
            "missed",
            "failing since",
            "next attempt",
        )
        table = Table(
            *(Column(name, overflow="fold", min_width=max(map(len, name.split()))) for name in names),
            box=SIMPLE_HEAD,
            show_edge=False,
            padding=0,
        )
        for row in rows:
            counts = row["deliveries"]
            table.add_row(
                escape(row["name"]),
                row["state"] + (f" ({row['disabled_because']})" if row["disabled_because"] else ""),
                str(counts["delivered"]),
                str(counts["waiting"]),
                str(counts["exhausted"]),
                str(counts["missed"]),
                _minute(row["failing_since"]),
                _minute(row["next_attempt_at"]),
            )
        Console().print(table)
        self.stdout.write(f"{unread} events of the log are not fanned out yet.")

    def _redeliver(self, options: dict[str, Any]) -> dict[str, Any]:
        if bool(options["deliveries"]) == bool(options["endpoint"]):
            raise CommandError("Name deliveries by their ids, or an --endpoint.")
        rows = Delivery.objects.select_related("endpoint").order_by("position", "pk")
        if options["endpoint"]:
            lost = (Delivery.State.EXHAUSTED, Delivery.State.MISSED)
            rows = rows.filter(endpoint=_endpoint(options["endpoint"]), state__in=lost)
        else:
            rows = rows.filter(pk__in=[_id(text) for text in options["deliveries"]])
        if options["since"]:
            rows = rows.filter(occurred_at__gte=_time(options["since"]))
        asked = len(options["deliveries"]) or rows.count()
        queued = asking.redeliver_each(rows.iterator(chunk_size=500), by=system("webhooks redeliver"))
        if not asked:
            self.stdout.write(
                "Nothing to send once more: the endpoint has no delivery given up or missed then."
            )
        else:
            self.stdout.write(f"{queued} of {asked} deliveries are queued once more.")
        if queued < asked:
            raise CommandError("The others are not there, are being sent, or their endpoint is switched off.")
        return {"asked": asked, "queued": queued}

    def _recover(self, options: dict[str, Any]) -> dict[str, Any]:
        since = _time(options["since"])
        endpoint = asking.recover(_endpoint(options["endpoint"]), since=since, by=system("webhooks recover"))
        self.stdout.write(f"{endpoint.name} recovers everything since {moment(since)}.")
        if options["wait"]:
            _wait(endpoint)
            self.stdout.write("All of it is queued.")
        return {"endpoint": str(endpoint.pk), "since": moment(since)}


def _wait(endpoint: Endpoint) -> None:
    """Show how far workers have come, until they are done."""
    begin, end = endpoint.recovered_to or 0, endpoint.recovers_to or 0
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(endpoint.name, total=max(1, end - begin))
        while True:
            position = Endpoint.objects.filter(pk=endpoint.pk).values_list("recovered_to", flat=True).first()
            if position is None:
                return
            bar.update(task, completed=position - begin)
            time.sleep(0.3)


def _row(endpoint: Endpoint) -> dict[str, Any]:
    counts = {state: endpoint.deliveries.filter(state=state).count() for state in Delivery.State.values}
    following = endpoint.deliveries.waiting().order_by("next_attempt_at").first()
    return {
        "id": str(endpoint.pk),
        "name": endpoint.name,
        "state": str(endpoint.state),
        "disabled_because": endpoint.disabled_because or None,
        "failing_since": moment(endpoint.failing_since),
        "is_recovering": endpoint.recovers_to is not None,
        "deliveries": counts,
        "next_attempt_at": moment(following.next_attempt_at) if following is not None else None,
    }


def _minute(text: str | None) -> str:
    """Return a time of RFC 3339 in UTC as a table shows it."""
    return f"{text[:10]} {text[11:16]}Z" if text else ""


def _endpoint(name: str) -> Endpoint:
    found = Endpoint.objects.named(name)
    if found is None:
        raise CommandError("There is no webhook endpoint of this name or id.")
    return found


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is not the id of a delivery.") from error


def _time(text: str) -> datetime:
    if match := _AGO.fullmatch(text):
        return timezone.now() - timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise CommandError(
            f"{text!r} is neither a time with its zone (2026-01-31T09:00:00Z) nor 30m, 6h, 2d."
        )
    return found
