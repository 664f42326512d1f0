"""The act itself: what a message says becomes an entry, by the verbs that everybody uses, as the source's account."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from accounts.access import Principal
from accounts.errors import ConflictError, InvalidInputError, NotAllowedError, Problem
from accounts.principals import of_user
from content import documents, editing, fields, publishing, schema
from content.editing import content_locale, place_of
from content.fields.base import FieldError, FieldSpec
from content.models import Entry, UniqueValue
from content.schema import CollectionSpec
from content.writing import Writing, lock
from webhooks.incoming import actions, pointers
from webhooks.incoming.pointers import MISSING
from webhooks.models import Receipt, Source


def act(receipt: Receipt, payload: Mapping[str, Any]) -> UUID | None:
    """Do what the source of a receipt asks for, and return the entry. In a transaction, with the receipt locked.

    Raises what the verbs raise: nothing has changed then.
    """
    action = receipt.source.action
    do = action["do"]
    if do == actions.RECORD:
        return None
    collection = _collection(action)
    writing = Writing.on(collection.key, by=_account_of(receipt.source))
    matched: dict[str, Any] = {}
    entry_id = None
    if "match" in action:
        spec = _field(collection, action["match"]["field"])
        value = _matched(spec, action["match"]["pointer"], payload)
        matched = {spec.key: value}
        entry_id = _entry_with(spec, value, action.get("locale"), writing)
    if do in actions.SHOWING:
        return _show(do, entry_id, action, writing)
    if entry_id is None and do == "update":
        raise _no_match(action)
    values = _values(action, collection, payload)
    message = f"Webhook source {receipt.source.key}"
    locale = action.get("locale")
    if entry_id is None:
        entry = editing.create(
            {**matched, **values}, writing=writing, locale=locale, message=message, entry_id=receipt.pk
        )
    else:
        present = lock(entry_id, writing)  # what is read now is what is saved upon
        entry = editing.save(
            present.pk, values, writing=writing, base=present.latest_number, locale=locale, message=message
        )
    if action.get("publish"):
        publishing.publish(entry.pk, writing=writing, locales=[content_locale(writing, locale)])
    return entry.pk


def _show(do: str, entry_id: UUID | None, action: Mapping[str, Any], writing: Writing) -> UUID:
    if entry_id is None:
        raise _no_match(action)
    locales = [action["locale"]] if "locale" in action else None
    verb = publishing.publish if do == "publish" else publishing.unpublish
    return verb(entry_id, writing=writing, locales=locales).pk


def _account_of(source: Source) -> Principal:
    """Return who acts, with the rights that they have now."""
    account = source.account
    if account is None or not account.is_active:
        raise NotAllowedError("The service account of the source is switched off.", code="account-off")
    by = of_user(account)
    if by.is_administrator:
        raise NotAllowedError(
            "The service account of the source became an administrator.", code="too-powerful"
        )
    return replace(by, label=f"webhook source {source.key}")


def _collection(action: Mapping[str, Any]) -> CollectionSpec:
    found = schema.current().by_id.get(UUID(action["collection"]))
    if found is None:
        raise ConflictError(
            "The collection is gone. Change the action of the source.", code="collection-gone"
        )
    return found


def _field(collection: CollectionSpec, field_id: str) -> FieldSpec:
    found = collection.by_id.get(UUID(field_id))
    if found is None:
        detail = "A field that the action names is gone. Change the action of the source."
        raise ConflictError(detail, code="field-gone")
    return found


def _values(
    action: Mapping[str, Any], collection: CollectionSpec, payload: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the inputs by field key. What the payload lacks is not written, so it stays as it is; `null` empties."""
    found = {}
    for field_id, source in action["mapping"].items():
        spec = _field(collection, field_id)
        value = source["value"] if isinstance(source, Mapping) else pointers.at(source, payload)
        if value is not MISSING:
            found[spec.key] = value
    return found


def _matched(spec: FieldSpec, pointer: str, payload: Mapping[str, Any]) -> Any:
    value = pointers.at(pointer, payload)
    if value is MISSING or value is None or value == "":
        detail = f"The payload has no value at {pointer or 'its root'} to find the entry by."
        raise InvalidInputError(detail, code="no-value", errors=[Problem.at([spec.key], "required", detail)])
    return value


def _entry_with(spec: FieldSpec, value: Any, locale: str | None, writing: Writing) -> UUID | None:
    """Return the entry that holds a unique value, whoever may see it: the verbs ask for the rights."""
    try:
        cleaned = fields.get(spec.type).clean(value, spec, writing)
    except FieldError as error:
        raise InvalidInputError(errors=error.under(spec.key).problems) from error
    place = place_of(spec, writing.collection, content_locale(writing, locale))
    rows = UniqueValue.objects.filter(field_id=spec.id, locale=place, digest=documents.digest_of(cleaned))
    held = Entry.objects.filter(pk__in=rows.values("entry"), collection_id=writing.collection.id)
    return held.values_list("pk", flat=True).first()


def _no_match(action: Mapping[str, Any]) -> ConflictError:
    detail = f"No entry has the value that stands at {action['match']['pointer']}."
    return ConflictError(detail, code="no-match")
