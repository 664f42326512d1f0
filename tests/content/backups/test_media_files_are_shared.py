"""Backups share media files, and none of them is ever changed by what another one needs."""

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings

from accounts.access import system
from content.backups import creating, keeping, loading, manifest, media, verifying
from content.backups.errors import BackupError
from content.backups.progress import Silent
from content.backups.stores import FolderStore, object_key
from tests.content.backups.conftest import Keys

pytestmark = pytest.mark.usefixtures("no_golden")
BY = system("a test")
DAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def file(place: FolderStore, settings: LazySettings) -> Path:
    """Return a media file; `place` is there with it."""
    path = Path(settings.MEDIA_ROOT) / "one"
    path.write_bytes(b"1" * 3000)
    return path


def damage(place: FolderStore, name: str) -> None:
    """Flip a bit of the one media file of a backup: its length stays."""
    stored = next(iter(verifying.stored(place, manifest.read(place, name))))
    path = place.folder / object_key(stored.name)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def test_a_file_that_was_away_for_one_backup_leaves_the_older_ones_whole(
    file: Path, place: FolderStore
) -> None:
    old = creating.create(place, now=DAY).manifest.name
    file.unlink()
    creating.create(place, now=DAY + timedelta(days=1))
    file.write_bytes(b"1" * 3000)  # somebody uploads it once more: the same bytes, another age file
    new = creating.create(place, now=DAY + timedelta(days=2)).manifest.name
    assert verifying.verify(place, old).findings == []
    assert verifying.verify(place, new).findings == []


def test_a_backup_that_fails_takes_no_file_of_an_older_one_along(
    file: Path, place: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = creating.create(place, now=DAY).manifest.name
    file.unlink()
    creating.create(place, now=DAY + timedelta(days=1))
    file.write_bytes(b"1" * 3000)

    def fail(_work: object) -> None:
        raise BackupError("the disk is full")

    monkeypatch.setattr(creating, "_read_back", fail)
    with pytest.raises(BackupError, match="the disk is full"):
        creating.create(place, now=DAY + timedelta(days=2))
    assert verifying.verify(place, old).findings == []


def test_after_the_recipients_changed_the_next_backup_opens_with_the_new_key_alone(
    file: Path, place: FolderStore, settings: LazySettings, keys: Keys, tmp_path: Path
) -> None:
    new_keys = Keys()
    backups = []
    for number, each in enumerate((keys, new_keys)):
        settings.BACKUPS = replace(settings.BACKUPS, recipients=(each.recipient,))
        backups.append(creating.create(place, now=DAY + timedelta(days=number)).manifest)
    for each, made in zip((keys, new_keys), backups, strict=True):
        into = tmp_path / made.name
        loading.media_files(place, made, each.opened, into=into, progress=Silent())
        assert (into / "one").read_bytes() == b"1" * 3000
    again = creating.create(place, now=DAY + timedelta(days=2))
    assert again.new_objects == 0  # once is enough


def test_after_damage_was_found_the_next_backup_does_not_rely_on_what_is_damaged(
    file: Path, place: FolderStore
) -> None:
    first = keeping.create(place, by=BY).manifest.name
    damage(place, first)
    # Nobody has looked yet: the file has its length.
    assert keeping.create(place, by=BY).new_objects == 0
    assert not keeping.verify(place, first, by=BY).is_whole
    made = keeping.create(place, by=BY)
    assert made.new_objects == 1
    assert verifying.verify(place, made.manifest.name).findings == []
    assert keeping.create(place, by=BY).new_objects == 0


def test_a_storage_that_says_that_everything_is_there_is_no_endless_search(
    file: Path, place: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creating, "_MOST_NAMES", 2)
    for number in range(2):
        path = place.folder / object_key(next(media.files(file.parent)).object(number))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"what nobody knows")
    with pytest.raises(BackupError, match="can't be right"):
        creating.create(place)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_restored_files_and_folders_are_ours_alone_whatever_the_umask(
    place: FolderStore, settings: LazySettings, tmp_path: Path, keys: Keys
) -> None:
    path = Path(settings.MEDIA_ROOT) / "a" / "b" / "c"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"deep")
    made = creating.create(place).manifest
    into = tmp_path / "restored" / "media"
    into.parent.mkdir(mode=0o700)
    loading.media_files(place, made, keys.opened, into=into, progress=Silent())
    for folder in (into, into / "a", into / "a" / "b"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder.name
    assert stat.S_IMODE((into / "a" / "b" / "c").stat().st_mode) == 0o600
    assert media.digest_of(into / "a" / "b" / "c") == media.digest_of(path)
