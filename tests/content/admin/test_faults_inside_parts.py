"""What is wrong inside of a part stands at its very input, and the summary leads there."""

from typing import Any

import pytest
from django.test import Client

from tests.builders import make_collection, make_entry

CANARY = '"><img src=x onerror=alert(1)>'


@pytest.fixture
def ids(_django_db_helper: None) -> dict[str, str]:
    fields: list[dict[str, Any]] = [
        {"key": "words", "type": "text", "required": True, "help": "Say it.", "options": {"max_length": 5}},
        {"key": "year", "type": "integer"},
    ]
    quote = make_collection("quote", fields, kind="component", name=f"Quote {CANARY}")
    inner = [{"key": "inner", "type": "blocks", "options": {"components": ["quote"]}}]
    columns = make_collection("columns", inner, kind="component", name="Columns")
    make_collection(
        "pages",
        [
            {"key": "title", "type": "text"},
            {"key": "blocks", "type": "blocks", "options": {"components": ["quote", "columns"]}},
            {"key": "one", "type": "component", "options": {"components": ["quote"]}},
        ],
    )
    return {spec.key: str(spec.id) for spec in (quote, columns)}


def test_a_fault_that_only_the_server_finds_stands_at_its_input(ada: Client, ids: dict[str, str]) -> None:
    sent = {
        "f-title": "Kept", "f-blocks-count": "4", "f-one-count": "1", "_save": "1",
        "f-blocks-0-_component": ids["quote"], "f-blocks-0-words": "removed", "f-blocks-0-_delete": "on",
        "f-blocks-1-_component": ids["quote"], "f-blocks-1-words": "fine", "f-blocks-1-_order": "9",
        "f-blocks-3-_component": ids["columns"], "f-blocks-3-_order": "1", "f-blocks-3-inner-count": "1",
        "f-blocks-3-inner-0-_component": ids["quote"], "f-blocks-3-inner-0-words": "much too long",
        "f-one-0-_component": ids["quote"], "f-one-0-words": "longer than five",
    }  # fmt: skip
    answer = ada.post("/admin/content/pages/add/", sent)
    assert answer.status_code == 400
    page = answer.content.decode()
    at = "f-blocks-3-inner-0-words"
    assert f'<div class="qk-field" id="at-{at}"' in page
    assert f'href="#at-{at}"' in page
    assert "Blocks › Columns 1 › Inner › Quote" in page
    (tag,) = [part for part in page.split("<") if f'name="{at}"' in part]
    assert f'aria-describedby="id_{at}_helptext id_{at}-errors"' in tag
    assert 'aria-invalid="true"' in tag
    notes = page.split(f'data-island="notes-{at}">')[1].split("</div>")[0]
    assert f'<ul class="errorlist" id="id_{at}-errors"><li>At most 5 characters' in notes
    assert page.split('data-island="notes-f-blocks-1-words">')[1].startswith("</div>")
    assert page.split('data-island="notes-f-one-0-words">')[1].startswith('<ul class="errorlist"')
    assert 'id="field-blocks-errors"' not in page
    assert CANARY not in page
    # What the form itself can't read, too.
    page = ada.post(
        "/admin/content/pages/add/", {**sent, "f-blocks-3-inner-0-year": "no year"}
    ).content.decode()
    assert page.split('data-island="notes-f-blocks-3-inner-0-year">')[1].startswith('<ul class="errorlist"')
    assert 'href="#at-f-blocks-3-inner-0-year"' in page


def test_what_is_missing_to_publish_stands_at_its_input_too(ada: Client, ids: dict[str, str]) -> None:
    blocks = [{"_component": "quote", "words": "fine"}, {"_component": "quote", "year": 1999}]
    entry = make_entry("pages", title="First", blocks=blocks, published=False)
    where = f"/admin/content/pages/{entry.pk}/"
    page = ada.get(f"{where}change/?missing=en").content.decode()
    assert page.split('data-island="notes-f-blocks-1-words">')[1].startswith('<ul class="errorlist"')
    assert 'href="#at-f-blocks-1-words"' in page
    assert "?locale=en&amp;missing=en#at-f-blocks-1-words" in ada.get(f"{where}publish/").content.decode()


def test_what_is_wrong_with_a_part_as_a_whole_stands_at_the_field(ada: Client, ids: dict[str, str]) -> None:
    many = {f"f-blocks-{number}-_component": ids["quote"] for number in range(201)}
    answer = ada.post("/admin/content/pages/add/", {**many, "f-blocks-count": "201", "_save": "1"})
    assert answer.status_code == 400
    assert 'id="field-blocks-errors"' in answer.content.decode()
