"""Any JSON value, with an optional JSON Schema of the user's own."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import jsonschema_rs
from django import forms

from accounts.canonical import Json, canonical_bytes
from accounts.errors import Problem
from content.fields import option_forms
from content.fields.base import (
    Context,
    FieldError,
    FieldSpec,
    FieldType,
    FormContext,
    OptionContext,
    Options,
    Schema,
    option,
    register,
)
from content.fields.forms import LinesField, common
from content.fields.numbers import MAX_INTEGER
from content.fields.options import Plain
from content.sealed_values import is_sealed

MAX_JSON_BYTES = 64 * 1024
MAX_JSON_DEPTH = 20
MAX_SCHEMA_BYTES = 16 * 1024
MAX_SCHEMA_STEPS = 2_000
MAX_ERRORS = 20
MAX_LISTED_STEPS = 20_000
MAX_PATTERN = 200
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_UNSAFE = frozenset(chr(code) for code in (0, *range(0xD800, 0xE000)))


def json_in(value: object, *, most: int = MAX_JSON_BYTES) -> Json:
    """Return a value that PostgreSQL and every JSON reader keep as it is (RFC 7493); raise FieldError with the place.

    Numbers beyond ±(2^53 - 1), NaN, NUL and lone surrogates are refused; -0.0 becomes 0.0.
    """
    budget = [most]
    copy = _copied(value, (), budget)
    if len(canonical_bytes(copy)) > most:
        raise FieldError.at((), "too-long", f"At most {most // 1024} KB of JSON.")
    return copy


def _copied(value: object, path: tuple[str | int, ...], budget: list[int]) -> Json:
    budget[0] -= 1  # every value takes a byte at least, so this stops before much work is done
    if budget[0] < 0:
        raise FieldError.at((), "too-long", "This is too much JSON.")
    if len(path) > MAX_JSON_DEPTH:
        raise FieldError.at((), "too-deep", f"At most {MAX_JSON_DEPTH} levels.")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        budget[0] -= len(value)
        if not _UNSAFE.isdisjoint(value):
            raise FieldError.at(path, "invalid-characters", "NUL and broken characters are not allowed.")
        return value
    if isinstance(value, (int, float)):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:  # NaN is not either
            raise FieldError.at(path, "out-of-range", "Send a number like this as a text.")
        return value + 0.0 if isinstance(value, float) else value  # + 0.0 makes -0.0 plain zero
    if isinstance(value, list):
        return [_copied(item, (*path, index), budget) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        copy: dict[str, Json] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise FieldError.at(path, "invalid-type", "The keys of an object are texts.")
            _copied(key, path, budget)
            copy[key] = _copied(item, (*path, key[:100]), budget)
        return copy
    raise FieldError.at(path, "invalid-type", "A JSON value is expected.")


def parsed(text: str) -> object:
    """Return the JSON value of a text; duplicate keys and NaN are refused. Raises FieldError."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise FieldError.at((), "duplicate", "An object has the same key twice.")
        return found

    def constant(name: str) -> None:
        raise FieldError.at((), "invalid-json", f"{name} is not JSON.")

    try:
        return json.loads(text, object_pairs_hook=members, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise FieldError.at(
            (), "invalid-json", f"Line {error.lineno}, column {error.colno}: {error.msg}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise FieldError.at((), "invalid-json", "This is not JSON that can be kept.") from error


# Schemas


def schema_in(raw: object, *, most: int = MAX_SCHEMA_BYTES) -> str:
    """Return a JSON Schema as canonical text. Raises FieldError with the place of what can't be allowed."""
    if not isinstance(raw, Mapping):
        raise FieldError.at((), "invalid-type", "A JSON Schema is an object.")
    schema = json_in(raw, most=most)
    if not isinstance(schema, dict) or schema.get("$schema", DIALECT) != DIALECT:
        raise FieldError.at(("$schema",), "invalid-schema", f"Only {DIALECT}.")
    steps = _steps(schema, schema, (), frozenset(), [MAX_SCHEMA_STEPS])
    if steps > MAX_SCHEMA_STEPS:
        raise FieldError.at((), "too-complex", "This schema would take too long to check.")
    text = canonical_bytes(schema).decode()
    try:
        validator_of(text)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        reason = str(error).partition("\n")[0][:300]
        raise FieldError.at((), "invalid-schema", f"Not a valid schema: {reason}") from error
    return text


class JsonSchema(Plain):
    """A JSON Schema, kept as canonical text. It refers to nothing outside of itself and does not go in circles.

    References are followed when the schema is made: each doubling would double the time of every validation.
    """

    def parse(self, raw: object, ctx: Schema) -> str:
        return schema_in(raw)

    def form_field(self, ctx: OptionContext) -> forms.Field:
        return option_forms.schema()

    def load(self, stored: Json) -> str:
        return canonical_bytes(stored).decode()

    def store(self, value: str) -> Json:
        stored: Json = json.loads(value)
        return stored


_FORBIDDEN = ("$dynamicRef", "$recursiveRef", "$id", "$anchor", "$dynamicAnchor", "$vocabulary")


def _steps(
    part: Json,
    whole: dict[str, Json],
    path: tuple[str | int, ...],
    open_refs: frozenset[str],
    budget: list[int],
) -> int:
    """Count the parts of a schema with every reference put in; raise FieldError for what can't be allowed."""
    budget[0] -= 1
    if budget[0] < 0:
        raise FieldError.at((), "too-complex", "This schema would take too long to check.")
    if isinstance(part, list):
        return 1 + sum(
            _steps(item, whole, (*path, index), open_refs, budget) for index, item in enumerate(part)
        )
    if not isinstance(part, dict):
        return 1
    for name in _FORBIDDEN:
        if name in part:
            raise FieldError.at((*path, name), "invalid-schema", f"{name} is not allowed.")
    total = 1
    for name, item in part.items():
        if name in ("const", "enum", "default", "examples"):
            continue
        if name == "pattern" and isinstance(item, str) and len(item) > MAX_PATTERN:
            raise FieldError.at((*path, name), "too-long", f"At most {MAX_PATTERN} characters.")
        if name == "$ref" and isinstance(item, str):
            target = _target(item, whole, (*path, name))
            if item in open_refs:
                raise FieldError.at((*path, name), "circular", "A schema may not refer to itself.")
            total += _steps(target, whole, path, open_refs | {item}, budget)
        elif name != "$defs":
            total += _steps(item, whole, (*path, name), open_refs, budget)
    return total


def _target(reference: str, whole: dict[str, Json], path: tuple[str | int, ...]) -> Json:
    """Return what `#/$defs/name` refers to: nothing is ever fetched, and nothing else is needed."""
    definitions = whole.get("$defs")
    name = reference.removeprefix("#/$defs/")
    if reference == name or not isinstance(definitions, dict) or name not in definitions:
        raise FieldError.at(path, "invalid-schema", 'Only "#/$defs/name" of the same schema.')
    return definitions[name]


def _never_fetch(uri: str) -> None:
    raise ValueError(f"{uri[:200]} is not part of the schema")


@lru_cache(maxsize=64)
def validator_of(schema: str) -> jsonschema_rs.Draft202012Validator:
    """Return the validator of a schema given as canonical text. Patterns run in linear time; nothing is fetched."""
    return jsonschema_rs.Draft202012Validator(
        json.loads(schema),
        retriever=_never_fetch,
        pattern_options=jsonschema_rs.RegexOptions(size_limit=200_000, dfa_size_limit=2_000_000),
        validate_formats=True,
    )


# The type


@dataclass(frozen=True, slots=True)
class JsonOptions(Options):
    schema: str | None = option(
        JsonSchema(), label="JSON Schema", help="Draft 2020-12. What it refuses is not saved."
    )


@register
class JsonField(FieldType[JsonOptions]):
    key = "json"
    label = "JSON"
    description = "Any JSON, with a JSON Schema if you like."
    icon = "braces"
    family = "Other"
    options_class = JsonOptions

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        if value is None or value == "":
            return None
        found = json_in(value)
        if is_sealed(found):
            raise FieldError.at((), "reserved", "An object with this member alone means something else here.")
        schema = self.options(field).schema
        if schema is not None:
            problems = list(against(schema, found))
            if problems:
                raise FieldError(problems)
        return found

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return " ".join(_texts(value))

    def as_text(self, value: Json) -> str:
        return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)

    def from_text(self, text: str) -> object:
        return parsed(text)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        schema = self.options(field).schema
        found: dict[str, Any] = json.loads(schema) if schema is not None else {}
        # References are relative to the whole document, where the definitions of one field have no place.
        return found if "$defs" not in found else {}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        attrs = {
            "class": "vLargeTextField",
            "rows": 8,
            "spellcheck": "false",
            "dir": "ltr",
            "data-json": "true",
        }
        return LinesField(widget=forms.Textarea(attrs=attrs), **common(field))

    def to_form(self, value: Json, field: FieldSpec, ctx: Schema) -> Any:
        return self.as_text(value)

    def from_form(self, value: Any, field: FieldSpec, ctx: Schema) -> object:
        return parsed(value) if value and value.strip() else None


def against(schema: str, value: Json) -> Iterator[Problem]:
    """Yield what a schema, given as canonical text, says against a value: the first MAX_ERRORS.

    The library gathers all errors before it gives the first, each in full: a hundred thousand numbers where texts
    should be would cost seconds, and a longer schema gigabytes. Where there could be so many, only the first one is
    looked for.
    """
    validator = validator_of(schema)
    if validator.is_valid(value):
        return
    if _size_of(value) * _steps_of(schema) <= MAX_LISTED_STEPS:
        for error in islice(validator.iter_errors(value), MAX_ERRORS):
            yield _problem_of(error)
        return
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        yield _problem_of(error)


def _problem_of(error: jsonschema_rs.ValidationError) -> Problem:
    path = [part if isinstance(part, int) else str(part)[:100] for part in error.instance_path]
    return Problem.at(path, "schema", error.message[:300])


@lru_cache(maxsize=64)
def _steps_of(schema: str) -> int:
    whole = json.loads(schema)
    return _steps(whole, whole, (), frozenset(), [MAX_SCHEMA_STEPS])


def _size_of(value: Json) -> int:
    """Return how many values there are inside, itself among them."""
    if isinstance(value, Mapping):
        return 1 + sum(map(_size_of, value.values()))
    return 1 + sum(map(_size_of, value)) if isinstance(value, list) else 1


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
