"""Every write of both matrices while the system is locked down: refused to everybody, and no row is another one."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connections

from accounts.access import LOOKING, Action, Area, Principal, Resource
from accounts.authentication import ManagementAuthentication
from accounts.errors import LockedDownError
from accounts.sign_in import middleware
from cms_project import frozen, lockdown, lockdown_gate
from tests.accounts.cast import make_person
from tests.builders import ROOT, Api, anonymous, make_collection, make_entry, make_key
from tests.content.admin.conftest import sign_in
from tests.security.admin_matrix import ADMIN, make_cast, make_stage, visits
from tests.security.matrix import V1, Call, calls
from tests.security.world import Unchanged, assert_problem, leaked, make_world, routes

pytestmark = pytest.mark.django_db

# What goes on, each for a reason: signing in (administrators, to look), and ending sessions.
API_OPEN = {
    ("POST", V1 + "auth/login"),
    ("POST", V1 + "auth/refresh"),
    ("POST", V1 + "auth/logout"),
    ("DELETE", V1 + "auth/sessions/<uuid:session_id>"),
}
ADMIN_OPEN = {
    "login/",
    "login/code/",
    "passkey/",
    "logout/",
    "account/sessions/<uuid:session_id>/end/",
    "account/sessions/others/end/",
}
# What may change in the rows of the database while a lockdown is on; beside signing in, nothing of it does here.
WRITTEN = tuple(frozen.OPEN)


@contextmanager
def without_triggers() -> Iterator[None]:
    """Take the database's own refusal away, to see that those before it hold alone."""
    with connections["owner"].cursor() as cursor:
        found = frozen.in_force(connections["owner"])
        for table, name in found:
            cursor.execute(f"DROP TRIGGER {name} ON {table}")
    try:
        yield
    finally:
        frozen.apply(connections["owner"])
        assert frozen.in_force(connections["owner"]) == found


def lock() -> None:
    lockdown.begin(reason="a test", by=ROOT, keep_sessions=True)


def writes(listed: list[Call]) -> list[Call]:
    return [call for call in listed if call.method != "GET" and (call.method, call.route) not in API_OPEN]


def test_every_write_of_the_api_is_refused_to_everybody_and_changes_no_row() -> None:
    world = make_world()
    listed = calls(world)
    ada = make_person("ada@example.com", roles=["administrator"], with_authenticator=True).sign_in()
    everybody = {**world.apis, "anonymous": anonymous(), "ada": Api(ada.client, ada.credential)}
    lock()
    with without_triggers():
        for call in writes(listed):
            for name, api in everybody.items():
                with Unchanged((name, call)):
                    answer = call.send(api)
                if name in ("administrator", "ada"):
                    assert assert_problem(answer, 423)["code"] == "locked-down", (name, call)
                else:
                    assert_problem(answer, 401, 403, 404, 423)
                assert not leaked(answer), (name, call)
    lockdown.lift(reason="x", by=ROOT)
    root = world.apis["administrator"]
    for call in writes(listed):  # the other half: the very same requests succeed without it
        answer = call.send(root)
        assert answer.status_code == call.status, (call, answer.content)


def test_the_api_can_be_looked_at_by_administrators_who_are_signed_in() -> None:
    listed = calls(make_world())
    ada = make_person("ada@example.com", roles=["administrator"], with_authenticator=True).sign_in()
    api = Api(ada.client, ada.credential)
    lock()
    for call in listed:
        if call.method == "GET" and not any(part in call.path for part in ("api-keys/", "auth/sessions")):
            assert call.send(api).status_code == call.status, call
    assert ada.get("auth/sessions").status_code == 200  # in the list it is asked by a key, which has none


def test_what_goes_on_in_the_api_is_this_and_no_more() -> None:
    found = {
        (method, route.route)
        for route in routes(V1)
        for method in route.methods
        if method != "GET" and getattr(route.view, "goes_on_in_lockdown", False)
    }
    assert found == API_OPEN
    for route in routes(V1):
        if ManagementAuthentication not in route.view.authentication_classes and set(route.methods) - {"GET"}:
            # Without a principal nothing tells it of a lockdown.
            assert route.view.goes_on_in_lockdown, route.route


def test_every_form_of_the_admin_is_refused_to_everybody_and_changes_no_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(middleware, "SEEN_EVERY_SECONDS", 1_000_000)
    monkeypatch.setattr("accounts.pages.frame.hit", lambda *_: None)
    cast = make_cast()
    listed = visits(make_stage(0, cast.people["ada"]), 0)
    lock()
    with without_triggers():
        for visit in listed:
            if visit.method == "POST" and visit.route not in ADMIN_OPEN:
                with Unchanged(visit):
                    for who, browser in cast.browsers.items():
                        answer = visit.send(browser)
                        allowed = {302, 403, 404, 405, 423} if who != "ada" else {423}
                        assert answer.status_code in allowed, (who, visit, answer.status_code)


def test_looking_around_in_the_admin_works_and_changes_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "SEEN_EVERY_SECONDS", 1_000_000)
    cast = make_cast()
    listed = visits(make_stage(0, cast.people["ada"]), 0)
    lock()
    shut = set()
    for visit in listed:
        if visit.method != "GET" or "ada" not in visit.who or visit.route == "login/":
            continue
        with Unchanged(visit, but=WRITTEN):
            answer = visit.send(cast.browsers["ada"])
        if answer.status_code != visit.status:
            assert answer.status_code in {403, 404, 423}, (visit, answer.status_code)
            shut.add(visit.route.rstrip("/").rsplit("/", 1)[-1])
        elif answer.status_code == 200 and 'id="user-tools"' in answer.content.decode():
            assert "<strong>Locked down</strong>" in answer.content.decode(), visit
    # The pages of forms that could not be sent anyway, and what is there to act on; no others.
    assert shut <= {
        "add", "delete", "publish", "unpublish", "trash", "purge", "rights", "authenticator", "password", "new",
        "review", "collections", "<str:field_key>", "<str:key>", "<str:act>", "<str:algorithm>", "end",
        "export", "erase",  # of submissions
        "retry",  # of a webhook that failed
        "<uuid:name>",  # the open previews of an entry: there are none
    }, shut  # fmt: skip


def test_what_goes_on_in_the_admin_is_this_and_no_more() -> None:
    named = {route.route.removeprefix(ADMIN) for route in routes(ADMIN)}
    assert named >= ADMIN_OPEN
    assert len(lockdown_gate.OPEN) == len(ADMIN_OPEN)


def test_the_banner_shows_a_reason_as_the_text_that_it_is() -> None:
    browser = sign_in(make_person("ada@example.com", roles=["administrator"], with_authenticator=True))
    lockdown.begin(reason="<img src=x onerror=alert(1)>", by=ROOT, keep_sessions=True)
    page = browser.get("/admin/").content.decode()
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<img src=x" not in page


def test_without_the_gates_the_database_still_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that nobody thought of: none of the checks of ours is asked, and every write ends at PostgreSQL."""
    world = make_world()
    listed = calls(world)
    monkeypatch.setattr(Principal, "require_no_lockdown", lambda self: None)
    monkeypatch.setattr("accounts.principals.LOCKDOWN", "unheard of")
    lock()
    root = world.apis["administrator"]
    refused = 0
    for call in writes(listed):
        # Alerts are raised all the while, so their table is open; the gates alone refuse what people do with them.
        but = ("accounts_alert", "accounts_event", "accounts_unsealed") if "/alerts/" in call.path else ()
        if call.path.endswith("previews/exchange"):
            but = (
                "accounts_event",
                "accounts_unsealed",
            )  # a code that is none: that it was sent is written down
        if call.path.endswith("/export"):  # which changes nothing; that it was taken out is written down
            but = ("accounts_event", "accounts_unsealed")
        with Unchanged(call, but=but):
            answer = call.send(root)
        if answer.status_code == 423:
            assert assert_problem(answer, 423)["code"] == "locked-down"
            refused += 1
        else:
            # What an earlier call was to make ready, or what would have changed nothing anyway.
            known = {200, 400, 403, 404, 409, 412, 415, *({401} if call.path.endswith("exchange") else ())}
            assert answer.status_code in known, (call, answer.status_code)
    assert refused > 20


def test_a_principal_may_look_and_nothing_else() -> None:
    make_collection()
    on = Resource(make_entry(title="There").collection_id)
    ada = make_person("ada@example.com", roles=["administrator"], with_authenticator=True)
    assert all(ada.principal.grant(action, on=on) for action in Action)
    lock()
    for action in Action:
        assert bool(ada.principal.grant(action, on=on)) is (action in LOOKING), action
        if action not in LOOKING:
            with pytest.raises(LockedDownError):
                ada.principal.require(action, on=on)
    assert ada.principal.administers(Area.AUDIT)
    lockdown.lift(reason="x", by=ROOT)
    assert all(ada.principal.grant(action, on=on) for action in Action)


def test_a_key_of_an_administrator_is_refused_and_not_the_person() -> None:
    make_collection()
    root = make_key(role="administrator")
    ada = make_person("ada@example.com", roles=["administrator"], with_authenticator=True)
    lock()
    assert_problem(root.get("/api/v1/manage/audit"), 423)
    assert sign_in(ada).get("/admin/").status_code == 200
