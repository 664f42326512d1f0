"""The register of previews: ending them, by whom and why, and forgetting what is long over."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.access import Area, Principal
from accounts.errors import NotFoundError
from accounts.log import Subject, record
from accounts.models import ApiKey
from previews import state
from previews.models import Preview, PreviewSite

KEPT_FOR: Final = timedelta(days=90)  # rows hold addresses; the log has what happened


@transaction.atomic
def revoke(preview_id: UUID, *, by: Principal) -> None:
    """End a preview at once, its code too. One's own, or anybody's by who administers previews; else NotFoundError."""
    preview = Preview.objects.visible_to(by).select_for_update(of=("self",)).filter(pk=preview_id).first()
    if preview is None:
        raise NotFoundError
    by.require_no_lockdown()
    if preview.user_id != by.user_id:
        by.require_area(Area.PREVIEWS)
    if preview.revoked_at is None:
        end(preview, by=by, because="asked")


def end(preview: Preview, *, by: Principal, because: str) -> None:
    """End a preview whose row is locked, in the caller's transaction."""
    preview.revoked_at, preview.revoked_because = timezone.now(), because
    preview.save(update_fields=["revoked_at", "revoked_because"])
    subject = Subject("preview", str(preview.pk), preview.collection_id)
    record("preview.revoked", actor=by, subject=subject, locale=preview.locale, detail={"because": because})
    _forget([preview.pk])


def end_on(site: PreviewSite, *, by: Principal) -> None:
    """End every live preview of a site, in the caller's transaction: it is switched off, and not to wake them again."""
    alive = Preview.objects.filter(site=site, revoked_at=None, expires_at__gt=timezone.now())
    for preview in alive.select_for_update().order_by("pk"):
        end(preview, by=by, because="site-off")


def end_cut_off(*, by: Principal) -> int:
    """Write down that previews are over whose session, key or person is; return how many.

    They are refused from the moment on when that ended, whatever stands here: this is for who reads the register.
    """
    now, number = timezone.now(), 0
    gone = (
        Q(session__ended_at__isnull=False)
        | Q(session__expires_at__lte=now)
        | Q(api_key__state__in=(ApiKey.State.REVOKED, ApiKey.State.DISABLED))
        | Q(user__is_active=False)
        | ~Q(user__token_version=F("token_version"))
    )
    found = Preview.objects.filter(gone, revoked_at=None, expires_at__gt=now).order_by("pk")
    for pk in found.values_list("pk", flat=True):
        with transaction.atomic():
            preview = Preview.objects.select_for_update().filter(pk=pk, revoked_at=None).first()
            if preview is not None:
                end(preview, by=by, because="session-ended" if preview.session_id else "key-ended")
                number += 1
    return number


def end_all(by: Principal) -> tuple[str, int]:  # noqa: ARG001 (an ending like the others)
    """End every live preview, as a lockdown begins; return the word of the report and how many."""
    live = list(Preview.objects.live().values_list("pk", flat=True))
    now = timezone.now()
    number = Preview.objects.filter(revoked_at=None, expires_at__gt=now).update(revoked_at=now)
    _forget(live)
    return "previews", number


def forget_old() -> int:
    """Delete rows that are long over; return how many."""
    number, _ = Preview.objects.filter(expires_at__lt=timezone.now() - KEPT_FOR).delete()
    return number


def _forget(ids: Iterable[UUID]) -> None:
    found = list(ids)
    transaction.on_commit(lambda: state.forget(found))
