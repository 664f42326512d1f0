"""A file against what there is: everything is really done in one transaction, which is then kept or taken back.

So the plan is what would happen and no guess at it: every rule was asked, every effect counted.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import transaction

from accounts.access import Principal
from accounts.as_code import Change, Secret, Section, Work
from accounts.canonical import canonical_bytes
from accounts.errors import Problem, placed
from accounts.models import Generation
from accounts.models.generation import ACCESS
from accounts.rights.as_code import Policies, Roles
from cms_project.schema_code.yaml_in import Fault, FileError, Read
from content import schema
from content.as_code.collections import Collections
from content.as_code.locales import Locales
from previews.as_code import PreviewSites
from webhooks.as_code import Endpoints
from webhooks.incoming.as_code import Sources

VERSION: Final = 1
VERSION_KEY: Final = "quillkeep_schema"


def sections() -> list[Section]:
    """Return the sections in the order in which they need each other."""
    return [Locales(), Collections(), Roles(), Policies(), Endpoints(), Sources(), PreviewSites()]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file changes, in order."""

    changes: tuple[Change, ...] = ()
    secrets: tuple[Secret, ...] = field(default=(), repr=False)

    @property
    def lost(self) -> int:
        """How many entries lose something."""
        return sum(change.lost for change in self.changes)

    @property
    def loses(self) -> bool:
        """Tell whether something goes that the former file would not bring back."""
        return any(change.lost or change.is_final for change in self.changes)

    @property
    def digest(self) -> str:
        """What the plan is known by: another state of the house gives another one."""
        listed = [change.as_json() for change in self.changes]
        return hashlib.sha256(canonical_bytes(listed)).hexdigest()[:16]

    def as_json(self) -> dict[str, Any]:
        return {
            "plan": self.digest,
            "changes": [change.as_json() for change in self.changes],
            "entries_losing_data": self.lost,
            "needs_confirmation": self.loses,
        }


class StalePlanError(Exception):
    """The house was changed since the plan was shown; `plan` is the one that holds now."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        super().__init__("The plan is stale.")


class DataLossError(Exception):
    """The file would lose data, and nobody has agreed to that."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        super().__init__("The plan would lose data.")


class SecretsWithoutPlaceError(Exception):
    """New secrets would be made, and there is no place to show them once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        super().__init__("New secrets need a place.")


def export() -> dict[str, Any]:
    """Return the whole file's document: one consistent state."""
    with transaction.atomic():
        _hold_everything()
        # In the order of the names, however the database would sort them.
        parts = {section.name: dict(sorted(section.export().items())) for section in sections()}
        return {VERSION_KEY: VERSION, **parts}


def try_out(file: Read, *, by: Principal, match_by_key: bool = False) -> Plan:
    """Return what a file would do. Raises FileError with every fault that could be found."""
    with transaction.atomic():
        plan = _run(file, by=by, match_by_key=match_by_key)
        transaction.set_rollback(True)
    return plan


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a file is applied. `expected`: the digest of the plan that was agreed to, "" for whichever.

    `hand_over` takes new secrets before anything is kept, since they are nowhere else; None: they have no place.
    """

    expected: str = ""
    allows_data_loss: bool = False
    hand_over: Callable[[Sequence[Secret]], None] | None = None


def apply(file: Read, terms: Terms, *, by: Principal, match_by_key: bool = False) -> Plan:
    """Do what a file says: all of it, or nothing. Raises FileError and the errors above; then nothing has changed."""
    with transaction.atomic(durable=True):
        plan = _run(file, by=by, match_by_key=match_by_key)
        if terms.expected and plan.digest != terms.expected:
            raise StalePlanError(plan)
        if plan.loses and not terms.allows_data_loss:
            raise DataLossError(plan)
        if plan.secrets and terms.hand_over is None:
            raise SecretsWithoutPlaceError(plan)
        if plan.secrets and terms.hand_over is not None:
            terms.hand_over(plan.secrets)
    return plan


def _run(file: Read, *, by: Principal, match_by_key: bool) -> Plan:
    known = sections()
    document = _checked(file, known)
    chosen = [section for section in known if section.name in document]
    _hold_everything()
    work = Work(by, document, match_by_key)
    for section in chosen:
        section.put(document[section.name], work)
        _stop_at_faults(file, work.problems)
    for section in reversed(chosen):
        section.remove(document[section.name], work)
        _stop_at_faults(file, work.problems)
    return Plan(tuple(work.changes), tuple(work.secrets))


def _checked(file: Read, known: list[Section]) -> Mapping[str, Any]:
    """Return the document, looked at as far as its form goes."""
    if not isinstance(file.value, dict):
        raise FileError(
            [Fault(1, "", f"A file begins with {VERSION_KEY}: {VERSION}, then come its sections.")]
        )
    problems: list[Problem] = []
    names = {section.name for section in known}
    for name in file.value:
        if name != VERSION_KEY and name not in names:
            detail = f"There is no such section; they are {', '.join(section.name for section in known)}."
            problems.append(Problem.at((name,), "unknown-key", detail))
    version = file.value.get(VERSION_KEY)
    if version is None:
        problems.append(Problem.at((), "required", f"The line {VERSION_KEY}: {VERSION} is missing."))
    elif type(version) is not int or version != VERSION:
        detail = f"This release reads version {VERSION} of the format."
        problems.append(Problem.at((VERSION_KEY,), "unknown-version", detail))
    for section in known:
        if section.name in file.value:
            # A section without anything in it means that all of it goes: that is said, not left out.
            if file.value[section.name] is None:
                problems.append(Problem.at((section.name,), "invalid-type", "Write {} for none of them."))
                continue
            problems += placed(section.check(file.value[section.name]), section.name)
    _stop_at_faults(file, problems)
    return {name: value for name, value in file.value.items() if name != VERSION_KEY}


def _hold_everything() -> None:
    """Let nobody else change schema or access until this transaction ends: their last act is to move these on."""
    names = [schema.GENERATION, ACCESS]
    list(Generation.objects.select_for_update().filter(name__in=names).order_by("name"))


def _stop_at_faults(file: Read, problems: list[Problem]) -> None:
    if problems:
        faults = [
            Fault(file.line_of(item.pointer or ""), item.pointer or "", item.detail) for item in problems
        ]
        raise FileError(sorted(faults, key=lambda fault: (fault.line, fault.pointer)))
