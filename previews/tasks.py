"""What previews do beside requests: keys that rotate, opens that are counted, sites that are probed."""

import logging
from typing import Final

import redis
from celery import shared_task
from kombu.exceptions import OperationalError

from accounts import limits
from accounts.access import Area, Principal, system
from accounts.errors import TooManyRequestsError, UnavailableError
from accounts.limits import Policy
from previews import register, sites, state
from previews.models import PreviewSite
from previews.probing import probe as probing
from previews.signing import life

# Of one site, and of all. A site that hangs holds a worker for a minute, and the queue has other work.
CHECKS: Final = Policy("preview-checks", quota=1, overall=2, fails_open=True)

logger = logging.getLogger("quillkeep.previews")


@shared_task(name="previews.keep_keys", queue="default", ignore_result=True, expires=600)
def keep_keys() -> None:
    """Rotate signing keys that are due, and end those whose overlap is over."""
    life.keep(by=system("signing keys"))


@shared_task(name="previews.keep_register", queue="default", ignore_result=True, expires=5)
def keep_register() -> None:
    """Add to the register how often previews were opened, and which are over with their session or key."""
    register.end_cut_off(by=system("ended sessions"))
    try:
        state.flush_opens()
    except redis.RedisError as error:
        logger.warning("How often previews were opened can't be fetched: %s.", type(error).__name__)


@shared_task(name="previews.probe", queue="default", ignore_result=True, expires=3600, acks_late=True)
def probe(site_id: str | None = None) -> None:
    """Ask a site for drafts as strangers would; without one, send a task for each: one that hangs holds up no other."""
    active = PreviewSite.objects.filter(state=PreviewSite.State.ACTIVE)
    if site_id is None:
        for found in active.values_list("pk", flat=True):
            probe.delay(str(found))
        return
    site = active.filter(pk=site_id).first()
    if site is not None:
        probing.probe(site, by=system("leak probe"))


def probe_soon(site: PreviewSite, *, by: Principal) -> None:
    """Let a worker probe a site.

    Raises ConflictError for one that is off, TooManyRequestsError, and UnavailableError without a queue.
    """
    by.require_area(Area.PREVIEWS)
    by.require_no_lockdown()
    sites.require_active(site)
    checks = limits.hit(CHECKS, str(site.pk))
    if checks is not None and checks.is_exceeded:
        raise TooManyRequestsError(
            "The site is being checked, or others are. Try again in a minute.", retry_after=checks.resets_in
        )
    try:
        probe.delay(str(site.pk))
    except OperationalError as error:
        raise UnavailableError("The check can’t be queued: the broker does not answer.") from error


@shared_task(name="previews.forget_old", queue="default", ignore_result=True, expires=3600)
def forget_old() -> None:
    """Delete rows of the register that are long over."""
    register.forget_old()
