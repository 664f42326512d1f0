"""Modelling: collections with their fields, the effects of a change before it is made, and the work that follows it."""

import json
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access import Action
from accounts.errors import (
    ConfirmationRequiredError,
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
)
from accounts.ids import uuid7
from content import fields, modeling
from content.admin.collection_form import KINDS, CollectionForm
from content.admin.desk import Desk
from content.admin.entry_form import EntryForm
from content.admin.pages import address, page, query, see, show
from content.fields.base import FieldSpec
from content.forms import modelling, rights
from content.models import Collection, Entry, FieldIndex, Rebuild, Submission
from content.schema import CollectionSpec
from content.writing import Writing


@page
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """List the collections that the principal models."""
    query(request)
    desk = Desk.of(request)
    managed = [item for item in desk.schema.collections if desk.may(Action.MANAGE_SCHEMA, item)]
    may_add = modeling.may_create(desk.principal)
    if not managed and not may_add:
        raise NotAllowedError("You may not change collections.")
    busy = set(
        FieldIndex.objects.exclude(state=FieldIndex.State.READY).values_list("collection_id", flat=True)
    )
    busy |= set(Rebuild.objects.exclude(state=Rebuild.State.DONE).values_list("collection_id", flat=True))
    context = {
        "title": "Collections",
        "lines": [{"spec": item, "kind": KINDS[item.kind], "is_busy": item.id in busy} for item in managed],
        "may_add": may_add,
    }
    return show(request, "admin/content/collections.html", context)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Make a new collection."""
    query(request)
    desk = Desk.of(request)
    if not modeling.may_create(desk.principal):
        raise NotAllowedError("You may not create collections.")
    form = _form(request, desk, None)
    if request.method != "POST":
        form.add_row("text", is_asked=False)
        return _show(request, form, None)
    piece = _piece(request, desk, form)
    if piece is not None:
        return piece
    raw = form.raw()
    if raw is not None:
        try:
            spec = modeling.create_collection(raw, by=desk.principal)
        except InvalidInputError as error:
            form.add(error.errors)
        else:
            return see(request, f"The collection {spec.name} is there.", address("collection", spec.key))
    return _show(request, form, None, status=400)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, key: str) -> HttpResponse:
    """Change a collection; what happens to existing content is shown before anything is saved."""
    query(request)
    desk = Desk.of(request)
    spec = _managed(desk, key)
    form = _form(request, desk, spec)
    if request.method != "POST" or "_edit" in request.POST:
        return _show(request, form, spec)
    piece = _piece(request, desk, form)
    if piece is not None:
        return piece
    raw = form.raw()
    if raw is None:
        return _show(request, form, spec, status=400)
    confirm = "_confirm" in request.POST
    try:
        effects = modeling.effects_of_change(spec.id, raw, by=desk.principal)
        if effects and not confirm:
            return _ask(request, spec, effects)
        changed = modeling.change_collection(spec.id, raw, by=desk.principal, confirm=confirm)
    except InvalidInputError as error:
        form.add(error.errors)
    except ConfirmationRequiredError as error:  # content came in between the question and the act
        listed = error.extensions.get("effects")
        return _ask(request, spec, listed if isinstance(listed, list) else [])
    except ConflictError as error:
        form.general.append(error.detail)
    else:
        return see(request, f"The collection {changed.name} is changed.", address("collection", changed.key))
    return _show(request, form, spec, status=400)


def _form(request: HttpRequest, desk: Desk, spec: CollectionSpec | None) -> CollectionForm:
    return CollectionForm(
        before=spec,
        description=spec.description if spec else "",
        schema=desk.schema,
        by=desk.principal,
        data=request.POST if request.method == "POST" else None,
    )


def _piece(request: HttpRequest, desk: Desk, form: CollectionForm) -> HttpResponse | None:
    """Return what is asked for besides saving: one more row, one row as it is typed now, or what editors would see."""
    if "_add_row" in request.POST:
        form.add_row(request.POST.get("new_type", ""))
        return _show(request, form, form.before)
    if "_row" in request.POST:
        row = next((item for item in form.rows if str(item.number) == request.POST["_row"]), None)
        if row is None:
            raise NotFoundError
        return show(request, "admin/content/collection_row.html", {"row": row, "form": form})
    if "_preview" in request.POST:
        return show(request, "admin/content/collection_preview.html", _preview(desk, form))
    return None


def _preview(desk: Desk, form: CollectionForm) -> dict[str, Any]:
    """Return what the form of a new entry would show; nothing of any entry is told."""
    draft = form.draft()
    writing = Writing(desk.schema.having(draft), draft, desk.principal)
    stored = {str(row.spec.id): row.beforehand(writing) for row in form.rows}
    shown = EntryForm(writing, readable=draft.fields, writable=draft.fields, stored=stored)
    return {
        "collection": draft,
        "groups": shown.groups(),
        "keys": json.dumps({row.number: row.spec.key for row in form.rows}),
        "has_inputs": True,
        "locale": desk.schema.default_locale,
    }


@page
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, key: str) -> HttpResponse:
    """Delete a collection with its entries, after a confirmation."""
    query(request)
    desk = Desk.of(request)
    spec = _managed(desk, key)
    fault = ""
    if request.method == "POST":
        if request.POST.get("key") == spec.key:
            try:
                modeling.delete_collection(spec.id, by=desk.principal, confirm=True)
            except ConflictError as error:
                fault = error.detail
            else:
                return see(request, f"The collection {spec.name} is deleted.", address("collections"))
        else:
            fault = "Type the key of the collection to delete it."
    context = {
        "title": f"Delete {spec.name}",
        "collection": spec,
        "count": Entry.objects.filter(collection_id=spec.id).count(),
        "sent": Submission.objects.filter(form_id=spec.id).count(),
        "fault": fault,
    }
    return show(request, "admin/content/collection_delete.html", context, status=400 if fault else 200)


def _managed(desk: Desk, key: str) -> CollectionSpec:
    """Return a collection that the principal may change; to others it is missing, unless they see it anyway."""
    found = desk.schema.by_key.get(key)
    if found is None:
        raise NotFoundError
    if not desk.may(Action.MANAGE_SCHEMA, found):
        if desk.opens(found):
            raise NotAllowedError("You may not change this collection.")
        raise NotFoundError
    return found


def _ask(request: HttpRequest, spec: CollectionSpec, effects: list[Any]) -> HttpResponse:
    """Show the effects, with everything that was typed in hidden inputs."""
    buttons = {"csrfmiddlewaretoken", "_save", "_confirm", "_edit", "_add_row"}
    typed = [
        (name, value) for name, values in request.POST.lists() if name not in buttons for value in values
    ]
    context = {
        "title": f"Change {spec.name}?",
        "collection": spec,
        "effects": effects,
        "loses": any((item["lost"] if isinstance(item, dict) else item.lost) for item in effects),
        "typed": typed,
    }
    return show(request, "admin/content/collection_confirm.html", context, status=200)


def _fits(type_key: str, form: CollectionForm) -> bool:
    """Tell whether a collection of this kind can hold a field of a type."""
    return form.kind != Collection.Kind.FORM or type_key in modelling.TYPES


def _show(
    request: HttpRequest, form: CollectionForm, spec: CollectionSpec | None, *, status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {
        "title": spec.name if spec else "New collection",
        "collection": spec,
        "form": form,
        "families": [
            (
                family,
                [
                    item
                    for item in fields.REGISTRY.values()
                    if item.family == family and _fits(item.key, form)
                ],
            )
            for family in fields.FAMILIES
        ],
        "summary": form.summary(),
        "reads_submissions": spec is not None
        and spec.form is not None
        and rights.may(form.by, Action.READ, spec),
        "indexes": [],
        "rebuilds": [],
    }
    if spec is not None:
        names: dict[UUID, str] = {item.id: item.name for item in spec.fields}
        context["indexes"] = [
            {"name": names.get(row.field_id, "a removed field"), "row": row}
            for row in FieldIndex.objects.filter(collection_id=spec.id)
        ]
        context["rebuilds"] = list(Rebuild.objects.filter(collection_id=spec.id)[:5])
    any_field = FieldSpec(id=uuid7(), key="any", type="rich_text")
    media = (
        fields.get("rich_text").form_field(any_field, form.choices).widget.media
    )  # for looking at the form
    return show(request, "admin/content/collection.html", context, media=media, status=status)
