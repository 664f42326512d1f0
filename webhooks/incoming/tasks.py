"""What sources do beside requests: acting on what was received, and forgetting it."""

import logging
from uuid import UUID

from celery import shared_task
from kombu.exceptions import OperationalError

from accounts.access import system
from webhooks.incoming import processing, sources

logger = logging.getLogger("quillkeep.webhooks")


@shared_task(name="webhooks.carry_out", queue="receipts", ignore_result=True, expires=60)
def carry_out(receipt_id: str) -> None:
    """Act on one receipt."""
    processing.carry_out(UUID(receipt_id))


@shared_task(name="webhooks.carry_out_due", queue="receipts", ignore_result=True, expires=5)
def carry_out_due() -> None:
    """Act on what waits and nobody was woken up for: the broker was down, a worker was killed, a pause is over."""
    for receipt_id in processing.due():
        processing.carry_out(receipt_id)


@shared_task(name="webhooks.forget_receipts", queue="default", ignore_result=True, expires=3600)
def forget_receipts() -> None:
    """Erase old bodies and receipts, and secrets whose overlap is over."""
    processing.forget_old()
    sources.retire_old(by=system("ended secrets of sources"))


def wake(receipt_id: UUID) -> None:
    """Wake a worker up. Without a broker nothing is lost: `carry_out_due` finds what waits."""
    try:
        carry_out.apply_async((str(receipt_id),), retry=False)
    except OperationalError as error:
        logger.warning("No worker could be woken up (%s); the receipt waits.", type(error).__name__)
