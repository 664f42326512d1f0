"""What the home page says of alerts, to those who may see them."""

from django.db.models import Count
from django.urls import reverse

from accounts.alerting import mailing, reading
from accounts.models.alert import Alert, Severity


def attention() -> list[tuple[str, str]]:
    """Return (sentence, address) of what should be looked at."""
    page = reverse("admin:accounts_alert_changelist")
    counted = dict(Alert.objects.open().order_by().values_list("severity").annotate(number=Count("pk")))
    found = []
    if total := sum(counted.values()):
        graves = [f"{counted[item]} {item.word}" for item in reversed(Severity) if item in counted]
        found.append((f"{total} alert{'s are' if total > 1 else ' is'} open: {', '.join(graves)}.", page))
    if reading.is_behind():
        found.append(("No rule has looked at the log for long: is the worker running?", page))
    if mailing.is_stuck():
        found.append(("Mails about alerts can’t be sent: does the mail server answer?", page))
    return found
