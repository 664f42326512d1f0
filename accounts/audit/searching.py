"""Searching the log: one set of filters for the API, the admin, the export and the command."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self, TypeVar
from uuid import UUID

from django.db import OperationalError, connection, transaction
from django.db.models import Lookup, Q, QuerySet, TextField, Value
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from accounts.addresses import Network, canonical_email
from accounts.errors import InvalidInputError, Problem
from accounts.models.event import AddressOf, Event, EventQuerySet
from accounts.models.user import User

FILTERS: Final = ("type", "actor", "subject", "since", "until", "address")
MAX_LENGTH: Final = 320
TIMEOUT: Final = "15s"  # for one search
T = TypeVar("T")
_TYPE: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*(?:\.\*)?")
_CREDENTIAL: Final = re.compile(r"(?:session|jwt|api-key):[A-Za-z0-9-]{1,100}")
_SUBJECT: Final = re.compile(r"([a-z][a-z0-9-]{0,39}):(.*)", re.DOTALL)
# Every type once, by jumping along the index on types: a DISTINCT would read millions of rows.
_TYPES: Final = """
    WITH RECURSIVE found AS (
        (SELECT type FROM accounts_event ORDER BY type LIMIT 1)
        UNION ALL
        SELECT (SELECT type FROM accounts_event WHERE type > found.type ORDER BY type LIMIT 1)
        FROM found WHERE found.type IS NOT NULL
    )
    SELECT type FROM found WHERE type IS NOT NULL LIMIT 1000
"""


class TooSlowError(Exception):
    """The search would read too much of the log."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What somebody looks for; an empty one is the whole log. Texts are as they were typed."""

    type: str = ""
    actor: str = ""
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None
    address: str = ""

    @classmethod
    def parse(cls, given: Mapping[str, str], *, is_typed: bool = False) -> Self:
        """Check the filters. Raises InvalidInputError with a problem for each that is wrong.

        What people typed is read leniently: a filter may be empty, a time may lack its zone (it is UTC) or be only a
        day (whole, for `until`).
        """
        problems: list[Problem] = []
        values: dict[str, Any] = {}
        for name in FILTERS:
            text = given.get(name, "").strip()
            if not text and (is_typed or name not in given):
                continue
            try:
                values[name] = _READERS[name](name, text, is_typed)
            except ValueError as error:
                problems.append(Problem(f"invalid-{name}", str(error), parameter=name))
        if problems:
            raise InvalidInputError(errors=problems)
        return cls(**values)

    def filter(self, events: EventQuerySet) -> EventQuerySet:
        """Return those events that are meant."""
        for wanted in self._conditions():
            events = events.filter(wanted)
        return events

    def as_json(self) -> dict[str, str]:
        """Return the filters that are set, as texts: for a manifest, for the log, for an address."""
        found = {name: getattr(self, name) for name in FILTERS if getattr(self, name)}
        return {
            name: value.astimezone(UTC).isoformat().replace("+00:00", "Z")
            if isinstance(value, datetime)
            else str(value)
            for name, value in found.items()
        }

    def _conditions(self) -> list[Q]:
        found = []
        if self.type:
            found.append(Q(type__in=_meant_types(self.type)))
        if self.actor:
            found.append(_by(self.actor))
        if self.subject:
            found.append(_about(self.subject))
        if self.since:
            found.append(Q(at__gte=self.since))
        if self.until:
            found.append(Q(at__lt=self.until))
        if self.address:
            network = Value(str(ipaddress.ip_network(self.address, strict=False)), output_field=TextField())
            found.append(Q(_Within(AddressOf("address"), network)))
        return found


def types_in_the_log() -> list[str]:
    """Return every type that the log holds."""
    with connection.cursor() as cursor:
        cursor.execute(_TYPES)
        return [row[0] for row in cursor.fetchall()]


def newest_first(
    sought: Sought, *, before: int | None = None, events: EventQuerySet | None = None
) -> QuerySet[Event]:
    """Return what is sought among the sealed events, the newest position first; `before` goes on behind a page."""
    sealed = Event.objects.sealed() if events is None else events.sealed()
    events = sought.filter(sealed).order_by("-seal__position")
    return events if before is None else events.filter(seal__position__lt=before)


def in_time(ask: Callable[[], T]) -> T:
    """Ask the database, for a while. Raises TooSlowError when the search would read too much of the log."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [TIMEOUT])
            return ask()
    except OperationalError as error:
        raise TooSlowError from error


class _Within(Lookup[Any]):
    """`address <<= network`, by the index on addresses."""

    lookup_name = "within"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_values = self.process_lhs(compiler, connection)
        right, right_values = self.process_rhs(compiler, connection)
        return f"{left} <<= {right}::inet", (*left_values, *right_values)


def _meant_types(text: str) -> list[str]:
    """Return the types that `entry.*` or a list with commas stands for; by name, so that the index serves."""
    asked = text.split(",")
    known = types_in_the_log() if any(item.endswith(".*") for item in asked) else []
    wanted = [item for item in asked if not item.endswith(".*")]
    prefixes = tuple(item[:-1] for item in asked if item.endswith(".*"))
    return wanted + [item for item in known if prefixes and item.startswith(prefixes)]


def _by(text: str) -> Q:
    """Return who is meant: a user's id, a credential (`api-key:…`), an e-mail address, the beginning of a name."""
    if _CREDENTIAL.fullmatch(text):
        return Q(credential=text)
    user_id = _uuid(text)
    if user_id is not None:
        return Q(actor_id=user_id)
    named = Q(actor_label__istartswith=text)
    user = User.objects.filter(email=canonical_email(text) or "").values_list("pk", flat=True).first()
    return named | Q(actor_id=user) if user else named


def _about(text: str) -> Q:
    """Return what is meant: an id, `kind:id`, `kind:` for all of a kind, or somebody's e-mail address."""
    match = _SUBJECT.fullmatch(text)
    if match is not None:
        kind = Q(subject_type=match[1])
        return kind & Q(subject_id=match[2]) if match[2] else kind
    found = Q(subject_id=text)
    if "@" in text:
        user = User.objects.filter(email=canonical_email(text) or "").values_list("pk", flat=True).first()
        found |= Q(subject_id=str(user)) if user else Q()
    return found


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _read_type(_name: str, text: str, _zone: bool) -> str:  # noqa: FBT001 (one signature for all readers)
    items = [item.strip() for item in text.split(",")]
    if len(text) > MAX_LENGTH or not all(_TYPE.fullmatch(item) for item in items):
        raise ValueError("A type such as entry.published, or all that begin alike: entry.*")
    return ",".join(items)


def _read_text(_name: str, text: str, _zone: bool) -> str:  # noqa: FBT001
    if not text or len(text) > MAX_LENGTH or not text.isprintable():
        raise ValueError(f"From 1 to {MAX_LENGTH} printable characters.")
    return text


def _read_moment(name: str, text: str, is_typed: bool) -> datetime:  # noqa: FBT001
    example = "2026-01-31 12:00" if is_typed else "2026-01-31T12:00:00Z"
    wrong = ValueError(f"A time such as {example}.")
    try:
        day = parse_date(text) if is_typed else None
        moment = parse_datetime(text) if day is None else None
    except ValueError:
        raise wrong from None
    if day is not None:
        end = datetime.max.time() if name == "until" else datetime.min.time()
        return datetime.combine(day, end, tzinfo=UTC)
    if moment is None or (timezone.is_naive(moment) and not is_typed):
        raise wrong
    if timezone.is_naive(moment):
        moment = moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise wrong from None


def _read_network(_name: str, text: str, _zone: bool) -> str:  # noqa: FBT001
    wrong = ValueError("An address or a network, such as 192.0.2.7 or 192.0.2.0/24.")
    if "%" in text:
        raise wrong  # the zone of a machine's own network: PostgreSQL knows none
    try:
        network: Network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise wrong from None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen == 128:
        return str(mapped)
    return str(network.network_address) if network.num_addresses == 1 else str(network)


_READERS: Final = {
    "type": _read_type,
    "actor": _read_text,
    "subject": _read_text,
    "since": _read_moment,
    "until": _read_moment,
    "address": _read_network,
}
