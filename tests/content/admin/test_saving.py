"""Saving by script and by page: sessions that ended, conflicts by field, and what other locales say."""

from django.test import Client

from content.models import Entry, Version
from tests.builders import make_collection, make_entry, make_locale
from tests.content.admin.conftest import SignIn

CANARY = '"><img src=x onerror=alert(1)>'
SCRIPT = {"X-Requested-With": "quillkeep"}
FIELDS = [
    {"key": "title", "type": "text", "localized": True},
    {"key": "text", "type": "text", "localized": True},
]


def path(entry: Entry, page: str = "change/") -> str:
    return f"/admin/content/notes/{entry.pk}/{page}"


def test_a_script_without_a_session_is_told_so_and_a_person_is_led_to_the_door(ada: Client) -> None:
    make_collection("notes", FIELDS)
    entry = make_entry("notes", title="First", published=False)
    stranger = Client()
    for url in (
        path(entry),
        path(entry, "field/title/?base=1"),
        "/admin/content/nothing/",
        "/admin/accounts/user/",
    ):
        answer = stranger.get(url, headers=SCRIPT)
        assert (answer.status_code, answer.content) == (401, b""), url
        assert stranger.get(url).status_code == 302
        assert ada.get(url, headers=SCRIPT).status_code in {200, 404}
    cautious = Client(enforce_csrf_checks=True)
    cautious.cookies = ada.cookies
    assert cautious.post(path(entry), {"f-title": "x"}, headers=SCRIPT).status_code == 401
    assert cautious.post(path(entry), {"f-title": "x"}).status_code == 403


def test_where_two_changed_one_field_the_writer_says_which_one_stays(ada: Client) -> None:
    make_collection("notes", FIELDS, localized=True)
    entry = make_entry("notes", title="First", text="Old", published=False)
    ada.post(path(entry), {"base": "1", "f-title": f"Theirs {CANARY}", "f-text": "Theirs", "_save": "1"})
    mine = {"f-title": "Mine", "f-text": "Mine", "_save": "1"}
    told = ada.post(path(entry), {"base": "1", **mine})
    assert told.status_code == 409
    assert told.content.decode().count("Which one stays?") == 2
    assert CANARY not in told.content.decode()
    assert Entry.objects.get().latest_number == 2
    saved = ada.post(path(entry), {"base": "2", **mine, "keep-title": "theirs", "keep-text": "mine"})
    assert saved.status_code == 302
    values = set(Version.objects.get(number=3).data["en"].values())
    assert values == {f"Theirs {CANARY}", "Mine"}


def test_one_field_is_read_as_it_stands_in_a_version(ada: Client, as_somebody: SignIn) -> None:
    make_collection("notes", FIELDS, localized=True)
    entry = make_entry("notes", title="First", published=False)
    ada.post(path(entry), {"base": "1", "f-title": "Second", "_save": "1"})
    for base, words in (("1", "First"), ("2", "Second")):
        assert f'value="{words}"' in ada.get(path(entry, f"field/title/?base={base}")).content.decode()
    for wrong in (
        "field/title/?base=9",
        "field/title/",
        "field/nothing/?base=1",
        "field/title/?base=1&locale=xx",
    ):
        assert ada.get(path(entry, wrong)).status_code == 404, wrong
    rita = as_somebody("rita", {"collection": "notes", "actions": ["read_draft"]})
    assert rita.get(path(entry)).status_code == 200
    assert rita.get(path(entry, "field/title/?base=1")).status_code == 404
    walter = as_somebody(
        "walter",
        {"collection": "notes", "actions": ["read_draft"], "fields": ["text"]},
        {"collection": "notes", "actions": ["update"], "fields": ["text"]},
    )
    assert walter.get(path(entry, "field/text/?base=1")).status_code == 200
    hidden = walter.get(path(entry, "field/title/?base=1"))
    assert hidden.status_code == 404
    assert hidden.content == walter.get(path(entry, "field/nothing/?base=1")).content


def test_what_another_locale_says_is_shown_to_who_may_read_it_and_never_saved(
    ada: Client, as_somebody: SignIn
) -> None:
    make_locale("de", fallback=("en",))
    make_collection("notes", FIELDS, localized=True)
    entry = make_entry("notes", title=f"English {CANARY}", published=False)
    ada.post(path(entry, "change/?locale=de"), {"base": "1", "f-text": "Deutsch", "_save": "1"})
    page = ada.get(path(entry, "change/?locale=de")).content.decode()
    assert "English says" in page
    assert 'name="f-title" value' not in page
    assert CANARY not in page
    ada.post(path(entry, "change/?locale=de"), {"base": "2", "f-title": "", "f-text": "Mehr", "_save": "1"})
    assert list(Version.objects.get(number=3).data["de"].values()) == ["Mehr"]
    for_german = {"collection": "notes", "filter": {"_locale": {"eq": "de"}}}
    walter = as_somebody(
        "walter", {**for_german, "actions": ["read_draft"]}, {**for_german, "actions": ["update"]}
    )
    page = walter.get(path(entry, "change/?locale=de")).content.decode()
    assert "Mehr" in page
    assert "says" not in page
    assert "onerror" not in page


def test_a_mark_says_what_readers_do_not_see_yet(ada: Client) -> None:
    make_collection("notes", FIELDS, localized=True)
    entry = make_entry("notes", title="First", text="Same")
    assert "Changed since it was published" not in ada.get(path(entry)).content.decode()
    ada.post(path(entry), {"base": "1", "f-title": "Second", "f-text": "Same", "_save": "1"})
    assert ada.get(path(entry)).content.decode().count("Changed since it was published") == 1
