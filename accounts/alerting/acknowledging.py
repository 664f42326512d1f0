"""Acknowledging alerts: somebody has looked, and says so. What happens after that is a new alert."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.access import Area, Principal
from accounts.alerting import counting
from accounts.alerting.rule import ACKNOWLEDGED, REOPENED
from accounts.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from accounts.log import Subject, record
from accounts.models.alert import LONGEST_NOTE, Alert, Tally


@transaction.atomic
def acknowledge(alert_id: UUID | str, *, note: str = "", by: Principal) -> Alert:
    """Note that somebody has looked at an alert, and what they found. The log keeps it with the note.

    Raises NotFoundError, ConflictError when it is acknowledged already, InvalidInputError for a note that is too long.
    """
    by.require_area(Area.AUDIT)
    alert = _locked(alert_id)
    if not alert.is_open:
        raise ConflictError("Somebody has acknowledged this alert already.")
    alert.note = _clean(note)
    alert.acknowledged_at, alert.acknowledged_by_id = timezone.now(), by.user_id
    alert.save(update_fields=["note", "acknowledged_at", "acknowledged_by"])
    # What led to it is looked at: the next alert needs a whole threshold of its own.
    Tally.objects.filter(rule=alert.rule, group=alert.group).delete()
    detail = {"rule": alert.rule, "count": alert.count, **({"note": alert.note} if alert.note else {})}
    transaction.on_commit(counting.forget)
    record(ACKNOWLEDGED, actor=by, subject=Subject("alert", str(alert.pk)), detail=detail)
    return alert


@transaction.atomic
def reopen(alert_id: UUID | str, *, by: Principal) -> Alert:
    """Take an acknowledgement back. Raises ConflictError for an open one, and where a newer one of the group is."""
    by.require_area(Area.AUDIT)
    alert = _locked(alert_id)
    if alert.is_open:
        raise ConflictError("This alert is open.")
    if Alert.objects.open().filter(rule=alert.rule, group=alert.group).exists():
        raise ConflictError("It has happened again since, and that alert is open.")
    alert.acknowledged_at = alert.acknowledged_by = None
    alert.save(update_fields=["acknowledged_at", "acknowledged_by"])
    transaction.on_commit(counting.forget)
    record(REOPENED, actor=by, subject=Subject("alert", str(alert.pk)), detail={"rule": alert.rule})
    return alert


def _locked(alert_id: UUID | str) -> Alert:
    alert = Alert.objects.select_for_update().filter(pk=alert_id).first()
    if alert is None:
        raise NotFoundError
    return alert


def _clean(note: str) -> str:
    text = " ".join(note.replace("\x00", "").split())
    if len(text) > LONGEST_NOTE:
        message = f"At most {LONGEST_NOTE} characters."
        raise InvalidInputError(errors=[Problem.at(["note"], "too-long", message)])
    return text
