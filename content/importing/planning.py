"""Which field takes which key of the front matter, and by which field a document finds its entry again."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from content import fields
from content.fields.base import FieldSpec
from content.fields.slug import SlugField
from content.importing.inference import BODY, DRAFT, SOURCE_PATH, slug_words
from content.importing.values import field_key
from content.schema import CollectionSpec


class ImportRefusedError(Exception):
    """The import can't start; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The fields of a collection in their parts. An entry is found by `path` where there is one, else by its slug."""

    body: FieldSpec
    title: FieldSpec | None
    slug: FieldSpec | None
    path: FieldSpec | None
    takes: Mapping[str, FieldSpec]  # front-matter key → field
    ignored: Mapping[str, tuple[int, str]] = field(default_factory=dict)  # key → documents, reason

    def slug_of(self, text: str) -> str | None:
        """Return the slug made of a text, None when nothing is left of it."""
        slug_type = fields.get("slug")
        if self.slug is None or not isinstance(slug_type, SlugField):
            return None
        return slug_type.suggest(slug_words(text), self.slug)


def plan_for(collection: CollectionSpec, counts: Mapping[str, int], left_out: Mapping[str, str]) -> Plan:
    """Plan for the front-matter keys of a folder (with the number of their documents, the most frequent first).

    Raises ImportRefusedError when the collection has no field for the text, or none to find documents by.
    """
    bodies = [spec for kind in ("markdown", "long_text") for spec in collection.fields if spec.type == kind]
    named = collection.by_key.get(BODY)
    body = named if named in bodies else next(iter(bodies), None)
    slug = collection.slug_field
    path = collection.by_key.get(SOURCE_PATH)
    path = path if path and path.type == "text" and path.unique and not path.localized else None
    if body is None:
        raise ImportRefusedError("The collection has no field of type markdown for the text.")
    if path is None and slug is None:
        raise ImportRefusedError(
            f"The collection needs a slug, or a unique text field {SOURCE_PATH}, to find documents again."
        )
    takes: dict[str, FieldSpec] = {}
    ignored: dict[str, tuple[int, str]] = {}
    taken = {spec.key for spec in (body, path, slug) if spec is not None}
    for name, count in counts.items():
        spec = collection.by_key.get(field_key(name))
        if name == "title" and "title" not in collection.by_key:
            spec = collection.title_field
        if (name == DRAFT and spec is None) or (name == "slug" and slug is not None and spec in (None, slug)):
            continue
        if spec is None or spec.key in taken or name in left_out:
            ignored[name] = (count, left_out.get(name) or "The collection has no field of its own for it.")
            continue
        taken.add(spec.key)
        takes[name] = spec
    return Plan(body, collection.title_field, slug, path, takes, ignored)
