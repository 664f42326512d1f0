"""Retention keeps grandfathers, fathers and sons, and never lets go of the newest backup that is proven."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from hypothesis import given
from hypothesis import strategies as st

from accounts.access import system
from accounts.models import Event
from content.backups import creating, keeping, proving, pruning, verifying
from content.backups.pruning import kept, made_at
from content.backups.stores import FolderStore, names

pytestmark = pytest.mark.usefixtures("no_golden")
BY = system("a test")
BEGIN = datetime(2025, 1, 1, 2, 30, tzinfo=UTC)


def name_of(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%SZ}-production-abcdef"


def test_four_hundred_days_leave_exactly_the_set() -> None:
    alive: set[str] = set()
    for day in range(400):
        alive.add(name_of(BEGIN + timedelta(days=day)))
        alive = kept(alive, keep=(7, 4, 12), proven=alive)
    days = sorted(made_at(name).date().isoformat() for name in alive)
    last = (BEGIN + timedelta(days=399)).date()
    assert last.isoformat() == "2026-02-04"
    assert days[-7:] == [(last - timedelta(days=number)).isoformat() for number in range(6, -1, -1)]
    weeks = [day for day in days if day < days[-7]]
    assert weeks == [
        "2025-03-31", "2025-04-30", "2025-05-31", "2025-06-30", "2025-07-31", "2025-08-31", "2025-09-30",
        "2025-10-31", "2025-11-30", "2025-12-31", "2026-01-18", "2026-01-25",
    ]  # fmt: skip


@given(st.sets(st.integers(0, 900), min_size=1, max_size=60), st.data())
def test_the_newest_and_the_newest_proven_always_stay(days: set[int], data: st.DataObject) -> None:
    everything = [name_of(BEGIN + timedelta(days=day)) for day in days]
    proven = data.draw(st.sets(st.sampled_from(everything)))
    stay = kept(everything, keep=(1, 0, 0), proven=proven)
    assert max(everything) in stay
    if proven:
        assert max(proven) in stay
    assert len(stay) <= 2


def test_without_any_proof_nothing_is_removed(
    content: None, place: FolderStore, settings: LazySettings
) -> None:
    keeping.create(place, by=BY)
    keeping.create(place, by=BY)
    done = keeping.prune(place, by=BY)
    assert done.removed == []
    assert "No backup is proven" in done.notes[0]


def test_what_is_let_go_takes_its_media_files_along_unless_others_need_them(
    place: FolderStore, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(settings.MEDIA_ROOT)
    (root / "both").write_bytes(b"both")
    (root / "old").write_bytes(b"old")
    now = datetime.now(UTC)
    old = creating.create(place, now=now - timedelta(days=40)).manifest.name
    (root / "old").unlink()
    new = creating.create(place, now=now).manifest.name
    monkeypatch.setattr(pruning, "last_proven", lambda place, name: name == new or None)
    settings.BACKUPS = replace(settings.BACKUPS, keep=(1, 0, 0))
    assert keeping.prune(place, by=BY, dry_run=True).removed == [old]
    assert names(place) == [old, new]
    done = keeping.prune(place, by=BY)
    assert (done.removed, done.objects) == ([old], 1)
    assert names(place) == [new]
    assert not (place.folder / old).exists()
    assert verifying.verify(place, new).is_whole
    assert Event.objects.get(type="backup.removed").subject_id == old


def test_a_list_that_can_not_be_read_keeps_every_media_file(
    place: FolderStore, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path(settings.MEDIA_ROOT) / "one").write_bytes(b"one")
    name = keeping.create(place, by=BY).manifest.name
    monkeypatch.setattr(pruning, "last_proven", lambda place, name: True)
    (place.folder / name / "objects.jsonl").write_bytes(b"{}")
    done = keeping.prune(place, by=BY)
    assert "no media file was removed" in done.notes[0]
    assert list((place.folder / "objects").rglob("*.age"))


def test_proofs_are_removed_with_their_backup(place: FolderStore) -> None:
    name = keeping.create(place, by=BY).manifest.name
    with place.write(f"proofs/{name}/20260101T000000Z.json") as stream:
        stream.write(b"{}")
    pruning.remove(place, name)
    assert not list((place.folder / "proofs").rglob("*.json"))
    assert proving.proofs(place, name) == []
