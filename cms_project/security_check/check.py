"""What a check is, what it finds, and the grade that comes of all of them."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.urls import NoReverseMatch, reverse
from redis import RedisError

from accounts.masking import scrub
from accounts.models.alert import Severity

logger = logging.getLogger("quillkeep.security")

MOST_SHOWN: Final = 20  # lines of evidence of one check
LONGEST_LINE: Final = 300


class Grade(StrEnum):
    """A to F. A: at most notices. B: one or two warnings. C: more. D: something critical. F: more than one."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    F = "F"

    def is_below(self, other: "Grade") -> bool:
        return self.value > other.value


@dataclass(frozen=True, slots=True)
class Found:
    """One line of evidence, without secrets; `severity` where it is another one than the check's."""

    text: str
    severity: Severity | None = None


Look = Callable[[], Iterable[Found]]


@dataclass(frozen=True, slots=True)
class Check:
    """`look` yields what is wrong, nothing when all is well. `page` names the view where it is put right, if one."""

    id: str
    title: str
    severity: Severity
    advice: str
    look: Look
    page: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found. `fault` is set when it could not look; then nobody knows."""

    check: Check
    found: tuple[Found, ...] = ()
    fault: str = ""

    @property
    def severity(self) -> Severity:
        given = [item.severity or self.check.severity for item in self.found]
        return max(given) if given else (Severity.WARNING if self.fault else Severity.NOTICE)

    @property
    def status(self) -> Literal["pass", "notice", "warn", "fail", "unknown"]:
        if self.fault:
            return "unknown"
        if not self.found:
            return "pass"
        words: dict[Severity, Literal["notice", "warn", "fail"]] = {
            Severity.NOTICE: "notice",
            Severity.WARNING: "warn",
            Severity.CRITICAL: "fail",
        }
        return words[self.severity]

    @property
    def evidence(self) -> list[str]:
        """Return the lines to show; how many more there are stands in the last one."""
        lines = [scrub(item.text)[:LONGEST_LINE] for item in self.found[:MOST_SHOWN]]
        more = len(self.found) - MOST_SHOWN
        return [*lines, f"… and {more} more."] if more > 0 else lines

    @property
    def path(self) -> str:
        """Return the path of the page where it is put right, "" where none is, or not in this process."""
        if not self.check.page:
            return ""
        name, _, fragment = self.check.page.partition("?")
        try:
            return reverse(f"admin:{name}") + (f"?{fragment}" if fragment else "")
        except NoReverseMatch:
            return ""

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "id": self.check.id,
            "title": self.check.title,
            "status": self.status,
            "severity": self.severity.word if self.found or self.fault else None,
            "evidence": self.evidence if not self.fault else [self.fault],
            "advice": self.check.advice if self.found else None,
            "fix": f"{settings.PUBLIC_URL}{self.path}" if self.path and self.found else None,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All results, what is worst first."""

    results: list[Result] = field(default_factory=list)

    @property
    def open(self) -> list[Result]:
        return [result for result in self.results if result.status != "pass"]

    @property
    def passed(self) -> list[Result]:
        return [result for result in self.results if result.status == "pass"]

    @property
    def grade(self) -> Grade:
        """Return the grade. A check that could not look counts as a warning."""
        critical = sum(result.status == "fail" for result in self.results)
        warnings = sum(result.status in ("warn", "unknown") for result in self.results)
        if critical:
            return Grade.D if critical == 1 else Grade.F
        if warnings:
            return Grade.B if warnings <= 2 else Grade.C
        return Grade.A

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"grade": self.grade.value, "checks": [result.as_json() for result in self.results]}


def run(checks: Iterable[Check]) -> Report:
    """Look at everything; a check that fails says so and stops no other."""
    results = [_result(check) for check in checks]
    return Report(sorted(results, key=lambda item: (item.status == "pass", -item.severity, item.check.id)))


def _result(check: Check) -> Result:
    try:
        found = tuple(check.look())
    except (DatabaseFailure, RedisError, OSError) as error:
        logger.warning("The check %s could not look.", check.id, exc_info=error)
        return Result(check, fault=f"It could not be looked at ({type(error).__name__}).")
    return Result(check, found)


def strict(severity: Severity) -> Severity:
    """Return a severity, which in development is a notice: there it is meant so."""
    return Severity.NOTICE if settings.ENVIRONMENT.is_development else severity
