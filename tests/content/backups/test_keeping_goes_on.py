"""Keeping backups goes on whatever happens, tells what is wrong, and believes nothing that we did not sign."""

import errno
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import time_machine
from django.conf import LazySettings
from django.db import connections
from django.utils import timezone

from accounts.access import system
from accounts.models import Event
from content.backups import creating, keeping, manifest, postgres, proving, pruning, snapshot, verifying
from content.backups.errors import BackupError, BusyError, RefusedError
from content.backups.proving import Proof
from content.backups.stores import FolderStore, names
from content.models import Backup

pytestmark = pytest.mark.usefixtures("no_golden")
BY = system("a test")


def types() -> set[str]:
    return set(Event.objects.filter(type__startswith="backup.").values_list("type", flat=True))


def proof_of(name: str, at: datetime, problem: str = "") -> Proof:
    return Proof(name, at.isoformat(timespec="seconds"), 1, 1, 1, 1, 1, 1, 1, problem)


def keep_proof(place: FolderStore, proof: Proof, at: datetime) -> None:
    with place.write(f"proofs/{proof.name}/{at:%Y%m%dT%H%M%SZ}.json") as stream:
        stream.write(proof.signed_bytes())


# --- What does not answer is told ------------------------------------------------------------------------------------


def test_a_store_that_does_not_answer_is_told_and_so_is_what_is_overdue(
    place: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_place: FolderStore) -> None:
        raise BackupError("The storage does not answer (Timeout).")

    monkeypatch.setattr(keeping, "names", away)
    for _ in range(2):
        with pytest.raises(BackupError):
            keeping.keep(place, by=BY)
    assert types() == {"backup.failed", "backup.overdue", "backup.proof-overdue"}
    assert Event.objects.filter(type="backup.failed").count() == 1


def test_a_disk_that_is_not_mounted_is_told_and_not_taken_for_one_without_backups(place: FolderStore) -> None:
    name = keeping.create(place, by=BY).manifest.name
    place.folder.rename(place.folder.with_name("not-mounted"))
    with pytest.raises(BackupError, match="is its disk mounted"):
        keeping.keep(place, by=BY)
    assert Backup.objects.get(name=name).removed_at is None
    assert not place.folder.exists()
    assert "backup.failed" in types()
    # Where it is meant, one by hand begins anew.
    new = keeping.create(place, by=BY).manifest.name
    keeping.sync(place, by=BY)
    assert Backup.objects.get(name=name).removed_at is not None
    assert Backup.objects.get(name=new).removed_at is None


def test_a_disk_that_can_not_be_read_keeps_nobody_from_telling(
    place: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.create(place, by=BY)

    def bad(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(verifying, "verify", bad)
    with time_machine.travel(timezone.now() + timedelta(hours=23, minutes=50), tick=True):
        Backup.objects.using("owner").update(verified_at=timezone.now() - timedelta(days=2))
        assert keeping.keep(place, by=BY) == []
    assert "backup.proof-overdue" in types()


def test_a_folder_that_we_may_not_enter_is_told(place: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_place: FolderStore) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/srv/backups")

    monkeypatch.setattr(keeping, "names", closed)
    with pytest.raises(PermissionError):
        keeping.keep(place, by=BY)
    assert Event.objects.get(type="backup.failed").detail["problem"] == "PermissionError: Permission denied"


def test_a_file_that_the_disk_does_not_give_back_is_damage(
    place: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = keeping.create(place, by=BY).manifest.name

    def bad(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(verifying, "copy", bad)
    found = keeping.verify(place, name, by=BY)
    assert f"{name}/database.age can't be read to its end (Input/output error)." in found.findings
    assert "backup.damaged" in types()


def test_a_manifest_that_went_bad_is_told_at_once_and_once(place: FolderStore) -> None:
    name = keeping.create(place, by=BY).manifest.name
    now = timezone.now()
    keep_proof(place, proof_of(name, now), now)
    (place.folder / name / "manifest.json").write_text("{}")
    for _ in range(2):
        keeping.sync(place, by=BY)
    assert Event.objects.get(type="backup.damaged").subject_id == name
    row = Backup.objects.get(name=name)
    assert (row.is_whole, row.proven_at) == (False, None)


def test_one_that_is_pruned_while_manifests_are_read_is_no_damage(
    place: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = keeping.create(place, by=BY).manifest.name

    def pruned(place_: FolderStore, name_: str) -> None:
        pruning.remove(place_, name_)
        raise RefusedError(f"{name_}/manifest.json is missing.")

    monkeypatch.setattr(manifest, "read", pruned)
    keeping.sync(place, by=BY)
    assert "backup.damaged" not in types()
    assert Backup.objects.get(name=name).is_whole is True


def test_one_that_is_made_while_names_are_read_is_not_gone(
    place: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.create(place, by=BY)

    def meanwhile(place_: FolderStore) -> list[str]:
        found = names(place_)
        keeping.create(place_, by=BY)
        return found

    monkeypatch.setattr(keeping, "names", meanwhile)
    keeping.sync(place, by=BY)
    assert Backup.objects.filter(removed_at__isnull=True).count() == 2
    assert "backup.removed" not in types()


def test_a_try_is_not_forgotten_for_a_proof_from_before_it(place: FolderStore) -> None:
    name = keeping.create(place, by=BY).manifest.name
    now = timezone.now()
    keep_proof(place, proof_of(name, now - timedelta(days=8)), now - timedelta(days=8))
    Backup.objects.using("owner").update(tried_at=now)
    keeping.sync(place, by=BY)
    assert Backup.objects.get(name=name).tried_at == now


def test_what_nobody_has_ever_looked_at_is_verified_first(place: FolderStore) -> None:
    known, found = (keeping.create(place, by=BY).manifest.name for _ in range(2))
    rows = Backup.objects.using("owner")
    rows.update(verified_at=None)  # as in a new installation that finds a store
    assert keeping.keep(place, by=BY) == ["verify"]
    rows.filter(name=known).update(verified_at=timezone.now() - timedelta(days=2))
    rows.filter(name=found).update(verified_at=None)
    assert keeping.keep(place, by=BY) == ["verify"]
    assert Backup.objects.get(name=found).verified_at is not None


def test_two_keepers_at_once_are_no_failure(place: FolderStore) -> None:
    with (
        postgres.connect(postgres.owner_config()) as other,
        creating.only_one(other),
    ):
        with pytest.raises(BusyError):
            keeping.create(place, by=BY)
        with pytest.raises(BusyError):
            keeping.prune(place, by=BY)
    assert types() == set()
    keeping.create(place, by=BY)
    assert types() == {"backup.completed"}


def test_a_name_that_is_mistyped_is_no_damage(place: FolderStore) -> None:
    name = keeping.create(place, by=BY).manifest.name
    for wrong in (f"{name[:-1]}x", "../elsewhere", "20260101T000000Z-development-000000"):
        with pytest.raises(RefusedError):
            keeping.verify(place, wrong, by=BY)
    assert "backup.damaged" not in types()
    (place.folder / name / "manifest.json").unlink()  # one that was there is another matter
    assert not keeping.verify(place, name, by=BY).is_whole
    assert "backup.damaged" in types()


# --- Only what we signed counts --------------------------------------------------------------------------------------


def test_planted_names_push_no_backup_out(
    place: FolderStore, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BACKUPS = replace(settings.BACKUPS, keep=(2, 0, 0))
    now = timezone.now()
    good = [creating.create(place, now=now - timedelta(days=day)).manifest.name for day in (1, 0)]
    monkeypatch.setattr(pruning, "last_proven", lambda place, name: name == good[0] or None)
    planted = [
        "29990101T000000Z-production-000000",
        "29990102T000000Z-production-000000",
        "99999999T999999Z-production-000000",  # no time at all
    ]
    for name in planted:
        (place.folder / name).mkdir()
        (place.folder / name / "manifest.json").write_text("{}")
    done = keeping.prune(place, by=BY)
    assert done.removed == []
    assert set(good) <= set(done.kept)
    assert done.left == planted
    assert names(place) == [*good, *planted]
    assert "can be removed by hand" in done.notes[0]


def test_a_good_proof_that_is_copied_under_a_later_name_hides_no_bad_one(place: FolderStore) -> None:
    name = keeping.create(place, by=BY).manifest.name
    now = timezone.now()
    good, bad = proof_of(name, now - timedelta(days=2)), proof_of(name, now, "It does not restore.")
    keep_proof(place, good, now - timedelta(days=2))
    assert proving.last_proven(place, name) is not None
    keep_proof(place, bad, now)
    keep_proof(place, good, now + timedelta(days=1))
    assert proving.last_proven(place, name) is None


def test_a_proof_of_another_backup_is_none(place: FolderStore) -> None:
    name = keeping.create(place, by=BY).manifest.name
    other = keeping.create(place, by=BY).manifest.name
    with place.write(f"proofs/{other}/20260101T000000Z.json") as stream:
        stream.write(proof_of(name, timezone.now()).signed_bytes())
    assert proving.last_proven(place, other) is None


def test_a_proof_that_went_bad_elsewhere_is_known_here(place: FolderStore) -> None:
    name = keeping.create(place, by=BY).manifest.name
    now = timezone.now()
    keep_proof(place, proof_of(name, now - timedelta(days=1)), now - timedelta(days=1))
    keeping.sync(place, by=BY)
    assert Backup.objects.get(name=name).proven_at is not None
    keep_proof(place, proof_of(name, now, "It does not restore."), now)
    keeping.sync(place, by=BY)
    row = Backup.objects.get(name=name)
    assert row.proven_at is None
    assert row.tried_at is not None


def test_what_restored_once_and_is_damaged_now_is_proven_no_more(
    place: FolderStore, settings: LazySettings
) -> None:
    settings.BACKUPS = replace(settings.BACKUPS, keep=(1, 0, 0))
    now = timezone.now()
    names_ = [creating.create(place, now=now - timedelta(days=day)).manifest.name for day in (2, 1, 0)]
    old, middle, new = names_
    for name in (old, middle):
        keep_proof(place, proof_of(name, now), now)
    keeping.sync(place, by=BY)
    (place.folder / middle / "database.age").write_bytes(b"x")
    keeping.verify(place, middle, by=BY)
    keeping.sync(place, by=BY)
    assert Backup.objects.get(name=middle).proven_at is None
    assert Backup.objects.get(name=old).proven_at is not None
    done = keeping.prune(place, by=BY)
    assert done.removed == [middle]
    assert done.kept == [old, new]


# --- What is made can be read ----------------------------------------------------------------------------------------


def test_tables_of_somebody_else_are_backed_up_whatever_they_are_called(place: FolderStore) -> None:
    with psycopg.connect(postgres.url_of(connections["owner"].settings_dict), autocommit=True) as connection:
        connection.execute('CREATE TABLE "Of Somebody, Else" (id int)')
        try:
            name = keeping.create(place, by=BY).manifest.name
        finally:
            connection.execute('DROP TABLE "Of Somebody, Else"')
    assert manifest.read(place, name).tables["Of Somebody, Else"].rows == 0


def test_a_manifest_that_nobody_could_read_again_makes_no_backup(
    place: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creating, "version", lambda: "x" * manifest.MOST_BYTES)
    with pytest.raises(BackupError, match="too long to be read"):
        keeping.create(place, by=BY)
    monkeypatch.setattr(snapshot, "newest_seal", lambda _connection: (2**63, ""))
    monkeypatch.setattr(creating, "version", lambda: "1")
    with pytest.raises(BackupError, match="could not be read again"):
        keeping.create(place, by=BY)
    assert names(place) == []
    assert not list(Path(place.folder).rglob("*.age"))
