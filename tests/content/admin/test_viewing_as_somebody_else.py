"""View as: the bytes are those of the API, for each kind of principal in both planes, and the reasons are the rules'."""

from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from accounts.access import Action, Area, Scopes
from accounts.keys import api_keys
from accounts.models import ApiKey, Event, Role, User
from accounts.rights import granting
from content.models import Entry
from tests.accounts.cast import make_person
from tests.builders import (
    ROOT,
    Api,
    allow,
    anonymous,
    make_collection,
    make_entry,
    make_key,
    make_locale,
    make_role,
    make_user,
)
from tests.content.admin.conftest import sign_in
from tests.security.world import Unchanged

pytestmark = pytest.mark.django_db
PAGE = "/admin/view-as/"
READING = ("published", Action.READ), ("draft", Action.READ_DRAFT)


@pytest.fixture
def entries() -> dict[str, Entry]:
    """Articles of three ratings, with a German title, references and fields of every class; one is a draft."""
    make_locale("de", fallback=("en",))
    make_collection("authors", [{"key": "name", "type": "text"}])
    make_collection(
        "articles",
        [{"key": "title", "type": "text", "label": "Title", "localized": True},
         {"key": "slug", "type": "slug", "options": {"from": "title"}},
         {"key": "rating", "type": "integer", "label": "Rating", "filterable": True},
         {"key": "note", "type": "text", "label": "Note", "data_class": "internal"},
         {"key": "phone", "type": "text", "label": "Phone", "data_class": "personal"},
         {"key": "code", "type": "text", "label": "Code", "data_class": "secret"},
         {"key": "author", "type": "reference", "options": {"collections": ["authors"]}}],
        localized=True,
    )  # fmt: skip
    author = make_entry("authors", name="Ä. Author")
    values: dict[str, Any] = {"note": "in", "phone": "+49", "code": "x", "author": str(author.pk)}
    found = {
        str(rating): make_entry("articles", title=f"Größe {rating} “q” </script>", rating=rating, **values)
        for rating in (1, 5)
    }
    found["draft"] = make_entry("articles", title="Draft", rating=1, published=False, **values)
    return found


def cast() -> dict[str, tuple[str, str, Api]]:
    """Return (whose eyes, person, the same one at the API) by name."""
    rows = {"rating": {"lt": 3}}
    allow("public", collection="articles", filter=rows)
    make_role("reader", {"collection": "articles", "fields": ("title", "phone", "author")})
    make_role("drafter", {"collection": "articles", "actions": ("read", "read_draft"), "filter": rows},
              {"collection": "articles", "actions": ("read_draft",), "fields": ("code",), "filter": {"rating": {"gte": 3}}},
              {"collection": "authors"})  # fmt: skip
    make_role(
        "own",
        {
            "collection": "articles",
            "actions": ("read", "read_draft"),
            "filter": {"_created_by": {"eq": "$user"}},
        },
    )
    make_role("nothing")
    found = {"anonymous": ("anonymous", "", anonymous())}
    for name in ("reader", "drafter", "own", "nothing", "administrator"):
        owner = make_user(f"{name}@example.com", roles=(name,))
        # An unscoped role can't call the API: a key of a person with every scope stands for it.
        found[name] = (f"role:{name}", str(owner.pk), make_key(owner=owner))
    cut = Scopes(frozenset({(None, Action.READ)}), frozenset())
    owner = User.objects.get(email="drafter@example.com")
    minted = api_keys.mint(owner, name="cut down", scopes=cut, by=ROOT)
    found["key"] = (f"key:{minted.key.pk}", "", Api(Client(), minted.text))
    return found


def look(ada: Client, eyes: str, entry: Entry | str, plane: str = "published", **more: str) -> Any:
    body = {
        "as": eyes,
        "collection": "articles",
        "other": str(getattr(entry, "pk", entry)),
        "plane": plane,
        **more,
    }
    return ada.post(PAGE, body)


def answered(api: Api, plane: str, entry: Entry, locale: str) -> Any:
    at = "content" if plane == "published" else "manage/content"
    return api.get(f"/api/v1/{at}/articles/{entry.pk}?locale={locale}")


@pytest.mark.parametrize("locale", ["en", "de"])
def test_the_bytes_are_those_of_the_api(ada: Client, entries: dict[str, Entry], locale: str) -> None:
    shown = 0
    for name, (eyes, person, api) in cast().items():
        for plane, _ in READING:
            for title, entry in entries.items():
                about = (name, plane, title)
                real = answered(api, plane, entry, locale)
                seen = look(ada, eyes, entry, plane, person=person, locale=locale).context["seen"]
                assert seen.status == real.status_code, about
                if real.status_code == 200:
                    shown += 1
                    assert seen.content == real.content, about
                    keys = {key for key in real.json() if not key.startswith("_")}
                    assert {item.spec.key for item in seen.fields if item.is_shown} == keys, about
                    assert all(item.why for item in seen.fields), about
                assert seen.why, about
    assert shown > 8


def test_a_single_right_on_an_entry_is_seen_in_drafts(ada: Client, entries: dict[str, Entry]) -> None:
    eyes, person, api = cast()["nothing"]
    granting.grant_entry(User.objects.get(pk=person), [Action.READ_DRAFT], entries["draft"], by=ROOT)
    seen = look(ada, eyes, entries["draft"], "draft", person=person).context["seen"]
    assert seen.content == answered(api, "draft", entries["draft"], "en").content
    assert "right on single entries" in seen.why


def why(answer: Any) -> dict[str, tuple[bool, str]]:
    return {item.spec.key: (item.is_shown, item.why) for item in answer.context["seen"].fields}


def test_each_field_says_which_rule_shows_or_hides_it(ada: Client, entries: dict[str, Entry]) -> None:
    eyes, person, _ = cast()["drafter"]
    told = why(look(ada, eyes, entries["1"], "draft", person=person))
    by = "may read what is published and read drafts in Articles where Rating is less than 3"
    assert told["title"] == (True, f"Covered: {by}: every field except personal and secret ones.")
    assert told["phone"] == (
        False,
        "It is personal, so it must be named, and no policy that holds here names it.",
    )
    assert told["code"] == (False, "Only where Rating is at least 3, which this entry does not meet.")
    told = why(look(ada, "anonymous", entries["1"]))
    assert told["note"][0] is False
    assert "internal" in told["note"][1]
    eyes, person, _ = cast_again("reader")
    assert why(look(ada, eyes, entries["5"], person=person))["phone"][1].startswith("Named: may read")


def cast_again(name: str) -> tuple[str, str, None]:
    return f"role:{name}", str(User.objects.get(email=f"{name}@example.com").pk), None


def test_what_is_not_there_says_why(ada: Client, entries: dict[str, Entry]) -> None:
    people = cast()
    key = people["key"][0]
    for eyes, entry, plane, words in (
        ("anonymous", entries["5"], "published", "meets the conditions of none"),
        ("anonymous", entries["draft"], "published", "not published in English"),
        ("role:nothing", entries["1"], "draft", "No policy of somebody with the role Nothing"),
        ("role:own", entries["1"], "draft", "meets the conditions of none"),
        (key, entries["1"], "draft", "scopes of the key don’t cover"),
    ):
        seen = look(ada, eyes, entry, plane).context["seen"]
        assert (seen.status, seen.content) == (404, b"")
        assert words in seen.why, (eyes, seen.why)
    seen = look(ada, "role:own", entries["1"], "draft").context["seen"]
    assert any("the author of the entry is themselves" in words for words in seen.others)


def test_what_a_key_reads_is_by_rules_of_its_owner(ada: Client, entries: dict[str, Entry]) -> None:
    """A rule goes further than the key: one for every collection says nothing of what its scopes leave."""
    seen = look(ada, cast()["key"][0], entries["1"]).context["seen"]
    assert seen.status == 200
    assert seen.why.startswith("The owner of the API key ")


def test_a_key_that_does_not_work_sees_nothing(ada: Client, entries: dict[str, Entry]) -> None:
    eyes = cast()["key"][0]
    key = ApiKey.objects.get(pk=eyes.removeprefix("key:"))
    for act, word in ((api_keys.disable, "switched off"), (api_keys.revoke, "revoked")):
        act(key, by=ROOT)
        seen = look(ada, eyes, entries["1"]).context["seen"]
        assert (seen.status, seen.content) == (401, b"")
        assert word in seen.why


def test_an_entry_is_found_by_its_slug_too(ada: Client, entries: dict[str, Entry]) -> None:
    allow("public", collection="articles")
    slug = anonymous().get(f"/api/v1/content/articles/{entries['1'].pk}").json()["slug"]
    seen = look(ada, "anonymous", slug).context["seen"]
    assert seen.content == anonymous().get(f"/api/v1/content/articles/{slug}").content


def test_the_page_holds_the_answer_as_text(ada: Client, entries: dict[str, Entry]) -> None:
    allow("public", collection="articles")
    page = look(ada, "anonymous", entries["1"])
    text = page.content.decode()
    assert "</script>" not in text.partition('class="qk-code')[2].partition("</pre>")[0]
    assert page.context["seen"].raw in unescape(text)
    assert "no-store" in page.headers["Cache-Control"]


def test_the_page_masks_personal_and_secret_values(ada: Client, entries: dict[str, Entry]) -> None:
    """Whose eyes it is through is no reason to show on a screen what the entry's own form keeps back."""
    assert entries
    entry = make_entry("articles", title="Masked", phone="canaryphone", code="canarycode")
    allow("public", collection="articles", fields=("title", "phone", "code"))
    page = look(ada, "anonymous", entry)
    assert b"canary" in page.context["seen"].content
    text = page.content.decode()
    assert "canary" not in text
    assert "&quot;phone&quot;: &quot;••••&quot;" in text
    assert "values are dots here" in text


def test_looking_is_recorded_and_offering_is_not(ada: Client, entries: dict[str, Entry]) -> None:
    allow("public", collection="articles")
    with Unchanged("offered only"):
        assert ada.get(f"{PAGE}?as=anonymous&collection=articles&entry={entries['1'].pk}").status_code == 200
        assert look(ada, "anonymous", entries["1"], _show="1").status_code == 200
    look(ada, "anonymous", entries["1"])
    event = Event.objects.get(type="access.viewed-as")
    assert (event.actor_label, event.subject_id, event.detail["as"], event.detail["plane"]) == (
        "ada@example.com",
        str(entries["1"].pk),
        "anonymous",
        "published",
    )


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"as": ""}, "as"),
        ({"as": "role:nothing_like_it"}, "as"),
        ({"as": "key:x"}, "as"),
        ({"as": f"key:{uuid4()}"}, "as"),
        ({"as": "role:reader", "person": "x"}, "as"),
        ({"collection": "nothing"}, "collection"),
        ({"other": ""}, "entry"),
        ({"other": str(uuid4())}, "entry"),
        ({"other": "no-such-slug"}, "entry"),
    ],
)
def test_bad_choices_are_explained_at_their_place(
    ada: Client, entries: dict[str, Entry], change: dict[str, str], place: str
) -> None:
    make_role("reader")
    make_user("other@example.com")
    body = {"as": "anonymous", "collection": "articles", "other": str(entries["1"].pk), **change}
    with Unchanged(change):
        answer = ada.post(PAGE, body)
    assert answer.status_code == 400
    assert list(answer.context["problems"]) == [place]


def test_somebody_of_another_role_can_not_be_slipped_in(ada: Client, entries: dict[str, Entry]) -> None:
    make_role("reader")
    other = make_user("other@example.com")
    assert look(ada, "role:reader", entries["1"], person=str(other.pk)).context["problems"].keys() == {"as"}


def test_who_may_not_read_everything_can_not_look(entries: dict[str, Entry]) -> None:
    """Areas open the tables of roles and policies, not the content that others may read."""
    granting.add_role("keeper", "Keeper", areas=[Area.POLICIES, Area.ROLES], by=ROOT)
    make_role("reader", {"collection": "articles"})
    keeper = sign_in(make_person("keeper@example.com", roles=["keeper", "reader"]))
    with Unchanged("refused"):
        assert keeper.get(PAGE).status_code == 403
        assert look(keeper, "anonymous", entries["1"]).status_code == 403
    assert not Role.objects.get(key="keeper").policies.exists()


def test_it_is_linked_from_an_entry_and_from_a_role(ada: Client, entries: dict[str, Entry]) -> None:
    role = make_role("reader")
    link = f"/admin/view-as/?collection=articles&entry={entries['1'].pk}&locale=en"
    assert link in unescape(ada.get(f"/admin/content/articles/{entries['1'].pk}/change/").content.decode())
    assert (
        "/admin/view-as/?as=role:reader"
        in ada.get(f"/admin/accounts/role/{role.pk}/change/").content.decode()
    )
    page = ada.get(link)
    assert page.context["entries"]
    assert (
        'action="/admin/view-as/"' in page.content.decode()
    )  # not the address with its choices, which are sent
    assert "selected>Größe 1" in page.content.decode()
