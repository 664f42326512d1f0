"""Rules about backups: one that fails, is damaged or does not restore, and those that nobody made."""

from collections.abc import Iterable
from typing import Final

from accounts.alerting.rule import Hit, Known, Rule
from accounts.log import Subject
from accounts.models.alert import Severity
from accounts.models.event import Event


def _one(event: Event, _known: Known) -> Iterable[Hit]:
    words = {
        "name": event.subject_id,
        "by": event.actor_label,
        "problem": str(event.detail.get("problem") or "no further detail").rstrip("."),
    }
    yield Hit(event.subject_id, words, Subject("backup", event.subject_id))


def _late(event: Event, _known: Known) -> Iterable[Hit]:
    problem = str(event.detail.get("problem") or "")
    yield Hit("house", {"since": str(event.detail.get("since", "never")), "why": problem and f" {problem}"})


RULES: Final = (
    Rule(
        "backup-failed",
        "A backup failed",
        Severity.CRITICAL,
        frozenset({"backup.failed"}),
        "Making or removing backups failed: {problem}.",
        "Mend what it names, then run `manage.py backup create`.",
        _one,
    ),
    Rule(
        "backup-damaged",
        "A backup is damaged",
        Severity.CRITICAL,
        frozenset({"backup.damaged"}),
        "The backup {name} is not as it was made: {problem}.",
        "Look who could write to its storage, and run `manage.py backup verify` for the others.",
        _one,
    ),
    Rule(
        "backup-not-proven",
        "A backup does not restore",
        Severity.CRITICAL,
        frozenset({"backup.not-proven"}),
        "The backup {name} was restored for a proof, and is not sound: {problem}.",
        "Do not rely on it: make a new one, prove it, then look for the reason.",
        _one,
    ),
    Rule(
        "backup-overdue",
        "No backup was made for long",
        Severity.CRITICAL,
        frozenset({"backup.overdue"}),
        "The newest backup was made: {since}.{why}",
        "See whether the worker of backups runs, and what `manage.py backup schedule` says.",
        _late,
    ),
    Rule(
        "proof-overdue",
        "No backup was proven lately",
        Severity.WARNING,
        frozenset({"backup.proof-overdue"}),
        "A backup was last proven to restore: {since}.{why}",
        "Run `manage.py backup prove` where the private key is, or set up a worker that proves.",
        _late,
    ),
    Rule(
        "restored",
        "A backup was restored",
        Severity.CRITICAL,
        frozenset({"backup.restored"}),
        "{by} restored the backup {name}: what happened after it was made is gone.",
        "See that it was meant. Keys are switched off and webhooks paused until somebody has looked at them.",
        _one,
    ),
)
