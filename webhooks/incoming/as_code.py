"""Incoming sources as code, known by their keys."""

from collections.abc import Mapping
from typing import Any, Final

from rest_framework import serializers

from accounts.api.bodies import JsonObjectField
from accounts.api.strict import StrictCharField, StrictSerializer
from accounts.as_code import Change, Secret, Work, differences, refused, shape_problems, without_defaults
from accounts.errors import Problem
from webhooks.as_code import account, account_name
from webhooks.incoming import actions, sources
from webhooks.incoming.secrets import ISSUED
from webhooks.models import Source
from webhooks.models.source import Scheme

DEFAULTS: Final[Mapping[str, Any]] = {
    "options": {},
    "schema": None,
    "action": {"do": actions.RECORD},
    "account": None,
    "state": "active",
}
ORDER: Final = ("scheme", *DEFAULTS)


class _Shape(StrictSerializer):
    scheme = StrictCharField(max_length=8)
    options = JsonObjectField(required=False)
    schema = JsonObjectField(required=False, allow_null=True)
    action = JsonObjectField(required=False)
    account = StrictCharField(max_length=320, required=False, allow_null=True)
    state = serializers.ChoiceField(Source.State.values, required=False)


class Sources:
    """Sources without their secrets: a new one gets a fresh one, where its scheme lets us make it."""

    name = "webhook_sources"

    def export(self) -> dict[str, Any]:
        return {row.key: _source(row) for row in Source.objects.select_related("account")}

    def check(self, given: Any) -> list[Problem]:
        return shape_problems(given, _Shape)

    def put(self, given: Mapping[str, Any], work: Work) -> None:
        for key, item in given.items():
            with work.at(self.name, key):
                self._put(key, _normal(item), work)

    def _put(self, key: str, wanted: Mapping[str, Any], work: Work) -> None:
        row = Source.objects.select_related("account").filter(key=key).first()
        whole = {**DEFAULTS, **wanted}
        is_on = whole["state"] == Source.State.ACTIVE
        if row is None:
            if wanted["scheme"] in ISSUED:
                label = Scheme(wanted["scheme"]).label
                detail = (
                    f"{label} makes the secret, and a file holds none. Set it up with that, then apply again."
                )
                raise refused("secret-needed", detail, "scheme")
            made = sources.add(key, wanted["scheme"], _values(whole), is_on=is_on, by=work.by)
            if made.secret:
                work.secrets.append(Secret(self.name, key, "secret", made.secret))
            work.changes.append(Change(self.name, "create", key, differences({}, _source(made.source))))
            return
        before = _source(row)
        if before == wanted:
            return
        if wanted["scheme"] != row.scheme:
            detail = "The scheme of a source can't be changed. Make another source, and remove this one."
            raise refused("immutable", detail, "scheme")
        changed = sources.change(row, _values(whole), is_on=is_on, by=work.by)
        if lines := differences(before, _source(changed)):
            work.changes.append(Change(self.name, "change", key, lines))

    def remove(self, given: Mapping[str, Any], work: Work) -> None:
        for row in Source.objects.exclude(key__in=list(given)).order_by("key"):
            with work.at(self.name):
                receipts = row.receipts.count()
                lines = ("with its secrets", *([f"with {receipts} receipts"] if receipts else []))
                sources.remove(row, by=work.by)
                work.changes.append(Change(self.name, "delete", row.key, lines, is_final=True))


def _source(row: Source) -> dict[str, Any]:
    return _normal(
        {
            "scheme": str(row.scheme),
            "options": dict(sorted(row.options.items())),
            "schema": row.schema,
            "action": actions.shown(row.action),
            "account": account_name(row.account) if row.account else None,
            "state": str(row.state),
        }
    )


def _normal(item: Mapping[str, Any]) -> dict[str, Any]:
    values = {**DEFAULTS, **item}
    return without_defaults({name: values[name] for name in ORDER}, DEFAULTS)


def _values(whole: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the verbs read: the account by its id."""
    values = {name: whole[name] for name in ("options", "schema", "action")}
    if whole["account"] is None:
        return {**values, "account": None}
    return {**values, "account": str(account(whole["account"], "account", is_service=True).pk)}
