"""From the data of a version to what documents hold: values in one locale, references, words, claims to uniqueness."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from django.contrib.postgres.search import SearchVectorField
from django.db.models import Func, Value

from accounts.canonical import Json, canonical_bytes
from content import fields
from content.conditions import asked_for
from content.fields.base import FieldSpec
from content.languages import search_config
from content.schema import CollectionSpec, Schema

SHARED = "*"  # the key of a version's data that holds what is the same in every locale
MAX_WORDS = 200_000  # characters of one field that are searched; a tsvector has a limit of its own (1 MB)
MAX_TITLE = 300

VersionData = dict[str, dict[str, Json]]


class ToVector(Func):
    """`to_tsvector`, weighted."""

    template = "setweight(to_tsvector(%(expressions)s), %(weight)s)"
    output_field = SearchVectorField()

    def __init__(self, config: str, text: str, *, is_title: bool) -> None:
        # config comes from our own list of languages
        super().__init__(
            Func(Value(config), template="%(expressions)s::regconfig"),
            Value(text),
            weight="'A'" if is_title else "'D'",
        )


def in_locale(data: Mapping[str, Mapping[str, Json]], locale: str) -> dict[str, Json]:
    """Return the values of one locale together with the shared ones, by field id; nothing is left out as absent."""
    merged = {**data.get(SHARED, {}), **data.get(locale, {})}
    return {key: value for key, value in merged.items() if value is not None}


def locales_of(data: Mapping[str, object]) -> list[str]:
    """Return the locales that a version has content in."""
    return sorted(key for key in data if key != SHARED)


def placed(collection: CollectionSpec, data: Mapping[str, Mapping[str, Json]], schema: Schema) -> VersionData:
    """Return a version's data as the present schema has it: live fields only, each shared or by locale as it is now."""
    default = schema.default_locale.code
    written = [code for code in locales_of(data) if code in schema.locale_by_code]
    locales = written if collection.localized else [default]
    result: VersionData = {SHARED: {}, **{locale: {} for locale in locales}}
    for spec in collection.fields:
        name = str(spec.id)
        prune = fields.get(spec.type).prune
        values = {
            place: value
            for place, held in data.items()
            if held.get(name) is not None and (value := prune(held[name], spec, schema)) is not None
        }
        if spec.localized and collection.localized:
            for locale in locales:
                if (value := values.get(locale, values.get(SHARED))) is not None:
                    result[locale][name] = value
        elif values:
            result[SHARED][name] = values.get(SHARED, values.get(default, next(iter(values.values()))))
    return result


def resolve(collection: CollectionSpec, values: Mapping[str, Json], schema: Schema) -> dict[str, Json]:
    """Return what a published document holds: defaults put in, conditions applied, HTML sanitized."""
    filled = {
        str(spec.id): value
        for spec in collection.fields
        if (value := values.get(str(spec.id), spec.default)) is not None
    }
    asked = asked_for(collection.fields, filled)
    resolved = {
        str(spec.id): fields.get(spec.type).resolve(filled[str(spec.id)], spec, schema)
        for spec in collection.fields
        if spec.id in asked and str(spec.id) in filled
    }
    return {key: value for key, value in resolved.items() if value is not None}


def references(
    specs: Iterable[FieldSpec], values: Mapping[str, Json], schema: Schema
) -> Iterator[tuple[UUID, UUID]]:
    """Yield (field id, entry id) for every reference in the values."""
    for spec in specs:
        value = values.get(str(spec.id))
        if value is not None:
            for target in fields.get(spec.type).references(value, spec, schema):
                yield spec.id, target


def words(
    collection: CollectionSpec, delivered: Mapping[str, Json], schema: Schema, locale: str
) -> Iterator[tuple[UUID, ToVector]]:
    """Yield (field id, vector) for every field of a delivered document that has words; sensitive ones are not found."""
    title = collection.title_field
    for spec in collection.fields:
        value = delivered.get(str(spec.id))
        if value is None or spec.is_sensitive:
            continue
        text = fields.get(spec.type).search_text(value, spec, schema)
        if text:
            yield spec.id, ToVector(search_config(locale), text[:MAX_WORDS], is_title=spec == title)


def title_of(collection: CollectionSpec, values: Mapping[str, Json]) -> str:
    """Return what people call the entry."""
    title = collection.title_field
    value = values.get(str(title.id)) if title else None
    return str(value or "")[:MAX_TITLE]


def is_unique(spec: FieldSpec) -> bool:
    return (spec.unique or spec.type == "slug") and not spec.is_sensitive


def claims(collection: CollectionSpec, data: Mapping[str, Mapping[str, Json]]) -> set[tuple[UUID, str, str]]:
    """Return (field id, locale or "*", digest of the value) of every value that must be unique."""
    found: set[tuple[UUID, str, str]] = set()
    for locale, values in data.items():
        for spec in collection.fields:
            value = values.get(str(spec.id))
            if is_unique(spec) and value is not None:
                found.add((spec.id, locale, digest_of(value)))
    return found


def digest_of(value: Any) -> str:
    """Return the hash under which a unique value is claimed."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def hash_of_version(entry_id: UUID, number: int, data: Mapping[str, Any]) -> str:
    """Return the sha-256 of a version, over what is stored: who has the table alone can check it."""
    return hashlib.sha256(canonical_bytes([str(entry_id), number, data])).hexdigest()
