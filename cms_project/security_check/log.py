"""Whether the log could be trusted after an incident, and whether anybody would hear of one."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone

from accounts.alerting import mailing, reading
from accounts.audit import results, streaming
from accounts.models import Alert, DailyHead
from accounts.models.alert import Severity
from accounts.models.event import Unsealed
from cms_project.security_check.check import Check, Found, strict

LATE: Final = timedelta(days=2)
WAITS: Final = timedelta(minutes=10)


def verified() -> Iterator[Found]:
    """Look at the last proof of the log."""
    badge = results.newest()
    if badge is None:
        yield Found("The log was never verified.", Severity.WARNING)
    elif not badge.is_genuine:
        yield Found("The result of the last verification was not written by Quillkeep.")
    elif not badge.is_intact:
        yield Found(f"The log is not intact: {badge.result.get('findings_total', 'some')} findings.")
    elif badge.is_stale:
        yield Found(f"The log was last verified {badge.at:%-d %B %Y, %H:%M} UTC.", Severity.WARNING)
    if Unsealed.objects.filter(refused_at__isnull=False).exists():
        yield Found("There are rows in the log that the application did not write.")


def head() -> Iterator[Found]:
    """Look at whether a cut tail of the log would show elsewhere."""
    if not settings.AUDIT_HEAD_TO:
        yield Found(
            "AUDIT_HEAD_TO is not set: the head of the log stays on this machine.", strict(Severity.WARNING)
        )
        return
    sent = DailyHead.objects.filter(sent_at__gte=timezone.now() - LATE).exists()
    if not sent:
        yield Found("No head of the log was sent within two days.")


def consumers() -> Iterator[Found]:
    """Look at whether sealing, rules, mails and the stream keep up."""
    if Unsealed.objects.filter(refused_at__isnull=True).exists() and _seals_late():
        yield Found("Events wait for their seal for more than ten minutes: is there a sealer?")
    if reading.is_behind():
        yield Found("The rules for alerts have not looked at the log for ten minutes.")
    if mailing.is_stuck():
        yield Found("Mails about alerts wait: the mail server does not take them.")
    if streaming.is_behind():
        yield Found("Events wait to be streamed to the SIEM for more than ten minutes.")


def recipients() -> Iterator[Found]:
    """Look at who would be told."""
    if not mailing.recipients():
        yield Found("Nobody is told of alerts.", Severity.CRITICAL)
    elif not settings.SECURITY_ALERT_TO:
        yield Found("SECURITY_ALERT_TO is empty: only people of this very system are told.", Severity.NOTICE)


def alerts() -> Iterator[Found]:
    """Look at what nobody has looked at."""
    counted = Alert.objects.open().filter(severity=Severity.CRITICAL).count()
    if counted:
        yield Found(f"{counted} critical alert{' is' if counted == 1 else 's are'} open.")


def _seals_late() -> bool:
    first = (
        Unsealed.objects.filter(refused_at__isnull=True)
        .order_by("pk")
        .values_list("event_id", flat=True)
        .first()
    )
    # The first 48 bits of a UUIDv7 are milliseconds since 1970 (RFC 9562).
    return first is not None and (first.int >> 80) / 1000 < (timezone.now() - WAITS).timestamp()


CHECKS: Final = (
    Check("log-verified", "The log is proven", Severity.CRITICAL,
          "Run manage.py audit verify, and see that worker and beat run.", verified, page="accounts_event_changelist"),
    Check("log-head", "The head of the log is kept elsewhere", Severity.WARNING,
          "Set AUDIT_HEAD_TO to a place that this machine can only write to; manage.py audit head --send tries it.",
          head, page="accounts_event_changelist"),
    Check("log-consumers", "Whatever follows the log keeps up", Severity.WARNING,
          "See that sealer, worker and beat run, and what their log says.", consumers),
    Check("alert-recipients", "Somebody outside hears of alerts", Severity.WARNING,
          "Set SECURITY_ALERT_TO, and try it with manage.py alerts test.", recipients),
    Check("open-alerts", "No critical alert is open", Severity.WARNING,
          "Look at it, and acknowledge it with what you found.", alerts,
          page="accounts_alert_changelist?severity=critical"),
)  # fmt: skip
