"""Keeps what verifying the log found, for the badge; signed, or anybody with SQL could hang up a green one."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from accounts.access import system
from accounts.audit.lines import moment
from accounts.audit.verifying import Verification
from accounts.canonical import canonical_bytes
from accounts.keyring import key_ring
from accounts.log import Subject, record
from accounts.models.archive import LogCheck

logger = logging.getLogger("quillkeep.log")

PURPOSE: Final = "log-check"
KEPT: Final = 500  # three weeks of hourly checks
MAX_FINDINGS: Final = 20  # of each; the first ones say where to look


@dataclass(frozen=True, slots=True)
class Badge:
    """What the newest check says. `is_genuine` False: the row was not written by the application."""

    at: datetime
    by: str
    is_intact: bool
    is_genuine: bool
    result: dict[str, Any]

    @property
    def is_good(self) -> bool:
        return self.is_intact and self.is_genuine

    @property
    def is_stale(self) -> bool:
        """Whether it is so old that the schedule must have stopped."""
        return (timezone.now() - self.at).total_seconds() > 3 * 60 * 60


def keep(result: Verification, *, by: str) -> None:
    """Keep a result. One that is not intact is an event and a critical line; it is told once, until it changes."""
    shown = result.as_json()
    shown["findings_total"] = len(shown["findings"])
    for name in ("findings", "warnings"):
        shown[name] = shown[name][:MAX_FINDINGS]
    check = LogCheck(at=timezone.now(), by=by, is_intact=result.is_intact, result=shown)
    check.key_id, check.mac = key_ring().mac(_bytes(check), purpose=PURPOSE)
    before = newest()
    with transaction.atomic():
        check.save(force_insert=True)
        if not result.is_intact and not _is_told(before, shown):
            first = shown["findings"][0]
            record(
                "log.verification-failed",
                actor=system("verifying the log"),
                subject=Subject("log", "log"),
                detail={
                    "findings": shown["findings_total"],
                    "problem": first["problem"],
                    "position": first["position"],
                },
            )
        LogCheck.objects.filter(pk__lte=(check.pk or 0) - KEPT).delete()
    if not result.is_intact:
        places = [f"{finding['problem']} at {finding['position']}" for finding in shown["findings"]]
        logger.critical(
            "The log is NOT intact: %d findings (%s). Run `manage.py audit verify`.",
            shown["findings_total"],
            "; ".join(places),
        )


def newest() -> Badge | None:
    """Return the newest check, None before the first."""
    check = LogCheck.objects.order_by("-pk").first()
    if check is None:
        return None
    is_genuine = key_ring().verifies(_bytes(check), check.mac, purpose=PURPOSE, key_id=check.key_id)
    return Badge(check.at, check.by, check.is_intact, is_genuine, check.result)


def _is_told(before: Badge | None, now: dict[str, Any]) -> bool:
    """Tell whether the check before said the same already, so that one wound is not an event each hour."""
    if before is None or before.is_good:
        return False
    return before.is_genuine and before.result.get("findings") == now["findings"]


def _bytes(check: LogCheck) -> bytes:
    return canonical_bytes([moment(check.at), check.by, check.is_intact, check.result])
