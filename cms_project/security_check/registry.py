"""Every check, in the order of its subject."""

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
from cms_project.security_check.check import Report, run

CHECKS: Final = {
    check.id: check
    for module in (
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
    )
    for check in module.CHECKS
}


def report() -> Report:
    """Run all of them."""
    return run(CHECKS.values())
