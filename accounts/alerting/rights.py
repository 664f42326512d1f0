"""Rules about rights: what opens to the public, who may do more than before, what asks for less than before."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from accounts.access import Action, DataClass
from accounts.alerting.rule import Hit, Known, Rule, is_id
from accounts.directory import directory
from accounts.log import Subject
from accounts.models.alert import Severity
from accounts.models.event import Event
from accounts.models.role import PUBLIC
from accounts.models.user import User

_GIVES: Final = frozenset({"policy.created", "policy.updated"})
_MORE: Final = frozenset(set(Action) - {Action.READ})  # than to read what is published
_DANGEROUS: Final = frozenset({Action.PURGE, Action.EXPORT, Action.MANAGE_SCHEMA})
_SENSITIVE: Final = frozenset({DataClass.PERSONAL, DataClass.SECRET})
_FLAGS: Final = {"require_second_factor": "a second factor", "require_phishing_resistant": "a passkey"}
_LIMITS: Final = {
    "session_hours": "the length of sessions",
    "idle_minutes": "the time that sessions may rest",
}


def _before(event: Event, *types: str) -> Iterable[Event]:
    """Return the earlier events about the same thing, the newest first; by the index on subjects."""
    told = Event.objects.about(event.subject_type, event.subject_id).filter(type__in=types, at__lt=event.at)
    return told.order_by("-at")[:20]


def _gained(event: Event, name: str) -> set[str]:
    """Return what a policy names now and did not before."""
    earlier = next(iter(_before(event, *_GIVES)), None) if event.type == "policy.updated" else None
    before = set(_listed(earlier.detail.get(name))) if earlier is not None else set[str]()
    return set(_listed(event.detail.get(name))) - before


def _listed(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _collection(event: Event) -> str:
    if event.collection_id is None:
        return "every collection"
    return directory().collection_key(event.collection_id) or "a collection that is gone"


def _opened(event: Event, _known: Known) -> Iterable[Hit]:
    if event.detail.get("role") != PUBLIC:
        return
    is_wide = bool(event.detail.get("every_collection")) or not event.detail.get("filtered_by")
    yield Hit(
        str(event.collection_id or "*"),
        {"by": event.actor_label, "what": _collection(event)},
        Subject("policy", event.subject_id),
        severity=Severity.CRITICAL if event.collection_id is None else Severity.WARNING if is_wide else Severity.NOTICE,
    )  # fmt: skip


def _widened(event: Event, _known: Known) -> Iterable[Hit]:
    role = str(event.detail.get("role", ""))
    if role == PUBLIC:
        return
    gained = _gained(event, "actions") & _MORE
    if not gained and event.detail.get("widened"):  # to more entries or fields
        gained = set(_listed(event.detail.get("actions"))) & _MORE
    if not gained:
        return
    words = {
        "by": event.actor_label,
        "role": role,
        "what": _collection(event),
        "acts": ", ".join(sorted(gained)),
    }
    severity = Severity.WARNING if gained & _DANGEROUS or event.collection_id is None else Severity.NOTICE
    yield Hit(role, words, Subject("policy", event.subject_id), severity=severity)


def _sensitive(event: Event, _known: Known) -> Iterable[Hit]:
    if event.collection_id is None:
        return
    names = sorted(
        key
        for name in _gained(event, "fields")
        if is_id(name)
        and directory().field_data_class(event.collection_id, UUID(name)) in _SENSITIVE
        and (key := directory().field_key(event.collection_id, UUID(name)))
    )
    if names:
        role = str(event.detail.get("role", ""))
        words = {
            "by": event.actor_label,
            "role": role,
            "what": _collection(event),
            "fields": ", ".join(names),
        }
        yield Hit(role, words, Subject("policy", event.subject_id))


def _declassified(event: Event, _known: Known) -> Iterable[Hit]:
    names = _listed(event.detail.get("opened"))
    if names:
        words = {"by": event.actor_label, "fields": ", ".join(sorted(names)), "what": _collection(event)}
        yield Hit(event.subject_id, words, Subject("collection", event.subject_id))


def _made_powerful(event: Event, known: Known) -> Iterable[Hit]:
    given = _listed(event.detail.get("roles" if event.type == "user.created" else "roles_added"))
    if event.type == "user.updated" and event.detail.get("is_active") is True:  # switched on again
        user = known.user(event.subject_id)
        given += user.role_keys if user is not None else ()
    gained = sorted(set(given) & known.administering_roles.keys())
    if not gained or not _has_company(event):
        return
    words = {"who": known.name(event.subject_id), "by": event.actor_label, "role": ", ".join(gained)}
    is_powerful = any(known.administering_roles[role] for role in gained)
    severity = Severity.CRITICAL if is_powerful else Severity.NOTICE  # an auditor reads the log, and no more
    yield Hit(event.subject_id, words, Subject("user", event.subject_id), severity=severity)


def _has_company(event: Event) -> bool:
    """Tell whether there is anybody else yet: the first administrator of an installation is no news."""
    earlier = User.objects.filter(is_service=False, created_at__lt=event.at).values_list("pk", flat=True)[:2]
    return any(str(pk) != event.subject_id for pk in earlier)


def _loosened(event: Event, _known: Known) -> Iterable[Hit]:
    before = _before_change(event)
    loosened = [said for name, said in _FLAGS.items() if before.get(name) is True]
    for name, said in _LIMITS.items():
        after = event.detail.get(name)
        if isinstance(before.get(name), int) and (after is None or after > before[name]):
            loosened.append(said)
    if loosened:
        words = {"by": event.actor_label, "role": event.subject_id, "what": ", ".join(loosened)}
        yield Hit(event.subject_id, words, Subject("role", event.subject_id))


def _before_change(event: Event) -> dict[str, Any]:
    """Return what changed of a role, as it was. The event says so itself: earlier ones may be none, or archived."""
    before = event.detail.get("before")
    return before if isinstance(before, dict) else {"areas": []}


def _opens_areas(event: Event, _known: Known) -> Iterable[Hit]:
    now, before = _listed(event.detail.get("areas")), _before_change(event)
    areas = set(now) - set(_listed(before.get("areas", now)))
    if areas:
        words = {"by": event.actor_label, "role": event.subject_id, "areas": ", ".join(sorted(areas))}
        yield Hit(event.subject_id, words, Subject("role", event.subject_id))


RULES: Final = (
    Rule(
        "public-opened",
        "Something was opened to the public",
        Severity.WARNING,
        _GIVES,
        "{by} let everybody on the internet read {what}.",
        "See that it was meant: what is read once can't be taken back. Remove the policy if not.",
        _opened,
    ),
    Rule(
        "policy-widened",
        "A role may do more than before",
        Severity.NOTICE,
        _GIVES,
        "{by} let the role {role} do more in {what}: {acts}.",
        "See that somebody asked for it. The policy's history shows what it said before.",
        _widened,
    ),
    Rule(
        "sensitive-fields-opened",
        "A role reads personal or secret fields",
        Severity.WARNING,
        _GIVES,
        "{by} opened {fields} of {what} to the role {role}.",
        "See that these people need to know it, and for how long.",
        _sensitive,
    ),
    Rule(
        "fields-declassified",
        "Fields are personal or secret no longer",
        Severity.WARNING,
        frozenset({"collection.changed"}),
        "{by} opened {fields} of {what} to whoever may read every field.",
        "See that it was meant: values that were sealed are shown by every policy for all fields, old versions too.",
        _declassified,
    ),
    Rule(
        "new-administrator",
        "Somebody got a role that administers",
        Severity.CRITICAL,
        frozenset({"user.created", "user.updated"}),
        "{by} gave {who} the role {role}.",
        "Ask who gave it. If they know nothing of it: take the role away and switch both accounts off.",
        _made_powerful,
    ),
    Rule(
        "demands-loosened",
        "A role asks less of sign-ins",
        Severity.WARNING,
        frozenset({"role.updated"}),
        "{by} loosened what the role {role} asks for: {what}.",
        "See that it was meant. A weaker sign-in is enough from now on for everybody with this role.",
        _loosened,
    ),
    Rule(
        "role-opens-areas",
        "A role administers more than before",
        Severity.WARNING,
        frozenset({"role.created", "role.updated"}),
        "{by} opened the administration of {areas} to the role {role}.",
        "See that it was meant, and who has this role.",
        _opens_areas,
    ),
)
