"""Retention: old ranges leave the tables for files that still verify, and nothing else may leave them."""

import gzip
import io
import json
import os
import signal
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings, settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections, transaction
from django.utils import timezone

from accounts import tasks
from accounts.access import system
from accounts.audit import archiving, exporting, verifying
from accounts.audit.archiving import ArchiveBlockedError
from accounts.log import Subject, head_path, record, seal_pending
from accounts.models import Archive, Event, Position, Seal
from accounts.sign_in import mails
from tests import forked

pytestmark = pytest.mark.usefixtures("_django_db_helper")
BY = system("a test")


@pytest.fixture(autouse=True)
def _ten(_django_db_helper: None) -> None:
    Position.objects.all().delete()  # of the house's own consumers, which no worker moves on here
    write(*(f"a.{number}" for number in range(1, 11)))


def write(*types: str) -> None:
    for kind in types:
        with transaction.atomic():
            record(kind, actor=BY, subject=Subject("thing", "1"), detail={"list": ["ä\u2028", None]})
    seal_pending()


def moment_behind(position: int) -> Any:
    """Return a moment between two seals: all up to the position are older."""
    return Seal.objects.get(position=position).sealed_at + timedelta(microseconds=1)


def archive_up_to(position: int) -> list[archiving.Archived]:
    """Archive up to a position, however close in time the seals stand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archiving, "_range", lambda _: _bounds(position))
        return list(archiving.archive(timezone.now(), by=BY))


def _bounds(last: int) -> tuple[int, int] | None:
    first = Seal.objects.order_by("position")[0].position
    return (first, last) if first <= last else None


def positions() -> list[int]:
    return list(Seal.objects.order_by("position").values_list("position", flat=True))


def places(result: verifying.Verification) -> list[tuple[str, int | None]]:
    return [(finding.problem, finding.position) for finding in result.findings]


def verify() -> verifying.Verification:
    return verifying.verify(archives=archiving.folder())


def files() -> list[str]:
    return sorted(path.name for path in archiving.folder().iterdir())


def owner(*statements: str, with_triggers: bool = False) -> None:
    tables = ("accounts_event", "accounts_seal", "accounts_archive")
    with connections["owner"].cursor() as cursor:
        for table in () if with_triggers else tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        try:
            with transaction.atomic(using="owner"):
                for statement in statements:
                    cursor.execute(statement)
        finally:
            for table in () if with_triggers else tables:
                cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def test_a_range_goes_to_a_file_and_the_log_still_verifies() -> None:
    (done,) = archive_up_to(6)
    assert (done.first, done.last) == (1, 6)
    seal_pending()
    assert positions() == [7, 8, 9, 10, 11]
    assert Event.objects.count() == 5
    assert Event.objects.get(type="log.archived").detail["last"] == 6
    result = verify()
    assert result.is_intact, result.findings
    assert (result.archived, result.archives, result.elsewhere) == (6, 1, 0)
    assert files() == [done.file, done.file + exporting.SUFFIX]
    for path in archiving.folder().iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_file_holds_every_event_as_it_was(tmp_path: Path) -> None:
    before = io.StringIO()
    call_command("audit", "export", stdout=before)
    (done,) = archive_up_to(6)
    with gzip.open(archiving.folder() / done.file, "rt", encoding="utf-8", newline="\n") as file:
        assert [line.rstrip("\n") for line in file] == before.getvalue().split("\n")[:6]
    out = io.StringIO()
    manifest = archiving.folder() / (done.file + exporting.SUFFIX)
    call_command("audit", "verify", "--export", str(manifest), stdout=out)
    assert "positions 1 to 6" in out.getvalue()


def test_ranges_follow_each_other() -> None:
    for last in (3, 4, 9):
        archive_up_to(last)
    seal_pending()
    result = verify()
    assert result.is_intact, result.findings
    assert (result.archived, result.archives) == (9, 3)
    write("a.later")
    assert verify().is_intact


def test_only_what_is_old_enough_goes_and_never_the_newest() -> None:
    assert list(archiving.archive(Seal.objects.get(position=1).sealed_at, by=BY)) == []
    (done,) = archiving.archive(timezone.now(), by=BY)
    assert (done.first, done.last) == (1, 9)
    seal_pending()
    assert verify().is_intact


def test_long_ranges_are_cut_into_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "MOST", 4)
    before = timezone.now()
    done = [(item.first, item.last) for item in archiving.archive(before, by=BY)]
    assert done == [(1, 4), (5, 8), (9, 9)]
    seal_pending()
    assert verify().is_intact


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM accounts_event WHERE type = 'a.8'",
        "DELETE FROM accounts_seal WHERE position = 8",
        "DELETE FROM accounts_archive",
        "UPDATE accounts_archive SET last_position = 8",
        "UPDATE accounts_event SET type = 'x'",
        "TRUNCATE accounts_archive",
        "TRUNCATE accounts_event CASCADE",
    ],
)
def test_triggers_let_go_nothing_else(statement: str) -> None:
    archive_up_to(6)
    with pytest.raises(DatabaseError, match="insert-only"):
        owner(statement, with_triggers=True)
    seal_pending()
    assert verify().is_intact


def test_the_application_may_not_archive() -> None:
    archive_up_to(3)
    for statement in (
        "INSERT INTO accounts_archive SELECT * FROM accounts_archive",
        "DELETE FROM accounts_archive",
    ):
        with (
            pytest.raises(DatabaseError, match="permission denied"),
            connections["default"].cursor() as cursor,
        ):
            cursor.execute(statement)


def test_a_forged_archive_lets_rows_go_and_is_found() -> None:
    archive_up_to(3)
    owner(
        "INSERT INTO accounts_archive SELECT 4, 6, last_mac, (SELECT mac FROM accounts_seal WHERE position = 6), file,"
        " sha256, size, made_at, key_id, mac FROM accounts_archive",
        "DELETE FROM accounts_event e USING accounts_seal s WHERE s.event_id = e.id AND s.position BETWEEN 4 AND 6",
        "DELETE FROM accounts_seal WHERE position BETWEEN 4 AND 6",
        with_triggers=True,
    )
    assert places(verify())[:2] == [("forged", 4), ("removed", 4)]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("last_position = 4", [("forged", 1), ("removed", 1)]),
        ("last_mac = repeat('0', 64)", [("forged", 1), ("removed", 1)]),
        ("sha256 = repeat('0', 64)", [("forged", 1), ("removed", 1)]),
    ],
)
def test_a_changed_row_of_an_archive_is_found(change: str, found: list[tuple[str, int]]) -> None:
    archive_up_to(6)
    owner(f"UPDATE accounts_archive SET {change}")
    assert places(verify()) == found


def test_a_removed_row_of_an_archive_is_found() -> None:
    archive_up_to(3)
    archive_up_to(6)
    owner("DELETE FROM accounts_archive WHERE first_position = 1")
    assert places(verify()) == [("removed", 1)]
    owner("DELETE FROM accounts_archive")
    assert places(verify()) == [("removed", 1)]


def spoiled(path: Path, spoil: Callable[[list[bytes]], list[bytes]]) -> None:
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(spoil(lines))))


@pytest.mark.parametrize(
    ("spoil", "position"),
    [
        (lambda lines: [*lines[:3], lines[3].replace(b"a.4", b"a.5"), *lines[4:]], 4),
        (lambda lines: lines[:4], 5),
        (lambda lines: [*lines[:2], *lines[3:]], 3),
    ],
    ids=["altered", "cut", "removed"],
)
def test_a_changed_file_is_found_with_the_position(spoil: Any, position: int) -> None:
    (done,) = archive_up_to(6)
    spoiled(archiving.folder() / done.file, spoil)
    assert places(verify())[0][1] == position
    with pytest.raises(CommandError, match="not intact"):
        call_command("audit", "verify", stdout=io.StringIO(), stderr=io.StringIO())


def test_a_torn_file_and_one_with_another_manifest_are_found() -> None:
    (first,) = archive_up_to(3)
    (second,) = archive_up_to(6)
    path = archiving.folder() / second.file
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert places(verify())[0][0] == "file"
    path.write_bytes(os.urandom(100))
    assert places(verify())[0] == ("file", 4)
    path.write_bytes(whole)
    assert verify().is_intact
    for suffix in ("", exporting.SUFFIX):
        (archiving.folder() / (second.file + suffix)).write_bytes(
            (archiving.folder() / (first.file + suffix)).read_bytes()
        )
    assert places(verify())[0] == ("file", 4)


def test_a_damaged_file_is_found_though_a_head_saw_a_position_in_it() -> None:
    """The head's place is looked for in the file as well."""
    head = archiving.folder().parent / "audit-head.20260101T000000.json"
    head.write_bytes(head_path().read_bytes())  # it saw position 10
    write("a.11", "a.12")
    (done,) = archive_up_to(11)
    path = archiving.folder() / done.file
    whole = path.read_bytes()
    for place in range(12, len(whole) - 8, 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        found = {problem for problem, _ in places(verify())}
        assert found
        assert found <= {"file", "altered", "cut"}  # it may be the MAC itself that was hit


def test_a_file_that_is_elsewhere_is_a_warning(tmp_path: Path) -> None:
    (done,) = archive_up_to(6)
    away = tmp_path / "away"
    away.mkdir()
    for name in files():
        (archiving.folder() / name).rename(away / name)
    result = verify()
    assert (result.is_intact, result.elsewhere) == (True, 1)
    assert "1 of 1 archives" in result.warnings[0]
    out = io.StringIO()
    call_command("audit", "verify", "--archives", str(away), "--json", stdout=out)
    told = json.loads(out.getvalue().splitlines()[-1])
    assert (told["intact"], told["archives_elsewhere"], told["archived"]) == (True, 0, 6)
    assert done.first == 1


def test_a_consumer_that_has_not_read_so_far_keeps_the_range() -> None:
    Position.objects.create(consumer="mail", position=5)
    with pytest.raises(ArchiveBlockedError, match="'mail' has read up to position 5"):
        archive_up_to(6)
    assert positions() == list(range(1, 11))
    assert archive_up_to(5)


def test_a_consumer_that_found_nothing_of_its_own_has_read_all_the_same() -> None:
    """Mails are rare; waiting for one must not keep ten years of the log in the tables."""
    assert mails.send_due() == 0
    assert Position.objects.get(consumer="mails").position == 10
    assert archive_up_to(9)
    write("a.later")
    mails.send_due()
    assert Position.objects.get(consumer="mails").position == 12


def test_what_was_tampered_with_stays_as_evidence() -> None:
    owner("UPDATE accounts_event SET actor_label = 'x' WHERE type = 'a.4'")
    with pytest.raises(ArchiveBlockedError, match="position 4"):
        archive_up_to(6)
    assert positions() == list(range(1, 11))
    assert places(verify()) == [("altered", 4)]


def test_two_do_not_archive_at_once() -> None:
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [archiving._LOCK_ID])
        done = archive_in_another_process()
    assert b"Another process is archiving" in done.stderr
    assert not Archive.objects.exists()


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


KILLS = {  # in the place of which function of `archiving` the process ends
    "while it writes": "line_bytes",
    "before the file has its name": "sync_folder",
    "before its manifest": "replace_whole",
    "before it deletes": "_delete",
    "before it commits": "record",
}


def archive_in_another_process(ends_at: str = "") -> "subprocess.CompletedProcess[bytes]":
    def act() -> None:
        if ends_at:
            setattr(archiving, ends_at, die)
        list(archiving.archive(timezone.now(), by=BY))

    return forked.run(act, env={**os.environ, "DATA_DIR": str(settings.DATA_DIR)})


@pytest.mark.parametrize("when", KILLS)
def test_a_killed_archiving_loses_nothing(when: str) -> None:
    done = archive_in_another_process(KILLS[when])
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert positions() == list(range(1, 11))
    assert not Archive.objects.exists()
    assert verify().is_intact
    write("a.later")
    (again,) = archiving.archive(timezone.now(), by=BY)
    assert (again.first, again.last) == (1, 10)
    seal_pending()
    assert verify().is_intact
    left = [name for name in files() if not name.endswith(".unused")]
    assert left == [again.file, again.file + exporting.SUFFIX]


def test_the_command_archives_by_day_and_says_what_it_did(settings: LazySettings) -> None:
    out = io.StringIO()
    with pytest.raises(CommandError, match="AUDIT_RETENTION_DAYS"):
        call_command("audit", "archive", stdout=out)
    with pytest.raises(CommandError, match="--before"):
        call_command("audit", "archive", "--before", "someday", stdout=out)
    with pytest.raises(CommandError, match="future"):
        call_command("audit", "archive", "--before", "2999-01-01", stdout=out)
    call_command("audit", "archive", "--before", "2020-01-01", "--json", stdout=out)
    assert json.loads(out.getvalue().splitlines()[-1]) == {"archived": []}
    now = timezone.now().isoformat()
    call_command("audit", "archive", "--before", now, "--json", stdout=out)
    (done,) = json.loads(out.getvalue().splitlines()[-1])["archived"]
    assert (done["first"], done["last"]) == (1, 9)
    settings.AUDIT_RETENTION_DAYS = 90
    call_command("audit", "archive", stdout=out)
    assert "nothing that old" in out.getvalue()


def test_without_the_owner_nothing_is_archived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(settings.DATABASES, "owner")
    with pytest.raises(CommandError, match="OWNER_DATABASE_URL"):
        call_command("audit", "archive", "--before", timezone.now().isoformat(), stdout=io.StringIO())


def test_the_schedule_archives_by_the_retention_and_only_then(settings: LazySettings) -> None:
    tasks.archive_log()
    assert not Archive.objects.exists()
    settings.AUDIT_RETENTION_DAYS = 90
    tasks.archive_log()
    assert not Archive.objects.exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archiving, "due", timezone.now)
        tasks.archive_log()
    assert Archive.objects.get().last_position == 9


def test_a_sealer_goes_on_behind_the_archives() -> None:
    """The newest event is never archived; were it gone all the same, the chain must not begin anew."""
    archive_up_to(9)
    seal_pending()
    owner("DELETE FROM accounts_seal", "DELETE FROM accounts_event")
    write("a.later")
    assert positions() == [10]


def test_a_page_of_the_log_says_what_is_in_archives(ada: Any) -> None:
    from tests.content.admin.conftest import sign_in

    archive_up_to(6)
    page = sign_in(ada).get("/admin/accounts/event/?type=a.2").content.decode()
    assert "Events up to position 6 are in archives" in page
