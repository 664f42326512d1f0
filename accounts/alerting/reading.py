"""Reads the log behind its position and raises alerts: each batch in one transaction with the advance of the position.

A crash changes nothing or all of a batch. An event that is read again (a restored position) is known by its place in
the log. What opens an alert, or makes a known one much worse, is an event `security.alert`, which mails tell of.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import DatabaseError, transaction
from django.db.models import Count, Max, Q
from django.utils import timezone

from accounts.access import system
from accounts.alerting import counting
from accounts.alerting.house import BROKEN_RULE
from accounts.alerting.registry import rules_by_type
from accounts.alerting.rule import OPENED, Hit, Known, Rule
from accounts.log import Subject, record
from accounts.models.alert import LONGEST_GROUP, Alert, Severity, Tally
from accounts.models.event import Event, Position, Seal

logger = logging.getLogger("quillkeep.alerts")

CONSUMER: Final = "alerts"
BATCH: Final = 1_000
MOST_OPEN: Final = 50  # alerts of one rule; what comes after that is one more, about all others
OTHERS: Final = "others"
QUIET: Final = timedelta(hours=1)  # no second word of the same within this, unless it gets much worse
REMINDED: Final = timedelta(hours=24)  # what goes on for so long is told again
LATE: Final = timedelta(minutes=10)
MUCH_WORSE: Final = 10  # times as many
_Key = tuple[str, str]


@dataclass(slots=True)
class _Group:
    """All hits of one rule and group in a batch, and what is known of them."""

    rule: Rule
    name: str
    hits: list[tuple[Event, Hit]] = field(default_factory=list)
    alert: Alert | None = None  # the open one that counts them
    tally: Tally | None = None
    seen: int = 0  # up to this position everything is counted


def raise_due() -> int:
    """Read what was sealed since the last time; return how many alerts were opened or got worse."""
    last = Seal.objects.last_position()
    told = 0
    while Position.objects.of(CONSUMER) < last:
        try:
            told += _read(last, is_careful=False)
        except DatabaseError:
            # A rule whose query fails spoils the transaction. Once more, each rule on its own.
            logger.exception("A batch of events could not be read; it is tried again, rule by rule.")
            told += _read(last, is_careful=True)
    Tally.objects.filter(expires_at__lt=timezone.now()).delete()
    return told


def is_behind() -> bool:
    """Tell whether the rules have not looked at the log for long: no alert can say so, the pages do."""
    return Position.objects.unread(CONSUMER).filter(sealed_at__lt=timezone.now() - LATE).exists()


@transaction.atomic(durable=True)
def _read(last: int, *, is_careful: bool) -> int:
    position = Position.objects.of(CONSUMER, lock=True)
    until = min(Seal.objects.end_of_batch(position, size=BATCH), last)
    rules = rules_by_type()
    events = Event.objects.after(position).filter(type__in=rules, seal__position__lte=until)
    groups: dict[_Key, _Group] = {}
    known = Known()
    for event in events:
        for rule in rules[event.type]:
            for found, hit in _hits(rule, event, known, is_careful=is_careful):
                name = hit.group[:LONGEST_GROUP]
                groups.setdefault((found.key, name), _Group(found, name)).hits.append((event, hit))
    told = _Count(groups).all() if groups else []
    for alert in told:
        _tell(alert)
    if told:
        transaction.on_commit(counting.forget)
    Position.objects.advance(CONSUMER, to=until)
    return len(told)


def _hits(rule: Rule, event: Event, known: Known, *, is_careful: bool) -> list[tuple[Rule, Hit]]:
    """Return what a rule finds in an event; a rule that fails is an alert of its own and stops no other."""
    try:
        if not is_careful:
            return [(rule, hit) for hit in rule.find(event, known)]
        with transaction.atomic():
            return [(rule, hit) for hit in rule.find(event, known)]
    except Exception as error:
        if isinstance(error, DatabaseError) and not is_careful:
            raise
        logger.exception("The rule %s failed on event %s.", rule.key, event.pk)
        return [(BROKEN_RULE, Hit(rule.key, {"rule": rule.key, "error": type(error).__name__}))]


# --- Counting ------------------------------------------------------------------------------------------------------


class _Count:
    """Counts the hits of one batch, and keeps what they come to. A fixed number of queries, however many there are."""

    def __init__(self, groups: Mapping[_Key, _Group]) -> None:
        self.groups = dict(groups)
        for rule in {group.rule.key: group.rule for group in groups.values()}.values():
            self.groups.setdefault((rule.key, OTHERS), _Group(rule, OTHERS))
        self._look_up()
        # What one more than so many would open is counted into that: thousands of addresses are one attack.
        self._others_seen = {key: self.groups[key, OTHERS].seen for key, _ in self.groups}

    def all(self) -> list[Alert]:
        """Count, write, and return the alerts to tell of."""
        for group in self.groups.values():
            for event, hit in group.hits:
                if event.seal.position > group.seen:
                    group.seen = event.seal.position
                    self._count(group, event, hit)
        return self._keep()

    def _look_up(self) -> None:
        """Find the open alert and the tally of each group, and how far it was counted."""
        wanted = Q()
        rules = {rule_key for rule_key, _ in self.groups}
        for rule_key in rules:
            wanted |= Q(rule=rule_key, group__in=[name for key, name in self.groups if key == rule_key])
        for alert in Alert.objects.select_for_update().filter(wanted, acknowledged_at__isnull=True):
            self.groups[alert.rule, alert.group].alert = alert
        for tally in Tally.objects.filter(wanted):
            group = self.groups[tally.rule, tally.group]
            group.tally, group.seen = tally, tally.last_position
        counted = Alert.objects.filter(wanted).order_by().values_list("rule", "group")
        for rule_key, name, last in counted.annotate(last=Max("last_position")):
            group = self.groups[rule_key, name]
            group.seen = max(group.seen, last)
        still_open = Alert.objects.open().filter(rule__in=rules).order_by().values_list("rule")
        self._open = dict(still_open.annotate(number=Count("pk")))

    def _count(self, group: _Group, event: Event, hit: Hit) -> None:
        count, positions = hit.weight, [event.seal.position]
        if group.rule.limit > 1:
            tally = _tallied(group, event, hit)
            total = sum(tally.slices.values())
            if total < group.rule.limit:
                return
            if group.alert is None:
                count, positions = total, list(tally.positions)
        if group.alert is None and self._open.get(group.rule.key, 0) >= MOST_OPEN and group.name != OTHERS:
            if event.seal.position > self._others_seen[group.rule.key]:
                self._count_other(group.rule, event, hit)
            return
        if group.alert is None:
            began = group.tally.first_at if group.tally is not None else event.at
            group.alert = self._opened(group.rule, group.name, began)
        _take(group.alert, event, hit, group.rule, positions, count=count)
        group.alert.sentence = group.rule.sentence(hit, group.alert.count)
        group.alert.subject_type = hit.subject.type[:40] if hit.subject else ""
        group.alert.subject_id = hit.subject.id[:120] if hit.subject else ""

    def _count_other(self, rule: Rule, event: Event, hit: Hit) -> None:
        others = self.groups[rule.key, OTHERS]
        if others.alert is None:
            others.alert = self._opened(rule, OTHERS, event.at)
            others.alert.sentence = (
                f"{MOST_OPEN} alerts of this rule are open; what comes besides is counted here."
            )
        _take(others.alert, event, hit, rule, [event.seal.position])

    def _opened(self, rule: Rule, name: str, began: datetime) -> Alert:
        self._open[rule.key] = self._open.get(rule.key, 0) + 1
        return Alert(rule=rule.key, group=name, severity=0, first_at=began, last_at=began, last_position=0)

    def _keep(self) -> list[Alert]:
        Tally.objects.bulk_create(
            [group.tally for group in self.groups.values() if group.tally is not None],
            update_conflicts=True,
            unique_fields=["rule", "group"],
            update_fields=["slices", "positions", "first_at", "last_position", "expires_at"],
        )
        now = timezone.now()
        told = []
        for group in self.groups.values():
            alert = group.alert
            if alert is None:
                continue
            if _is_news(alert, now):
                alert.told_at, alert.told_count, alert.told_severity = now, alert.count, alert.severity
                told.append(alert)
            alert.save()
        return told


def _tallied(group: _Group, event: Event, hit: Hit) -> Tally:
    """Add an event to what the window of its group holds."""
    rule, at = group.rule, int(event.at.timestamp())
    tally = group.tally or Tally(rule=rule.key, group=group.name, first_at=event.at)
    begins = at - int(rule.window.total_seconds())
    slices = {start: count for start, count in tally.slices.items() if int(start) > begins}
    if not slices:
        tally.first_at, tally.positions = event.at, []
    start = str(at - at % rule.slice)
    tally.slices = slices | {start: slices.get(start, 0) + hit.weight}
    tally.positions = [*tally.positions, event.seal.position][-Tally.KEPT :]
    tally.last_position = event.seal.position
    tally.expires_at = event.at + rule.window
    group.tally = tally
    return tally


def _take(
    alert: Alert, event: Event, hit: Hit, rule: Rule, positions: list[int], *, count: int | None = None
) -> None:
    alert.take(count=hit.weight if count is None else count, at=event.at, positions=positions)
    alert.last_position = max(alert.last_position, event.seal.position)
    alert.severity = max(alert.severity, hit.severity or rule.severity)
    alert.actor_id, alert.actor_label, alert.address = event.actor_id, event.actor_label, event.address


# --- Telling -------------------------------------------------------------------------------------------------------


def _is_news(alert: Alert, now: datetime) -> bool:
    """Tell whether somebody should hear of it (again): few mails are read, many are not."""
    if alert.told_at is None or alert.severity > alert.told_severity:
        return True
    since = now - alert.told_at
    return (
        alert.count >= MUCH_WORSE * alert.told_count
        or (since >= QUIET and alert.count >= 2 * alert.told_count)
        or (since >= REMINDED and alert.count > alert.told_count)
    )


def _tell(alert: Alert) -> None:
    """Write down that an alert was raised: what it is and how grave, nothing of what was in the events."""
    detail: dict[str, Any] = {
        "alert": str(alert.pk),
        "rule": alert.rule,
        "severity": Severity(alert.severity).word,
        "count": alert.count,
    }
    record(OPENED, actor=system("alerts"), subject=Subject("alert", str(alert.pk)), detail=detail)
