"""Rules about signing in: who guesses, who is locked out, who comes from a new place, whose factors change."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from accounts.addresses import callers_network
from accounts.alerting.rule import Hit, Known, Rule, group_of, is_id
from accounts.log import Subject
from accounts.models.alert import Severity
from accounts.models.event import Event
from accounts.models.session import Session
from accounts.people import PASSWORD_CHANGED
from accounts.places import country
from accounts.sign_in import devices, lockout

REMEMBERED: Final = timedelta(days=90)  # where somebody was within these is where they are at home
MOST_SESSIONS: Final = 200  # of them that are looked at, the newest
SOON: Final = timedelta(hours=1)
_FAILURES: Final = frozenset({lockout.FAILED, lockout.STEP_UP_FAILED, lockout.LOCKED_OUT})
_QUARTER: Final = timedelta(minutes=15)


def _severity(known: Known, user_id: object, severity: Severity) -> Severity:
    """Return the severity of something about a user: the most severe one for who administers."""
    return Severity.CRITICAL if known.administers(user_id) else severity


def _of_account(event: Event, known: Known) -> Iterable[Hit]:
    if event.subject_type == "user":
        yield Hit(
            event.subject_id,
            {"who": known.name(event.subject_id)},
            Subject("user", event.subject_id),
            severity=_severity(known, event.subject_id, Severity.WARNING),
        )


def _of_network(event: Event, _known: Known) -> Iterable[Hit]:
    network = callers_network(event.address)
    if network:
        place = country(event.address)
        yield Hit(network, {"where": f"{network} ({place})" if place else network})


def _of_all(_event: Event, _known: Known) -> Iterable[Hit]:
    yield Hit("all")


def _locked(event: Event, known: Known) -> Iterable[Hit]:
    if event.subject_type == "user" and known.has_role(event.subject_id):
        yield from _of_account(event, known)


# --- From where ----------------------------------------------------------------------------------------------------


def _earlier(event: Event) -> list[tuple[str, str]]:
    """Return (address, agent) of the sessions of a user before this one, within the days that are remembered."""
    before = Session.objects.filter(
        user=event.actor_id, created_at__lt=event.at, created_at__gte=event.at - REMEMBERED
    ).exclude(pk=event.subject_id)
    return list(before.order_by("-created_at").values_list("address", "agent")[:MOST_SESSIONS])


def _is_abroad(event: Event, earlier: list[tuple[str, str]]) -> bool:
    place = country(event.address)
    return bool(place) and place not in {country(address) for address, _ in earlier}


def _new_country(event: Event, known: Known) -> Iterable[Hit]:
    if not is_id(event.subject_id) or not known.administers(event.actor_id) or not country(event.address):
        return
    earlier = _earlier(event)
    if not earlier and not Session.objects.filter(user=event.actor_id, created_at__lt=event.at).exclude(
        pk=event.subject_id
    ).exists():  # fmt: skip
        return  # the first time of all: nothing to compare with
    if _is_abroad(event, earlier):
        place = country(event.address)
        yield Hit(
            group_of(event.actor_id, place),
            {"who": known.name(event.actor_id), "country": place, "where": event.address},
            Subject("user", str(event.actor_id)),
        )


def _new_device(event: Event, known: Known) -> Iterable[Hit]:
    session = known.session(event.subject_id) if known.administers(event.actor_id) else None
    if session is None:
        return
    earlier = _earlier(event)
    if not earlier or _is_abroad(event, earlier):
        return  # of a new country the other rule tells, and once is enough
    browser = known.browser(session.agent)
    agents = dict.fromkeys(agent for _, agent in earlier)
    if session.agent in agents or browser in {known.browser(agent) for agent in agents}:
        return
    yield Hit(
        group_of(event.actor_id, browser),
        {"who": known.name(event.actor_id), "browser": browser, "where": event.address},
        Subject("user", str(event.actor_id)),
    )


# --- Tokens, factors, passwords --------------------------------------------------------------------------------------


def _stolen(event: Event, known: Known) -> Iterable[Hit]:
    owner = str(event.detail.get("user", event.actor_id or ""))
    yield Hit(owner, {"who": known.name(owner)}, Subject("user", owner))


def _on_paper(event: Event, known: Known) -> Iterable[Hit]:
    left = str(event.detail.get("left", 0))
    severity = Severity.WARNING if known.administers(event.subject_id) else Severity.NOTICE
    words = {"who": known.name(event.subject_id), "left": left}
    yield Hit(event.subject_id, words, Subject("user", event.subject_id), severity=severity)


def _factors_taken(event: Event, known: Known) -> Iterable[Hit]:
    if str(event.actor_id) == event.subject_id:
        return
    words = {"who": known.name(event.subject_id), "by": event.actor_label}
    severity = _severity(known, event.subject_id, Severity.WARNING)
    yield Hit(event.subject_id, words, Subject("user", event.subject_id), severity=severity)


def _password_after_factor(event: Event, known: Known) -> Iterable[Hit]:
    changed = Event.objects.about("user", event.subject_id).filter(
        type__in=(devices.ENROLLED, devices.REMOVED), at__range=(event.at - SOON, event.at)
    )
    if changed.exists():
        severity = _severity(known, event.subject_id, Severity.WARNING)
        words = {"who": known.name(event.subject_id)}
        yield Hit(event.subject_id, words, Subject("user", event.subject_id), severity=severity)


RULES: Final = (
    Rule(
        "failed-sign-ins.account",
        "Many failed sign-ins for one account",
        Severity.WARNING,
        _FAILURES,
        "{count} sign-ins failed for {who}.",
        "Ask the person whether it was them. If not, somebody guesses: see that they have a second factor.",
        _of_account,
        threshold=10,
        window=_QUARTER,
    ),
    Rule(
        "failed-sign-ins.address",
        "Many failed sign-ins from one address",
        Severity.WARNING,
        _FAILURES,
        "{count} sign-ins failed from {where}.",
        "If it is not your own office, refuse this address at the proxy.",
        _of_network,
        threshold=20,
        window=_QUARTER,
    ),
    Rule(
        "failed-sign-ins.all",
        "Many failed sign-ins over all",
        Severity.WARNING,
        _FAILURES,
        "{count} sign-ins failed, whoever and wherever from.",
        "See in the log whether one account is meant. Few attempts each from many addresses are leaked passwords.",
        _of_all,
        threshold=100,
        window=_QUARTER,
    ),
    Rule(
        "account-locked",
        "An account with a role is locked out",
        Severity.WARNING,
        frozenset({lockout.LOCKED_OUT}),
        "{who} is locked out after too many failed sign-ins; {count} more attempts were refused.",
        "Ask the person. The lock ends by itself; a browser that they used before is let in all the same.",
        _locked,
    ),
    Rule(
        "new-country",
        "An administrator signs in from a new country",
        Severity.WARNING,
        frozenset({"session.started"}),
        "{who} signed in from {country} ({where}), where they were not in 90 days.",
        "Ask the person by another way than mail. If it was not them: switch the account off, which ends all sessions.",
        _new_country,
    ),
    Rule(
        "new-device",
        "An administrator signs in with a new browser",
        Severity.NOTICE,
        frozenset({"session.started"}),
        "{who} signed in with {browser}, which they did not use in 90 days, from {where}.",
        "Ask the person whether it is theirs. If not: end the session, and have them change password and factors.",
        _new_device,
    ),
    Rule(
        "refresh-token-reused",
        "A refresh token was used twice",
        Severity.CRITICAL,
        frozenset({"session.refresh-reused"}),
        "A refresh token of {who} was used a second time: it is in two hands. The session was ended.",
        "Find out which program leaked it. What was done with the session stands in the log.",
        _stolen,
    ),
    Rule(
        "recovery-code-used",
        "A recovery code was used",
        Severity.NOTICE,
        frozenset({"recovery-code.used"}),
        "{who} signed in with a recovery code; {left} are left.",
        "Ask whether they lost their device. If they know nothing of it: switch the account off.",
        _on_paper,
    ),
    Rule(
        "factors-removed",
        "Second factors were taken from somebody",
        Severity.WARNING,
        frozenset({devices.REMOVED}),
        "{by} removed the second factors of {who}.",
        "See that the person asked for it, by another way than mail: so are factors stolen from helpful people.",
        _factors_taken,
    ),
    Rule(
        "password-after-factor",
        "A password changed right after a second factor",
        Severity.WARNING,
        frozenset({PASSWORD_CHANGED}),
        "The password of {who} was changed within an hour of their second factors.",
        "So does who takes an account over. Ask the person; if it was not them: switch the account off.",
        _password_after_factor,
    ),
)
