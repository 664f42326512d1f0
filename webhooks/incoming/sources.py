"""Sources: how one is set up, changed, given a new secret, switched off and removed."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.access import Area, Principal
from accounts.errors import ConflictError, InvalidInputError, Problem
from accounts.log import Subject, record
from accounts.models.role import ADMINISTRATOR
from accounts.models.user import User
from accounts.people import add_service
from accounts.principals import of_user
from accounts.rights.granting import require_to_hold_roles
from content.fields.base import FieldError
from content.fields.json import schema_in
from webhooks.incoming import actions, options, secrets
from webhooks.incoming.secrets import ISSUED, SecretError
from webhooks.models import Source, SourceSecret
from webhooks.models.source import Scheme

SETTINGS: Final = ("options", "schema", "action", "account", "role")
OVERLAP: Final = timedelta(hours=24)
LONGEST_OVERLAP: Final = timedelta(days=30)
MOST_SOURCES: Final = 1000
MAX_SCHEMA_BYTES: Final = 64 * 1024
KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")


@dataclass(frozen=True, slots=True, repr=False)
class Made:
    """A source, and the only time that a secret of our making exists outside of the sender; "" where none was made."""

    source: Source
    secret: str = ""


def address_of(source: Source) -> str:
    """Return where the source sends to."""
    return f"{settings.PUBLIC_URL}/hooks/in/{source.key}"


@transaction.atomic
def add(
    key: str,
    scheme: str,
    values: Mapping[str, Any],
    *,
    secret: str | None = None,
    is_on: bool | None = None,
    by: Principal,
) -> Made:
    """Set up a source. `values` are SETTINGS by name; without a secret one is made where the scheme lets us.

    Raises InvalidInputError with each fault at its place, NotAllowedError for an account that is more than `by`.
    """
    _require(by)
    if scheme not in Scheme.values:
        raise _wrong("scheme", "invalid-choice", f"One of {', '.join(Scheme.values)}.")
    if not KEY.fullmatch(key):
        raise _wrong("key", "invalid", "Small letters, digits and _, beginning with a letter; at most 41.")
    if Source.objects.filter(key=key).exists():
        raise _wrong("key", "not-unique", "Another source has this key.")
    if Source.objects.count() >= MOST_SOURCES:
        raise ConflictError(f"There are {MOST_SOURCES} sources already.")
    source = Source(key=key, scheme=scheme, created_by_id=by.user_id)
    if is_on is False:
        source.state = Source.State.DISABLED
    text, is_ours = _secret(source, secret)
    _put(source, {"options": {}, "action": {"do": actions.RECORD}, **values}, by)
    source.save(force_insert=True)
    _keep(source, text)
    detail = {"scheme": scheme, "do": source.action["do"], "account": str(source.account_id or "")}
    _record("source.created", source, by, detail)
    return Made(source, text if is_ours else "")


@transaction.atomic
def change(source: Source, values: Mapping[str, Any], *, is_on: bool | None = None, by: Principal) -> Source:
    """Change what is given. What waits is then done by the new action, as the new account. Errors as `add`."""
    _require(by)
    source = _locked(source)
    require_to_hold(source, by)
    before = {name: getattr(source, name) for name in _COLUMNS}
    _put(source, values, by)
    changed = sorted(_COLUMNS[name] for name in _COLUMNS if getattr(source, name) != before[name])
    if changed:
        source.changed_at = timezone.now()
        source.save(force_update=True)
        detail = {"changed": changed, "do": source.action["do"], "account": str(source.account_id or "")}
        _record("source.updated", source, by, detail)
    return source if is_on is None else _switch(source, is_on, by)


@transaction.atomic
def rotate_secret(
    source: Source, *, secret: str | None = None, overlap: timedelta = OVERLAP, by: Principal
) -> Made:
    """Let a source sign with a new secret; the former one counts until the overlap ends. Two count at most."""
    _require(by)
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise _wrong("overlap_hours", "out-of-range", "From 0 to 720 hours.")
    source = _locked(source)
    require_to_hold(source, by)
    text, is_ours = _secret(source, secret)
    now = timezone.now()
    _retire(source.secrets.filter(state=SourceSecret.State.RETIRING), now)
    active = source.secrets.filter(state=SourceSecret.State.ACTIVE)
    if overlap:
        active.update(state=SourceSecret.State.RETIRING, retires_at=now + overlap)
    else:
        _retire(active, now)
    _keep(source, text)
    _record("source.secret-rotated", source, by, {"overlap_seconds": int(overlap.total_seconds())})
    return Made(source, text if is_ours else "")


@transaction.atomic
def retire_secret(source: Source, *, by: Principal) -> None:
    """End the overlap now. Raises ConflictError where none is running."""
    _require(by)
    source = _locked(source)
    require_to_hold(source, by)
    if not _retire(source.secrets.filter(state=SourceSecret.State.RETIRING), timezone.now()):
        raise ConflictError("No former secret counts any more.")
    _record("source.secret-retired", source, by, {})


@transaction.atomic
def switch(source: Source, *, is_on: bool, by: Principal) -> Source:
    """Switch a source on or off. Off, it is believed nothing, and what it sent before waits."""
    _require(by)
    source = _locked(source)
    if is_on:
        require_to_hold(source, by)
    return _switch(source, is_on, by)


def _switch(source: Source, is_on: bool, by: Principal) -> Source:  # noqa: FBT001 (ours alone)
    state = Source.State.ACTIVE if is_on else Source.State.DISABLED
    if source.state != state:
        source.state = state
        source.save(update_fields=["state"])
        _record(f"source.{'enabled' if is_on else 'disabled'}", source, by, {})
    return source


@transaction.atomic
def remove(source: Source, *, by: Principal) -> None:
    """Remove a source, with its secrets and its receipts. What it did stays, and what is in the log."""
    _require(by)
    source = _locked(source)
    _record("source.deleted", source, by, {"receipts": source.receipts.count()})
    source.delete()


def retire_old(*, by: Principal) -> int:
    """Erase the secrets whose overlap is over; they count no more already. Returns how many."""
    due = SourceSecret.objects.filter(state=SourceSecret.State.RETIRING, retires_at__lte=timezone.now())
    number = 0
    for row in due.select_related("source"):
        with transaction.atomic():
            if _retire(SourceSecret.objects.filter(pk=row.pk, state=row.state), timezone.now()):
                _record("source.secret-retired", row.source, by, {})
                number += 1
    return number


def require_to_hold(source: Source, by: Principal) -> None:
    """Raise NotAllowedError unless `by` is as much as the account that a source acts as."""
    if source.account is not None:
        require_to_hold_roles(by, source.account.role_keys)


def subject_of(source: Source) -> Subject:
    """Return a source as the log names it."""
    return Subject("source", str(source.pk))


_COLUMNS: Final = {"options": "options", "schema": "schema", "action": "action", "account_id": "account"}


def _require(by: Principal) -> None:
    by.require_area(Area.WEBHOOKS)
    by.require_step_up()


def _locked(source: Source) -> Source:
    rows = Source.objects.select_for_update(of=("self",)).select_related("account")
    found = rows.filter(pk=source.pk).first()
    if found is None:
        raise ConflictError("This source was removed meanwhile.")
    return found


def _record(type_: str, source: Source, by: Principal, detail: Mapping[str, object]) -> None:
    record(type_, actor=by, subject=subject_of(source), detail={"key": source.key, **detail})


# --- What is given --------------------------------------------------------------------------------------------------


def _put(source: Source, values: Mapping[str, Any], by: Principal) -> None:
    """Put values on a row, unsaved. Raises InvalidInputError with every fault that can be found together."""
    problems: list[Problem] = []
    if "account" in values or "role" in values:
        source.account = _account(source, values, by)
    for name, read in (("options", _options), ("schema", _schema), ("action", _action)):
        # Another account may not do what the former one did.
        if name in values or (name == "action" and ("account" in values or "role" in values)):
            try:
                setattr(source, name, read(source, values))
            except InvalidInputError as error:
                problems += error.errors
    if problems:
        raise InvalidInputError(errors=problems)


def _options(source: Source, values: Mapping[str, Any]) -> dict[str, Any]:
    return options.parse(source.scheme, values["options"])


def _schema(_source: Source, values: Mapping[str, Any]) -> Any:
    if values["schema"] is None:
        return None
    try:
        return json.loads(schema_in(values["schema"], most=MAX_SCHEMA_BYTES))
    except FieldError as error:
        raise InvalidInputError(errors=error.under("schema").problems) from error


def _action(source: Source, values: Mapping[str, Any]) -> dict[str, Any]:
    given = values["action"] if "action" in values else actions.shown(source.action)
    account = of_user(source.account) if source.account is not None else None
    return actions.parse(given, account=account)


def _account(source: Source, values: Mapping[str, Any], by: Principal) -> User | None:
    """Return as whom a source acts: a service account that is no more than `by`, or a new one with a role."""
    given, role = values.get("account"), values.get("role")
    if given is not None and role is not None:
        raise _wrong("role", "not-possible", "Name an account, or a role for a new one.")
    if role is not None:
        if role == ADMINISTRATOR:
            detail = "What comes from outside is done with few rights: choose another role."
            raise _wrong("role", "too-powerful", detail)
        try:
            return add_service(f"Webhook source {source.key}", roles=[role], by=by)
        except InvalidInputError as error:
            raise _wrong("role", "unknown-role", "There is no such role to give.") from error
    if given is None:
        return None
    account = (
        User.objects.filter(pk=given, is_service=True, is_active=True).first() if _is_id(given) else None
    )
    if account is None:
        raise _wrong("account", "unknown-account", "There is no such service account that is switched on.")
    if ADMINISTRATOR in account.role_keys:
        detail = (
            "What comes from outside is done with few rights: choose an account that is no administrator."
        )
        raise _wrong("account", "too-powerful", detail)
    require_to_hold_roles(by, account.role_keys)
    return account


def _is_id(given: object) -> bool:
    try:
        return bool(UUID(str(given)))
    except ValueError:
        return False


def _secret(source: Source, given: str | None) -> tuple[str, bool]:
    """Return a secret as it is kept, and whether we made it."""
    if given is None:
        if source.scheme in ISSUED:
            detail = f"{Scheme(source.scheme).label} makes the secret: copy it from there."
            raise _wrong("secret", "required", detail)
        return secrets.new(source.scheme), True
    try:
        return secrets.canonical(source.scheme, given), False
    except SecretError as error:
        raise _wrong("secret", "invalid", str(error)) from error


def _keep(source: Source, text: str) -> None:
    row = SourceSecret(source=source)
    secrets.seal(row, text)
    row.save(force_insert=True)


def _retire(rows: Any, now: datetime) -> int:
    number: int = rows.update(state=SourceSecret.State.RETIRED, secret="", ended_at=now)
    return number


def _wrong(name: str, code: str, detail: str) -> InvalidInputError:
    return InvalidInputError(errors=[Problem.at([name], code, detail)])
