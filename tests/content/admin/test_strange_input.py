"""What each type of field says to text that is too long or strange: a word at its place, and nothing else lost."""

from typing import Any

import pytest
from django.test import Client

from content.models import Entry
from tests.builders import make_collection
from tests.content.admin.conftest import fields_of

ADD = "/admin/content/notes/add/"
STRANGE = "a\u202eb\u200f é é 👩‍👩‍👧‍👦🏳️‍🌈 \u0627\u0644\u0633 Z͑ͫ̓a 漢字 \ufeff\u2066x\u2069"
TYPES = ("text", "long_text", "rich_text", "markdown", "slug", "email", "url", "tags", "json", "color")
OTHERS = ("integer", "decimal", "boolean", "date", "datetime", "choice", "choices", "geo_point", "reference")


@pytest.fixture
def notes(_django_db_helper: None) -> None:
    fields: list[dict[str, Any]] = [{"key": f"{kind}_one", "type": kind} for kind in (*TYPES, *OTHERS)]
    for field in fields:
        if field["type"] in {"choice", "choices"}:
            field["options"] = {"choices": ["a", "b"]}
        if field["type"] == "reference":
            field["options"] = {"collections": ["notes"]}
    make_collection("notes", [*fields, {"key": "more", "type": "markdown"}])


@pytest.mark.parametrize(
    "kind", ["text", "long_text", "rich_text", "markdown", "slug", "url", "tags", "json"]
)
def test_two_megabytes_in_one_field_are_told_at_the_field_and_stay_in_the_form(
    ada: Client, notes: None, kind: str
) -> None:
    text = "word " * 400_000
    page = ada.post(ADD, {f"f-{kind}_one": text, "f-more": "kept", "_save": "1"})
    assert page.status_code == 400
    assert page.context["summary"][0][0] == f"field-{kind}_one"
    typed = page.content.decode()
    assert text[:1_900_000] in typed
    assert ">\nkept</textarea>" in typed
    assert not Entry.objects.exists()


@pytest.mark.parametrize("kind", [*TYPES, *OTHERS])
def test_strange_characters_are_kept_or_refused_at_the_field(ada: Client, notes: None, kind: str) -> None:
    name = "f-geo_point_one_lat" if kind == "geo_point" else f"f-{kind}_one"
    for text in (STRANGE, f"nul \x00 {STRANGE}", "\ud83d".encode("utf-8", "surrogatepass").decode("latin-1")):
        page = ada.post(ADD, {name: text, "f-more": STRANGE, "_save": "1"})
        if page.status_code == 302:
            saved = ada.get(page.headers["Location"])
            assert fields_of(saved)["f-more"].strip()
        else:
            assert page.status_code == 400
            assert {anchor for anchor, _, _ in page.context["summary"]} == {f"field-{kind}_one"}
            assert "漢字" in page.content.decode()  # what was typed in the other field
