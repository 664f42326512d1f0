"""A preview ends at once with whatever it hangs on, whether Valkey remembers it, forgot it, or is gone (threats, F)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import jwt
import pytest
import redis
from django.db import InterfaceError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, QuerySet
from django.test import Client
from django.utils import timezone

from accounts import limits, people
from accounts.access import Action
from accounts.keys import api_keys
from accounts.models import ApiKey, Policy, Role, Session, User
from accounts.models.generation import ACCESS, Generation
from accounts.rights import granting
from accounts.sign_in import sessions
from accounts.valkey import circuit, valkey
from cms_project import lockdown
from content import editing
from previews import handoff, register, sites, state
from previews.models import Preview, SigningKey
from previews.signing import life, table
from previews.signing.table import tables
from tests.accounts.cast import PASSWORD, Person, make_key, make_person
from tests.accounts.cast import Api as PersonsApi
from tests.builders import ROOT, allow, writing
from tests.content.admin.conftest import sign_in
from tests.previews.world import World, refusals, told
from tests.security.world import assert_problem

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unlimited")]

VALKEY: Final = ("warm", "wiped", "gone")


@pytest.fixture(autouse=True)
def ada(world: World) -> Person:
    """Somebody administers, or nobody could be switched off."""
    del world  # comes first
    return make_person("ada@example.com", roles=["administrator"], with_authenticator=True)


@contextmanager
def valkey_being(how: str) -> Iterator[None]:
    """Let Valkey remember what it knows, forget all of it, or not answer."""
    if how == "wiped":
        valkey().flushdb()
    if how != "gone":
        yield
        return

    def fail(*_: Any, **__: Any) -> Any:
        raise redis.ConnectionError("gone")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(redis.Redis, "execute_command", fail)
        yield
    circuit.close()


def preview_of(token: str) -> Preview:
    claims = jwt.decode(token, options={"verify_signature": False})
    return Preview.objects.select_related("site", "session", "api_key").get(pk=UUID(claims["jti"]))


def session_of(token: str) -> QuerySet[Session]:
    return Session.objects.filter(pk__in=[preview_of(token).session_id])


def opened(world: World, token: str) -> str:
    """Return a token after its first use, so that Valkey knows that it is live."""
    assert world.read(token).status_code == 200
    assert state.known(preview_of(token).pk) is not None
    return token


# --- What it hangs on -----------------------------------------------------------------------------------------------


def revoked_by_the_editor(world: World, token: str) -> None:
    assert world.as_edith.delete(f"previews/{preview_of(token).pk}").status_code == 204


def revoked_by_an_administrator(_world: World, token: str) -> None:
    ada = Person(User.objects.get(email="ada@example.com"))
    register.revoke(preview_of(token).pk, by=ada.principal)


def signed_out(world: World, _token: str) -> None:
    assert world.as_edith.post("auth/logout").status_code == 204


def session_ended_by_an_administrator(_world: World, token: str) -> None:
    session = preview_of(token).session
    assert session is not None
    sessions.end(session, by=ROOT)


def idle_for_too_long(_world: World, token: str) -> None:
    long_ago = timezone.now() - timedelta(days=7, seconds=1)
    session_of(token).update(last_seen_at=long_ago)


def over_the_absolute_limit(_world: World, token: str) -> None:
    session_of(token).update(expires_at=timezone.now())


def over_the_limit_of_a_role(_world: World, token: str) -> None:
    Role.objects.filter(key="editor").update(session_hours=1)
    session_of(token).update(created_at=timezone.now() - timedelta(hours=1))


def a_new_password(world: World, _token: str) -> None:
    people.set_password(world.edith.user, PASSWORD + " and more", by=ROOT)


def the_token_version_alone(world: World, _token: str) -> None:
    User.objects.filter(pk=world.edith.user.pk).update(token_version=F("token_version") + 1)


def deactivated(world: World, _token: str) -> None:
    people.change_user(world.edith.user, is_active=False, by=ROOT)


def deactivated_and_nothing_else(world: World, _token: str) -> None:
    User.objects.filter(pk=world.edith.user.pk).update(is_active=False)


def without_the_role(world: World, _token: str) -> None:
    people.change_user(world.edith.user, roles=[], by=ROOT)


def a_role_that_asks_for_more(_world: World, _token: str) -> None:
    granting.change_role(Role.objects.get(key="editor"), require_phishing_resistant=True, by=ROOT)


def the_site_off(world: World, _token: str) -> None:
    sites.change(world.site, {"state": "disabled"}, None, by=ROOT)


def the_site_removed(world: World, _token: str) -> None:
    sites.remove(world.site, by=ROOT)


def the_key_ended(_world: World, _token: str) -> None:
    life.rotate("EdDSA", overlap=timedelta(0), by=ROOT)


def the_retiring_key_revoked(_world: World, token: str) -> None:
    kid = jwt.get_unverified_header(token)["kid"]
    life.rotate("EdDSA", at_once=True, by=ROOT)
    life.end(SigningKey.objects.get(pk=UUID(kid)), by=ROOT)


def purged(world: World, _token: str) -> None:
    editing.purge(world.draft.pk, writing=writing("articles"))


def locked_down(_world: World, _token: str) -> None:
    lockdown.begin(reason="a test", by=ROOT)


def past_its_end(_world: World, token: str) -> None:
    Preview.objects.filter(pk=preview_of(token).pk).update(expires_at=timezone.now())


def not_exchanged(_world: World, token: str) -> None:
    Preview.objects.filter(pk=preview_of(token).pk).update(exchanged_at=None)


def of_another_entry(world: World, token: str) -> None:
    Preview.objects.filter(pk=preview_of(token).pk).update(entry=world.other)


GONE: Final[tuple[Callable[[World, str], None], ...]] = (
    revoked_by_the_editor, revoked_by_an_administrator, signed_out, session_ended_by_an_administrator, idle_for_too_long,
    over_the_absolute_limit, over_the_limit_of_a_role, a_new_password, the_token_version_alone, deactivated,
    deactivated_and_nothing_else, without_the_role, a_role_that_asks_for_more, the_site_off, the_site_removed,
    the_key_ended, the_retiring_key_revoked, purged, locked_down, past_its_end, not_exchanged, of_another_entry,
)  # fmt: skip


@pytest.mark.parametrize("remembers", VALKEY)
@pytest.mark.parametrize("end", GONE, ids=lambda end: end.__name__)
def test_the_very_next_read_is_refused(
    world: World, end: Callable[[World, str], None], remembers: str
) -> None:
    token = opened(world, world.token())
    with valkey_being(remembers):
        assert world.read(token).status_code == 200
        end(world, token)
        answer = world.read(token)
        assert_problem(answer, 401)
        assert "CANARY" not in answer.content.decode()
        assert_problem(world.read(token), 401)
    assert set(refusals()) <= {"revoked", "session-ended", "key", "not-as-minted", "audience"}


def trashed(world: World) -> None:
    editing.trash(world.draft.pk, writing=writing("articles"))


def no_policy_at_all(_world: World) -> None:
    for policy in Policy.objects.filter(role__key="editor"):
        granting.remove_policy(policy, by=ROOT)


def only_rows_of_others(_world: World) -> None:
    no_policy_at_all(_world)
    allow(
        "editor",
        collection="articles",
        actions=("read", "read_draft", "preview"),
        filter={"title": {"eq": "x"}},
    )


def no_right_to_preview(_world: World) -> None:
    no_policy_at_all(_world)
    allow("editor", collection="articles", actions=("read", "read_draft", "update"))


def no_right_to_read_drafts(_world: World) -> None:
    no_policy_at_all(_world)
    allow("editor", collection="articles", actions=("read", "preview"))


def another_collection_only(_world: World) -> None:
    no_policy_at_all(_world)
    allow("editor", collection="articles", actions=("read",))


def a_title_out_of_reach(world: World) -> None:
    """Not the rights change, but the entry: the rows of a policy are asked on every use."""
    no_policy_at_all(world)
    rows = {"title": {"eq": "CANARY draft"}}
    allow("editor", collection="articles", actions=("read", "read_draft", "preview"), filter=rows)
    editing.save(world.draft.pk, {"title": "CANARY moved"}, writing=writing("articles"), base=1)


HIDDEN: Final = (trashed, no_policy_at_all, only_rows_of_others, no_right_to_preview, no_right_to_read_drafts,
                 another_collection_only, a_title_out_of_reach)  # fmt: skip


@pytest.mark.parametrize("remembers", VALKEY)
@pytest.mark.parametrize("hide", HIDDEN, ids=lambda hide: hide.__name__)
def test_what_the_editor_sees_no_more_is_not_there(
    world: World, hide: Callable[[World], None], remembers: str
) -> None:
    token = opened(world, world.token())
    with valkey_being(remembers):
        hide(world)
        answer = world.read(token)
        assert_problem(answer, 404)
        assert "CANARY" not in answer.content.decode()
    assert_problem(world.mint(), 403, 404, 409)


# --- Bound to a key, or to a sitting in the admin ---------------------------------------------------------------------


def key_revoked(key: ApiKey) -> None:
    api_keys.revoke(key, by=ROOT)


def key_disabled(key: ApiKey) -> None:
    api_keys.disable(key, by=ROOT)


def key_expired(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())


def owner_deactivated(key: ApiKey) -> None:
    people.change_user(key.owner, is_active=False, by=ROOT)


def signing_key_ended(_key: ApiKey) -> None:
    life.rotate("EdDSA", overlap=timedelta(0), by=ROOT)


@pytest.mark.parametrize("remembers", VALKEY)
@pytest.mark.parametrize(
    "end",
    [key_revoked, key_disabled, key_expired, owner_deactivated, signing_key_ended],
    ids=lambda end: end.__name__,
)
def test_a_preview_of_a_key_ends_with_the_key(
    world: World, end: Callable[[ApiKey], None], remembers: str
) -> None:
    key, text = make_key(world.edith.user, (None, Action.READ_DRAFT), (None, Action.PREVIEW))
    token = opened(world, world.token(by=PersonsApi(Client(), text)))
    assert preview_of(token).api_key == key
    # It does not hang on her sessions.
    signed_out(world, token)
    with valkey_being(remembers):
        assert world.read(token).status_code == 200
        end(key)
        assert_problem(world.read(token), 401)


def test_a_preview_of_a_key_knows_what_its_owner_may_now(world: World) -> None:
    _, text = make_key(world.edith.user, (None, Action.READ_DRAFT), (None, Action.PREVIEW))
    token = opened(world, world.token(by=PersonsApi(Client(), text)))
    people.change_user(world.edith.user, roles=[], by=ROOT)
    assert_problem(world.read(token), 404)


def test_a_preview_of_the_admin_ends_with_the_cookie(world: World) -> None:
    browser = sign_in(world.edith)
    session = Session.objects.filter(user=world.edith.user, kind="admin").get()
    by = world.edith.principal
    asked = type(by)(**{**{name: getattr(by, name) for name in by.__slots__}, "credential": "session", "credential_id": str(session.pk)})  # fmt: skip
    minted = handoff.mint(world.draft.pk, site=world.site, locale=None, ttl=None, by=asked)
    token = str(world.exchange(minted.code).json()["token"])
    opened(world, token)
    signed_out(world, token)  # of the API: another session
    assert world.read(token).status_code == 200
    assert browser.post("/admin/logout/").status_code in (200, 302, 303)
    assert_problem(world.read(token), 401)


def test_a_session_that_ends_sooner_ends_its_previews_sooner(world: World) -> None:
    soon = timezone.now() + timedelta(seconds=90)
    Session.objects.update(expires_at=soon)
    body = world.mint().json()
    assert Preview.objects.get(pk=body["jti"]).expires_at == soon
    token = world.exchange(body["code"]).json()["token"]
    assert jwt.decode(token, options={"verify_signature": False})["exp"] == int(soon.timestamp())


# --- Other processes ------------------------------------------------------------------------------------------------


def test_a_process_that_heard_nothing_takes_no_revoked_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "FRESH_SECONDS", 1_000_000.0)
    monkeypatch.setattr(table, "_RETRY_SECONDS", 1_000_000.0)
    token = opened(world, world.token())
    kid = jwt.get_unverified_header(token)["kid"]
    before = tables.current()
    the_key_ended(world, token)
    assert tables.current() is before  # nobody told it
    assert kid in before.verifiers
    assert_problem(world.read(token), 401)
    assert kid not in tables.current().verifiers
    assert refusals() == ["key"]


def test_a_lockdown_that_keeps_sessions_shows_no_draft(world: World) -> None:
    used, fresh = opened(world, world.token()), world.token()
    before = world.mint().json()["code"]
    lockdown.begin(reason="a test", by=ROOT, keep_sessions=True)
    for token in (used, fresh):
        answer = world.read(token)
        assert_problem(answer, 401, 404, 423)
        assert "CANARY" not in answer.content.decode()
    assert_problem(world.exchange(before), 401, 423)
    assert_problem(world.mint(), 401, 404, 423)
    lockdown.lift(reason="over", by=ROOT)
    assert world.read(used).status_code == 200


def test_what_a_lockdown_ended_stays_so(world: World) -> None:
    token = opened(world, world.token())
    effect = lockdown.begin(reason="a test", by=ROOT)
    assert (effect.ended["previews"], effect.faults) == (1, [])
    assert_problem(world.read(token), 401)
    lockdown.lift(reason="over", by=ROOT)
    assert_problem(world.read(token), 401)


# --- What is down ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("remembers", VALKEY)
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_without_postgresql_nothing_is_shown(world: World, error: type[Exception], remembers: str) -> None:
    token = opened(world, world.token())
    code = world.mint().json()["code"]

    def gone(*_: Any, **__: Any) -> Any:
        raise error("gone")

    with valkey_being(remembers):
        for is_known in (True, False):  # to this process, with the table of keys and without
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(BaseDatabaseWrapper, "cursor", gone)
                if not is_known:
                    tables.forget()
                answers = [
                    world.read(token),
                    world.exchange(code),
                    world.visitor.get("/.well-known/jwks.json"),
                    world.read("x"),
                ]
            for answer in answers[:3]:
                assert_problem(answer, 503)
                assert int(answer.headers["Retry-After"]) > 0
                assert "CANARY" not in answer.content.decode()
            # What is no token needs no database to be refused; that it can't be written down is a 503.
            assert_problem(answers[3], 401, 503)
        assert world.read(token).status_code == 200
    circuit.close()
    assert world.exchange(code).status_code == 200


# --- Valkey tells nothing that counts ---------------------------------------------------------------------------------


def test_nobody_brings_a_preview_back_by_writing_to_valkey(world: World, ada: Person) -> None:
    token = opened(world, world.token())
    preview = preview_of(token)
    key = f"quillkeep:preview:live:{preview.pk}"
    known = valkey().get(key)
    assert known == f"session:{preview.session_id}".encode()
    revoked_by_the_editor(world, token)
    assert valkey().get(key) is None
    ada.sign_in()
    hers = Session.objects.get(user=ada.user)
    her_key, _ = make_key(ada.user, (None, Action.READ_DRAFT))
    for value in (
        known,
        f"session:{hers.pk}",
        f"key:{her_key.pk}",
        "session:*",
        "",
        "x",
        b"\xff",
        "session:" + "0" * 32,
    ):
        valkey().set(key, value)
        assert_problem(world.read(token), 401)
    valkey().delete(key)
    valkey().rpush(key, "a list")
    assert_problem(world.read(token), 401)


def test_what_valkey_says_of_a_live_preview_gives_nobody_anothers_rights(world: World, ada: Person) -> None:
    """A row of Valkey that names an administrator's session must not lend their rights to an editor's token."""
    token = opened(world, world.token())
    key = f"quillkeep:preview:live:{preview_of(token).pk}"
    ada.sign_in()
    her_key, _ = make_key(ada.user, (None, Action.READ_DRAFT), (None, Action.PREVIEW))
    for value in (f"session:{Session.objects.get(user=ada.user).pk}", f"key:{her_key.pk}"):
        valkey().set(key, value)
        assert_problem(world.read(token), 401)
    valkey().set(key, "nonsense")
    answer = world.read(token)
    assert answer.status_code == 200
    assert "wage" not in answer.json()


def test_a_preview_that_is_over_locks_nobody_out_who_shares_its_address(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FAILURES", replace(limits.FAILURES, quota=3))
    over = world.token()
    register.revoke(preview_of(over).pk, by=ROOT)
    assert [world.read(over).status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    assert world.read(world.token()).status_code == 200
    made_up = [world.read(f"{world.token()[:-4]}AAAA").status_code for _ in range(5)]
    assert made_up == [401, 401, 401, 429, 429]
    assert world.read(world.token()).status_code == 200  # a signature of ours is no guess


# --- How often it was opened ------------------------------------------------------------------------------------------


def test_every_open_is_counted_and_the_first_is_told(world: World) -> None:
    token = world.token()
    agent: Any = {"User-Agent": "Frontend/1.0"}
    for _ in range(3):
        assert world.read(token, **agent).status_code == 200
    assert len(told("preview.opened")) == 1
    assert preview_of(token).open_count == 0
    assert state.flush_opens() == 1
    found = preview_of(token)
    assert (found.open_count, found.opened_from, found.opened_agent) == (3, "127.0.0.1", "Frontend/1.0")
    assert found.last_opened_from == "127.0.0.1"
    assert found.opened_at is not None
    assert found.last_opened_at is not None
    assert found.last_opened_at >= found.opened_at - timedelta(seconds=1)
    assert state.flush_opens() == 0
    assert world.read(token).status_code == 200
    state.flush_opens()
    assert preview_of(token).open_count == 4
    assert world.as_edith.get(f"previews/{found.pk}").json()["open_count"] == 4


@pytest.mark.parametrize("dies", ["before it writes", "after it has written"])
def test_a_worker_that_is_killed_loses_no_open(world: World, dies: str) -> None:
    token = opened(world, world.token())
    assert world.read(token).status_code == 200
    with pytest.MonkeyPatch.context() as patched:
        if dies == "before it writes":
            patched.setattr(state, "_add", _killed)
        else:
            patched.setattr(type(valkey()), "delete", _killed)
        with pytest.raises(KeyboardInterrupt):
            state.flush_opens()
    assert world.read(token).status_code == 200  # meanwhile
    state.flush_opens()
    state.flush_opens()
    assert preview_of(token).open_count == (3 if dies == "before it writes" else 5)  # at least once
    assert state.flush_opens() == 0


def test_two_workers_do_not_count_the_same_opens(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    token = opened(world, world.token())
    add, another = state._add, connection.copy()

    def slowly(*noted: Any) -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(state, "_add", add)
            patched.setattr(state, "connection", another)  # a worker of its own
            assert state.flush_opens() == 0
        add(*noted)

    monkeypatch.setattr(state, "_add", slowly)
    try:
        assert state.flush_opens() == 1
    finally:
        another.close()
    assert preview_of(token).open_count == 1
    assert world.read(token).status_code == 200
    monkeypatch.setattr(state, "_add", add)
    assert state.flush_opens() == 1  # the lock was given back
    assert preview_of(token).open_count == 2


def _killed(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def test_notes_that_make_no_sense_stop_no_other(world: World) -> None:
    token = opened(world, world.token())
    other = preview_of(world.token())
    valkey().hset(
        state.OPENS,
        mapping={
            "x": "1",
            "": "1",
            "not-an-id:n": "3",
            f"{other.pk}:n": "many",
            f"{other.pk}:at": "x",
            b"\xff:n": "1",
        },
    )
    assert state.flush_opens() >= 1
    assert preview_of(token).open_count == 1
    assert Preview.objects.get(pk=other.pk).open_count == 0


@pytest.mark.parametrize(
    "note",
    [
        {"n": "1", "at": "1", "from": "192.0.2.1\x00"},
        {"n": "1", "at": "1", "from": "<b>somewhere</b>"},
        {"n": "9" * 5000, "at": "1"},
        {"n": "1", "at": "nan"},
        {"n": "1", "at": "1e300"},
        {"n": "1", "at": "-1e300"},
    ],
)
def test_notes_that_an_attacker_wrote_hold_up_no_count(world: World, note: dict[str, str]) -> None:
    token = opened(world, world.token())
    other = preview_of(world.token())
    valkey().hset(state.OPENS, mapping={f"{other.pk}:{name}": value for name, value in note.items()})
    assert state.flush_opens() >= 1
    assert preview_of(token).open_count == 1
    assert (Preview.objects.get(pk=other.pk).open_count, preview_of(token).last_opened_from) == (
        0,
        "127.0.0.1",
    )


def test_a_count_never_grows_beyond_its_column_nor_into_the_future(world: World) -> None:
    preview = preview_of(world.token())
    Preview.objects.filter(pk=preview.pk).update(open_count=2_147_483_647)
    valkey().hset(state.OPENS, mapping={f"{preview.pk}:n": "9" * 30, f"{preview.pk}:at": "99999999999"})
    state.flush_opens()
    preview.refresh_from_db()
    assert preview.open_count == 2_000_000_000
    assert preview.last_opened_at is not None
    assert preview.last_opened_at <= timezone.now()


def test_something_else_in_place_of_the_notes_is_thrown_away(world: World) -> None:
    valkey().set(state.OPENS, "not a hash")
    assert state.flush_opens() == 0
    token = opened(world, world.token())
    assert state.flush_opens() == 1
    assert preview_of(token).open_count == 1


def test_a_preview_is_over_at_the_end_that_was_promised(world: World) -> None:
    body = world.mint(ttl_seconds=60).json()
    preview = Preview.objects.get(pk=body["jti"])
    assert preview.expires_at - preview.created_at == timedelta(seconds=60)
    token = world.exchange(body["code"]).json()["token"]
    assert world.read(token).status_code == 200
    now = timezone.now()
    Preview.objects.filter(pk=preview.pk).update(expires_at=now - timedelta(seconds=1))
    assert_problem(world.read(token), 401)  # the register has no quarter of a minute to spare
    assert Preview.objects.get(pk=preview.pk).state == "expired"


def test_revoking_is_for_its_owner_and_for_administrators(world: World) -> None:
    token = opened(world, world.token())
    preview = preview_of(token)
    rita = make_person("rita@example.com", roles=["editor"]).sign_in()
    assert_problem(rita.delete(f"previews/{preview.pk}"), 404)
    assert_problem(rita.get(f"previews/{preview.pk}"), 404)
    assert world.read(token).status_code == 200
    register.revoke(preview.pk, by=ROOT)
    assert_problem(world.read(token), 401)
    assert told("preview.revoked") == [{"because": "asked"}]
    register.revoke(preview.pk, by=ROOT)  # again: nothing more happens
    assert len(told("preview.revoked")) == 1
    Generation.objects.bump(ACCESS)
    assert_problem(world.read(token), 401)


def test_the_register_says_what_ended_with_its_session(world: World) -> None:
    token = world.token()
    preview = Preview.objects.get()
    assert register.end_cut_off(by=ROOT) == 0
    assert preview.state == "exchanged"
    signed_out(world, token)
    assert register.end_cut_off(by=ROOT) == 1
    preview.refresh_from_db()
    assert (preview.state, preview.revoked_because) == ("revoked", "session-ended")
    assert told("preview.revoked") == [{"because": "session-ended"}]
    assert register.end_cut_off(by=ROOT) == 0


def test_the_register_says_what_ended_with_a_password_and_with_a_lockdown(world: World) -> None:
    world.token()
    User.objects.filter(pk=world.edith.user.pk).update(token_version=F("token_version") + 1)
    assert register.end_cut_off(by=ROOT) == 1
    Preview.objects.update(revoked_at=None, revoked_because="", token_version=F("token_version") + 1)
    lockdown.begin(reason="a test", by=ROOT)
    assert Preview.objects.get().because == "lockdown"
