"""What accounts hold about one e-mail address: the account, where it signed in, with what, and what the log says."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeVar
from uuid import UUID

from axes.models import AccessAttempt
from django.db.models import Model, Q, QuerySet

from accounts.access import Area, Principal
from accounts.addresses import canonical_email
from accounts.api.shapes import moment
from accounts.audit.lines import body_json
from accounts.errors import InvalidInputError, Problem
from accounts.models import Alert, ApiKey, Authenticator, Event, Passkey, Session, User
from accounts.sign_in.lockout import MARK

M = TypeVar("M", bound=Model)
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of things: its name in the file, and where its rows come from.

    `is_open`: whether who asks may read it; if not, they are told of it as `told`.
    """

    name: str
    rows: Callable[[], Iterator[dict[str, Any]]]
    is_open: bool = True
    told: str = ""


@dataclass(frozen=True)
class Person:
    """An e-mail address in its one form, and whose it is or was."""

    email: str

    @classmethod
    def of(cls, typed: str) -> "Person":
        """Read an address. Raises InvalidInputError."""
        email = canonical_email(typed)
        if not email:
            raise InvalidInputError(errors=[Problem.at(("email",), "invalid-email", "One e-mail address.")])
        return cls(email)

    @cached_property
    def user_ids(self) -> list[UUID]:
        """The accounts with this address, and one that had it until a moment ago."""
        return list(
            User.objects.filter(Q(email=self.email) | Q(former_email=self.email)).values_list("pk", flat=True)
        )

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # Whole: ann@example.org stands neither in joann@example.org or o'ann@example.org nor in ann@example.org.uk.
        return re.compile(rf"(?<![\w.+-])(?<!\w['’]){re.escape(self.email)}(?![\w-]|\.\w)", re.IGNORECASE)

    def is_in(self, text: str) -> bool:
        """Tell whether the address stands in a text."""
        return "@" in text and self._pattern.search(text) is not None


def in_batches(rows: QuerySet[M]) -> Iterator[M]:
    """Yield rows in the order of their ids, a batch at a time, however many there are."""
    position: Any = None
    ordered = rows.order_by("pk")
    while batch := list((ordered if position is None else ordered.filter(pk__gt=position))[:_BATCH]):
        yield from batch
        if len(batch) < _BATCH:
            return
        position = batch[-1].pk


def parts(person: Person, *, by: Principal) -> list[Part]:
    """Return what accounts hold; people and sessions are for who administers users."""
    ids, sees_log = person.user_ids, by.administers(Area.AUDIT)
    happened = Q(actor_id__in=ids) | Q(subject_type="user", subject_id__in=[str(item) for item in ids])
    return [
        Part("account", lambda: map(_account, in_batches(User.objects.filter(pk__in=ids)))),
        Part("sessions", lambda: map(_session, in_batches(Session.objects.filter(user__in=ids)))),
        Part("devices", lambda: _devices(ids)),
        Part(
            "failed_sign_ins", lambda: map(_attempt, in_batches(AccessAttempt.objects.filter(_tried(person))))
        ),
        Part(
            "api_keys",
            lambda: map(_key, in_batches(ApiKey.objects.filter(Q(owner__in=ids) | Q(created_by__in=ids)))),
            by.administers(Area.KEYS),
        ),
        Part("events", lambda: map(body_json, in_batches(Event.objects.filter(happened))), sees_log),
        Part("alerts", lambda: map(_alert, _alerts(person)), sees_log),
    ]


def _alerts(person: Person) -> Iterator[Alert]:
    """Yield the alerts about the account, and those whose sentence names the address: whole, as everywhere."""
    ids = [str(item) for item in person.user_ids]
    mine = Q(subject_type="user", subject_id__in=ids)
    for alert in in_batches(Alert.objects.filter(mine | Q(sentence__icontains=person.email))):
        if (alert.subject_type == "user" and alert.subject_id in ids) or person.is_in(alert.sentence):
            yield alert


def _tried(person: Person) -> Q:
    """Failures are counted by the address, and from a known browser by that and the address."""
    return Q(username=person.email) | Q(username__endswith=f"{MARK}{person.email}")


def _account(user: User) -> dict[str, Any]:
    return {
        "id": str(user.pk),
        "email": user.email,
        "former_email": user.former_email or None,
        "name": user.name,
        "roles": list(user.role_keys),
        "is_active": user.is_active,
        "created_at": moment(user.created_at),
        "last_login": moment(user.last_login),
        "password_changed_at": moment(user.password_changed_at),
    }


def _session(session: Session) -> dict[str, Any]:
    return {
        "id": str(session.pk),
        "kind": session.kind,
        "created_at": moment(session.created_at),
        "last_seen_at": moment(session.last_seen_at),
        "ended_at": moment(session.ended_at),
        "address": session.address,
        "agent": session.agent,
        "reason": session.reason,
    }


def _devices(ids: list[UUID]) -> Iterator[dict[str, Any]]:
    for kind, model in (("authenticator", Authenticator), ("passkey", Passkey)):
        for device in in_batches(model.objects.filter(user__in=ids)):
            yield {
                "kind": kind,
                "name": device.name,
                "created_at": moment(device.created_at),
                "last_used_at": moment(device.last_used_at),
            }


def _attempt(attempt: AccessAttempt) -> dict[str, Any]:
    return {
        "at": moment(attempt.attempt_time),
        "address": attempt.ip_address,
        "agent": attempt.user_agent,
        "failures": attempt.failures_since_start,
    }


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": str(key.pk),
        "name": key.name,
        "state": key.state,
        "created_at": moment(key.created_at),
        "last_used_at": moment(key.last_used_at),
        "last_address": key.last_address,
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "id": str(alert.pk),
        "rule": alert.rule,
        "sentence": alert.sentence,
        "first_at": moment(alert.first_at),
        "last_at": moment(alert.last_at),
        "address": alert.address,
    }
