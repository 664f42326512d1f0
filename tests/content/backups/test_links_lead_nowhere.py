"""Whoever can write to the folder of backups makes us read, list and remove nothing that lies elsewhere."""

from pathlib import Path

import pytest
from django.conf import LazySettings

from accounts.access import system
from content.backups import creating, keeping, pruning
from content.backups.errors import BackupError
from content.backups.stores import FolderStore, names

pytestmark = pytest.mark.usefixtures("no_golden")
BY = system("a test")
PLANTED = "20200101T000000Z-production-abcdef"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Return a folder of somebody else, which looks like a backup."""
    folder = tmp_path / "elsewhere"
    (folder / "deep").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "deep" / "precious").write_text("precious")
    return folder


def test_a_backup_that_is_a_link_is_none(
    place: FolderStore, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = keeping.create(place, by=BY).manifest.name
    (place.folder / PLANTED).symlink_to(elsewhere)
    assert names(place) == [made]
    assert list(place.keys(PLANTED)) == []
    monkeypatch.setattr(pruning, "last_proven", lambda place, name: True)
    keeping.prune(place, by=BY)
    with pytest.raises(BackupError):
        pruning.remove(place, PLANTED)
    with pytest.raises(BackupError):
        place.remove(f"{PLANTED}/deep/precious")
    assert (elsewhere / "manifest.json").exists()
    assert (elsewhere / "deep" / "precious").exists()


def test_clearing_up_does_not_go_behind_a_link(
    place: FolderStore, elsewhere: Path, settings: LazySettings
) -> None:
    (Path(settings.MEDIA_ROOT) / "one").write_bytes(b"1")
    creating.create(place)
    aside = place.folder / ".writing"
    aside.rmdir()
    aside.symlink_to(elsewhere)
    with pytest.raises(BackupError, match="is a link"):
        creating.create(place)
    aside.unlink()
    leftover = elsewhere / f".{'a' * 64}.age.123"
    leftover.write_text("precious")
    (place.folder / "objects").rename(place.folder.parent / "kept")
    (place.folder / "objects").symlink_to(elsewhere)
    with pytest.raises(BackupError, match="is a link"):
        creating.create(place)
    assert leftover.exists()
    assert (elsewhere / "deep" / "precious").exists()


def test_what_can_not_be_looked_at_is_not_taken_for_gone(
    place: FolderStore, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path(settings.MEDIA_ROOT) / "one").write_bytes(b"1")
    keeping.create(place, by=BY)
    monkeypatch.setattr(pruning, "last_proven", lambda place, name: True)

    def broken(_path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "lstat", broken)
    with pytest.raises(BackupError, match="can't be looked at"):
        names(place)
    with pytest.raises(BackupError):
        keeping.prune(place, by=BY)
    monkeypatch.undo()
    assert list((place.folder / "objects").rglob("*.age"))


def test_pruning_that_is_cut_off_leaves_nothing_for_ever(
    place: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = keeping.create(place, by=BY).manifest.name
    monkeypatch.setattr(place, "remove", lambda _key: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        pruning.remove(place, first)
    monkeypatch.undo()
    assert names(place) == []
    monkeypatch.setattr(creating, "run_golden", lambda *_, **__: [])
    assert creating.create(place).cleared == 1
    assert not list((place.folder / ".writing").iterdir())
