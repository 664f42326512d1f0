"""The form of a policy without JSON: a collection, acts to tick, conditions as rows, fields to tick, presets by field.

It is read and drawn by hand, since what it offers depends on the collection. Whatever was typed is drawn again.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.http import QueryDict

from accounts.access import Action, Operator
from accounts.canonical import Scalar
from accounts.directory import CollectionLabel, Directory, FieldLabel
from accounts.errors import Problem
from accounts.models.role import PUBLIC, Policy, Role
from accounts.models.user import User
from accounts.rights.granting import PolicyTerms
from accounts.rights.sentences import ACTIONS, OPERATORS, SYSTEM, VARIABLES, capital

EVERY: Final = "*"
MOST_ROWS: Final = 20
GROUPS: Final[tuple[tuple[str, tuple[Action, ...]], ...]] = (
    ("Read", (Action.READ, Action.READ_DRAFT, Action.PREVIEW, Action.EXPORT)),
    ("Write", (Action.CREATE, Action.UPDATE, Action.DELETE, Action.RESTORE)),
    ("Release", (Action.PUBLISH, Action.UNPUBLISH)),
    ("Administration", (Action.PURGE, Action.MANAGE_SCHEMA)),
)
HELP: Final[Mapping[Action, str]] = {
    Action.READ_DRAFT: "everything that is not public yet, and the history",
    Action.EXPORT: "take all of it out at once",
    Action.PURGE: "with every version; can’t be undone",
    Action.MANAGE_SCHEMA: "fields and their data classes, so also what is sensitive",
}
_FILLED, _EMPTY = "filled", "empty"
OPERATOR_CHOICES: Final = (
    *((operator.value, words) for operator, words in OPERATORS.items()),
    (_FILLED, "is filled in"),
    (_EMPTY, "is empty"),
)
_SYSTEM_OPERATORS: Final = (Operator.EQ, Operator.NE, Operator.IN, Operator.NIN)
_SYSTEM_CHOICES: Final = (
    ("_created_by", "Author of the entry"),
    ("_locale", "Language"),
    ("_id", "The entry itself (its id)"),
)


@dataclass
class Row:
    """One condition as it is typed."""

    name: str = ""
    operator: str = Operator.EQ.value
    value: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def is_blank(self) -> bool:
        return not self.name and not self.value


@dataclass
class Typed:
    """A policy as it is typed, with what is wrong at each place."""

    role: str = ""
    collection: str = ""
    actions: set[str] = field(default_factory=set)
    every_field: bool = True
    fields: set[str] = field(default_factory=set)
    rows: list[Row] = field(default_factory=list)
    presets: dict[str, str] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)

    def add(self, place: str, problem: str) -> None:
        self.problems.setdefault(place, []).append(problem)

    @property
    def is_faulty(self) -> bool:
        return bool(self.problems) or any(row.problems for row in self.rows)


def typed_of(data: QueryDict) -> Typed:
    """Return what was sent, as it was sent."""
    count = data.get("row-count", "0")
    number = min(int(count), MOST_ROWS) if count.isascii() and count.isdecimal() and len(count) < 4 else 0

    def part(index: int, name: str) -> str:
        return str(data.get(f"row-{index}-{name}", ""))[:2_000]

    rows = [
        Row(part(index, "name"), part(index, "operator"), part(index, "value")) for index in range(number)
    ]
    return Typed(
        role=data.get("role", "")[:50],
        collection=data.get("collection", "")[:50],
        actions={str(value) for value in data.getlist("actions")},
        every_field="all_fields" in data,
        fields={str(value) for value in data.getlist("fields")},
        rows=[row for row in rows if not row.is_blank],
        presets={
            name.removeprefix("preset-"): str(value).strip()
            for name, value in data.items()
            if name.startswith("preset-") and str(value).strip()
        },
    )


def shown(policy: Policy, known: Directory) -> Typed:
    """Return what the inputs show of a policy. Fields that are gone are left out: they grant nothing any more."""
    label = next((item for item in known.collections() if item.id == policy.collection_id), None)
    labels = {str(item.id): item for item in label.fields} if label else {}
    rows = []
    for name, operator, value in policy.rows:
        shown_name = name if name in SYSTEM else labels[name].key if name in labels else name
        rows.append(_row_shown(shown_name, operator, value))
    return Typed(
        role=str(policy.role_id),
        collection=EVERY if policy.every_collection else label.key if label else "",
        actions=set(policy.actions),
        every_field=policy.every_field,
        fields={labels[item].key for item in policy.field_ids if item in labels},
        rows=rows,
        presets={
            labels[name].key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in policy.presets.items()
            if name in labels
        },
    )


def terms_of(typed: Typed, known: Directory) -> PolicyTerms | None:
    """Return the terms, or None after noting what is wrong at its place."""
    label = next((item for item in known.collections() if item.key == typed.collection), None)
    if label is None and typed.collection != EVERY:
        typed.add("collection", "Choose a collection, or every one.")
    unknown = typed.actions - set(Action)
    if unknown or not typed.actions:
        typed.add("actions", "Tick at least one of these.")
    by_key = {item.key: item for item in label.fields} if label else {}
    if not typed.every_field and not typed.fields:
        typed.add("fields", "Tick the fields, or every field.")
    if typed.fields and typed.collection == EVERY:
        typed.add("fields", "Fields can be named for one collection, not for all of them.")
    elif typed.fields - by_key.keys() and label is not None:
        typed.add("fields", "There is a field that this collection hasn’t got (any more).")
    rows = [_condition(row, label, by_key, known) for row in typed.rows]
    presets = [_preset(key, text, by_key, typed) for key, text in typed.presets.items()]
    if typed.is_faulty:
        return None
    return PolicyTerms(
        collection_id=label.id if label else None,
        actions=frozenset(Action(item) for item in typed.actions),
        rows=tuple(row for row in rows if row is not None),
        every_field=typed.every_field,
        field_ids=frozenset(by_key[key].id for key in typed.fields if key in by_key),
        presets=tuple(preset for preset in presets if preset is not None),
    )


def put_in_place(problems: Iterable[Problem], typed: Typed) -> None:
    """Put what the verb refused where it was typed."""
    for problem in problems:
        place, *rest = (problem.pointer or "").strip("/").split("/")
        row = _row_at(rest, typed) if place == "filter" and rest else None
        if row is not None:
            row.problems.append(problem.detail)
        elif place == "presets" and rest and rest[0] in typed.presets:
            typed.add(f"preset-{rest[0]}", problem.detail)
        else:
            typed.add(
                place if place in ("role", "collection", "actions", "fields", "presets") else "",
                problem.detail,
            )


def _row_at(path: list[str], typed: Typed) -> Row | None:
    named = [row for row in typed.rows if row.name == path[0]]
    exact = [row for row in named if [row.operator] == path[1:]]
    return next(iter(exact or named), None)


# What the page draws


def drawing(typed: Typed, known: Directory, role: Role | None) -> dict[str, Any]:
    """Return what the template needs."""
    collections = known.collections()
    label = next((item for item in collections if item.key == typed.collection), None)
    only_reads = role is not None and role.key == PUBLIC
    names = [
        *_SYSTEM_CHOICES,
        *((item.key, item.name) for item in (label.fields if label else ()) if item.operators),
    ]
    known_names = {name for name, _ in names}
    rows = [*typed.rows, *[Row()][: MOST_ROWS - len(typed.rows)]]
    return {
        "typed": typed,
        "collections": [(EVERY, "Every collection"), *((item.key, item.name) for item in collections)],
        "groups": [
            (
                title,
                [
                    (action.value, capital(ACTIONS[action]), HELP.get(action, ""), action.value in typed.actions)
                    for action in actions
                    if not only_reads or action is Action.READ or action.value in typed.actions
                ],
            )
            for title, actions in GROUPS
        ],
        "only_reads": only_reads,
        "label": label,
        "fields": [(item, item.key in typed.fields) for item in (label.fields if label else ())],
        "lost_fields": sorted(typed.fields - {item.key for item in (label.fields if label else ())}),
        "rows": [
            {
                "number": number,
                "row": row,
                "names": names if row.name in {"", *known_names} else [*names, (row.name, f"{row.name} (not there)")],
            }
            for number, row in enumerate(rows)
        ],
        "row_count": len(rows),
        "may_add": len(typed.rows) < MOST_ROWS,
        "operators": OPERATOR_CHOICES,
        "variables": [(value, words) for value, words in VARIABLES.items()],
        "comparisons": _comparisons(label, known),
        "presets": [
            (item, typed.presets.get(item.key, ""), typed.problems.get(f"preset-{item.key}", []))
            for item in (label.fields if label else ())
        ],
        "has_presets": bool(typed.presets),
    }  # fmt: skip


def _comparisons(label: CollectionLabel | None, known: Directory) -> dict[str, dict[str, Any]]:
    """Return for the script how each name can be compared, and with what."""
    system: dict[str, dict[str, Any]] = {
        name: {"operators": [item.value for item in _SYSTEM_OPERATORS], "input": "text", "choices": []}
        for name, _ in _SYSTEM_CHOICES
    }
    system["_locale"]["choices"] = [list(item) for item in known.locales()]
    of_fields = {
        item.key: {
            "operators": [
                name
                for operator in item.operators
                for name in ((_FILLED, _EMPTY) if operator is Operator.EXISTS else (operator.value,))
            ],
            "input": item.input,
            "choices": [list(choice) for choice in item.choices]
            or ([["true", "Yes"], ["false", "No"]] if item.input == "boolean" else []),
        }
        for item in (label.fields if label else ())
        if item.operators
    }
    return system | of_fields


# Conditions


def _row_shown(name: str, operator: str, value: Any) -> Row:
    if operator == Operator.EXISTS.value:
        return Row(name, _FILLED if value else _EMPTY)
    values = value if isinstance(value, list) else [value]
    texts = [{True: "true", False: "false"}[item] if isinstance(item, bool) else str(item) for item in values]
    if name == "_created_by":
        texts = [_mail_of(text) for text in texts]
    return Row(name, operator, _joined(texts) if isinstance(value, list) else texts[0])


def _condition(
    row: Row, label: CollectionLabel | None, by_key: Mapping[str, FieldLabel], known: Directory
) -> tuple[str, str, Any] | None:
    item = by_key.get(row.name)
    if row.name not in SYSTEM and (item is None or not item.operators):
        row.problems.append(
            "Choose what is compared." if not row.name else "There is nothing of this name to compare here."
        )
        return None
    allowed = item.operators if item else _SYSTEM_OPERATORS
    try:
        operator = Operator.EXISTS if row.operator in (_FILLED, _EMPTY) else Operator(row.operator)
    except ValueError:
        operator = None
    if operator not in allowed:
        name = item.name if item else capital(SYSTEM[row.name])
        row.problems.append(f"{name} can’t be compared like this.")
        return None
    stored = str(item.id) if item else row.name
    if operator is Operator.EXISTS:
        return stored, operator.value, row.operator == _FILLED
    is_list = operator in (Operator.IN, Operator.NIN)
    texts = _split(row.value) if is_list else [row.value.strip()]
    if not any(texts):
        row.problems.append("A value is missing: a condition without one would hold for nothing.")
        return None
    try:
        values = [_value(text, row.name, item, label, known, operator) for text in texts if text]
    except ValueError as error:
        row.problems.append(str(error))
        return None
    return stored, operator.value, values if is_list else values[0]


def _value(
    text: str,
    name: str,
    item: FieldLabel | None,
    label: CollectionLabel | None,
    known: Directory,
    operator: Operator,
) -> Scalar:
    if text in VARIABLES:
        return text
    if name == "_created_by":
        return _id_of(text)
    if name == "_locale":
        return _one_of(text, known.locales(), "There is no such language here.")
    if name == "_id":
        return str(_uuid(text, "The id of an entry, as its address has it."))
    if item is None or label is None:
        raise ValueError("There is no such field.")
    if item.choices:
        return _one_of(text, item.choices, "This is none of the values that the field can have.")
    if operator in (Operator.CONTAINS, Operator.STARTS_WITH):
        return text
    return known.condition_value(label.id, item.id, text)


def _one_of(text: str, choices: Iterable[tuple[str, str]], problem: str) -> str:
    for value, name in choices:
        if text in (value, name):
            return value
    raise ValueError(problem)


def _id_of(text: str) -> str:
    found = User.objects.filter(email__iexact=text).first() if "@" in text else None
    return str(
        found.pk if found else _uuid(text, "Write $user for “themselves”, or the e-mail address of somebody.")
    )


def _mail_of(text: str) -> str:
    try:
        found = User.objects.filter(pk=UUID(text), is_service=False).first()
    except ValueError:
        return text
    return found.email if found else text


def _uuid(text: str, problem: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise ValueError(problem) from error


def _split(text: str) -> list[str]:
    """Return the values of a list: with commas between, in quotation marks where they hold one."""
    rows = csv.reader([text.replace("\n", ",").replace("\r", "")], skipinitialspace=True)
    return [value.strip() for row in rows for value in row if value.strip()]


def _joined(texts: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(list(texts))
    return line.getvalue().replace(",", ", ") if '"' not in line.getvalue() else line.getvalue()


# Presets


def _preset(key: str, text: str, by_key: Mapping[str, FieldLabel], typed: Typed) -> tuple[UUID, Any] | None:
    item = by_key.get(key)
    if item is None:
        typed.add("presets", "There is a field that this collection hasn’t got (any more).")
        return None
    if item.input in ("text", "date", "datetime") and not text.startswith(("[", "{")):
        return item.id, text
    if item.input == "choice" and not text.startswith("["):
        try:
            return item.id, _one_of(text, item.choices, "This is none of the values that the field can have.")
        except ValueError as error:
            typed.add(f"preset-{key}", str(error))
            return None
    try:
        value = json.loads(text, parse_constant=_refuse)
    except ValueError:
        typed.add(f"preset-{key}", 'A number, true or false, or a list such as ["a", "b"].')
        return None
    return item.id, value


def _refuse(text: str) -> Any:
    raise ValueError(text)
