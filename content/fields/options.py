"""The kinds of options that field types are made of. Each reads, stores and shows one option."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms

from accounts.canonical import Json
from accounts.errors import Problem, placed
from content.fields import option_forms
from content.fields.base import FieldError, OptionContext, Schema
from content.fields.numbers import decimal_in, decimal_text, integer_in
from content.fields.strings import one_line

MAX_CHOICES = 500
MAX_NAMED = 50

KEY = re.compile(r"[a-z][a-z0-9_]{0,40}")


class Plain:
    """An option that is stored and shown as it is."""

    def load(self, stored: Json) -> Any:
        return stored

    def store(self, value: Any) -> Json:
        return value  # type: ignore[no-any-return]  # parse made it

    def show(self, value: Any, ctx: Schema) -> Json:
        return self.store(value)


@dataclass(frozen=True, slots=True)
class Whole(Plain):
    """A whole number within limits."""

    low: int
    high: int

    def parse(self, raw: object, ctx: Schema) -> int:
        number = integer_in(raw)
        if not self.low <= number <= self.high:
            raise FieldError.at((), "out-of-range", f"From {self.low:,} to {self.high:,}.")
        return number

    def form_field(self, ctx: OptionContext) -> forms.Field:
        return option_forms.whole_number(self.low, self.high)


class Flag(Plain):
    """True or false."""

    def parse(self, raw: object, ctx: Schema) -> bool:
        if not isinstance(raw, bool):
            raise FieldError.at((), "invalid-type", "True or false is expected.")
        return raw

    def form_field(self, ctx: OptionContext) -> forms.Field:
        return option_forms.flag()


class Number(Plain):
    """A decimal number; stored and shown as text, read as text or number."""

    def parse(self, raw: object, ctx: Schema) -> Decimal:
        return decimal_in(raw)

    def load(self, stored: Json) -> Decimal:
        return Decimal(str(stored))

    def store(self, value: Decimal) -> Json:
        return decimal_text(value)

    def form_field(self, ctx: OptionContext) -> forms.Field:
        return option_forms.line(inputmode="decimal")


@dataclass(frozen=True, slots=True)
class Checked(Plain):
    """A text in a canonical form, e.g. a date; `check` returns that form or raises FieldError.

    `input_type` is the HTML type of its input.
    """

    check: Callable[[object], str | None]
    input_type: str = "text"

    def parse(self, raw: object, ctx: Schema) -> str | None:
        return self.check(raw)

    def form_field(self, ctx: OptionContext) -> forms.Field:
        return option_forms.line(self.input_type)


@dataclass(frozen=True, slots=True)
class OneOf(Plain):
    """One of a fixed set of names, each with its meaning for people."""

    names: Mapping[str, str]

    def parse(self, raw: object, ctx: Schema) -> str:
        if not isinstance(raw, str) or raw not in self.names:
            raise FieldError.at((), "invalid-choice", f"Choose one of {', '.join(self.names)}.")
        return raw

    def form_field(self, ctx: OptionContext) -> forms.Field:
        return option_forms.one_of([(name, meaning.capitalize()) for name, meaning in self.names.items()])


class Key(Plain):
    """The key of a field beside this one; whether there is such a field, only the caller can tell."""

    def parse(self, raw: object, ctx: Schema) -> str:
        if not isinstance(raw, str) or not KEY.fullmatch(raw):
            raise FieldError.at((), "invalid-key", "The key of another field is expected.")
        return raw

    def form_field(self, ctx: OptionContext) -> forms.Field:
        return option_forms.line(list="field-keys", autocapitalize="none")


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice: what is stored, and what people read."""

    value: str
    label: str


class Choices(Plain):
    """A list of `{"value", "label"}`, or of plain values, whose label then is the value."""

    def parse(self, raw: object, ctx: Schema) -> tuple[Choice, ...]:
        if not isinstance(raw, list) or not 1 <= len(raw) <= MAX_CHOICES:
            raise FieldError.at((), "invalid-type", f"A list of 1 to {MAX_CHOICES} choices is expected.")
        problems: list[Problem] = []
        choices: dict[str, Choice] = {}
        for index, item in enumerate(raw):
            try:
                choice = self._choice(item)
            except FieldError as error:
                problems += error.under(index).problems
                continue
            if choice.value in choices:
                problems.append(Problem.at((index, "value"), "duplicate", "This value is there twice."))
            choices[choice.value] = choice
        if problems:
            raise FieldError(problems)
        return tuple(choices.values())

    def _choice(self, item: object) -> Choice:
        if isinstance(item, str):
            item = {"value": item}
        if not isinstance(item, Mapping) or not set(item) <= {"value", "label"}:
            raise FieldError.at((), "invalid-type", 'A choice is {"value", "label"}.')
        try:
            value = one_line(item.get("value"), high=100)
        except FieldError as error:
            raise error.under("value") from error
        try:
            label = one_line(item.get("label"), high=200)
        except FieldError as error:
            raise error.under("label") from error
        if value is None:
            raise FieldError.at(("value",), "required", "A choice needs a value.")
        return Choice(value, label or value)

    def load(self, stored: Json) -> tuple[Choice, ...]:
        items = stored if isinstance(stored, list) else []
        return tuple(
            Choice(str(item["value"]), str(item.get("label", item["value"])))
            for item in items
            if isinstance(item, dict)
        )

    def store(self, value: tuple[Choice, ...]) -> Json:
        return [{"value": item.value, "label": item.label} for item in value]

    def form_field(self, ctx: OptionContext) -> forms.Field:
        return option_forms.ChoicesTextField()


@dataclass(frozen=True, slots=True)
class Named(Plain):
    """A list of other collections, by key or id; kept by id, so that a renamed one stays the same."""

    components: bool
    most: int = MAX_NAMED

    def parse(self, raw: object, ctx: Schema) -> tuple[UUID, ...]:
        if not isinstance(raw, list) or not 1 <= len(raw) <= self.most:
            detail = "A list with exactly one key" if self.most == 1 else f"A list of 1 to {self.most} keys"
            raise FieldError.at((), "invalid-type", f"{detail} is expected.")
        ids: list[UUID] = []
        problems: list[Problem] = []
        for index, name in enumerate(raw):
            found = self._find(name, ctx) if isinstance(name, str) and len(name) <= 100 else None
            if found is None:
                what = "component" if self.components else "collection"
                problems += placed([Problem.at((), f"unknown-{what}", f"There is no such {what}.")], index)
            elif found in ids:
                problems.append(Problem.at((index,), "duplicate", "This one is there twice."))
            else:
                ids.append(found)
        if problems:
            raise FieldError(problems)
        return tuple(ids)

    def _find(self, name: str, ctx: Schema) -> UUID | None:
        if self.components:
            component = ctx.component(name)
            return component.id if component is not None else None
        try:
            by_id = UUID(name)
        except ValueError:
            return ctx.collection_id(name)
        return by_id if ctx.collection_key(by_id) is not None else None

    def load(self, stored: Json) -> tuple[UUID, ...]:
        return tuple(UUID(str(item)) for item in stored) if isinstance(stored, list) else ()

    def store(self, value: tuple[UUID, ...]) -> Json:
        return [str(item) for item in value]

    def show(self, value: tuple[UUID, ...], ctx: Schema) -> Json:
        keys: list[Json] = []
        for item in value:
            if self.components:
                component = ctx.component(str(item))
                key = component.key if component is not None else None
            else:
                key = ctx.collection_key(item)
            if key is not None:  # one that was removed is not shown, and can't be chosen again
                keys.append(key)
        return keys

    def form_field(self, ctx: OptionContext) -> forms.Field:
        return option_forms.names(list(ctx.offered(components=self.components)), is_one=self.most == 1)
