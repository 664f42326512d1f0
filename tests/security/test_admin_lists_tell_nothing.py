"""Lists of the admin tell nothing of fields that a role may not read (A6), nor do strange addresses (A21)."""

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.models import User
from content.models import ListLayout
from content.schema import current
from tests.accounts.cast import make_person
from tests.builders import make_collection, make_entry, make_role
from tests.content.admin.conftest import sign_in

STRANGE = (
    "_to_field=password", "_popup=1&_to_field=password", "password__startswith=a", "_saveasnew=1",
    "user__password__startswith=a", "created_by__password__startswith=a", "e=1&password=a",
)  # fmt: skip


@pytest.fixture
def ada(_django_db_helper: None) -> Client:
    return sign_in(make_person("ada@example.com", roles=["administrator"], with_authenticator=True))


def test_no_lookup_through_an_address_is_answered_by_any_model_admin(ada: Client) -> None:
    registered = [model._meta for model in admin.site._registry]
    assert registered
    for meta in registered:
        path = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
        for strange in STRANGE:
            answer = ada.get(f"{path}?{strange}")
            refused = answer.status_code in {400, 403, 404}
            back = answer.status_code == 302 and answer.headers["Location"].endswith("?e=1")
            assert refused or back, (path, strange, answer.status_code)


@pytest.mark.usefixtures("_django_db_helper")
def test_hidden_and_unknown_names_in_a_list_address_end_alike() -> None:
    make_collection(
        "staff",
        [
            {"key": "name", "type": "text"},
            {"key": "team", "type": "text", "filterable": True},
            {"key": "wage", "type": "text", "filterable": True},
            {"key": "boss", "type": "reference", "filterable": True, "options": {"collections": ["staff"]}},
        ],
    )  # fmt: skip
    boss = make_entry("staff", name="CANARY-NAME", team="red", wage="CANARY-WAGE", published=False)
    make_entry("staff", name="CANARY-TOO", team="red", boss=str(boss.pk), wage="CANARY-WAGE", published=False)
    spec = current().by_key["staff"]
    make_role("role_rita", {"collection": "staff", "actions": ("read_draft",), "fields": ("team", "boss")})
    person = make_person("rita@example.com", roles=["role_rita"])
    rita = sign_in(person)
    ListLayout.objects.create(
        user_id=User.objects.get(email=person.email).pk,
        collection_id=spec.id,
        columns=[str(field.id) for field in spec.fields],
    )
    for path in (
        "",
        "trash/",
        "?q=CANARY",
        "?f=team",
        "?filter[team][eq]=red",
        f"?filter[boss][eq]={boss.pk}",
    ):
        page = rita.get(f"/admin/content/staff/{path}")
        assert page.status_code == 200, path
        assert b"CANARY-" not in page.content, path
        assert b"wage" not in page.content.lower(), path
    for wanted in ("filter[{}][eq]=a", "filter[{}][exists]=true", "sort={}", "f={}", "f={}&o=eq&v=a",
                   "filter[boss.{}][starts_with]=C"):  # fmt: skip
        for key in ("wage", "nowhere"):
            answer = rita.get(f"/admin/content/staff/?{wanted.format(key)}")
            assert (answer.status_code, answer.headers.get("Location")) == (302, "/admin/content/staff/?e=1")
    for strange in STRANGE[:-1]:
        answer = rita.get(f"/admin/content/staff/?{strange}")
        assert answer.headers.get("Location") == "/admin/content/staff/?e=1", strange
