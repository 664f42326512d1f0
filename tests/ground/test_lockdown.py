"""`lockdown on|off|status`: one command, a sure effect, an honest report."""

import json
import os
import stat
import threading
import time
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.test import Client

from accounts import log
from accounts.access import system
from accounts.errors import LockedDownError
from accounts.models import ApiKey, Event, Lockdown, Session
from accounts.tasks import flush_key_usage, seal
from cms_project import frozen, grants, lockdown, lockdown_bundle
from content import editing
from content.models import Entry
from content.tasks import rebuild
from tests.accounts.cast import Person, make_person
from tests.builders import (
    PASSWORD,
    ROOT,
    allow,
    anonymous,
    make_collection,
    make_entry,
    make_key,
    make_role,
    make_user,
    writing,
)
from tests.content.admin.conftest import sign_in
from tests.security.test_the_database_refuses_each_role import connect
from tests.security.world import Unchanged
from tests.security.world import sign_in as sign_in_api

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_data_dir(settings: LazySettings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


@pytest.fixture
def ada(_django_db_helper: None) -> Person:
    return make_person("ada@example.com", roles=["administrator"], with_authenticator=True)


def run(*words: str) -> dict[str, Any]:
    out = StringIO()
    call_command("lockdown", *words, "--json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


def lock(**options: Any) -> lockdown.Effect:
    return lockdown.begin(reason="a test", by=system("a test"), **options)


def test_it_is_on_after_on_and_off_after_off_and_status_says_so() -> None:
    assert run("status")["locked_down"] is False
    on = run("on", "--reason", "A key was  stolen", "--yes")
    assert (on["locked_down"], on["changed"], on["reason"]) == (True, True, "A key was stolen")
    assert on["faults"] == []
    found = run("status")
    assert found["locked_down"] is True
    assert found["by"].endswith(", at the command line")
    assert found["since"].endswith("Z")
    assert found["tables_closed"] == len(frozen.frozen())
    off = run("off", "--reason", "It is rotated")
    assert (off["locked_down"], off["changed"]) == (False, True)
    row = Lockdown.objects.get()
    assert row.off_reason == "It is rotated"
    assert [(event.type, event.detail.get("reason")) for event in Event.objects.order_by("id")] == [
        ("lockdown.on", "A key was stolen"),
        ("lockdown.ended", None),
        ("lockdown.off", "It is rotated"),
    ]


def test_it_needs_a_reason() -> None:
    for bad in ("", "  ", "x" * 501):
        with pytest.raises(CommandError, match="Say why"):
            run("on", "--reason", bad)
        with pytest.raises(CommandError, match="Say why"):
            run("off", "--reason", bad)
    assert not Lockdown.objects.exists()
    with pytest.raises(CommandError):
        call_command("lockdown", "on")


def test_a_second_on_keeps_the_first_and_ends_what_is_alive_now(ada: Person) -> None:
    first = run("on", "--reason", "First")
    sign_in(ada)  # to look
    second = run("on", "--reason", "Second")
    assert (second["changed"], second["reason"], second["since"]) == (False, "First", first["since"])
    assert second["ended"]["sessions"] == 1
    assert Lockdown.objects.count() == 1


def test_a_lockdown_that_kept_sessions_ends_them_when_it_is_asked_to(ada: Person) -> None:
    api = ada.sign_in()
    run("on", "--reason", "x", "--keep-sessions")
    assert api.get("auth/me").status_code == 200
    assert run("on", "--reason", "x")["ended"] == {"sessions": 1, "previews": 0}
    assert api.get("auth/me").status_code == 401


def test_stolen_keys_and_people_are_out_at_the_moment_it_is_lifted(ada: Person) -> None:
    mallory = make_user("mallory@example.com", roles=("administrator",))
    one, two, kept = (make_key(role="administrator") for _ in range(3))
    ids = [api.key.split("_")[2] for api in (one, two)]
    run("on", "--reason", "x")
    for bad in (["--revoke-key", "nothing"], ["--deactivate", "nobody@example.com"]):
        with pytest.raises(CommandError, match="still on"):
            run("off", "--reason", "x", "--revoke-key", ids[0], *bad)
    assert Lockdown.objects.is_on()
    run(
        "off",
        "--reason",
        "x",
        "--revoke-key",
        ids[0],
        "--revoke-key",
        ids[1],
        "--deactivate",
        "Mallory@Example.com",
    )
    path = "/api/v1/manage/audit"
    assert [api.get(path).status_code for api in (one, two, kept)] == [401, 401, 200]
    body = {"email": mallory.email, "password": PASSWORD}
    assert anonymous().post("/api/v1/auth/login", body).status_code == 401
    told = set(
        Event.objects.filter(type__in=("api-key.revoked", "user.updated")).values_list(
            "subject_id", flat=True
        )
    )
    assert told == {str(ApiKey.objects.get(public_id=item).pk) for item in ids} | {str(mallory.pk)}
    run("on", "--reason", "x")
    run("off", "--reason", "x", "--revoke-keys")
    assert kept.get(path).status_code == 401


def test_off_without_a_lockdown_says_that_none_is_on() -> None:
    assert run("off", "--reason", "x")["changed"] is False
    assert not Event.objects.filter(type="lockdown.off").exists()


def test_a_process_without_the_owners_connection_can_not_lift_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lock()
    with monkeypatch.context() as patch:
        patch.delitem(connections.settings, "owner")
        with pytest.raises(CommandError, match="OWNER_DATABASE_URL"):
            run("off", "--reason", "x")
    assert Lockdown.objects.is_on()
    with connect("default") as app:
        for statement in (
            "UPDATE accounts_lockdown SET off_at = now(), off_by = 'x', off_reason = 'x'",
            "DELETE FROM accounts_lockdown",
            "TRUNCATE accounts_lockdown",
            "CREATE TEMPORARY TABLE accounts_lockdown (off_at timestamptz)",
            "DROP TRIGGER refuse_while_locked_down ON content_entry",
            "ALTER TABLE content_entry DISABLE TRIGGER ALL",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(statement)
    assert run("off", "--reason", "x")["changed"] is True


def test_a_lockdown_of_the_past_is_kept_from_the_owner_too() -> None:
    lock()
    lockdown.lift(reason="x", by=ROOT)
    with connections["owner"].cursor() as cursor:
        for statement in (
            "UPDATE accounts_lockdown SET reason = 'other'",
            "UPDATE accounts_lockdown SET off_reason = 'other'",
            "DELETE FROM accounts_lockdown",
            "TRUNCATE accounts_lockdown",
        ):
            with pytest.raises(Exception, match="A lockdown is kept"):
                cursor.execute(statement)


def test_the_database_refuses_every_table_but_those_that_are_named() -> None:
    written = {table for table, (app, _) in grants.TABLES.items() if app - {"SELECT"}}
    expected = {(table, "refuse_while_locked_down") for table in written - set(frozen.OPEN)}
    expected |= {(table, "refuse_row_while_locked_down") for table in frozen.COLUMNS}
    assert frozen.in_force(connections["owner"]) == expected
    assert not set(frozen.OPEN) - set(grants.TABLES)
    make_entry_of_everything()
    lock()
    with connect("default") as app:
        for table in sorted(written - set(frozen.OPEN)):
            for privilege, statement in (
                ("DELETE", f"DELETE FROM {table}"),
                ("INSERT", f"INSERT INTO {table} DEFAULT VALUES"),
                ("UPDATE", f"UPDATE {table} SET {a_column(table)} = {a_column(table)}"),
            ):
                if privilege not in grants.TABLES[table][0] or (
                    privilege == "UPDATE" and table in frozen.COLUMNS
                ):
                    continue
                with pytest.raises(psycopg.Error) as refusal:
                    app.execute(statement)
                assert refusal.value.diag.sqlstate == lockdown.REFUSED_STATE, (table, privilege)


def make_entry_of_everything() -> None:
    make_collection()
    make_entry(title="There")


def a_column(table: str) -> str:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
            " AND is_generated = 'NEVER' AND is_identity = 'NO' AND table_schema = 'public' LIMIT 1",
            [table],
        )
        return str(cursor.fetchone()[0])


def test_what_signing_in_keeps_may_change_and_nothing_beside_it(ada: Person) -> None:
    lock()
    with connect("default") as app:
        app.execute("UPDATE accounts_authenticator SET last_step = 1, throttling_failure_count = 2")
        app.execute("UPDATE accounts_user SET last_login = now()")
        for statement in (
            "UPDATE accounts_authenticator SET secret = 'x', last_step = 2",
            "UPDATE accounts_authenticator SET confirmed = false",
            "UPDATE accounts_user SET password = 'x'",
            "UPDATE accounts_user SET is_active = false, last_login = now()",
            "UPDATE accounts_user SET token_version = token_version + 1",
        ):
            with pytest.raises(psycopg.Error, match="Locked down"):
                app.execute(statement)


def test_the_owner_migrates_and_restores_all_the_same() -> None:
    make_collection()
    lock()
    with connections["owner"].cursor() as cursor:
        cursor.execute("UPDATE content_collection SET name = 'Restored'")


# Who is let in


def test_sessions_and_tokens_end_and_stay_so_after_it_is_lifted(ada: Person) -> None:
    browser, api = sign_in(ada), ada.sign_in()
    assert browser.get("/admin/").status_code == 200
    assert api.get("auth/me").status_code == 200
    effect = lock()
    assert effect.ended == {"sessions": 2, "previews": 0}
    for _ in range(2):
        assert browser.get("/admin/").status_code == 302
        assert api.get("auth/me").status_code == 401
        assert api.post("auth/refresh", {"refresh": api.refresh}).status_code == 401
        lockdown.lift(reason="x", by=ROOT)
    assert ada.sign_in().get("auth/me").status_code == 200


def test_keeping_sessions_freezes_and_signs_nobody_out(ada: Person) -> None:
    browser = sign_in(ada)
    assert lock(keep_sessions=True).ended == {"sessions": 0}
    assert browser.get("/admin/").status_code == 200
    assert browser.post("/admin/lockdown/", {"reason": "x"}).status_code == 423


def test_administrators_sign_in_to_look_and_others_are_told_why_not(ada: Person) -> None:
    make_role("editor", {"actions": ("read", "read_draft", "update")})
    editor = make_user("edith@example.com", roles=("editor",))
    lock()
    answer = anonymous().post("/api/v1/auth/login", {"email": editor.email, "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (423, "locked-down")
    assert "a test" not in answer.content.decode()  # the reason is for those who are let in
    page = Client().post("/admin/login/", {"email": editor.email, "password": PASSWORD})
    assert page.status_code == 423
    assert "Only administrators can sign in" in page.content.decode()
    wrong = anonymous().post("/api/v1/auth/login", {"email": editor.email, "password": "wrong"})
    assert wrong.status_code == 401  # who can't sign in anyway learns nothing
    assert not Session.objects.live().exists()
    browser = sign_in(ada)
    home = browser.get("/admin/")
    assert home.status_code == 200
    assert "a test" in home.content.decode()
    assert browser.get("/admin/accounts/event/").status_code == 200
    assert ada.sign_in().get("manage/audit").status_code == 200


def test_keys_that_only_read_go_on_and_others_are_refused_whole_and_work_again_later() -> None:
    make_collection()
    make_entry(title="There")
    make_role("site", {"collection": "articles"})
    make_role("writer", {"collection": "articles", "actions": ("read", "create")})
    from accounts.access import Action, Scopes

    reads = make_key(role="site", scopes=Scopes(frozenset({(None, Action.READ)}), frozenset()))
    writes = make_key(
        role="writer", scopes=Scopes(frozenset({(None, Action.READ), (None, Action.CREATE)}), frozenset())
    )
    path = "/api/v1/content/articles"
    before = reads.get(path).content
    assert writes.get(path).status_code == 200
    lock()
    assert reads.get(path).content == before
    for answer in (
        writes.get(path),
        writes.post("/api/v1/manage/content/articles", {"fields": {"title": "x"}}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (423, "locked-down")
    assert [key.public_id for key in lockdown.refused_keys()] == [writes.key.split("_")[2]]
    lockdown.lift(reason="x", by=ROOT)
    assert writes.get(path).status_code == 200
    assert ApiKey.objects.filter(state="active").count() == 2


def test_published_content_is_read_by_as_many_queries_as_before(django_assert_num_queries: Any) -> None:
    make_collection()
    make_entry(title="There")
    allow("public", collection="articles")
    anonymous().get("/api/v1/content/articles")
    with django_assert_num_queries(0), connections["delivery"].execute_wrapper(counted := Counter()):
        assert anonymous().get("/api/v1/content/articles").status_code == 200
    lock()
    anonymous().get("/api/v1/content/articles")
    with connections["delivery"].execute_wrapper(again := Counter()):
        assert anonymous().get("/api/v1/content/articles").status_code == 200
    assert again.number == counted.number <= 2


class Counter:
    def __init__(self) -> None:
        self.number = 0

    def __call__(self, execute: Any, *rest: Any) -> Any:
        self.number += 1
        return execute(*rest)


def test_readiness_stays_since_delivery_serves() -> None:
    lock()
    assert Client().get("/readyz").status_code == 200


def test_the_schema_of_the_api_says_what_a_write_may_be_answered() -> None:
    paths = anonymous().get("/api/v1/openapi.json").json()["paths"]
    assert "423" in paths["/api/v1/manage/locales"]["post"]["responses"]
    assert "423" not in paths["/api/v1/manage/locales"]["get"]["responses"]


# Work outside of requests


def test_tasks_do_nothing_but_those_that_keep_the_log() -> None:
    make_collection()
    make_entry(title="There", published=False)
    lock()
    with Unchanged("tasks"):
        flush_key_usage()
        rebuild()
    assert not Event.objects.filter(seal__isnull=False).exists()
    seal()
    assert Event.objects.filter(seal__isnull=False).exists()


def test_the_tasks_that_go_on_are_these_and_no_more() -> None:
    from cms_project.celery import app

    app.loader.import_default_modules()
    ours = {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}
    assert {name for name, task in ours.items() if task.goes_on_in_lockdown} == {
        "accounts.keep_head",
        "accounts.raise_alerts",
        "accounts.record_reads",
        "accounts.seal",
        "accounts.send_alerts",
        "accounts.send_mails",
        "accounts.stream_log",
        "accounts.verify_log",
        "content.keep_backups",
        "content.watch_caches",
    }
    assert len(ours) > 2


def test_the_systems_own_verbs_are_refused_by_the_database() -> None:
    make_collection()
    entry = make_entry(title="There")
    lock()
    with Unchanged("a verb"), pytest.raises(Exception, match="Locked down") as refusal:
        editing.save(entry.pk, {"title": "x"}, writing=writing("articles"), base=1)
    assert lockdown.is_refusal(refusal.value)


# Transactions that had begun before


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    monkeypatch.setattr(lockdown, "PATIENCE", timedelta(seconds=0.5))


def test_a_transaction_that_wrote_before_and_ends_soon_is_waited_for() -> None:
    make_collection()
    entry = make_entry(title="There")
    with connect("default") as app:
        app.execute("BEGIN")
        app.execute("UPDATE content_entry SET latest_number = 7 WHERE id = %s", [entry.pk])
        timer = threading.Timer(0.5, app.execute, ["COMMIT"])
        timer.start()
        started = time.monotonic()
        assert lock().cut_off == 0
        assert time.monotonic() - started > 0.4
        timer.join()
    assert Entry.objects.get().latest_number == 7


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_one_that_does_not_end_is_cut_off_and_nothing_of_it_stays(quick: None, level: str) -> None:
    make_collection()
    entry = make_entry(title="There")
    before = entry.latest_number
    with connect("default") as app:
        app.execute(f"BEGIN ISOLATION LEVEL {level}")
        app.execute("UPDATE content_entry SET latest_number = 7 WHERE id = %s", [entry.pk])
        effect = lock()
        assert (effect.cut_off, effect.faults) == (1, [])
        with pytest.raises(psycopg.OperationalError):
            app.execute("COMMIT")
    assert Entry.objects.get().latest_number == before


def test_a_transaction_that_began_before_and_writes_after_is_refused(quick: None) -> None:
    make_collection()
    with connect("default") as app:
        app.execute("BEGIN")
        app.execute("SELECT 1")
        lockdown._begin("a test", ROOT)
        with pytest.raises(psycopg.Error, match="Locked down"):
            app.execute("UPDATE content_entry SET latest_number = 7")


def test_nobody_can_hold_it_up_by_locking_the_sessions(quick: None, ada: Person) -> None:
    ada.sign_in()
    with suppress(psycopg.errors.AdminShutdown), connect("default") as app:
        app.execute("BEGIN")
        app.execute("SELECT * FROM accounts_session FOR UPDATE")
        app.execute("SELECT * FROM accounts_generation FOR UPDATE")
        effect = lock()
    assert (effect.cut_off, effect.ended, effect.faults) == (1, {"sessions": 1, "previews": 0}, [])


@pytest.mark.parametrize(
    "hold",
    [
        "LOCK TABLE accounts_unsealed IN ACCESS EXCLUSIVE MODE",
        "INSERT INTO accounts_lockdown (id, on_at, on_by, reason, off_by, off_reason) VALUES (gen_random_uuid(), now(), 'x', 'x', '', '')",
    ],
    ids=["the queue of the log", "a lockdown that is never committed"],
)
def test_whoever_took_a_web_process_over_can_not_keep_it_from_beginning(quick: None, hold: str) -> None:
    with suppress(psycopg.errors.AdminShutdown), connect("default") as app:
        app.execute("BEGIN")
        app.execute(hold)
        effect = lock()
    assert (effect.is_new, effect.cut_off, effect.faults) == (True, 1, [])
    assert Lockdown.objects.get().reason == "a test"


def test_a_sign_in_under_way_does_not_end_up_behind_it(ada: Person) -> None:
    """It asked before the lockdown and writes its session after: the session is one of those that end."""
    begun, go = threading.Event(), threading.Event()

    def slow() -> None:
        try:
            with transaction.atomic():
                assert not Lockdown.objects.is_on()
                begun.set()
                go.wait(5)
                Session.objects.create(user=ada.user, kind="api", expires_at="2099-01-01T00:00:00Z")
        finally:
            connections.close_all()

    thread = threading.Thread(target=slow)
    thread.start()
    begun.wait(5)
    threading.Timer(0.3, go.set).start()
    assert lock().ended == {"sessions": 1, "previews": 0}
    thread.join()
    assert not Session.objects.live().exists()


# Honest reports


def test_what_else_lets_people_in_ends_with_the_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockdown, "ENDINGS", [lambda by: ("previews", 3)])
    assert lock().ended == {"sessions": 0, "previews": 3}


def test_when_a_step_fails_the_lockdown_is_on_and_the_command_says_what_failed(
    monkeypatch: pytest.MonkeyPatch,
    ada: Person,
) -> None:
    def fails(_: object) -> tuple[str, int]:
        from django.db import DatabaseError

        raise DatabaseError("gone")

    monkeypatch.setattr(lockdown, "ENDINGS", [fails])
    api = ada.sign_in()
    with pytest.raises(CommandError, match="is on, but"):
        run("on", "--reason", "x")
    assert Lockdown.objects.is_on()
    assert api.get("auth/me").status_code == 401


def test_when_the_bundle_can_not_be_written_the_lockdown_is_on_and_the_command_fails(
    settings: LazySettings, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    settings.DATA_DIR = tmp_path / "file"
    with pytest.raises(CommandError, match="bundle"):
        run("on", "--reason", "x")
    assert Lockdown.objects.is_on()


def test_it_works_without_valkey(broken_valkey: None) -> None:
    assert run("on", "--reason", "x")["faults"] == []
    assert run("status")["locked_down"] is True
    assert run("off", "--reason", "x")["changed"] is True


def test_on_a_terminal_it_asks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    with pytest.raises(CommandError, match="Nothing was done"):
        run("on", "--reason", "x")
    assert not Lockdown.objects.exists()
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert run("on", "--reason", "x")["changed"] is True


def test_a_reason_commands_no_terminal() -> None:
    lockdown.begin(reason="x\x1b]0;y\x07", by=system("a\x1b[2Jb"))
    out = StringIO()
    call_command("lockdown", "status", stdout=out)
    call_command("lockdown", "on", "--reason", "again", "--yes", stdout=out)
    assert "\x1b" not in out.getvalue()
    assert "x]0;y" in out.getvalue()


def test_people_read_what_was_done() -> None:
    out = StringIO()
    call_command("lockdown", "on", "--reason", "x", stdout=out)
    call_command("lockdown", "on", "--reason", "y", stdout=out)
    call_command("lockdown", "status", stdout=out)
    call_command("lockdown", "off", "--reason", "z", stdout=out)
    call_command("lockdown", "off", "--reason", "z", stdout=out)
    call_command("lockdown", "status", stdout=out)
    told = out.getvalue()
    for words in (
        "Locked down.",
        "Bundle: ",
        "It is on already",
        "Tables closed",
        "Lifted.",
        "No lockdown is on.",
    ):
        assert words in told, words


# The bundle


@pytest.fixture
def bundle(ada: Person) -> Path:
    make_collection()
    make_entry(title="canarydraft", published=False)
    make_key(role="administrator")
    ada.sign_in()
    return Path(run("on", "--reason", "A canary")["bundle"])


def test_the_bundle_is_private_and_whole(bundle: Path) -> None:
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o700
    assert stat.S_IMODE(bundle.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in bundle.iterdir()} == {0o600}
    told = {path.name: path.read_text() for path in bundle.iterdir()}
    lines = [json.loads(line) for line in told["log.jsonl"].splitlines()]
    assert [line["position"] for line in lines] == list(range(1, len(lines) + 1))
    assert "lockdown.on" in {line["type"] for line in lines}
    assert json.loads(told["audit.json"])["intact"] is True
    assert [item["user"] for item in json.loads(told["sessions.json"])] == ["ada@example.com"]
    assert "ada@example.com" in {item["email"] for item in json.loads(told["people.json"])}
    assert "administrator" in {item["key"] for item in json.loads(told["roles.json"])}
    assert json.loads(told["keys.json"])[0]["scopes"]["areas"]
    assert lockdown_bundle.is_genuine(bundle)


def test_the_bundle_holds_no_secret_and_no_content(bundle: Path, ada: Person) -> None:
    told = "".join(path.read_text() for path in bundle.iterdir())
    assert ada.device is not None
    key = ApiKey.objects.get()
    secrets = [
        ada.user.password,
        ada.device.secret,
        ada.device.secret_base32,
        key.secret_hash,
        "argon2",
        "canarydraft",
    ]
    secrets += [
        value
        for name in ("SECRET_KEY", "QUILLKEEP_KEY_RING", "DATABASE_URL")
        if (value := os.environ.get(name))
    ]
    assert "DATABASE_URL" in told
    for secret in secrets:
        assert secret not in told


@pytest.mark.parametrize("change", ["altered", "removed", "added", "manifest"])
def test_a_bundle_that_was_changed_is_not_genuine(bundle: Path, change: str) -> None:
    if change == "altered":
        (bundle / "log.jsonl").write_text("")
    elif change == "removed":
        (bundle / "keys.json").unlink()
    elif change == "added":
        (bundle / "more.json").write_text("{}")
    else:
        manifest = json.loads((bundle / "manifest.json").read_text())
        (bundle / "manifest.json").write_text(json.dumps({**manifest, "days": 1}))
    assert not lockdown_bundle.is_genuine(bundle)


def test_the_bundle_holds_the_last_days_of_the_log_only() -> None:
    import time_machine

    with time_machine.travel("2026-01-01", tick=True):
        make_collection("old", [])
        log.seal_pending()
    path = Path(run("on", "--reason", "x", "--days", "7")["bundle"])
    types = [json.loads(line)["type"] for line in (path / "log.jsonl").read_text().splitlines()]
    assert "collection.changed" not in types
    assert "lockdown.on" in types


def test_all_days_that_there_are_may_be_asked_for() -> None:
    on = run("on", "--reason", "x", "--days", "9999999")
    assert (Path(on["bundle"]) / "log.jsonl").read_text()


# The page of the admin


def test_the_page_locks_down_with_a_reason_and_a_second_factor_and_never_lifts(ada: Person) -> None:
    browser = sign_in(ada)
    assert "Lock down" in browser.get("/admin/lockdown/").content.decode()
    assert browser.post("/admin/lockdown/", {"reason": ""}).status_code == 400
    Session.objects.update(verified_at=None, confirmed_at="2020-01-01T00:00:00Z")
    with Unchanged("without a step-up", but=("accounts_session",)):
        asked = browser.post("/admin/lockdown/", {"reason": "Stolen"})
        assert asked.status_code == 403
    answer = browser.post(
        "/admin/lockdown/",
        {"reason": "Stolen", "step-up-code": ada.code(), "step-up-reason": "An incident"},
    )
    assert answer.status_code == 200, answer.content
    found = Lockdown.objects.get()
    assert (found.reason, found.on_by) == ("Stolen", "ada@example.com")
    assert Event.objects.get(type="lockdown.on").detail["reason"] == "Stolen"
    assert browser.get("/admin/").status_code == 302
    again = sign_in(ada)
    page = again.get("/admin/lockdown/").content.decode()
    assert "lockdown off" in page
    assert '<form method="post" class="qk-card' not in page
    assert again.post("/admin/lockdown/", {"reason": "x"}).status_code == 423


def test_the_page_is_for_those_who_administer_operations(ada: Person) -> None:
    make_role("editor", {"actions": ("read", "read_draft")})
    edith = make_person("edith@example.com", roles=["editor"])
    browser = sign_in(edith)
    for send in (browser.get, browser.post):
        assert send("/admin/lockdown/", {"reason": "x"}).status_code == 403
    assert not Lockdown.objects.exists()
    assert "/admin/lockdown/" not in browser.get("/admin/").content.decode()
    assert "/admin/lockdown/" in sign_in(ada).get("/admin/").content.decode()


def test_what_was_typed_is_given_back(ada: Person) -> None:
    make_collection()
    entry = make_entry(title="There")
    browser = sign_in(ada)
    lock(keep_sessions=True)
    path = f"/admin/content/articles/{entry.pk}/change/"
    assert browser.get(path).status_code == 200
    answer = browser.post(path, {"f-title": "Typed for an hour", "base": "1"})
    assert answer.status_code == 423
    assert "Typed for an hour" in answer.content.decode()
    other = browser.post(
        "/admin/account/password/", {"password": "canarypassword", "repeated": "canarypassword"}
    )
    assert other.status_code == 423
    assert "canarypassword" not in other.content.decode()


def test_a_verb_says_that_the_system_is_locked_down_and_not_that_a_right_is_missing(ada: Person) -> None:
    lock()
    by = ada.principal
    for ask in (by.require_step_up, by.require_confirmation, by.require_no_lockdown):
        with pytest.raises(LockedDownError):
            ask()


def test_a_session_that_was_kept_can_still_be_ended() -> None:
    rita = make_user("rita@example.com")
    api = sign_in_api(rita)
    lock(keep_sessions=True)
    assert api.get("/api/v1/auth/me").status_code == 200
    assert api.post("/api/v1/auth/logout").status_code == 204
    assert api.get("/api/v1/auth/me").status_code == 401
