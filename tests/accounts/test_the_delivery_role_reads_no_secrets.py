"""What the delivery role may see of accounts: views for credentials, roles and policies; never a user or a key."""

import pytest
from django.db import DatabaseError, connections

from accounts.models import Bearer, Credential, Policy, Role
from tests.accounts.cast import Api, Person, make_key

pytestmark = pytest.mark.usefixtures("_django_db_helper")
TABLES = [
    "accounts_user", "accounts_apikey", "accounts_session", "accounts_event", "accounts_seal", "accounts_authenticator",
    "accounts_user_groups", "accounts_unsealed", "accounts_position", "django_session", "axes_accessattempt",
]  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_it_is_refused_on_the_tables(table: str) -> None:
    with pytest.raises(DatabaseError, match="permission denied"), connections["delivery"].cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")


def test_it_reads_what_checking_a_credential_needs(rita: Person, as_rita: Api) -> None:
    make_key(rita.user)
    assert Credential.objects.using("delivery").get().owner_email == rita.email
    assert Bearer.objects.using("delivery").get().user_id == rita.user.pk
    assert list(Role.objects.using("delivery").order_by("key").values_list("key", flat=True)) == [
        "administrator",
        "public",
    ]
    assert not Policy.objects.using("delivery").exists()


def test_no_password_is_in_the_views(rita: Person, as_rita: Api) -> None:
    make_key(rita.user)
    for view in ("accounts_credential", "accounts_bearer"):
        with connections["delivery"].cursor() as cursor:
            cursor.execute(f"SELECT v::text FROM {view} v")
            assert "argon2" not in str(cursor.fetchall())


@pytest.mark.parametrize("table", ["accounts_role", "accounts_policy", "accounts_generation"])
def test_it_writes_nothing(table: str) -> None:
    with (
        pytest.raises(DatabaseError, match=r"permission denied|read-only"),
        connections["delivery"].cursor() as cursor,
    ):
        cursor.execute(f"DELETE FROM {table}")
