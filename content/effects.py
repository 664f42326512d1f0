"""What a change of a collection does to its entries, told before it is done."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from accounts.access import SENSITIVE, Principal
from accounts.canonical import Json
from content import documents, fields, retention
from content.designing import Design
from content.fields.base import FieldError, FieldSpec
from content.forms.options import FormOptions
from content.models import Collection, DraftDocument, Entry, Submission
from content.schema import CollectionSpec, Schema
from content.sealing import with_keys
from content.writing import Writing


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change does to existing entries: how many it touches, and of how many something is lost."""

    field: str
    change: str  # removed, converted, shortened, required, tightened, shared, localized, sealed, opened,
    # erased, deleted
    affected: int
    lost: int
    detail: str

    @property
    def is_asked_for(self) -> bool:
        """Whether the change needs a confirmation: what is lost, or read once, no other change brings back."""
        return bool(self.lost) or self.change == "opened"

    def as_json(self) -> dict[str, Json]:
        return {
            "field": self.field,
            "change": self.change,
            "affected": self.affected,
            "lost": self.lost,
            "detail": self.detail,
        }


def effects_of(before: CollectionSpec, design: Design, present: Schema, by: Principal) -> list[Effect]:
    effects: list[Effect] = []
    kept = {old.id for old in design.before.values()}
    for spec in before.fields:
        if spec.id not in kept and (count := _holding(before, spec)):
            lost = _told(count, "loses its", "lose their")
            detail = f"{spec.name} is removed; {lost} value in it (old versions keep it)."
            effects.append(Effect(spec.key, "removed", count, count, detail))
    if before.form is not None and design.spec.form is not None:
        effects += _shorter(before.id, before.form, design.spec.form)
    writing = Writing(present.having(design.spec), design.spec, by).unrestricted
    for spec in design.spec.fields:
        old = design.before.get(spec.id)
        if old is None:
            if spec.required and spec.default is None and (count := _entries(before)):
                effects.append(_required(spec, count))
            continue
        effects += _effects_on_field(before, old, spec, writing)
    return effects + _effects_of_retention(before, design)


def _effects_of_retention(before: CollectionSpec, design: Design) -> list[Effect]:
    after = design.spec.retention
    if after is None or after == before.retention:
        return []
    count = Entry.objects.filter(retention.due(before, after)).count()
    detail = (
        f"{_told(count, 'is', 'are')} older than that already, and erased for good within minutes,"
        " with every version."
    )
    return [Effect("", "erased", count, count, detail)] if count else []


def effects_of_deletion(collection_id: UUID) -> list[Effect]:
    """Return what goes with a collection: its entries, and what visitors sent."""
    entries = Entry.objects.filter(collection_id=collection_id).count()
    sent = Submission.objects.filter(form_id=collection_id).count()
    told = (
        (entries, f"{_told(entries, 'is', 'are')} erased, with all versions."),
        (sent, f"{_number(sent, 'submission is', 'submissions are')} erased."),
    )
    return [Effect("", "deleted", count, count, detail) for count, detail in told if count]


def _shorter(form_id: UUID, before: FormOptions, after: FormOptions) -> list[Effect]:
    """A shorter time holds for what was sent already as well."""
    if after.retention_days >= before.retention_days:
        return []
    count = (
        Submission.objects.live()
        .filter(form_id=form_id, received_at__lte=timezone.now() - after.retention)
        .count()
    )
    detail = f"{_number(count, 'submission is', 'submissions are')} older than that and will be erased."
    return [Effect("", "shortened", count, count, detail)] if count else []


def _number(count: int, one: str, many: str) -> str:
    return f"1 {one}" if count == 1 else f"{count} {many}"


def _effects_on_field(
    before: CollectionSpec, old: FieldSpec, new: FieldSpec, writing: Writing
) -> list[Effect]:
    effects: list[Effect] = _effects_of_sealing(before, old, new, writing)
    if old.id != new.id:
        affected, lost = set(), set()
        for entry_id, value in _values(before, old):
            affected.add(entry_id)
            if convert(old, new, value, writing) is None:
                lost.add(entry_id)
        kind, kept = fields.get(new.type).label.lower(), len(affected) - len(lost)
        detail = (
            f"{new.name} becomes {kind}: {_told(kept, 'keeps its', 'keep their')} value,"
            f" {len(lost)} {'loses' if len(lost) == 1 else 'lose'} it."
        )
        if affected:
            effects.append(Effect(new.key, "converted", len(affected), len(lost), detail))
    elif old.options != new.options:
        bad = {entry_id for entry_id, value in _values(before, old) if not _is_clean(value, new, writing)}
        if bad:
            detail = (
                f"{_told(len(bad), 'has', 'have')} a value in {new.name} that is no longer allowed;"
                " it stays until the next publishing, which asks for another one."
            )
            effects.append(Effect(new.key, "tightened", len(bad), 0, detail))
    if new.required and not old.required and new.default is None:
        count = _entries(before) - _holding(before, old)
        if count > 0:
            effects.append(_required(new, count))
    if old.localized and not new.localized and old.id == new.id:
        lost_entries = _differing_by_locale(before, old)
        if lost_entries:
            detail = (
                f"{new.name} becomes one for all locales;"
                f" {_told(lost_entries, 'loses', 'lose')} what differs from the default locale."
            )
            effects.append(Effect(new.key, "shared", lost_entries, lost_entries, detail))
    return effects


def _required(spec: FieldSpec, count: int) -> Effect:
    detail = f"{_told(count, 'lacks', 'lack')} {spec.name}, which is needed to publish again."
    return Effect(spec.key, "required", count, 0, detail)


def _told(count: int, one: str, many: str) -> str:
    return f"1 entry {one}" if count == 1 else f"{count} entries {many}"


def _entries(collection: CollectionSpec) -> int:
    return Entry.objects.filter(collection_id=collection.id).count()


def _drafts(collection: CollectionSpec, spec: FieldSpec) -> QuerySet[DraftDocument]:
    return DraftDocument.objects.filter(collection_id=collection.id, sealed__has_key=str(spec.id))


def _values(collection: CollectionSpec, spec: FieldSpec) -> Iterator[tuple[UUID, Json]]:
    """Yield the values of a field in all drafts, opened, with their entries."""
    for draft in with_keys(_drafts(collection, spec).order_by("pk").iterator(chunk_size=500)):
        yield draft.entry_id, draft.data[str(spec.id)]


def _effects_of_sealing(
    before: CollectionSpec, old: FieldSpec, new: FieldSpec, writing: Writing
) -> list[Effect]:
    """Say what it means that a field becomes personal or secret, or no longer is."""
    data_class = fields.get(new.type).data_class(new, writing.schema)
    is_sealed = data_class in SENSITIVE
    if is_sealed == old.is_sensitive or (is_sealed and old.id != new.id):
        return []
    count = _holding(before, old)
    if not is_sealed and before.kind == Collection.Kind.COMPONENT:
        detail = f"{new.name} is {data_class} from now on, in all entries that hold this component, old versions too."
        return [Effect(new.key, "opened", 0, 0, detail)]
    if not is_sealed:
        detail = (
            f"{new.name} is {data_class} from now on: {_told(count, 'shows its', 'show their')} value to whoever may"
            " read every field, old versions too. Values are opened in the background."
        )
        return [Effect(new.key, "opened", count, 0, detail)] if count else []
    means = [
        what
        for what, is_so in (("filtered and sorted by", old.filterable), ("kept unique", old.unique))
        if is_so
    ]
    lost = f" It can no longer be {' or '.join(means)}." if means else ""
    for slug in before.fields:
        if getattr(slug.options, "from_key", None) == old.key:
            lost += f" What was made of it in {slug.name} stays there, in clear and in addresses: write others by hand."
    detail = (
        f"{new.name} is {data_class} from now on: the values of {count} {'entry' if count == 1 else 'entries'} are"
        f" sealed in the background, old versions too, and are no longer found by a search.{lost}"
    )
    return [Effect(new.key, "sealed", count, count if means else 0, detail)] if count or means else []


def _holding(collection: CollectionSpec, spec: FieldSpec) -> int:
    return _drafts(collection, spec).values("entry_id").distinct().count()


def _differing_by_locale(collection: CollectionSpec, spec: FieldSpec) -> int:
    found: dict[UUID, set[bytes]] = {}
    for entry_id, value in _values(collection, spec):
        found.setdefault(entry_id, set()).add(documents.digest_of(value).encode())
    return sum(len(values) > 1 for values in found.values())


def _is_clean(value: Json, spec: FieldSpec, writing: Writing) -> bool:
    try:
        fields.get(spec.type).clean(value, spec, writing)
    except FieldError:
        return False
    return True


def convert(old: FieldSpec, new: FieldSpec, value: Json, writing: Writing) -> Json:
    """Return a value of a field as its new type, None when it can't be kept."""
    try:
        return fields.get(old.type).convert(value, fields.get(new.type), new, writing)
    except FieldError:
        return None
