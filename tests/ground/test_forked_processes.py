"""What tests fork in place of starting it is another process all the same: with its own environment, knowing nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import LazySettings, settings
from django.db import connection

from content import schema
from tests import forked
from tests.builders import make_collection

pytestmark = pytest.mark.usefixtures("_django_db_helper")


def show() -> None:
    told = (settings.DATA_DIR, connection.settings_dict["NAME"], os.environ.get("LEFT"), sys.stdin.read())
    sys.stdout.write(" ".join(map(str, told)))


def test_it_has_its_own_environment_settings_and_input(
    tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_DIR = Path("/of/the/test")
    name = connection.settings_dict["NAME"]
    elsewhere = os.environ["DATABASE_URL"].replace(f"/{name}?", "/elsewhere?")
    values = {**os.environ, "DATA_DIR": str(tmp_path), "DATABASE_URL": elsewhere}
    monkeypatch.setenv("LEFT", "behind")
    done = forked.in_text(forked.run(show, env=values, given=b"typed"))
    assert (done.returncode, done.stdout) == (0, f"{tmp_path} elsewhere None typed"), done.stderr
    assert os.environ["LEFT"] == "behind"
    assert (Path("/of/the/test"), name) == (settings.DATA_DIR, connection.settings_dict["NAME"])


def test_it_knows_nothing_of_a_database_and_leaves_our_connection_alone() -> None:
    make_collection()
    assert "articles" in schema.current().by_key
    known = forked.run(lambda: sys.exit(len(schema._cached)), env=os.environ)
    assert known.returncode == 0
    assert "articles" in schema.current().by_key
    read = forked.run(lambda: sys.exit(7 if "articles" in schema.current().by_key else 0), env=os.environ)
    assert read.returncode == 7


def test_it_ends_as_processes_do() -> None:
    assert forked.run(lambda: os.kill(os.getpid(), signal.SIGKILL), env=os.environ).returncode == -9
    said = forked.run(lambda: sys.exit("in words"), env=os.environ)
    assert (said.returncode, said.stderr) == (1, b"in words\n")
    broken = forked.run(lambda: Path("/nowhere/nothing").touch(), env=os.environ)
    assert broken.returncode == 1
    assert b"FileNotFoundError" in broken.stderr
    with pytest.raises(subprocess.TimeoutExpired):
        forked.run(signal.pause, env=os.environ, seconds=0.1)


def test_a_command_refuses_an_environment_that_is_wrong() -> None:
    done = forked.command("check", env={**os.environ, "PORT": "canary"})
    assert done.returncode == 2
    assert b"PORT: must be" in done.stderr
