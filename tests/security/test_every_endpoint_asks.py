"""Every pattern of the URLconf, every method, every kind of caller: what is refused changes no row (threats, E)."""

import ast
from pathlib import Path

import pytest
from django.conf import settings
from rest_framework.views import APIView

from accounts import access
from accounts.access import Action, Needs, Principal
from accounts.models import ApiKey, Event, Policy, Role, Session, User
from accounts.models.device import Authenticator as Device
from accounts.rights.granting import SETTINGS
from cms_project.schema_view import SchemaView
from content import editing, modeling, publishing
from content.models import Collection, DraftDocument, Entry, Field, Locale, PublishedDocument, Version
from previews.models import HandoffUrl, Preview, PreviewSite, SigningKey
from tests.builders import ROOT, allow, anonymous, make_collection, make_entry, make_key, make_role, make_user
from tests.security.matrix import DRAFT, V1, calls
from tests.security.world import Unchanged, assert_problem, leaked, make_world, routes
from webhooks.models import Attempt, Delivery, Endpoint, EndpointSecret, Receipt, Source, SourceSecret

pytestmark = pytest.mark.django_db

# Open to everybody, each for a reason; everything else is a 401 without a credential.
PUBLIC = {
    ("GET", V1 + "content/<str:collection>"),  # anonymous is a principal whose role starts empty
    ("GET", V1 + "content/<str:collection>/<str:name>"),
    ("POST", V1 + "auth/login"),
    ("POST", V1 + "auth/refresh"),
    ("GET", V1 + "openapi.json"),  # in development only, see below
    ("POST", V1 + "forms/<str:form>"),  # that a form is open lets visitors send it
    ("POST", V1 + "csp-reports"),  # browsers send no credential with what a policy blocked
    ("POST", V1 + "previews/exchange"),  # a site's server, by what is in the body
}
# Open to no credential of people: whoever holds the token of a preview, which its own authentication looks for.
BY_TOKEN = {("GET", DRAFT)}
REFUSAL = ("accounts_event", "accounts_unsealed")  # that a code or a token was refused is written down
ROOT_FOLDER = Path(__file__).parents[2]
# Where the system's own principal is made, and why nobody's rights are asked there.
SYSTEM = {
    "accounts/access.py": "makes it",
    "accounts/audit/heads.py": "notes that the head of the log was not sent",
    "accounts/audit/results.py": "notes that the log is not intact",
    "accounts/audit/streaming.py": "notes that events don't reach the SIEM, and that they do again",
    "accounts/sign_in/mails.py": "tells which mails were sent",
    "accounts/alerting/reading.py": "tells of alerts",
    "accounts/keys/whereabouts.py": "tells of new places",
    "accounts/management/commands/alerts.py": "the operator on the machine",
    "accounts/management/commands/audit.py": "the operator on the machine",
    "accounts/management/commands/createadmin.py": "the operator on the machine",
    "accounts/management/commands/keys.py": "the operator on the machine",
    "content/management/commands/import_markdown.py": "the operator on the machine",
    "content/purging.py": "tells that caches are not told of changes",
    "content/management/commands/content.py": "the operator on the machine",
    "accounts/tasks.py": "what time does to keys, and to the log",
    "webhooks/clock.py": "telling that a clock is wrong",
    "webhooks/management/commands/webhooks.py": "the operator on the machine",
    "webhooks/outcomes.py": "what receivers answered: an endpoint that is gone or fails is switched off",
    "webhooks/tasks.py": "what time does to secrets of endpoints, and the check that somebody asked for",
    "previews/management/commands/previews.py": "the operator on the machine",
    "previews/tasks.py": "what time does to signing keys, and the leak probe, which tells nobody what it reads",
    "accounts/outages.py": "says that the store of limits is gone, and back",
    "cms_project/management/commands/environment.py": "the operator on the machine",
    "cms_project/management/commands/lockdown.py": "the operator on the machine",
    "content/backups/golden.py": "reads documents whole, to compare them by their hashes",
    "content/tasks.py": "makes and proves backups when they are due, and the end of what forms have kept",
    "cms_project/management/commands/backup.py": "the operator on the machine",
    "cms_project/management/commands/schema.py": "the operator on the machine",
    "cms_project/standing.py": "the ring as the operator put it, noted at start",
    "cms_project/management/commands/person.py": "the operator on the machine",
    "content/writing.py": "checks what is stored already",
    "content/rebuilding.py": "writes documents of published versions anew, and seals or opens what is stored",
    "content/retention.py": "erases what its collection keeps no longer",
    "webhooks/incoming/tasks.py": "erases secrets of sources whose overlap is over",
    "cms_project/demo/making.py": "content of our own",
}


def test_every_pattern_is_in_the_matrix_with_every_method() -> None:
    known = {(call.method, call.route) for call in calls(make_world())}
    found = {(method, route.route) for route in routes(V1) for method in route.methods}
    assert found - known == set(), "a new endpoint needs a call in tests/security/matrix.py"
    assert known - found == set()


def test_every_endpoint_names_what_it_needs() -> None:
    for route in routes(V1):
        assert isinstance(route.view, type), route
        assert issubclass(route.view, APIView), route.route
        assert isinstance(getattr(route.view, "needs", None), Needs), (
            f"{route.route} names no need, so nobody may use it"
        )
        assert route.view.permission_classes == [access.HoldsGrant], route.route
        if route.view.needs.who == "anyone":
            assert {(method, route.route) for method in route.methods} <= PUBLIC | BY_TOKEN, route.route
    assert SchemaView.needs.who == ("anyone" if settings.ENVIRONMENT.is_development else "signed_in")


def test_an_endpoint_without_a_need_is_closed_to_administrators_too(monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_key(role="administrator")
    assert root.get("/api/v1/manage/locales").status_code == 200
    from content.manage.schema_views import LocalesView

    monkeypatch.setattr(LocalesView, "needs", None)
    assert_problem(root.get("/api/v1/manage/locales"), 403)


def test_everybody_is_refused_what_is_not_theirs_and_nothing_changes() -> None:
    world = make_world()
    world.apis["expired"] = make_key(owner=world.users["reader"])
    ApiKey.objects.filter(public_id=world.apis["expired"].key.split("_")[2]).update(
        expires_at="2020-01-01T00:00:00Z"
    )
    listed = calls(world)
    changing = (
        "accounts_session",
        "axes_accessfailurelog",
        "axes_accessattempt",
        "axes_accesslog",
        "accounts_event",
        "accounts_unsealed",
    )
    for call in listed:
        # A failed sign-in is counted and logged; that is all that a refusal may ever write.
        is_counted = call.path.startswith(V1 + "auth/") and call.who == "anyone"
        but = changing if is_counted or call.path.endswith("auth/step-up") else ()
        but = (*REFUSAL, "content_submission") if call.route == V1 + "forms/<str:form>" else but
        but = REFUSAL if call.who == "token" or call.path.endswith("exchange") else but
        for name, api in {"anonymous": anonymous(), **world.apis}.items():
            if name == "administrator" or (call.path.endswith("logout") and name in ("editor", "nobody")):
                continue  # whose sessions do end
            with Unchanged((name, call), but=but):
                answer = call.send(api)
                allowed = call.who == "anyone" or (
                    call.who == "signed_in" and name not in ("anonymous", "expired")
                )
                if name == "expired" and (call.method, call.route) not in {
                    ("POST", V1 + "auth/login"),
                    ("POST", V1 + "auth/refresh"),
                }:
                    assert_problem(answer, 401)
                elif call.who == "token" or (name == "anonymous" and (call.method, call.route) not in PUBLIC):
                    assert_problem(answer, 401)
                    assert answer["WWW-Authenticate"].startswith("Bearer")
                elif not allowed:
                    writes_hidden = "hidden_text" in str(
                        call.body
                    )  # a field that is not there for the editor
                    assert_problem(answer, 403, 404, *([400] if writes_hidden and name == "editor" else []))
                assert not leaked(answer), (name, call)
    root = make_key(role="administrator")
    for call in listed:
        answer = call.send(root)
        assert answer.status_code == call.status, (call, answer.content)
        if call.path.startswith("api/"):  # what is shown to a credential is kept nowhere
            assert "no-store" in answer["Cache-Control"], call


def test_no_endpoint_takes_a_name_of_a_column() -> None:
    """Mass assignment: each column of each model in each body is refused, and nothing is stored (CVE-2023-39345)."""
    world = make_world()
    root = world.apis["administrator"]
    columns = {
        field.attname
        for model in (
            User,
            Role,
            Policy,
            ApiKey,
            Session,
            Device,
            Event,
            Entry,
            Version,
            DraftDocument,
            PublishedDocument,
            Collection,
            Field,
            Locale,
            Preview,
            PreviewSite,
            HandoffUrl,
            SigningKey,
            Endpoint,
            EndpointSecret,
            Delivery,
            Attempt,
            Source,
            SourceSecret,
            Receipt,
        )
        for field in model._meta.get_fields()
        if hasattr(field, "attname")
    } | {
        "is_staff",
        "is_superuser",
        "role",
        "groups",
        "user_permissions",
        "owner",
        "confirmed",
        "pk",
        "_state",
        "__class__",
        "current_head",
    }
    for call in calls(world):
        if not isinstance(call.body, dict):
            continue
        known = set(call.body) | ACCEPTED.get((call.method, call.route), set())
        unknown = sorted(columns - known)
        with Unchanged(call):
            problem = assert_problem(call.send_with(root, dict.fromkeys(unknown, "x")), 400)
            named = {item["pointer"] for item in problem["errors"] if item["code"] == "unknown-key"}
            assert named == {f"/{name}" for name in unknown}, call
            for name in ("id", "is_superuser", "password"):
                assert_problem(call.send_with(root, {name: True}), 400)
        if "fields" in call.body and "content" in call.route:
            with Unchanged(call):
                answer = call.send_with(root, {"fields": dict.fromkeys(columns - {"slug", "title"}, "x")})
                assert {item["code"] for item in assert_problem(answer, 400)["errors"]} == {"unknown-field"}


SITE = {
    "name",
    "origins",
    "handoff_urls",
    "algorithm",
    "ttl_seconds",
    "max_ttl_seconds",
    "response_mode",
    "is_embeddable",
    "cdn_origin",
    "state",
}
HOOK = {"name", "url", "types", "collections", "owner", "algorithm", "is_active"}
# What each write takes beside what its call in the matrix sends: the writable members, checked in (GHSA-p3hx-pwf3-j8wr).
ACCEPTED = {
    ("POST", V1 + "auth/login"): {"otp"},
    ("POST", V1 + "manage/collections"): {"description", "kind", "localized", "retention", "form"},
    ("PATCH", V1 + "manage/collections/<str:key>"): {
        "key",
        "description",
        "kind",
        "localized",
        "retention",
        "fields",
        "form",
        "confirm",
        "dry_run",
    },
    ("POST", V1 + "manage/locales"): {"fallback", "direction", "is_default"},
    ("PATCH", V1 + "manage/locales/<str:code>"): {"code", "fallback", "direction", "is_default"},
    ("POST", V1 + "manage/content/<str:collection>"): {"locale", "message"},
    ("PATCH", V1 + "manage/content/<str:collection>/<str:name>"): {"locale", "message"},
    ("POST", V1 + "manage/content/<str:collection>/<str:name>/versions/<int:number>/restore"): {"message"},
    ("POST", V1 + "manage/content/<str:collection>/<str:name>/publish"): {"locales"},
    ("POST", V1 + "manage/content/<str:collection>/<str:name>/unpublish"): {"locales"},
    ("POST", V1 + "manage/roles"): {*SETTINGS, "areas"},
    ("POST", V1 + "manage/webhooks/sources"): {"options", "schema", "account", "role", "state", "secret"},
    ("PATCH", V1 + "manage/webhooks/sources/<str:key>"): {"schema", "action", "account", "role", "state"},
    ("POST", V1 + "manage/webhooks/sources/<str:key>/rotate-secret"): {"secret", "overlap_hours"},
    ("PATCH", V1 + "manage/roles/<str:key>"): {*SETTINGS, "areas"},
    ("POST", V1 + "manage/policies"): {"filter", "presets", "dry_run"},
    ("PATCH", V1 + "manage/policies/<uuid:policy_id>"): {
        "role",
        "collection",
        "filter",
        "fields",
        "presets",
        "dry_run",
    },
    ("POST", V1 + "manage/users"): {"name", "is_active", "is_service"},
    ("PATCH", V1 + "manage/users/<uuid:user_id>"): {"email", "is_active"},
    ("POST", V1 + "manage/api-keys"): {"owner", "expires_at", "allowed_networks", "browser", "rate_limit"},
    ("POST", V1 + "manage/api-keys/<uuid:key_id>/rotate"): {"overlap_hours"},
    ("POST", V1 + "previews"): {"locale", "ttl_seconds"},
    ("POST", V1 + "manage/webhooks/endpoints"): HOOK,
    ("PATCH", V1 + "manage/webhooks/endpoints/<uuid:endpoint_id>"): HOOK,
    ("POST", V1 + "manage/webhooks/endpoints/<uuid:endpoint_id>/rotate-secret"): {"overlap_hours"},
    ("POST", V1 + "manage/preview-sites"): SITE,
    ("PATCH", V1 + "manage/preview-sites/<uuid:site_id>"): SITE,
    ("POST", V1 + "manage/preview-sites/<uuid:site_id>/rotate-secret"): {"overlap_hours"},
    ("POST", V1 + "manage/preview-sites/<uuid:site_id>/rotate-shared-secret"): {"overlap_hours"},
}


def test_no_write_takes_a_parameter() -> None:
    world = make_world()
    root = world.apis["administrator"]
    for call in calls(world):
        if call.method == "GET":
            continue
        with Unchanged(call):
            joint = "&" if "?" in call.path else "?"
            answer = root.request(call.method, f"/{call.path}{joint}zz=1", call.body, **call.headers)
            problem = assert_problem(answer, 400)
            assert [item["parameter"] for item in problem["errors"]] == ["zz"], call


def test_only_json_is_answered_and_no_format_is_chosen() -> None:
    world = make_world()
    root = world.apis["administrator"]
    for call in calls(world):
        if call.method != "GET" or call.route.endswith("openapi.json"):
            continue
        if call.who == "token":  # asked for before anything of the query is
            assert_problem(root.get(f"/{call.path}", Accept="text/html"), 406)
            continue
        assert_problem(root.get(f"/{call.path}", Accept="text/html"), 406)
        for name in ("admin", "api", "html"):
            joint = "&" if "?" in call.path else "?"
            assert_problem(root.get(f"/{call.path}{joint}format={name}"), 400)


def test_the_schema_of_the_api_and_of_collections_names_nothing_hidden() -> None:
    world = make_world()
    conditional = [
        {"key": "name", "type": "text"},
        {"key": "hidden_switch", "type": "boolean"},
        {
            "key": "shown_if",
            "type": "text",
            "condition": {"field": "hidden_switch", "operator": "eq", "value": True},
        },
        {"key": "handle", "type": "slug", "options": {"from": "hidden_name"}},
        {"key": "hidden_name", "type": "text"},
    ]
    make_collection("cases", conditional)
    allow("reader", collection="cases", fields=("name", "shown_if", "handle"))
    reader, root = world.apis["reader"], world.apis["administrator"]
    for path in (
        "manage/collections",
        "manage/collections/cases",
        "manage/collections/articles",
        "openapi.json",
    ):
        answer = reader.get(f"/{V1}{path}")
        assert answer.status_code == 200, path
        for word in ("hidden_", "vault"):
            assert word not in answer.content.decode(), (path, word)
            assert word in root.get(f"/{V1}{path}").content.decode() or path == "manage/collections/cases"
    for api, is_told in ((reader, False), (root, True)):
        listed = {item["key"]: item for item in api.get(f"/{V1}manage/collections/cases").json()["fields"]}
        assert (listed["shown_if"]["condition"] is not None) is is_told
        assert ("from" in listed["handle"]["options"]) is is_told
    assert "hidden_" not in anonymous().get(f"/{V1}openapi.json").content.decode()
    box = [{"key": "to", "type": "reference", "options": {"collections": ["treasury"]}}]
    make_collection("treasury", [])
    make_collection("owls", box)
    make_role("modeller", {"collection": "treasury", "actions": ("manage_schema", "read")})
    used = make_key(role="modeller").delete(f"/{V1}manage/collections/treasury?confirm=true")
    assert "Owls" not in assert_problem(used, 409)["detail"]


# E1: whatever is unclear about a policy refuses.


@pytest.mark.parametrize(
    "rows",
    [
        [["_created_by", "in", []]], [["_created_by", "eq", None]], [["_created_by", "eq", ""]], [["_created_by", "eq", "$user"]],
        [["_created_by", "eq", "$nobody"]], [["_created_by", "resembles", "x"]], [["_created_by"]], [[]], ["x"], [None], [{}],
        [["_owner", "eq", "x"]], [["00000000-0000-0000-0000-000000000000", "eq", "x"]], [["not-an-id", "eq", "x"]],
        [["_id", "in", [None]]], [["_id", "in", ["x", None]]], [["_id", "eq", {}]], [["_id", "in", "abc"]], [["_id", "nin", []]],
        [["_id", "eq", ["a"]]], [["_created_by", "eq", "$user.email"]], "all", "", {}, {"_id": 1}, 0, 1,
    ],
)  # fmt: skip
def test_a_policy_in_doubt_grants_nothing(rows: object) -> None:
    make_collection()
    make_entry(title="There")
    allow("public", collection="articles", filter={"_locale": {"eq": "en"}})
    assert len(anonymous().get("/api/v1/content/articles").json()["data"]) == 1
    policy = Policy.objects.get(role__key="public")
    Policy.objects.filter(pk=policy.pk).update(rows=rows)
    from accounts.models import Generation

    Generation.objects.bump("access")
    answer = anonymous().get("/api/v1/content/articles?count=exact")
    assert answer.status_code == 404 or answer.json()["meta"]["total"] == 0, rows


def test_an_unclear_condition_is_refused_when_it_is_made() -> None:
    make_collection()
    make_role("spare")
    root = make_key(role="administrator")
    body = {"role": "spare", "collection": "articles", "actions": ["read"], "fields": "*"}
    path = "/api/v1/manage/policies"
    bad = [
        {"title": {}}, {"title": {"in": []}}, {"title": {"eq": None}}, {"title": {"like": "x"}}, {"title": "x"}, {"title": {"eq": {}}},
        {"nothing": {"eq": "x"}}, {"_owner": {"eq": "$user"}}, {"_created_by": {"eq": "$admin"}}, {"_created_by": {"exists": True}},
        {"title__startswith": {"eq": "x"}}, {"_created_by": {"in": ["$user", None]}}, {"": {"eq": "x"}}, {"body": {"eq": "x"}},
    ]  # fmt: skip
    for rows in bad:
        with Unchanged(rows):
            assert_problem(root.post(path, {**body, "filter": rows}), 400)
    for odd in (
        {"filter": []},
        {"filter": "x"},
        {"fields": []},
        {"fields": ["nope"]},
        {"fields": {}},
        {"actions": []},
        {"actions": ["everything"]},
        {"role": "administrator"},
        {"role": "zz"},
        {"collection": "zz"},
    ):
        with Unchanged(odd):
            assert_problem(root.post(path, {**body, **odd}), 400)
    assert root.post(path, {**body, "filter": {"title": {"eq": "x"}}}).status_code == 201


# E2: overlapping policies never make a union


def test_two_update_policies_do_not_add_up() -> None:
    make_collection(
        "goods",
        [
            {"key": "kind", "type": "text", "filterable": True},
            {"key": "one", "type": "text"},
            {"key": "two", "type": "text"},
        ],
    )
    make_role(
        "clerk",
        {"collection": "goods", "actions": ("read_draft",)},
        {"collection": "goods", "actions": ("update",), "filter": {"kind": {"eq": "a"}}, "fields": ("one",)},
        {
            "collection": "goods",
            "actions": ("update",),
            "filter": {"kind": {"eq": "b"}},
            "fields": ("two", "kind"),
        },
    )
    a, b = make_entry("goods", kind="a"), make_entry("goods", kind="b")
    clerk = make_key(role="clerk")
    at = "/api/v1/manage/content/goods"
    first = {"If-Match": '"1"'}
    with Unchanged("fields of the other clause"):
        assert_problem(clerk.patch(f"{at}/{a.pk}", {"fields": {"two": "x"}}, **first), 403)
        assert_problem(clerk.patch(f"{at}/{b.pk}", {"fields": {"one": "x"}}, **first), 403)
        assert_problem(clerk.patch(f"{at}/{a.pk}", {"fields": {"one": "x", "two": "x"}}, **first), 403)
        # Nor may a write carry a row into the other clause, out of both, or use what it becomes (CVE GHSA-7h45-q5jx-7r87).
        assert_problem(clerk.patch(f"{at}/{b.pk}", {"fields": {"kind": "a"}}, **first), 403)
        assert_problem(clerk.patch(f"{at}/{b.pk}", {"fields": {"kind": "c"}}, **first), 403)
        assert_problem(clerk.patch(f"{at}/{a.pk}", {"fields": {"kind": "b", "two": "x"}}, **first), 403)
    assert clerk.patch(f"{at}/{a.pk}", {"fields": {"one": "x"}}, **first).status_code == 200
    assert clerk.patch(f"{at}/{b.pk}", {"fields": {"two": "x", "kind": "b"}}, **first).status_code == 200


# E3: nothing comes back with a name


def test_what_is_made_again_by_its_old_name_has_no_grants() -> None:
    make_collection(
        "things",
        [{"key": "title", "type": "text"}, {"key": "note", "type": "text", "data_class": "personal"}],
    )
    allow("public", collection="things", fields=("title",))
    make_role("reader", {"collection": "things", "fields": ("title", "note")})
    owner = make_user("key@example.com", roles=("reader",))
    make_user("ada@example.com", roles=("administrator",))
    key = make_key(owner=owner)
    make_entry("things", title="t", note="n")
    root, at = make_key(role="administrator"), "/api/v1/manage/collections/things"
    assert key.get("/api/v1/content/things").json()["data"][0]["note"] == "n"
    title = {"key": "title", "type": "text"}
    assert root.patch(at, {"fields": [title], "confirm": True}).status_code == 200
    assert (
        root.patch(
            at, {"fields": [title, {"key": "note", "type": "text", "data_class": "personal"}]}
        ).status_code
        == 200
    )
    entry = Entry.objects.get()
    editing.save(
        entry.pk, {"note": "again"}, writing=editing.Writing.on("things", by=ROOT), base=entry.latest_number
    )
    publishing.publish(entry.pk, writing=editing.Writing.on("things", by=ROOT))
    assert "note" not in key.get("/api/v1/content/things").json()["data"][0]
    assert make_key(role="administrator").get("/api/v1/content/things").json()["data"][0]["note"] == "again"
    assert root.delete(f"{at}?confirm=true").status_code == 204
    make_collection("things", [title])
    make_entry("things", title="new")
    for api in (anonymous(), key):
        assert_problem(api.get("/api/v1/content/things"), 404)
    scoped = make_key(
        owner=owner,
        scopes=access.Scopes(
            frozenset({(Collection.objects.get(key="things").pk, Action.READ)}), frozenset()
        ),
    )
    allow("reader", collection="things")
    assert scoped.get("/api/v1/content/things").status_code == 200
    assert root.delete(f"{at}?confirm=true").status_code == 204
    make_collection("things", [title])
    allow("reader", collection="things")
    assert_problem(scoped.get("/api/v1/content/things"), 404)
    assert root.patch(f"/api/v1/manage/users/{owner.pk}", {"roles": []}).status_code == 200
    gone = root.delete("/api/v1/manage/roles/reader")
    assert gone.status_code == 204, gone.content
    make_role("reader")
    User.objects.get(pk=owner.pk).groups.add(Role.objects.get(key="reader"))
    assert_problem(make_key(owner=owner).get("/api/v1/content/things"), 404)


# E16: nobody at all


def test_without_a_principal_nothing_works() -> None:
    make_collection()
    for call in (
        lambda: editing.Writing.on("articles", by=None),
        lambda: modeling.create_collection({"key": "x", "name": "X"}, by=None),
        lambda: editing.Writing.on("articles"),
        lambda: modeling.delete_collection(Collection.objects.get().pk),
    ):
        with Unchanged(call), pytest.raises((TypeError, AttributeError)):
            call()
    with Unchanged("anonymous"), pytest.raises(Exception, match="nothing here"):
        editing.Writing.on("articles", by=Principal(kind="anonymous"))


def test_the_systems_own_principal_is_made_where_we_know_of_it() -> None:
    found = set()
    for room in ("accounts", "content", "previews", "webhooks", "cms_project"):
        for file in sorted((ROOT_FOLDER / room).rglob("*.py")):
            tree = ast.parse(file.read_text())
            for node in ast.walk(tree):
                calls_system = (
                    isinstance(node, ast.Call)
                    and getattr(node.func, "id", getattr(node.func, "attr", "")) == "system"
                )
                makes_it = (
                    isinstance(node, ast.keyword)
                    and node.arg == "kind"
                    and isinstance(node.value, ast.Constant)
                    and node.value.value == "system"
                )
                if calls_system or makes_it:
                    found.add(str(file.relative_to(ROOT_FOLDER)))
    assert found <= set(SYSTEM), f"each needs a reason: {found - set(SYSTEM)}"


# E25, E27: people and rights


def test_nobody_gives_themselves_or_others_more_than_they_hold() -> None:
    world = make_world()
    root = world.apis["administrator"]
    helper = make_user("helper@example.com", roles=("administrator",))
    areas = frozenset({access.Area.USERS, access.Area.KEYS, access.Area.POLICIES, access.Area.ROLES})
    limited = make_key(owner=helper, scopes=access.Scopes(frozenset({(None, Action.READ)}), areas))
    ada = make_user("ada@example.com", roles=("administrator",))
    target = world.users["reader"]
    with Unchanged("beyond own rights"):
        for body in ({"email": "mallory@example.com"}, {"is_active": False}, {"roles": []}):
            assert_problem(limited.patch(f"/api/v1/manage/users/{ada.pk}", body), 403)
        assert_problem(limited.patch(f"/api/v1/manage/users/{target.pk}", {"roles": ["administrator"]}), 403)
        assert_problem(limited.patch(f"/api/v1/manage/users/{helper.pk}", {"roles": []}), 403)
        assert_problem(
            limited.post("/api/v1/manage/users", {"email": "m@example.com", "roles": ["administrator"]}), 403
        )
        assert_problem(
            limited.post("/api/v1/manage/users", {"email": "m@example.com", "roles": ["editor"]}), 403
        )
        assert_problem(
            limited.post(
                "/api/v1/manage/api-keys", {"name": "x", "role": "administrator", "scopes": ["*:read"]}
            ),
            403,
        )
        assert_problem(
            limited.post(
                "/api/v1/manage/api-keys", {"name": "x", "owner": str(ada.pk), "scopes": ["*:read"]}
            ),
            403,
        )
        assert_problem(
            limited.post("/api/v1/manage/api-keys", {"name": "x", "role": "reader", "scopes": ["*:update"]}),
            403,
        )
        assert_problem(
            limited.post(
                "/api/v1/manage/api-keys", {"name": "x", "role": "reader", "scopes": ["admin:audit"]}
            ),
            403,
        )
        rule = {"role": "reader", "collection": "*", "actions": ["update"], "fields": "*"}
        assert_problem(limited.post("/api/v1/manage/policies", rule), 403)
        assert_problem(limited.get("/api/v1/manage/audit"), 403)
    assert limited.patch(f"/api/v1/manage/users/{target.pk}", {"name": "Rita"}).status_code == 200
    assert root.patch(f"/api/v1/manage/users/{target.pk}", {"roles": ["reader", "writer"]}).status_code == 200
    changed = Event.objects.filter(type="user.updated", subject_id=str(target.pk)).order_by("at").last()
    assert changed is not None
    assert changed.detail["roles_added"] == ["writer"]


def test_no_page_or_answer_shows_the_hash_of_a_password() -> None:
    world = make_world()
    for path in ("users", f"users/{world.users['reader'].pk}", "api-keys", "audit"):
        text = world.apis["administrator"].get(f"/api/v1/manage/{path}").content.decode()
        assert "argon2" not in text
        assert "secret_hash" not in text
        assert "@example.com" in text or path in ("api-keys", "audit")
