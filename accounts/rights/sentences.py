"""Policies and roles as sentences for those who administer them: what may be done, where, with what."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from accounts.access import (
    EVERY_FIELD,
    UNNAMED_FIELDS,
    UNNAMED_PUBLIC_FIELDS,
    Action,
    Area,
    Condition,
    DataClass,
    FieldSet,
    Operator,
    Rule,
)
from accounts.canonical import Scalar
from accounts.directory import CollectionLabel, Directory, FieldLabel, directory
from accounts.models.role import ADMINISTRATOR, PUBLIC, Policy, Role
from accounts.models.user import User
from accounts.principals import rule_of

# In the order in which people think of them.
ACTIONS: Final[Mapping[Action, str]] = {
    Action.READ: "read what is published",
    Action.READ_DRAFT: "read drafts",
    Action.PREVIEW: "preview",
    Action.CREATE: "create",
    Action.UPDATE: "update",
    Action.DELETE: "move to the trash",
    Action.RESTORE: "take out of the trash",
    Action.PUBLISH: "publish",
    Action.UNPUBLISH: "unpublish",
    Action.EXPORT: "export",
    Action.PURGE: "erase for good",
    Action.MANAGE_SCHEMA: "change the model",
}
AREAS: Final[Mapping[Area, str]] = {
    Area.USERS: "people and service accounts",
    Area.ROLES: "roles",
    Area.POLICIES: "policies",
    Area.KEYS: "API keys",
    Area.AUDIT: "the record of what happened",
    Area.LOCALES: "languages",
    Area.PREVIEWS: "previews",
    Area.WEBHOOKS: "webhooks",
    Area.OPERATIONS: "backups and operations",
}
SYSTEM: Final[Mapping[str, str]] = {
    "_created_by": "the author of the entry",
    "_locale": "the language",
    "_id": "the entry",
}
OPERATORS: Final[Mapping[Operator, str]] = {
    Operator.EQ: "is",
    Operator.NE: "is not",
    Operator.IN: "is one of",
    Operator.NIN: "is none of",
    Operator.CONTAINS: "contains",
    Operator.STARTS_WITH: "begins with",
    Operator.LT: "is less than",
    Operator.LTE: "is at most",
    Operator.GT: "is more than",
    Operator.GTE: "is at least",
}
_OF_TIME: Final[Mapping[Operator, str]] = {
    Operator.LT: "is before",
    Operator.LTE: "is not after",
    Operator.GT: "is after",
    Operator.GTE: "is not before",
}
VARIABLES: Final[Mapping[str, str]] = {"$user": "themselves", "$user.email": "their own e-mail address"}
SENSITIVE: Final = frozenset({DataClass.PERSONAL.value, DataClass.SECRET.value})
EVERYBODY: Final = "Everybody"
GONE: Final = "a field that is gone"


@dataclass(frozen=True, slots=True)
class Words:
    """One policy in words. `sensitive`: (name, class) of the personal and secret fields that it names."""

    may: str
    where: str  # "in Articles", "in every collection"
    rows: str = ""  # "where Category is News", "" for every row
    fields: str = ""
    starts_with: str = ""
    sensitive: tuple[tuple[str, str], ...] = ()
    warning: str = ""

    @property
    def without_who(self) -> str:
        """The sentence from "may" on."""
        begin = " ".join(part for part in ("may", self.may, self.where, self.rows) if part)
        end = f"; new entries start with {self.starts_with}" if self.starts_with else ""
        return f"{begin}: {self.fields}{end}."

    def sentence(self, who: str) -> str:
        """Return the whole sentence."""
        return f"{who} {self.without_who}"


@dataclass
class Speaker:
    """Puts rules into words; the collections and their fields are read once."""

    known: Directory = field(default_factory=directory)
    _collections: dict[UUID, CollectionLabel] = field(default_factory=dict)
    _people: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._collections = {item.id: item for item in self.known.collections()}

    def policy(self, policy: Policy, role: Role) -> Words:
        """Return a policy in words; one that can't be understood says that it grants nothing."""
        rule = rule_of(policy, is_public=role.key == PUBLIC)
        if rule is None:
            return Words(
                "do nothing", "with this policy", fields="it can't be understood, so it grants nothing"
            )
        words = self.rule(rule)
        if role.key == PUBLIC and set(policy.actions) - {Action.READ.value}:
            warning = "It names more than reading, which the public role is never given."
            return Words(words.may or "do nothing", words.where, words.rows, words.fields, warning=warning)
        return words

    def rule(self, rule: Rule) -> Words:
        """Return a rule in words."""
        if rule.collection_id is not None and rule.collection_id not in self._collections:
            return Words(
                listed([ACTIONS[action] for action in ACTIONS if action in rule.actions]),
                "in a collection that is gone",
                fields="it grants nothing any more",
            )
        return Words(
            may=listed([ACTIONS[action] for action in ACTIONS if action in rule.actions]),
            where=self.where(rule.collection_id),
            rows=self.rows(rule.rows, rule.collection_id),
            fields=self.fields(rule.fields, rule.collection_id),
            starts_with=listed(self.preset(name, text, rule.collection_id) for name, text in rule.presets),
            sensitive=tuple(
                (item.name, item.data_class)
                for item in self._labels(rule.fields.ids, rule.collection_id)
                if item.data_class in SENSITIVE
            ),
        )

    def where(self, collection_id: UUID | None) -> str:
        """Return "in Articles"."""
        if collection_id is None:
            return "in every collection"
        found = self._collections.get(collection_id)
        return f"in {found.name}" if found else "in a collection that is gone"

    def rows(self, rows: Iterable[Condition], collection_id: UUID | None) -> str:
        """Return "where … and …", "" when every row is meant."""
        parts = [self.condition(row, collection_id) for row in rows]
        return f"where {' and '.join(parts)}" if parts else ""

    def condition(self, row: Condition, collection_id: UUID | None) -> str:
        """Return one condition: "Category is News"."""
        name, label = self.name(row.name, collection_id), self._label(row.name, collection_id)
        if row.operator is Operator.EXISTS:
            return f"{name} is {'filled in' if row.value else 'empty'}"
        is_time = label is not None and label.input in ("date", "datetime")
        words = _OF_TIME.get(row.operator) if is_time else None
        values = row.value if isinstance(row.value, tuple) else (row.value,)
        shown = [self._value(item, row.name, label) for item in values]
        return f"{name} {words or OPERATORS[row.operator]} {listed(shown, 'or')}"

    def preset(self, field_id: UUID, text: str, collection_id: UUID | None) -> str:
        """Return what a new entry starts with: "Category = News". `text` is canonical JSON."""
        name, label = self.name(str(field_id), collection_id), self._label(str(field_id), collection_id)
        value = json.loads(text)
        is_plain = isinstance(value, str | int | float | bool)
        return f"{name} = {self._value(value, str(field_id), label) if is_plain else text}"

    def name(self, name: str, collection_id: UUID | None) -> str:
        """Return what people call a field or a system name."""
        if name in SYSTEM:
            return SYSTEM[name]
        label = self._label(name, collection_id)
        return label.name if label else GONE

    def fields(self, fields: FieldSet, collection_id: UUID | None) -> str:
        """Return which fields: "every field except personal and secret ones", or their names."""
        if fields == EVERY_FIELD:
            return "every field"
        unnamed = {
            UNNAMED_FIELDS.classes: "every field except personal and secret ones",
            UNNAMED_PUBLIC_FIELDS.classes: "every public field",
        }.get(fields.classes, "")
        labels = self._labels(fields.ids, collection_id)
        names = [
            f"{item.name} ({item.data_class})" if item.data_class in SENSITIVE else item.name
            for item in labels
            if not unnamed or item.data_class not in fields.classes
        ]
        if len(labels) < len(fields.ids):
            names.append("fields that are gone" if len(fields.ids) - len(labels) > 1 else GONE)
        if unnamed:
            return f"{unnamed}, and also {listed(names)}" if names else unnamed
        return listed(names) or "no field"

    def _labels(self, ids: Iterable[UUID], collection_id: UUID | None) -> list[FieldLabel]:
        found = self._collections.get(collection_id) if collection_id else None
        wanted = set(ids)
        return [item for item in found.fields if item.id in wanted] if found else []

    def _label(self, name: str, collection_id: UUID | None) -> FieldLabel | None:
        try:
            labels = self._labels([UUID(name)], collection_id)
        except ValueError:
            return None
        return labels[0] if labels else None

    def _value(self, value: Scalar, name: str, label: FieldLabel | None) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        text = str(value)
        if text in VARIABLES:
            return VARIABLES[text]
        if name == "_created_by":
            return self._person(text)
        if label is not None and label.input == "boolean":
            return {"true": "yes", "false": "no"}.get(text, text)
        choices = dict(label.choices) if label is not None else {}
        if name == "_locale":
            choices = dict(self.known.locales())
        return choices.get(text, text if label is not None and label.input != "text" else f"“{text}”")

    def _person(self, user_id: str) -> str:
        if user_id not in self._people:
            try:
                found = User.objects.filter(pk=UUID(user_id)).first()
            except ValueError:
                found = None
            self._people[user_id] = str(found) if found else "somebody who is not here"
        return self._people[user_id]


def who(role: Role) -> str:
    """Return whom a sentence about a role is about."""
    return EVERYBODY if role.key == PUBLIC else role.name


def role_sentences(role: Role, policies: Iterable[Policy], speaker: Speaker) -> list[str]:
    """Return a role as a short list of sentences; never empty."""
    if role.key == ADMINISTRATOR:
        return [f"{who(role)} may do everything, and read every field."]
    found = [speaker.policy(policy, role).sentence(who(role)) for policy in policies]
    if sentence := areas_sentence(role):
        found.append(sentence)
    return found or [
        f"{who(role)} may do nothing{'' if role.key == PUBLIC else ' but read what everybody may'}."
    ]


def areas_sentence(role: Role) -> str:
    """Return which areas a role administers, "" for none."""
    names = [words for area, words in AREAS.items() if area.value in role.areas and area is not Area.AUDIT]
    parts = [f"administers {listed(names)}"] if names else []
    if Area.AUDIT.value in role.areas:
        parts.append("reads the record of what happened")
    return f"{who(role)} {listed(parts)}." if parts else ""


def listed(parts: Iterable[str], last: str = "and") -> str:
    """Return "a, b and c"."""
    items = list(parts)
    return f"{', '.join(items[:-1])} {last} {items[-1]}" if len(items) > 1 else "".join(items)


def capital(words: str) -> str:
    """Return words that begin a line; the rest of them stays as it is."""
    return words[:1].upper() + words[1:]
