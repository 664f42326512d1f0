"""A store of its own for each test, a key pair, and databases to prove in and to restore into."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import LazySettings
from psycopg import sql
from pyrage import x25519

from cms_project import restoring
from cms_project.servers import OWNER
from content.backups import children, creating
from content.backups.stores import FolderStore
from tests import forked
from tests.builders import make_collection, make_entry
from tests.database import ROOT

CANARY = "The canary of the backups sings"


@dataclass
class Keys:
    """A private key of age with its public one, in their own spelling."""

    identity: str = field(default_factory=lambda: str(x25519.Identity.generate()))

    @property
    def recipient(self) -> str:
        return str(x25519.Identity.from_str(self.identity).to_public())

    @property
    def opened(self) -> list[Any]:
        return [x25519.Identity.from_str(self.identity)]


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def place(tmp_path: Path, settings: LazySettings, keys: Keys, _django_db_helper: None) -> FolderStore:
    """Return the folder that backups of this test go to; media files lie in one of its own as well."""
    folder = tmp_path / "backups"
    settings.BACKUPS = replace(
        settings.BACKUPS, to=f"file://{folder}", recipients=(keys.recipient,), identities=(keys.identity,)
    )
    settings.MEDIA_ROOT = tmp_path / "data" / "media"
    settings.MEDIA_ROOT.mkdir(parents=True)
    return FolderStore(folder)


@pytest.fixture
def content(_django_db_helper: None) -> None:
    """Write and publish something that a backup must bring back, and that must stand in none in clear."""
    make_collection("articles")
    for number in range(3):
        make_entry("articles", title=f"{CANARY} {number}", published=True)


@pytest.fixture
def database() -> Iterator[Callable[..., str]]:
    """Make databases of the owner, empty or as a template is; each call returns the name of one.

    All are dropped afterwards.
    """
    administrator = psycopg.connect(os.environ["QUILLKEEP_TEST_ADMINISTRATOR"], autocommit=True)
    made = []

    def make(name: str, template: str = "template0") -> str:
        full = f"{name}_{urlsplit(os.environ['DATABASE_URL']).path.strip('/')}"
        administrator.execute(sql.SQL("DROP DATABASE IF EXISTS {} (FORCE)").format(sql.Identifier(full)))
        administrator.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                sql.Identifier(full), sql.Identifier(OWNER), sql.Identifier(template)
            )
        )
        made.append(full)
        return full

    yield make
    for full in made:
        administrator.execute(sql.SQL("DROP DATABASE IF EXISTS {} (FORCE)").format(sql.Identifier(full)))
    administrator.close()


@pytest.fixture
def no_golden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the process that reads documents through the API: it has tests of its own, and takes seconds."""
    monkeypatch.setattr(creating, "run_golden", lambda *_, **__: [])


@pytest.fixture
def quick_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the processes that making and proving ask, in place of starting them; that has tests of its own."""

    def run(
        command: list[str],
        *,
        input: bytes,  # noqa: A002 (the word of `subprocess`)
        capture_output: bool,
        env: Mapping[str, str],
        timeout: float,
    ) -> "subprocess.CompletedProcess[bytes]":
        return forked.command(*command[2:], env=env, given=input, seconds=timeout)

    monkeypatch.setattr(
        children, "subprocess", SimpleNamespace(run=run, TimeoutExpired=subprocess.TimeoutExpired)
    )


@pytest.fixture
def scratch(settings: LazySettings, place: FolderStore, database: Callable[..., str]) -> str:
    """Point proofs at an empty database; return its name."""
    name = database("scratch")
    owner = settings.DATABASES["owner"]
    settings.BACKUPS = replace(settings.BACKUPS, scratch_database={**owner, "NAME": name})
    return name


def url_with(role: str, name: str) -> str:
    """Return the URL of a role for another database than the one of the tests."""
    parts = urlsplit(os.environ[role])
    return parts._replace(path=f"/{name}").geturl().replace("postgresql:/", "postgresql:/", 1)


@dataclass
class House:
    """An installation beside the tests' own: an own database and data, the same key ring and store."""

    name: str
    data: Path
    values: dict[str, str]
    starts: bool = False  # its commands start, as they do for people, and watch as long; else they are forked

    def manage(self, *arguments: str, before: Callable[[], None] | None = None, **values: str) -> Any:
        """Run a command there; the result has `.returncode`, `.stdout`, `.stderr`.

        `before` is called in the process of a command that is forked.
        """
        environment = {**os.environ, **self.values, **values}
        if self.starts:
            return subprocess.run(
                [sys.executable, "manage.py", *arguments],
                env=environment,
                cwd=ROOT,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
            )

        def prepare() -> None:
            restoring.WATCHED = timedelta(milliseconds=200)  # type: ignore[misc]  # final for everybody else
            if before is not None:
                before()

        return forked.in_text(forked.command(*arguments, env=environment, before=prepare))

    def must(self, *arguments: str, **values: str) -> Any:
        """Run a command that has to succeed; return what it prints as JSON."""
        done = self.manage(*arguments, "--json", before=None, **values)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def rows(self, query: str, role: str = "OWNER_DATABASE_URL") -> list[tuple[Any, ...]]:
        with psycopg.connect(url_with(role, self.name), autocommit=True) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def house(
    tmp_path: Path, settings: LazySettings, place: FolderStore, keys: Keys, database: Callable[..., str]
) -> House:
    """Return an installation whose database and data are empty."""
    name = database("house")
    data = tmp_path / "house"
    data.mkdir()
    values = {
        role: url_with(role, name) for role in ("OWNER_DATABASE_URL", "DATABASE_URL", "DELIVERY_DATABASE_URL")
    }
    values |= {
        "DATA_DIR": str(data),
        "BACKUP_TO": settings.BACKUPS.to,
        "BACKUP_RECIPIENTS": keys.recipient,
        "BACKUP_IDENTITY": keys.identity,
    }
    return House(name, data, values)
