"""Canaries of the leak probe: drafts that were never public, their pages, and words by which one gives itself away."""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from accounts.access import DataClass
from accounts.canonical import Json
from accounts.models import Event
from content import documents, fields, schema
from content.languages import search_config
from content.models import DraftDocument, PublishedDocument
from content.schema import CollectionSpec
from previews.addresses import AddressError, MissingValueError, filled, page_of, shown
from previews.models import HandoffUrl, PreviewSite

MOST_PAGES: Final = 4
LONG: Final = 24  # characters that never stand in two places by chance
_CANDIDATES: Final = 20  # newest drafts that are looked at, of one collection
_SHORTEST, _LONGEST = 8, 60  # characters of a fragment
_MOST_FRAGMENTS: Final = 6  # of one field
_SPOKEN: Final = frozenset(
    {"text", "long_text", "markdown", "rich_text", "blocks", "component", "components"}
)
_OPEN: Final = (DataClass.PUBLIC, DataClass.INTERNAL)
_RUN: Final = re.compile(r"[^\W_]+(?: [^\W_]+)*")
_TAG: Final = re.compile(r"<[^<>]{0,2000}>")
_ZEROS: Final = re.compile(r"&#0+(?=[0-9])")
_HUGE: Final = re.compile(r"&#[1-9][0-9]{7,}")  # beyond Unicode; Python refuses to read thousands of digits
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)

NO_DRAFT: Final = "No draft that was never public is shown on this site, so nothing was asked."
NO_PAGE: Final = (
    "Nobody can tell the page of a draft by the handoff URLs. "
    "Name it in them by the parameter path, as in ?path=/blog/{slug}."
)
NO_WORDS: Final = "The newest drafts say nothing that is not public already, so nothing was asked."


@dataclass(frozen=True, slots=True, repr=False)
class Canary:
    """A draft on a site. What is `shown` names fields by key; the rest holds what they say, and goes nowhere else."""

    entry_id: UUID
    locale: str
    page: str
    handoff: str
    shown_page: str
    shown_handoff: str
    words: Mapping[str, tuple[str, ...]]  # fragments, by the field's key

    def without(self, text: str) -> Mapping[str, tuple[str, ...]]:
        """Return the words without short ones that a page has anyway, in a menu or a footer."""
        forms = list(_forms(text))
        return {
            key: tuple(part for part in parts if len(part) >= LONG or not any(part in form for form in forms))
            for key, parts in self.words.items()
        }


def canaries_of(site: PreviewSite) -> tuple[list[Canary], str]:
    """Return the newest fitting draft of each collection and locale; where there is none, a sentence that says why.

    Each locale for itself: a site may guard the one and not the other.
    """
    found: list[tuple[datetime, Canary]] = []
    reasons: set[str] = set()
    present = schema.current()
    rows = list(site.handoff_urls.all())
    for row in rows:
        collection = present.by_id.get(row.collection_id)
        if collection is None or not collection.has_entries:
            continue
        own = {other.locale for other in rows if other.collection_id == row.collection_id}
        locales = [row.locale] if row.locale else [code for code in present.locale_by_code if code not in own]
        for locale in locales:
            for draft in _never_public(row, locale)[:_CANDIDATES]:
                fitting = _canary(draft, row, collection)
                if isinstance(fitting, Canary):
                    found.append((draft.updated_at, fitting))
                    break
                reasons.add(fitting)
    newest = sorted(found, key=lambda item: item[0], reverse=True)
    reason = next((text for text in (NO_PAGE, NO_WORDS) if text in reasons), NO_DRAFT)
    return [canary for _, canary in newest[:MOST_PAGES]], "" if newest else reason


def _never_public(row: HandoffUrl, locale: str) -> QuerySet[DraftDocument]:
    """Return the drafts that a handoff URL is for and that were never published in a locale, the newest first."""
    public = PublishedDocument.objects.filter(entry_id=OuterRef("entry_id"), locale=OuterRef("locale"))
    drafts = DraftDocument.objects.filter(
        locale=locale, collection_id=row.collection_id, status=DraftDocument.Status.DRAFT, trashed=False
    )
    return drafts.exclude(Exists(public)).order_by("-updated_at", "entry_id")


def _canary(draft: DraftDocument, row: HandoffUrl, collection: CollectionSpec) -> Canary | str:
    """Return the canary that a draft makes, or why it makes none."""
    events = Event.objects.about("entry", str(draft.entry_id))
    if events.filter(type="entry.published", locale=draft.locale).exists():
        return NO_DRAFT
    open_ids = {str(spec.id) for spec in collection.fields if spec.data_class in _OPEN}
    values = {key: value for key, value in draft.data.items() if key in open_ids}
    system = {"_id": str(draft.entry_id), "_locale": draft.locale, "_collection": collection.key}
    told = shown(row.url, collection)
    try:
        handoff = filled(row.url, collection, values, system)
        page, shown_page = page_of(handoff), page_of(told)
    except MissingValueError:
        return NO_WORDS
    except AddressError:
        return NO_PAGE
    if page is None or shown_page is None:
        return NO_PAGE
    words = _words(collection, values, draft.locale, page)
    if not any(words.values()):
        return NO_WORDS
    shown_page = shown_page.replace("%7B", "{").replace("%7D", "}")
    return Canary(draft.entry_id, draft.locale, page, handoff, shown_page, told, words)


# --- Words ----------------------------------------------------------------------------------------------------------


def _words(
    collection: CollectionSpec, values: Mapping[str, Json], locale: str, page: str
) -> dict[str, tuple[str, ...]]:
    """Return fragments of the texts, by field, that stand in nothing that is published, nor in the page's address."""
    present = schema.current()
    delivered = documents.resolve(collection, values, present)
    fragments: dict[str, list[str]] = {}
    for spec in collection.fields:
        value = delivered.get(str(spec.id))
        if value is not None and spec.type in _SPOKEN and spec.data_class in _OPEN:
            text = fields.get(spec.type).search_text(value, spec, present)[: documents.MAX_WORDS]
            fragments[spec.key] = [part for part in _spread(list(_fragments(text))) if part not in page]
    new = _nowhere_public(set(chain.from_iterable(fragments.values())), locale)
    return {key: tuple(part for part in parts if part in new) for key, parts in fragments.items()}


def _fragments(text: str) -> Iterator[str]:
    """Yield runs of whole words, without the signs between them that each site writes in its own way."""
    for line in text.splitlines():
        for run in _RUN.findall(" ".join(line.split())):
            part = ""
            for word in run.split(" "):
                if part and len(part) + 1 + len(word) > _LONGEST:
                    yield from _long_enough(part)
                    part = ""
                part = f"{part} {word}" if part else word[:_LONGEST]
            yield from _long_enough(part)


def _long_enough(part: str) -> Iterator[str]:
    if len(part) >= _SHORTEST:
        yield part


def _spread(parts: list[str]) -> list[str]:
    """Return some of the fragments, from the beginning to the end: a page may show a part of a text only."""
    parts = list(dict.fromkeys(parts))
    if len(parts) <= _MOST_FRAGMENTS:
        return parts
    return [parts[number * (len(parts) - 1) // (_MOST_FRAGMENTS - 1)] for number in range(_MOST_FRAGMENTS)]


def _nowhere_public(parts: set[str], locale: str) -> set[str]:
    """Return the fragments that no published document has, by its search index; stop words alone don't count."""
    configs = sorted({search_config(item.code) for item in schema.current().locales} | {"simple"})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT part FROM unnest(%s::text[]) part"
            " WHERE numnode(phraseto_tsquery(%s::regconfig, part)) > 0 AND NOT EXISTS"
            " (SELECT 1 FROM unnest(%s::regconfig[]) config, content_publishedsearch words"
            "  WHERE words.vector @@ phraseto_tsquery(config, part))",
            [sorted(parts), search_config(locale), configs],
        )
        return {str(row[0]) for row in cursor.fetchall()}


# --- Searching an answer --------------------------------------------------------------------------------------------


def told_by(text: str, words: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the keys of the fields of which an answer holds words: as text, in markup, or in a script's data."""
    forms = list(_forms(text))
    return [key for key, parts in words.items() if any(part in form for part in parts for form in forms)]


def _forms(text: str) -> Iterator[str]:
    """Yield what an answer may be read as. Time is linear in its length, whatever a stranger sent."""
    for plain in (text, _ESCAPE.sub(_unescaped, text)):
        unescaped = _without_references(plain)
        yield " ".join(_TAG.sub("", unescaped).split())
        yield " ".join(_TAG.sub(" ", unescaped).split())
        yield " ".join(_without_references(_TAG.sub("", plain)).split())


def _without_references(text: str) -> str:
    return html.unescape(_HUGE.sub("&#99999999", _ZEROS.sub("&#", text)))


def _unescaped(escape: re.Match[str]) -> str:
    """Turn an escape of JSON and JavaScript into its sign."""
    return (
        chr(int(escape[1], 16)) if escape[1] else {"n": "\n", "r": "\n", "t": "\t"}.get(escape[2], escape[2])
    )
