"""Two databases that differ only in what a principal may not see answer that principal with the same bytes.

The second world has other drafts, other values in hidden fields, more entries in unreadable rows and collections, and
references to all of these from published entries. Ids, times and cursors are masked; cursors are followed to the end.
"""

import random
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from accounts.access import Action, Scopes
from content import editing, publishing
from tests.builders import (
    Api,
    allow,
    anonymous,
    make_collection,
    make_entry,
    make_key,
    make_locale,
    make_role,
    make_user,
    writing,
)
from tests.database import TestDatabase
from tests.security.world import sign_in

pytestmark = pytest.mark.django_db

WORDS = ("apple", "pear", "plum", "quince")
SHOWN = ("title", "slug", "rating", "tags", "body", "parent", "author", "peers", "blocks")
HIDDEN = ("secret", "secret_number", "secret_ref", "secret_tags", "motto")
REQUESTS = 70  # for each principal, in each world
UUID_TEXT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
CURSOR_TEXT = re.compile(r'"next_cursor": ?"[^"]*"')

ARTICLES: list[dict[str, Any]] = [
    {"key": "title", "type": "text", "filterable": True, "localized": True},
    {"key": "slug", "type": "slug", "options": {"from": "title"}},
    {"key": "rating", "type": "integer", "filterable": True},
    {"key": "tags", "type": "tags", "filterable": True},
    {"key": "body", "type": "markdown", "localized": True},
    {"key": "parent", "type": "reference", "filterable": True, "options": {"collections": ["vault"]}},
    {"key": "author", "type": "reference", "filterable": True, "options": {"collections": ["people"]}},
    {"key": "peers", "type": "references", "filterable": True, "options": {"collections": ["people"]}},
    {"key": "blocks", "type": "blocks", "options": {"components": ["card"]}},
    {"key": "secret", "type": "text", "filterable": True},
    {"key": "secret_number", "type": "integer", "filterable": True},
    {"key": "secret_ref", "type": "reference", "filterable": True, "options": {"collections": ["people"]}},
    {"key": "secret_tags", "type": "tags", "filterable": True},
    {"key": "motto", "type": "text", "filterable": True},
]


@dataclass
class Place:
    """One of the two worlds: who asks, and the ids that both have, by name."""

    apis: dict[str, Api] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def masked(self, text: str) -> str:
        names = {value: key for key, value in self.ids.items()}
        text = UUID_TEXT.sub(lambda match: f"<{names.get(match[0], '?')}>", text)
        return CURSOR_TEXT.sub('"next_cursor": "<cursor>"', TIME_TEXT.sub("<time>", text))


def build(*, other: bool) -> Place:
    """Build a world; `other` is the one in which all that is hidden is another."""
    place = Place()
    make_locale("de", fallback=("en",))
    make_collection(
        "vault",
        [
            {"key": "title", "type": "text", "filterable": True},
            {"key": "slug", "type": "slug", "options": {"from": "title"}},
        ],
    )
    make_collection(
        "people",
        [
            {"key": "name", "type": "text", "filterable": True},
            {"key": "level", "type": "integer", "filterable": True},
            {"key": "note", "type": "text", "filterable": True},
        ],
    )
    card = [
        {"key": "text", "type": "text"},
        {"key": "link", "type": "reference", "options": {"collections": ["people"]}},
    ]
    make_collection("card", card, kind="component")
    make_collection("articles", ARTICLES, localized=True)
    if other:
        make_collection("elsewhere", [{"key": "title", "type": "text"}])
        make_entry("elsewhere", title="apple")
    low, people = {"rating": {"lt": 100}}, {"level": {"lt": 100}}
    allow("public", collection="articles", filter=low, fields=SHOWN)
    allow("public", collection="people", filter=people, fields=("name", "level"))
    make_role("reader", {"collection": "articles", "filter": low, "fields": ("title", "rating", "author", "peers", "body")},
              {"collection": "people", "fields": ("name",), "filter": people})  # fmt: skip
    # One clause shows `motto` of good rows, the other the rest of all rows: no union of them may ever be used.
    make_role(
        "clauses", {"collection": "articles", "filter": {"rating": {"lt": 10}}, "fields": ("title", "motto")}
    )
    make_role(
        "desk",
        {
            "collection": "articles",
            "actions": ("read_draft", "update"),
            "filter": {"rating": {"lt": 50}},
            "fields": ("title", "rating", "tags", "author", "body", "slug"),
        },
        {"collection": "people", "actions": ("read_draft",), "filter": people, "fields": ("name",)},
    )
    place.apis = {
        "anonymous": anonymous(),
        "key": make_key(role="reader", scopes=Scopes(frozenset({(None, Action.READ)}), frozenset())),
        "clauses": make_key(role="clauses"),
        "desk": sign_in(make_user("desk@example.com", roles=("desk",))),
    }

    def person(name: str, **values: Any) -> str:
        entry = make_entry(
            "people", published=not name.startswith("draft"), name=values.pop("shown", name), **values
        )
        place.ids[name] = str(entry.pk)
        return str(entry.pk)

    ann = person("ann", level=1, note="pear" if other else "plum")
    bob = person("bob", level=2, note="apple" if other else "quince")
    vaulted = str(make_entry("vault", title="apple vault").pk)
    unseen = [person("hidden", shown="apple hidden", level=200), person("drafted", shown="pear", level=3)]
    publishing.unpublish(unseen[1], writing=writing("people"))
    editing.save(unseen[1], {"level": 300}, writing=writing("people"), base=1)  # nor on the desk
    if other:
        unseen.append(person("more", shown="apple more", level=300))
        make_entry("vault", title="another apple")
    for number in range(9):
        rating = (3, 4, 12, 13, 14, 60, 61, 5, 62)[number]
        good = rating < 10
        entry = make_entry(
            "articles",
            title=f"{WORDS[number % 4]} {number}",
            rating=rating,
            tags=[WORDS[number % 3], "all"],
            body=f"About {WORDS[(number + 1) % 4]} and *{WORDS[(number + 2) % 4]}*",
            parent=vaulted if other and number % 2 else None,
            author=(ann, bob, None if not other else unseen[0], unseen[0] if not other else None)[number % 4],
            peers=[ann] if not other else [unseen[0], ann, *unseen[1:]],
            blocks=[{"_component": "card", "text": "pear", "link": unseen[number % 2] if other else None}],
            secret=WORDS[(number + other * 2) % 4] + (" hidden" if other else ""),
            secret_number=100 - number if other else number,
            secret_ref=ann if other else bob,
            secret_tags=[WORDS[number % 4]] if other else [],
            motto=f"motto {WORDS[(number + (2 if other and not good else 0)) % 4]}",
        )
        place.ids[f"article{number}"] = str(entry.pk)
    later = place.ids["article5"]
    if other:
        editing.save(later, {"title": "apple later draft", "rating": 70}, writing=writing("articles"), base=1)
        editing.save(later, {"title": "Apfel"}, writing=writing("articles"), base=2, locale="de")
    for number in range(4 if other else 1):
        values = {
            "rating": 100 + number,
            "tags": ["all"],
            "author": ann,
            "body": "apple pear plum quince",
            "motto": "apple",
        }
        hidden = make_entry("articles", title=f"apple unseen {number}", **values)
        draft = make_entry(
            "articles", title=f"pear drafted {number}", **{**values, "rating": 500}, published=False
        )
        gone = make_entry("articles", title=f"plum gone {number}", **{**values, "rating": 600})
        publishing.unpublish(gone.pk, writing=writing("articles"))
        place.ids |= {
            f"unseen{number}": str(hidden.pk),
            f"draft{number}": str(draft.pk),
            f"gone{number}": str(gone.pk),
        }
    for name in ("unseen", "draft", "gone"):
        for number in range(4):
            place.ids.setdefault(f"{name}{number}", str(uuid4()))
    place.ids.setdefault("more", str(uuid4()))
    return place


@dataclass(frozen=True)
class Ask:
    """A request in names; ids are put in for each world."""

    path: str
    query: tuple[tuple[str, str], ...] = ()

    def url(self, place: Place, cursor: str = "") -> str:
        ids = place.ids
        pairs = [
            (name, value if name == "search" else ids.get(value, value)) for name, value in self.query
        ] + ([("cursor", cursor)] if cursor else [])
        path = "/".join(ids.get(part, part) for part in self.path.split("/"))
        return f"/api/v1/{path}?{urlencode(pairs)}" if pairs else f"/api/v1/{path}"


def asks(principal: str) -> list[Ask]:
    """Return the requests of one principal: all kinds, in seeded combinations."""
    dice = random.Random(f"quillkeep {principal}")
    known = ["title", "rating", "author", "peers", "tags", "slug", "body", "parent", "motto"]
    names = (
        [f"article{n}" for n in range(9)]
        + [f"{kind}{n}" for kind in ("unseen", "draft", "gone") for n in range(3)]
        + ["hidden", "drafted", "more", "ann"]
    )
    plane = "manage/content" if principal == "desk" else "content"
    fixed = [Ask(f"{plane}/{key}") for key in ("articles", "people", "vault", "elsewhere", "card", "nothing")]
    fixed += [Ask(f"{plane}/articles/{name}") for name in names] + [
        Ask(f"{plane}/people/{name}") for name in ("ann", "hidden", "drafted", "more")
    ]
    fixed += [
        Ask(f"{plane}/articles/{slug}")
        for slug in ("apple-0", "apple-unseen-1", "pear-drafted-1", "plum-gone-2", "apple-later-draft")
    ]
    fixed += [
        Ask(f"{plane}/articles", ((f"filter[{name}][exists]", flag),))
        for name in (*known, *HIDDEN)
        for flag in ("true", "false")
    ]
    fixed += [
        Ask(f"{plane}/articles", ((f"filter[author][{op}]", name),))
        for op in ("eq", "ne", "in", "nin")
        for name in ("ann", "hidden", "drafted", "more")
    ]
    fixed += [
        Ask(f"{plane}/articles", (("search", word), ("count", "exact")))
        for word in (*WORDS, "hidden", "unseen", "Apfel", "motto")
    ]
    for op in ("eq", "ne", "lt", "starts_with", "contains"):
        fixed += [
            Ask(f"{plane}/articles", ((f"filter[motto][{op}]", f"motto {word}"), ("sort", "title")))
            for word in WORDS
        ]
    if principal == "desk":
        fixed += [
            Ask(f"{plane}/articles/{name}/{tail}", (("from", "1"), ("to", "1")) if tail == "diff" else ())
            for name in (*names[:3], "unseen1", "draft1")
            for tail in ("versions", "versions/1", "diff")
        ]
        fixed += [
            Ask(path)
            for path in (
                "manage/collections",
                "manage/collections/articles",
                "manage/collections/elsewhere",
                "manage/audit",
                "manage/users",
            )
        ]
    found = list(fixed)
    while len(found) < len(fixed) + REQUESTS:
        query: dict[str, str] = {}
        for _ in range(dice.randint(0, 2)):
            name = dice.choice(
                [
                    *known,
                    *HIDDEN,
                    "author.name",
                    "author.level",
                    "author.note",
                    "peers.name",
                    "parent.title",
                    "_published_at",
                    "secret_ref.name",
                ]
            )
            value = dice.choice(
                [
                    *WORDS,
                    "12",
                    "60",
                    "100",
                    "ann",
                    "hidden",
                    "drafted",
                    "true",
                    "2026-01-01T00:00:00Z",
                    "motto apple",
                    "pear 1",
                ]
            )
            query[
                f"filter[{name}][{dice.choice(['eq', 'ne', 'in', 'nin', 'lt', 'gte', 'contains', 'starts_with', 'exists'])}]"
            ] = value
        if dice.random() < 0.5:
            query["sort"] = ",".join(
                dice.choice(["", "-"]) + key
                for key in dice.sample(
                    [*known, "_published_at", "_updated_at", *HIDDEN[:2]], dice.randint(1, 2)
                )
            )
        if dice.random() < 0.3:
            query["search"] = " ".join(dice.sample(WORDS, dice.randint(1, 2)))
        if dice.random() < 0.4:
            query["expand"] = ",".join(
                dice.sample(["author", "peers", "parent", "secret_ref"], dice.randint(1, 2))
            )
        if dice.random() < 0.3:
            query["fields"] = ",".join(
                dice.sample(
                    ["title", "rating", "author.name", "peers.name", "blocks", "motto", "secret", "_id"], 2
                )
            )
        others = (
            ("locale", "de", 0.3),
            ("limit", str(dice.randint(1, 4)), 0.6),
            ("count", "exact", 0.4),
            ("offset", "2", 0.1),
        )
        query |= {name: value for name, value, chance in others if dice.random() < chance}
        found.append(Ask(f"{plane}/articles", tuple(query.items())))
    return found


def answers(place: Place, principal: str) -> dict[Ask, list[str]]:
    """Ask everything; a list is followed through all its pages."""
    api = place.apis[principal]
    told: dict[Ask, list[str]] = {}
    for ask in asks(principal):
        told[ask], cursor = [], ""
        for _ in range(12):
            answer = api.get(ask.url(place, cursor))
            assert answer.status_code < 500, ask
            headers = {
                name: value
                for name, value in answer.items()
                if name in ("Content-Type", "Cache-Control", "Cache-Tag", "Vary", "Link")
            }
            body = place.masked(answer.content.decode())
            told[ask].append(f"{answer.status_code} {place.masked(str(headers))} {body}")
            meta = (
                answer.json().get("meta")
                if answer.status_code == 200 and "json" in answer["Content-Type"]
                else None
            )
            cursor = (meta or {}).get("next_cursor") or ""
            if not cursor or "offset" in dict(ask.query):
                break
    return told


def test_what_a_principal_may_not_see_changes_no_byte_of_its_answers(django_db_setup: TestDatabase) -> None:
    told: list[dict[str, dict[Ask, list[str]]]] = []
    for other in (False, True):
        place = build(other=other)
        told.append({principal: answers(place, principal) for principal in place.apis})
        if not other:
            django_db_setup.reset()
    for principal, one in told[0].items():
        for ask, pages in one.items():
            assert [*map(without_instance, pages)] == [*map(without_instance, told[1][principal][ask])], (
                principal,
                ask,
            )
        good = [ask for ask, pages in one.items() if pages[0].startswith("200")]
        full = [ask for ask in good if '"title"' in one[ask][0] or '"name"' in one[ask][0]]
        assert len(full) > 25, (
            principal,
            len(full),
            len(good),
        )  # or they would be equal for the wrong reason
        assert any(len(pages) > 2 for pages in one.values()), principal


def without_instance(page: str) -> str:
    return re.sub(r'"instance": ?"[^"]*",?', "", page)
