"""People who are signed in to the admin, with the rights that a test gives them."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.test import Client

from tests.accounts.cast import PASSWORD, Person, make_person
from tests.arranged import arranged
from tests.builders import make_role

SignIn = Callable[..., Client]


def sign_in(person: Person, *, csrf: bool = False) -> Client:
    """Return a browser in which the person has gone through the sign-in pages."""
    browser = Client(enforce_csrf_checks=csrf, raise_request_exception=True)
    if csrf:
        browser.get("/admin/login/")
    token = {"csrfmiddlewaretoken": browser.cookies["csrf-development"].value} if csrf else {}
    answer = browser.post("/admin/login/", {"email": person.email, "password": PASSWORD, **token})
    if person.device is not None:
        answer = browser.post("/admin/login/code/", {"code": person.code(), **token})
    assert answer.status_code == 303, answer.content.decode()
    return browser


@pytest.fixture
def ada(_django_db_helper: None) -> Client:
    """Ada administers."""
    return arranged("ada_in_the_admin", sign_in_ada)


def sign_in_ada() -> Client:
    return sign_in(make_person("ada@example.com", roles=["administrator"], with_authenticator=True))


@pytest.fixture
def as_somebody(_django_db_helper: None) -> SignIn:
    """Sign in somebody with a role of their own: `as_somebody("edith", {"collection": …, "actions": …})`."""

    def become(name: str, *policies: Mapping[str, Any]) -> Client:
        make_role(f"role_{name}", *policies)
        return sign_in(make_person(f"{name}@example.com", roles=[f"role_{name}"]))

    return become


def fields_of(answer: Any) -> dict[str, str]:
    """Return what a page's entry form would send back unchanged: every named input, text area and select."""
    form = answer.context["form"].form
    data: dict[str, str] = {}
    for name in form.fields:
        bound = form[name]
        value = bound.field.widget.format_value(bound.value())
        data[bound.html_name] = (value[0] if value else "") if isinstance(value, list) else (value or "")
    if "base" in answer.context:
        data["base"] = str(answer.context["base"])
    return data


def collection_of(answer: Any) -> dict[str, Any]:
    """Return what the form of a collection would send back unchanged."""
    form = answer.context["form"]
    data: dict[str, Any] = {"_save": "1", "field-count": str(form.count)}
    for bound in [*form.members, *(bound for item in form.rows for bound in item.form)]:
        value = bound.value()
        if value not in (None, False, "", []):
            data[bound.html_name] = (
                "on" if value is True else value if isinstance(value, list) else str(value)
            )
    return data
