"""A proof restores a backup beside the living, compares everything, and is kept with it, signed."""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import time_machine
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.access import system
from accounts.alerting.reading import raise_due
from accounts.log import seal_pending
from accounts.models import Alert, Event
from content.backups import golden, keeping, loading, proving, verifying
from content.backups.errors import BackupError, WrongKeyError
from content.backups.stores import FolderStore
from content.models import Backup
from tests.builders import make_entry
from tests.content.backups.conftest import Keys, url_with
from tests.content.backups.test_what_is_wrong_is_found import forge

BY = system("a test")


def make(place: FolderStore, settings: LazySettings) -> str:
    (Path(settings.MEDIA_ROOT) / "file").write_bytes(os.urandom(3000))
    seal_pending()
    return keeping.create(place, by=BY).manifest.name


@pytest.fixture
def made(
    content: None, place: FolderStore, scratch: str, settings: LazySettings, quick_children: None
) -> str:
    return make(place, settings)


@pytest.fixture
def made_by_processes(content: None, place: FolderStore, scratch: str, settings: LazySettings) -> str:
    """Return a backup for which real processes were asked, as those are that will be asked of it."""
    return make(place, settings)


def tables_in(name: str) -> int:
    with psycopg.connect(url_with("OWNER_DATABASE_URL", name)) as connection:
        row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert row is not None
        return int(row[0])


def test_a_good_backup_is_proven_and_nothing_of_it_stays_in_the_scratch_database(
    made_by_processes: str, place: FolderStore, scratch: str
) -> None:
    made = made_by_processes
    make_entry("articles")  # what happens after it was made is no part of it
    proof = keeping.prove(place, made, by=BY)
    assert proof.is_proven, proof.problem
    assert proof.golden == 3
    assert proof.log_checked > 0
    assert proving.last_proven(place, made) == proof
    row = Backup.objects.get(name=made)
    assert row.proven_at == proof.made
    assert row.proof_seconds == proof.seconds
    assert Event.objects.get(type="backup.proven").subject_id == made
    assert tables_in(scratch) == 0


def test_no_file_with_a_name_ever_holds_what_was_decrypted_of_the_database(
    made: str, place: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    load = loading._load
    seen: list[Path] = []

    def looking(*arguments: Any) -> None:
        seen.extend((tmp_path / "tmp").iterdir())
        load(*arguments)

    monkeypatch.setattr(loading, "_load", looking)
    assert keeping.prove(place, made, by=BY).is_proven
    assert seen == []


def test_one_whose_rows_are_others_does_not_pass(made: str, place: FolderStore, scratch: str) -> None:
    forge(place, made, lambda body: body["tables"]["content_entry"].update(hash="0" * 32))
    proof = keeping.prove(place, made, by=BY)
    assert "content_entry has as many rows, and other ones" in proof.problem
    assert proving.last_proven(place, made) is None
    assert Event.objects.get(type="backup.not-proven").detail["problem"] == proof.problem
    assert tables_in(scratch) == 0
    seal_pending()
    raise_due()
    assert Alert.objects.filter(rule="backup-not-proven").exists()


def test_one_whose_documents_read_otherwise_does_not_pass(made: str, place: FolderStore) -> None:
    forge(place, made, lambda body: body["golden"][1].update(sha256="0" * 64))
    assert "1 of 3 documents otherwise" in keeping.prove(place, made, by=BY).problem


def test_what_the_api_failed_at_then_and_answers_now_makes_no_backup_bad(
    made: str, place: FolderStore
) -> None:
    forge(place, made, lambda body: body["golden"][1].update(sha256=golden.UNREADABLE))
    proof = keeping.prove(place, made, by=BY)
    assert (proof.problem, proof.golden) == ("", 2)


def test_one_whose_documents_another_version_wrote_otherwise_is_not_called_broken(
    made: str, place: FolderStore
) -> None:
    forge(place, made, lambda body: body["golden"][1].update(sha256="0" * 64))
    forge(place, made, lambda body: body["versions"].update(quillkeep="0.0.1"))
    with pytest.raises(BackupError, match="Another version made the backup"):
        keeping.prove(place, made, by=BY)
    assert not Event.objects.filter(type="backup.not-proven").exists()
    keeping.sync(place, by=BY)
    due = keeping.plan().prove_at
    assert due is not None  # and not again in five minutes, for hours
    assert due > timezone.now() + timedelta(hours=23)


def test_one_whose_log_ends_elsewhere_does_not_pass(made: str, place: FolderStore) -> None:
    forge(place, made, lambda body: body.update(log_position=body["log_position"] - 1))
    assert "log ends elsewhere" in keeping.prove(place, made, by=BY).problem


def test_a_damaged_one_is_not_even_opened(made: str, place: FolderStore) -> None:
    path = place.folder / made / "database.age"
    path.write_bytes(path.read_bytes()[:-1])
    assert "bytes instead of" in keeping.prove(place, made, by=BY).problem


def test_one_that_postgresql_does_not_take_back_does_not_pass(place: FolderStore, scratch: str) -> None:
    with psycopg.connect(
        url_with("OWNER_DATABASE_URL", connection.settings_dict["NAME"]), autocommit=True
    ) as owner:
        owner.execute(
            "CREATE TABLE later (id int); CREATE FUNCTION has_later(int) RETURNS bool LANGUAGE sql"
            " AS 'SELECT NOT EXISTS (SELECT FROM later WHERE id = $1)';"
            " CREATE TABLE earlier (id int CHECK (has_later(id))); INSERT INTO earlier VALUES (1)"
        )
        try:
            name = keeping.create(place, by=BY).manifest.name
        finally:
            owner.execute("DROP TABLE earlier; DROP FUNCTION has_later; DROP TABLE later")
    proof = keeping.prove(place, name, by=BY)
    assert "pg_restore failed" in proof.problem  # pg_dump writes no path to search, so `later` is not found
    assert Event.objects.get(type="backup.not-proven").subject_id == name


def test_the_wrong_private_key_is_said_before_all_of_it_is_read_and_takes_no_proof_away(
    made: str, place: FolderStore, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keeping.prove(place, made, by=BY).is_proven
    monkeypatch.setattr(verifying, "_check", lambda *_: pytest.fail("it was read"))
    other = Keys()
    with pytest.raises(WrongKeyError, match="private key is not one of those") as raised:
        keeping.prove(place, made, by=BY, keys=[other.identity])
    assert keys.recipient in str(raised.value)  # the one to look for
    assert other.recipient in str(raised.value)
    assert other.identity not in str(raised.value)
    assert proving.last_proven(place, made) is not None
    assert Backup.objects.get(name=made).proven_at is not None
    assert not Event.objects.filter(type="backup.not-proven").exists()


def test_a_keeper_with_the_wrong_private_key_is_told_of_once_a_day(
    made: str, place: FolderStore, settings: LazySettings
) -> None:
    settings.BACKUPS = replace(settings.BACKUPS, identities=(Keys().identity,))
    for _ in range(2):
        assert "prove" not in keeping.keep(place, by=BY)
    told = Event.objects.get(type="backup.not-proven")
    assert "private key is not one of those" in told.detail["problem"]


def test_a_later_failure_takes_the_proof_away(made: str, place: FolderStore) -> None:
    with time_machine.travel(timezone.now() - timedelta(minutes=5), tick=True):
        assert keeping.prove(place, made, by=BY).is_proven
    (place.folder / made / "media.age").write_bytes(b"x")
    assert not keeping.prove(place, made, by=BY).is_proven
    assert proving.last_proven(place, made) is None
    assert Backup.objects.get(name=made).proven_at is None


def test_one_of_an_older_version_is_not_called_broken(made: str, place: FolderStore) -> None:
    forge(place, made, lambda body: body["migrations"].remove("content.0004_backups"))
    with pytest.raises(BackupError, match="before this version's migrations"):
        keeping.prove(place, made, by=BY)
    assert not Event.objects.filter(type="backup.not-proven").exists()


def test_a_proof_that_nobody_of_us_signed_proves_nothing(made: str, place: FolderStore) -> None:
    proof = keeping.prove(place, made, by=BY)
    path = next((place.folder / "proofs" / made).iterdir())
    body = json.loads(path.read_bytes())
    body["proof"]["golden"] = 100
    path.write_text(json.dumps(body))
    assert proof.is_proven
    assert proving.last_proven(place, made) is None


def test_the_database_in_use_is_never_wiped(made: str, place: FolderStore, settings: LazySettings) -> None:
    settings.BACKUPS = replace(settings.BACKUPS, scratch_database=settings.DATABASES["owner"])
    with pytest.raises(BackupError, match="in use"):
        keeping.prove(place, made, by=BY)
    assert Backup.objects.count() == 1


def test_a_database_that_holds_something_is_never_wiped(
    made: str, place: FolderStore, settings: LazySettings, database: Callable[[str], str]
) -> None:
    name = database("somebodys")
    with psycopg.connect(url_with("OWNER_DATABASE_URL", name), autocommit=True) as connection:
        connection.execute("CREATE TABLE precious (id int)")
    settings.BACKUPS = replace(
        settings.BACKUPS, scratch_database={**settings.DATABASES["owner"], "NAME": name}
    )
    with pytest.raises(BackupError, match="no proof of ours put there"):
        keeping.prove(place, made, by=BY)
    assert tables_in(name) == 1


def test_without_a_key_or_a_scratch_database_the_command_says_what_to_do(
    made: str, settings: LazySettings
) -> None:
    settings.BACKUPS = replace(settings.BACKUPS, identities=())
    with pytest.raises(CommandError, match="--identity FILE"):
        call_command("backup", "prove")
    settings.BACKUPS = replace(settings.BACKUPS, scratch_database=None)
    with pytest.raises(CommandError, match=r"--identity FILE|SCRATCH_DATABASE_URL"):
        call_command("backup", "prove")


# --- What is due ----------------------------------------------------------------------------------------------------


def test_what_is_due_is_made_verified_and_proven(
    content: None, place: FolderStore, scratch: str, settings: LazySettings, quick_children: None
) -> None:
    assert keeping.keep(place, by=BY) == ["create", "prune", "prove"]
    assert keeping.keep(place, by=BY) == []
    with time_machine.travel(timezone.now() + timedelta(hours=25), tick=True):
        assert "create" in keeping.keep(place, by=BY)
    plan = keeping.plan()
    assert not plan.is_overdue
    assert not plan.is_proof_overdue


def test_what_is_overdue_raises_an_alert_once_a_day(place: FolderStore, settings: LazySettings) -> None:
    for _ in range(3):
        keeping.tell_overdue(by=BY)
    assert Event.objects.filter(type="backup.overdue").count() == 1
    assert Event.objects.filter(type="backup.proof-overdue").count() == 1
    seal_pending()
    raise_due()
    assert set(Alert.objects.values_list("rule", flat=True)) == {"backup-overdue", "proof-overdue"}


def test_the_table_follows_what_the_store_holds(made: str, place: FolderStore) -> None:
    Backup.objects.using("owner").all().delete()
    keeping.sync(place, by=BY)
    assert Backup.objects.get().name == made
    other = keeping.create(place, by=BY).manifest.name
    (place.folder / made / "manifest.json").unlink()
    keeping.sync(place, by=BY)
    assert Backup.objects.get(name=made).removed_at is not None
    assert Event.objects.get(type="backup.removed").subject_id == made
    assert Backup.objects.get(name=other).removed_at is None


def test_the_processes_it_asks_see_the_other_database_however_ours_is_given(
    made_by_processes: str, place: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_by_processes
    monkeypatch.setenv("DELIVERY_DATABASE_URL_VAULT", "secret/quillkeep#url")
    monkeypatch.setenv("DELIVERY_DATABASE_URL_FILE", "/nowhere")
    proof = keeping.prove(place, made, by=BY)
    assert proof.is_proven, proof.problem
