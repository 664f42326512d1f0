"""Builders of people, roles, policies and keys, and a client that speaks the API as somebody."""

import json
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from django.test import Client
from django_otp.oath import TOTP

from accounts import people
from accounts.access import Action, DataClass, Grant, Operator, Principal, Scopes, system
from accounts.admin.confirming import CONFIRMATION
from accounts.directory import CollectionLabel, FieldLabel
from accounts.keys import api_keys
from accounts.models import ApiKey, Authenticator, Policy, Role, User
from accounts.principals import of_user
from accounts.rights import granting
from accounts.rights.granting import PolicyTerms
from accounts.sign_in import devices

PASSWORD = "correct horse battery staple"
BUILDER = system("a test builds its world")


@dataclass
class Api:
    """A JSON client with at most one credential."""

    client: Client
    credential: str = ""
    refresh: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """Send a request below /api/v1/ and return the response."""
        sent = {**self.headers, **headers}
        if self.credential and "Authorization" not in sent:
            sent["Authorization"] = f"Bearer {self.credential}"
        options: dict[str, Any] = {"headers": sent}
        if body is not None:
            options |= {"data": body, "content_type": "application/json"}
        return self.client.generic(method, f"/api/v1/{path}", **_encoded(options))

    def get(self, path: str, **headers: str) -> Any:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> Any:
        return self.send("POST", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: object, **headers: str) -> Any:
        return self.send("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.send("DELETE", path, **headers)


def _encoded(options: dict[str, Any]) -> dict[str, Any]:
    if "data" in options:
        data = options["data"]
        options["data"] = data if isinstance(data, bytes) else json.dumps(data)
    return options


@dataclass
class Person:
    """Somebody of the cast."""

    user: User
    device: Authenticator | None = None

    @property
    def email(self) -> str:
        return self.user.email

    @property
    def principal(self) -> Principal:
        """Return them after a step-up, outside of any session."""
        return of_user(User.objects.get(pk=self.user.pk)).having_confirmed("factor")

    def code(self) -> str:
        """Return a code that works now; a step that was used is passed over by waiting for none: it is forgotten."""
        assert self.device is not None
        Authenticator.objects.filter(pk=self.device.pk).update(last_step=-1, throttling_failure_count=0)
        return totp_code(self.device)

    def login_body(self) -> dict[str, str]:
        body = {"email": self.email, "password": PASSWORD}
        return body | {"otp": self.code()} if self.device else body

    def sign_in(self, client: Client | None = None) -> Api:
        """Return the API with a fresh access token of this person."""
        api = Api(client or Client())
        answer = api.post("auth/login", self.login_body())
        assert answer.status_code == 200, answer.content
        return Api(api.client, answer.json()["access"], answer.json()["refresh"])


def confirmed(browser: Client, path: str, body: dict[str, Any]) -> Any:
    """Post a form; where it changes somebody's access, once more with the confirmation that the page in between holds."""
    answer = browser.post(path, body)
    asked = (answer.context or {}).get("asked")
    return browser.post(path, body | {CONFIRMATION: asked.token}) if asked else answer


def totp_code(device: Authenticator, at: float | None = None) -> str:
    generator = TOTP(device.raw_secret)
    generator.time = time.time() if at is None else at
    return f"{generator.token():06d}"


def make_person(
    email: str = "somebody@example.com",
    *,
    roles: Collection[str] = (),
    with_authenticator: bool = False,
    is_active: bool = True,
) -> Person:
    user = people.add_person(email, roles=roles, password=PASSWORD, is_active=is_active, by=BUILDER)
    return Person(user, devices.enrol(user, by=BUILDER) if with_authenticator else None)


def make_role(key: str = "reader", name: str = "", **demands: Any) -> Role:
    return granting.add_role(key, name or key.title(), by=BUILDER, **demands)


def make_policy(
    role: Role,
    *actions: Action,
    collection: UUID | None = None,
    rows: Collection[tuple[str, str, Any]] = (),
    every_field: bool = True,
    fields: Collection[UUID] = (),
) -> Policy:
    terms = PolicyTerms(collection, frozenset(actions), tuple(rows), every_field, frozenset(fields))
    return granting.add_policy(role, terms, by=BUILDER)


def make_key(owner: User, *scopes: tuple[UUID | None, Action], **options: Any) -> tuple[ApiKey, str]:
    minted = api_keys.mint(
        owner,
        name=options.pop("name", "A key"),
        scopes=Scopes(frozenset(scopes or [(None, Action.READ)]), frozenset(options.pop("areas", ()))),
        by=BUILDER,
        **options,
    )
    return minted.key, minted.text


ARTICLES, TITLE, AUTHOR, PHONE = (UUID(int=number) for number in (0xA, 0xB, 0xC, 0xD))


class FakeDirectory:
    """One collection `articles` with the fields `title`, `author` and the personal `phone`."""

    fields: ClassVar = {"title": TITLE, "author": AUTHOR, "phone": PHONE}

    def collections(self) -> tuple[CollectionLabel, ...]:
        labels = tuple(
            FieldLabel(
                field_id, key, key.title(), "personal" if key == "phone" else "public", tuple(Operator)
            )
            for key, field_id in self.fields.items()
        )
        return (CollectionLabel(ARTICLES, "articles", "Articles", labels),)

    def locales(self) -> tuple[tuple[str, str], ...]:
        return (("en", "English"),)

    def count_entries(
        self, collection_id: UUID, before: Grant, after: Grant, *, is_draft: bool
    ) -> tuple[tuple[int, bool], tuple[int, bool]]:
        return (3 if after and not before else 0, False), (2 if before and not after else 0, False)

    def condition_value(self, collection_id: UUID, field_id: UUID, text: str) -> str:
        if text == "odd":
            raise ValueError("This is odd.")
        return text

    def collection_id(self, key: str) -> UUID | None:
        return ARTICLES if key == "articles" else None

    def collection_key(self, collection_id: UUID) -> str | None:
        return "articles" if collection_id == ARTICLES else None

    def field_id(self, collection_id: UUID, key: str) -> UUID | None:
        return self.fields.get(key) if collection_id == ARTICLES else None

    def field_key(self, collection_id: UUID, field_id: UUID) -> str | None:
        return next((key for key, value in self.fields.items() if value == field_id), None)

    def field_data_class(self, collection_id: UUID, field_id: UUID) -> DataClass | None:
        return DataClass.PERSONAL if field_id == PHONE else DataClass.PUBLIC

    def filter_problem(self, collection_id: UUID, field_id: UUID, operator: str, value: object) -> str | None:
        return None if isinstance(value, str | list) else "Texts are compared with texts."
