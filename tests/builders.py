"""Builders of what tests need: each valid by default, each through the same verbs as the product."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.test import Client
from django.utils import timezone

from accounts import people
from accounts.access import Action, Area, Principal, Scopes, system
from accounts.alerting import counting
from accounts.directory import directory
from accounts.keys import api_keys
from accounts.models import Alert, Role, Severity, User
from accounts.principals import of_user
from accounts.rights import granting
from content import editing, modeling, publishing
from content.locales import create_locale
from content.models import Entry, Locale
from content.schema import CollectionSpec, current
from content.writing import Writing

ROOT = system("test")
PASSWORD = "correct horse battery staple"
_numbers = count(1)
_hashed: dict[str, str] = {}

ARTICLE_FIELDS: list[dict[str, Any]] = [
    {"key": "title", "type": "text", "required": True, "filterable": True, "localized": True},
    {"key": "slug", "type": "slug", "options": {"from": "title"}, "localized": True},
    {"key": "body", "type": "markdown", "localized": True},
]


@dataclass
class Api:
    """A client of the REST API with one credential, or none. Answers are test responses, with `.json()`."""

    client: Client
    key: str = ""

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        if self.key:
            headers.setdefault("Authorization", f"Bearer {self.key}")
        if body is None:
            return self.client.generic(method, path, headers=headers)
        return self.client.generic(
            method, path, json.dumps(body), content_type="application/json", headers=headers
        )

    def get(self, path: str, **headers: str) -> Any:
        return self.request("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.request("POST", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.request("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.request("DELETE", path, **headers)


def anonymous() -> Api:
    return Api(Client(raise_request_exception=False))


def make_role(key: str, *policies: Mapping[str, Any]) -> Role:
    """Make a role with policies in the API's terms: collection, actions, filter, fields."""
    found = Role.objects.filter(key=key).first()
    role = found or granting.add_role(key, key.title(), by=ROOT)
    for policy in policies:
        allow(role, **policy)
    return role


def allow(
    role: Role | str,
    *,
    collection: str = "*",
    actions: tuple[str, ...] = ("read",),
    filter: Mapping[str, Mapping[str, Any]] | None = None,  # noqa: A002 -- the word of the contract
    fields: tuple[str, ...] | None = None,
    presets: Mapping[str, Any] | None = None,
) -> None:
    """Give a role a policy; `fields` None means `"*"`."""
    names = directory()
    collection_id = None if collection == "*" else names.collection_id(collection)

    def field_id(key: str) -> str:
        found = names.field_id(collection_id, key) if collection_id else None
        return str(found) if found else key

    rows = tuple(
        (field_id(key), op, value) for key, ops in (filter or {}).items() for op, value in ops.items()
    )
    terms = granting.PolicyTerms(
        collection_id=collection_id,
        actions=frozenset(Action(action) for action in actions),
        rows=rows,
        every_field=fields is None,
        field_ids=frozenset(UUID(field_id(key)) for key in fields or ()),
        presets=tuple((UUID(field_id(key)), value) for key, value in (presets or {}).items()),
    )
    granting.add_policy(Role.objects.get(key=role) if isinstance(role, str) else role, terms, by=ROOT)


def make_user(email: str = "", *, roles: tuple[str, ...] = ()) -> User:
    """Make somebody who can sign in with PASSWORD."""
    user = people.add_person(
        email or f"user{next(_numbers)}@example.com",
        name=email.split("@", maxsplit=1)[0].title(),
        roles=roles,
        by=ROOT,
    )
    if PASSWORD not in _hashed:
        _hashed[PASSWORD] = make_password(PASSWORD)
    User.objects.filter(pk=user.pk).update(password=_hashed[PASSWORD], has_long_password=True)
    user.refresh_from_db()
    return user


def principal(*roles: str) -> Principal:
    """Return the principal of a new user with these roles."""
    return of_user(make_user(roles=roles)).having_confirmed("factor")


def make_key(*, role: str = "", owner: User | None = None, scopes: Scopes | None = None) -> Api:
    """Make an API key, by default for everything that its role or owner may do, and return its client."""
    scopes = scopes or Scopes(frozenset((None, action) for action in Action), frozenset(Area))
    minted = (
        api_keys.mint(owner, name="test", scopes=scopes, by=ROOT)
        if owner is not None
        else api_keys.mint_for_role(role, name=f"test {next(_numbers)}", scopes=scopes, by=ROOT)
    )
    return Api(Client(raise_request_exception=False), minted.text)


def administrator() -> Api:
    return make_key(role="administrator")


def make_alert(**columns: Any) -> Alert:
    """Put an alert into its table; what raises them is tested for itself."""
    now = timezone.now()
    given = {"rule": "test", "group": str(next(_numbers)), "severity": Severity.WARNING, "sentence": "Something happened.",
             "count": 1, "first_at": now, "last_at": now, "last_position": 0, **columns}  # fmt: skip
    counting.forget()
    return Alert.objects.create(**given)


def make_locale(code: str, *, fallback: tuple[str, ...] = (), direction: str = "ltr") -> Locale:
    from_api = {"code": code, "name": code, "fallback": list(fallback), "direction": direction}
    return create_locale(from_api, by=ROOT)


def make_collection(
    key: str = "articles", fields: list[dict[str, Any]] | None = None, **members: Any
) -> CollectionSpec:
    """Make a collection in the API's terms; by default articles with title, slug and body."""
    raw = {"key": key, "name": key.title(), "fields": ARTICLE_FIELDS if fields is None else fields, **members}
    if fields is None:
        raw.setdefault("localized", True)
    return modeling.create_collection(raw, by=ROOT)


def writing(collection: str, by: Principal = ROOT) -> Writing:
    return Writing.on(collection, by=by)


def make_entry(
    collection: str = "articles",
    *,
    locale: str | None = None,
    published: bool = True,
    by: Principal = ROOT,
    **values: Any,
) -> Entry:
    """Make an entry; published by default. A title is made up where the collection has one and none is given."""
    spec = current().by_key[collection]
    if "title" in spec.by_key and spec.by_key["title"].required:
        values.setdefault("title", f"Entry {next(_numbers)}")
    entry = editing.create(values, writing=writing(collection, by), locale=locale)
    if published:
        publishing.publish(entry.pk, writing=writing(collection))
    return entry
