"""Epochs: after a restore the log goes on above every position that was given away, and still proves itself."""

from pathlib import Path

import pytest
from django.db import DatabaseError, connections, transaction
from django.utils import timezone

from accounts.access import system
from accounts.audit import archiving, epochs, exporting, verifying
from accounts.audit.searching import Sought
from accounts.log import Subject, head_path, record, seal_pending
from accounts.models import Epoch, Event, Position, Seal
from tests.accounts.test_the_head_is_kept_elsewhere import cut
from tests.accounts.test_the_log_is_archived import archive_up_to

pytestmark = pytest.mark.usefixtures("_django_db_helper")


@pytest.fixture(autouse=True)
def _five(_django_db_helper: None) -> None:
    Position.objects.all().delete()
    write(5)


def write(number: int) -> None:
    for count in range(number):
        with transaction.atomic():
            record(f"a.{count}", actor=system("a test"), subject=Subject("thing", "1"))
    seal_pending()


def restored_to(position: int, *, above: int) -> Epoch:
    """Lose what is behind a position, as a restore does, and have the log go on."""
    cut(position)
    return epochs.begin(above=above, backup="b1", using="owner")


def test_the_log_goes_on_above_every_known_position_and_is_intact() -> None:
    epoch = restored_to(3, above=5)
    write(3)
    positions = list(Seal.objects.order_by("position").values_list("position", flat=True))
    assert positions == [1, 2, 3, *(epoch.first_position + number for number in range(3))]
    assert epoch.first_position == epochs.LENGTH > 5
    found = verifying.verify()
    assert found.is_intact
    assert found.checked == 6
    # The head of the history that was given up lies beside the new one, and is no finding.
    assert any("a restore gave up" in warning for warning in found.warnings)
    assert head_path().exists()


def test_each_restore_begins_an_epoch_of_its_own() -> None:
    restored_to(3, above=5)
    write(2)
    second = restored_to(epochs.LENGTH, above=epochs.LENGTH + 1)
    write(2)
    assert second.first_position == 2 * epochs.LENGTH
    assert verifying.verify().is_intact


def test_a_cut_behind_an_epoch_is_found_as_everywhere() -> None:
    restored_to(3, above=5)
    write(3)
    cut(epochs.LENGTH + 1)
    assert [finding.problem for finding in verifying.verify().findings] == ["cut"]


def test_what_is_missing_before_an_epoch_is_found() -> None:
    restored_to(4, above=5)
    write(1)
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_seal DISABLE TRIGGER USER")
        cursor.execute("ALTER TABLE accounts_event DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM accounts_seal WHERE position = 4 RETURNING event_id")
        cursor.execute("DELETE FROM accounts_event WHERE id = %s", cursor.fetchone())
        cursor.execute("ALTER TABLE accounts_seal ENABLE TRIGGER USER")
        cursor.execute("ALTER TABLE accounts_event ENABLE TRIGGER USER")
    assert "removed" in [finding.problem for finding in verifying.verify().findings]


def test_an_epoch_that_sql_wrote_covers_nothing() -> None:
    epoch = restored_to(3, above=5)
    write(1)
    forged = Epoch(
        first_position=epoch.first_position * 5, after_position=epoch.first_position, made_at=timezone.now()
    )
    forged.previous_mac, forged.backup, forged.key_id, forged.mac = "0" * 64, "b2", epoch.key_id, "0" * 64
    forged.save(using="owner", force_insert=True)
    write(1)
    assert {finding.problem for finding in verifying.verify().findings} == {"forged", "removed"}


def test_nobody_changes_an_epoch_and_the_application_makes_none() -> None:
    restored_to(3, above=5)
    for statement in (
        "UPDATE accounts_epoch SET backup = 'x'",
        "DELETE FROM accounts_epoch",
        "TRUNCATE accounts_epoch",
    ):
        with pytest.raises(DatabaseError, match="insert-only"), connections["owner"].cursor() as cursor:
            cursor.execute(statement)
    with pytest.raises(DatabaseError, match="permission denied"):
        epochs.begin(above=1, backup="b2", using="default")


def test_an_export_over_an_epoch_is_a_whole_chain(tmp_path: Path) -> None:
    restored_to(3, above=5)
    write(2)
    file = tmp_path / "log.jsonl"
    with file.open("wb") as stream:
        manifest = exporting.write(stream, format="jsonl", sought=Sought(), name=file.name)
    (tmp_path / (file.name + exporting.SUFFIX)).write_bytes(manifest.text())
    assert exporting.check(tmp_path / (file.name + exporting.SUFFIX)).findings == []
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:3], *lines[4:]]))  # the first one of the epoch
    assert "removed" in [
        item.problem for item in exporting.check(tmp_path / (file.name + exporting.SUFFIX)).findings
    ]


def test_archives_end_where_an_epoch_begins() -> None:
    restored_to(3, above=5)
    write(3)
    assert [(item.first, item.last) for item in archive_up_to(3)] == [(1, 3)]
    assert verifying.verify().is_intact
    done = list(archiving.archive(timezone.now(), by=system("a test")))
    assert [(item.first, item.last) for item in done] == [(epochs.LENGTH, epochs.LENGTH + 1)]
    assert verifying.verify().is_intact
    assert Event.objects.sealed().count() == Seal.objects.count()
