"""The signed head of each day: kept, sent, tried again, and compared with the log."""

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.utils import timezone

from accounts import tasks
from accounts.access import system
from accounts.audit import heads, verifying
from accounts.log import Subject, head_path, read_head, record, seal_pending
from accounts.models import DailyHead, Event, Position, Seal
from tests.accounts.receiver import says, serving
from tests.accounts.test_the_log_is_archived import archive_up_to

pytestmark = pytest.mark.usefixtures("_django_db_helper")


def write(number: int = 3) -> None:
    for count in range(number):
        with transaction.atomic():
            record(f"a.{count}", actor=system("a test"), subject=Subject("thing", "1"))
    seal_pending()


def cut(behind: int) -> None:
    with connections["owner"].cursor() as cursor:
        for table in ("accounts_event", "accounts_seal"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(
            "WITH gone AS (DELETE FROM accounts_seal WHERE position > %s RETURNING event_id)"
            " DELETE FROM accounts_event WHERE id IN (SELECT event_id FROM gone)",
            [behind],
        )
        for table in ("accounts_event", "accounts_seal"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def test_each_day_has_a_head_in_a_folder_of_its_own(settings: LazySettings) -> None:
    tasks.keep_head()
    assert not heads.folder().exists()  # an empty log has no head
    write()
    tasks.keep_head()
    tasks.keep_head()
    (file,) = heads.folder().iterdir()
    assert file.name == f"{timezone.now():%Y-%m-%d}.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_head(file).position == 3
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        write(1)
        tasks.keep_head()
    assert [read_head(path).position for path in sorted(heads.folder().iterdir())] == [3, 4]


@pytest.mark.parametrize("is_folder", [True, False])
def test_the_head_goes_to_a_file_or_a_folder(settings: LazySettings, tmp_path: Path, is_folder: Any) -> None:
    place = tmp_path / "elsewhere"
    settings.AUDIT_HEAD_TO = f"file://{place}" + ("/" if is_folder else "")
    write()
    tasks.keep_head()
    file = place / f"audit-head-{timezone.now():%Y-%m-%d}.json" if is_folder else place
    assert read_head(file).position == 3
    assert DailyHead.objects.get().sent_at is not None


def test_the_head_is_posted_once_a_day(settings: LazySettings, tmp_path: Path) -> None:
    write()
    with serving(says(204, b"")) as receiver:
        settings.AUDIT_HEAD_TO = receiver.url
        tasks.keep_head()
        write(1)
        tasks.keep_head()
    ((method, _, headers, body),) = receiver.asked
    assert (method, headers["Content-Type"]) == ("POST", "application/json")
    sent = tmp_path / "sent.json"
    sent.write_bytes(body)
    assert read_head(sent).position == 3
    assert verifying.verify(head=sent).is_intact


def test_an_old_head_that_somebody_put_into_the_table_is_not_sent(
    settings: LazySettings, tmp_path: Path
) -> None:
    """Its signature is right, and it would hide that the log is cut behind it."""
    settings.AUDIT_HEAD_TO = f"file://{tmp_path}/sent.json"
    write()
    tasks.keep_head()
    old = DailyHead.objects.get()
    write()
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        DailyHead.objects.create(day=timezone.now().date(), head=old.head)  # by SQL, as the application may
        tasks.keep_head()
        assert read_head(tmp_path / "sent.json").position == 6
        assert read_head(heads.folder() / f"{timezone.now():%Y-%m-%d}.json").position == 6


def test_a_failure_is_an_event_once_a_day_and_is_tried_again_later_and_later(settings: LazySettings) -> None:
    write()
    start = (timezone.now() + timedelta(days=1)).replace(hour=1)  # a new day is a new head, and tried at once
    with serving(says(503)) as receiver:
        settings.AUDIT_HEAD_TO = receiver.url
        tried = []
        for quarter in range(24):
            with time_machine.travel(start + timedelta(minutes=15 * quarter, seconds=quarter)):
                before = len(receiver.asked)
                tasks.keep_head()
                if len(receiver.asked) > before:
                    tried.append(quarter)
    assert tried == [0, 1, 3, 7, 15]
    events = Event.objects.filter(type="log.head-not-sent")
    assert events.count() == DailyHead.objects.count()
    event = events.order_by("at")[0]
    assert event.detail["problem"] == "The receiver answered 503."
    assert "canary" not in str(list(Event.objects.values()))
    with serving(says(200)) as receiver, time_machine.travel(start + timedelta(hours=20)):
        settings.AUDIT_HEAD_TO = receiver.url
        tasks.keep_head()
        assert len(receiver.asked) == 1
    assert DailyHead.objects.filter(sent_at__isnull=False, problem="").exists()


def test_a_place_that_can_not_be_written_is_told_without_its_name(
    settings: LazySettings, tmp_path: Path
) -> None:
    (tmp_path / "canaryfile").write_text("")
    settings.AUDIT_HEAD_TO = f"file://{tmp_path}/canaryfile/below/"
    write()
    tasks.keep_head()
    told = Event.objects.get(type="log.head-not-sent")
    assert "can't be written" in told.detail["problem"]
    assert "canaryfile" not in str(told.detail)


def command(*arguments: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("audit", *arguments, "--json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


def test_the_command_prints_and_sends_the_head(settings: LazySettings, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="empty"):
        command("head")
    write()
    assert command("head")["position"] == 3
    with pytest.raises(CommandError, match="AUDIT_HEAD_TO"):
        command("head", "--send")
    settings.AUDIT_HEAD_TO = f"file://{tmp_path}/sent.json"
    command("head", "--send")
    write(2)
    assert command("head", "--send")["position"] == 5
    assert read_head(tmp_path / "sent.json").position == 5
    with serving(says(500)) as receiver:
        settings.AUDIT_HEAD_TO = receiver.url
        with pytest.raises(CommandError, match="answered 500"):
            command("head", "--send")


def test_a_head_that_was_kept_elsewhere_shows_a_cut(tmp_path: Path) -> None:
    """Also when who cut the log had the machine's own head: the file in DATA_DIR is taken back as well."""
    write(3)
    early = head_path().read_bytes()
    write(2)
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(command("head")))
    assert command("verify", "--head", str(kept))["intact"]
    cut(behind=3)
    head_path().write_bytes(early)
    assert verifying.verify().is_intact  # nothing on this machine tells
    with pytest.raises(CommandError, match="not intact"):
        command("verify", "--head", str(kept))
    (finding,) = verifying.verify(head=kept).findings
    assert (finding.problem, finding.position) == ("cut", 4)


def test_the_heads_of_earlier_days_show_a_cut_too() -> None:
    write(3)
    tasks.keep_head()
    early = head_path().read_bytes()
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        write(2)
        tasks.keep_head()
    assert verifying.verify().is_intact
    cut(behind=3)
    head_path().write_bytes(early)
    assert [(finding.problem, finding.position) for finding in verifying.verify().findings] == [("cut", 4)]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"position": 1}', "x" * 100_000])
def test_a_head_that_is_none_is_found(tmp_path: Path, content: str) -> None:
    write()
    file = tmp_path / "head.json"
    file.write_text(content)
    assert [finding.problem for finding in verifying.verify(head=file).findings] == ["head"]
    assert [finding.problem for finding in verifying.verify(head=tmp_path / "none").findings] == ["head"]


def test_a_head_in_an_archived_range_is_compared_with_the_file(tmp_path: Path) -> None:
    from accounts.audit import archiving

    Position.objects.all().delete()  # of the house's own consumers, which no worker moves on here
    write(3)
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(command("head")))
    write(4)
    archive_up_to(5)
    seal_pending()
    assert verifying.verify(head=kept, archives=archiving.folder()).is_intact
    unread = verifying.verify(head=kept)
    assert unread.is_intact
    assert "that file was not read" in unread.warnings[0]
    assert Seal.objects.count() == 3
