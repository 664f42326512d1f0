"""What each role may do is the list in cms_project.grants, exactly, and PostgreSQL holds to it."""

import pytest
from django.db import DatabaseError, connection, connections, transaction

from cms_project import grants

pytestmark = pytest.mark.django_db


def test_every_table_is_in_the_list_and_has_exactly_its_privileges() -> None:
    in_force = grants.in_force(connections["owner"])
    unlisted = sorted(set(in_force) - set(grants.TABLES))
    gone = sorted(set(grants.TABLES) - set(in_force))
    assert not unlisted, f"give them a line in cms_project.grants.TABLES: {unlisted}"
    assert not gone, f"these lines name no table: {gone}"
    assert in_force == dict(grants.TABLES)


def test_no_sequence_is_granted() -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"
            " AND (has_sequence_privilege('quillkeep_app', oid, 'USAGE, SELECT, UPDATE')"
            " OR has_sequence_privilege('quillkeep_delivery', oid, 'USAGE, SELECT, UPDATE'))"
        )
        assert cursor.fetchall() == []


def test_every_table_belongs_to_the_owner() -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p', 'v', 'S')"
            " AND relowner <> 'quillkeep_owner'::regrole"
        )
        assert cursor.fetchall() == []


@pytest.mark.parametrize("role", ["quillkeep_owner", *grants.ROLES])
def test_no_role_of_ours_is_more_than_it_should_be(role: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls,"
            " EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid) FROM pg_roles r WHERE rolname = %s",
            [role],
        )
        assert cursor.fetchall() == [(False, False)]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "ALTER TABLE django_session DISABLE TRIGGER ALL",
        "DROP TABLE django_session",
        "TRUNCATE django_session",
        "SET ROLE quillkeep_owner",
        "SET session_replication_role = replica",
        "DELETE FROM django_migrations",
    ],
)
@pytest.mark.parametrize("alias", ["default", "delivery"])
def test_a_web_role_can_neither_define_nor_disable_anything(alias: str, statement: str) -> None:
    with pytest.raises(DatabaseError), connections[alias].cursor() as cursor:
        cursor.execute(statement)


def test_the_delivery_role_reads_no_session_and_writes_nothing() -> None:
    connection.cursor().execute("SELECT count(*) FROM django_session")
    delivery = connections["delivery"]
    with pytest.raises(DatabaseError, match="permission denied"):
        delivery.cursor().execute("SELECT * FROM django_session")
    with pytest.raises(DatabaseError, match="read-only transaction"):
        delivery.cursor().execute("DELETE FROM django_session")
    delivery.cursor().execute("SET default_transaction_read_only = off")  # it may, and gains nothing
    with pytest.raises(DatabaseError, match="permission denied"):
        delivery.cursor().execute("DELETE FROM django_session")
    delivery.close()


@pytest.mark.parametrize("time", ["first", "second"])
def test_what_a_test_commits_is_really_committed_and_gone_afterwards(time: str) -> None:
    with transaction.atomic():
        connection.cursor().execute(
            "INSERT INTO django_session VALUES ('kept', 'x', now()) ON CONFLICT DO NOTHING"
        )
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT session_key FROM django_session")
        assert cursor.fetchall() == [("kept",)]


def test_the_reset_brings_back_rows_of_the_migrations() -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("DELETE FROM auth_permission")
        cursor.execute("UPDATE django_content_type SET model = model || 'x'")


def test_after_it_they_are_back() -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM auth_permission")
        assert cursor.fetchone() != (0,)
        cursor.execute("SELECT count(*) FROM django_content_type WHERE app_label = 'sessions'")
        assert cursor.fetchone() == (1,)
