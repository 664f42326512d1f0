"""A world with canaries: what must never be seen holds values that are found wherever they turn up."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import User
from content import fields
from content.models import Entry
from tests.arranged import arranged
from tests.builders import (
    PASSWORD,
    Api,
    allow,
    anonymous,
    make_collection,
    make_entry,
    make_key,
    make_role,
    make_user,
)
from tests.rows import row_versions

WORD = "canaryxqz"
NUMBER = 73164829
DAY = "1907-03-16"
COLOUR = "#7316ab"
DRAFT_WORD = "canarydraftxqz"
STRANGER = "canarystrangerxqz"
# Whatever of these turns up in an answer has leaked.
CANARIES = (WORD, str(NUMBER), DAY, COLOUR, DRAFT_WORD, STRANGER)

SHOWN = ("title", "slug", "rating", "parent", "peers")  # what the limited roles may read of `articles`


@dataclass(frozen=True)
class Sample:
    """How to make a field of one type, and a value of it that is a canary."""

    value: Callable[["World"], Any]
    options: dict[str, Any] = field(default_factory=dict)
    filterable: bool = False


# One for each field type: a new type without a sample fails `test_every_field_type_has_a_sample`.
SAMPLES: dict[str, Sample] = {
    "text": Sample(lambda w: f"{WORD} text", filterable=True),
    "long_text": Sample(lambda w: f"{WORD} long\ntext"),
    "rich_text": Sample(lambda w: f"<p>{WORD} <strong>rich</strong></p>"),
    "markdown": Sample(lambda w: f"# {WORD}\n\nmarked"),
    "slug": Sample(lambda w: f"{WORD}-slug", {}, filterable=True),
    "integer": Sample(lambda w: NUMBER, filterable=True),
    "decimal": Sample(lambda w: f"{NUMBER}.5", filterable=True),
    "boolean": Sample(lambda w: True, filterable=True),
    "date": Sample(lambda w: DAY, filterable=True),
    "datetime": Sample(lambda w: f"{DAY}T07:31:06Z", filterable=True),
    "email": Sample(lambda w: f"{WORD}@example.com", filterable=True),
    "url": Sample(lambda w: f"https://example.com/{WORD}"),
    "choice": Sample(
        lambda w: WORD, {"choices": [{"value": WORD, "label": "A"}, {"value": "other", "label": "B"}]}
    ),
    "choices": Sample(
        lambda w: [WORD], {"choices": [{"value": WORD, "label": "A"}, {"value": "other", "label": "B"}]}
    ),
    "tags": Sample(lambda w: [WORD, "plain"], filterable=True),
    "json": Sample(lambda w: {WORD: [NUMBER, {"deep": WORD}]}),
    "color": Sample(lambda w: COLOUR),
    "geo_point": Sample(lambda w: {"lat": 7.3164829, "lng": 73.164829}),
    "reference": Sample(lambda w: str(w.hidden_target.pk), {"collections": ["vault"]}, filterable=True),
    "references": Sample(lambda w: [str(w.hidden_target.pk)], {"collections": ["vault"]}),
    "component": Sample(lambda w: {"text": f"{WORD} part"}, {"components": ["part"]}),
    "components": Sample(lambda w: [{"text": f"{WORD} part"}], {"components": ["part"]}),
    "blocks": Sample(lambda w: [{"_component": "part", "text": f"{WORD} block"}], {"components": ["part"]}),
}


def hidden_key(type_key: str) -> str:
    return f"hidden_{type_key}"


def types() -> list[str]:
    """Return the registered field types, in order."""
    return sorted(fields.REGISTRY)


@dataclass
class World:
    """Collections, entries and people; `vault` is for nobody but administrators."""

    apis: dict[str, Api] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    hidden_target: Entry = field(default_factory=Entry)
    shown: Entry = field(default_factory=Entry)
    published: Entry = field(default_factory=Entry)
    draft: Entry = field(default_factory=Entry)
    changed: Entry = field(default_factory=Entry)
    stranger: Entry = field(default_factory=Entry)

    @property
    def limited(self) -> dict[str, Api]:
        """Everybody who may see something, and not everything."""
        return {name: api for name, api in self.apis.items() if name != "administrator"}

    @property
    def signed_in(self) -> dict[str, Api]:
        return {name: api for name, api in self.limited.items() if name != "anonymous"}


def article_fields() -> list[dict[str, Any]]:
    """Return the visible fields, and one hidden field of every type."""
    shown: list[dict[str, Any]] = [
        {"key": "title", "type": "text", "required": True, "filterable": True},
        {"key": "slug", "type": "slug", "options": {"from": "title"}},
        {"key": "rating", "type": "integer", "filterable": True},
        {
            "key": "parent",
            "type": "reference",
            "filterable": True,
            "options": {"collections": ["articles", "vault"]},
        },
        {"key": "peers", "type": "references", "options": {"collections": ["articles", "vault"]}},
    ]
    hidden = [
        {
            "key": hidden_key(type_key),
            "type": type_key,
            "options": SAMPLES[type_key].options,
            # At most twelve of a collection; a slug always is.
            "filterable": type_key in ("text", "integer", "decimal", "boolean", "tags", "reference", "date"),
        }
        for type_key in types()
    ]
    return [*shown, *hidden]


def hidden_values(world: World) -> dict[str, Any]:
    return {hidden_key(type_key): SAMPLES[type_key].value(world) for type_key in types()}


def make_vault() -> None:
    """Make what is for administrators alone: a collection, and the component that the samples use."""
    make_collection("part", [{"key": "text", "type": "text"}], kind="component")
    make_collection(
        "vault",
        [
            {"key": "title", "type": "text", "filterable": True},
            {"key": "slug", "type": "slug", "options": {"from": "title"}},
        ],
    )


def make_world() -> World:
    """Return the world: everybody reads the named fields of articles whose rating is below 100."""
    return arranged("world", build_world)


def build_world() -> World:
    """Write the rows of the world."""
    world = World()
    make_vault()
    world.hidden_target = make_entry("vault", title=f"{WORD} vault")
    make_collection("articles", [f for f in article_fields() if f["key"] != "parent" and f["key"] != "peers"])
    _add_references()
    rows = {"rating": {"lt": 100}}
    everything = ("read_draft", "create", "update", "delete", "publish", "unpublish", "restore")
    allow("public", collection="articles", filter=rows, fields=SHOWN)
    make_role("reader", {"collection": "articles", "filter": rows, "fields": SHOWN})
    make_role(
        "editor",
        {"collection": "articles", "actions": ("read", *everything), "filter": rows, "fields": SHOWN},
    )
    make_role(
        "writer",
        {"collection": "articles", "actions": ("create",), "fields": SHOWN},
        {
            "collection": "articles",
            "actions": ("read", "read_draft", "update"),
            "filter": {"_created_by": {"eq": "$user"}},
            "fields": ("title", "slug"),
        },
    )
    make_role("adder", {"collection": "articles", "actions": ("create",), "fields": SHOWN})
    make_role("nobody")
    for name in ("reader", "editor", "writer", "adder", "nobody", "administrator"):
        world.users[name] = make_user(f"{name}@example.com", roles=(name,))
    world.apis = {
        "anonymous": anonymous(),
        "reader": make_key(owner=world.users["reader"]),
        "editor": sign_in(world.users["editor"]),
        "writer": make_key(owner=world.users["writer"]),
        "adder": make_key(owner=world.users["adder"]),
        "nobody": sign_in(world.users["nobody"]),
        "administrator": make_key(role="administrator"),
    }
    hidden = hidden_values(world)
    world.shown = make_entry("articles", title="Plain", rating=1)
    world.published = make_entry(
        "articles",
        title="Published",
        rating=2,
        parent=str(world.hidden_target.pk),
        peers=[str(world.shown.pk), str(world.hidden_target.pk)],
        **hidden,
    )
    world.draft = make_entry("articles", title=f"{DRAFT_WORD} one", rating=200, published=False)
    world.stranger = make_entry("articles", title=f"{STRANGER} two", rating=300, parent=str(world.shown.pk))
    return world


def _add_references() -> None:
    """Give articles the references to themselves, which can't be named before there are articles."""
    make_articles = make_key(role="administrator")
    present = make_articles.get("/api/v1/manage/collections/articles").json()["fields"]
    listed = [{"id": item["id"], "key": item["key"], "type": item["type"]} for item in present]
    answer = make_articles.patch(
        "/api/v1/manage/collections/articles",
        {"fields": [*listed, *(f for f in article_fields() if f["key"] in ("parent", "peers"))]},
    )
    assert answer.status_code == 200, answer.content


def sign_in(user: User) -> Api:
    """Return the API with an access token of a person without second factor."""
    answer = anonymous().post("/api/v1/auth/login", {"email": user.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.content
    return Api(Client(raise_request_exception=False), answer.json()["access"])


# Looking at answers


_INSTANCE = re.compile(rb'"instance": ?"[^"]*",?')


def masked(answer: HttpResponse) -> tuple[int, bytes, dict[str, str]]:
    """Return an answer without the id of the request: status, body, and headers that tell something."""
    told = {
        name: value
        for name, value in answer.items()
        if name not in ("X-Request-ID", "RateLimit", "RateLimit-Policy", "Content-Length")
    }
    return answer.status_code, _INSTANCE.sub(b"", answer.content), told


def leaked(answer: HttpResponse) -> list[str]:
    """Return the canaries in an answer, its headers included."""
    text = answer.content.decode(errors="replace") + json.dumps(dict(answer.items()))
    return [canary for canary in CANARIES if canary in text]


def text_of(answer: HttpResponse) -> str:
    """Return the words of a page's main part, to say what went wrong."""
    _, _, main = answer.content.decode().partition('id="content"')
    return " ".join(re.sub(r"<[^>]*>", " ", main).split())[:500]


def assert_problem(answer: HttpResponse, *statuses: int) -> dict[str, Any]:
    """Check that an answer is problem+json (RFC 9457) of one of these statuses, and return it."""
    assert answer.status_code in statuses, (answer.status_code, answer.content[:600])
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(answer.content)
    assert body["status"] == answer.status_code
    allowed = {
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "code",
        "errors",
        "current",
        "effects",
        "referrers",
        "retry_after",
    }
    assert set(body) <= allowed, set(body) - allowed
    return body


# Looking at the database


class Unchanged:
    """`with Unchanged():` fails when a row of any table was written or removed meanwhile."""

    def __init__(self, about: object = "", *, but: tuple[str, ...] = ()) -> None:
        self.about = about
        self.but = but
        self.before: dict[str, str] = {}

    def __enter__(self) -> None:
        self.before = row_versions()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            after = row_versions()
            changed = [
                name for name in after if after[name] != self.before.get(name) and name not in self.but
            ]
            assert not changed, f"{self.about}: rows changed in {changed}"


# What there is to ask


@dataclass(frozen=True)
class Route:
    """One pattern of the URLconf and what it leads to."""

    route: str
    view: Any
    methods: tuple[str, ...]


def routes(prefix: str = "") -> list[Route]:
    """Return every pattern of the URLconf, with the methods that its view class has."""
    found: list[Route] = []

    def walk(patterns: list[Any], before: str) -> Iterator[Route]:
        for item in patterns:
            here = before + str(item.pattern)
            if isinstance(item, URLResolver):
                yield from walk(item.url_patterns, here)
            elif isinstance(item, URLPattern):
                view = getattr(item.callback, "cls", getattr(item.callback, "view_class", item.callback))
                names = [name for name in ("get", "post", "put", "patch", "delete") if hasattr(view, name)]
                yield Route(here, view, tuple(name.upper() for name in names))

    found.extend(walk(get_resolver().url_patterns, ""))
    return [item for item in found if item.route.startswith(prefix)]
