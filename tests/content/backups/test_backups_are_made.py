"""A backup is whole or not at all, holds one look at everything, and nobody reads it without the private key."""

import errno
import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import IO, Any

import pyrage
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connections

from accounts import encrypted
from accounts.access import system
from accounts.keyring import key_ring
from accounts.log import seal_pending
from accounts.models import Event, Seal
from content.backups import creating, golden, keeping, manifest, postgres, snapshot, verifying
from content.backups.errors import BackupError
from content.backups.stores import FolderStore, names
from content.models import Backup
from tests.builders import make_entry
from tests.content.backups.conftest import CANARY, Keys
from tests.database import ROOT

BY = system("a test")


def media(settings: LazySettings, name: str, data: bytes) -> Path:
    path = Path(settings.MEDIA_ROOT) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def everything(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_a_backup_says_what_it_holds(content: None, place: FolderStore, settings: LazySettings) -> None:
    media(settings, "one.bin", b"1" * 5000)
    seal_pending()
    made = keeping.create(place, by=BY)
    found = manifest.read(place, made.manifest.name)
    assert names(place) == [found.name]
    assert found.tables["content_publisheddocument"].rows == 3
    assert len(found.golden) == 3
    assert (found.media_files, found.media_bytes) == (1, 5000)
    assert found.log_position == Seal.objects.last_position()
    assert "content.0001_content" in found.migrations
    assert verifying.verify(place, found.name).is_whole


def test_a_document_that_the_api_fails_at_stops_no_backup(
    content: None, place: FolderStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:

    def fails(*_: object) -> None:
        raise ValueError("canary")

    monkeypatch.setattr(golden, "read_document", fails)
    read = golden.read()
    assert [item.sha256 for item in read] == [golden.UNREADABLE] * 3
    assert all(item.entry in caplog.text for item in read)
    assert "canary" not in caplog.text
    monkeypatch.setattr(creating, "run_golden", lambda *_, **__: [asdict(item) for item in read])
    made = keeping.create(place, by=BY).manifest.name
    out = StringIO()
    call_command("backup", "show", made, stdout=out)
    assert "0 read as the API gives them; the API fails at 3" in out.getvalue()


@pytest.mark.usefixtures("no_golden")
def test_what_was_made_is_told_to_the_log_and_to_pages(content: None, place: FolderStore) -> None:
    name = keeping.create(place, by=BY).manifest.name
    event = Event.objects.get(type="backup.completed")
    assert (event.subject_type, event.subject_id) == ("backup", name)
    row = Backup.objects.get()
    assert (row.name, row.is_whole, row.removed_at) == (name, True, None)


@pytest.mark.usefixtures("quick_children")
def test_nothing_of_the_content_lies_in_the_store(
    content: None, place: FolderStore, settings: LazySettings
) -> None:
    media(settings, f"{CANARY}.txt", CANARY.encode() * 100)
    keeping.create(place, by=BY)
    for path in everything(place.folder):
        assert CANARY.encode() not in path.read_bytes(), path.name
        assert CANARY not in str(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (path for path in place.folder.rglob("*") if path.is_dir()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.usefixtures("no_golden")
def test_no_secret_of_the_house_lies_in_the_store(
    content: None, place: FolderStore, settings: LazySettings, keys: Keys
) -> None:
    keeping.create(place, by=BY)
    ring = dict(settings.KEY_RING)["k1"]
    for path in everything(place.folder):
        raw = path.read_bytes()
        assert ring not in raw
        assert settings.SECRET_KEY.encode() not in raw
        assert keys.identity.encode() not in raw


@pytest.mark.usefixtures("no_golden")
def test_the_private_key_opens_it_and_a_dump_comes_out(content: None, place: FolderStore, keys: Keys) -> None:
    name = keeping.create(place, by=BY).manifest.name
    opened = pyrage.decrypt((place.folder / name / "database.age").read_bytes(), keys.opened)
    assert opened.startswith(b"PGDMP")
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt((place.folder / name / "database.age").read_bytes(), Keys().opened)


@pytest.mark.usefixtures("no_golden")
def test_a_second_backup_copies_no_media_file_again(place: FolderStore, settings: LazySettings) -> None:
    media(settings, "a/one.bin", b"1" * 5000)
    media(settings, "two.bin", b"2" * 5000)
    media(settings, "three.bin", b"1" * 5000)  # the same bytes
    assert keeping.create(place, by=BY).new_objects == 2
    again = keeping.create(place, by=BY)
    assert (again.new_objects, again.new_bytes, again.manifest.media_files) == (0, 0, 3)
    media(settings, "four.bin", b"4")
    assert keeping.create(place, by=BY).new_objects == 1
    assert all(verifying.verify(place, name).is_whole for name in names(place))


@pytest.mark.usefixtures("no_golden")
def test_a_media_file_that_is_not_what_its_name_says_stops_the_backup(
    place: FolderStore, settings: LazySettings
) -> None:
    media(settings, "ab" * 32, b"something else")
    with pytest.raises(BackupError, match="is damaged"):
        keeping.create(place, by=BY)
    assert names(place) == []
    assert list(everything(place.folder)) == []


@pytest.mark.usefixtures("no_golden")
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_only_plain_files_are_of_the_library(
    kind: str, place: FolderStore, settings: LazySettings, tmp_path: Path
) -> None:
    path = Path(settings.MEDIA_ROOT) / "odd"
    if kind == "link":
        path.symlink_to("/etc/passwd")
    else:
        os.mkfifo(path)
    with pytest.raises(BackupError, match="no plain file"):
        keeping.create(place, by=BY)


@pytest.mark.usefixtures("no_golden")
def test_it_is_one_look_at_all_tables_while_others_write(content: None, place: FolderStore) -> None:
    """Four write all the time; what is counted is what is dumped, or the proof of it would not come out."""
    stop = threading.Event()

    def write(number: int) -> None:
        count = 0
        while not stop.is_set():
            make_entry("articles", title=f"{number} {count}")
            count += 1

    writers = [threading.Thread(target=_closing(write), args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    try:
        made = keeping.create(place, by=BY)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    tables = made.manifest.tables
    assert (
        tables["content_version"].rows == tables["content_draftdocument"].rows >= tables["content_entry"].rows
    )


def _closing(act: Any) -> Any:
    def run(*arguments: Any) -> None:
        try:
            act(*arguments)
        finally:
            connections.close_all()

    return run


@pytest.mark.usefixtures("no_golden")
def test_one_that_could_not_count_is_none(place: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_connection: object) -> None:
        raise ValueError("what nobody thought of")

    monkeypatch.setattr(snapshot, "tables", fail)
    with pytest.raises(BackupError, match="could not be counted"):
        keeping.create(place, by=BY)
    assert names(place) == []


@pytest.mark.usefixtures("no_golden")
def test_it_is_as_old_as_its_look_at_the_database(
    place: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = creating._media
    began = datetime.now(UTC)
    with time_machine.travel(began, tick=True) as clock:

        def slowly(work: Any) -> Any:
            clock.shift(timedelta(hours=3))
            return copy(work)

        monkeypatch.setattr(creating, "_media", slowly)
        made = keeping.create(place, by=BY).manifest
    assert made.made - began < timedelta(minutes=5)


@pytest.mark.usefixtures("no_golden")
def test_keys_that_values_are_moved_away_from_meanwhile_are_needed(
    place: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: dict[str, dict[str, int]] = {"k0": {"a.column": 1}}
    monkeypatch.setattr(encrypted, "counts", lambda: dict(left))
    look = snapshot.newest_seal

    def moving(connection: Any) -> Any:
        left.clear()  # the worker has moved the last one, behind the look at the database
        return look(connection)

    monkeypatch.setattr(snapshot, "newest_seal", moving)
    assert keeping.create(place, by=BY).manifest.key_ids == ["k0", "k1"]


@pytest.mark.usefixtures("no_golden")
def test_a_media_folder_that_is_not_mounted_is_not_taken_for_an_empty_one(
    place: FolderStore, settings: LazySettings
) -> None:
    path = media(settings, "one.bin", b"1")
    keeping.create(place, by=BY)
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(BackupError, match="is its disk mounted"):
        keeping.create(place, by=BY)
    path.parent.mkdir()
    assert keeping.create(place, by=BY).manifest.media_files == 0


class Full(FolderStore):
    """A disk that is full after so many bytes."""

    left = 0

    @contextmanager
    def write(self, key: str) -> Iterator[IO[bytes]]:
        with super().write(key) as stream:
            yield _Filling(self, stream)  # type: ignore[misc]


class _Filling:
    def __init__(self, store: Full, stream: IO[bytes]) -> None:
        self.store, self.stream = store, stream

    def write(self, data: bytes) -> int:
        self.store.left -= len(data)
        if self.store.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.stream.write(data)

    def flush(self) -> None:
        self.stream.flush()

    def fileno(self) -> int:
        return self.stream.fileno()


@pytest.mark.usefixtures("no_golden")
@pytest.mark.parametrize("room", [0, 10_000, 40_000, 80_000])
def test_a_full_disk_leaves_nothing_and_the_backup_before_as_it_was(
    room: int, content: None, place: FolderStore, settings: LazySettings
) -> None:
    good = keeping.create(place, by=BY).manifest.name
    before = {path: path.read_bytes() for path in everything(place.folder)}
    media(settings, "big.bin", os.urandom(90_000))
    full = Full(place.folder)
    full.left = room
    with pytest.raises(BackupError, match="No space left on device"):
        keeping.create(full, by=BY)
    assert names(place) == [good]
    assert {path: path.read_bytes() for path in everything(place.folder)} == before
    event = Event.objects.get(type="backup.failed")
    assert "No space left" in event.detail["problem"]


@pytest.mark.usefixtures("quick_children")
def test_one_that_is_killed_leaves_nothing_in_the_list_and_the_next_one_clears_up(
    content: None, place: FolderStore, settings: LazySettings, keys: Keys, tmp_path: Path
) -> None:
    good = keeping.create(place, by=BY).manifest.name
    media(settings, "big.bin", os.urandom(60_000_000))
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "backup", "create"],
        env={
            **os.environ,
            "BACKUP_TO": settings.BACKUPS.to,
            "BACKUP_RECIPIENTS": keys.recipient,
            "DATA_DIR": str(Path(settings.MEDIA_ROOT).parent),
        },
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not list(place.folder.glob(".writing/*/media.age*")) and not list(
        place.folder.glob(".writing/*/.media*")
    ):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert names(place) == [good]
    assert list(place.folder.glob(".writing/*"))
    left = place.folder / "objects" / "aa" / f"{'a' * 64}.age"  # a media file that it had written whole
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(b"x")
    made = keeping.create(place, by=BY)  # nobody has to unlock anything
    assert made.cleared >= 1
    assert not list(place.folder.glob(".writing/*"))
    assert not left.exists()
    assert names(place) == sorted([good, made.manifest.name])
    assert verifying.verify(place, made.manifest.name).is_whole


def test_two_at_once_are_one_backup_and_one_sentence(place: FolderStore, settings: LazySettings) -> None:
    with (
        postgres.connect(postgres.owner_config()) as other,
        creating.only_one(other),
        pytest.raises(BackupError, match="just now"),
    ):
        keeping.create(place, by=BY)


def test_programs_of_postgresql_are_as_strict_about_tls_as_we_are() -> None:
    config = {"HOST": "db", "PORT": 5432, "USER": "u", "PASSWORD": "p", "NAME": "n"}
    strict = {"sslmode": "verify-full", "channel_binding": "require", "sslcrl": "/crl"}
    ours = {"options": "-c statement_timeout=5s", "connect_timeout": 5, "pool": True}
    found = postgres.environment_of({**config, "OPTIONS": {**strict, **ours}})
    assert (found["PGSSLMODE"], found["PGCHANNELBINDING"], found["PGSSLCRL"]) == tuple(strict.values())
    assert "PGOPTIONS" not in found
    assert found["PGCONNECT_TIMEOUT"] == "10"


def test_nothing_is_made_that_anybody_could_read(place: FolderStore, settings: LazySettings) -> None:
    settings.BACKUPS = replace(settings.BACKUPS, recipients=())
    with pytest.raises(BackupError, match="BACKUP_RECIPIENTS"):
        keeping.create(place, by=BY)


def test_without_the_owner_or_a_place_the_command_says_what_is_missing(settings: LazySettings) -> None:
    settings.BACKUPS = replace(settings.BACKUPS, to="")
    with pytest.raises(CommandError, match="BACKUP_TO is not set"):
        call_command("backup", "create")


@pytest.mark.usefixtures("no_golden")
def test_the_manifest_is_signed_so_that_others_can_check_it(content: None, place: FolderStore) -> None:
    name = keeping.create(place, by=BY).manifest.name
    document = json.loads((place.folder / name / "manifest.json").read_bytes())
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key_ring().public_half(manifest.PURPOSE)))
    body = json.dumps(document["manifest"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    public.verify(bytes.fromhex(document["signature"]), body.encode())


@pytest.mark.usefixtures("no_golden")
def test_the_json_of_the_command_is_its_last_line(
    place: FolderStore, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("backup", "create", "--json")
    made = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert made["name"] in names(place)
    call_command("backup", "list", "--json")
    listed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [item["name"] for item in listed["backups"]] == [made["name"]]
    call_command("backup", "show", "--json")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["name"] == made["name"]
