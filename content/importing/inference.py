"""A collection designed from the documents that shall go into it: a field for each key of their front matter."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from content import fields
from content.designing import MAX_FIELDS, MAX_FILTERABLE
from content.fields.base import FieldSpec
from content.fields.slug import SlugField
from content.fields.strings import MAX_LINE
from content.fields.tags import MAX_TAG, MAX_TAGS
from content.importing.front_matter import Value
from content.importing.sources import Source
from content.importing.values import field_key, list_of, moment_of, name_and_handle, names_in, text_of

SOURCE_PATH: Final = "source_path"
BODY: Final = "body"
DRAFT: Final = "draft"  # `draft: true` keeps a document from being published; it is no content
RESERVED: Final = frozenset({"title", "slug", BODY, SOURCE_PATH})
AUTHOR_KEYS: Final = frozenset({"author", "authors"})
AUTHORS: Final = "authors"

_TAG_KEYS: Final = frozenset({"tags", "keywords", "topics", "categories"})
_CHOICE_KEYS: Final = frozenset(
    {"category", "layout", "type", "kind", "status", "section", "level", "template"}
)
_FILTERED: Final = ("date", "datetime", "choice", "references", "tags", "boolean", "integer", "decimal")
_MOST_CHOICES: Final = 50
_FEW: Final = 12
_MOSTLY: Final = 0.9  # of the values must be days for the rest to be mistakes

Documents = Mapping[str, Sequence[tuple[Source, Mapping[str, Value]]]]  # by key: a document in its locales


@dataclass(frozen=True, slots=True)
class Inferred:
    """A collection as the API takes it (contract, "Management plane"), and the front-matter keys left out, with why."""

    collection: dict[str, Any]
    left_out: dict[str, str]
    has_authors: bool


def infer(key: str, documents: Documents, *, localized: bool) -> Inferred:
    """Design a collection for the documents."""
    seen: Counter[str] = Counter(name for _, front in _each(documents) for name in front)
    names = {name: field_key(name) for name, _ in seen.most_common()}
    left_out: dict[str, str] = {}
    inner: list[dict[str, Any]] = []
    used = set(RESERVED)
    for name, member in names.items():
        if name in ("title", "slug", DRAFT):
            continue
        if not member:
            left_out[name] = "Nothing of the key can be the key of a field."
        elif member in used:
            left_out[name] = f"Another key is the field {member} already."
        elif len(inner) >= MAX_FIELDS - len(RESERVED):
            left_out[name] = f"A collection has at most {MAX_FIELDS} fields."
        elif (found := _field(name, member, documents, localized=localized)) is not None:
            used.add(member)
            inner.append(found)
    room = MAX_FILTERABLE - 3  # title, slug and source path
    for found in sorted(inner, key=lambda item: _rank(item["type"])):
        if found["type"] in _FILTERED and room > 0:
            found["filterable"] = True
            room -= 1
    title = _text(
        "title", [text_of(v) for v in _values("title", documents) if isinstance(v, str | int | Decimal)]
    )
    title = (
        title
        if title["type"] == "text"
        else {"key": "title", "type": "text", "options": {"max_length": MAX_LINE}}
    )
    collection = {
        "key": key,
        "name": key.replace("_", " ").capitalize(),
        "localized": localized,
        "fields": [
            {**title, "required": True, "filterable": True, "localized": localized},
            _slug(documents, localized=localized),
            *inner,
            {"key": BODY, "type": "markdown", "localized": localized},
            {
                "key": SOURCE_PATH,
                "type": "text",
                "label": "Source path",
                "help": "The file that the entry was imported from; the next import finds the entry by it.",
                "unique": True,
                "filterable": True,
                "options": {"max_length": MAX_LINE},
            },
        ],
    }
    return Inferred(collection, left_out, any(item["type"] == "references" for item in inner))


def authors_collection() -> dict[str, Any]:
    """Return the collection that authors go into, where there is none yet."""
    return {
        "key": AUTHORS,
        "name": "Authors",
        "localized": False,
        "fields": [
            {"key": "name", "type": "text", "required": True, "filterable": True},
            {"key": "slug", "type": "slug", "options": {"from": "name", "unicode": True}},
            {"key": "handles", "type": "tags", "help": "What was in brackets behind the name, e.g. @ada."},
        ],
    }


def slug_source(key: str) -> str:
    """Return the words of a path that name its document: the file's name, of an index the folder's."""
    parts = [part for part in key.split("/") if part]
    while len(parts) > 1 and parts[-1].lower() in ("index", "readme", "_index"):
        parts.pop()
    return parts[-1] if parts else ""


def slug_words(text: str) -> str:
    """Return a name so that its parts stay apart in a slug: v1.10 is not v110."""
    return re.sub(r"[./\\+]+", "-", text)


def known_names(documents: Documents) -> frozenset[str]:
    """Return the names that stand alone in some document: they are names also between commas."""
    alone = (
        name_and_handle(names[0])[0]
        for _, front in _each(documents)
        for name in AUTHOR_KEYS & front.keys()
        if len(names := names_in(front[name])) == 1
    )
    return frozenset(name for name in alone if not re.search(r"[,;&]|\s(?:and|\+)\s", name))


def handles(documents: Documents) -> dict[str, list[str]]:
    """Return what stands in brackets behind each name, in the order of the documents."""
    found: dict[str, list[str]] = {}
    for _, front in _each(documents):
        for name in AUTHOR_KEYS & front.keys():
            for bare, handle in map(name_and_handle, names_in(front[name])):
                if handle and handle not in found.setdefault(bare, []):
                    found[bare].append(handle)
    return found


def _field(name: str, member: str, documents: Documents, *, localized: bool) -> dict[str, Any] | None:
    values = [
        value for value in _values(name, documents) if value is not None and value != "" and value != []
    ]
    if not values:
        return None
    differs = localized and _differs(name, documents)
    found: dict[str, Any]
    if member in AUTHOR_KEYS and all(names_in(value) for value in values):
        found = {"key": member, "type": "references", "options": {"collections": [AUTHORS]}}
    else:
        found = _typed(member, values)
    words = found["type"] in ("text", "long_text", "tags")
    return {**found, "localized": localized and (differs or words)}


def _typed(member: str, values: Sequence[Value]) -> dict[str, Any]:
    if all(isinstance(value, bool) for value in values):
        return {"key": member, "type": "boolean"}
    if any(isinstance(value, bool) for value in values):
        mixed = any(isinstance(value, list | dict) for value in values)
        return {"key": member, "type": "json"} if mixed else _texts(member, values)
    if all(isinstance(value, int) and abs(value) < 2**53 for value in values):
        return {"key": member, "type": "integer"}
    if all(isinstance(value, int | Decimal) for value in values):
        return {"key": member, "type": "decimal"}
    is_list = member in _TAG_KEYS or any(isinstance(value, list) for value in values)
    if is_list and all(_are_tags(list_of(value)) for value in values):
        return {"key": member, "type": "tags"}
    if any(isinstance(value, list | dict) for value in values):
        return {"key": member, "type": "json"}
    moments = [moment for value in values if isinstance(value, str) and (moment := moment_of(value))]
    if len(moments) >= max(1, _MOSTLY * len(values)):
        days = all(isinstance(value, str) and len(value.strip()) <= 10 for value in values)
        return {"key": member, "type": "date" if days else "datetime"}
    return _texts(member, values)


def _texts(member: str, values: Sequence[Value]) -> dict[str, Any]:
    texts = [text_of(value) for value in values if isinstance(value, str | int | Decimal)]
    distinct = sorted({unicodedata.normalize("NFC", text) for text in texts})
    is_line = all(len(text) <= 100 and text.isprintable() and text.strip() == text for text in distinct)
    few = (
        len(distinct) <= _MOST_CHOICES
        if member in _CHOICE_KEYS
        else len(distinct) <= min(_FEW, len(texts) // 5)
    )
    if is_line and few:
        return {"key": member, "type": "choice", "options": {"choices": list(distinct)}}
    if all(re.fullmatch(r"https?://[^\s\\]+", text) and len(text) <= MAX_LINE for text in texts):
        return {"key": member, "type": "url"}
    return _text(member, texts)


def _text(member: str, texts: list[str]) -> dict[str, Any]:
    longest = max((len(text) for text in texts), default=0)
    if longest > MAX_LINE or any("\n" in text or "\t" in text for text in texts):
        return {"key": member, "type": "long_text"}
    return {"key": member, "type": "text", "options": {"max_length": 255 if longest <= 255 else MAX_LINE}}


def _slug(documents: Documents, *, localized: bool) -> dict[str, Any]:
    slug_type = fields.get("slug")
    plain = FieldSpec(UUID(int=0), "slug", "slug")
    options: dict[str, Any] = {"from": "title"}
    if isinstance(slug_type, SlugField) and any(
        slug_type.suggest(slug_words(slug_source(key)), plain) is None for key in documents
    ):
        options["unicode"] = True
    return {
        "key": "slug",
        "type": "slug",
        "options": options,
        "localized": localized and _differs("slug", documents),
    }


def _differs(name: str, documents: Documents) -> bool:
    """Tell whether some document has not the same value in all its locales."""
    return any(
        any(front.get(name) != group[0][1].get(name) for _, front in group[1:])
        for group in documents.values()
    )


def _each(documents: Documents) -> Iterator[tuple[Source, Mapping[str, Value]]]:
    for group in documents.values():
        yield from group


def _values(name: str, documents: Documents) -> list[Value]:
    return [front[name] for _, front in _each(documents) if name in front]


def _are_tags(items: object) -> bool:
    return (
        isinstance(items, list)
        and len(items) <= MAX_TAGS
        and all(isinstance(item, str) and len(item) <= MAX_TAG and item.isprintable() for item in items)
    )


def _rank(type_key: str) -> int:
    return _FILTERED.index(type_key) if type_key in _FILTERED else len(_FILTERED)
