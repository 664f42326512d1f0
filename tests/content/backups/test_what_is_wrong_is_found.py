"""Whatever happens to a backup in the store is found by verifying it, and a hostile one is refused before it is used."""

import io
import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import call_command

from accounts.access import system
from accounts.canonical import canonical_bytes
from accounts.keyring import KeyRing, key_ring
from accounts.models import Event
from content.backups import keeping, manifest, media, verifying
from content.backups.errors import RefusedError
from content.backups.stores import PARTS, FolderStore, names, object_key
from content.models import Backup
from tests.content.backups.conftest import Keys

BY = system("a test")


# One backup is enough for all of them: each test damages a copy.
@pytest.fixture(scope="session")
def kept_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept") / "backups"


@pytest.fixture
def made(kept_folder: Path, place: FolderStore, settings: LazySettings, keys: Keys, no_golden: None) -> str:
    """Return the name of a backup with three media files."""
    for number in range(3):
        (Path(settings.MEDIA_ROOT) / f"file-{number}").write_bytes(bytes([number]) * 3000)
    if not kept_folder.exists():
        keeping.create(place, by=BY)
        shutil.copytree(place.folder, kept_folder)
    else:
        shutil.copytree(kept_folder, place.folder)
    return names(place)[0]


def files_of(place: FolderStore, name: str) -> list[Path]:
    return [
        *(place.folder / name / item for item in ("manifest.json", *PARTS)),
        *sorted((place.folder / "objects").rglob("*.age")),
    ]


def test_two_hundred_flipped_bits_are_all_found(made: str, place: FolderStore) -> None:
    choose = random.Random(7)
    files = files_of(place, made)
    for _ in range(200):
        path = choose.choice(files)
        raw = path.read_bytes()
        flipped = bytearray(raw)
        flipped[choose.randrange(len(raw))] ^= 1 << choose.randrange(8)
        path.write_bytes(flipped)
        assert not verifying.verify(place, made).is_whole, path.name
        path.write_bytes(raw)
    assert verifying.verify(place, made).is_whole


def test_fifty_truncations_are_all_found(made: str, place: FolderStore) -> None:
    choose = random.Random(8)
    for _ in range(50):
        path = choose.choice(files_of(place, made))
        raw = path.read_bytes()
        path.write_bytes(raw[: choose.randrange(len(raw))])
        assert not verifying.verify(place, made).is_whole, path.name
        path.write_bytes(raw)


def test_twenty_swapped_parts_are_all_found(made: str, place: FolderStore) -> None:
    choose = random.Random(9)
    files = files_of(place, made)
    for _ in range(20):
        one, two = choose.sample(files, 2)
        first, second = one.read_bytes(), two.read_bytes()
        one.write_bytes(second)
        two.write_bytes(first)
        assert not verifying.verify(place, made).is_whole, (one.name, two.name)
        one.write_bytes(first)
        two.write_bytes(second)


def test_parts_of_two_backups_can_not_be_exchanged(made: str, place: FolderStore) -> None:
    other = keeping.create(place, by=BY).manifest.name
    for item in ("manifest.json", *PARTS[:2]):
        one, two = place.folder / made / item, place.folder / other / item
        kept = one.read_bytes()
        shutil.copy(two, one)
        assert not verifying.verify(place, made).is_whole, item
        one.write_bytes(kept)


@pytest.mark.parametrize("what", ["missing", "link", "pipe", "folder"])
def test_a_part_that_is_no_plain_file_is_found(
    what: str, made: str, place: FolderStore, tmp_path: Path
) -> None:
    path = place.folder / made / "database.age"
    kept = tmp_path / "kept"
    path.rename(kept)
    if what == "link":
        path.symlink_to(kept)  # the very same bytes, from elsewhere
    elif what == "pipe":
        os.mkfifo(path)  # opening it would wait for ever
    elif what == "folder":
        path.mkdir()
    assert not verifying.verify(place, made).is_whole


def test_a_folder_that_is_a_link_is_not_followed(made: str, place: FolderStore, tmp_path: Path) -> None:
    (place.folder / made).rename(tmp_path / "elsewhere")
    (place.folder / made).symlink_to(tmp_path / "elsewhere")
    assert not verifying.verify(place, made).is_whole


def test_what_somebody_put_there_is_found(made: str, place: FolderStore) -> None:
    (place.folder / made / "more.age").write_bytes(b"x")
    found = verifying.verify(place, made)
    assert any("more.age" in item for item in found.findings)


def test_a_file_without_end_costs_nothing(made: str, place: FolderStore) -> None:
    with (place.folder / made / "database.age").open("r+b") as file:
        file.truncate(2**40)  # a hole: it takes no room on the disk
    assert "bytes instead of" in verifying.verify(place, made).findings[0]


# --- Manifests that are not ours, or lie ----------------------------------------------------------------------------


def forge(
    place: FolderStore, name: str, change: Callable[[dict[str, Any]], None], ring: KeyRing | None = None
) -> None:
    """Put another manifest there, signed: by our own key ring unless another is given."""
    path = place.folder / name / "manifest.json"
    body = json.loads(path.read_bytes())["manifest"]
    change(body)
    key_id, signature = (ring or key_ring()).sign(canonical_bytes(body), purpose=manifest.PURPOSE)
    document = {"manifest": body, "key_id": key_id, "signature": signature}
    path.write_bytes(canonical_bytes(document) + b"\n")


def refusal_of(place: FolderStore, name: str) -> str:
    with pytest.raises(RefusedError) as caught:
        verifying.verify(place, name).require_whole()
    return str(caught.value)


def test_one_that_another_key_ring_signed_is_refused(made: str, place: FolderStore) -> None:
    stranger = KeyRing({"k1": os.urandom(32)})
    forge(place, made, lambda body: None, stranger)
    assert "signature of the manifest is wrong" in refusal_of(place, made)


def test_a_signature_in_capitals_is_another_one(made: str, place: FolderStore) -> None:
    """One bit makes an `a` an `A`, and a hexadecimal number the same one."""
    path = place.folder / made / "manifest.json"
    document = json.loads(path.read_bytes())
    document["signature"] = document["signature"].upper()
    path.write_bytes(canonical_bytes(document) + b"\n")
    assert "signature of the manifest is wrong" in refusal_of(place, made)


def test_one_whose_key_is_gone_says_which(made: str, place: FolderStore) -> None:
    forge(place, made, lambda body: None, KeyRing({"k0": os.urandom(32)}))
    assert "'k0', which is not in QUILLKEEP_KEY_RING" in refusal_of(place, made)


def test_one_from_before_a_rotation_is_read_with_the_old_key(
    made: str, place: FolderStore, settings: LazySettings
) -> None:
    settings.KEY_RING = (("k2", os.urandom(32)), *settings.KEY_RING)
    key_ring.cache_clear()
    try:
        assert verifying.verify(place, made).is_whole
    finally:
        key_ring.cache_clear()


def test_one_of_a_future_format_is_refused(made: str, place: FolderStore) -> None:
    forge(place, made, lambda body: body.update(format=2, new_member=1))
    assert "format 2" in refusal_of(place, made)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "database.age/../x", "objects/../x", "DATABASE.AGE", ""]
)
def test_no_name_of_a_part_leads_elsewhere(name: str, made: str, place: FolderStore) -> None:
    forge(place, made, lambda body: body["parts"][0].update(name=name))
    assert "makes no sense" in refusal_of(place, made)


WRONG: list[Callable[[dict[str, Any]], None]] = [
    lambda body: body["parts"].append(body["parts"][0]),
    lambda body: body["parts"].pop(),
    lambda body: body["parts"].reverse(),
    lambda body: body.pop("tables"),
    lambda body: body.update(name="../x"),
    lambda body: body.update(log_position=-1),
    lambda body: body.update(log_position=True),
    lambda body: body.update(media_bytes=2**80),
    lambda body: body["parts"][0].update(size="1"),
    lambda body: body["parts"][0].update(sha256="A" * 64),
    lambda body: body["tables"].update({"of somebody": {"rows": 1, "hash": ""}}),
    lambda body: body["tables"].update({"x" * 64: {"rows": 1, "hash": "0" * 32}}),
    lambda body: body["tables"].update({"": {"rows": 1, "hash": "0" * 32}}),
    lambda body: body.update(made_at="yesterday"),
    lambda body: body.update(made_at="2026-01-01T00:00:00"),
    lambda body: body.update(more=1),
    lambda body: body.update(format="1"),
    lambda body: body.update(golden=[{"collection": 1}]),
]


@pytest.mark.parametrize("change", WRONG)
def test_a_signed_manifest_that_can_not_be_is_refused(
    change: Callable[[dict[str, Any]], None], made: str, place: FolderStore
) -> None:
    forge(place, made, change)
    refusal_of(place, made)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"manifest": {}, "key_id": "k1", "signature": ""}',
        b'{"manifest": {}, "key_id": 1, "signature": []}',
        b"x" * (manifest.MOST_BYTES + 1),
    ],
)
def test_what_is_no_manifest_is_refused(raw: bytes, made: str, place: FolderStore) -> None:
    (place.folder / made / "manifest.json").write_bytes(raw)
    refusal_of(place, made)


def test_a_member_that_stands_twice_is_refused(made: str, place: FolderStore) -> None:
    path = place.folder / made / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":1,"format":1', 1))
    assert "not as we write it" in refusal_of(place, made)


@pytest.mark.parametrize(
    "name", ["../x", "/etc", "", "20260101T000000Z-production-abcdef", "a" * 300, "x\x00y"]
)
def test_names_that_there_are_not_are_one_sentence(name: str, place: FolderStore) -> None:
    with pytest.raises(RefusedError, match="backup list"):
        manifest.read(place, name)


# --- The list of media files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/passwd",
        "a/../../x",
        "a//b",
        "./a",
        "a/.",
        "a\\..\\b",
        "a\x00b",
        "",
        "a/",
        "x" * 300,
        "d/" * 600,
    ],
)
def test_no_path_of_a_media_file_leads_out(path: str) -> None:
    line = {"path": path, "size": 1, "sha256": "a" * 64, "object": "b" * 64}
    with pytest.raises(RefusedError):
        list(media.index_lines(io.BytesIO(json.dumps(line).encode() + b"\n")))


def test_a_sibling_whose_name_begins_alike_is_another_folder() -> None:
    assert media.is_inside("x-evil/a")
    assert not media.is_inside("../x-evil/a")


@pytest.mark.parametrize(
    "lines",
    [
        [{"name": "a" * 64, "size": 1, "sha256": "b" * 64}] * 2,
        [{"name": "../" + "a" * 61, "size": 1, "sha256": "b" * 64}],
        [{"name": "a" * 64, "size": -1, "sha256": "b" * 64}],
        [{"name": "a" * 64, "size": True, "sha256": "b" * 64}],
        [{"name": "a" * 64, "size": 1}],
        [[]],
        ["x" * 20_000],
    ],
)
def test_a_list_of_objects_that_is_not_ours_is_refused(lines: list[Any]) -> None:
    raw = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    with pytest.raises(RefusedError):
        list(media.stored_lines(io.BytesIO(raw)))


def test_a_media_file_that_is_damaged_in_the_store_is_copied_anew(
    made: str, place: FolderStore, settings: LazySettings
) -> None:
    kept = manifest.read(place, made)
    settings.BACKUPS = replace(settings.BACKUPS, recipients=tuple(kept.recipients))  # as it was made
    stored = next(iter(verifying.stored(place, kept)))
    (place.folder / object_key(stored.name)).write_bytes(b"short")
    assert keeping.create(place, by=BY).new_objects == 1


def test_damage_is_told_to_the_log(made: str, place: FolderStore) -> None:
    (place.folder / made / "media.age").write_bytes(b"x")
    keeping.sync(place, by=BY)
    keeping.verify(place, made, by=BY)
    assert Event.objects.get(type="backup.damaged").subject_id == made
    assert Backup.objects.get(name=made).is_whole is False


def test_what_is_damaged_is_not_listed_as_proven(
    made: str, place: FolderStore, capsys: pytest.CaptureFixture[str]
) -> None:
    keeping.sync(place, by=BY)
    keeping.verify(place, made, by=BY)
    call_command("backup", "list")
    assert "DAMAGED" not in capsys.readouterr().out
    (place.folder / made / "media.age").write_bytes(b"x")
    keeping.verify(place, made, by=BY)
    call_command("backup", "list")
    assert "DAMAGED" in capsys.readouterr().out
