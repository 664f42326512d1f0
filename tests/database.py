"""The databases of a test run: own servers, a template migrated once, a clone for each worker, resets."""

import fcntl
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import sql

from cms_project.servers import OWNER, SUPERUSER, ServerError, Servers

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var" / "test"
TEMPLATE = "quillkeep_template"
MAX_RUNS = 8  # test runs side by side, each with servers of its own
ROOMS = ("accounts", "content", "previews", "webhooks", "cms_project")

# Tests make the roles that they speak of. Those that a new installation starts with have tests of their own.
PLAIN = """
DELETE FROM accounts_policy;
DELETE FROM accounts_role WHERE key NOT IN ('administrator', 'public');
DELETE FROM auth_group WHERE id NOT IN (SELECT group_ptr_id FROM accounts_role);
"""
# Functions for what each test asks: see the file.
SNAPSHOT = (ROOT / "tests" / "baseline.sql").read_text(encoding="utf-8")
BUSY = """
SELECT 1 FROM pg_stat_activity
WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle' LIMIT 1
"""


def start_servers() -> Servers:
    """Start the servers of this run, in the first of the folders that no other run uses."""
    for number in range(MAX_RUNS):
        servers = Servers(FOLDER / str(number), durable=False)
        try:
            servers.start()
        except ServerError as error:
            if "Another process" in str(error):
                continue
            raise
        return servers
    raise ServerError(f"{MAX_RUNS} test runs are going on already.")


def environment_of(servers: Servers, worker: int) -> dict[str, str]:
    """Return what points a worker, and every process it starts, at its own databases."""
    name = f"test_{worker}"
    return {
        "OWNER_DATABASE_URL": servers.database_url(OWNER, name),
        "DATABASE_URL": servers.database_url("quillkeep_app", name),
        "DELIVERY_DATABASE_URL": servers.database_url("quillkeep_delivery", name),
        "VALKEY_URL": servers.valkey_url(worker * 2),
        "CELERY_BROKER_URL": servers.broker_url(worker * 2 + 1),
        "DATA_DIR": str(servers.folder / f"worker-{worker}"),
    }


class TestDatabase:
    """The database of one worker: cloned from the template, reset after each test."""

    __test__ = False

    def __init__(self, administrator_url: str, name: str) -> None:
        self.administrator_url = administrator_url
        self.name = name
        self.resets = 0
        self._connection: psycopg.Connection[Any] | None = None

    def create(self) -> None:
        """Make the template if the migrations changed since it was made, and clone it."""
        lock = self._lock()
        try:
            self._make_template()
            with self._administrator("postgres") as connection:
                connection.execute(
                    sql.SQL("DROP DATABASE IF EXISTS {} (FORCE)").format(sql.Identifier(self.name))
                )
                _create(connection, self.name, TEMPLATE)
        finally:
            lock.close()
        self._connection = self._administrator(self.name)

    def close(self) -> None:
        """Close the connection that resets."""
        if self._connection is not None:
            self._connection.close()

    def reset(self) -> None:
        """Bring every table back to what the migrations left."""
        if self._connection is None or self._connection.closed:
            self._connection = self._administrator(self.name)
        self.resets += 1
        self._connection.execute("SELECT baseline.reset(%s)", [self.resets * 1_000_000])

    def wait_until_idle(self, seconds: float = 10.0) -> None:
        """Wait until no other process is in the middle of anything here."""
        if self._connection is None:
            return
        deadline = time.monotonic() + seconds
        while self._connection.execute(BUSY, [self.name]).fetchone() is not None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"A process is still busy with the database {self.name}.")
            time.sleep(0.02)

    def _administrator(self, database: str) -> psycopg.Connection[Any]:
        url = self.administrator_url.replace("/postgres?", f"/{database}?")
        return psycopg.connect(url, autocommit=True)

    @staticmethod
    def _lock() -> IO[bytes]:
        FOLDER.mkdir(parents=True, exist_ok=True)
        lock = (FOLDER / f"template-{os.environ['QUILLKEEP_TEST_RUN']}.lock").open("ab")
        fcntl.flock(lock, fcntl.LOCK_EX)
        return lock

    def _make_template(self) -> None:
        digest = _digest()
        with self._administrator("postgres") as connection:
            row = connection.execute(
                "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [TEMPLATE]
            ).fetchone()
            if row is not None and row[0] == digest:
                return
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} (FORCE)").format(sql.Identifier(TEMPLATE)))
            _create(connection, TEMPLATE, "template0")
            self._migrate()
            with self._administrator(TEMPLATE) as inside:
                inside.execute(PLAIN)
                inside.execute(SNAPSHOT)
            connection.execute(
                sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(TEMPLATE), sql.Literal(digest))
            )

    @staticmethod
    def _migrate() -> None:
        """Run the real command in a process of its own, as the owner."""
        environment = dict(os.environ)
        for name in ("OWNER_DATABASE_URL", "DATABASE_URL", "DELIVERY_DATABASE_URL"):
            before, _, after = environment[name].partition("/test_")
            environment[name] = f"{before}/{TEMPLATE}?{after.partition('?')[2]}"
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise ServerError(f"migrate failed:\n{done.stdout}\n{done.stderr}")


def _create(connection: psycopg.Connection[Any], name: str, template: str) -> None:
    target = sql.Identifier(name)
    connection.execute(
        sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY {}").format(
            target, sql.Identifier(OWNER), sql.Identifier(template), sql.Identifier("file_copy")
        )
    )
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(target))
    connection.execute(
        sql.SQL("GRANT CONNECT ON DATABASE {} TO quillkeep_app, quillkeep_delivery").format(target)
    )


def _digest() -> str:
    """Return a hash over all that decides what `migrate` makes: migrations, grants, models, versions."""
    digest = hashlib.sha256((PLAIN + SNAPSHOT).encode())
    for file in sorted(_sources()):
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    for package in ("django", "django-axes", "django-otp", "django-guardian"):
        digest.update(importlib.metadata.version(package).encode())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    yield ROOT / "cms_project" / "grants.py"
    yield ROOT / "cms_project" / "frozen.py"
    for room in ROOMS:
        yield from (ROOT / room).glob("migrations/**/*.py")
        # Permissions and content types are made from the models, not from the migrations.
        yield from (ROOT / room).glob("models/**/*.py")


def administrator_url(servers: Servers) -> str:
    """Return the URL of the superuser, which only the tests' own servers have."""
    return servers.database_url(SUPERUSER, "postgres")
