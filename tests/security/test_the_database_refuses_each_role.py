"""The roles of the planes, connected as themselves: PostgreSQL refuses what no line of code should ask."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connections
from django.test.utils import CaptureQueriesContext

from cms_project import grants
from content import editing
from content.models import Entry
from tests.builders import allow, anonymous, make_collection, make_entry, make_key, make_role, writing
from tests.security.world import Unchanged, make_world

pytestmark = pytest.mark.django_db

PUBLISHED = {
    "content_publisheddocument",
    "content_publishedsearch",
    "content_collection",
    "content_datakey",  # wrapped by the key ring, which is in no table
    "content_field",
    "content_locale",
}
CREDENTIALS = {
    "accounts_credential",
    "accounts_bearer",
    "accounts_policy",
    "accounts_role",
    "accounts_freshness",
    "accounts_generation",
    "accounts_installation",  # which environment the database is of, asked at start
}


def connect(alias: str) -> psycopg.Connection[Any]:
    """Connect past Django, as psql would, with nothing but the role's own credentials."""
    config = connections[alias].get_connection_params()
    config.pop("cursor_factory", None)
    config.pop("context", None)
    config.pop("options", None)
    return psycopg.connect(
        **{
            name: value
            for name, value in config.items()
            if name in ("host", "port", "dbname", "user", "password")
        },
        autocommit=True,
    )


@pytest.fixture
def delivery() -> Iterator[psycopg.Connection[Any]]:
    with connect("delivery") as connection:
        yield connection


@pytest.fixture
def app() -> Iterator[psycopg.Connection[Any]]:
    with connect("default") as connection:
        yield connection


def tables() -> list[str]:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'p') ORDER BY 1"
        )
        return [row[0] for row in cursor.fetchall()]


def test_the_delivery_role_reads_what_is_published_and_nothing_else(
    delivery: psycopg.Connection[Any],
) -> None:
    make_world()
    readable = set()
    for table in tables():
        try:
            delivery.execute(f"SELECT * FROM {table} LIMIT 1")  # the names are of the catalog
            readable.add(table)
        except psycopg.errors.InsufficientPrivilege:
            continue
    assert readable == PUBLISHED | CREDENTIALS | {"django_migrations"}
    for table in ("content_draftdocument", "content_draftsearch", "content_entry", "content_version", "content_reference", "content_uniquevalue", "accounts_user",
                  "accounts_apikey", "accounts_session", "accounts_authenticator", "accounts_event", "accounts_seal", "django_session"):  # fmt: skip
        assert table not in readable
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            delivery.execute(f"SELECT count(*) FROM {table}")
    columns = {
        row[0]
        for table in CREDENTIALS
        for row in delivery.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s", [table]
        )
    }
    assert not columns & {"password", "secret", "key", "totp_secret", "raw_secret"} - {"key"}


def test_the_delivery_role_writes_nothing_and_can_not_become_another(
    delivery: psycopg.Connection[Any],
) -> None:
    make_world()
    delivery.execute("SET default_transaction_read_only = off")
    with Unchanged("delivery"):
        for table in tables():
            for statement in (
                f"DELETE FROM {table}",
                f"INSERT INTO {table} DEFAULT VALUES",
                f"TRUNCATE {table}",
                f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
            ):
                with pytest.raises(psycopg.Error):
                    delivery.execute(statement)
        for statement in (
            "SET ROLE quillkeep_app", "SET ROLE quillkeep_owner", "SET SESSION AUTHORIZATION quillkeep_owner", "CREATE TABLE t (x int)", "CREATE SCHEMA s", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "ALTER ROLE quillkeep_delivery SUPERUSER", "SELECT pg_read_file('/etc/passwd')", "COPY content_publisheddocument TO PROGRAM 'true'", "SELECT * FROM pg_authid", "SET session_replication_role = replica",
            "SELECT pg_ls_dir('.')", "SELECT lo_import('/etc/passwd')",
        ):  # fmt: skip
            refused(delivery, statement)


def refused(connection: psycopg.Connection[Any], statement: str) -> None:
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return
    pytest.fail(f"not refused: {statement}")


def test_the_app_role_can_not_rewrite_the_past(app: psycopg.Connection[Any]) -> None:
    world = make_world()
    assert world.apis["administrator"].get("/api/v1/manage/audit").status_code == 200  # seals
    assert app.execute("SELECT count(*) FROM accounts_seal").fetchone() != (0,)
    with Unchanged("app"):
        for table in ("accounts_event", "accounts_seal"):
            for statement in (f"UPDATE {table} SET {'type' if table.endswith('event') else 'mac'} = 'x'", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE",
                              f"ALTER TABLE {table} DISABLE TRIGGER ALL", f"DROP TABLE {table}", f"ALTER TABLE {table} OWNER TO quillkeep_app"):  # fmt: skip
                refused(app, statement)
        for statement in (
            "UPDATE content_version SET data = '{}'", "TRUNCATE content_version", "ALTER TABLE content_version DISABLE TRIGGER ALL", "SET session_replication_role = replica", "SET ROLE quillkeep_owner",
            "DROP TRIGGER refuse_row_change ON accounts_event", "CREATE OR REPLACE FUNCTION accounts_refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "DROP FUNCTION accounts_refuse_change() CASCADE", "CREATE TABLE t (x int)", "UPDATE django_migrations SET name = 'x'", "DELETE FROM django_admin_log",
        ):  # fmt: skip
            refused(app, statement)
    app.execute("GRANT UPDATE ON accounts_event TO quillkeep_app")  # only a warning, and nothing granted
    assert grants.in_force(connections["owner"])["accounts_event"] == grants.TABLES["accounts_event"]
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_trigger WHERE tgenabled = 'O' AND tgname LIKE 'refuse%'")
        assert cursor.fetchone()[0] >= 4


def test_delivery_reads_through_the_restricted_role_for_real(monkeypatch: pytest.MonkeyPatch) -> None:
    make_collection()
    allow("public", collection="articles")
    make_entry(title="Read")
    make_role("reader", {"collection": "articles"})
    key = make_key(role="reader")
    with connections["delivery"].cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == (grants.DELIVERY,)
    for api in (anonymous(), key):
        with (
            CaptureQueriesContext(connections["default"]) as by_app,
            CaptureQueriesContext(connections["delivery"]) as by_delivery,
        ):
            for tail in ("", "/read", f"/{Entry.objects.get().pk}", "?search=read&count=exact"):
                assert api.get(f"/api/v1/content/articles{tail}").status_code == 200
        used = [query["sql"] for query in by_app.captured_queries if "content_entry" not in query["sql"]]
        assert used == [], used
        assert len(by_delivery.captured_queries) >= 4
    assert settings.DATABASES["delivery"]["USER"] == grants.DELIVERY
    # And without the grant it is refused: the role is what stands between.
    with connections["owner"].cursor() as cursor:
        cursor.execute("REVOKE SELECT ON content_publisheddocument FROM quillkeep_delivery")
    try:
        assert anonymous().get("/api/v1/content/articles").status_code in (500, 503)
    finally:
        grants.apply(connections["owner"])
    assert anonymous().get("/api/v1/content/articles").status_code == 200


def test_a_version_may_be_purged_and_never_changed() -> None:
    make_collection()
    entry = make_entry(published=False)
    with connect("default") as app, pytest.raises(psycopg.Error):
        app.execute("UPDATE content_version SET message = 'x'")
    editing.purge(entry.pk, writing=writing("articles"))
    assert not Entry.objects.exists()
