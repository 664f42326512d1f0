"""Drafts, versions and history: the right on the object and on drafts, and nothing public of what is not (threats, C)."""

import re
from uuid import uuid4

import pytest

from accounts import people
from accounts.models import User
from accounts.sign_in import devices
from content import editing, publishing
from tests.accounts.cast import totp_code
from tests.builders import (
    PASSWORD,
    ROOT,
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
from tests.dumps import dump
from tests.security.world import DRAFT_WORD, WORD, Unchanged, assert_problem, leaked, make_world, masked

pytestmark = pytest.mark.django_db

TAILS = ("", "/versions", "/versions/1", "/versions/2", "/diff?from=1&to=2")
FIELDS = [
    {"key": "title", "type": "text", "filterable": True},
    {"key": "slug", "type": "slug", "options": {"from": "title"}},
    {"key": "secret", "type": "text", "filterable": True},
    {"key": "rank", "type": "integer", "filterable": True},
    {"key": "next", "type": "reference", "filterable": True, "options": {"collections": ["other"]}},
]


@pytest.fixture
def path() -> str:
    make_collection("other", [{"key": "title", "type": "text", "filterable": True}])
    make_collection("posts", FIELDS)
    return "/api/v1/manage/content/posts"


def saved_twice(**values):
    entry = make_entry("posts", published=False, **values)
    editing.save(
        entry.pk,
        {"secret": f"{WORD} second", "rank": values.get("rank", 1)},
        writing=writing("posts"),
        base=1,
    )
    return entry


def test_history_needs_the_right_on_the_entry_and_on_drafts(path: str) -> None:
    near = saved_twice(title="Near", secret=f"{WORD} first", rank=1)
    far = saved_twice(title=f"{DRAFT_WORD} far", secret=f"{WORD} first", rank=9)
    for entry in (near, far):
        publishing.publish(entry.pk, writing=writing("posts"))
    make_role("reader", {"collection": "posts", "fields": ("title", "rank", "secret")})
    make_role(
        "drafter",
        {
            "collection": "posts",
            "actions": ("read_draft",),
            "filter": {"rank": {"lt": 5}},
            "fields": ("title", "rank"),
        },
    )
    reader, drafter, root = make_key(role="reader"), make_key(role="drafter"), make_key(role="administrator")
    for tail in TAILS:
        assert root.get(f"{path}/{far.pk}{tail}").status_code == 200, tail
        assert drafter.get(f"{path}/{near.pk}{tail}").status_code == 200, tail
        assert not leaked(drafter.get(f"{path}/{near.pk}{tail}")), tail
        for api, entry in ((reader, near), (reader, far), (drafter, far)):
            hidden = api.get(f"{path}/{entry.pk}{tail}")
            assert_problem(hidden, 404)
            assert masked(hidden) == masked(api.get(f"{path}/{uuid4()}{tail}")), tail
            assert not leaked(hidden)
    with Unchanged("restoring without the right"):
        for api, entry in ((reader, near), (drafter, far), (drafter, near)):
            assert_problem(api.post(f"{path}/{entry.pk}/versions/1/restore"), 403, 404)


def test_the_hash_of_a_version_is_for_those_who_see_all_of_it(path: str) -> None:
    """A hash over hidden values can be tried against guesses."""
    one = saved_twice(title="Same", secret="1234", rank=1)
    make_role("drafter", {"collection": "posts", "actions": ("read_draft",), "fields": ("title", "rank")})
    drafter, root = make_key(role="drafter"), make_key(role="administrator")
    for tail in ("/versions", "/versions/1"):
        assert not re.search(rb"[0-9a-f]{64}", drafter.get(f"{path}/{one.pk}{tail}").content), tail
        assert re.search(rb"[0-9a-f]{64}", root.get(f"{path}/{one.pk}{tail}").content), tail


def test_a_diff_names_no_entry_that_can_not_be_seen(path: str) -> None:
    target = make_entry("other", title=f"{WORD} other", published=False)
    post = make_entry("posts", title="Refers", next=str(target.pk))
    editing.save(post.pk, {"next": None}, writing=writing("posts"), base=1)
    make_role("drafter", {"collection": "posts", "actions": ("read_draft",)})
    drafter, root = make_key(role="drafter"), make_key(role="administrator")
    for tail in ("", *TAILS[1:]):
        assert str(target.pk) not in drafter.get(f"{path}/{post.pk}{tail}").content.decode(), tail
    assert str(target.pk) in root.get(f"{path}/{post.pk}/diff?from=1&to=2").content.decode()


def test_a_version_number_that_is_none_is_missing(path: str) -> None:
    root, entry = make_key(role="administrator"), saved_twice(title="A")
    for number in ("0", "3", "2147483648", "9" * 40):
        assert_problem(root.get(f"{path}/{entry.pk}/versions/{number}"), 404)
        with Unchanged(number):
            assert_problem(root.post(f"{path}/{entry.pk}/versions/{number}/restore"), 404)
    for query in (
        "from=1",
        "from=1&to=x",
        "from=1&to=-1",
        "from=1&to=2&to=3",
        "from=1&to=1e3",
        "from=%C2%B2&to=1",
        "from=1&to=2&x=1",
    ):
        assert_problem(root.get(f"{path}/{entry.pk}/diff?{query}"), 400)
    assert_problem(root.get(f"{path}/{entry.pk}/diff?from=1&to=99"), 404)
    for cursor in ("%C2%B2", "x", "-1", "1e3", "9" * 30, ""):
        assert_problem(root.get(f"{path}/{entry.pk}/versions?cursor={cursor}"), 400)


def test_a_trashed_entry_is_not_written_by_restoring_a_version(path: str) -> None:
    root, entry = make_key(role="administrator"), saved_twice(title="A")
    assert root.delete(f"{path}/{entry.pk}").status_code == 204
    with Unchanged("trash"):
        assert_problem(root.post(f"{path}/{entry.pk}/versions/1/restore"), 409)
    assert root.post(f"{path}/{entry.pk}/restore").status_code == 200
    assert root.post(f"{path}/{entry.pk}/versions/1/restore").status_code == 200


def test_what_is_unpublished_is_gone_everywhere_at_once(path: str) -> None:
    allow("public", collection="posts")
    allow("public", collection="other")
    target = make_entry("other", title=f"{DRAFT_WORD} target")
    post = make_entry("posts", title="Post", next=str(target.pk))
    api, delivery = anonymous(), "/api/v1/content"
    surfaces = {
        "list": f"{delivery}/other",
        "search": f"{delivery}/other?search={DRAFT_WORD}&count=exact",
        "filter": f"{delivery}/other?filter[title][starts_with]={DRAFT_WORD}",
        "expand": f"{delivery}/posts?expand=next",
        "fields": f"{delivery}/posts/{post.pk}?fields=next.title",
        "through": f"{delivery}/posts?filter[next.title][starts_with]={DRAFT_WORD}&expand=next",
    }
    for name, surface in surfaces.items():
        assert leaked(api.get(surface)) == [DRAFT_WORD], name
    assert api.get(f"{delivery}/other/{target.pk}").status_code == 200
    etag = api.get(surfaces["expand"])["ETag"]
    publishing.unpublish(target.pk, writing=writing("other"))
    for name, surface in surfaces.items():
        answer = api.get(surface)
        assert answer.status_code == 200
        assert not leaked(answer), name
        assert str(target.pk) not in answer.content.decode() + answer.get("Cache-Tag", ""), name
    assert_problem(api.get(f"{delivery}/other/{target.pk}"), 404)
    assert api.get(surfaces["expand"], **{"If-None-Match": etag}).status_code == 200
    assert api.get(surfaces["search"]).json()["meta"]["total"] == 0
    assert api.get(surfaces["through"]).json()["data"] == []
    for act in (editing.trash, editing.purge):
        again = make_entry("other", title=f"{DRAFT_WORD} again")
        act(again.pk, writing=writing("other"))
        assert_problem(api.get(f"{delivery}/other/{again.pk}"), 404)
        assert not leaked(api.get(surfaces["list"]))


def test_a_later_draft_of_a_published_entry_shows_nowhere(path: str) -> None:
    make_locale("de", fallback=("en",))
    allow("public", collection="posts")
    post = make_entry("posts", title="Public", rank=1)
    slug = f"{DRAFT_WORD}-slug"
    editing.save(
        post.pk, {"title": f"{DRAFT_WORD} title", "slug": slug, "rank": 99}, writing=writing("posts"), base=1
    )
    api, delivery = anonymous(), "/api/v1/content/posts"
    for query in (
        "",
        "?locale=de",
        f"?search={DRAFT_WORD}",
        "?filter[rank][gt]=5",
        f"?filter[slug][eq]={slug}",
        "?sort=-rank",
        f"/{post.pk}",
        "/public",
    ):
        assert not leaked(api.get(delivery + query)), query
    assert api.get(delivery).json()["data"][0]["_version"] == 1
    assert_problem(api.get(f"{delivery}/{slug}"), 404)
    publishing.publish(post.pk, writing=writing("posts"))
    assert api.get(f"{delivery}/{slug}").status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "X-Preview",
        "X-Draft-Id",
        "X-Middleware-Subrequest",
        "X-Original-Url",
        "X-Rewrite-Url",
        "X-Http-Method-Override",
        "X-Forwarded-User",
        "Remote-User",
        "Cookie",
    ],
)
def test_no_header_opens_a_draft(header: str) -> None:
    make_collection()
    allow("public", collection="articles")
    draft = make_entry(title=f"{DRAFT_WORD} x", published=False)
    plain = masked(anonymous().get(f"/api/v1/content/articles/{draft.pk}"))
    for value in (
        str(draft.pk),
        "1",
        "true",
        "/api/v1/manage/content/articles",
        "administrator@example.com",
        "session=1; preview=1",
    ):
        assert masked(anonymous().get(f"/api/v1/content/articles/{draft.pk}", **{header: value})) == plain
        assert_problem(anonymous().get("/api/v1/manage/content/articles", **{header: value}), 401)


def test_no_table_of_the_past_holds_a_secret() -> None:
    """After every kind of secret was set: a raw dump of all tables, looked through for each (CVE-2026-39943)."""
    user = make_user("ada@example.com", roles=("administrator",))
    device = devices.enrol(user, by=ROOT)
    secret = device.raw_secret
    people.set_password(user, "another " + PASSWORD, by=ROOT)
    login = {"email": user.email, "password": "another " + PASSWORD, "otp": totp_code(device)}
    tokens = anonymous().post("/api/v1/auth/login", login)
    assert tokens.status_code == 200, tokens.content
    wrong = anonymous().post(
        "/api/v1/auth/login", {**login, "password": "canarytypedpassword", "otp": "000000"}
    )
    assert wrong.status_code == 401
    root = make_key(role="administrator")
    made = root.post("/api/v1/manage/api-keys", {"name": "k", "role": "administrator", "scopes": ["*:read"]})
    assert made.status_code in (201, 403), made.content
    make_role("reading", {"actions": ("read",)})
    minted = root.post(
        "/api/v1/manage/api-keys", {"name": "k", "role": "reading", "scopes": ["*:read"]}
    ).json()
    rotated = root.post(f"/api/v1/manage/api-keys/{minted['id']}/rotate", {}).json()
    import base64

    raw = secret if isinstance(secret, bytes) else bytes(secret)
    needles = [
        "another " + PASSWORD, "canarytypedpassword", tokens.json()["access"], tokens.json()["refresh"], minted["key"], rotated["key"],
        minted["key"].rsplit("_", 1)[-1][:43], rotated["key"].rsplit("_", 1)[-1][:43], raw.hex(), base64.b32encode(raw).decode().rstrip("="),
        base64.b64encode(raw).decode().rstrip("="), User.objects.get(pk=user.pk).password,
    ]  # fmt: skip
    dumps = dump()
    for needle in needles[:-1]:
        assert [name for name, text in dumps.items() if needle in text] == [], needle
    held = [name for name, text in dumps.items() if needles[-1] in text and not name.startswith("pg_")]
    assert held == ["accounts_user"]
    assert dumps["accounts_event"].count("api-key.") >= 2


def test_the_log_and_the_history_name_fields_and_never_values() -> None:
    world = make_world()
    root = world.apis["administrator"]
    root.patch(
        f"/api/v1/manage/content/articles/{world.published.pk}",
        {"fields": {"hidden_text": f"{WORD} other"}},
        **{"If-Match": '"1"'},
    )
    dumps = dump()
    assert WORD in dumps["content_version"]
    for name in (
        "accounts_event",
        "accounts_seal",
        "django_admin_log",
        "content_rebuild",
        "content_fieldindex",
        "content_reference",
        "content_uniquevalue",
    ):
        assert WORD not in dumps[name], name
    assert "hidden_text" in dumps["accounts_event"]
    audit = root.get("/api/v1/manage/audit?type=entry.*")
    assert audit.status_code == 200
    assert not leaked(audit)
    for name, api in world.signed_in.items():
        assert_problem(api.get("/api/v1/manage/audit"), 403), name
