"""What goes wrong while somebody writes: too much, strange signs, a second click, a collection that changes meanwhile."""

import json
import re
import time
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import Event
from content import modeling, schema
from content.admin.whole_form import MAX_BYTES, MAX_INPUTS
from content.models import Entry, Version
from tests.builders import ROOT, make_collection, make_entry
from tests.content.admin.conftest import SignIn

CANARY = '"><img src=x onerror=alert(1)>'
SCRIPT = {"X-Requested-With": "quillkeep"}
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}
FIELDS: list[dict[str, Any]] = [
    {"key": "title", "type": "text"},
    {"key": "text", "type": "long_text"},
    {"key": "steps", "type": "markdown"},
    {"key": "more", "type": "markdown"},
    {"key": "words", "type": "rich_text"},
]


def path(entry: Entry, collection: str = "notes") -> str:
    return f"/admin/content/{collection}/{entry.pk}/change/"


def shown(answer: Any) -> str:
    return str(answer.context["form"].shown)


def change(key: str, fields: list[dict[str, Any]], **members: Any) -> None:
    spec = schema.current().by_key[key]
    raw = {"key": key, "name": key.title(), "fields": fields, **members}
    modeling.change_collection(spec.id, raw, by=ROOT, confirm=True)


def values(number: int) -> set[str]:
    return {str(item) for item in Version.objects.get(number=number).data["*"].values()}


def sent_with(shown: str | None = None, **typed: str) -> dict[str, str]:
    """Return what the form of a first version sends, besides its button."""
    fields = {f"f-{spec['key']}": typed.get(spec["key"], "") for spec in FIELDS}
    return {"base": "1", **fields, **({} if shown is None else {"shown": shown})}


# Too much


def test_two_megabytes_of_text_are_saved_by_who_is_signed_in(ada: Client) -> None:
    make_collection("notes", FIELDS)
    entry = make_entry("notes", title="First", published=False)
    half = "word " * 199_000
    sent = {**sent_with(title="Long", steps=half, more=half), "_save": "1"}
    began = time.process_time()
    answer = ada.post(path(entry), sent)
    assert answer.status_code == 302
    assert time.process_time() - began < 20
    assert half in values(2)


def test_a_field_that_is_too_long_is_told_at_the_field_and_kept(ada: Client) -> None:
    make_collection("notes", FIELDS)
    entry = make_entry("notes", title="First", published=False)
    long = "x" * 2_000_000
    sent = {**sent_with(title="Kept", text=long), "_save": "1"}
    answer = ada.post(path(entry), sent)
    assert answer.status_code == 400
    page = answer.content.decode()
    assert page.count("At most") >= 2  # at the field and in the summary
    assert "2,000,000" in page
    assert long in page
    assert 'value="Kept"' in page
    assert Entry.objects.get().latest_number == 1


def test_a_form_that_is_too_large_is_refused_with_the_numbers(ada: Client) -> None:
    make_collection("notes", FIELDS)
    entry = make_entry("notes", title="First", published=False)
    answer = ada.post(path(entry), {"base": "1", "f-title": "x" * (MAX_BYTES + 100_000), "_save": "1"})
    assert answer.status_code == 413
    assert "The form is 4.1 MB; at most 4 MB can be saved at once." in answer.content.decode()
    many = {f"f-{number}": "" for number in range(MAX_INPUTS + 1)}
    answer = ada.post(path(entry), many)
    assert answer.status_code == 413
    assert "20,000" in answer.content.decode()
    assert Entry.objects.get().latest_number == 1


def test_a_form_of_thousands_of_inputs_is_saved(ada: Client) -> None:
    inner = [{"key": f"t{number}", "type": "text"} for number in range(25)]
    part = make_collection("part", inner, kind="component")
    make_collection("pages", [{"key": "parts", "type": "components", "options": {"components": ["part"]}}])
    sent = {"f-parts-count": "100", "_save": "1"}
    for number in range(100):
        sent[f"f-parts-{number}-_component"] = str(part.id)
        sent |= {f"f-parts-{number}-t{item}": f"{number}.{item}" for item in range(25)}
    assert len(sent) > 2_500
    assert ada.post("/admin/content/pages/add/", sent).status_code == 302
    (stored,) = Version.objects.get().data["*"].values()
    assert len(stored) == 100
    assert "99.24" in stored[99].values()


def test_the_large_limits_are_for_the_form_and_for_who_is_signed_in(ada: Client) -> None:
    make_collection("notes", FIELDS)
    entry = make_entry("notes", title="First", published=False)
    large = {"base": "1", "f-title": "x" * 1_200_000, "_save": "1"}
    assert ada.post(path(entry), large).status_code == 400  # read, and told at the field
    assert ada.post("/admin/content/notes/views/", large).status_code == 413
    stranger = Client(enforce_csrf_checks=True)
    stranger.get("/admin/login/")  # without the cookie nothing is read at all
    assert stranger.post(path(entry), large).status_code == 413
    assert stranger.post("/admin/login/", large).status_code == 413
    assert (
        stranger.post(
            path(entry), {f"f-{n}": "" for n in range(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1)}
        ).status_code
        == 413
    )
    # A script is asked to sign in, whatever it sends, and then sends it again.
    assert stranger.post(path(entry), large, headers=SCRIPT).status_code == 401
    kept = stranger.post(path(entry), large, headers=FROM_HERE)
    assert kept.status_code == 413
    assert "not signed in" in kept.content.decode()


# Strange signs

SIGNS = [
    "👩‍👩‍👧‍👦 🏳️‍🌈",
    "\u200fשלום\u202eabc\u202c",
    "e\u0301o\u0308",
    "a\u200bb\ufeffc\u2028d",
    "\x00",
    "\x1b[31m",
    "\ud83d",
    CANARY,
]


@pytest.mark.parametrize("words", SIGNS, ids=range(len(SIGNS)))
def test_strange_signs_in_every_type_are_saved_or_told_at_the_field(ada: Client, words: str) -> None:
    plain = (
        "text long_text markdown rich_text slug email url integer decimal boolean date datetime color json"
    )
    types: dict[str, dict[str, Any]] = {
        **{name: {} for name in [*plain.split(), "geo_point", "tags"]},
        "choice": {"choices": ["easy", "hard"]},
        "reference": {"collections": ["notes"]},
    }  # fmt: skip
    make_collection("part", [{"key": "inner", "type": "text"}], kind="component")
    make_collection("notes", [{"key": "title", "type": "text"}])
    listed = [{"key": f"a_{name}", "type": name, "options": options} for name, options in types.items()]
    blocks = {"key": "blocks", "type": "blocks", "options": {"components": ["part"]}}
    make_collection("many", [*listed, blocks])
    part = schema.current().by_key["part"]
    sent_as = words.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    for field in listed:
        name = f"f-{field['key']}"
        several = {"geo_point": ["_lat", "_lng"], "datetime": ["_0", "_1", "_2"]}
        suffixes = several.get(str(field["type"]), [""])
        sent = {f"{name}{suffix}": sent_as for suffix in suffixes}
        answer = ada.post("/admin/content/many/add/", {**sent, "f-blocks-count": "0", "_save": "1"})
        assert answer.status_code in {302, 400}, (field, answer.status_code)
        if answer.status_code == 400:
            assert answer.context["summary"] or answer.context["general"], field
    nested = {"f-blocks-count": "1", "f-blocks-0-_component": str(part.id), "f-blocks-0-inner": sent_as}
    answer = ada.post("/admin/content/many/add/", {**nested, "_save": "1"})
    assert answer.status_code in {302, 400}
    again = {"message": sent_as, "locales": sent_as, "shown": sent_as, "without": sent_as, "base": sent_as}
    assert ada.post("/admin/content/many/add/", {**again, "_publish": "1"}).status_code in {302, 400}


# Twice


def test_a_second_click_publishes_once_and_says_no_error(ada: Client) -> None:
    make_collection("notes", FIELDS)
    entry = make_entry("notes", title="First", published=False)
    sent = {**sent_with(title="Second"), "_publish": "1"}
    answers = [ada.post(path(entry), sent) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 302]
    assert Event.objects.filter(type="entry.published").count() == 1
    assert Entry.objects.get().latest_number == 2
    where = path(entry).replace("/change/", "/publish/")
    ada.post(path(entry), {**sent, "base": "2", "f-title": "Third", "_save": "1"} | {"_publish": ""})
    before = Event.objects.filter(type="entry.published").count()
    for _ in range(2):
        assert ada.post(where, {"base": "3", "locales": "en"}).status_code == 302
    assert Event.objects.filter(type="entry.published").count() <= before + 1


def test_going_back_and_saving_an_old_page_overwrites_nothing(ada: Client) -> None:
    make_collection("notes", FIELDS)
    entry = make_entry("notes", title="First", published=False)
    sent = {"base": "1", "f-text": "", "f-steps": "", "f-more": "", "f-words": "", "_save": "1"}
    ada.post(path(entry), {**sent, "f-title": "Second"})
    ada.post(path(entry), {**sent, "base": "2", "f-title": "Third"})
    told = ada.post(path(entry), {**sent, "f-title": "Second"})  # the page of the first save, once more
    assert told.status_code == 409
    assert "Which one stays?" in told.content.decode()
    assert Entry.objects.get().latest_number == 3


# The collection changes while its form is open


def test_what_was_typed_into_a_removed_field_is_told_before_the_rest_is_saved(ada: Client) -> None:
    make_collection("notes", [*FIELDS, {"key": "gone_now", "type": "text"}])
    entry = make_entry("notes", title="First", published=False)
    opened = shown(ada.get(path(entry)))
    change("notes", FIELDS)
    sent = sent_with(shown=opened, title="Kept")
    told = ada.post(path(entry), {**sent, "f-gone_now": f"Lost? {CANARY}", "_save": "1"})
    assert told.status_code == 400
    page = told.content.decode()
    assert "“Gone now” can’t be saved here any more" in page
    assert "Lost? &quot;&gt;&lt;img" in page
    assert CANARY not in page
    assert 'value="Kept"' in page
    assert Entry.objects.get().latest_number == 1
    (ack,) = re.findall(r'name="without" value="([^"]*)"', page)
    saved = ada.post(path(entry), {**sent, "f-gone_now": "Lost?", "without": ack, "_save": "1"})
    assert saved.status_code == 302
    assert values(2) == {"Kept"}
    # An empty one is nothing to tell of.
    assert ada.post(path(entry), {**sent, "base": "2", "f-gone_now": "", "_save": "1"}).status_code == 302


def test_what_was_typed_into_a_renamed_field_is_saved_under_its_new_key(ada: Client) -> None:
    make_collection("notes", FIELDS)
    entry = make_entry("notes", title="First", text="Old", published=False)
    opened = shown(ada.get(path(entry)))
    ids = {spec.key: str(spec.id) for spec in schema.current().by_key["notes"].fields}
    renamed = [
        {**field, "id": ids[field["key"]], **({"key": "body"} if field["key"] == "text" else {})}
        for field in FIELDS
    ]
    change("notes", [*renamed, {"key": "fresh", "type": "text", "default": "Untouched"}])
    sent = sent_with(shown=opened, title="First", text="Typed")
    assert ada.post(path(entry), {**sent, "_save": "1"}).status_code == 302
    assert values(2) >= {"First", "Typed"}
    # Shown again for another fault, the new field has what is stored, not the nothing that was sent.
    again = ada.post(path(entry), {**sent, "base": "2", "message": "x" * 400, "f-text": "More", "_save": "1"})
    assert again.status_code == 400
    assert ">\nMore</textarea>" in again.content.decode()


def test_a_field_of_another_type_is_not_fed_with_what_was_typed_into_the_old_one(ada: Client) -> None:
    make_collection("notes", FIELDS)
    entry = make_entry("notes", title="First", text="Old", published=False)
    opened = shown(ada.get(path(entry)))
    change("notes", [field for field in FIELDS if field["key"] != "text"])
    change(
        "notes", [*[field for field in FIELDS if field["key"] != "text"], {"key": "text", "type": "integer"}]
    )
    sent = sent_with(shown=opened, title="Kept", text="Typed")
    told = ada.post(path(entry), {**sent, "_save": "1"})
    assert told.status_code == 400
    assert "“Text” can’t be saved here any more" in told.content.decode()
    assert "Typed" in told.content.decode()
    assert ada.post(path(entry), {**sent, "without": "text", "_save": "1"}).status_code == 302


def test_fields_of_a_component_may_change_meanwhile_too(ada: Client) -> None:
    quote = make_collection(
        "quote", [{"key": "words", "type": "text"}, {"key": "by", "type": "text"}], kind="component"
    )
    inner = {"key": "inner", "type": "blocks", "options": {"components": ["quote"]}}
    columns = make_collection("columns", [inner], kind="component")
    blocks = {"key": "blocks", "type": "blocks", "options": {"components": ["quote", "columns"]}}
    make_collection("pages", [blocks])
    opened = shown(ada.get("/admin/content/pages/add/"))
    ids = {spec.key: str(spec.id) for spec in schema.current().component("quote").fields}  # type: ignore[union-attr]
    change("quote", [{"id": ids["words"], "key": "saying", "type": "text"}], kind="component")
    sent = {
        "shown": opened, "_save": "1", "f-blocks-count": "2",
        "f-blocks-0-_component": str(quote.id), "f-blocks-0-words": "One", "f-blocks-0-by": "Somebody",
        "f-blocks-1-_component": str(columns.id), "f-blocks-1-inner-count": "1",
        "f-blocks-1-inner-0-_component": str(quote.id), "f-blocks-1-inner-0-words": "Two",
    }  # fmt: skip
    told = ada.post("/admin/content/pages/add/", sent)
    assert told.status_code == 400
    assert "“By” can’t be saved here any more" in told.content.decode()
    assert "Somebody" in told.content.decode()
    saved = ada.post("/admin/content/pages/add/", {**sent, "without": f"{quote.id}.by"})
    assert saved.status_code == 302
    stored = json.dumps(Version.objects.get().data)
    assert "One" in stored
    assert "Two" in stored


def test_nonsense_about_what_was_shown_changes_nothing(ada: Client) -> None:
    make_collection("notes", FIELDS)
    entry = make_entry("notes", title="First", published=False)
    sent = {**sent_with(title="Second"), "_save": "1"}
    for nonsense in ("", "[]", "{", '{"fields": []}', '{"fields": {"title": 1}, "parts": {}}', '{"fields": {}, "parts": []}',
                     "[" * 100_000, '{"fields": {"": ""}, "parts": {"": {"": ""}}}'):  # fmt: skip
        answer = ada.post(path(entry), {**sent, "shown": nonsense})
        assert answer.status_code in {302, 400}, nonsense[:40]


# The entry, the collection or the session goes away


def test_an_entry_that_was_trashed_meanwhile_keeps_what_is_typed(ada: Client) -> None:
    make_collection("notes", FIELDS)
    entry = make_entry("notes", title="First", published=False)
    ada.post(path(entry).replace("/change/", "/trash/"), {"confirm": "1"})
    sent = {**sent_with(title="Typed"), "_save": "1"}
    told = ada.post(path(entry), sent)
    assert told.status_code == 409
    assert "The entry is in the trash now" in told.content.decode()
    assert 'value="Typed"' in told.content.decode()
    ada.post(path(entry).replace("/change/", "/restore/"))
    assert ada.post(path(entry), sent).status_code == 302
    assert "Typed" in values(Entry.objects.get().latest_number)


def test_what_was_typed_into_a_form_that_is_gone_is_given_back(ada: Client, as_somebody: SignIn) -> None:
    make_collection("notes", FIELDS)
    entry = make_entry("notes", title="First", published=False)
    where = path(entry)
    mallory = as_somebody("mallory", {"collection": "notes", "actions": ["read"]})
    sent = {"base": "1", "f-title": f"Typed {CANARY}", "f-text": "More"}
    hidden = mallory.post(where, sent, headers=FROM_HERE)
    nothing = mallory.post("/admin/content/nothing/add/", sent, headers=FROM_HERE)
    assert hidden.status_code == nothing.status_code == 404
    assert hidden.content == nothing.content  # hidden equals missing
    assert "Typed &quot;&gt;" in hidden.content.decode()
    assert CANARY not in hidden.content.decode()
    for elsewhere in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        assert "Typed" not in mallory.post(where, sent, headers=elsewhere).content.decode()
    assert ada.post(where, {**sent, "_save": "1"}).status_code == 302


def test_a_form_is_kept_where_the_session_has_gone(ada: Client) -> None:
    make_collection("notes", FIELDS)
    entry = make_entry("notes", title="First", published=False)
    sent = {"base": "1", "f-title": f"Typed {CANARY}", "f-text": "a\nb", "csrfmiddlewaretoken": "x" * 64}
    cautious = Client(enforce_csrf_checks=True)
    told = cautious.post(path(entry), sent, headers=FROM_HERE)
    assert told.status_code == 403
    page = told.content.decode()
    assert "Not saved yet" in page
    assert CANARY not in page
    for elsewhere in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "none"}):
        answer = cautious.post(path(entry), sent, headers=elsewhere)
        assert "Typed" not in answer.content.decode()
        assert answer.status_code in {302, 403}
    # Signed in again, the token that the page holds may be an old one; the page after that holds the right one.
    cautious.cookies = ada.cookies
    again = cautious.post(path(entry), {**sent, "_save": "1"}, headers=FROM_HERE)
    assert again.status_code == 403
    (token,) = re.findall(r'name="csrfmiddlewaretoken" value="([^"]*)"', again.content.decode())
    saved = cautious.post(
        path(entry), {**sent, "csrfmiddlewaretoken": token, "_save": "1"}, headers=FROM_HERE
    )
    assert saved.status_code == 302
    assert f"Typed {CANARY}" in values(2)
