"""The admin masks personal and secret values until somebody reveals them for one page, with a reason that is kept."""

import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import Event, User
from content import editing
from content.models import Entry, ListLayout, Version
from content.schema import current
from tests.builders import make_collection, make_entry, make_locale, writing
from tests.content.admin.conftest import SignIn, collection_of

pytestmark = pytest.mark.django_db
MAIL, CODE, PHONE = "canary@example.com", "canarycode", "canaryphone"
FIELDS: list[dict[str, Any]] = [
    {"key": "name", "type": "text"},
    {"key": "mail", "type": "email", "data_class": "personal"},
    {"key": "code", "type": "text", "data_class": "secret"},
    {"key": "known", "type": "boolean", "data_class": "personal"},
    {"key": "homes", "type": "blocks", "options": {"components": ["home"]}},
]
VALUES: dict[str, Any] = {
    "name": "Ada",
    "mail": MAIL,
    "code": CODE,
    "known": True,
    "homes": [{"_component": "home", "phone": PHONE}],
}


@pytest.fixture
def entry(_django_db_helper: None) -> Entry:
    make_collection("home", [{"key": "phone", "type": "text", "data_class": "personal"}], kind="component")
    make_collection("people", FIELDS)
    return make_entry("people", **VALUES)


def url(entry: Entry, end: str = "change/") -> str:
    return f"/admin/content/people/{entry.pk}/{end}"


def sent(page: Any, **changes: str) -> dict[str, Any]:
    """Return what a browser sends of the form: inputs as they stand in the page, with changes by name."""
    text = page.content.decode()
    form = text[text.index('id="entry_form"') :]
    data: dict[str, Any] = {"base": "1"}
    for tag in re.findall(r"<input[^>]*>", form):
        found = dict(re.findall(r'([a-z]+)="([^"]*)"', tag))
        is_idle = found.get("type") in {"checkbox", "radio"} and " checked" not in tag
        if found.get("type") == "submit" or "name" not in found or is_idle:
            continue
        data.setdefault(found["name"], [])
        if isinstance(data[found["name"]], list):
            data[found["name"]].append(found.get("value", "").replace("&quot;", '"'))
        else:
            data[found["name"]] = found.get("value", "")
    data.pop("csrfmiddlewaretoken", None)
    chosen = r'<select name="(f-[^"]+)"[^>]*>(?:(?!</select>).)*?<option value="([^"]*)" selected'
    data.update(re.findall(chosen, form, re.DOTALL))
    return {**data, **changes}


def field_id(key: str) -> str:
    return str(current().by_key["people"].by_key[key].id)


def leaks(answer: Any) -> list[str]:
    return [word for word in (MAIL, CODE, PHONE) if word in answer.content.decode()]


def newest() -> dict[str, Any]:
    version = Version.objects.order_by("-number")[0]
    values = version.data["*"]
    return {spec.key: values.get(str(spec.id)) for spec in current().by_key["people"].fields}


def test_the_form_shows_how_long_a_value_is_and_not_what_it_is(ada: Client, entry: Entry) -> None:
    page = ada.get(url(entry))
    assert leaks(page) == []
    text = page.content.decode()
    assert "•••• — 18 characters" in text
    assert "4 personal or secret values are masked" in text
    assert 'value="Ada"' in text


@pytest.mark.parametrize(
    "end", ["", "history/", "publish/", "diff/?from=1&to=2", "field/mail/?base=1", "field/homes/?base=1"]
)
def test_no_page_of_the_entry_shows_them(ada: Client, entry: Entry, end: str) -> None:
    editing.save(
        entry.pk, {"mail": f"x{MAIL}", "code": f"x{CODE}", "homes": []}, writing=writing("people"), base=1
    )
    page = ada.get(url(entry, end or "change/"))
    assert page.status_code == 200
    assert leaks(page) == []
    if "diff" in end:
        assert "Its values are not shown here." in page.content.decode()


def test_saving_without_touching_keeps_what_is_stored(ada: Client, entry: Entry) -> None:
    page = ada.get(url(entry))
    assert ada.post(url(entry), sent(page, **{"f-name": "Bea", "_save": "1"})).status_code == 302
    now = newest()
    assert (now["name"], now["mail"], now["code"], now["known"]) == ("Bea", MAIL, CODE, True)
    assert now["homes"]


def test_typing_replaces_and_erasing_erases(ada: Client, entry: Entry) -> None:
    page = ada.get(url(entry))
    erase = {f"erase-{field_id('code')}": "on", f"erase-{field_id('homes')}": "on"}
    saved = ada.post(url(entry), sent(page, **{"f-mail": "new@example.com", "_save": "1"}, **erase))
    assert saved.status_code == 302
    now = newest()
    assert (now["mail"], now["code"], now["homes"], now["known"]) == ("new@example.com", None, None, True)


def test_what_was_typed_wrong_stays_and_nothing_else_is_shown(ada: Client, entry: Entry) -> None:
    page = ada.get(url(entry))
    answer = ada.post(url(entry), sent(page, **{"f-mail": "not an address", "_save": "1"}))
    assert answer.status_code == 400
    assert 'value="not an address"' in answer.content.decode()
    assert leaks(answer) == []
    fixed = ada.post(url(entry), sent(answer, **{"f-mail": "ok@example.com", "_save": "1"}))
    assert fixed.status_code == 302
    assert (newest()["mail"], newest()["code"]) == ("ok@example.com", CODE)


def test_revealing_shows_them_once_with_what_was_typed_and_is_an_event(ada: Client, entry: Entry) -> None:
    page = ada.get(url(entry))
    typed = sent(
        page, **{"f-name": "typed", "f-code": "typedcode", "_reveal": "1", "reason": " she\ncalled "}
    )
    answer = ada.post(url(entry), typed)
    assert answer.status_code == 200
    text = answer.content.decode()
    assert leaks(answer) == [MAIL, PHONE]  # the code was typed over
    assert 'value="typed"' in text
    assert 'value="typedcode"' in text
    assert 'data-unsaved="code name"' in text
    assert "no-store" in answer["Cache-Control"]
    assert Version.objects.count() == 1
    event = Event.objects.get(type="values.revealed")
    assert event.detail == {"fields": ["code", "homes", "known", "mail"], "reason": "she called"}
    assert event.subject_id == str(entry.pk)
    assert leaks(ada.get(url(entry))) == [MAIL, CODE, PHONE][3:]
    assert ada.post(url(entry), sent(answer, _save="1")).status_code == 302
    now = newest()
    assert (now["name"], now["mail"], now["code"], now["known"]) == ("typed", MAIL, "typedcode", True)
    assert now["homes"][0][str(current().by_key["home"].by_key["phone"].id)] == PHONE


@pytest.mark.parametrize("reason", ["", "  ", "no", "x" * 501, "why\x00"])
def test_without_a_reason_nothing_is_revealed_and_nothing_typed_is_lost(
    ada: Client, entry: Entry, reason: str
) -> None:
    page = ada.get(url(entry))
    answer = ada.post(url(entry), sent(page, **{"f-name": "typed", "_reveal": "1", "reason": reason}))
    assert answer.status_code == 400
    assert leaks(answer) == []
    text = answer.content.decode()
    assert 'value="typed"' in text
    assert "Say why, in 3 to 500 characters." in text
    assert '<details class="qk-group qk-reveal" open>' in text
    assert not Event.objects.filter(type="values.revealed").exists()


def test_nobody_reveals_what_they_may_not_read(as_somebody: SignIn, entry: Entry) -> None:
    acts = ("read_draft", "update")
    walter = as_somebody("walter", {"collection": "people", "actions": acts})
    page = walter.get(url(entry))
    assert "masked" not in page.content.decode()
    refused = walter.post(url(entry), sent(page, _reveal="1", reason="just to see"))
    assert (refused.status_code, leaks(refused)) == (404, [])
    assert not Event.objects.filter(type="values.revealed").exists()
    edith = as_somebody("edith", {"collection": "people", "actions": acts, "fields": ("name", "mail")})
    page = edith.get(url(entry))
    shown = edith.post(url(entry), sent(page, _reveal="1", reason="to call her"))
    assert leaks(shown) == [MAIL]
    assert Event.objects.get(type="values.revealed").detail["fields"] == ["mail"]


def test_who_may_only_read_reveals_too(as_somebody: SignIn, entry: Entry) -> None:
    rita = as_somebody(
        "rita", {"collection": "people", "actions": ("read_draft",), "fields": ("name", "mail")}
    )
    page = rita.get(url(entry))
    assert leaks(page) == []
    assert "•••• — 18 characters" in page.content.decode()
    assert leaks(rita.post(url(entry), {"base": "1", "_reveal": "1", "reason": "to call her"})) == [MAIL]
    assert rita.get(url(entry) + "?_reveal=1&reason=abc").status_code in {302, 404}


def test_a_conflict_shows_no_more_than_the_form(ada: Client, entry: Entry) -> None:
    page = ada.get(url(entry))
    editing.save(
        entry.pk, {"mail": f"their{MAIL}", "code": f"their{CODE}"}, writing=writing("people"), base=1
    )
    answer = ada.post(url(entry), sent(page, **{"f-mail": "mine@example.com", "_save": "1"}))
    assert answer.status_code == 409
    assert leaks(answer) == []
    text = answer.content.decode()
    assert "You both changed this" in text
    assert "•••• — 23 characters" in text
    kept = ada.post(url(entry), {**sent(answer, _save="1"), "base": "2", "keep-mail": "theirs"})
    assert kept.status_code == 302
    assert (newest()["mail"], newest()["code"]) == (f"their{MAIL}", f"their{CODE}")


def test_another_locale_does_not_show_what_it_falls_back_to(ada: Client) -> None:
    make_locale("de", fallback=("en",))
    make_collection("people", [{**item, "localized": True} for item in FIELDS[:3]], localized=True)
    entry = make_entry("people", name="Ada", mail=MAIL, code=CODE)
    page = ada.get(f"{url(entry)}?locale=de")
    assert page.status_code == 200
    assert "English says" in page.content.decode()  # of the name
    assert leaks(page) == []


def test_an_entry_in_the_trash_masks_and_reveals_as_well(ada: Client, entry: Entry) -> None:
    editing.trash(entry.pk, writing=writing("people"))
    page = ada.get(url(entry))
    assert leaks(page) == []
    answer = ada.post(url(entry), {"base": "1", "_reveal": "1", "reason": "a request by her"})
    assert leaks(answer) == [MAIL, CODE, PHONE]


def test_an_entry_says_when_it_is_erased(ada: Client) -> None:
    make_collection("people", FIELDS[:3], retention={"after_days": 30, "of": "created"})
    text = ada.get(url(make_entry("people", name="Ada"))).content.decode()
    assert "It is erased for good" in text
    assert "counted from when it was created" in text


def test_a_collection_s_form_sets_how_long_entries_are_kept(ada: Client) -> None:
    made = make_collection("people", FIELDS[:1])
    page = ada.get("/admin/modeling/collections/people/")
    data = {**collection_of(page), "retention": "30", "retention_of": "updated"}
    assert ada.post("/admin/modeling/collections/people/", data).status_code == 302
    found = current().by_id[made.id].retention
    assert found is not None
    assert (found.after_days, found.of) == (30, "updated")
    for wrong in ("0", "x", "99999999"):
        refused = ada.post("/admin/modeling/collections/people/", {**data, "retention": wrong})
        assert refused.status_code == 400
        assert "Erase entries after days" in refused.content.decode()
    assert ada.post("/admin/modeling/collections/people/", {**data, "retention": ""}).status_code == 302
    assert current().by_id[made.id].retention is None


def test_a_list_never_holds_them_whatever_columns_were_kept(ada: Client, entry: Entry) -> None:
    """Also where somebody chose the column before its field became personal."""
    kept = [field_id(key) for key in ("mail", "code", "name")]
    user = User.objects.get(pk=ada.session["_auth_user_id"])
    ListLayout.objects.create(user_id=user.pk, collection_id=entry.collection_id, columns=kept)
    page = ada.get("/admin/content/people/")
    assert page.status_code == 200
    assert leaks(page) == []
    assert [f'value="{name}"' in page.content.decode() for name in kept[:2]] == [False, False]


def test_what_depends_on_a_masked_value_is_not_hidden_by_what_its_input_shows(ada: Client) -> None:
    """The input of the field that decides stands empty; a script that looked at it would hide what was written."""
    about = {"key": "about", "type": "text", "condition": {"field": "known", "operator": "eq", "value": True}}
    make_collection("guests", [*FIELDS[:1], FIELDS[3], about])
    guest = make_entry("guests", name="Bea", known=True, about="Met in Rome")
    for sent_by, shown in ((None, False), ({"_reveal": "1", "reason": "They called us", "base": "1"}, True)):
        at = f"/admin/content/guests/{guest.pk}/change/"
        page = ada.get(at) if sent_by is None else ada.post(at, sent_by)
        assert page.status_code == 200
        assert ("data-condition=" in page.content.decode()) is shown
