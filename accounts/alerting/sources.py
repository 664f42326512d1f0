"""Rules about who sends us webhooks: who is refused, whose clock differs, who uses an id twice."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from accounts.alerting.rule import Hit, Known, Rule
from accounts.log import Subject
from accounts.models.alert import Severity
from accounts.models.event import Event

REFUSED: Final = "source.refused"
OF_TIME: Final = frozenset({"timestamp-too-old", "timestamp-in-future"})  # with a right signature
SAME_ID: Final = "same-id-other-body"
_QUARTER: Final = timedelta(minutes=15)


def _hit(event: Event) -> Hit:
    words = {"source": str(event.detail.get("key", "that is gone"))}
    return Hit(event.subject_id, words, Subject("source", event.subject_id))


def _refused(event: Event, _known: Known) -> Iterable[Hit]:
    if event.subject_id and event.detail.get("reason") not in OF_TIME | {SAME_ID}:
        yield _hit(event)


def _of_time(event: Event, _known: Known) -> Iterable[Hit]:
    if event.detail.get("reason") in OF_TIME:
        yield _hit(event)


def _same_id(event: Event, _known: Known) -> Iterable[Hit]:
    if event.detail.get("reason") == SAME_ID:
        yield _hit(event)


RULES: Final = (
    Rule(
        "source-refused",
        "Many webhooks of one source are refused",
        Severity.WARNING,
        frozenset({REFUSED}),
        "{count} webhooks that were sent to the source {source} were refused.",
        "Look at the reasons in the log: a wrong signature is another secret, or a stranger who tries.",
        _refused,
        threshold=20,
        window=_QUARTER,
    ),
    Rule(
        "source-clock",
        "A clock is wrong: times of a source are refused",
        Severity.WARNING,
        frozenset({REFUSED}),
        "{count} webhooks of the source {source} were signed rightly, at a time too far from our clock.",
        "Compare the clock of this server with the true time first, then ask the sender. "
        "If both are right, somebody sends old messages again: they are refused.",
        _of_time,
        threshold=5,
        window=_QUARTER,
    ),
    Rule(
        "source-same-id",
        "A webhook came twice with different content",
        Severity.CRITICAL,
        frozenset({REFUSED}),
        "Under an id that it had used before the source {source} sent other content, rightly signed. So far: {count}.",
        "Ask the sender whether that is their mistake. If not, somebody has the secret: rotate it without overlap.",
        _same_id,
    ),
)
