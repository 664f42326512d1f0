"""Locking down: at once for every process and host, by one row that the database itself obeys; and lifting it."""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Literal

from django.db import DatabaseError, IntegrityError, OperationalError, connection, connections, transaction
from django.db.models import F
from django.utils import timezone

from accounts.access import Principal
from accounts.addresses import canonical_email
from accounts.errors import ConflictError, InvalidInputError, Problem
from accounts.log import Subject, record
from accounts.models import ApiKey, Lockdown, Session, User
from accounts.models.generation import ACCESS, KEYS, Generation
from accounts.principals import scopes_of
from cms_project import frozen

logger = logging.getLogger("quillkeep.lockdown")

LONGEST_REASON: Final = 500
REFUSED_STATE: Final = "QK423"  # SQLSTATE of what the triggers refuse
PATIENCE: Final = timedelta(seconds=3)  # how long transactions that had begun before may go on

TRIES: Final = 5  # against somebody who takes a lock again as often as they are cut off

# What else lets somebody in and must end when a lockdown begins. A room above accounts adds its own where it is put
# together (`cms_project.lockdown.ENDINGS.append(…)` in the app's `ready`): each is called in a transaction of its own
# after the sessions, with who locks down, and returns its name in the report and how many it ended. By then its tables
# are closed: the column that it moves must be named in `cms_project.frozen.COLUMNS`.
Ending = Callable[[Principal], tuple[str, int]]
ENDINGS: Final[list[Ending]] = []


# As migrating and restoring are.
_FOR_THE_OWNER: Final = (
    "Only the owner of the tables can lift a lockdown: set OWNER_DATABASE_URL for this command."
)


@dataclass(slots=True)
class Effect:
    """What beginning a lockdown did. `is_complete` False: it is on, and something that it ends may be left."""

    lockdown: Lockdown
    is_new: bool
    keeps_sessions: bool
    sessions: list[dict[str, Any]] = field(default_factory=list)  # those that were alive before
    ended: dict[str, int] = field(default_factory=dict)
    cut_off: int = 0  # transactions that had begun before and did not end by themselves
    faults: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return not self.faults


Step = Callable[[Effect, Principal], None]


def begin(*, reason: str, by: Principal, keep_sessions: bool = False) -> Effect:
    """Lock the system down. Raises InvalidInputError without a reason, before anything is done.

    The row is committed first and alone; whoever holds a lock that it or its event waits for is cut off. From then on
    every new statement is refused. Then the transactions that are under way end, by themselves or not, and then the
    sessions. When one is on already, it stays as it is, and what is alive now ends again.
    """
    reason = _clean(reason)
    by = replace(by, reason="")  # of a step-up: the log keeps it there, and here the one of the lockdown
    lockdown, is_new, cut_off = _begin_against_locks(reason, by)
    effect = Effect(lockdown, is_new, keep_sessions, cut_off=cut_off)
    others: list[Step] = [] if keep_sessions else [partial(_end_other, ending) for ending in ENDINGS]
    steps: list[Step] = [_drain, _end_sessions, *others, _tell]
    for step in steps:
        try:
            step(effect, by)
        except Exception as error:  # whatever a room's ending raises, what comes after it must be done
            logger.exception("The lockdown is on, but a part of it failed.")
            effect.faults.append(f"A part of it failed ({type(error).__name__}): run it again.")
    return effect


def _begin_against_locks(reason: str, by: Principal) -> tuple[Lockdown, bool, int]:
    """Begin, and cut off who holds it up: a web process that was taken over could lock what the row needs."""
    cut_off = 0
    for _ in range(TRIES - 1):
        try:
            return *_begin(reason, by), cut_off
        except OperationalError:
            logger.exception(
                "Something holds the lockdown up; every transaction of the application is ended."
            )
            cut_off += _cut_off(_now())
    return *_begin(reason, by), cut_off


def _begin(reason: str, by: Principal) -> tuple[Lockdown, bool]:
    try:
        with transaction.atomic(durable=True):
            with connection.cursor() as cursor:
                patience = f"{int(PATIENCE.total_seconds() * 1000)}ms"
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [patience])
            found = Lockdown(on_by=_name(by), reason=reason)
            found.save(force_insert=True)
            record(
                "lockdown.on",
                actor=by,
                subject=Subject("lockdown", str(found.pk)),
                detail={"reason": reason},
            )
    except IntegrityError:
        present = Lockdown.objects.current()
        if present is None:
            raise
        return present, False
    return found, True


def _drain(effect: Effect, by: Principal) -> None:  # noqa: ARG001 (a step like the others)
    """Wait until every transaction of the application is over that began before the row was there.

    What begins after this moment sees the row in whatever it asks, and is refused. Those that stay are ended.
    """
    begun = _now()
    if not _wait_for_older(begun):
        effect.cut_off += _cut_off(begun)
        if not _wait_for_older(begun):
            effect.faults.append("A transaction that began before still runs, and may write: end it by hand.")


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


def _cut_off(begun: datetime) -> int:
    """End the transactions that began before; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_terminate_backend(pid) FROM {_OLDER}", [begun])  # noqa: S608 (a constant)
        return sum(1 for (is_ended,) in cursor.fetchall() if is_ended)


# Transactions of our own role; the owner's are not ours to see, and are not refused either.
_OLDER: Final = (
    "pg_stat_activity WHERE usename = current_user AND datname = current_database()"
    " AND pid <> pg_backend_pid() AND xact_start <= %s"
)


def _wait_for_older(begun: datetime) -> bool:
    """Return whether none is left, before patience is over."""
    until = time.monotonic() + PATIENCE.total_seconds()
    while True:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT EXISTS (SELECT FROM {_OLDER})", [begun])  # noqa: S608 (a constant)
            if cursor.fetchone() == (False,):
                return True
        if time.monotonic() > until:
            return False
        time.sleep(0.02)


@transaction.atomic
def _end_sessions(effect: Effect, by: Principal) -> None:  # noqa: ARG001 (a step like the others)
    """End every session, and with it its tokens."""
    alive = Session.objects.live().select_related("user").order_by("pk").select_for_update(of=("self",))
    effect.sessions = [_session_json(session) for session in alive]
    effect.ended["sessions"] = 0
    if not effect.keeps_sessions:
        everyone = Session.objects.filter(ended_at__isnull=True)
        effect.ended["sessions"] = everyone.update(ended_at=timezone.now(), refresh_jti=None)
    Generation.objects.bump(ACCESS, KEYS)


@transaction.atomic
def _end_other(ending: Ending, effect: Effect, by: Principal) -> None:
    """End what another room lets people in by; when that fails, the sessions have ended all the same."""
    name, number = ending(by)
    effect.ended[name] = number


@transaction.atomic
def _tell(effect: Effect, by: Principal) -> None:
    record(
        "lockdown.ended",
        actor=by,
        subject=Subject("lockdown", str(effect.lockdown.pk)),
        detail={**effect.ended, "cut_off": effect.cut_off, "keeps_sessions": effect.keeps_sessions},
    )


@dataclass(frozen=True, slots=True)
class TakenAway:
    """What is over before a lockdown is lifted, since it would work again at that very moment."""

    keys: Collection[str] = ()  # public ids
    every_refused_key: bool = False
    people: Collection[str] = ()  # addresses


def lift(*, reason: str, by: Principal, taken: TakenAway | None = None) -> Lockdown | None:
    """End the lockdown; None when none is on. Sessions that were ended stay so.

    The application's role can't: whoever took over a web process must not be able to. For the same reason keys are
    revoked and people switched off here, in one transaction with the lifting, and not while it is on.
    Raises InvalidInputError without a reason and for unknown keys and people, ConflictError without the owner's role.
    """
    reason, taken = _clean(reason), taken or TakenAway()
    if "owner" not in connections.settings:
        raise ConflictError(_FOR_THE_OWNER)
    with transaction.atomic(using="owner"):
        found = Lockdown.objects.using("owner").select_for_update().filter(off_at__isnull=True).first()
        if found is None:
            return None
        keys, people = _keys_to_revoke(taken), _people_to_switch_off(taken)
        found.off_at, found.off_by, found.off_reason = timezone.now(), _name(by), reason
        found.save(using="owner", update_fields=["off_at", "off_by", "off_reason"])
        ApiKey.objects.using("owner").filter(pk__in=[key.pk for key in keys]).update(
            state=ApiKey.State.REVOKED,
            revoked_at=found.off_at,
            previous_secret_hash="",
            previous_valid_until=None,
        )
        User.objects.using("owner").filter(pk__in=[user.pk for user in people]).update(
            is_active=False, token_version=F("token_version") + 1
        )
        # Committed before the rest is: the log may know of a lifting that then failed, and never lack one.
        with transaction.atomic():
            _record_lifting(found, keys, people, by)
            Generation.objects.bump(ACCESS, KEYS)
    return found


def _keys_to_revoke(taken: TakenAway) -> list[ApiKey]:
    named = list(ApiKey.objects.filter(public_id__in=taken.keys).exclude(state=ApiKey.State.REVOKED))
    _require_all(taken.keys, {key.public_id for key in named}, "live API key")
    refused = refused_keys() if taken.every_refused_key else []
    return list({key.pk: key for key in [*named, *refused]}.values())


def _people_to_switch_off(taken: TakenAway) -> list[User]:
    people = list(User.objects.filter(email__in=[canonical_email(item) or "-" for item in taken.people]))
    _require_all(
        [canonical_email(item) or item for item in taken.people], {user.email for user in people}, "user"
    )
    return people


def _require_all(asked: Collection[str], found: Collection[str], what: str) -> None:
    missing = sorted(set(asked) - set(found))
    if missing:
        detail = f"There is no {what} {', '.join(missing)}. Nothing was done; the lockdown is still on."
        raise InvalidInputError(errors=[Problem.at([what], "unknown", detail)])


def _record_lifting(lockdown: Lockdown, keys: list[ApiKey], people: list[User], by: Principal) -> None:
    for key in keys:
        detail = {"public_id": key.public_id, "name": key.name}
        record("api-key.revoked", actor=by, subject=Subject("api-key", str(key.pk)), detail=detail)
    for user in people:
        record("user.updated", actor=by, subject=Subject("user", str(user.pk)), detail={"is_active": False})
    record(
        "lockdown.off",
        actor=by,
        subject=Subject("lockdown", str(lockdown.pk)),
        detail={"reason": lockdown.off_reason, "keys": len(keys), "people": len(people)},
    )


@dataclass(frozen=True, slots=True)
class Status:
    """Whether a lockdown is on, and what is so while it is."""

    lockdown: Lockdown | None
    sessions: int
    keys_refused: int
    tables_closed: int

    def as_json(self) -> dict[str, Any]:
        found = self.lockdown
        return {
            "locked_down": found is not None,
            "since": rfc3339(found.on_at) if found else None,
            "by": found.on_by if found else None,
            "reason": found.reason if found else None,
            "refused": list(REFUSED) if found else [],
            "sessions_alive": self.sessions,
            "keys_refused": self.keys_refused if found else 0,
            "tables_closed": self.tables_closed if found else 0,
        }


REFUSED: Final = (
    "every change, by whom- or whatever: content, publishing, schema, locales, people, roles, keys, settings",
    "API keys that may do more than read what is published",
    "signing in, but for administrators, who can look and change nothing",
    "tasks of the workers, but for those that keep the log and send mails",
)


def status() -> Status:
    """Say how things are."""
    return Status(
        Lockdown.objects.current(), Session.objects.live().count(), len(refused_keys()), _closed_tables()
    )


def refused_keys() -> list[ApiKey]:
    """Return the keys that are refused while a lockdown is on: those that may do more than sites need."""
    live = ApiKey.objects.exclude(state=ApiKey.State.REVOKED).filter(expires_at__gt=timezone.now())
    keys = live.select_related("owner").order_by("pk")
    return [key for key in keys if not scopes_of(key.scopes).only_read_what_is_published]


def _closed_tables() -> int:
    return len({table for table, _ in frozen.in_force(connection)})


def is_refusal(error: BaseException | None) -> Literal[True] | None:
    """Tell whether a database error is what a trigger of ours said, wherever it was wrapped in."""
    while error is not None:
        if isinstance(error, DatabaseError) and _sqlstate(error.__cause__) == REFUSED_STATE:
            return True
        error = error.__cause__
    return None


def _sqlstate(error: BaseException | None) -> str | None:
    return getattr(getattr(error, "diag", None), "sqlstate", None)


def rfc3339(at: Any) -> str:
    return str(at.isoformat(timespec="seconds").replace("+00:00", "Z"))


def _session_json(session: Session) -> dict[str, Any]:
    return {
        "id": str(session.pk),
        "user": session.user.email,
        "kind": session.kind,
        "since": rfc3339(session.created_at),
        "last_seen_at": rfc3339(session.last_seen_at),
        "address": session.address,
        "agent": session.agent,
        "strength": session.strength,
    }


def _name(by: Principal) -> str:
    return by.label.removeprefix("system: ")[:320]


def _clean(reason: str) -> str:
    cleaned = " ".join(reason.replace("\x00", "").split())
    if not cleaned or len(cleaned) > LONGEST_REASON:
        detail = f"Say why, in at most {LONGEST_REASON} characters: the log keeps it."
        raise InvalidInputError(errors=[Problem.at(["reason"], "required", detail)])
    return cleaned
