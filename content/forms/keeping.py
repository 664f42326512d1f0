"""How long submissions are kept: as long as their form says when they come, and never longer than it says now."""

from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Least

from accounts.access import Principal
from accounts.log import Subject, record
from content.forms.options import FormOptions
from content.models import Collection, Submission

_BATCH: Final = 1000  # rows in one statement, so that nobody waits for locks
EXPIRED: Final = "submissions.expired"


def shorten(form_id: UUID, options: FormOptions) -> None:
    """Let a shorter time hold for what is there already. A longer one does not: visitors were promised the former."""
    sooner = Least(F("expires_at"), F("received_at") + options.retention)
    Submission.objects.filter(form_id=form_id).update(expires_at=sooner)


def erase_expired(*, by: Principal) -> int:
    """Erase what is over, of every form, with an event for each batch that tells how many. Commits on its own."""
    forms = Collection.objects.filter(kind=Collection.Kind.FORM).order_by("pk")
    return sum(_erase_expired_of(form, by) for form in forms)


def _erase_expired_of(form: Collection, by: Principal) -> int:
    total = 0
    while True:
        with transaction.atomic():
            ids = list(
                Submission.objects.over()
                .filter(form=form)
                .select_for_update(skip_locked=True)
                .values_list("pk", flat=True)[:_BATCH]
            )
            erased, _ = Submission.objects.filter(pk__in=ids).delete()
            if erased:
                about = Subject("collection", str(form.pk), form.pk)
                record(EXPIRED, actor=by, subject=about, detail={"collection": form.key, "count": erased})
        total += erased
        if len(ids) < _BATCH:
            return total
