"""Two versions side by side, and one field brought back."""

from django.test import Client

from content.models import Entry, Version
from tests.builders import make_collection, make_entry, make_locale
from tests.content.admin.conftest import SignIn

CANARY = '"><img src=x onerror=alert(1)>'
FIELDS = [
    {"key": "title", "type": "text", "localized": True},
    {"key": "text", "type": "long_text", "localized": True},
]


def path(entry: Entry, page: str) -> str:
    return f"/admin/content/notes/{entry.pk}/{page}"


def make_note(ada: Client) -> Entry:
    make_locale("de")
    make_collection("notes", FIELDS, localized=True)
    entry = make_entry("notes", title="First", text="The old words", published=False)
    ada.post(
        path(entry, "change/"),
        {"base": "1", "f-title": f"Second {CANARY}", "f-text": "The new words", "_save": "1"},
    )
    ada.post(path(entry, "change/?locale=de"), {"base": "2", "f-title": "Deutsch", "_save": "1"})
    return entry


def test_words_are_told_on_their_side_for_eyes_and_ears(ada: Client) -> None:
    page = ada.get(path(make_note(ada), "diff/?from=1&to=2")).content.decode()
    assert '<del><span class="visually-hidden" dir="ltr"> removed: </span>old<span' in page
    assert '<ins><span class="visually-hidden" dir="ltr"> added: </span>new<span' in page
    assert CANARY not in page


def test_one_field_comes_back_in_one_locale_and_the_rest_stays(ada: Client) -> None:
    entry = make_note(ada)
    restore = path(entry, "history/1/restore/")
    stale = ada.post(restore, {"base": "1", "field": "text", "locale": "en"}, follow=True)
    assert "Nothing was restored" in stale.content.decode()
    done = ada.post(restore, {"base": "3", "field": "text", "locale": "en"}, follow=True)
    assert "Text of version 1 is back, as version 4." in done.content.decode()
    version = Version.objects.get(number=4)
    assert set(version.data["en"].values()) == {f"Second {CANARY}", "The old words"}
    assert list(version.data["de"].values()) == ["Deutsch"]
    assert version.message == "A field of version 1 restored"  # its name is for those who may read it


def test_one_field_is_refused_to_who_may_not_see_or_write_it(ada: Client, as_somebody: SignIn) -> None:
    entry = make_note(ada)
    restore = path(entry, "history/1/restore/")
    only_title = {"collection": "notes", "fields": ["title"]}
    walter = as_somebody(
        "walter", {**only_title, "actions": ["read_draft"]}, {**only_title, "actions": ["restore"]}
    )
    for wrong in (
        {"field": "text", "locale": "en"},
        {"field": "nothing"},
        {"field": "title", "locale": "xx"},
    ):
        assert walter.post(restore, {"base": "3", **wrong}).status_code == 404, wrong
    rita = as_somebody(
        "rita", {"collection": "notes", "actions": ["read_draft"]}, {**only_title, "actions": ["restore"]}
    )
    assert rita.post(restore, {"base": "3", "field": "text", "locale": "en"}).status_code == 403
    assert "Restore Text" not in rita.get(path(entry, "diff/?from=1&to=2")).content.decode()
    assert Entry.objects.get().latest_number == 3
    assert rita.post(restore, {"base": "3", "field": "title", "locale": "en"}).status_code == 302
