"""Restoring: nothing is touched before all is verified, everything is as it was, and no door that was shut is open."""

import base64
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from django.conf import LazySettings
from django.db import connection

from accounts.access import system
from accounts.audit import epochs
from accounts.log import seal_pending
from accounts.models import ApiKey, Installation
from cms_project import restoring
from content.backups import keeping, postgres
from content.backups.errors import BackupError
from content.backups.stores import FolderStore
from previews.models import SigningKey
from tests.builders import make_key, make_user
from tests.content.backups.conftest import House, Keys, url_with
from tests.content.backups.test_what_is_wrong_is_found import forge
from tests.database import ROOT
from tests.previews.world import make_site
from tests.webhooks.world import make_endpoint

BY = system("a test")


@pytest.fixture
def installation(content: None, place: FolderStore, settings: LazySettings) -> None:
    """Make people, a key, an endpoint, documents and media files."""
    make_user("edith@example.com", roles=("administrator",))
    make_key(role="administrator")
    make_endpoint("https://hooks.example.com/")
    (Path(settings.MEDIA_ROOT) / "ä").mkdir()
    (Path(settings.MEDIA_ROOT) / "ä" / "one.bin").write_bytes(b"1" * 3000)
    seal_pending()


@pytest.fixture
def made(installation: None, place: FolderStore, no_golden: None) -> str:
    """Back it up, and leave out the documents that are read through the API: most tests are about something else."""
    return keeping.create(place, by=BY).manifest.name


def test_everything_is_back_and_every_door_is_shut(
    installation: None, place: FolderStore, house: House
) -> None:
    house.starts = True
    made = keeping.create(place, by=BY).manifest.name
    report = house.must("backup", "restore", made)
    assert house.rows("SELECT count(*) FROM content_publisheddocument", "DELIVERY_DATABASE_URL") == [(3,)]
    assert (house.data / "media" / "ä" / "one.bin").read_bytes() == b"1" * 3000
    assert report["log_goes_on_at"] == epochs.LENGTH
    # Nothing proves that the key was not revoked since, so it is off, and told.
    key = ApiKey.objects.get()
    assert [item["public_id"] for item in report["keys_disabled"]] == [key.public_id]
    assert house.rows("SELECT state FROM accounts_apikey") == [("disabled",)]
    assert house.rows("SELECT state FROM webhooks_endpoint") == [("paused",)]
    assert house.rows("SELECT count(*) FROM accounts_session WHERE ended_at IS NULL") == [(0,)]
    assert house.rows("SELECT count(*) FROM django_session") == [(0,)]
    assert house.rows("SELECT min(token_version) >= 1000 FROM accounts_user") == [(True,)]
    events = house.rows(
        "SELECT type FROM accounts_event WHERE type IN ('backup.restored', 'endpoint.paused')"
    )
    assert sorted(events) == [("backup.restored",), ("endpoint.paused",)]
    verified = house.must("audit", "verify")
    assert verified["intact"] is True
    assert verified["last_position"] > epochs.LENGTH


def test_no_row_is_lost_and_none_is_added_but_by_the_shutting(made: str, house: House) -> None:
    house.must("backup", "restore", made)
    for table in ("content_entry", "content_version", "content_publisheddocument", "accounts_policy"):
        query = f"SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t"
        with connection.cursor() as cursor:
            cursor.execute(query)
            assert house.rows(query) == cursor.fetchall(), table


def test_a_target_that_holds_something_is_replaced_only_when_asked_and_typed(made: str, house: House) -> None:
    house.must("backup", "restore", made)
    refused = house.manage("backup", "restore", made)
    assert refused.returncode == 1
    assert "--replace" in refused.stderr
    refused = house.manage("backup", "restore", made, "--replace")
    assert "say --confirm" in refused.stderr
    refused = house.manage("backup", "restore", made, "--replace", "--confirm", "another")
    assert "Nothing was done" in refused.stderr
    report = house.must("backup", "restore", made, "--replace", "--confirm", made)
    assert report["log_goes_on_at"] == 2 * epochs.LENGTH  # above what the first restore has given away
    assert house.rows("SELECT count(*) FROM pg_namespace WHERE nspname = 'quillkeep_replaced'") == [(0,)]


def test_what_is_replaced_says_which_keys_and_people_are_still_good(
    made: str, house: House, place: FolderStore
) -> None:
    kept = ApiKey.objects.get()
    make_key(role="administrator")
    gone_key = ApiKey.objects.exclude(pk=kept.pk).get()
    left = make_user("left@example.com")
    second = keeping.create(place, by=BY).manifest.name
    house.must("backup", "restore", second)
    with psycopg.connect(url_with("OWNER_DATABASE_URL", house.name), autocommit=True) as connection:
        connection.execute(
            "UPDATE accounts_apikey SET state = 'active', disabled_at = NULL WHERE id = %s", [kept.pk]
        )
        connection.execute("UPDATE accounts_user SET is_active = false WHERE id = %s", [left.pk])
    report = house.must("backup", "restore", second, "--replace", "--confirm", second)
    assert report["keys_kept"] == 1
    assert [item["public_id"] for item in report["keys_disabled"]] == [gone_key.public_id]
    assert report["people_disabled"] == ["Left"]
    assert house.rows("SELECT count(*) FROM accounts_user WHERE NOT is_active") == [(1,)]


def test_the_log_goes_on_above_what_anybody_has_seen(made: str, house: House) -> None:
    report = house.must("backup", "restore", made, "--known-position", str(7 * epochs.LENGTH + 5))
    assert report["log_goes_on_at"] == 8 * epochs.LENGTH


def test_signing_keys_of_previews_are_all_replaced(made: str, house: House, place: FolderStore) -> None:
    make_site()
    before = {str(pk) for pk in SigningKey.objects.values_list("pk", flat=True)}
    assert before
    name = keeping.create(place, by=BY).manifest.name
    house.must("backup", "restore", name)
    alive = house.rows(
        "SELECT id::text FROM previews_signingkey WHERE state IN ('pending', 'active', 'retiring')"
    )
    assert alive
    assert not before & {pk for (pk,) in alive}


# --- Refusals, with the target as it was ----------------------------------------------------------------------------


def is_untouched(house: House) -> bool:
    return house.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)] and not list(
        house.data.glob("media*")
    )


def test_one_from_a_newer_version_is_refused(made: str, house: House, place: FolderStore) -> None:
    forge(place, made, lambda body: body["migrations"].append("content.9999_from_the_future"))
    refused = house.manage("backup", "restore", made)
    assert refused.returncode == 1
    assert "newer version" in refused.stderr
    assert "content.9999_from_the_future" in refused.stderr
    assert is_untouched(house)


def test_one_of_another_environment_is_refused_unless_it_is_named(
    made: str, house: House, place: FolderStore
) -> None:
    forge(place, made, lambda body: body.update(environment="production"))
    refused = house.manage("backup", "restore", made)
    assert "--from-environment production" in refused.stderr
    assert is_untouched(house)


def test_one_of_another_environment_is_adopted_and_opens_no_door_here(
    content: None, house: House, place: FolderStore, quick_children: None
) -> None:
    make_key(role="administrator")
    Installation.objects.using("owner").update(environment="production")
    name = keeping.create(place, by=BY).manifest.name
    forge(place, name, lambda body: body.update(environment="production"))
    house.must("backup", "restore", name, "--from-environment", "production")
    assert house.rows("SELECT environment FROM accounts_installation") == [("development",)]
    assert house.rows("SELECT state FROM accounts_apikey") == [("revoked",)]
    assert house.must("audit", "verify")["intact"] is True


def test_media_files_that_are_a_mount_of_their_own_are_found_before_anything_is_done(
    place: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda _path: True)
    with (
        postgres.connect(postgres.owner_config()) as owner,
        pytest.raises(BackupError, match="a mount of its own"),
    ):
        restoring._require_target(owner, replaces=True)


def test_what_cannot_be_cleared_away_is_told_before_anything_is_done(
    place: FolderStore, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken for what is replaced now, it would be put in the place of the media files when a restore fails."""
    old = Path(settings.MEDIA_ROOT).with_name("media.replaced")
    old.mkdir()
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(BackupError, match=r"media\.replaced is left"):
        restoring._clear_leftovers()


def test_answers_that_another_version_gives_are_told_and_those_of_this_one_refused(
    installation: None, house: House, place: FolderStore
) -> None:
    made = keeping.create(place, by=BY).manifest.name
    forge(place, made, lambda body: body["golden"][0].update(sha256="0" * 64))
    refused = house.manage("backup", "restore", made)
    assert "1 of 3 documents otherwise" in refused.stderr
    assert is_untouched(house)
    forge(place, made, lambda body: body["versions"].update(quillkeep="0.0.1"))
    report = house.must("backup", "restore", made)
    assert "Another version made the backup" in report["next_steps"][0]


def test_a_damaged_one_is_refused(made: str, house: House, place: FolderStore) -> None:
    path = place.folder / made / "database.age"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    refused = house.manage("backup", "restore", made)
    assert "damaged or another one" in refused.stderr
    assert is_untouched(house)


def test_a_wrong_private_key_is_refused(made: str, house: House, tmp_path: Path) -> None:
    file = tmp_path / "identity"
    file.write_text(f"# created: today\n{Keys().identity}\n")
    refused = house.manage("backup", "restore", made, "--identity", str(file))
    assert "private key is not one of those" in refused.stderr
    assert is_untouched(house)
    file.write_text("nonsense")
    assert "age-keygen" in house.manage("backup", "restore", made, "--identity", str(file)).stderr


def test_one_whose_rows_are_others_is_undone(made: str, house: House, place: FolderStore) -> None:
    house.must("backup", "restore", made)
    before = house.rows("SELECT count(*), max(position) FROM accounts_seal")
    forge(place, made, lambda body: body["tables"]["content_entry"].update(rows=99))
    refused = house.manage("backup", "restore", made, "--replace", "--confirm", made)
    assert "content_entry has 3 rows instead of 99" in refused.stderr
    assert house.rows("SELECT count(*), max(position) FROM accounts_seal") == before
    assert (house.data / "media" / "ä" / "one.bin").exists()
    assert not (house.data / "media.restoring").exists()


def test_a_ring_without_the_old_key_is_refused(made: str, house: House) -> None:
    ring = f"k9:{base64.b64encode(os.urandom(32)).decode()}"
    refused = house.manage("backup", "restore", made, QUILLKEEP_KEY_RING=ring)
    assert "'k1', which is not in QUILLKEEP_KEY_RING" in refused.stderr
    assert is_untouched(house)


def test_one_that_is_killed_is_undone_by_one_command(made: str, house: House) -> None:
    house.must("backup", "restore", made)
    before = house.rows("SELECT count(*), max(position) FROM accounts_seal")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "backup", "restore", made, "--replace", "--confirm", made],
        env={**os.environ, **house.values},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    query = "SELECT count(*) FROM pg_namespace WHERE nspname = 'quillkeep_replaced'"
    while house.rows(query, "QUILLKEEP_TEST_ADMINISTRATOR") == [(0,)]:  # the owner would count as in use
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    refused = house.manage("backup", "restore", made, "--replace", "--confirm", made)
    assert "--undo" in refused.stderr
    house.must("backup", "restore", "--undo")
    assert house.rows("SELECT count(*), max(position) FROM accounts_seal") == before
    assert "nothing to undo" in house.manage("backup", "restore", "--undo").stderr


def restore_with(house: House, name: str, patch: str) -> "subprocess.CompletedProcess[str]":
    """Restore into a house in a process in which something goes otherwise."""
    script = f"""
import os
import django
django.setup()
import psycopg
from django.core.management import call_command
from cms_project import restoring
from content.backups import loading
restoring.WATCHED = restoring.WATCHED / 20
{patch}
call_command("backup", "restore", "{name}", replace=True, confirm="{name}")
"""
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **house.values, "DJANGO_SETTINGS_MODULE": "cms_project.settings"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


STARTS_A_WORKER_MEANWHILE = """
copy = loading.media_files

def slowly(*arguments, **words):
    found = copy(*arguments, **words)
    restoring.somebody = psycopg.connect(os.environ["DATABASE_URL"])
    return found

loading.media_files = slowly
"""
CAN_NOT_SEAL = """
def fail():
    raise OSError("No space left on device")

restoring.seal_pending = fail
"""


def test_who_comes_while_media_files_are_brought_is_in_the_way_too(made: str, house: House) -> None:
    house.must("backup", "restore", made)
    before = house.rows("SELECT count(*), max(position) FROM accounts_seal")
    assert "Stop all of them first" in restore_with(house, made, STARTS_A_WORKER_MEANWHILE).stderr
    assert house.rows("SELECT count(*), max(position) FROM accounts_seal") == before
    assert not (house.data / "media.restoring").exists()


def test_what_to_do_next_is_told_also_when_the_log_can_not_be_sealed(made: str, house: House) -> None:
    done = restore_with(house, made, CAN_NOT_SEAL)
    assert done.returncode == 0, done.stderr
    assert f"API key off: {ApiKey.objects.get().public_id}" in done.stdout


def test_it_waits_for_nobody_who_uses_the_database(made: str, house: House) -> None:
    house.must("backup", "restore", made)
    with psycopg.connect(url_with("DATABASE_URL", house.name), autocommit=True):
        refused = house.manage("backup", "restore", made, "--replace", "--confirm", made)
    assert "Stop all of them first" in refused.stderr


def test_before_a_restore_a_command_says_in_a_sentence_what_is_missing(house: House, tmp_path: Path) -> None:
    empty = house.manage("audit", "verify")
    assert empty.returncode == 1
    assert "`manage.py backup restore`" in empty.stderr
    away = house.manage("audit", "verify", DATABASE_URL=f"postgresql://a:secret@/b?host={tmp_path}")
    assert away.returncode == 1
    assert "The database is away or busy" in away.stderr
    for done in (empty, away):
        assert "Traceback" not in done.stderr
        assert "secret" not in done.stderr
