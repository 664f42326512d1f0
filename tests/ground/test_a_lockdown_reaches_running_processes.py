"""A lockdown by the command, seen by a web server and a worker that run already, and by those started after it."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.models import ApiKey, Event, Lockdown
from accounts.tasks import flush_key_usage, seal
from content.models import Entry
from content.tasks import rebuild
from tests import forked
from tests.accounts.cast import make_person
from tests.builders import allow, make_collection, make_entry, make_key, make_user
from tests.ground.test_live_processes import ask
from tests.processes import CeleryWorker, LiveServer

pytestmark = pytest.mark.slow


def manage(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` in a process of its own."""
    return forked.in_text(forked.command(*words, env={**os.environ, **environment}))


def command(*words: str, **environment: str) -> dict[str, Any]:
    done = manage("lockdown", *words, "--json", **environment)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def send(
    server: LiveServer, method: str, path: str, credential: str = "", body: Any = None
) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    if credential:
        headers["Authorization"] = f"Bearer {credential}"
    status, raw, _ = ask(server, method, path, None if body is None else json.dumps(body), **headers)
    return status, json.loads(raw) if raw else None


def test_it_holds_at_the_next_request_and_after_a_kill_until_it_is_lifted(
    web_server: LiveServer, tmp_path: Path
) -> None:
    make_collection()
    entry = make_entry(title="There")
    allow("public", collection="articles")
    ada = make_person("ada@example.com", roles=["administrator"], with_authenticator=True)
    key = make_key(role="administrator").key
    one = f"/api/v1/manage/content/articles/{entry.pk}"

    def published() -> tuple[int, Any]:
        return send(web_server, "GET", f"/api/v1/content/articles/{entry.pk}")

    def signs_in() -> tuple[int, Any]:
        return send(web_server, "POST", "/api/v1/auth/login", body=ada.login_body())

    status, tokens = signs_in()
    assert status == 200
    assert send(web_server, "GET", "/api/v1/auth/me", tokens["access"])[0] == 200
    assert send(web_server, "POST", f"{one}/publish", key, {})[0] == 200
    before = published()
    assert before[0] == 200

    on = command("on", "--reason", "A key was stolen", "--yes", DATA_DIR=str(tmp_path))
    assert on["faults"] == []
    assert Path(on["bundle"]).is_dir()
    refused = manage("keys", "rotate", str(ApiKey.objects.get().public_id))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.splitlines()[-1].startswith("Locked down: nothing was done.")
    assert "Traceback" not in refused.stderr

    def holds(server: LiveServer) -> None:
        assert send(server, "GET", "/api/v1/auth/me", tokens["access"])[0] == 401
        assert send(server, "POST", "/api/v1/auth/refresh", body={"refresh": tokens["refresh"]})[0] == 401
        for method, path, body in (
            ("POST", f"{one}/unpublish", {}),
            ("POST", "/api/v1/manage/content/articles", {"fields": {"title": "x"}}),
            ("GET", one, None),
        ):
            status, problem = send(server, method, path, key, body)
            assert (status, problem["code"]) == (423, "locked-down")
        assert send(server, "GET", f"/api/v1/content/articles/{entry.pk}") == before
        assert send(server, "GET", "/readyz")[0] == 200
        status, fresh = signs_in() if server is web_server else (200, None)
        assert status == 200
        if fresh:
            assert send(server, "GET", one, fresh["access"])[0] == 200
            assert send(server, "POST", f"{one}/unpublish", fresh["access"], {})[0] == 423

    holds(web_server)
    with LiveServer() as second:
        holds(second)
        assert second.process is not None
        os.killpg(second.process.pid, signal.SIGKILL)
        second.process.wait()
    with LiveServer() as third:
        holds(third)
    assert Entry.objects.count() == 1

    assert command("off", "--reason", "It is revoked", "--yes")["changed"] is True
    assert send(web_server, "POST", f"{one}/unpublish", key, {})[0] == 200
    assert send(web_server, "GET", "/api/v1/auth/me", tokens["access"])[0] == 401
    assert Lockdown.objects.count() == 1


@pytest.fixture
def worker(_django_db_helper: None, tmp_path: Path) -> Iterator[CeleryWorker]:
    """A worker that seals, and so keeps the head of its log apart from that of other tests."""
    with CeleryWorker(DATA_DIR=str(tmp_path)) as running:
        yield running


def test_a_worker_that_runs_does_nothing_but_seal(worker: CeleryWorker, tmp_path: Path) -> None:
    make_collection()
    make_entry(title="There")
    make_key(owner=make_user("owner@example.com"))
    command("on", "--reason", "x", "--yes", DATA_DIR=str(tmp_path))
    used = list(ApiKey.objects.values_list("last_used_at", flat=True))
    rebuild.delay()
    flush_key_usage.delay()
    worker.wait_for(
        lambda: all(
            f"Locked down: {name} does nothing" in worker.log()
            for name in ("content.rebuild", "accounts.flush_key_usage")
        )
    )
    assert list(ApiKey.objects.values_list("last_used_at", flat=True)) == used
    ended = Event.objects.filter(type="lockdown.ended")
    seal.delay()
    worker.wait_for(lambda: ended.filter(seal__isnull=False).exists())
    assert "Traceback" not in worker.log()
