"""What somebody tries who speaks SQL as the application, which may insert into the log, or as the owner."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.utils import timezone

from accounts import log
from accounts.access import system
from accounts.audit import archiving, verifying
from accounts.ids import uuid7
from accounts.log import Subject, record, seal_pending
from accounts.models import Event, Position, Seal, Unsealed

pytestmark = pytest.mark.usefixtures("_django_db_helper")
ACTOR = system("a test")
INSERT = """
    INSERT INTO accounts_event (id, type, at, actor_kind, actor_label, credential, subject_type, subject_id, locale,
        request_id, address, detail, tag)
    SELECT %s, 'x.forged', {at}, 'user', 'mallory', '', '', '', '', '', '', {detail}, tag FROM accounts_event LIMIT 1
"""
SEAL = """
    INSERT INTO accounts_seal (position, event_id, mac, key_id, sealed_at)
    SELECT {position}, %s, mac, key_id, {sealed_at} FROM accounts_seal LIMIT 1
"""
FAR_NESTED = "(repeat('[', 3000) || repeat(']', 3000))::jsonb"
UNREADABLE = [
    ("'infinity'", "'{}'"),
    ("'20000-01-01'", "'{}'"),
    ("now()", """'{"a": 1e5000}'"""),
    ("now()", """'{"a": 1' || repeat('0', 400) || '.5}'"""),
    ("now()", f"jsonb_build_object('a', {FAR_NESTED})"),
]


def write(*types: str) -> list[Event]:
    events = []
    for kind in types:
        with transaction.atomic():
            events.append(record(kind, actor=ACTOR, subject=Subject("thing", "1")))
    return events


@pytest.fixture(autouse=True)
def three(_django_db_helper: None) -> list[Event]:
    Position.objects.all().delete()  # of the house's own consumers, which no worker moves on here
    events = write("a.one", "a.two", "a.three")
    seal_pending()
    return events


def places(result: verifying.Verification) -> list[tuple[str, int | None]]:
    return [(finding.problem, finding.position) for finding in result.findings]


def as_the_application(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


@contextmanager
def as_the_owner() -> Iterator[Any]:
    with connections["owner"].cursor() as cursor:
        yield cursor


def forge(*, at: str = "now()", detail: str = "'{}'") -> Any:
    forged = uuid7()
    as_the_application(INSERT.format(at=at, detail=f"({detail})::jsonb"), forged)
    return forged


def forge_seal(event_id: Any, *, position: str, sealed_at: str = "now()") -> None:
    as_the_application(SEAL.format(position=position, sealed_at=sealed_at), event_id)


def archive_up_to(position: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archiving, "_range", lambda _: _bounds(position))
        assert list(archiving.archive(timezone.now(), by=ACTOR))


def _bounds(last: int) -> tuple[int, int] | None:
    first = Seal.objects.order_by("position")[0].position
    return (first, last) if first <= last else None


def verified_by_command() -> list[tuple[str, int | None]]:
    out = StringIO()
    with pytest.raises(CommandError, match="not intact"):
        call_command("audit", "verify", "--json", stdout=out, stderr=StringIO())
    found = json.loads(out.getvalue().splitlines()[-1])["findings"]
    return [(finding["problem"], finding["position"]) for finding in found]


@pytest.mark.parametrize("position", [0, -5])
def test_a_forged_event_with_a_place_before_the_first_one_is_found(position: int) -> None:
    forge_seal(forge(), position=str(position))
    assert ("inserted", position) in places(verifying.verify())


def test_a_forged_event_in_a_place_that_was_archived_is_found() -> None:
    archive_up_to(2)
    seal_pending()
    assert verifying.verify().is_intact
    forge_seal(forge(), position="1")
    assert ("inserted", 1) in places(verifying.verify())


def test_an_event_that_the_sealer_was_told_to_leave_out_is_found() -> None:
    (hidden,) = write("a.hidden")
    as_the_application("UPDATE accounts_unsealed SET refused_at = now() WHERE event_id = %s", hidden.id)
    seal_pending()
    result = verifying.verify()
    assert [(item.problem, item.event_id) for item in result.findings] == [("removed", str(hidden.id))]
    assert result.pending == 0


def test_an_event_that_is_queued_once_more_stops_nobody_and_is_found(three: list[Event]) -> None:
    as_the_application("INSERT INTO accounts_unsealed (event_id) VALUES (%s)", three[1].id)
    write("a.four")
    seal_pending()
    assert Seal.objects.count() == 4
    assert places(verifying.verify()) == [("inserted", 2)]
    assert verified_by_command() == [("inserted", 2)]


def test_no_event_gets_two_places_even_when_the_owner_allows_it(three: list[Event]) -> None:
    with as_the_owner() as cursor:
        cursor.execute("ALTER TABLE accounts_seal DROP CONSTRAINT accounts_seal_event_id_key")
        try:
            as_the_application("INSERT INTO accounts_unsealed (event_id) VALUES (%s)", three[1].id)
            seal_pending()
            assert Seal.objects.filter(event=three[1]).count() == 1
        finally:
            cursor.execute(
                "ALTER TABLE accounts_seal ADD CONSTRAINT accounts_seal_event_id_key UNIQUE (event_id)"
            )
    assert places(verifying.verify()) == [("inserted", 2)]


@pytest.mark.parametrize(("at", "detail"), UNREADABLE)
def test_a_row_that_can_not_be_read_stops_nobody_and_is_found(at: str, detail: str) -> None:
    forge(at=at, detail=detail)
    write("a.four")
    seal_pending()
    assert list(Seal.objects.order_by("position").values_list("event__type", flat=True))[3:] == ["a.four"]
    assert places(verifying.verify()) == [("inserted", 5)]
    assert ("inserted", 5) in verified_by_command()


@pytest.mark.parametrize(("at", "detail"), UNREADABLE)
def test_a_row_that_can_not_be_read_and_has_a_seal_is_found(at: str, detail: str) -> None:
    forge_seal(forge(at=at, detail=detail), position="4")
    assert ("altered", 4) in places(verifying.verify())


@pytest.mark.parametrize(
    ("position", "sealed_at"),
    [("4", "'infinity'"), ("4", "'20000-01-01'"), ("9223372036854775807", "now()")],
)
def test_a_seal_after_which_nothing_can_be_sealed_is_found(position: str, sealed_at: str) -> None:
    forge_seal(forge(), position=position, sealed_at=sealed_at)
    write("a.four")
    assert ("altered", int(position)) in verified_by_command()


def test_an_archived_event_that_is_written_once_more_gets_no_place_and_is_found(
    three: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tag is right, so it would stand at the end of the log again: published, revoked or widened twice."""
    monkeypatch.setattr(log, "LONGEST_WAIT", timedelta(0))
    archive_up_to(2)
    seal_pending()
    assert verifying.verify().is_intact
    write("a.four")
    three[0].save(force_insert=True)
    seal_pending()
    assert list(Seal.objects.order_by("-position").values_list("event__type", flat=True))[:1] == ["a.four"]
    assert places(verifying.verify()) == [("inserted", 6)]


def test_an_event_that_waited_long_is_sealed_all_the_same() -> None:
    """Only what is older than the beginning of the tables can have been in them before."""
    archive_up_to(2)
    (late,) = write("a.late")
    seal_pending()
    assert Seal.objects.filter(event=late).exists()
    assert not Unsealed.objects.exists()
    assert verifying.verify().is_intact
