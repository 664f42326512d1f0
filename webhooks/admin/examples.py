"""What endpoints can hear of, in words and as an example of each: for people who choose, and who write a receiver."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from accounts.access import Principal
from content import schema
from content.schema import CollectionSpec
from webhooks import endpoints, payload, types

KINDS: Final[Mapping[str, str]] = {
    "entry": "Entries",
    "collection": "Collections",
    "asset": "Media",
    "form": "Forms",
    "backup": "Backups",
    "security": "Security",
    "webhook": "Tests",
}
WORDS: Final[Mapping[str, str]] = {
    "entry.created": "Somebody began an entry.",
    "entry.updated": "A new version was saved.",
    "entry.published": "It is public in a locale, anew or again.",
    "entry.unpublished": "It is public no more.",
    "entry.trashed": "It was put into the trash.",
    "entry.restored": "It was taken out of the trash.",
    "entry.deleted": "It was erased for good.",
    "collection.changed": "Its fields or settings changed.",
    "asset.created": "A file was uploaded. Nothing sends it yet.",
    "asset.deleted": "A file was removed. Nothing sends it yet.",
    "form.submitted": "A visitor sent a form.",
    "backup.completed": "A backup was made.",
    "backup.failed": "A backup could not be made, or old ones not removed.",
    "security.alert": "A rule found something to look at.",
    types.TEST: "What the button for a test sends. It comes in any case.",
}
_OF_COLLECTIONS: Final = frozenset({"entry", "collection", "form"})


@dataclass(frozen=True, slots=True)
class Choice:
    """One box to tick."""

    value: str
    name: str
    words: str
    is_group: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """A delivery of a type as a receiver gets it."""

    type: str
    body: str


def kinds(chosen: Iterable[str] = ()) -> list[tuple[str, list[Choice]]]:
    """Return the boxes by kind. That of tests, which come in any case, is there for who has ticked it before."""
    listed = [name for name in types.TYPES if name != types.TEST or name in chosen]
    return [
        (label, [*_group(kind), *(Choice(name, name, WORDS.get(name, "")) for name in _of(listed, kind))])
        for kind, label in KINDS.items()
        if _of(listed, kind)
    ]


def examples(by: Principal) -> list[Example]:
    """Return an example of every type, in a collection that the viewer can name."""
    known = list(endpoints.seen_collections(by).values())
    seen = [item for item in known if item.has_entries]
    forms = [item for item in known if item.form is not None]
    return [
        Example(name, _example(name, forms if name.startswith("form.") else seen)) for name in types.TYPES
    ]


def _example(name: str, seen: Sequence[CollectionSpec]) -> str:
    kind = name.partition(".")[0]
    usual = "contact" if kind == "form" else "articles"
    key = (seen[0].key if seen else usual) if kind in _OF_COLLECTIONS else None
    locale = schema.current().default_locale.code if kind == "entry" else None
    return payload.example(name, key, locale)


def _group(kind: str) -> Iterable[Choice]:
    group = f"{kind}.*"
    if group in types.GROUPS:
        yield Choice(group, f"All of {KINDS[kind].lower()}", "Types of later versions too.", is_group=True)


def _of(names: Iterable[str], kind: str) -> list[str]:
    return [name for name in names if name.partition(".")[0] == kind]
