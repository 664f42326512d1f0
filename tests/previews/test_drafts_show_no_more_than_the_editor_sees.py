"""A preview shows one draft, as far as its editor may both read and preview it now, and takes nothing (threats, C, D, N)."""

import itertools
import json
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.access import Action, Area
from accounts.models import Policy, User
from accounts.rights import granting
from content import editing
from content.models import Entry
from content.schema import current
from previews.models import Preview
from tests.accounts.cast import Api as PersonsApi
from tests.accounts.cast import make_key, make_person
from tests.builders import (
    ROOT,
    Api,
    administrator,
    allow,
    anonymous,
    make_collection,
    make_entry,
    make_role,
    writing,
)
from tests.previews.world import World, make_site, refusals
from tests.security.world import Unchanged, assert_problem, masked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unlimited")]

LOG: Final = ("accounts_event", "accounts_unsealed", "previews_preview")
SYSTEM: Final = {"_id", "_collection", "_locale", "_version", "_published_at", "_updated_at", "_status"}
SEEN: Final = ("read", "read_draft", "preview")


def only(*policies: dict[str, Any]) -> None:
    """Let Edith have these policies and no other."""
    for policy in Policy.objects.filter(role__key="editor"):
        granting.remove_policy(policy, by=ROOT)
    for terms in policies:
        allow("editor", collection="articles", **terms)


def shown(answer: Any) -> set[str]:
    """Return the fields of a document."""
    assert answer.status_code == 200, answer.content
    return set(answer.json()) - SYSTEM


# --- Fields ---------------------------------------------------------------------------------------------------------


def test_a_field_that_the_editor_may_not_read_is_not_there(world: World) -> None:
    token = world.token()
    answer = world.read(token)
    assert shown(answer) == {"title", "slug", "body", "related"}
    assert "731648" not in answer.content.decode()
    only({"actions": SEEN, "fields": ("title", "wage")})
    assert shown(world.read(token)) == {"title", "wage"}


@pytest.mark.parametrize(
    ("read", "preview"),
    [(("title", "body"), ("title", "slug")), (None, ("title",)), (("title",), None)],
)
def test_what_is_shown_may_be_both_read_and_previewed(world: World, read: Any, preview: Any) -> None:
    token = world.token()
    only({"actions": ("read", "read_draft"), "fields": read}, {"actions": ("preview",), "fields": preview})
    answer = world.read(token)
    assert shown(answer) == {"title"}
    assert "secret plans" not in answer.content.decode()
    assert shown(world.read(token, query="?fields=title")) == {"title"}
    for name in ("body", "slug", "wage"):
        assert_problem(world.read(token, query=f"?fields={name}"), 400)


def test_a_hidden_field_and_none_give_the_same_answer(world: World) -> None:
    token = world.token()
    only({"actions": ("read", "read_draft")}, {"actions": ("preview",), "fields": ("title",)})

    def asked(query: str, name: str) -> tuple[int, bytes]:
        answer = world.read(token, query=query.format(name))
        assert_problem(answer, 400)
        status, body, _ = masked(answer)
        return status, body.replace(name.encode(), b"NAME")

    for query in (
        "?fields={}",
        "?fields=title,{}",
        "?expand={}",
        "?fields=title&expand={}",
        "?fields={}.title",
    ):
        expected = asked(query, "nothing")
        for name in ("body", "related", "wage", "title__contains", "_data"):
            if (query, name) != ("?fields={}.title", "_data"):
                assert asked(query, name) == expected, (query, name)
    assert shown(world.read(token, query="?fields=title")) == {"title"}


def test_a_reference_to_itself_is_no_way_round(world: World) -> None:
    """What may not be previewed of an entry is not shown by expanding a reference that leads back to it."""
    editing.save(world.draft.pk, {"related": [str(world.draft.pk)]}, writing=writing("articles"), base=1)
    token = world.token()
    fields = ("title", "slug", "related")
    only({"actions": ("read", "read_draft")}, {"actions": ("preview",), "fields": fields})
    for query in ("?expand=related", "?expand=related.related", "?fields=title,related&expand=related"):
        answer = world.read(token, query=query)
        assert answer.json()["related"][0]["title"] == "CANARY draft", query
        assert "secret plans" not in answer.content.decode(), query
    assert_problem(world.read(token, query="?fields=related.body"), 400)
    only({"actions": SEEN})
    assert "secret plans" in world.read(token, query="?expand=related&fields=related").content.decode()


def test_two_policies_make_no_union(world: World) -> None:
    """GHSA-99vm-5v2h-h6r6: rows of one and fields of the other."""
    token = world.token()
    mine, others = {"title": {"eq": "CANARY draft"}}, {"title": {"ne": "CANARY draft"}}
    only(
        {"actions": SEEN, "filter": mine, "fields": ("title",)},
        {"actions": SEEN, "filter": others, "fields": ("title", "body")},
    )
    assert shown(world.read(token)) == {"title"}
    only(
        {"actions": SEEN, "filter": others, "fields": ("title",)},
        {"actions": SEEN, "filter": mine, "fields": ("title", "body")},
    )
    assert shown(world.read(token)) == {"title", "body"}


def test_statements_that_a_process_keeps_are_of_one_grant(world: World) -> None:
    """The same person reads the same draft in management and by a preview, with other fields, in any order."""
    token = world.token()
    only({"actions": ("read", "read_draft")}, {"actions": ("preview",), "fields": ("title", "related")})
    edith = world.edith.sign_in()
    managed = f"manage/content/articles/{world.draft.pk}"
    for _ in range(3):
        assert set(edith.get(managed).json()) - SYSTEM == {"title", "slug", "body", "related"}
        assert shown(world.read(token)) == {"title", "related"}
        assert_problem(world.read(token, query="?fields=body"), 400)
        assert edith.get(f"{managed}?fields=body").status_code == 200


# --- References -----------------------------------------------------------------------------------------------------


def test_a_draft_that_the_editor_may_not_read_is_a_reference_to_nothing(world: World) -> None:
    make_collection("vault", [{"key": "title", "type": "text", "filterable": True}])
    make_collection("notes", [
        {"key": "title", "type": "text", "filterable": True},
        {"key": "one", "type": "reference", "options": {"collections": ["vault", "notes"]}},
        {"key": "many", "type": "references", "options": {"collections": ["vault", "notes"]}},
    ])  # fmt: skip
    hidden = make_entry("vault", title="CANARY vault", published=False)
    open_one = make_entry("notes", title="Open", published=False, one=str(hidden.pk))
    closed = make_entry("notes", title="Closed", published=False)
    ids = [str(hidden.pk), str(closed.pk), str(open_one.pk)]
    note = make_entry("notes", title="Note", one=str(hidden.pk), many=ids, published=False)
    rows = {"title": {"ne": "Closed"}}
    allow("editor", collection="notes", actions=SEEN, filter=rows)
    made = make_site("Notes", urls={"notes": "https://www.example.com/p?id={_id}"})
    minted = world.mint(entry_id=str(note.pk), site_id=str(made.site.pk))
    assert minted.status_code == 201, minted.content
    token = world.exchange(minted.json()["code"], made.client_secret).json()["token"]

    def read(query: str = "") -> Any:
        return Api(anonymous().client, token).get(f"/api/v1/preview/content/notes/{note.pk}{query}")

    for query in ("", "?expand=one,many", "?expand=one,many.one"):
        answer = read(query)
        assert answer.status_code == 200, answer.content
        body = answer.json()
        assert body["one"] is None, query
        assert [item and item["_id"] for item in body["many"]] in ([None, None, ids[2]], [ids[2]]), body[
            "many"
        ]
        text = answer.content.decode()
        assert not any(word in text for word in ("CANARY", "Closed", ids[0], ids[1])), query
    assert_problem(read("?fields=one.secret"), 400)
    # Looked at anew on every use: what she may read now is there now.
    allow("editor", collection="vault", actions=("read_draft",))
    assert read("?expand=one").json()["one"]["title"] == "CANARY vault"
    for policy in Policy.objects.filter(role__key="editor", collection_id=current().by_key["vault"].id):
        granting.remove_policy(policy, by=ROOT)
    assert read("?expand=one").json()["one"] is None


# --- Another entry, another place -------------------------------------------------------------------------------------


def test_a_token_is_for_one_entry_in_one_locale(world: World) -> None:
    editing.save(world.draft.pk, {"title": "Entwurf"}, writing=writing("articles"), locale="de", base=1)
    token = world.token(locale="en")
    assert world.read(token).json()["title"] == "CANARY draft"
    assert world.read(token, query="?locale=en").status_code == 200
    before = len(refusals())
    answers = [
        world.read(token, world.other),
        world.read(token, query="?locale=de"),
        world.read(token, query="?locale=xx"),
        *(Api(world.visitor.client, token).get(f"/api/v1/preview/content/articles/{name}") for name in (uuid4(), "canary-draft", "x", "*")),
    ]  # fmt: skip
    for answer in answers:
        assert_problem(answer, 403)
        assert answer.cookies["__Host-quillkeep-preview"].value == ""
    assert len({masked(answer)[:2] for answer in answers}) == 1
    assert refusals()[before:] == ["other-entry", "other-locale", "other-locale", *["other-entry"] * 4]
    german = world.token(locale="de")
    assert world.read(german).json()["title"] == "Entwurf"
    assert_problem(world.read(german, query="?locale=en"), 403)


def test_no_name_of_a_collection_is_told(world: World) -> None:
    """A collection that is there and one that is not give the same answer, whoever may see it."""
    make_collection("vault", [{"key": "title", "type": "text"}])
    make_collection("block", [{"key": "title", "type": "text"}], kind="component")
    token = world.token()
    api = Api(world.visitor.client, token)
    answers = [
        api.get(f"/api/v1/preview/content/{name}/{world.draft.pk}") for name in ("vault", "nothing", "block", "ARTICLES", "x" * 90)
    ]  # fmt: skip
    for answer in answers:
        assert_problem(answer, 404)
    assert len({masked(answer)[:2] for answer in answers}) == 1
    assert world.read(token).status_code == 200


def test_a_draft_document_of_a_client_is_never_taken(world: World) -> None:
    """CVE-2026-25517: what is shown is what is stored."""
    token = world.token()
    path = f"/api/v1/preview/content/articles/{world.draft.pk}"
    api = Api(world.visitor.client, token)
    document = {"fields": {"title": "forged"}, "title": "forged", "locale": "en"}
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "LINK", "PROPFIND"):
        with Unchanged(method, but=LOG):
            answer = api.request(method, path, document)
        assert answer.status_code == 405, method
        assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
        assert_problem(anonymous().request(method, path, document), 401)
    fat = world.visitor.client.generic(
        "GET",
        path,
        json.dumps(document),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert fat.json()["title"] == "CANARY draft"
    overridden = api.post(path, document, **{"X-HTTP-Method-Override": "GET"})
    assert overridden.status_code == 405
    for method in ("PUT", "PATCH", "POST"):
        assert world.as_edith.send(method, f"previews/{uuid4()}", {"locale": "de"}).status_code == 405


SPOOFED: Final[list[dict[str, str]]] = [
    {"X-Draft-Id": "OTHER"}, {"X-Draft-Mode": "1"}, {"X-Preview": "1"}, {"X-Preview-Token": "OTHER"}, {"X-Preview-Entry": "OTHER"},
    {"X-Middleware-Subrequest": "middleware:middleware:middleware"}, {"X-Middleware-Rewrite": "/"}, {"X-Middleware-Next": "1"},
    {"X-Forwarded-For": "10.0.0.1"}, {"X-Forwarded-Host": "evil.example"}, {"X-Forwarded-Proto": "http"},
    {"X-Forwarded-Prefix": "/admin"}, {"Forwarded": "for=10.0.0.1;host=evil.example"}, {"X-Original-URL": "/admin/"},
    {"X-Rewrite-URL": "/admin/"}, {"X-Real-IP": "10.0.0.1"}, {"X-User-Id": "1"}, {"X-Quillkeep-User": "ada@example.com"},
    {"Cookie": "__Host-quillkeep-preview=OTHER; sessionid=x; __prerender_bypass=x"}, {"X-HTTP-Method": "DELETE"},
    {"Origin": "https://evil.example"}, {"Referer": "https://evil.example/"}, {"Sec-Fetch-Site": "cross-site"}, {"Range": "bytes=0-3"},
    {"If-None-Match": "*"}, {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, {"Accept-Language": "de"}, {"Prefer": "draft"},
]  # fmt: skip


def test_no_other_header_changes_a_byte(world: World) -> None:
    token, other = world.token(), world.token(entry_id=str(world.other.pk))
    good, bad = masked(world.read(token)), masked(world.read("x"))
    wrong = masked(world.read(token, world.other))
    for headers in SPOOFED:
        sent: Any = {name: value.replace("OTHER", str(world.other.pk)) for name, value in headers.items()}
        if "Cookie" in sent:
            sent["Cookie"] = headers["Cookie"].replace("OTHER", other)
        assert masked(world.read(token, **sent)) == good, headers
        assert masked(world.read("x", **sent)) == bad, headers
        assert masked(world.read(token, world.other, **sent)) == wrong, headers


@pytest.mark.parametrize("name", ["token", "access_token", "jwt", "code", "preview", "key", "auth", "draft"])
def test_a_credential_in_the_address_is_refused(world: World, name: str) -> None:
    token = world.token()
    for query in (f"?{name}={token}", f"?fields=title&{name}={token}"):
        assert_problem(world.read(token, query=query), 400)
        anonymously = anonymous().get(f"/api/v1/preview/content/articles/{world.draft.pk}{query}")
        assert_problem(anonymously, 400, 401)
        assert "CANARY" not in anonymously.content.decode()
    assert world.read(token).status_code == 200


@pytest.mark.parametrize("query", ["filter[title][eq]=x", "sort=title", "limit=1", "cursor=x", "offset=1", "search=x", "count=exact", "x=1", "fields=title&fields=body", "FIELDS=title", "version=1", "status=draft", "collection=vault"])  # fmt: skip
def test_no_other_parameter_is_understood(world: World, query: str) -> None:
    token = world.token()
    assert_problem(world.read(token, query=f"?{query}"), 400)
    assert world.read(token, query="?fields=title").status_code == 200


# --- Headers --------------------------------------------------------------------------------------------------------


PRIVATE: Final = {
    "Cache-Control": "private, no-store, max-age=0",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Authorization, Cookie, Origin",
}
NEVER: Final = ("ETag", "Last-Modified", "Expires", "Age", "Cache-Tag", "Surrogate-Control", "CDN-Cache-Control", "Location",
                "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers")  # fmt: skip


def test_every_answer_carries_the_same_protection(world: World, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://www.example.com"]
    token = world.token()
    path = f"/api/v1/preview/content/articles/{world.draft.pk}"
    api, nobody = Api(world.visitor.client, token), anonymous()
    answers = {
        200: [api.get(path), api.request("HEAD", path), api.request("OPTIONS", path), api.get(path, Origin="https://www.example.com")],
        400: [api.get(path + "?x=1"), api.get(path + "?fields=nothing")],
        401: [nobody.get(path), Api(nobody.client, "x").get(path), nobody.request("HEAD", path), nobody.post(path)],
        403: [world.read(token, world.other), world.read(token, query="?locale=de")],
        405: [api.post(path), api.delete(path)],
    }  # fmt: skip
    editing.trash(world.draft.pk, writing=writing("articles"))
    answers[404] = [api.get(path)]
    for status, listed in answers.items():
        for answer in listed:
            assert answer.status_code == status, answer.content
            told = {name: answer.headers.get(name) for name in PRIVATE}
            assert told == PRIVATE, status
            assert not [name for name in NEVER if name in answer.headers], status
            is_over = status in (401, 403)
            assert set(answer.cookies) == ({"__Host-quillkeep-preview"} if is_over else set()), status
            if is_over:
                cookie = answer.cookies["__Host-quillkeep-preview"]
                assert cookie.OutputString().endswith("Path=/; SameSite=Lax; Secure") or (
                    cookie["secure"]
                    and cookie["httponly"]
                    and cookie["samesite"] == "Lax"
                    and cookie["path"] == "/"
                )
            kind = "application/json" if status == 200 else "application/problem+json"
            assert answer.headers["Content-Type"] == kind


def test_a_head_tells_what_a_get_would(world: World) -> None:
    token = world.token()
    path = f"/api/v1/preview/content/articles/{world.draft.pk}"
    head, get = Api(world.visitor.client, token).request("HEAD", path), world.read(token)
    assert (head.status_code, head.content) == (200, b"")
    assert masked(head)[2] == masked(get)[2]
    refused = anonymous().request("HEAD", path)
    assert (refused.status_code, refused.content) == (401, b"")


def test_a_browser_of_another_origin_may_not_even_ask(world: World, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://www.example.com"]
    for path in (
        f"/api/v1/preview/content/articles/{world.draft.pk}",
        "/api/v1/previews/exchange",
        "/api/v1/previews",
    ):
        for origin in ("https://www.example.com", "null", "https://evil.example", "http://testserver"):
            answer = anonymous().request(
                "OPTIONS", path, **{"Origin": origin, "Access-Control-Request-Method": "GET",
                                    "Access-Control-Request-Headers": "authorization"}
            )  # fmt: skip
            assert not [name for name in answer.headers if name.startswith("Access-Control-")], (path, origin)


# --- Several people -------------------------------------------------------------------------------------------------


def test_each_of_several_people_gets_their_own(world: World) -> None:
    """CVE-2026-61836: the same address, whoever asked before: the body is theirs."""
    make_role("titles", {"collection": "articles", "actions": SEEN, "fields": ("title", "slug")})
    make_role("wages", {"collection": "articles", "actions": SEEN, "fields": ("title", "slug", "wage")})
    titles = make_person("titles@example.com", roles=["titles"]).sign_in()
    _, key = make_key(
        make_person("wages@example.com", roles=["wages"]).user,
        (None, Action.READ_DRAFT),
        (None, Action.PREVIEW),
    )
    ada = make_person("ada@example.com", roles=["administrator"], with_authenticator=True).sign_in()
    expected: dict[str, tuple[Api, Any]] = {
        "edith": (Api(Client(), world.token()), {"title", "slug", "body", "related"}),
        "titles": (Api(Client(), world.token(by=titles)), {"title", "slug"}),
        "a key": (Api(Client(), world.token(by=PersonsApi(Client(), key))), {"title", "slug", "wage"}),
        "ada": (Api(Client(), world.token(by=ada)), {"title", "slug", "body", "related", "wage"}),
        "nobody": (anonymous(), 401),
        "edith without a preview": (Api(Client(), world.as_edith.credential), 401),
    }
    path = f"/api/v1/preview/content/articles/{world.draft.pk}"
    for order in itertools.permutations(expected, 2):
        for who in order:
            api, wanted = expected[who]
            answer = api.get(path)
            assert (answer.status_code if isinstance(wanted, int) else shown(answer)) == wanted, (who, order)


# --- Minting --------------------------------------------------------------------------------------------------------


def test_minting_needs_the_right_to_preview_on_that_very_entry(world: World) -> None:
    rows = {"title": {"eq": "CANARY draft"}}
    only({"actions": ("read", "read_draft", "update")}, {"actions": ("preview",), "filter": rows})
    assert world.mint().status_code == 201
    others, nothing = {"entry_id": str(world.other.pk)}, {"entry_id": str(uuid4())}
    with Unchanged("not hers", but=LOG[:2]):
        assert_problem(world.mint(**others), 403)
        assert_problem(world.mint(**nothing), 404)
    only({"actions": SEEN, "filter": rows})
    with Unchanged("hidden", but=LOG[:2]):
        assert masked(world.mint(**others)) == masked(world.mint(**nothing))  # hidden is missing
    for actions in (
        ("preview",),
        ("read", "preview"),
        ("read", "read_draft"),
        ("read_draft", "update", "publish"),
        ("read",),
    ):
        only({"actions": actions})
        with Unchanged(actions, but=LOG[:2]):
            assert_problem(world.mint(), 403, 404)
    only({"actions": ("read_draft", "preview")})
    assert world.mint().status_code == 201


def test_a_grant_on_one_entry_is_enough_for_that_one(world: World) -> None:
    rita = make_person("rita@example.com")
    for right in (Action.READ_DRAFT, Action.PREVIEW):
        granting.grant_entry(rita.user, [right], world.draft, by=ROOT)
    api = rita.sign_in()
    token = world.token(by=api)
    assert world.read(token).json()["title"] == "CANARY draft"
    assert_problem(world.mint(by=api, entry_id=str(world.other.pk)), 404)
    granting.withdraw_entry(rita.user, [Action.PREVIEW], world.draft, by=ROOT)
    assert_problem(world.read(token), 404)
    assert_problem(world.mint(by=api), 403, 404)


@pytest.mark.parametrize(
    "who", ["nobody", "a reader", "a key without scopes", "a key of nobody much", "a preview", "a service"]
)
def test_minting_is_refused_to(world: World, who: str) -> None:
    make_role("reader", {"collection": "articles", "actions": ("read",)})
    token = world.token()
    api = {
        "nobody": lambda: PersonsApi(Client()),
        "a reader": lambda: make_person("rita@example.com", roles=["reader"]).sign_in(),
        "a key without scopes": lambda: PersonsApi(Client(), make_key(world.edith.user, (None, Action.READ))[1]),
        "a key of nobody much": lambda: PersonsApi(Client(), make_key(make_person("n@example.com").user, (None, Action.READ_DRAFT), (None, Action.PREVIEW))[1]),
        "a preview": lambda: PersonsApi(Client(), token),
        "a service": lambda: PersonsApi(Client(), world.secret),
    }[who]()  # fmt: skip
    with Unchanged(who, but=LOG[:2]):
        assert_problem(world.mint(by=api), 401, 403, 404)
    assert world.mint().status_code == 201


def test_the_scopes_of_a_key_cap_it_when_it_asks_and_when_it_is_used(world: World) -> None:
    articles = current().by_key["articles"].id
    other = make_collection("notes", [{"key": "title", "type": "text"}]).id
    full = make_key(world.edith.user, (articles, Action.READ_DRAFT), (articles, Action.PREVIEW))[1]
    for scopes in (
        [(None, Action.READ_DRAFT)], [(None, Action.PREVIEW)], [(other, Action.READ_DRAFT), (other, Action.PREVIEW)],
        [(articles, Action.READ_DRAFT), (other, Action.PREVIEW)], [(articles, Action.PREVIEW), (other, Action.READ_DRAFT)],
        [(None, Action.READ), (None, Action.UPDATE), (None, Action.PUBLISH)],
    ):  # fmt: skip
        _, text = make_key(world.edith.user, *scopes)
        with Unchanged(scopes, but=(*LOG[:2], "accounts_apikey")):
            assert_problem(world.mint(by=PersonsApi(Client(), text)), 403, 404)
    key_api = PersonsApi(Client(), full)
    token = world.token(by=key_api)
    assert world.read(token).status_code == 200
    # At use: what the key's row says now.
    preview = Preview.objects.get(api_key__isnull=False)
    key = preview.api_key
    assert key is not None
    before = key.scopes
    fewer: list[Any] = [
        {**before, "actions": [[str(articles), "preview"]]},
        {**before, "actions": [[str(articles), "read_draft"]]},
        {**before, "actions": []},
        {},
        [],
        "x",
    ]
    for less in fewer:
        type(key).objects.filter(pk=key.pk).update(scopes=less)
        assert_problem(world.read(token), 401, 404)
    type(key).objects.filter(pk=key.pk).update(scopes=before)
    assert world.read(token).status_code == 200


def test_a_key_does_not_lend_its_owners_grants_on_single_entries_beyond_its_scopes(world: World) -> None:
    rita = make_person("rita@example.com")
    granting.grant_entry(rita.user, [Action.READ_DRAFT, Action.PREVIEW], world.draft, by=ROOT)
    _, narrow = make_key(rita.user, (None, Action.READ))
    _, wide = make_key(rita.user, (None, Action.READ_DRAFT), (None, Action.PREVIEW))
    assert_problem(world.mint(by=PersonsApi(Client(), narrow)), 403, 404)
    assert world.read(world.token(by=PersonsApi(Client(), wide))).status_code == 200


@pytest.mark.parametrize("body", [
    {"fields": {"title": "x"}}, {"document": {}}, {"data": {}}, {"user": "x"}, {"user_id": "x"}, {"role": "administrator"},
    {"scope": "preview:write"}, {"jti": str(UUID(int=1))}, {"url": "https://evil.example/"}, {"redirect": "https://evil.example/"},
    {"expires_at": "2099-01-01T00:00:00Z"}, {"ttl_seconds": 59}, {"ttl_seconds": 1801}, {"ttl_seconds": 0}, {"ttl_seconds": -900},
    {"ttl_seconds": "900"}, {"ttl_seconds": True}, {"ttl_seconds": 10**30}, {"ttl_seconds": 90.5}, {"locale": "xx"}, {"locale": "de"},
    {"locale": 7}, {"locale": ""}, {"site_id": "x"}, {"site_id": str(UUID(int=1))}, {"entry_id": "x"}, {"entry_id": 7}, {"sid": "x"},
    {"aud": "x"}, {"session": "x"}, {"environment": "production"}, {"response_mode": "query"}, {"code": "x"},
], ids=str)  # fmt: skip
def test_a_preview_is_asked_for_by_its_entry_and_site_and_nothing_more(
    world: World, body: dict[str, Any]
) -> None:
    with Unchanged(body, but=LOG[:2]):
        answer = world.mint(**body)
    assert_problem(answer, 400)
    assert world.mint(ttl_seconds=60).status_code == 201


def test_what_a_mint_says_stands_in_no_list(world: World) -> None:
    body = world.mint().json()
    assert set(body) == {"url", "code", "expires_at", "jti", "response_mode"}
    listed = world.as_edith.get("previews")
    assert body["code"] not in listed.content.decode()
    assert listed.headers["Cache-Control"] == "private, no-store"
    found = world.as_edith.get(f"previews/{body['jti']}").json()
    assert not {"code", "code_hash", "token", "token_version", "session", "session_id"} & set(found)


# --- The register -----------------------------------------------------------------------------------------------------


def test_everybody_sees_their_own_previews_and_administrators_all(world: World) -> None:
    make_role("titles", {"collection": "articles", "actions": SEEN})
    make_role("keeper", {"collection": "articles", "actions": SEEN})
    titles = make_person("titles@example.com", roles=["titles"]).sign_in()
    mine, hers = world.mint().json()["jti"], world.mint(by=titles).json()["jti"]

    def seen(api: Any) -> list[str]:
        answer = api.get("previews")
        assert answer.status_code == 200, answer.content
        return [item["jti"] for item in answer.json()["data"]]

    assert seen(world.as_edith) == [mine]
    assert seen(titles) == [hers]
    ada = make_person("ada@example.com", roles=["administrator"], with_authenticator=True)
    assert seen(ada.sign_in()) == [hers, mine]
    assert_problem(PersonsApi(Client()).get("previews"), 401)
    for path in (f"previews/{mine}", f"previews/{uuid4()}"):
        assert_problem(titles.get(path), 404)
        with Unchanged(path, but=LOG[:2]):
            assert_problem(titles.delete(path), 404)
    theirs, nothing = titles.delete(f"previews/{mine}"), titles.delete(f"previews/{uuid4()}")
    assert masked(theirs) == masked(nothing)
    # A key of an administrator sees what its scopes name, and no more.
    _, narrow = make_key(ada.user, (None, Action.READ))
    _, wide = make_key(ada.user, (None, Action.READ), areas=[Area.PREVIEWS])
    assert seen(PersonsApi(Client(), narrow)) == []
    assert set(seen(PersonsApi(Client(), wide))) == {mine, hers}
    assert_problem(PersonsApi(Client(), narrow).delete(f"previews/{mine}"), 404)
    assert PersonsApi(Client(), wide).delete(f"previews/{mine}").status_code == 204
    assert titles.delete(f"previews/{hers}").status_code == 204


def test_a_key_that_may_only_read_ends_nobodys_preview_but_what_it_asked_for(world: World) -> None:
    jti = world.mint().json()["jti"]
    _, reading = make_key(world.edith.user, (None, Action.READ))
    _, previewing = make_key(world.edith.user, (None, Action.READ_DRAFT), (None, Action.PREVIEW))
    asking = PersonsApi(Client(), previewing)
    own = world.mint(by=asking).json()["jti"]

    def seen(api: PersonsApi) -> list[str]:
        return [item["jti"] for item in api.get("previews").json()["data"]]

    for api, there in ((PersonsApi(Client(), reading), []), (asking, [own])):
        assert seen(api) == there
        assert_problem(api.get(f"previews/{jti}"), 404)
        assert_problem(api.delete(f"previews/{jti}"), 404)
    assert seen(world.as_edith) == [own, jti]
    assert asking.delete(f"previews/{own}").status_code == 204
    assert world.as_edith.delete(f"previews/{jti}").status_code == 204


def test_lists_of_previews_cost_the_same_however_long_they_are(world: World) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert world.as_edith.get("previews").status_code == 200
        return len(queries.captured_queries)

    world.mint()
    asked()  # what a process keeps
    first = asked()
    for _ in range(4):
        world.mint()
    assert asked() == first


def test_sites_are_for_those_who_administer_previews(world: World) -> None:
    at = f"manage/preview-sites/{world.site.pk}"
    for api in (world.as_edith, PersonsApi(Client())):
        for method, path, body in (
            ("GET", "manage/preview-sites", None), ("POST", "manage/preview-sites", {"name": "x", "origins": ["https://x.example"]}),
            ("GET", at, None), ("PATCH", at, {"name": "x"}), ("DELETE", at, None), ("POST", f"{at}/rotate-secret", {}),
            ("POST", f"{at}/rotate-shared-secret", {}),
        ):  # fmt: skip
            with Unchanged((method, path), but=LOG[:2]):
                assert_problem(api.send(method, path, body), 401 if api is not world.as_edith else 403)
    answer = administrator().get(f"/api/v1/{at}")
    assert answer.status_code == 200
    text = answer.content.decode()
    assert world.site.secret_hash not in text
    assert world.secret not in text


def test_a_draft_that_is_gone_is_refused_as_one_that_never_was(world: World) -> None:
    token = world.token()
    editing.trash(world.draft.pk, writing=writing("articles"))
    in_the_trash = world.read(token)
    editing.restore(world.draft.pk, writing=writing("articles"))
    assert world.read(token).status_code == 200
    only({"actions": ("read",)})
    assert masked(world.read(token)) == masked(in_the_trash)
    assert_problem(in_the_trash, 404)
    assert Entry.objects.filter(pk=world.draft.pk).exists()
    assert User.objects.filter(pk=world.edith.user.pk, is_active=True).exists()


def test_a_strange_locale_tells_no_hidden_entry_from_a_missing_one(world: World) -> None:
    """The locale is looked at before the entry, or its error would say that there is one."""
    make_collection("vault", [{"key": "title", "type": "text"}])
    hidden = make_entry("vault", title="Hidden", published=False)
    asked = [world.mint(entry_id=str(entry), locale="xx") for entry in (hidden.pk, uuid4(), world.draft.pk)]
    assert [answer.status_code for answer in asked] == [400, 400, 400]
    assert len({str(answer.json()["errors"]) for answer in asked}) == 1
    for entry in (hidden.pk, uuid4()):
        assert world.mint(entry_id=str(entry), locale="en").status_code == 404
