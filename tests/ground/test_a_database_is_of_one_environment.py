"""A process does not start on the database of another environment, or without a key that its values need."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client

from accounts.keys.api_keys import KeyText
from accounts.models import ApiKey, Event, Installation, RingKey, Session
from cms_project import adopting, standing
from cms_project.celery import app
from tests import forked, throwaway
from tests.accounts.cast import BUILDER, Api, make_key, make_person
from tests.database import ROOT
from tests.webhooks.world import make_endpoint

pytestmark = pytest.mark.usefixtures("_django_db_helper")

SCHEDULE = str(Path(os.environ["DATA_DIR"]) / "schedule")
STARTS = {
    "a command": ("manage.py", "audit", "verify"),
    "the web process": ("-m", "cms_project.web", "--port", "8999"),
    "the application alone": ("-c", "import cms_project.wsgi"),
    "a worker": ("-m", "celery", "-A", "cms_project", "worker", "-Q", "default", "-P", "solo"),
    "beat": ("-m", "celery", "-A", "cms_project", "beat", "-s", SCHEDULE),
}


def start(*command: str, **given: str) -> "subprocess.CompletedProcess[str]":
    values = {**os.environ, "DJANGO_SETTINGS_MODULE": "cms_project.settings", **given}
    if "cms_project.web" in command or "import cms_project.wsgi" in command:
        values.pop("OWNER_DATABASE_URL", None)
    return subprocess.run(
        [sys.executable, *command], env=values, cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def is_of(name: str) -> None:
    Installation.objects.using("owner").update(environment=name)


def environment(*arguments: str) -> str:
    out = StringIO()
    call_command("environment", *arguments, stdout=out)
    return out.getvalue()


def test_migrating_says_which_environment_it_is() -> None:
    assert Installation.objects.get().environment == "development"
    standing.stamp(using="owner")
    assert Installation.objects.count() == 1
    assert standing.faults() == []


@pytest.mark.parametrize("process", STARTS)
def test_no_process_starts_on_the_database_of_another_environment(process: str) -> None:
    is_of("production")
    done = start(*STARTS[process])
    assert done.returncode == 2, done.stdout + done.stderr
    assert "QUILLKEEP_ENVIRONMENT: is development, and this database is of production." in done.stderr
    assert "`manage.py environment adopt --from production`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("process", STARTS)
def test_no_process_starts_without_a_key_that_values_need(process: str) -> None:
    make_person("rita@example.com", with_authenticator=True)
    RingKey.objects.create(pk="k1", state="active")
    other = throwaway.values()["QUILLKEEP_KEY_RING"].replace("k1:", "k2:")
    done = start(*STARTS[process], QUILLKEEP_KEY_RING=other)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "QUILLKEEP_KEY_RING: k1 is missing, and 1 stored value can't be opened without it" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_mends_it_works_all_the_same() -> None:
    is_of("production")
    shown = start("manage.py", "environment", "show", "--json")
    assert shown.returncode == 1
    assert json.loads(shown.stdout.splitlines()[-1]) == {"process": "development", "database": "production"}
    for command in (
        ("check",),
        ("keys", "list"),
        ("keys", "--help"),
        ("audit", "verify", "--help"),
        ("lockdown", "status"),
    ):
        done = forked.command(*command, env={**os.environ, "DJANGO_SETTINGS_MODULE": "cms_project.settings"})
        assert done.returncode == 0, done.stderr


def test_a_command_that_runs_here_runs() -> None:
    done = start("manage.py", "audit", "verify")
    assert done.returncode == 0, done.stderr


def test_a_delivery_process_asks_by_its_own_role() -> None:
    given = {
        "QUILLKEEP_PLANE": "delivery",
        "DATABASE_URL": "",
        "OWNER_DATABASE_URL": "",
    }
    assert start("-c", "import cms_project.wsgi", **given).returncode == 0
    is_of("production")
    done = start("-c", "import cms_project.wsgi", **given)
    assert done.returncode == 2
    assert "this database is of production" in done.stderr


def test_a_delivery_process_that_could_not_ask_at_start_serves_once_it_has() -> None:
    script = (
        "import cms_project.wsgi; from cms_project import standing;"
        " standing._standing.is_open = True; print(standing.is_refused())"
    )
    given = {"QUILLKEEP_PLANE": "delivery", "DATABASE_URL": "", "OWNER_DATABASE_URL": ""}
    done = start("-c", script, **given)
    assert done.stdout.split() == ["False"], done.stdout + done.stderr


def test_the_application_can_not_change_what_a_database_is_of() -> None:
    with connections["default"].cursor() as cursor, pytest.raises(Exception, match="permission denied"):
        cursor.execute("UPDATE accounts_installation SET environment = 'staging'")


def test_a_web_process_that_could_not_ask_at_start_asks_before_the_first_request(monkeypatch) -> None:
    is_of("production")
    client = Client()
    assert client.get("/readyz").status_code == 200
    monkeypatch.setattr(standing._standing, "is_open", True)
    monkeypatch.setattr(standing._standing, "asked_at", 0.0)
    refused = client.get("/readyz")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    assert client.get("/healthz").status_code == 200  # it lives: to start it again would not help
    is_of("development")
    assert client.get("/readyz").status_code == 503  # within the second
    monkeypatch.setattr(standing._standing, "asked_at", 0.0)
    assert client.get("/readyz").status_code == 200
    assert not standing._standing.is_open
    assert RingKey.objects.get().state == "active"


def test_a_worker_that_could_not_ask_at_start_does_nothing_before_it_has(monkeypatch) -> None:
    done: list[str] = []

    @app.task(name="tests.does-something", goes_on_in_lockdown=True)
    def task() -> None:
        done.append("something")

    is_of("production")
    monkeypatch.setattr(standing._standing, "is_open", True)
    monkeypatch.setattr(standing._standing, "asked_at", 0.0)
    task()
    assert done == []
    is_of("development")
    monkeypatch.setattr(standing._standing, "asked_at", 0.0)
    task()
    app.tasks.unregister(task.name)
    assert done == ["something"]


def test_adopting_a_copy_ends_what_opened_doors_there(settings: LazySettings) -> None:
    rita = make_person("rita@example.com", roles=[], with_authenticator=True)
    key, text = make_key(rita.user)
    session = rita.sign_in()
    endpoint = make_endpoint("https://receiver.example/hook").endpoint
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, name="staging")
    written_anew = str(KeyText("staging", key.public_id, text.split("_")[3][:43]))
    assert Api(Client(), written_anew).get("auth/me").status_code == 200  # which is why keys are revoked
    assert json.loads(environment("adopt", "--from", "development", "--json")) == {
        "from": "development",
        "to": "staging",
        "ended": {"api_keys": 1, "sessions": 1, "previews": 0, "endpoints": 1, "sources": 0},
    }
    assert Api(Client(), written_anew).get("auth/me").status_code == 401
    assert ApiKey.objects.get().state == "revoked"
    assert not Session.objects.live().exists()
    assert session.get("auth/me").status_code == 401
    endpoint.refresh_from_db()
    assert endpoint.state == "paused"
    assert Installation.objects.get().environment == "staging"
    event = Event.objects.get(type="environment.adopted")
    assert (event.actor_label, event.detail["from"]) == ("system: environment adopt", "development")
    assert rita.sign_in().get("auth/me").status_code == 200
    assert "Nothing was done" in environment("adopt", "--from", "staging")


def test_adopting_names_what_it_is_a_copy_of_and_needs_the_owner(settings: LazySettings, monkeypatch) -> None:
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, name="staging")
    with pytest.raises(CommandError, match="is not of production, it is of development"):
        environment("adopt", "--from", "production")
    with monkeypatch.context() as patch:
        patch.delitem(connections.settings, "owner")
        with pytest.raises(CommandError, match="OWNER_DATABASE_URL"):
            environment("adopt", "--from", "development")
    assert Installation.objects.get().environment == "development"
    assert not Event.objects.filter(type="environment.adopted").exists()


def test_adopting_what_is_ours_changes_nothing() -> None:
    make_key(make_person("rita@example.com").user)
    assert adopting.adopt(by=BUILDER).ended == {}
    assert ApiKey.objects.get().state == "active"
