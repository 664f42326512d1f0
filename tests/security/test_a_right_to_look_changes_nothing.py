"""Tables in the admin, with each set of rights: no form, inline, copy or action does more (threats, E8, E10, E11, E25)."""

import re
from itertools import chain, combinations
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.keyring import key_ring
from accounts.models import ApiKey, Authenticator, Event, Policy, Role, Session, User
from accounts.rights import django_permissions
from accounts.sign_in import middleware
from previews.models import PreviewSite, SigningKey
from tests.accounts.cast import confirmed
from tests.security.admin_matrix import ADA, EVERYBODY, Cast, Stage, make_cast, make_stage, visits
from tests.security.world import Unchanged
from webhooks.models import Source, SourceSecret

pytestmark = pytest.mark.django_db

VERBS = ("view", "add", "change", "delete")
MODELS: list[type[Any]] = [User, Role, Policy, ApiKey, PreviewSite, Source]
EVERY_SET = [frozenset(item) for item in chain.from_iterable(combinations(VERBS, size) for size in range(5))]
JUNK = {
    "id": "0190aaaa-0000-7000-8000-000000000000",
    "pk": "1",
    "password": "pbkdf2_sha256$1$a$b",
    "is_staff": "on",
    "is_superuser": "on",
    "is_service": "on",
    "token_version": "99",
    "created_at_0": "2001-01-01",
    "created_at_1": "00:00",
    "last_login_0": "2001-01-01",
    "last_login_1": "00:00",
    "user_permissions": "1",
    "groups": "1",
    "public_id": "aaaaaaaaaaaa",
    "secret_hash": "a" * 64,
    "state": "revoked",
    "created_by": "1",
    "every_collection": "on",
    "every_field": "on",
    "field_ids": "[]",
    "rows": "[]",
    "permissions": "1",
    "group_ptr": "1",
    "_state": "x",
    "__class__": "x",
}


@pytest.fixture
def cast(monkeypatch: pytest.MonkeyPatch) -> Cast:
    monkeypatch.setattr(middleware, "SEEN_EVERY_SECONDS", 1_000_000)
    return make_cast()


@pytest.fixture
def ada(cast: Cast) -> Client:
    return cast.browsers[ADA]


@pytest.fixture
def stage(cast: Cast) -> Stage:
    return make_stage(0, cast.people[ADA])


def give(monkeypatch: pytest.MonkeyPatch, verbs: frozenset[str]) -> None:
    """Let administrators do this much with every table, as if it were all that there is to do with it."""
    areas = {key: (area, verbs) for key, (area, _) in django_permissions.AREAS.items()}
    monkeypatch.setattr(django_permissions, "AREAS", areas)


def path(model: type[Any], page: str = "changelist", *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def rows(stage: Stage) -> dict[type[Any], Any]:
    return {User: stage.person, Role: stage.role, Policy: stage.policy, ApiKey: stage.api_key,
            PreviewSite: stage.site, Source: stage.source}  # fmt: skip


def bodies(stage: Stage, page: str) -> dict[type[Any], dict[str, Any]]:
    """Return what the matrix sends to a page of each table."""
    found = {}
    for model in MODELS:
        route = f"{model._meta.app_label}/{model._meta.model_name}/" + (
            "<path:object_id>/" if page != "add" else ""
        )
        for visit in visits(stage, 0):
            if visit.route == f"{route}{page}/" and visit.method == "POST":
                found[model] = visit.data
    return found


def test_each_page_of_a_table_needs_its_own_right(
    monkeypatch: pytest.MonkeyPatch, ada: Client, stage: Stage
) -> None:
    add, change = bodies(stage, "add"), bodies(stage, "change")
    for verbs in EVERY_SET:
        give(monkeypatch, verbs)
        looks = bool(verbs & {"view", "change"})
        for model in MODELS:
            about = (model, verbs)
            row = rows(stage)[model]
            with Unchanged(about):
                assert (ada.get(path(model)).status_code == 200) is looks, about
                assert (ada.get(path(model, "change", row.pk)).status_code == 200) is looks, about
                assert (ada.get(path(model, "add")).status_code == 200) is ("add" in verbs), about
                assert (ada.get(path(model, "delete", row.pk)).status_code == 200) is ("delete" in verbs), (
                    about
                )
                if "add" not in verbs:
                    assert ada.post(path(model, "add"), add[model]).status_code == 403, about
                if "change" not in verbs:
                    for extra in ({}, {"_continue": "1"}, {"_popup": "1"}):
                        body = {**JUNK, **change[model], **extra}
                        assert ada.post(path(model, "change", row.pk), body).status_code == 403, about
                if "delete" not in verbs:
                    assert ada.post(path(model, "delete", row.pk), {"post": "yes"}).status_code == 403, about


def test_who_may_only_look_sees_no_input(monkeypatch: pytest.MonkeyPatch, ada: Client, stage: Stage) -> None:
    give(monkeypatch, frozenset({"view"}))
    for model in MODELS:
        page = ada.get(path(model, "change", rows(stage)[model].pk))
        main = page.content.split(b'id="content"')[1]
        names = set(re.findall(rb'<(?:input|select|textarea)[^>]* name="([^"]+)"', main))
        assert names <= {b"csrfmiddlewaretoken"}, (model, names)
        assert b'name="_save"' not in page.content, model
        assert b"deletelink" not in page.content, model
        listed = ada.get(path(model))
        assert b"addlink" not in listed.content.split(b'id="content"')[1], model
        assert b'name="action"' not in listed.content, model


def test_an_action_needs_its_right_also_when_it_is_typed(
    monkeypatch: pytest.MonkeyPatch, ada: Client, stage: Stage
) -> None:
    """The list hides an action that may not be done; its name in a POST of somebody's own does nothing either."""
    names = {
        "delete_selected",
        *(name for item in admin.site._registry.values() for name in item.actions or ()),
    }
    assert {"invite_again", "end_sessions", "end", "remove_factors", "lift_lock", "rotate", "revoke"} <= names
    for verbs in (frozenset({"view"}), frozenset({"view", "add"})):
        give(monkeypatch, verbs)
        for model in admin.site._registry:
            for name in sorted(names):
                chosen = [str(row.pk) for row in (stage.person, stage.api_key, stage.session, stage.preview)]
                body = {"action": name, "_selected_action": chosen,
                        "post": "yes", "select_across": "1", "index": "0"}  # fmt: skip
                with Unchanged(
                    (model, name), but=("django_session",)
                ):  # a message says that no action was chosen
                    assert ada.post(path(model), body).status_code in {200, 302, 405}, (model, name)
    give(monkeypatch, frozenset({"view", "change", "delete"}))
    for model in admin.site._registry:
        for name in ("delete_model", "save_model", "get_urls", "__class__", ""):
            with Unchanged((model, name), but=("django_session",)):
                ada.post(
                    path(model), {"action": name, "_selected_action": str(stage.person.pk), "index": "0"}
                )


def test_every_action_names_the_right_that_it_needs() -> None:
    for item in admin.site._registry.values():
        for name in item.actions or ():
            assert getattr(getattr(item, name), "allowed_permissions", None), f"{item}: {name}"


def test_a_copy_needs_the_right_to_add(monkeypatch: pytest.MonkeyPatch, ada: Client, stage: Stage) -> None:
    """`_saveasnew` added with the right to change alone (CVE-2016-2048); Django heeds it whatever `save_as` says."""
    add, change = bodies(stage, "add"), bodies(stage, "change")
    for verbs in ({"view"}, {"view", "change"}, {"change", "delete"}):
        give(monkeypatch, frozenset(verbs))
        for model in MODELS:
            for body in (add[model], change[model], {**add[model], **change[model]}):
                with Unchanged((model, body)):
                    sent = {**body, "_saveasnew": "Save as new"}
                    assert ada.post(path(model, "change", rows(stage)[model].pk), sent).status_code == 403
                    assert ada.post(path(model, "add"), sent).status_code == 403


def test_a_copy_is_an_addition_like_any_other(ada: Client, stage: Stage) -> None:
    """What stands beside the refusals: with the right to add, the same request adds, and by the verb."""
    count = Role.objects.count()
    body = {**bodies(stage, "add")[Role], "_saveasnew": "Save as new"}
    assert ada.post(path(Role, "change", stage.role.pk), body).status_code == 302
    assert Role.objects.count() == count + 1
    assert Event.objects.filter(type="role.created", subject_id=body["key"]).exists()


def test_an_inline_keeps_to_the_rights_on_its_own_table(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inlines were editable for who might only look at the parent (CVE-2019-19118). There is none so far."""
    give(monkeypatch, frozenset({"view"}))
    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(pk=cast.people[ADA].user.pk)
    for item in admin.site._registry.values():
        assert not item.has_add_permission(request)
        assert not item.has_change_permission(request)
        assert not item.has_delete_permission(request)
        for inline in item.get_inline_instances(request):
            assert not inline.has_add_permission(request, None)
            assert not inline.has_change_permission(request)
            assert not inline.has_delete_permission(request)
    assert [item for item in admin.site._registry.values() if item.inlines] == []


# What the form does not ask for is not written (E8)


def test_columns_that_a_form_does_not_show_stay_as_they_are(ada: Client, stage: Stage) -> None:
    change = bodies(stage, "change")
    written = {User: {"name"}, Role: {"name"}, Policy: {"actions"}, PreviewSite: {"name", "is_embeddable"},
               Source: {"schema", "changed_at"}}  # fmt: skip
    for model, names in written.items():
        row = rows(stage)[model]
        before = model.objects.filter(pk=row.pk).values().get()
        other = Role.objects.get(key="editor").pk
        body = {**JUNK, "role": other, "key": "taken_over", **change[model]}
        assert confirmed(ada, path(model, "change", row.pk), body).status_code == 302, model
        after = model.objects.filter(pk=row.pk).values().get()
        assert {name for name in after if after[name] != before[name]} <= names, model
    with Unchanged("a key has nothing to change"):
        body = {**JUNK, "name": "Other", "owner": str(stage.person.pk)}
        assert ada.post(path(ApiKey, "change", stage.api_key.pk), body).status_code == 403


def test_columns_that_a_form_does_not_show_are_not_set_in_a_new_row(ada: Client, stage: Stage) -> None:
    add = bodies(stage, "add")
    for model in MODELS:
        known = set(model.objects.values_list("pk", flat=True))
        assert confirmed(ada, path(model, "add"), {**JUNK, **add[model]}).status_code in {200, 302}, model
        row = model.objects.exclude(pk__in=known).get()
        assert str(row.pk) not in {JUNK["id"], "1"}, model
        if model is User:
            assert not row.has_usable_password()
            assert (row.is_service, row.token_version, row.role_keys, row.created_at.year > 2001) == (
                False,
                0,
                (),
                True,
            )
        if model is Policy:
            assert (row.every_collection, row.every_field, len(row.field_ids)) == (False, False, 1)
        if model is PreviewSite:
            assert row.state == "active"
            assert row.secret_hash != JUNK["secret_hash"]
            assert row.created_by_id != 1
        if model is Source:
            assert (row.state, row.account_id, row.action) == ("active", None, {"do": "record"})
        if model is ApiKey:
            assert row.state == "active"
            assert row.secret_hash != JUNK["secret_hash"]
            assert row.public_id != JUNK["public_id"]


def test_a_prefix_or_a_second_value_makes_no_other_field(ada: Client, stage: Stage) -> None:
    for name in (
        "form-0-password",
        "user-password",
        "initial-password",
        "password_0",
        "roles__key",
        "groups__role",
    ):
        body = {**bodies(stage, "change")[User], name: "administrator"}
        assert ada.post(path(User, "change", stage.person.pk), body).status_code == 302
        person = User.objects.get(pk=stage.person.pk)
        assert (person.password, person.role_keys) == (stage.person.password, ())
    twice = {**bodies(stage, "change")[User], "name": ["One", "Two"]}
    assert ada.post(path(User, "change", stage.person.pk), twice).status_code == 302
    assert User.objects.get(pk=stage.person.pk).name == "Two"


def test_nobody_makes_more_of_themselves_in_the_form(ada: Client, cast: Cast) -> None:
    me = cast.people[ADA].user
    for body in (
        {"roles": ["administrator", "editor"]},
        {"roles": []},
        {"roles": ["administrator"], "is_active": ""},
    ):
        with Unchanged(body):
            sent = {"email": me.email, "name": me.name, "is_active": "on", **body}
            if not sent["is_active"]:
                del sent["is_active"]
            assert ada.post(path(User, "change", me.pk), sent).status_code == 200


# Secrets of people, devices and keys


def secrets() -> dict[str, str]:
    """Return everything that no page may show, with its name."""
    found = {f"password of {user.email}": user.password for user in User.objects.exclude(password="")}
    for device in Authenticator.objects.all():
        found |= {"secret of a device": device.secret, "its base32": device.secret_base32,
                  "its hex": device.raw_secret.hex()}  # fmt: skip
    found |= {f"hash of {key.public_id}": key.secret_hash for key in ApiKey.objects.all()}
    found |= {f"hash of {site.name}": site.secret_hash for site in PreviewSite.objects.all()}
    for row in SourceSecret.objects.select_related("source"):
        text = key_ring().decrypt(row.secret, context=row.context).decode()
        found |= {f"row of {row.source.key}": row.secret, f"secret of {row.source.key}": text}
    found |= {f"half of {key.pk}": key.private for key in SigningKey.objects.exclude(private="")}
    found |= {
        f"refresh of {row.pk}": str(row.refresh_jti) for row in Session.objects.all() if row.refresh_jti
    }
    return found


def test_no_page_shows_anything_of_a_password_a_device_or_a_key(
    ada: Client, cast: Cast, stage: Stage
) -> None:
    """Also to those who may only look: a widget once showed the whole hash (CVE-2018-16984)."""
    hidden = secrets()
    assert {name.split(" of ")[0] for name in hidden} >= {"password", "secret", "hash", "refresh", "half"}
    assert any(value.startswith("argon2") or "$" in value for value in hidden.values())
    pages = [
        visit
        for visit in visits(stage, 0)
        if visit.method == "GET" and visit.route.startswith(("accounts/", "previews/", "webhooks/"))
    ]
    pages += [visit for visit in visits(stage, 0) if visit.route in {"", "autocomplete/"}]
    for browser in (cast.browsers[who] for who in EVERYBODY):
        for visit in pages:
            answer = visit.send(browser)
            text = answer.content.decode()
            shown = [name for name, value in hidden.items() if value in text]
            assert not shown, (visit, shown)
            assert not [word for word in ("argon2", "pbkdf2_", "md5$", "otpauth:") if word in text], visit


def test_the_page_of_a_row_shows_no_secret_whatever_the_rights(
    monkeypatch: pytest.MonkeyPatch, ada: Client, stage: Stage
) -> None:
    hidden = secrets()
    for verbs in ({"view"}, {"view", "change"}, set(VERBS)):
        give(monkeypatch, frozenset(verbs))
        for model in MODELS:
            for page in ("change", "history"):
                text = ada.get(path(model, page, rows(stage)[model].pk)).content.decode()
                assert not [name for name, value in hidden.items() if value in text], (model, page)
                assert "argon2" not in text
                assert "pbkdf2_" not in text
