"""The log: what it refuses, and that whoever gets around that is found, with the position."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction

from accounts.access import system
from accounts.audit import verifying
from accounts.ids import uuid7
from accounts.log import Subject, head_path, record, seal_pending
from accounts.models import Event, Position, Seal, Unsealed

pytestmark = pytest.mark.usefixtures("_django_db_helper")
ACTOR = system("a test")


def write(*types: str) -> list[Event]:
    events = []
    for kind in types:
        with transaction.atomic():
            events.append(
                record(kind, actor=ACTOR, subject=Subject("thing", "1"), detail={"n": 1, "list": ["ä", None]})
            )
    return events


@contextmanager
def owner(*, with_triggers: bool) -> Iterator[Any]:
    """Speak SQL as the owner of the tables, who can switch triggers off."""
    with connections["owner"].cursor() as cursor:
        tables = ("accounts_event", "accounts_seal")
        if not with_triggers:
            for table in tables:
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        try:
            yield cursor
        finally:
            if not with_triggers:
                for table in tables:
                    cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


@pytest.fixture
def five() -> list[Event]:
    events = write("a.one", "a.two", "a.three", "a.four", "a.five")
    assert seal_pending() == 5
    assert verifying.verify().is_intact
    return events


def places(result: verifying.Verification) -> list[tuple[str, int | None]]:
    return [(finding.problem, finding.position) for finding in result.findings]


def test_an_event_needs_the_transaction_of_its_change() -> None:
    with pytest.raises(RuntimeError):
        record("x.y", actor=ACTOR, subject=None)
    assert not Event.objects.exists()


def test_an_event_goes_with_its_transaction() -> None:
    with transaction.atomic():
        record("x.y", actor=ACTOR, subject=None)
        transaction.set_rollback(True)
    assert seal_pending() == 0
    assert not Event.objects.exists()


def test_events_get_positions_in_order(five: list[Event]) -> None:
    assert [event.type for event in Event.objects.after(0)] == [
        "a.one",
        "a.two",
        "a.three",
        "a.four",
        "a.five",
    ]
    assert list(Seal.objects.order_by("position").values_list("position", flat=True)) == [1, 2, 3, 4, 5]
    assert not Unsealed.objects.exists()


def test_an_early_event_that_commits_late_gets_a_later_position() -> None:
    """Its id is smaller than the one that was sealed before it; a cursor over ids would have lost it."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as other:
        write("a.early")
        early = Event.objects.get()
        row = {field.attname: getattr(early, field.attname) for field in Event._meta.fields}
        with owner(with_triggers=False) as cursor:
            cursor.execute("DELETE FROM accounts_event")
            cursor.execute("DELETE FROM accounts_unsealed")
        row["detail"] = json.dumps(row["detail"])
        names = ", ".join(row)
        values = ", ".join(f"%({name})s" for name in row)
        other.execute(f"INSERT INTO accounts_event ({names}) VALUES ({values})", row)
        write("a.late")
        assert seal_pending() == 1
        other.commit()
    assert seal_pending() == 1
    assert [event.type for event in Event.objects.after(0)] == ["a.late", "a.early"]
    assert verifying.verify().is_intact


@pytest.mark.parametrize("table", ["accounts_event", "accounts_seal"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_triggers_refuse_even_the_owner(five: list[Event], table: str, statement: str) -> None:
    change = "type = 'x'" if table == "accounts_event" else "mac = 'x'"
    with owner(with_triggers=True) as cursor, pytest.raises(DatabaseError, match="insert-only"):
        cursor.execute(statement.format(table, change))
    assert verifying.verify().is_intact


@pytest.mark.parametrize("table", ["accounts_event", "accounts_seal"])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE {} SET {}", "DELETE FROM {}", "TRUNCATE {} CASCADE", "ALTER TABLE {} DISABLE TRIGGER USER"],
)
def test_the_application_has_no_right_to_try(five: list[Event], table: str, statement: str) -> None:
    change = "type = 'x'" if table == "accounts_event" else "mac = 'x'"
    with (
        pytest.raises(DatabaseError, match=r"permission denied|must be owner"),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(table, change))


@pytest.mark.parametrize(
    "column", ["type", "actor_label", "subject_id", "address", "locale", "request_id", "credential"]
)
def test_an_altered_event_is_found(five: list[Event], column: str) -> None:
    with owner(with_triggers=False) as cursor:
        cursor.execute(f"UPDATE accounts_event SET {column} = 'x' WHERE id = %s", [five[2].id])
    assert places(verifying.verify()) == [("altered", 3)]


@pytest.mark.parametrize(
    "change",
    [
        "detail = '{\"n\": 2}'",
        "at = at + interval '1 microsecond'",
        "actor_id = gen_random_uuid()",
        "tag = 'k1:00'",
    ],
)
def test_every_part_of_an_event_counts(five: list[Event], change: str) -> None:
    with owner(with_triggers=False) as cursor:
        cursor.execute(f"UPDATE accounts_event SET {change} WHERE id = %s", [five[4].id])
    assert places(verifying.verify()) == [("altered", 5)]


def test_an_altered_seal_is_found(five: list[Event]) -> None:
    with owner(with_triggers=False) as cursor:
        cursor.execute("UPDATE accounts_seal SET sealed_at = sealed_at - interval '1 day' WHERE position = 2")
    assert places(verifying.verify()) == [("altered", 2)]


def test_a_removed_event_is_found(five: list[Event]) -> None:
    with owner(with_triggers=False) as cursor:
        cursor.execute("DELETE FROM accounts_seal WHERE position = 3")
        cursor.execute("DELETE FROM accounts_event WHERE id = %s", [five[2].id])
    assert places(verifying.verify()) == [("removed", 3)]


def test_closing_the_gap_does_not_hide_it(five: list[Event]) -> None:
    with owner(with_triggers=False) as cursor:
        cursor.execute("DELETE FROM accounts_seal WHERE position = 3")
        cursor.execute("DELETE FROM accounts_event WHERE id = %s", [five[2].id])
        cursor.execute("UPDATE accounts_seal SET position = 3 WHERE position = 4")
        cursor.execute("UPDATE accounts_seal SET position = 4 WHERE position = 5")
    assert ("altered", 3) in places(verifying.verify())


def test_a_cut_tail_is_found(five: list[Event]) -> None:
    cut_tail(five)
    assert places(verifying.verify()) == [("cut", 4)]


def cut_tail(five: list[Event]) -> None:
    with owner(with_triggers=False) as cursor:
        cursor.execute("DELETE FROM accounts_seal WHERE position > 3")
        cursor.execute("DELETE FROM accounts_event WHERE id = ANY(%s)", [[five[3].id, five[4].id]])


def test_waiting_for_the_next_events_does_not_hide_the_cut(five: list[Event]) -> None:
    cut_tail(five)
    write("a.six", "a.seven", "a.eight")
    assert seal_pending() == 3
    assert ("cut", 5) in places(verifying.verify())
    assert head_path().stat().st_mode & 0o777 == 0o600


def test_two_swapped_events_are_found(five: list[Event]) -> None:
    with owner(with_triggers=False) as cursor:
        cursor.execute("ALTER TABLE accounts_seal DROP CONSTRAINT accounts_seal_event_id_key")
        try:
            cursor.execute(
                "UPDATE accounts_seal SET event_id = CASE position WHEN 2 THEN %s ELSE %s END WHERE position IN (2, 3)",
                [five[2].id, five[1].id],
            )
        finally:
            cursor.execute(
                "ALTER TABLE accounts_seal ADD CONSTRAINT accounts_seal_event_id_key UNIQUE (event_id)"
            )
    assert ("altered", 2) in places(verifying.verify())


INSERT = """
INSERT INTO accounts_event (id, type, at, actor_kind, actor_label, credential, subject_type, subject_id, locale,
request_id,
    address, detail, tag)
SELECT %s, 'x.forged', now(), 'user', 'mallory', '', '', '', '', '', '', '{}', tag FROM accounts_event LIMIT 1
"""


def test_a_row_inserted_past_the_application_is_never_sealed_and_found(five: list[Event]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            INSERT, [uuid7()]
        )  # the application's own role may insert: the tag is what it can't make by SQL
    seal_pending()
    assert Seal.objects.count() == 5
    assert places(verifying.verify()) == [("inserted", 6)]
    write("a.six")
    seal_pending()
    assert Seal.objects.count() == 6


def test_a_row_inserted_with_a_seal_of_its_own_is_found(five: list[Event]) -> None:
    forged = uuid7()
    with owner(with_triggers=False) as cursor:
        cursor.execute(INSERT, [forged])
        cursor.execute(
            "INSERT INTO accounts_seal (position, event_id, mac, key_id, sealed_at)"
            " SELECT 6, %s, mac, key_id, sealed_at FROM accounts_seal WHERE position = 5",
            [forged],
        )
    assert places(verifying.verify()) == [("altered", 6)]


def test_an_event_taken_out_of_the_queue_is_found(five: list[Event]) -> None:
    write("a.six")
    Unsealed.objects.all().delete()
    assert seal_pending() == 0
    assert [finding.problem for finding in verifying.verify().findings] == ["removed"]


def test_an_event_removed_before_its_seal_is_found(five: list[Event]) -> None:
    (six,) = write("a.six")
    with owner(with_triggers=False) as cursor:
        cursor.execute("DELETE FROM accounts_event WHERE id = %s", [six.id])
    seal_pending()
    result = verifying.verify()
    assert [(finding.problem, finding.event_id) for finding in result.findings] == [("removed", str(six.id))]


@pytest.mark.parametrize(
    "spoil", [lambda text: "{}", lambda text: text.replace('"position": 5', '"position": 4')]
)
def test_a_head_that_is_not_ours_is_found(five: list[Event], spoil: Callable[[str], str]) -> None:
    head_path().write_text(spoil(head_path().read_text()))
    assert places(verifying.verify()) == [("head", None)]


def test_the_command_says_so_and_exits_accordingly(five: list[Event]) -> None:
    out = StringIO()
    call_command("audit", "verify", "--json", stdout=out)
    assert json.loads(out.getvalue().splitlines()[-1])["checked"] == 5
    with owner(with_triggers=False) as cursor:
        cursor.execute("UPDATE accounts_event SET type = 'x' WHERE id = %s", [five[1].id])
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("audit", "verify", "--json", stdout=out)
    findings = json.loads(out.getvalue().splitlines()[-1])["findings"]
    assert [(finding["problem"], finding["position"]) for finding in findings] == [("altered", 2)]


def test_the_export_is_json_lines(five: list[Event]) -> None:
    out = StringIO()
    call_command("audit", "export", "--after", "3", stdout=out)
    assert [json.loads(line)["position"] for line in out.getvalue().splitlines()] == [4, 5]


def test_one_sealer_works_at_a_time(five: list[Event]) -> None:
    write("a.six")
    with psycopg.connect(os.environ["DATABASE_URL"]) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [0x716B6C6F67])
        assert seal_pending(wait=False) == 0
    assert seal_pending(wait=False) == 1


def test_a_consumer_keeps_its_place(five: list[Event]) -> None:
    with transaction.atomic():
        assert Position.objects.of("mail", lock=True) == 0
        Position.objects.advance("mail", to=3)
    assert Position.objects.of("mail") == 3
    Position.objects.advance("mail", to=2)
    assert [event.type for event in Event.objects.after(Position.objects.of("mail"))] == ["a.four", "a.five"]


def test_what_json_can_not_keep_is_cleaned_or_refused() -> None:
    with transaction.atomic():
        record("x.y", actor=ACTOR, subject=None, detail={"text": "a\x00b\ud800"})
    seal_pending()
    assert verifying.verify().is_intact
    with pytest.raises(TypeError), transaction.atomic():
        record("x.y", actor=ACTOR, subject=None, detail={"n": 0.1})


def test_the_key_ring_is_not_the_secret_key() -> None:
    assert settings.SECRET_KEY.encode() not in dict(settings.KEY_RING).values()
