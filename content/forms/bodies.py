"""The encrypted body of a submission: made from what was sent, and read again by whom a grant lets."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from accounts.access import Grant
from accounts.canonical import Json
from accounts.keyring import KeyRingError, key_ring
from content import fields
from content.fields.base import FieldSpec
from content.forms.modelling import at_least_personal
from content.models import Field, Submission
from content.schema import AsksSchema, CollectionSpec, Schema, spec_of

UNREADABLE = (
    "The body of this submission can't be opened: its key is gone from the key ring, or it was altered."
)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a submission says, as far as a grant goes: live fields in their order, then those that were removed."""

    values: Mapping[str, Json]  # by key, in the form of the API
    former: tuple[tuple[FieldSpec, Json], ...]
    specs: tuple[FieldSpec, ...]  # the live fields that may be read
    address: str
    fault: str = ""
    # What was sent into these fields, by id, with parts that their components have no more: to search in.
    stored: Mapping[str, Json] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> list[str]:
        """Return the keys of what is told, for the log."""
        return [*self.values, *(spec.key for spec, _ in self.former), *(["_address"] if self.address else [])]

    def as_json(self) -> dict[str, Json]:
        """Return what the API shows."""
        found: dict[str, Json] = {"fields": dict(self.values)}
        if self.former:
            found["former_fields"] = [
                {"id": str(spec.id), "key": spec.key, "value": value} for spec, value in self.former
            ]
        if self.address:
            found["address"] = self.address
        return found | ({"fault": self.fault} if self.fault else {})


def seal(submission: Submission, values: Mapping[str, Json], *, address: str) -> None:
    """Put values, by field id and canonical, into a new row."""
    content = {"fields": dict(values), **({"address": address} if address else {})}
    plain = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    submission.body = key_ring().encrypt(plain, context=submission.context)


class Reading:
    """Opens submissions of one form: its fields, the removed ones too, are read once for many."""

    def __init__(self, form: CollectionSpec, present: Schema, grants: Sequence[Grant]) -> None:
        """`grants`: what is told must be in each of them."""
        self.specs = tuple(spec for spec in form.fields if all(grant.allows(spec) for grant in grants))
        removed = Field.objects.filter(collection_id=form.id, removed_at__isnull=False).order_by(
            "removed_at", "pk"
        )
        classed = [
            replace(spec, data_class=at_least_personal(spec.data_class)) for spec in map(spec_of, removed)
        ]
        self.former = tuple(spec for spec in classed if all(grant.allows(spec) for grant in grants))
        self._readable = {str(spec.id) for spec in (*self.specs, *self.former)}
        # The address is no field, so no policy can name it: it is for who may read all there is.
        self.shows_address = len(self.specs) == len(form.fields)
        self._context = _Context(present)

    def open(self, submission: Submission) -> Opened:
        """Return what may be read. A body that can't be opened is told as that, and stops no list or export."""
        try:
            content = json.loads(key_ring().decrypt(submission.body, context=submission.context))
        except (KeyRingError, ValueError):
            return Opened({}, (), self.specs, "", UNREADABLE)
        stored: dict[str, Json] = content["fields"]
        return Opened(
            {spec.key: self._shaped(spec, stored) for spec in self.specs},
            tuple(
                (spec, self._shaped(spec, stored))
                for spec in self.former
                if stored.get(str(spec.id)) is not None
            ),
            self.specs,
            str(content.get("address", "")) if self.shows_address else "",
            stored={name: value for name, value in stored.items() if name in self._readable},
        )

    def _shaped(self, spec: FieldSpec, stored: Mapping[str, Json]) -> Json:
        value = stored.get(str(spec.id))
        return None if value is None else fields.get(spec.type).shape_draft(value, spec, self._context)


@dataclass(frozen=True, slots=True)
class _Context(AsksSchema):
    """What shaping may ask: components, and no entry."""

    schema: Schema

    def reference(self, entry_id: UUID) -> Json:  # noqa: ARG002 (the protocol's; a form holds no references)
        return None


def texts(value: Any) -> Iterable[str]:
    """Yield every text inside a JSON value."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
