"""Every check, in the order of its subject. Whoever has something to add calls `register` when the apps are ready."""

from typing import Final

from cms_project.security_check import (
    access,
    backups,
    browser,
    database,
    dependencies,
    integrations,
    keys,
    log,
    machine,
    people,
    transport,
)
from cms_project.security_check.check import Check, Report, run

CHECKS: Final[dict[str, Check]] = {}


def register(*checks: Check) -> None:
    """Add checks; the same one again changes nothing. Raises ValueError for an id that is taken."""
    for check in checks:
        if CHECKS.setdefault(check.id, check) is not check:
            raise ValueError(f"There is a check {check.id} already.")


def report() -> Report:
    """Run all of them."""
    return run(CHECKS.values())


for _module in (
    transport,
    browser,
    machine,
    database,
    people,
    access,
    keys,
    integrations,
    log,
    backups,
    dependencies,
):
    register(*_module.CHECKS)
