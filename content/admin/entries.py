"""Writing an entry: the form for a new one and for one that is there, saving, and saving with publishing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access import Action, Area
from accounts.canonical import Json
from accounts.errors import (
    ConflictError,
    DomainError,
    EntryIncompleteError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    Problem,
    StaleVersionError,
)
from accounts.revealing import revealed
from content import editing, publishing, retention, visits
from content.admin import beside, scripts, whole_form
from content.admin.desk import Desk, OpenEntry, note_read, open_entry
from content.admin.drawer import with_drawer
from content.admin.entry_form import EntryForm, StandIn, number_in
from content.admin.pages import BadAddressError, address, page, query, see, show
from content.documents import in_locale, locales_of
from content.fields.nested_forms import is_arranging
from content.models import Collection, Entry, Version
from content.writing import Writing, allowed_fields, clauses_for, subject_of

REVEAL = "_reveal"  # the button that shows what the form masks


@dataclass(frozen=True, slots=True)
class LocaleTab:
    """One locale of an entry, as the form's heading offers it."""

    code: str
    name: str
    status: str  # "" when nothing is written in it yet
    url: str
    chosen: bool


# A new entry


@with_drawer
@page
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest, key: str) -> HttpResponse:
    """Write a new entry."""
    desk = Desk.of(request)
    writing = desk.writing(key)
    collection = writing.collection
    grant = writing.by.require(Action.CREATE, on=collection.resource)
    locale = _locale_asked_for(desk, writing, query(request, "locale").get("locale"))
    writable = allowed_fields(grant.clauses, collection)
    defaults = {str(spec.id): spec.default for spec in writable if spec.default is not None}
    form = EntryForm(
        writing,
        readable=writable,
        writable=writable,
        stored=defaults,
        data=request.POST if request.method == "POST" else None,
        locale=locale,
        is_open=True,  # there is nothing yet but defaults
    )
    status = 0
    if request.method == "POST" and not is_arranging(request.POST):
        try:
            entry = editing.create(
                form.changes(),
                writing=writing,
                locale=locale,
                message=_message(request),
            )
        except InvalidInputError as error:
            form.add(error.errors)
        except (NotAllowedError, ConflictError) as error:
            form.refuse(error)
            status = 409
        else:
            return _saved(request, desk, writing, entry, locale, "Saved as a draft.")
    tabs = [
        LocaleTab(
            code, desk.schema.locale_by_code[code].name, "", address("add", key, locale=code), code == locale
        )
        for code in desk.locales_of(collection)
    ]
    context = {
        "title": f"New entry in {collection.name}"
        if collection.kind == Collection.Kind.MANY
        else collection.name,
        "tabs": tabs if len(tabs) > 1 else [],
        "may_save": True,
        "may_publish": desk.may(Action.PUBLISH, collection),
        "added": beside.for_new(request, desk, writing, locale),
        "publish_locales": [(locale, desk.schema.locale_by_code[locale].name, "", True)],
    }
    return _show(request, desk, writing, form, locale, context, status=status)


# An entry that is there


@with_drawer
@page
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, key: str, name: UUID) -> HttpResponse:
    """Show and save an entry in one locale."""
    desk = Desk.of(request)
    given = query(request, "locale", "missing")
    entry = open_entry(desk, key, name, given.get("locale"))
    if request.method == "POST":
        return _save(request, desk, entry)
    form = _form_of(entry)
    if desk.principal.user_id is not None and not desk.principal.is_locked_down:
        visits.looked(entry.row, user_id=desk.principal.user_id, locale=entry.locale)
    if "missing" in given and Action.PUBLISH in entry.may:
        _add_what_is_missing(form, entry, given["missing"].split(","))
    return _show_entry(request, desk, entry, form)


def _form_of(
    entry: OpenEntry,
    version: Version | None = None,
    *,
    data: QueryDict | None = None,
    stored: Mapping[str, Json] | None = None,
    now: Mapping[str, Json] | None = None,
) -> EntryForm:
    if stored is None:
        stored = in_locale((version or entry.latest).data, entry.locale)
    return EntryForm(
        entry.writing,
        readable=entry.readable,
        writable=() if entry.is_in_trash else entry.writable,
        stored=stored,
        data=data,
        now=now,
        stand_ins=_stand_ins(entry),
        public=_public_values(entry),
        locale=entry.locale,
    )


def _stand_ins(entry: OpenEntry) -> list[StandIn]:
    """Return the locales that this one falls back to, as far as this entry may be read in them."""
    collection, schema = entry.writing.collection, entry.writing.schema
    if not collection.localized:
        return []
    seen = {draft.locale for draft in entry.drafts}
    found = []
    for code in schema.locale_by_code[entry.locale].chain[1:]:
        if code in seen:
            held = clauses_for(entry.row, Action.READ_DRAFT, entry.writing, [code])
            ids = {str(spec.id) for spec in allowed_fields(held, collection)}
            values = in_locale(entry.latest.data, code).items()
            found.append(
                StandIn(schema.locale_by_code[code].name, {key: value for key, value in values if key in ids})
            )
    return found


def _public_values(entry: OpenEntry) -> dict[str, Json] | None:
    """Return what readers see in this locale where it is not the newest version, None otherwise."""
    draft = next((draft for draft in entry.drafts if draft.locale == entry.locale), None)
    if draft is None or draft.published_number in (None, entry.latest.number):
        return None
    return in_locale(entry.row.versions.get(number=draft.published_number).data, entry.locale)


@page
@require_safe
def field(request: HttpRequest, key: str, name: UUID, field_key: str) -> HttpResponse:
    """Return one field of the form as it stands in a version: what "Reset this field" puts back."""
    desk = Desk.of(request)
    given = query(request, "locale", "base")
    entry = open_entry(desk, key, name, given.get("locale"))
    spec = entry.writing.collection.by_key.get(field_key)
    version = entry.row.versions.filter(number=number_in(given.get("base")) or 0).first()
    if spec is None or spec not in entry.writable or version is None or entry.is_in_trash:
        raise NotFoundError
    row = next(row for row in _form_of(entry, version).rows() if row.spec == spec)
    note_read(desk, entry, versions=[version.number], specs=[] if spec.is_sensitive else [spec])
    context = {
        "row": row,
        "collection": entry.writing.collection,
        "locale": desk.schema.locale_by_code[entry.locale],
    }
    return show(request, "admin/content/field.html", context)


def _save(request: HttpRequest, desk: Desk, entry: OpenEntry) -> HttpResponse:
    if not entry.writable and REVEAL not in request.POST:
        if entry.is_in_trash:
            raise ConflictError("The entry is in the trash. Restore it first.")
        if "_publish" not in request.POST:
            raise NotAllowedError("You may not update this entry.")
        return _saved(request, desk, entry.writing, entry.row, entry.locale, "")
    base = number_in(request.POST.get("base"))
    stored = _values_at(entry, base)
    now = in_locale(entry.latest.data, entry.locale)
    form = EntryForm(
        entry.writing,
        readable=entry.readable,
        writable=() if entry.is_in_trash and REVEAL in request.POST else entry.writable,
        stored=stored,
        data=request.POST,
        now=None if base == entry.latest.number else now,
        stand_ins=_stand_ins(entry),
        public=_public_values(entry),
        locale=entry.locale,
        is_open=REVEAL in request.POST,
    )
    if REVEAL in request.POST:
        return _reveal(request, desk, entry, form, base)
    if is_arranging(request.POST):
        return _show_entry(request, desk, entry, form, base=base)
    if entry.is_in_trash:
        form.general.append(
            "The entry is in the trash now, so nothing was saved. Restore it, then save again."
        )
        return _show_entry(request, desk, entry, form, base=base, status=409)
    if base != entry.latest.number and _is_sent_twice(request, entry, now):
        return _saved(request, desk, entry.writing, entry.row, entry.locale, "Saved already.")
    # Where both changed a field, the page that told so asked which one stays.
    given_up = [spec.key for spec in form.specs if request.POST.get(f"keep-{spec.key}") == "theirs"]
    try:
        values = form.changes(given_up=given_up)
        saved = editing.save(
            entry.row.pk,
            values,
            writing=entry.writing,
            base=base or 0,
            locale=entry.locale,
            message=_message(request),
        )
    except (NotAllowedError, ConflictError) as error:
        form.refuse(error)
        return _show_entry(request, desk, entry, form, base=base, status=409)
    except InvalidInputError as error:
        form.add(error.errors)
        return _show_entry(request, desk, entry, form, stale=base != entry.latest.number, status=400)
    except StaleVersionError:
        fresh = open_entry(desk, entry.writing.collection.key, entry.row.pk, entry.locale)
        newest = in_locale(fresh.latest.data, fresh.locale)
        form = EntryForm(
            fresh.writing,
            readable=fresh.readable,
            writable=fresh.writable,
            stored=stored,
            data=request.POST,
            now=newest,
            stand_ins=_stand_ins(fresh),
            locale=fresh.locale,
        )
        return _show_entry(request, desk, fresh, form, stale=True, status=409)
    if saved.latest_number == entry.row.latest_number:
        text = "Nothing has changed since the last save."
    else:
        text = f"Saved as version {saved.latest_number}."
    return _saved(request, desk, entry.writing, saved, entry.locale, text)


def _reveal(
    request: HttpRequest, desk: Desk, entry: OpenEntry, form: EntryForm, base: int | None
) -> HttpResponse:
    """Show the form again with what it masked, for this once, and with all that was typed; nothing is saved."""
    specs = [spec for spec in entry.readable_fields() if spec.is_sensitive]
    shown = [spec for spec in specs if form.now.get(str(spec.id)) is not None]
    if not shown:
        raise NotFoundError
    try:
        revealed(
            desk.principal,
            subject=subject_of(entry.row),
            fields=[spec.key for spec in shown],
            reason=request.POST.get("reason", ""),
        )
    except InvalidInputError as error:
        now = None if form.now is form.stored else form.now
        form = _form_of(entry, data=request.POST, stored=form.stored, now=now)
        form.add(error.errors)
        return _show_entry(request, desk, entry, form, base=base, status=400)
    note_read(desk, entry, specs=shown)
    response = _show_entry(request, desk, entry, form, base=base)
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _is_sent_twice(request: HttpRequest, entry: OpenEntry, now: dict[str, Json]) -> bool:
    """Tell whether the newest version holds just what was sent: a second click, a page sent again after going back."""
    given_up = any(name.startswith("keep-") for name in request.POST)
    form = EntryForm(
        entry.writing, readable=entry.readable, writable=entry.writable, stored=now, data=request.POST
    )
    return not given_up and form.is_unchanged()


def _message(request: HttpRequest) -> str:
    """Return what the writer says has changed, on one line."""
    text = request.POST.get("message", "").strip()
    if not text.isprintable():
        raise InvalidInputError(
            errors=[Problem.at(("message",), "invalid-value", "What has changed: printable text.")]
        )
    return text


def _values_at(entry: OpenEntry, base: int | None) -> dict[str, Json]:
    """Return the values that the writer started from; without such a version there were none."""
    version = (
        entry.latest if base == entry.latest.number else entry.row.versions.filter(number=base or 0).first()
    )
    return in_locale(version.data, entry.locale) if isinstance(version, Version) else {}


def _saved(
    request: HttpRequest, desk: Desk, writing: Writing, entry: Entry, locale: str, text: str
) -> HttpResponse:
    """Publish too when that was asked for, and go on to the form. What was saved stays saved."""
    key = writing.collection.key
    if not desk.may(Action.READ_DRAFT, writing.collection):
        return see(request, "Saved. You may add entries here, not see them.", address("add", key))
    here = {"locale": locale} if writing.collection.localized else {}
    if "_publish" not in request.POST:
        return see(request, text, address("change", key, entry.pk, **here))
    locales = sorted(set(request.POST.getlist("locales"))) or [locale]
    try:
        publishing.publish(entry.pk, writing=writing, locales=locales)
    except EntryIncompleteError as error:
        count = len(error.errors)
        told = f"{text} It is not published yet: {count} {'thing is' if count == 1 else 'things are'} missing.".strip()
        return see(
            request,
            told,
            address("change", key, entry.pk, **here, missing=",".join(locales)),
            level=messages.ERROR,
        )
    except (InvalidInputError, NotAllowedError, NotFoundError, ConflictError) as error:
        return see(
            request,
            f"{text} It is not published: {_sentence(error)}",
            address("change", key, entry.pk, **here),
            level=messages.ERROR,
        )
    names = ", ".join(desk.schema.locale_by_code[code].name for code in locales)
    return see(
        request,
        f"{text} Published in {names}.".strip()
        if writing.collection.localized
        else f"{text} Published.".strip(),
        address("change", key, entry.pk, **here),
    )


def _sentence(error: DomainError) -> str:
    return " ".join(item.detail for item in error.errors) or error.detail


# The page


def _show_entry(
    request: HttpRequest,
    desk: Desk,
    entry: OpenEntry,
    form: EntryForm,
    *,
    stale: bool = False,
    base: int | None = None,
    status: int = 200,
) -> HttpResponse:
    note_read(desk, entry)
    collection = entry.writing.collection
    states = {draft.locale: "trashed" if draft.trashed else draft.status for draft in entry.drafts}
    visible = [code for code in desk.locales_of(collection) if code in states or Action.UPDATE in entry.may]
    tabs = [
        LocaleTab(
            code,
            desk.schema.locale_by_code[code].name,
            states.get(code, ""),
            address("change", collection.key, entry.row.pk, locale=code),
            code == entry.locale,
        )
        for code in visible
    ]
    published = [draft for draft in entry.drafts if draft.published_number is not None]
    added = beside.additions(request, desk, entry)
    context: dict[str, Any] = {
        "title": entry.title,
        "added": added,
        "entry": entry,
        "tabs": tabs if collection.localized and len(tabs) > 1 else [],
        "status": entry.status,
        "base": base or entry.latest.number,
        "latest": entry.latest,
        "is_stale": stale,
        "has_conflicts": stale and form.has_conflicts(),
        "may_save": bool(entry.writable) and (form.form.is_bound or not entry.is_in_trash),
        "may_publish": Action.PUBLISH in entry.may and not entry.is_in_trash,
        "may_unpublish": Action.UNPUBLISH in entry.may and bool(published) and not entry.is_in_trash,
        "may_trash": Action.DELETE in entry.may and not entry.is_in_trash,
        "may_restore": Action.RESTORE in entry.may and entry.is_in_trash,
        "may_purge": Action.PURGE in entry.may and entry.is_in_trash,
        "may_give_rights": desk.principal.administers(Area.POLICIES),
        "may_view_as": desk.principal.administers(Area.POLICIES) and desk.principal.administers(Area.ROLES),
        "publish_locales": [
            (tab.code, tab.name, tab.status, tab.code == entry.locale)
            for tab in tabs
            if tab.status or tab.chosen
        ],
        "is_new_locale": entry.locale not in states,
        "read_instead": _read_instead(desk, entry),
        "erased_at": retention.due_at(entry.row, entry.latest, collection.retention),
        "erased_why": retention.WORDS[collection.retention.of] if collection.retention else "",
        "masked": len(form.masked),
        "revealed": REVEAL in request.POST and form.is_open,
        "asks_why": REVEAL in request.POST and not form.is_open,
        "reason": "" if form.is_open else request.POST.get("reason", ""),
    }
    response = _show(request, desk, entry.writing, form, entry.locale, context, status=status)
    return beside.widen(response, added)


def _read_instead(desk: Desk, entry: OpenEntry) -> str:
    """Return the name of the locale that readers of this one see until it is published, "" when they see none."""
    public = {draft.locale for draft in entry.drafts if draft.published_number is not None}
    if entry.locale in public or not entry.writing.collection.localized:
        return ""
    chain = desk.schema.locale_by_code[entry.locale].chain
    return next((desk.schema.locale_by_code[code].name for code in chain if code in public), "")


def _show(
    request: HttpRequest,
    desk: Desk,
    writing: Writing,
    form: EntryForm,
    locale: str,
    context: dict[str, Any],
    *,
    status: int = 0,
) -> HttpResponse:
    groups = form.groups()
    whole = {
        "collection": writing.collection,
        "form": form,
        "groups": groups,
        "largest": {"bytes": whole_form.MAX_BYTES, "inputs": whole_form.MAX_INPUTS},
        "has_inputs": any(row.is_input for _, rows in groups for row in rows),
        "locale": desk.schema.locale_by_code[locale],
        "message": request.POST.get("message", ""),
        "summary": form.summary(),
        "general": form.general,
        "modules": scripts.modules(*scripts.FORM),
        "editor_modules": [*scripts.EDITOR, *scripts.modules(*scripts.EXTENSIONS)],
        **context,
    }
    failed = form.summary() or form.general
    code = status or (400 if failed and request.method == "POST" else 200)
    return show(request, "admin/content/form.html", whole, media=form.media, status=code)


def _add_what_is_missing(form: EntryForm, entry: OpenEntry, locales: list[str]) -> None:
    """Put at the fields what keeps the newest version from being published in these locales."""
    present = locales_of(entry.latest.data)
    asked = [code for code in locales if code in present]
    if not asked:
        return
    collection = entry.writing.collection
    for code in asked:
        values = in_locale(entry.latest.data, code)
        form.add(publishing.missing(collection, values, entry.writing, code, asked))


def _locale_asked_for(desk: Desk, writing: Writing, locale: str | None) -> str:
    if locale is None:
        return desk.schema.default_locale.code
    if locale not in desk.locales_of(writing.collection):
        raise BadAddressError
    return locale
