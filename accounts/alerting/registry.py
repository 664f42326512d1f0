"""Every rule, by key and by the type of event that it looks at."""

from collections.abc import Mapping
from typing import Final

from django.conf import settings
from django.core.checks import CheckMessage, Error

from accounts.alerting import backups, content, house, rights, sign_ins, sources
from accounts.alerting.rule import Rule

RULES: Final[Mapping[str, Rule]] = {
    rule.key: rule
    for rule in (
        *sign_ins.RULES,
        *house.RULES,
        *content.RULES,
        *sources.RULES,
        *backups.RULES,
        *rights.RULES,
        house.BROKEN_RULE,
    )
}


def rules_by_type() -> dict[str, list[Rule]]:
    """Return the rules that are on, by the types that they look at."""
    found: dict[str, list[Rule]] = {}
    for rule in RULES.values():
        for type_ in rule.types if not rule.is_off else ():
            found.setdefault(type_, []).append(rule)
    return found


def check_thresholds(**_: object) -> list[CheckMessage]:
    """Refuse thresholds of rules that there are not: a typing error would leave a rule as it was."""
    found: list[CheckMessage] = []
    for key, number in settings.SECURITY_ALERT_THRESHOLDS.items():
        rule = RULES.get(key)
        if rule is None:
            found.append(Error(f"SECURITY_ALERT_THRESHOLDS: there is no rule {key}.", id="accounts.E001"))
        elif rule.threshold == 1 and number > 1:
            message = f"SECURITY_ALERT_THRESHOLDS: {key} does not count; it can only be switched off, by 0."
            found.append(Error(message, id="accounts.E002"))
    return found
