"""Exports: what they hold, that a spreadsheet runs none of it, and that a changed one is found by its manifest."""

import csv
import gc
import io
import json
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.access import Principal
from accounts.admin import log as log_pages
from accounts.audit import exporting
from accounts.audit.exporting import safe_cell
from accounts.audit.searching import Sought
from accounts.log import Subject, record, seal_pending
from accounts.models import Event
from tests.accounts.cast import Person
from tests.content.admin.conftest import sign_in

pytestmark = pytest.mark.usefixtures("_django_db_helper")
EXPORT = "/admin/accounts/event/export/"


def write(number: int = 5, label: str = "system: a test") -> None:
    for count in range(number):
        with transaction.atomic():
            record(
                f"a.{count}",
                actor=Principal("user", label=label),
                subject=Subject("thing", "1"),
                detail={"text": "ä\u2028b\r\nc", "list": [1, None]},
            )
    seal_pending()


def export(folder: Path, *arguments: str) -> Path:
    """Export by command and return the manifest's path."""
    out = io.StringIO()
    call_command("audit", "export", "--output", str(folder), "--json", *arguments, stdout=out)
    file = str(json.loads(out.getvalue().splitlines()[-1])["file"])
    return folder / (file + exporting.SUFFIX)


def verify(manifest: Path) -> list[dict[str, Any]]:
    """Check an export by command and return the findings; the exit status must say the same."""
    out = io.StringIO()
    failed = False
    try:
        call_command("audit", "verify", "--export", str(manifest), "--json", stdout=out)
    except CommandError:
        failed = True
    findings: list[dict[str, Any]] = json.loads(out.getvalue().splitlines()[-1])["findings"]
    assert failed == bool(findings)
    return findings


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_an_export_with_its_manifest_verifies(tmp_path: Path, kind: str) -> None:
    write()
    manifest = export(tmp_path, "--format", kind)
    assert verify(manifest) == []
    told = json.loads(manifest.read_text())
    assert (told["format"], told["first_position"], told["last_position"], told["count"]) == (kind, 1, 5, 5)
    for path in (manifest, tmp_path / told["file"]):
        assert path.stat().st_mode & 0o777 == 0o600


def test_json_lines_hold_what_the_chain_is_made_over(tmp_path: Path) -> None:
    write()
    manifest = exporting.read_manifest(export(tmp_path))
    lines = (tmp_path / manifest.file).read_bytes().splitlines()
    assert [json.loads(line)["type"] for line in lines] == [f"a.{number}" for number in range(5)]
    assert {"tag", "mac", "key_id", "sealed_at"} <= set(json.loads(lines[0]))


def test_csv_opens_with_a_header_and_quotes_each_cell(tmp_path: Path) -> None:
    write(2, label='Ada "the first", =1+1')
    manifest = exporting.read_manifest(export(tmp_path, "--format", "csv"))
    raw = (tmp_path / manifest.file).read_bytes().decode()
    rows = list(csv.reader(io.StringIO(raw, newline="")))
    assert rows[0] == list(exporting.COLUMNS)
    assert [row[2] for row in rows[1:]] == ["a.0", "a.1"]
    assert rows[1][6] == 'Ada "the first", =1+1'
    assert raw.startswith('"position","id"')


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", '"=1', "'=1", "\u00a0=1", "＝1", "＋1", "\ufeff=1", "   @x", " \t=1"],
)  # fmt: skip
def test_no_cell_is_a_formula(text: str, tmp_path: Path) -> None:
    assert safe_cell(text) == f"'{text}"
    write(1, label=text)
    manifest = exporting.read_manifest(export(tmp_path, "--format", "csv"))
    rows = list(csv.reader(io.StringIO((tmp_path / manifest.file).read_bytes().decode(), newline="")))
    assert rows[1][6] == f"'{text}"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        (";=1+1", ";'=1+1"),
        ('a"; =1+1;', "a\"; '=1+1;"),
        ("a\t@x", "a\t'@x"),
        ("a\r\n-1", "a\r\n'-1"),
        ('a|b";"+1', 'a|b";"\'+1'),
        ("a; b-1 = c", "a; b-1 = c"),
    ],
)
def test_no_cell_becomes_another_one_where_columns_end_otherwise(text: str, cell: str) -> None:
    """Half of Europe's spreadsheets read a semicolon, where this file has a comma (OWASP, CSV injection)."""
    assert safe_cell(text) == cell


@given(st.text())
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    cell = safe_cell(text)
    assert cell.replace("'", "") == text.replace("'", "")
    bare = cell.lstrip(' \u00a0\u3000"\ufeff\u200b')
    assert not bare[:1] or bare[0] not in "=+-@\t\r\n＝＋－＠"


def _at(line: bytes, moment: bytes) -> bytes:
    return re.sub(rb'"at":"[^"]*"', b'"at":"' + moment + b'"', line)


@pytest.mark.parametrize(
    ("spoil", "position"),
    [
        (lambda lines: [lines[0], lines[1].replace(b'"a.1"', b'"a.9"'), *lines[2:]], 2),
        (lambda lines: lines[:3], 4),
        (lambda lines: [*lines[:1], *lines[2:]], 2),
        (lambda lines: [*lines, lines[4]], 6),
        (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
        (lambda lines: [*lines[:4], lines[4][:-20]], 5),
        (lambda lines: [*lines[:2], b"nonsense\n", *lines[3:]], 3),
        (lambda lines: [lines[0].replace(b'"position":1,', b'"position":1, '), *lines[1:]], 1),
        (lambda lines: [*lines[:1], b"[" * 100_000 + b"]" * 100_000 + b"\n", *lines[2:]], 2),
        (lambda lines: [lines[0], lines[1].replace(b'"position":2,', b'"position":1e999,'), *lines[2:]], 2),
        (lambda lines: [lines[0], _at(lines[1], b"0001-01-01T00:00:00+14:00"), *lines[2:]], 2),
        (lambda lines: [lines[0], lines[1].replace(b'"list"', b'"\\ud800"'), *lines[2:]], 2),
    ],
    ids=[
        "altered",
        "cut",
        "removed",
        "repeated",
        "swapped",
        "torn",
        "nonsense",
        "blank",
        "nested",
        "infinite",
        "before time",
        "half a character",
    ],
)
def test_a_changed_export_is_found_with_the_position(
    tmp_path: Path, spoil: Callable[[list[bytes]], list[bytes]], position: int
) -> None:
    write()
    manifest = export(tmp_path)
    file = tmp_path / exporting.read_manifest(manifest).file
    file.write_bytes(b"".join(spoil(file.read_bytes().splitlines(keepends=True))))
    findings = verify(manifest)
    assert findings[0]["position"] == position, findings


def test_a_changed_csv_and_a_changed_manifest_are_found(tmp_path: Path) -> None:
    write()
    manifest = export(tmp_path, "--format", "csv")
    file = tmp_path / exporting.read_manifest(manifest).file
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b'"a.3"', b'"a.4"'))
    assert "not the file that was written" in verify(manifest)[0]["detail"]
    file.write_bytes(whole)
    assert verify(manifest) == []
    told = json.loads(manifest.read_text())
    for change in ({"count": 4}, {"file": "../x"}, {"signature": "00"}, {"key_id": "k9"}, {"head_mac": "x"}):
        manifest.write_text(json.dumps(told | change))
        assert verify(manifest)[0]["detail"].endswith("wrong signature.")
    manifest.write_text("{}")
    assert "can't be read" in verify(manifest)[0]["detail"]
    manifest.unlink()
    assert verify(manifest)
    file.unlink()


def test_a_manifest_of_another_file_does_not_fit(tmp_path: Path) -> None:
    write()
    first, second = export(tmp_path), export(tmp_path, "--after", "2")
    here, there = (exporting.read_manifest(path).file for path in (first, second))
    (tmp_path / here).write_bytes((tmp_path / there).read_bytes())
    assert verify(first)[0]["position"] == 1
    assert verify(second) == []


def test_a_part_and_a_filtered_export_verify_too(tmp_path: Path) -> None:
    write()
    part = exporting.read_manifest(manifest := export(tmp_path, "--after", "3"))
    assert (part.first_position, part.count, bool(part.previous_mac)) == (4, 2, True)
    assert verify(manifest) == []
    some = exporting.read_manifest(manifest := export(tmp_path, "--type", "a.1,a.3"))
    assert (some.first_position, some.last_position, some.count) == (2, 4, 2)
    assert some.filters == {"type": "a.1,a.3"}
    assert verify(manifest) == []
    file = tmp_path / some.file
    file.write_bytes(file.read_bytes().replace(b'"thing"', b'"thong"', 1))
    assert verify(manifest)[0]["position"] == 2
    none = export(tmp_path, "--type", "nothing.*")
    assert exporting.read_manifest(none).count == 0
    assert verify(none) == []


def test_an_export_of_a_log_that_was_tampered_with_says_where(tmp_path: Path) -> None:
    """What is exported is what stands in the tables; checking it finds what checking the log finds."""
    write()
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_event DISABLE TRIGGER USER")
        cursor.execute("UPDATE accounts_event SET type = 'x' WHERE type = 'a.2'")
        cursor.execute("ALTER TABLE accounts_event ENABLE TRIGGER USER")
    assert [finding["position"] for finding in verify(export(tmp_path))] == [3]


def test_an_export_overwrites_nothing_and_says_what_is_wrong(tmp_path: Path) -> None:
    write()
    there = tmp_path / "log.jsonl"
    there.write_text("mine")
    for arguments, text in (
        (["--output", str(there)], "is there already"),
        (["--output", str(tmp_path / "none" / "x")], "no folder"),
        (["--output", str(tmp_path / "none")], "no folder"),  # not a file of this name
        (["--output", str(tmp_path / "a b.csv")], "A name of letters"),
        (["--json"], "--output"),
        (["--after", "-1"], "--after"),
        (["--since", "soon", "--address", "x"], "--since"),
    ):
        with pytest.raises(CommandError, match=text):
            call_command("audit", "export", *arguments, stdout=io.StringIO())
    assert there.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(("log", ".log"))) == [
        "log.jsonl"
    ]


def test_an_export_is_an_event_itself(tmp_path: Path) -> None:
    write()
    told = exporting.read_manifest(export(tmp_path, "--type", "a.*"))
    event = Event.objects.get(type="log.exported")
    assert event.detail["sha256"] == told.sha256
    assert event.detail["filters"] == {"type": "a.*"}
    call_command("audit", "export", stdout=io.StringIO())
    assert Event.objects.filter(type="log.exported").count() == 2


def test_memory_stays_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times as many events take the same: they go through by batches."""
    write(800)
    monkeypatch.setattr(exporting, "_BATCH", 50)

    def collect(*_: int) -> None:
        gc.collect()  # rows refer to each other in circles

    def peak(after: int) -> int:
        with (tmp_path / "out").open("wb") as stream:
            tracemalloc.start()
            try:
                exporting.write(
                    stream,
                    format="jsonl",
                    sought=Sought(),
                    name="out",
                    after=after,
                    progress=collect,
                )
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    peak(600)
    assert peak(0) < peak(600) * 1.5


# From the admin


@pytest.fixture
def at_the_admin(ada: Person) -> Client:
    return sign_in(ada)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_the_admin_delivers_what_is_sought_with_its_manifest(
    at_the_admin: Client, ada: Person, tmp_path: Path, kind: str
) -> None:
    write()
    answer = at_the_admin.post(f"{EXPORT}?type=a.*", {"format": kind})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/zip"
    assert "no-store" in answer.headers["Cache-Control"]
    with zipfile.ZipFile(io.BytesIO(answer.getvalue())) as archive:
        archive.extractall(tmp_path)  # names that we chose ourselves
        names = archive.namelist()
    assert len(names) == 2
    manifest = tmp_path / next(name for name in names if name.endswith(exporting.SUFFIX))
    assert verify(manifest) == []
    assert exporting.read_manifest(manifest).count == 5
    event = Event.objects.get(type="log.exported")
    assert event.actor_id == ada.user.pk
    assert event.detail["count"] == 5


def test_the_admin_exports_within_a_bound(at_the_admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    monkeypatch.setattr(log_pages, "MOST_EXPORTED", 3)
    answer = at_the_admin.post(f"{EXPORT}?type=a.*", {"format": "csv"}, follow=True)
    assert "more than 3 events" in answer.content.decode()
    assert not Event.objects.filter(type="log.exported").exists()


@pytest.mark.parametrize(
    ("query", "data"),
    [("x=1", {"format": "csv"}), ("", {"format": "xlsx"}), ("", {}), ("since=x", {"format": "csv"})],
)
def test_a_strange_export_is_none(at_the_admin: Client, query: str, data: dict[str, str]) -> None:
    answer = at_the_admin.post(f"{EXPORT}?{query}", data)
    assert answer.status_code == 302
    assert not Event.objects.filter(type="log.exported").exists()
    assert at_the_admin.get(EXPORT).status_code == 405


def test_a_credential_in_the_filters_gets_nowhere(at_the_admin: Client) -> None:
    answer = at_the_admin.post(f"{EXPORT}?actor=qk_dev_abc_secretcanary", {"format": "csv"})
    assert answer.status_code == 400
    assert "secretcanary" not in str(list(Event.objects.values()))


def test_who_may_not_audit_gets_no_export(rita: Person) -> None:
    assert sign_in(rita).post(EXPORT, {"format": "csv"}).status_code == 302
    assert not Event.objects.filter(type="log.exported").exists()
