"""Rules about keys, and about the house itself: its log, its limits, its mails, and these very rules."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from accounts.alerting.rule import OPENED, Hit, Known, Rule
from accounts.keys.whereabouts import NEW_PLACE
from accounts.log import Subject
from accounts.models.alert import Severity
from accounts.models.event import Event

TEST: Final = "security.test"
REFUSED: Final = "mail.refused"
BROKEN: Final = "rule-broken"


def _key(event: Event) -> Subject:
    return Subject("api-key", event.subject_id)


def _elsewhere(event: Event, known: Known) -> Iterable[Hit]:
    place, network = str(event.detail.get("country", "")), str(event.detail.get("network", ""))
    is_abroad = bool(event.detail.get("new_country"))
    words = {"key": known.key_name(event.subject_id), "where": f"{network} ({place})" if place else network}
    severity = Severity.WARNING if is_abroad else Severity.NOTICE
    yield Hit(event.subject_id, words, _key(event), severity=severity)


def _old_secret(event: Event, known: Known) -> Iterable[Hit]:
    yield Hit(event.subject_id, {"key": known.key_name(event.subject_id)}, _key(event))


def _administers(event: Event, known: Known) -> Iterable[Hit]:
    scopes = event.detail.get("scopes")
    areas = (
        [str(item)[6:] for item in scopes if str(item).startswith("admin:")]
        if isinstance(scopes, list)
        else []
    )
    if areas:
        words = {"by": event.actor_label, "key": known.key_name(event.subject_id), "areas": ", ".join(areas)}
        yield Hit(event.subject_id, words, _key(event))


def _house(event: Event, _known: Known) -> Iterable[Hit]:
    yield Hit("house", {"problem": str(event.detail.get("problem", "no further detail"))})


def _skewed(event: Event, _known: Known) -> Iterable[Hit]:
    yield Hit("house", {"seconds": str(event.detail.get("seconds", "many"))})


def _not_told(event: Event, _known: Known) -> Iterable[Hit]:
    yield Hit("house", {"since": str(event.detail.get("since", "never"))})


def _by_somebody(event: Event, _known: Known) -> Iterable[Hit]:
    yield Hit(
        "house", {"by": event.actor_label, "reason": str(event.detail.get("reason", "no reason is given"))}
    )


def _mail_refused(event: Event, _known: Known) -> Iterable[Hit]:
    if event.detail.get("about") != OPENED:
        yield Hit("mail")


def _alert_refused(event: Event, _known: Known) -> Iterable[Hit]:
    # Of a mail that tells of this very alert nothing is told: the refusal of it would be the next one's cause.
    if event.detail.get("about") == OPENED and event.detail.get("rules") != ["alert-not-delivered"]:
        whom = "a person" if event.subject_type == "user" else "an address of SECURITY_ALERT_TO"
        yield Hit(event.subject_id or "mail", {"whom": whom}, None)


def _test(event: Event, _known: Known) -> Iterable[Hit]:
    yield Hit(str(event.pk), {"by": event.actor_label})  # each test is one of its own


RULES: Final = (
    Rule(
        "key-elsewhere",
        "An API key is used from a new place",
        Severity.NOTICE,
        frozenset({NEW_PLACE}),
        "The API key {key} was used from {where}, where it was not used before.",
        "See whether its program has moved. If not: revoke the key, and bind the next one to its networks.",
        _elsewhere,
    ),
    Rule(
        "key-old-secret",
        "A retired secret of an API key is still tried",
        Severity.WARNING,
        frozenset({"api-key.old-secret-refused"}),
        "Somebody still calls with the former secret of the API key {key}. It is refused.",
        "Find the program that was forgotten when the key was rotated; if there is none, somebody else has the secret.",
        _old_secret,
    ),
    Rule(
        "key-administers",
        "An API key that administers was made",
        Severity.WARNING,
        frozenset({"api-key.created"}),
        "{by} made the API key {key}, which may administer {areas}.",
        "See that a program needs it, and that it is bound to networks. Revoke it if not.",
        _administers,
    ),
    Rule(
        "log-broken",
        "The log is not intact",
        Severity.CRITICAL,
        frozenset({"log.verification-failed"}),
        "Verifying the log found what the application did not write: {problem}.",
        "Keep a copy of the database before anything else, then run `manage.py audit verify`.",
        _house,
    ),
    Rule(
        "head-not-sent",
        "The head of the log was not sent",
        Severity.WARNING,
        frozenset({"log.head-not-sent"}),
        "The signed head of the log could not be sent off-site: {problem}.",
        "Until it is, a cut tail of the log would not be noticed elsewhere. See whether the other side answers.",
        _house,
    ),
    Rule(
        "caches-not-told",
        "Caches are not told of changes",
        Severity.WARNING,
        frozenset({"cache.not-told"}),
        "A cache in front was last told what changed: {since}. Until it is again, none of them keeps answers.",
        "See whether `manage.py caches run` runs and reaches all of PURGE_URLS; take out what is gone for good.",
        _not_told,
    ),
    Rule(
        "log-not-streamed",
        "Events don't reach the SIEM",
        Severity.WARNING,
        frozenset({"log.not-streamed"}),
        "For more than ten minutes events could not be sent to AUDIT_STREAM_TO: {problem}.",
        "See whether the receiver answers. Nothing is lost: what waits is sent in order once it does.",
        _house,
    ),
    Rule(
        "limits-unavailable",
        "Limits can't be counted",
        Severity.CRITICAL,
        frozenset({"limits.unavailable"}),
        "Valkey does not answer: requests pass without limits, and sign-in is closed.",
        "Start Valkey again, or see why it can't be reached.",
        _house,
    ),
    Rule(
        "clock-skewed",
        "A clock is wrong",
        Severity.WARNING,
        frozenset({"clock.skewed"}),
        "The clock of a worker is {seconds} seconds from the database's.",
        "Set the clock of that host: receivers refuse what is signed with a wrong time.",
        _skewed,
    ),
    Rule(
        "lockdown-began",
        "The house was locked down",
        Severity.CRITICAL,
        frozenset({"lockdown.on"}),
        "{by} locked the house down: {reason}.",
        "Ask who began it what they have seen, and work through what the lockdown lists before it is lifted.",
        _by_somebody,
    ),
    Rule(
        "lockdown-lifted",
        "A lockdown was lifted",
        Severity.WARNING,
        frozenset({"lockdown.off"}),
        "{by} lifted the lockdown: {reason}.",
        "See that it was meant: from now on keys and people work again.",
        _by_somebody,
    ),
    Rule(
        "mail-refused",
        "Mails are refused",
        Severity.WARNING,
        frozenset({REFUSED}),
        "{count} mails were refused by the mail server.",
        "Look at its log: invitations and resets do not arrive.",
        _mail_refused,
        threshold=5,
        window=timedelta(hours=1),
    ),
    Rule(
        "alert-not-delivered",
        "A mail about an alert was refused",
        Severity.WARNING,
        frozenset({REFUSED}),
        "The mail server refused to take an alert for {whom}.",
        "Correct the address: who should know of attacks does not.",
        _alert_refused,
    ),
    Rule(
        "test",
        "A test alert",
        Severity.NOTICE,
        frozenset({TEST}),
        "This is a test, started on the command line. Nothing has happened.",
        "Nothing is to be done. Acknowledge it.",
        _test,
    ),
)
BROKEN_RULE: Final = Rule(
    BROKEN,
    "A rule is broken",
    Severity.WARNING,
    frozenset(),
    "The rule {rule} failed on an event ({error}). What it watches is not watched.",
    "Look at the worker's log for the reason, and report it.",
    lambda _event, _known: (),
)
