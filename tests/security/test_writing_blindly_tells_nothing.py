"""Who may write a field without reading it learns nothing by writing a guess: right and wrong ones look the same."""

import json
import re
from typing import Any

import pytest

from accounts.models import Event
from content import editing, publishing
from content.models import DraftDocument, Entry
from tests.builders import Api, administrator, make_collection, make_entry, make_key, make_role, writing

pytestmark = pytest.mark.django_db
PEOPLE = "/api/v1/manage/content/people"
ALL = ("read_draft", "update", "publish", "restore")
FIELDS: list[dict[str, Any]] = [
    {"key": "name", "type": "text"},
    {"key": "code", "type": "text", "data_class": "secret"},
    {"key": "mail", "type": "email", "data_class": "personal"},
]
KEPT, GUESSED_WRONG = "4711", "4712"


@pytest.fixture
def walter() -> Api:
    """Reads and writes what is plain, and writes codes without reading them."""
    make_collection("people", FIELDS)
    make_role(
        "writer",
        {"collection": "people", "actions": ALL},
        {"collection": "people", "actions": ("update",), "fields": ("name", "code")},
    )
    return make_key(role="writer")


def person(*, public: bool = True) -> Entry:
    entry = make_entry("people", published=False, name="Ann", code=KEPT, mail="ann@example.com")
    editing.save(entry.pk, {"name": "Anne"}, writing=writing("people"), base=1)
    if public:
        publishing.publish(entry.pk, writing=writing("people"))
    return entry


def told(answer: Any, entry: Entry) -> tuple[int, str]:
    """Return all that an answer says but ids and times."""
    text = json.dumps([answer.json(), answer.headers.get("ETag")], sort_keys=True)
    text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME", text.replace(str(entry.pk), "ID"))
    return answer.status_code, re.sub(r'"instance": "[^"]*"', "", text)


def everything(api: Api, entry: Entry) -> list[Any]:
    at = f"{PEOPLE}/{entry.pk}"
    paths = (at, f"{at}/versions", f"{at}/diff?from=2&to=3")
    events = Event.objects.filter(subject_id=str(entry.pk)).order_by("pk")
    return [
        *(told(api.get(path), entry) for path in paths),
        [(event.type, json.dumps(event.detail, sort_keys=True)) for event in events],
    ]


def both(api: Api, *acts: tuple[str, str, Any], public: bool = True) -> tuple[list[Any], list[Any]]:
    """Do the same to two people, with a right guess and with a wrong one; return all that is told of each."""
    found = []
    for guess in (KEPT, GUESSED_WRONG):
        entry, seen = person(public=public), []
        for method, path, body in acts:
            number = Entry.objects.get(pk=entry.pk).latest_number
            sent = json.loads(json.dumps(body).replace("GUESS", guess))
            before = DraftDocument.objects.get(entry=entry).updated_at
            answer = api.request(method, f"{PEOPLE}/{entry.pk}{path}", sent, **{"If-Match": f'"{number}"'})
            seen += [told(answer, entry), *everything(api, entry)]
            seen.append(DraftDocument.objects.get(entry=entry).updated_at > before)
        found.append(seen)
    return found[0], found[1]


GUESS = ("PATCH", "", {"fields": {"code": "GUESS"}})
BACK = ("POST", "/versions/2/restore", {})


@pytest.mark.parametrize("public", [True, False])
@pytest.mark.parametrize(
    "acts",
    [
        [GUESS],
        [GUESS, GUESS],
        [("PATCH", "", {"fields": {"name": "Anne", "code": "GUESS"}})],
        [GUESS, ("PATCH", "", {"fields": {"name": "x"}}), ("PATCH", "", {"fields": {"name": "Anne"}})],
        [GUESS, ("PATCH", "", {"fields": {"name": "Anne"}})],
        [GUESS, ("POST", "/publish", {})],
    ],
)
def test_a_guess_is_answered_the_same_whether_it_is_right(walter: Api, acts: Any, *, public: bool) -> None:
    right, wrong = both(walter, *acts, public=public)
    assert right == wrong


def test_restoring_an_old_version_over_a_guess_is_answered_the_same(walter: Api) -> None:
    make_role(
        "restorer",
        {"collection": "people", "actions": ("read_draft",)},
        {"collection": "people", "actions": ("update", "restore"), "fields": ("name", "code")},
    )
    right, wrong = both(make_key(role="restorer"), GUESS, BACK, GUESS)
    assert right == wrong


def test_who_reads_the_field_is_told_that_nothing_has_changed() -> None:
    """The other side: nothing is made anew, and what is public again as it was says so."""
    make_collection("people", FIELDS)
    entry, ada = person(), administrator()
    at = f"{PEOPLE}/{entry.pk}"
    same = ada.patch(at, {"fields": {"code": KEPT}}, **{"If-Match": '"2"'})
    assert (same.json()["_version"], same.json()["_status"]) == (2, {"en": "published"})
    other = ada.patch(at, {"fields": {"code": GUESSED_WRONG}}, **{"If-Match": '"2"'})
    assert (other.json()["_version"], other.json()["_status"]) == (3, {"en": "changed"})
    again = ada.patch(at, {"fields": {"code": KEPT}}, **{"If-Match": '"3"'})
    assert (again.json()["_version"], again.json()["_status"]) == (4, {"en": "published"})


def test_what_a_restorer_may_neither_read_nor_write_stays_and_is_not_told_of() -> None:
    make_collection("people", FIELDS)
    make_role("restorer", {"collection": "people", "actions": ("read_draft", "restore")})
    restorer, ada = make_key(role="restorer"), administrator()
    for code in (KEPT, GUESSED_WRONG):
        entry = make_entry("people", published=False, name="Ann", code=KEPT)
        editing.save(entry.pk, {"name": "Anne", "code": code}, writing=writing("people"), base=1)
        answer = restorer.post(f"{PEOPLE}/{entry.pk}/versions/1/restore", {})
        assert (answer.status_code, answer.json()["name"], answer.json()["_version"]) == (200, "Ann", 3)
        assert ada.get(f"{PEOPLE}/{entry.pk}").json()["code"] == code


def test_an_account_that_may_only_write_makes_no_version_of_what_is_the_same() -> None:
    """A webhook that comes twice: what is not personal is no guess."""
    make_collection("people", FIELDS)
    make_role("feed", {"collection": "people", "actions": ("update",)})
    entry = person()
    answer = make_key(role="feed").patch(
        f"{PEOPLE}/{entry.pk}", {"fields": {"name": "Anne"}}, **{"If-Match": '"2"'}
    )
    assert answer.status_code == 200
    assert Entry.objects.get(pk=entry.pk).latest_number == 2
