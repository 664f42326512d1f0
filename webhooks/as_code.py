"""Webhook endpoints as code, known by their names, and as whom something is done, by e-mail address or name."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from rest_framework import serializers

from accounts.addresses import canonical_email
from accounts.api.strict import StrictCharField, StrictListField, StrictSerializer
from accounts.as_code import (
    Change,
    Secret,
    Work,
    differences,
    refused,
    shape_problems,
    shown,
    without_defaults,
)
from accounts.errors import InvalidInputError, Problem
from accounts.models import User
from content import schema
from webhooks import endpoints
from webhooks.models import Endpoint

DEFAULTS: Final[Mapping[str, Any]] = {"collections": [], "algorithm": "v1", "state": "active"}


class _Shape(StrictSerializer):
    url = StrictCharField(max_length=2048)
    types = StrictListField(child=StrictCharField(max_length=40), max_length=50)
    collections = StrictListField(child=StrictCharField(max_length=41), required=False, max_length=200)
    owner = StrictCharField(max_length=320)
    algorithm = StrictCharField(max_length=3, required=False)
    state = serializers.ChoiceField(Endpoint.State.values, required=False)


class Endpoints:
    """Endpoints without their secrets: a new one gets a fresh one."""

    name = "webhook_endpoints"

    def export(self) -> dict[str, Any]:
        return {row.name: _endpoint(row) for row in Endpoint.objects.select_related("owner")}

    def check(self, given: Any) -> list[Problem]:
        return shape_problems(given, _Shape)

    def put(self, given: Mapping[str, Any], work: Work) -> None:
        for name, item in given.items():
            with work.at(self.name, name):
                self._put(name, _normal(item), work)

    def _put(self, name: str, wanted: Mapping[str, Any], work: Work) -> None:
        row = Endpoint.objects.select_related("owner").filter(name=name).first()
        if row is None:
            values = {"name": name, **_values(wanted)}
            made = endpoints.add(values, is_active=wanted.get("state", "active") == "active", by=work.by)
            self._note(made, work)
            if wanted.get("state") == Endpoint.State.DISABLED:
                endpoints.disable(made.endpoint, by=work.by)
            work.changes.append(Change(self.name, "create", name, differences({}, _fresh(made.endpoint))))
            return
        before = _endpoint(row)
        if before == wanted:
            return
        notes: tuple[str, ...] = ()
        changed = {key for key in {*before, *wanted} - {"state"} if before.get(key) != wanted.get(key)}
        if changed:
            columns = {"collections": "collection_ids"}
            values = {
                columns.get(key, key): _values(wanted)[columns.get(key, key)] for key in sorted(changed)
            }
            if row.scopes is not None and endpoints.AIM & values.keys():
                notes = ("it is no longer cut down to the scopes of the API key that set it up",)
            self._note(endpoints.change(row, values, by=work.by), work)
        _bring_to(row, wanted.get("state", "active"), work)
        lines = differences(before, _fresh(row))
        if lines:
            work.changes.append(Change(self.name, "change", name, (*lines, *notes)))

    def _note(self, made: endpoints.Made, work: Work) -> None:
        if made.secret:
            kind = "public key" if made.endpoint.algorithm == "v1a" else "secret"
            work.secrets.append(Secret(self.name, made.endpoint.name, kind, made.secret))

    def remove(self, given: Mapping[str, Any], work: Work) -> None:
        for row in Endpoint.objects.exclude(name__in=list(given)).order_by("name"):
            with work.at(self.name):
                waiting = row.deliveries.waiting().count()
                endpoints.remove(row, by=work.by)
                lines = (
                    "with its secrets and its delivery log",
                    *([f"{waiting} deliveries wait"] if waiting else []),
                )
                work.changes.append(Change(self.name, "delete", row.name, lines, is_final=True))


def _fresh(row: Endpoint) -> dict[str, Any]:
    return _endpoint(Endpoint.objects.select_related("owner").get(pk=row.pk))


def _bring_to(row: Endpoint, state: str, work: Work) -> None:
    present = Endpoint.objects.get(pk=row.pk)
    if present.state == state:
        return
    if state == Endpoint.State.DISABLED:
        endpoints.disable(present, by=work.by)
        return
    if not present.is_active:
        present = endpoints.enable(present, by=work.by)
    if state == Endpoint.State.PAUSED:
        endpoints.pause(present, by=work.by)


def _endpoint(row: Endpoint) -> dict[str, Any]:
    """Return an endpoint in keys. A collection that is gone shows by its id: without it the list might say "every"."""
    known = schema.current().by_id
    values = {
        "url": row.url,
        "types": list(row.types),
        "collections": [known[item].key if item in known else str(item) for item in row.collection_ids],
        "owner": account_name(row.owner),
        "algorithm": str(row.algorithm),
        "state": str(row.state),
    }
    return _normal(values)


def _normal(item: Mapping[str, Any]) -> dict[str, Any]:
    order = ("url", "types", "collections", "owner", "algorithm", "state")
    values = {**DEFAULTS, **item}
    values |= {name: sorted(set(values[name])) for name in ("types", "collections")}
    return without_defaults({name: values[name] for name in order}, DEFAULTS)


def _values(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the verbs read: ids for keys. Raises InvalidInputError for what is not there."""
    known = schema.current().by_key
    keys = wanted.get("collections", [])
    problems = [
        Problem.at(("collections",), "unknown-collection", f"There is no collection {shown(key)}.")
        for key in keys
        if key not in known
    ]
    owner = None
    try:
        owner = account(wanted["owner"], "owner")
    except InvalidInputError as error:
        problems += error.errors
    if problems:
        raise InvalidInputError(errors=problems)
    return {
        "url": wanted["url"],
        "types": wanted["types"],
        "collection_ids": [known[key].id for key in keys],
        "owner": owner,
        "algorithm": wanted.get("algorithm", DEFAULTS["algorithm"]),
    }


def account_name(user: User) -> str:
    """Return how a file names an account: a person by e-mail address, a service account by its name.

    A name that is nobody's alone can't be told apart in another house; there its id stands.
    """
    if not user.is_service:
        return user.email
    is_told = user.name and "@" not in user.name and _uuid(user.name) is None
    is_alone = User.objects.filter(is_service=True, name=user.name).count() == 1
    return user.name if is_told and is_alone else str(user.pk)


def account(name: str, place: str, *, is_service: bool = False) -> User:
    """Return the account that a file names, or raise InvalidInputError: nobody is guessed."""
    users = User.objects.filter(is_service=True) if is_service else User.objects.all()
    if (user_id := _uuid(name)) is not None:
        found = list(users.filter(pk=user_id))
    elif "@" in name:
        found = list(users.filter(email=canonical_email(name) or "", is_service=False))
    else:
        found = list(users.filter(is_service=True, name=name)[:2])
    if len(found) > 1:
        raise refused(
            "ambiguous", f"More than one service account is called {shown(name)}. Write its id.", place
        )
    if not found:
        what = "service account" if is_service else "person or service account"
        raise refused("unknown-account", f"There is no {what} {shown(name)} here. Add it first.", place)
    return found[0]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
