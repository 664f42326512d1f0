"""Modelling: making, changing and deleting collections. Says beforehand what a change does to existing content.

A field's id has one type for ever: renaming keeps the id, converting makes a new one and new versions of the entries,
removing keeps the row for old versions to be read by. Nothing here touches an old version; where a field becomes
sensitive, or no longer is, the worker has them sealed or opened.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from accounts.access import Action, Principal
from accounts.canonical import Json
from accounts.errors import (
    ConfirmationRequiredError,
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
)
from accounts.log import Subject, record
from accounts.models import Generation, Policy
from content import documents, fields, indexing, schema, witnesses
from content.designing import Design, NewIds, read_design
from content.documents import VersionData
from content.editing import save_version, write_drafts
from content.effects import Effect, convert, effects_of, effects_of_deletion
from content.fields.base import FieldSpec
from content.forms import keeping
from content.forms.options import FormOptions
from content.models import Collection, DraftDocument, Entry, Field, SavedView, Submission, Version
from content.publishing import write_documents
from content.rebuilding import name_drafts, rebuild_later, reseal_later
from content.schema import CollectionSpec, Schema
from content.witnesses import Vanishing
from content.writing import Writing, schema_lock


@transaction.atomic
def create_collection(
    raw: Mapping[str, object], *, by: Principal, ids: NewIds | None = None
) -> CollectionSpec:
    """Create a collection from its JSON (contract, "Management plane"); raise with every fault where it stands.

    `ids` are those of a collection of another house, none of which may be known here.
    """
    if not may_create(by):
        raise NotAllowedError("You may not create collections.")
    _require_unknown(ids)
    design = read_design(raw, None, by=by, ids=ids)
    row = Collection.objects.create(
        id=design.spec.id,
        key=design.spec.key,
        name=design.spec.name,
        description=design.description,
        kind=design.spec.kind,
        localized=design.spec.localized,
        retention=design.spec.retention.as_json() if design.spec.retention else None,
        form=_stored(design.spec.form),
    )
    for position, spec in enumerate(design.spec.fields):
        _write_field(row, spec, position)
    return _finish(row.pk, by, "created", sorted(spec.key for spec in design.spec.fields))


def effects_of_change(
    collection_id: UUID, raw: Mapping[str, object], *, by: Principal, ids: NewIds | None = None
) -> list[Effect]:
    """Return what a change would do to existing content, without doing it."""
    present = schema.read()
    before = _managed(present, collection_id, by)
    return effects_of(before, read_design(raw, before, by=by, ids=ids), present, by)


@transaction.atomic
def change_collection(
    collection_id: UUID,
    raw: Mapping[str, object],
    *,
    by: Principal,
    confirm: bool = False,
    ids: NewIds | None = None,
) -> CollectionSpec:
    """Change a collection; `fields`, when given, is the whole new list (matched by `id`, else by `key`).

    `ids` are those that new and converted fields have in another house, none of which may be known here.

    Raises `ConfirmationRequiredError` with the effects when data would be lost and `confirm` is not set.
    """
    row = _alone(collection_id)
    present = schema.read()
    before = _managed(present, collection_id, by)
    _require_unknown(ids)
    design = read_design(raw, before, by=by, ids=ids)
    _refuse_what_policies_compare(before, design)
    effects = effects_of(before, design, present, by)
    if any(effect.is_asked_for for effect in effects) and not confirm:
        raise ConfirmationRequiredError(effects=[effect.as_json() for effect in effects])
    after = design.spec
    row.key, row.name, row.description = after.key, after.name, design.description
    row.localized, row.form = after.localized, _stored(after.form)
    row.retention = after.retention.as_json() if after.retention else None
    row.save()
    _keep_sealed_what_goes(before, design)
    kept = {spec.id for spec in after.fields}
    _free_keys(before, after)
    Field.objects.filter(collection=row, removed_at=None).exclude(pk__in=kept).update(
        removed_at=timezone.now()
    )
    for position, spec in enumerate(after.fields):
        old = design.before.get(spec.id)
        _write_field(row, spec, position, is_sealed=bool(old and old.id == spec.id and old.is_sealed))
    _carry_policies(design)
    after_schema = schema.read()
    if _moves_data(before, design):
        writing = Writing(after_schema, after_schema.by_id[collection_id], by)
        _rewrite_entries(_transformer(design, writing), writing)
    elif _needs_claims(design):
        _claim_everything(Writing(after_schema, after_schema.by_id[collection_id], by))
    if _title_id(before) != _title_id(after_schema.by_id[collection_id]):
        name_drafts(after_schema.by_id[collection_id])
    _forget_compared(before, after_schema.by_id[collection_id])
    for collection in after_schema.collections:
        if collection.id in present.by_id and _seals_others(collection, present, after_schema):
            reseal_later(collection.id, "Which fields are personal or secret has changed")
    if _changes_documents(design):
        rebuild_later(collection_id, "The schema changed")
    if before.form is not None and after.form is not None:
        keeping.shorten(collection_id, after.form)
    opened = [
        spec.key
        for spec in after_schema.by_id[collection_id].fields
        if not spec.is_sensitive and (old := design.before.get(spec.id)) and old.is_sensitive
    ]
    return _finish(
        collection_id,
        by,
        "changed",
        sorted(_differing(before, design)),
        _changed_options(before, after),
        opened=opened,
        erased=sum(effect.lost for effect in effects if effect.change in ("erased", "shortened")),
    )


@transaction.atomic
def delete_collection(collection_id: UUID, *, by: Principal, confirm: bool = False) -> None:
    """Delete a collection with its entries. Refused while other collections refer to it."""
    row = _alone(collection_id)
    present = schema.read()
    before = _managed(present, collection_id, by)
    users = [other for other in present.collections if other.id != collection_id and _names(other, before)]
    if users:
        seen = sorted(
            other.name for other in users if any(by.grant(action, on=other.resource) for action in Action)
        )
        shown = ", ".join(seen) or "collections that you can't see"
        raise ConflictError(f"Used by {shown}. Change those first.", code="in-use")
    effects = effects_of_deletion(collection_id)
    if effects and not confirm:
        raise ConfirmationRequiredError(effects=[effect.as_json() for effect in effects])
    witnesses.call(Vanishing(before, None, is_erased=True))
    indexing.drop_later(row)
    Version.objects.filter(entry__collection=row).delete()
    _, entries = Entry.objects.filter(collection=row).delete()
    sent, _ = Submission.objects.filter(form=row).delete()
    Policy.objects.filter(collection_id=collection_id).delete()
    row.delete()
    record(
        "collection.changed",
        actor=by,
        subject=Subject("collection", str(collection_id)),
        detail={
            "change": "deleted",
            "key": before.key,
            "entries": entries.get("content.Entry", 0),
            **({"submissions": sent} if sent else {}),
        },
    )
    Generation.objects.bump(schema.GENERATION, "access", f"content:{collection_id}")


def may_create(by: Principal) -> bool:
    """Tell whether the principal manages the schema of every collection, and so may add some."""
    everywhere = UUID(int=0)  # stands for a collection that no policy names
    return bool(
        by.grant(Action.MANAGE_SCHEMA, on=CollectionSpec(everywhere, "", "", "many", False, ()).resource)
    )


def _alone(collection_id: UUID) -> Collection:
    """Lock a collection against every writer of its entries, or raise `NotFoundError`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", schema_lock(collection_id))
    row = Collection.objects.select_for_update().filter(pk=collection_id).first()
    if row is None:
        raise NotFoundError
    return row


def _managed(present: Schema, collection_id: UUID, by: Principal) -> CollectionSpec:
    found = present.by_id[collection_id]
    if not by.grant(Action.MANAGE_SCHEMA, on=found.resource):
        if not any(by.grant(action, on=found.resource) for action in (Action.READ, Action.READ_DRAFT)):
            raise NotFoundError
        raise NotAllowedError("You may not change this collection.")
    return found


def _write_field(row: Collection, spec: FieldSpec, position: int, *, is_sealed: bool = False) -> None:
    values = {
        "collection": row,
        "key": spec.key,
        "type": spec.type,
        "label": spec.label,
        "help": spec.help,
        "group": spec.group,
        "position": position,
        "required": spec.required,
        "localized": spec.localized,
        "unique": spec.unique,
        "filterable": spec.filterable,
        "default": spec.default,
        "data_class": spec.data_class,
        "is_sealed": is_sealed,
        "options": fields.get(spec.type).store_options(spec.options),
        "condition": spec.condition.as_json() if spec.condition else None,
        "removed_at": None,
    }
    Field.objects.update_or_create(id=spec.id, defaults=values)


def _free_keys(before: CollectionSpec, after: CollectionSpec) -> None:
    """Take their keys from renamed fields first: two that change places would each find the other's key taken."""
    for spec in after.fields:
        old = before.by_id.get(spec.id)
        if old is not None and old.key != spec.key:
            Field.objects.filter(pk=spec.id).update(key=f"_{spec.id.hex}")


def _require_unknown(ids: NewIds | None) -> None:
    """Refuse an id that is taken, be it by a removed field: what is made anew inherits nothing."""
    if ids is None:
        return
    wanted = list(ids.fields.values())
    is_repeated = len(set(wanted)) < len(wanted)
    if (
        is_repeated
        or Field.objects.filter(pk__in=wanted).exists()
        or (ids.collection and Collection.objects.filter(pk=ids.collection).exists())
    ):
        raise ConflictError("The id of something new is taken already.", code="id-taken")


def _forget_compared(before: CollectionSpec, after: CollectionSpec) -> None:
    """Take out of saved views what was compared with fields that are sealed now: it may be a value of theirs."""
    newly = after.sensitive_ids - before.sensitive_ids
    for view in SavedView.objects.select_for_update() if newly else ():
        filters = view.query.get("filters", [])
        kept = [item for item in filters if newly.isdisjoint(re.split(r"[.|]", item[0]))]
        if len(kept) < len(filters):
            view.query = {**view.query, "filters": kept}
            view.save(update_fields=["query"])


def _refuse_what_policies_compare(before: CollectionSpec, design: Design) -> None:
    """Refuse to seal a field that the conditions of policies look at: they would hold for no entry any more."""
    newly = {
        str(old.id): spec.name
        for spec in design.spec.fields
        if spec.is_sensitive and (old := design.before.get(spec.id)) and not old.is_sealed
    }
    for policy in Policy.objects.filter(collection_id=before.id) if newly else ():
        for name, *_ in policy.rows:
            if name in newly:
                raise ConflictError(
                    f"A policy of the role {policy.role} compares {newly[name]}. Change the policy first.",
                    code="in-use",
                )


def _keep_sealed_what_goes(before: CollectionSpec, design: Design) -> None:
    """Note which fields that are removed or converted were or become sensitive: old versions hold values of them."""
    classes = {spec.id: spec.data_class for spec in before.fields if spec.is_sensitive}
    for spec in design.spec.fields:
        old = design.before.get(spec.id)
        if old is not None and old.id != spec.id and spec.is_sensitive:
            classes.setdefault(old.id, spec.data_class)
    kept = {spec.id for spec in design.spec.fields}
    for field_id, data_class in classes.items():
        if field_id not in kept:
            Field.objects.filter(pk=field_id).update(data_class=data_class)


def _seals_others(collection: CollectionSpec, before: Schema, after: Schema) -> bool:
    """Tell whether other values than before have to be sealed, also where a component that it holds has changed."""
    old = before.by_id[collection.id]
    sealed = after.by_id[collection.id].sensitive_ids | after.gone_sensitive
    return old.has_entries and any(
        (str(spec.id) in old.sensitive_ids) != (str(spec.id) in sealed) for spec in old.fields
    )


def _moves_data(before: CollectionSpec, design: Design) -> bool:
    """Tell whether values change their place: another id after a conversion, or shared instead of by locale."""
    if before.localized != design.spec.localized:
        return True
    return any(
        (old := design.before.get(spec.id)) is not None
        and (old.id != spec.id or old.localized != spec.localized)
        for spec in design.spec.fields
    )


def _needs_claims(design: Design) -> bool:
    return any(
        spec.unique and not ((old := design.before.get(spec.id)) and old.unique)
        for spec in design.spec.fields
    )


def _changes_documents(design: Design) -> bool:
    def relevant(spec: FieldSpec) -> object:
        return (spec.default, spec.condition, spec.options, spec.required)

    return any(
        relevant(spec)
        != (relevant(old) if (old := design.before.get(spec.id)) else (None, None, spec.options, False))
        for spec in design.spec.fields
    )


def _differing(before: CollectionSpec, design: Design) -> set[str]:
    kept = {old.id for old in design.before.values()}
    gone = {spec.key for spec in before.fields if spec.id not in kept}
    return gone | {spec.key for spec in design.spec.fields if design.before.get(spec.id) != spec}


def _transformer(design: Design, writing: Writing) -> Callable[[VersionData], VersionData]:
    """Return what moves a version's data to its new places, converted where a field has another type now."""

    def transform(data: VersionData) -> VersionData:
        moved: VersionData = {place: dict(values) for place, values in data.items()}
        for spec in writing.collection.fields:
            old = design.before.get(spec.id)
            if old is None or old.id == spec.id:
                continue
            for values in moved.values():
                if str(old.id) in values:
                    values[str(spec.id)] = convert(old, spec, values[str(old.id)], writing.unrestricted)
        return documents.placed(writing.collection, moved, writing.schema)

    return transform


def _rewrite_entries(transform: Callable[[VersionData], VersionData], writing: Writing) -> None:
    """Give every entry a new version with its data in the new places; what is public stays public, as converted."""
    message = "The schema changed"
    for entry in (
        Entry.objects.filter(collection_id=writing.collection.id).select_for_update().iterator(chunk_size=500)
    ):
        latest = entry.versions.get(number=entry.latest_number)
        live = DraftDocument.objects.filter(entry=entry, published_number__isnull=False)
        for number in sorted({draft.published_number or 0 for draft in live}):
            if number != latest.number:
                old = entry.versions.get(number=number)
                copy = save_version(entry, transform(old.data), writing=writing, message=message)
                live.filter(published_number=number).update(published_number=copy.number)
        newest = save_version(entry, transform(latest.data), writing=writing, message=message)
        live.filter(published_number=latest.number).update(published_number=newest.number)
        write_drafts(entry, newest, writing)
        write_documents(entry, writing.collection, writing)


def _title_id(collection: CollectionSpec) -> UUID | None:
    return collection.title_field.id if collection.title_field else None


def _claim_everything(writing: Writing) -> None:
    """Claim values that must be unique from now on; duplicates refuse the change, with their number."""
    refused = 0
    for entry in Entry.objects.filter(collection_id=writing.collection.id).iterator(chunk_size=500):
        live = DraftDocument.objects.filter(entry=entry, published_number__isnull=False)
        numbers = {draft.published_number or 0 for draft in live} | {entry.latest_number}
        versions = entry.versions.filter(number__in=numbers)
        try:
            writing.claim_unique_values(entry, versions)
        except InvalidInputError:
            refused += 1
    if refused:
        raise ConflictError(
            f"{refused} entries hold a value that another one has as well. Change those first.",
            code="not-unique",
        )


def _carry_policies(design: Design) -> None:
    """A converted field has a new id; what was granted on the old one goes over, as part of the same act."""
    changed = {str(old.id): str(new) for new, old in design.before.items() if old.id != new}
    if not changed:
        return
    for policy in Policy.objects.filter(collection_id=design.spec.id).select_for_update():
        policy.field_ids = [changed.get(str(item), item) for item in policy.field_ids or []]
        policy.rows = [[changed.get(str(row[0]), row[0]), *row[1:]] for row in policy.rows]
        policy.presets = {changed.get(key, key): value for key, value in policy.presets.items()}
        policy.save()
    Generation.objects.bump("access")


def _names(other: CollectionSpec, collection: CollectionSpec) -> bool:
    """Tell whether another collection's fields name this one, as target or as component."""
    return any(
        collection.id in {UUID(str(item)) for item in getattr(spec.options, member, None) or ()}
        for spec in other.fields
        for member in ("collections", "components")
    )


def _stored(options: FormOptions | None) -> dict[str, Json] | None:
    return options.as_json() if options is not None else None


def _changed_options(before: CollectionSpec, after: CollectionSpec) -> list[str]:
    return after.form.differing(before.form) if after.form is not None and before.form is not None else []


def _finish(
    collection_id: UUID,
    by: Principal,
    change: str,
    names: list[str],
    options: Sequence[str] = (),
    *,
    opened: Sequence[str] = (),
    erased: int = 0,
) -> CollectionSpec:
    """Tell the log; `opened`: the fields that were personal or secret; `erased`: how much is kept no longer."""
    indexing.plan(collection_id)
    detail: dict[str, Json] = {"change": change, "fields": list(names)}
    if options:
        detail["options"] = list(options)
    if opened:
        detail["opened"] = list(opened)
    if erased:
        detail["erased"] = erased
    record(
        "collection.changed",
        actor=by,
        subject=Subject("collection", str(collection_id), collection_id),
        detail=detail,
    )
    Generation.objects.bump(schema.GENERATION, f"content:{collection_id}")
    return schema.read().by_id[collection_id]
