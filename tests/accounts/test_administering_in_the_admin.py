"""The admin of accounts: the same verbs as the API, their refusals in the form, and nothing for those without
rights.
"""

import re
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from accounts import people
from accounts.access import Action
from accounts.log import seal_pending
from accounts.models import ApiKey, Event, Policy, Role, Session, User
from accounts.rights import granting
from tests.accounts.cast import (
    BUILDER,
    PASSWORD,
    Person,
    confirmed,
    make_key,
    make_person,
    make_policy,
    make_role,
)

MODELS = ["user", "role", "policy", "apikey", "serviceaccount", "event", "session"]


@pytest.fixture
def at_the_admin(ada: Person, browser: Client) -> Client:
    """A browser in which Ada is signed in."""
    browser.post("/admin/login/", {"email": ada.email, "password": PASSWORD})
    assert browser.post("/admin/login/code/", {"code": ada.code()}).status_code == 303
    return browser


def problems(page: Any) -> str:
    return " ".join(re.findall(r'<ul class="errorlist[^>]*>(.*?)</ul>', page.content.decode(), re.DOTALL))


@pytest.mark.parametrize("model", MODELS)
def test_every_page_opens_for_an_administrator(at_the_admin: Client, model: str) -> None:
    make_policy(make_role("editor"), Action.READ)
    make_key(User.objects.get())
    people.add_service("Website", by=BUILDER)
    seal_pending()
    assert at_the_admin.get("/admin/").status_code == 200
    page = at_the_admin.get(f"/admin/accounts/{model}/")
    assert page.status_code == 200
    text = page.content.decode()
    assert "$argon2" not in text
    link = re.search(rf'href="(/admin/accounts/{model}/[^"/]+/change/)"', text)
    assert link is not None
    shown = at_the_admin.get(link[1])
    assert shown.status_code == 200
    assert "$argon2" not in shown.content.decode()
    added = at_the_admin.get(f"/admin/accounts/{model}/add/").status_code
    assert added == (403 if model in ("event", "session") else 200)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("page", ["", "add/"])
def test_nothing_opens_for_an_editor(browser: Client, model: str, page: str) -> None:
    make_role("editor")
    edith = make_person("edith@example.com", roles=["editor"])
    browser.post("/admin/login/", {"email": edith.email, "password": PASSWORD})
    assert browser.get("/admin/").status_code == 200
    assert "/admin/accounts/" not in browser.get("/admin/").content.decode()
    assert browser.get(f"/admin/accounts/{model}/{page}").status_code == 403
    assert browser.post(f"/admin/accounts/{model}/{page}", {"x": "y"}).status_code == 403


def test_a_person_is_added_and_changed(at_the_admin: Client) -> None:
    make_role("editor")
    body = {"email": "Edith@example.com", "name": "Edith", "roles": ["editor"]}
    assert at_the_admin.post("/admin/accounts/user/add/", body).status_code == 302
    edith = User.objects.get(email="edith@example.com")
    assert edith.role_keys == ("editor",)
    path = f"/admin/accounts/user/{edith.pk}/change/"
    assert at_the_admin.post(path, {"email": edith.email, "name": "E.", "roles": []}).status_code == 302
    changed = User.objects.get(pk=edith.pk)
    assert (changed.name, changed.is_active, changed.role_keys) == ("E.", False, ())
    assert Event.objects.filter(type="user.updated", subject_id=str(edith.pk)).count() == 1


def test_one_session_of_somebody_is_ended_in_the_list(rita: Person, at_the_admin: Client) -> None:
    one, other = rita.sign_in(), rita.sign_in()
    path = "/admin/accounts/session/"
    chosen = Session.objects.filter(user=rita.user).earliest("pk")
    page = at_the_admin.get(path).content.decode()
    assert "Mozilla" not in page  # a browser is named in words
    answer = at_the_admin.post(path, {"action": "end", "_selected_action": str(chosen.pk)}, follow=True)
    assert "1 ended." in answer.content.decode()
    assert (one.get("auth/me").status_code, other.get("auth/me").status_code) == (401, 200)
    assert Event.objects.filter(
        type="session.ended", subject_id=str(chosen.pk), actor_label="ada@example.com"
    ).exists()
    again = at_the_admin.post(path, {"action": "end", "_selected_action": str(chosen.pk)}, follow=True)
    assert "1 ended." not in again.content.decode()


def test_a_refusal_stands_in_the_form(ada: Person, at_the_admin: Client) -> None:
    make_role("editor")
    page = at_the_admin.post("/admin/accounts/user/add/", {"email": ada.email, "roles": []})
    assert "Somebody has this address already." in problems(page)
    body = {"email": ada.email, "name": "", "roles": ["administrator", "editor"], "is_active": "on"}
    page = at_the_admin.post(f"/admin/accounts/user/{ada.user.pk}/change/", body)
    assert "Nobody changes roles of their own." in problems(page)
    assert User.objects.get().role_keys == ("administrator",)


def test_roles_and_policies(at_the_admin: Client) -> None:
    assert (
        at_the_admin.post("/admin/accounts/role/add/", {"key": "editor", "name": "Editors"}).status_code
        == 302
    )
    role = Role.objects.get(key="editor")
    body = {"role": role.pk, "collection": "articles", "actions": ["read"], "row-count": "1", "row-0-name": "author",
            "row-0-operator": "eq", "row-0-value": "$user", "all_fields": "on", "fields": ["phone"], "_save": "1"}  # fmt: skip
    assert confirmed(at_the_admin, "/admin/accounts/policy/add/", body).status_code == 302
    policy = Policy.objects.get()
    assert (policy.every_field, len(policy.field_ids), policy.rows[0][1:]) == (True, 1, ["eq", "$user"])
    path = f"/admin/accounts/policy/{policy.pk}/change/"
    page = at_the_admin.post(path, body | {"row-0-operator": "in", "row-0-value": " , "})
    assert "A value is missing" in problems(page)
    assert confirmed(at_the_admin, path, body | {"actions": ["read", "update"]}).status_code == 302
    assert Policy.objects.get().actions == ["read", "update"]
    path = f"/admin/accounts/policy/{policy.pk}/delete/"
    assert at_the_admin.post(path, {"post": "yes"}).status_code == 200
    assert Policy.objects.exists()
    assert confirmed(at_the_admin, path, {}).status_code == 302
    assert not Policy.objects.exists()
    make_person("edith@example.com", roles=["editor"])
    answer = at_the_admin.post(f"/admin/accounts/role/{role.pk}/delete/", {"post": "yes"}, follow=True)
    assert "still have this role" in answer.content.decode()
    assert Role.objects.filter(key="editor").exists()


def test_what_a_role_asks_of_its_people_is_set_on_its_page(at_the_admin: Client) -> None:
    role, at = make_role("operator"), "/admin/accounts/role/"
    text = at_the_admin.get(f"{at}{role.pk}/change/").content.decode()
    for name in granting.SETTINGS:
        assert f'name="{name}"' in text
    asked = {"require_second_factor": "on", "require_phishing_resistant": "on"}
    numbers = {"session_hours": 4, "idle_minutes": 30, "requests_per_minute": 100}
    body = {"name": role.name, **asked, **numbers}
    assert "From 1 to 336" in problems(
        at_the_admin.post(f"{at}{role.pk}/change/", body | {"session_hours": 337})
    )
    assert at_the_admin.post(f"{at}{role.pk}/change/", body).status_code == 302
    settings = Role.objects.values(*granting.SETTINGS)
    assert settings.get(pk=role.pk) == dict.fromkeys(asked, True) | numbers
    public, top = Role.objects.get(key="public"), Role.objects.get(key="administrator")
    assert "session_hours" not in at_the_admin.get(f"{at}{public.pk}/change/").content.decode()
    quota = {"name": public.name, "requests_per_minute": 50}
    assert at_the_admin.post(f"{at}{public.pk}/change/", quota).status_code == 302
    assert settings.get(pk=public.pk)["requests_per_minute"] == 50
    # Of one's own role more may be asked, and never less.
    assert "requests_per_minute" not in at_the_admin.get(f"{at}{top.pk}/change/").content.decode()
    body = {"name": top.name, "require_second_factor": "on", "session_hours": 8}
    assert at_the_admin.post(f"{at}{top.pk}/change/", body).status_code == 302
    assert settings.get(pk=top.pk)["session_hours"] == 8
    loose = at_the_admin.post(f"{at}{top.pk}/change/", body | {"session_hours": 9})
    assert "of their own" in problems(loose)


def test_built_in_roles_have_no_delete_page(at_the_admin: Client) -> None:
    public = Role.objects.get(key="public")
    assert at_the_admin.post(f"/admin/accounts/role/{public.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Role.objects.filter(key="public").exists()


def test_a_key_is_shown_once(at_the_admin: Client) -> None:
    role = make_role("reader")
    body = {"name": "Website", "role": role.pk, "scopes": ["articles:read", "*:read"], "network_lines": ""}
    answer = at_the_admin.post("/admin/accounts/apikey/add/", body)
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    assert re.search(r"qk_development_\w{12}_\w{49}", answer.content.decode())
    assert "qk_" not in str(answer.cookies)
    key = ApiKey.objects.get()
    assert not re.search(r"qk_development_", at_the_admin.get("/admin/accounts/apikey/").content.decode())
    rotate = {"action": "rotate", "_selected_action": [str(key.pk)]}
    rotated = at_the_admin.post("/admin/accounts/apikey/", rotate)
    assert re.search(r"qk_development_\w{12}_\w{49}", rotated.content.decode())
    assert ApiKey.objects.get().state == "retiring"
    revoke = {"action": "revoke", "_selected_action": [str(key.pk)]}
    assert at_the_admin.post("/admin/accounts/apikey/", revoke).status_code == 302
    assert ApiKey.objects.get().state == "revoked"


def test_a_key_ends_when_its_maker_says(at_the_admin: Client) -> None:
    role = make_role("reader")
    ends = f"{timezone.now() + timedelta(days=7):%Y-%m-%dT%H:%M}"
    body = {
        "name": "Website",
        "role": role.pk,
        "scopes": ["articles:read"],
        "network_lines": "",
        "expires_at": ends,
    }
    assert at_the_admin.post("/admin/accounts/apikey/add/", body).status_code == 200
    assert f"{ApiKey.objects.get().expires_at:%Y-%m-%dT%H:%M}" == ends
    page = at_the_admin.post("/admin/accounts/apikey/add/", body | {"expires_at": "soon"})
    assert "valid date/time" in problems(page)


def test_the_page_of_a_key_has_nothing_to_save(at_the_admin: Client) -> None:
    key, _ = make_key(User.objects.get())
    path = f"/admin/accounts/apikey/{key.pk}/change/"
    assert 'name="_save"' not in at_the_admin.get(path).content.decode()
    assert at_the_admin.post(path, {"name": "Other"}).status_code == 403
    assert ApiKey.objects.get().name == key.name


def test_the_history_of_a_row_is_what_the_log_says_of_it(at_the_admin: Client) -> None:
    at_the_admin.post("/admin/accounts/role/add/", {"key": "editor", "name": "Editors"})
    role = Role.objects.get(key="editor")
    answer = at_the_admin.get(f"/admin/accounts/role/{role.pk}/history/", follow=True)
    assert answer.redirect_chain == [("/admin/accounts/event/?subject=editor", 302)]
    assert "role.created" in answer.content.decode()
    assert at_the_admin.get("/admin/accounts/role/999999/history/").status_code == 404
    make_person("edith@example.com", roles=["editor"])
    edith = Client()
    edith.post("/admin/login/", {"email": "edith@example.com", "password": PASSWORD})
    assert edith.get(f"/admin/accounts/role/{role.pk}/history/").status_code == 403
    assert edith.get("/admin/accounts/role/999999/history/").status_code == 403


def test_bad_scopes_are_explained(at_the_admin: Client) -> None:
    role = make_role("reader")
    body = {"name": "Website", "role": role.pk, "scopes": ["articles:fly"], "network_lines": "here"}
    assert "articles:fly is not one of" in problems(at_the_admin.post("/admin/accounts/apikey/add/", body))
    body = {"name": "Website", "scopes": ["articles:read"]}
    assert "either an owner or a role" in problems(at_the_admin.post("/admin/accounts/apikey/add/", body))
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    "query",
    ["password__startswith=a", "_to_field=password", "sessions__refresh_jti=1", "groups__role__key=x"],
)
def test_the_lists_can_not_be_asked_about_other_columns(at_the_admin: Client, query: str) -> None:
    answer = at_the_admin.get(f"/admin/accounts/user/?{query}")
    assert answer.status_code in (302, 400)
    assert answer.status_code == 400 or "e=1" in answer["Location"]


@pytest.mark.parametrize("model", MODELS)
def test_every_filter_that_a_list_offers_works(at_the_admin: Client, model: str) -> None:
    make_policy(make_role("editor"), Action.READ)
    make_policy(make_role("reader"), Action.READ)
    make_key(User.objects.get())
    seal_pending()
    page = at_the_admin.get(f"/admin/accounts/{model}/").content.decode()
    offered = re.findall(r'href="(\?[^"]+__[^"]+)"', page)
    assert offered or model in ("role", "event")  # the log has a search of its own
    for query in offered:
        answer = at_the_admin.get(f"/admin/accounts/{model}/{query.replace('&amp;', '&')}")
        assert answer.status_code == 200, query


def test_the_number_of_queries_of_a_list_does_not_grow(
    at_the_admin: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        make_person(f"person{number}@example.com")
    at_the_admin.get("/admin/accounts/user/")  # fills the caches of rules and schema
    with django_assert_max_num_queries(12):
        assert at_the_admin.get("/admin/accounts/user/").status_code == 200


def test_only_our_tables_are_in_the_admin() -> None:
    rooms = {model._meta.app_label for model in admin.site._registry}
    assert rooms <= {"accounts", "content", "previews", "webhooks"}, rooms


@pytest.mark.parametrize("model", MODELS)
def test_every_list_is_named_in_plain_words_and_says_what_would_stand_there(
    at_the_admin: Client, model: str
) -> None:
    made = admin.site.get_model_admin(apps.get_model("accounts", model))
    page = at_the_admin.get(f"/admin/accounts/{model}/").content.decode()
    assert ">Select " not in page
    assert ">Accounts</a>" not in page  # an app is no word of people
    with patch.object(type(made), "get_queryset", lambda self, _: self.model.objects.none()):
        empty = at_the_admin.get(f"/admin/accounts/{model}/").content.decode()
    assert escape(made.empty_text) in empty  # type: ignore[attr-defined]  # every one of ours has it
    assert empty.partition('class="qk-empty"')[2].partition("</div>")[0].count("<a ") == 1
