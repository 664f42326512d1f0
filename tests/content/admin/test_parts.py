"""One more part for a form that is open: what it holds, and who is refused."""

import pytest
from django.test import Client

from tests.builders import make_collection
from tests.content.admin.conftest import SignIn

CANARY = '"><img src=x onerror=alert(1)>'


@pytest.fixture
def ids(_django_db_helper: None) -> dict[str, str]:
    quote = make_collection(
        "quote", [{"key": "words", "type": "text", "default": "Dear"}, {"key": "year", "type": "integer"}], kind="component"
    )  # fmt: skip
    other = make_collection("other", [{"key": "words", "type": "text"}], kind="component")
    inner = [{"key": "inner", "type": "blocks", "options": {"components": ["quote"]}}]
    columns = make_collection("columns", inner, kind="component")
    blocks = {"key": "blocks", "type": "blocks", "options": {"components": ["quote", "columns"]}}
    make_collection("pages", [{"key": "title", "type": "text"}, blocks])
    return {spec.key: str(spec.id) for spec in (quote, other, columns)}


def test_a_new_part_has_defaults_and_a_copied_one_what_was_typed(ada: Client, ids: dict[str, str]) -> None:
    asked = {"name": "f-blocks", "number": "3", "component": ids["quote"]}
    new = ada.post("/admin/content/pages/part/", asked).content.decode()
    assert 'name="f-blocks-3-words" value="Dear"' in new
    typed = {"f-blocks-3-words": CANARY, "f-blocks-3-year": "no year"}
    copied = ada.post("/admin/content/pages/part/", {**asked, **typed}).content.decode()
    assert 'value="no year"' in copied
    assert CANARY not in copied
    nested = {
        "name": "f-blocks-0-inner",
        "number": "0",
        "component": ids["quote"],
        "f-blocks-0-_component": ids["columns"],
    }
    assert (
        'name="f-blocks-0-inner-0-words"' in ada.post("/admin/content/pages/part/", nested).content.decode()
    )


def test_nothing_else_is_answered(ada: Client, as_somebody: SignIn, ids: dict[str, str]) -> None:
    asked = {"name": "f-blocks", "number": "0", "component": ids["quote"]}
    for wrong in (
        {"name": "f-title"}, {"name": "f-nothing"}, {"name": "f-blocks-0-inner"}, {"name": "blocks"}, {"name": "f-blocks-0"},
        {"number": "-1"}, {"number": "9999"}, {"number": ""}, {"component": ids["other"]}, {"component": "nonsense"},
    ):  # fmt: skip
        assert ada.post("/admin/content/pages/part/", {**asked, **wrong}).status_code == 404, wrong
    assert ada.get("/admin/content/pages/part/").status_code == 405
    assert Client().post("/admin/content/pages/part/", asked).status_code == 302
    rita = as_somebody("rita", {"collection": "pages", "actions": ["read_draft"]})
    assert rita.post("/admin/content/pages/part/", asked).status_code == 404
    walter = as_somebody(
        "walter", {"collection": "pages", "actions": ["read_draft", "update"], "fields": ["title"]}
    )
    assert walter.post("/admin/content/pages/part/", asked).status_code == 404
    edith = as_somebody("edith", {"collection": "pages", "actions": ["read_draft", "update"]})
    assert edith.post("/admin/content/pages/part/", asked).status_code == 200
