"""Bundles of strangers (threats K3, K4, M16, BK9): refused before anything is read, and nothing has changed."""

import io
import os
import random
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accounts.models import Event
from content.bundles import form, signing, writing
from content.models import Entry
from tests.builders import make_collection, make_entry
from tests.content.bundles.forging import signed as signed_again
from tests.content.bundles.forging import split, with_lines, with_manifest
from tests.content.bundles.test_bundles import failed, run
from tests.database import TestDatabase

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(db: None, tmp_path: Path, django_db_setup: TestDatabase) -> Path:
    make_collection("articles", [{"key": "title", "type": "text"}])
    make_entry(title="One")
    make_entry(title="Two")
    run("export", tmp_path / "good", "--collection", "articles")
    django_db_setup.reset()
    make_collection("articles", [{"key": "title", "type": "text"}])
    return tmp_path / "good"


def refused(file: Path, *arguments: str) -> str:
    """Return why an import is refused, having seen that it changed nothing."""
    events = Event.objects.count()
    _, said = failed("import", file, *arguments)
    assert not Entry.objects.exists()
    assert Event.objects.count() == events
    return said


def test_the_good_one_is_taken(file: Path) -> None:
    run("import", file)
    assert Entry.objects.count() == 2


def test_an_unsigned_one_and_one_of_a_stranger_are_refused_until_the_stranger_is_trusted(file: Path) -> None:
    magic, manifest, signature, rest = split(file)
    stranger = Ed25519PrivateKey.generate()
    key = signing.PREFIX + signing._encoded(stranger.public_key().public_bytes_raw())
    other = file.with_name("other")
    other.write_bytes(signed_again(magic, manifest, rest, by=stranger))
    said = refused(other)
    assert key in said
    assert "--trust" in said
    other.write_bytes(file.read_bytes().replace(signature["key"].encode(), b""))
    assert "not signed" in refused(other)
    assert "takes" not in refused(other, "--trust", key)
    other.write_bytes(signed_again(magic, manifest, rest, by=stranger))
    run("import", other, "--trust", key)
    assert Entry.objects.count() == 2


def test_who_names_our_key_without_having_it_is_refused(file: Path) -> None:
    magic, manifest, _, rest = split(file)
    forged = signed_again(magic, manifest, rest, by=Ed25519PrivateKey.generate())
    lines = forged.split(b"\n", 3)
    stranger = signing._encoded
    lines[2] = (
        b'{"key": "'
        + signing.own_keys()[0].encode()
        + b'", "signature": "'
        + stranger(bytes(64)).encode()
        + b'"}'
    )
    other = file.with_name("other")
    other.write_bytes(b"\n".join(lines))
    assert "signature is wrong" in refused(other)


def test_not_one_flipped_bit_and_not_one_cut_gets_through(file: Path) -> None:
    good = file.read_bytes()
    other = file.with_name("other")
    chance = random.Random(7)
    for _ in range(200):
        raw = bytearray(good)
        place = chance.randrange(len(raw))
        raw[place] ^= 1 << chance.randrange(8)
        other.write_bytes(bytes(raw))
        with pytest.raises(form.BundleError):
            form.open_bundle(other, trusted=signing.own_keys())
    for _ in range(50):
        other.write_bytes(good[: chance.randrange(len(good))])
        with pytest.raises(form.BundleError):
            form.open_bundle(other, trusted=signing.own_keys())
    other.write_bytes(good + b"\n")
    assert "longer or shorter" in refused(other)
    assert not Entry.objects.exists()


def test_a_later_form_is_refused_by_its_number(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(file.read_bytes().replace(b"bundle 1\n", b"bundle 2\n", 1))
    assert "another form" in refused(other)


def test_archives_are_no_bundles_whatever_they_hold(file: Path) -> None:
    other = file.with_name("other")
    for name, kind in (
        ("../../etc/x", tarfile.REGTYPE),
        ("/etc/x", tarfile.SYMTYPE),
        ("dev", tarfile.CHRTYPE),
    ):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            item = tarfile.TarInfo(name)
            item.type, item.linkname = kind, "/etc/passwd"
            archive.addfile(item)
        other.write_bytes(buffer.getvalue())
        assert "no bundle" in refused(other)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bomb", bytes(10_000_000))
    other.write_bytes(buffer.getvalue())
    assert "no bundle" in refused(other)


def test_what_is_no_file_is_refused_at_once(file: Path) -> None:
    pipe = file.with_name("pipe")
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), file.parent):
        assert "no file" in refused(path)
    assert "can't be read" in refused(file.with_name("missing"))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda manifest: manifest["parts"][0].update(bytes=5), "longer or shorter"),
        (lambda manifest: manifest["parts"][0].update(bytes=-1), "size and sum"),
        (lambda manifest: manifest["parts"][0].update(bytes=10**18), "size and sum"),
        (lambda manifest: manifest["parts"][0].update(bytes=True), "size and sum"),
        (lambda manifest: manifest["parts"][0].update(sha256="0" * 64), "not those that were signed"),
        (lambda manifest: manifest["parts"][0].update(count=1), "more or fewer entries"),
        (lambda manifest: manifest["parts"][0].update(count=10**9), "size and sum"),
        (lambda manifest: manifest["parts"][0].update(name="../x"), "another form"),
        (lambda manifest: manifest["parts"].append(manifest["parts"][0]), "other parts"),
        (lambda manifest: manifest["parts"].append({**manifest["parts"][0], "kind": "media"}), "no media"),
        (lambda manifest: manifest.update(parts={}), "another form"),
        (lambda manifest: manifest.update(more=1), "another form"),
        (lambda manifest: manifest.update(environment="\x1b[2J"), "when and where"),
        (lambda manifest: manifest.update(collections={"../x": {}}), "another form"),
        (lambda manifest: manifest.update(collections={"articles": {"title": 5}}), "another form"),
        (lambda manifest: manifest.update(collections={}), "does not name"),
        (lambda manifest: manifest.update(made_at="x" * 2_000_000), "too long"),
    ],
)  # fmt: skip
def test_a_manifest_that_lies_is_refused_although_it_is_signed(file: Path, edit: Any, said: str) -> None:
    assert said in refused(with_manifest(file, file.with_name("other"), edit))


def lines_of(file: Path) -> list[bytes]:
    return split(file)[3].splitlines(keepends=True)


def test_lines_that_are_not_of_the_form_are_refused_although_they_are_signed(file: Path) -> None:
    one, two = lines_of(file)
    other = file.with_name("other")
    cases: list[tuple[list[bytes], str]] = [
        ([one, two, one], "stands in the bundle twice"),
        ([one, one, two], "locale twice"),
        ([one, two[:-1]], "broken off"),
        ([one, two.replace(b'"step":0', b'"step":-1')], "another form"),
        ([one, two.replace(b'"articles"', b'"secrets"')], "does not name"),
        ([one, two.replace(b'"title":', b'"other":')], "does not name"),
        ([one, two.replace(b'"id":"', b'"id":"x')], "no id"),
        ([one, two.replace(b'"fields":{', b'"fields":{"title":"a",')], "twice"),
        ([one, two.replace(b'"Two"', b"[" * 50 + b"]" * 50)], "Nested deeper"),
        ([one, b'{"a":' + b"[" * 100_000 + b"\n"], "can't be read"),
        ([one, two.replace(b'"Two"', b"NaN")], "can't be read"),
        ([one, two.replace(b'"Two"', b'"\xff"')], "can't be read"),
        ([one, two.replace(b'"Two"', b'"\\u0000"')], "can't be read"),
        ([one, two.replace(b'"Two"', b'"' + b"x" * (form.MAX_LINE + 10) + b'"')], "too long"),
    ]
    for lines, said in cases:
        assert said in refused(with_lines(file, other, lines)), said


def test_a_value_that_no_field_takes_is_a_fault_with_its_place(file: Path) -> None:
    one, two = lines_of(file)
    other = with_lines(file, file.with_name("other"), [one, two.replace(b'"Two"', b'{"a":1}')])
    result, _ = failed("import", other)
    assert [item["pointer"] for item in result["faults"]] == ["/title"]
    assert not Entry.objects.exists()


def test_an_entry_of_endless_lines_is_refused_before_they_are_held(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = split(file)[3].splitlines(keepends=True)[0]
    monkeypatch.setattr(form, "MAX_ENTRY", len(line) * 20)
    endless = with_lines(file, file.with_name("endless"), [line] * 21, count=1)
    assert "larger than a bundle takes" in refused(endless)
    run("import", file)
    for limit, why in (
        ("MAX_ENTRY", "larger than a bundle takes"),
        ("MAX_LINES", "choose fewer"),
        ("MAX_PART", "choose fewer"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(writing, limit, 1)
            _, said = failed("export", file.with_name("large"), "--collection", "articles")
        assert why in said
        assert not file.with_name("large").exists()
