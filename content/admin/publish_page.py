"""Before publishing: what is missing, what is referred to and not public yet, and what becomes public by it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from accounts import principals
from accounts.access import Action
from accounts.errors import EntryIncompleteError, NotFoundError, StaleVersionError
from content import documents, publishing
from content.admin.acts import here, require
from content.admin.desk import Desk, OpenEntry, isolated, note_read, open_entry
from content.admin.entry_form import EntryForm, number_in
from content.admin.pages import address, page, query, see, show
from content.documents import in_locale, locales_of
from content.fields.base import FieldSpec
from content.models import Entry

MAX_REFERRED = 20
MAX_NAMED = 4


@dataclass(frozen=True)
class Referred:
    """An entry that the present one refers to and that readers can't see in its newest version yet."""

    entry: OpenEntry
    may_publish: bool
    faults: list[str]  # what is missing in it

    @property
    def id(self) -> str:
        return str(self.entry.row.pk)

    @property
    def status(self) -> str:
        return next((draft.status for draft in self.entry.drafts if draft.status != "published"), "draft")


@page
@require_http_methods(["GET", "HEAD", "POST"])
def publish(request: HttpRequest, key: str, name: UUID) -> HttpResponse:
    """Show what publishing would do in each locale, and publish in the chosen ones, with the chosen others."""
    desk = Desk.of(request)
    entry = open_entry(desk, key, name, query(request, "locale").get("locale"))
    require(entry, Action.PUBLISH, in_trash=False)
    present = locales_of(entry.latest.data)
    seen = {draft.locale for draft in entry.drafts}
    codes = [code for code in desk.locales_of(entry.writing.collection) if code in present and code in seen]
    referred, hidden = _referred(desk, entry, codes)
    if request.method != "POST":
        return _page(request, desk, entry, codes, (referred, hidden), "", [entry.locale])
    chosen = request.POST.getlist("locales")
    together = {item.id: item for item in referred if item.may_publish}
    others = [together[text] for text in request.POST.getlist("together") if text in together]
    fault = "" if chosen else "Choose at least one locale."
    if not fault:
        try:
            publishing.publish_together(
                entry.row.pk,
                {item.entry.row.pk: item.entry.writing for item in others},
                writing=entry.writing,
                locales=chosen,
                base=number_in(request.POST.get("base")) or entry.latest.number,
            )
        except EntryIncompleteError:
            fault = "Not published: something is still missing, see below."
        except StaleVersionError:
            fault = "Not published: somebody has saved a newer version since. Look at what is listed now."
    if fault:
        return _page(request, desk, entry, codes, (referred, hidden), fault, chosen)
    names = ", ".join(desk.schema.locale_by_code[code].name for code in codes if code in chosen)
    more = f" {len(others)} more with it." if others else ""
    text = f"Published in {names}.{more}" if entry.writing.collection.localized else f"Published.{more}"
    return see(request, text, address("change", key, entry.row.pk, **here(entry)))


def _page(
    request: HttpRequest,
    desk: Desk,
    entry: OpenEntry,
    codes: list[str],
    referred: tuple[list[Referred], int],
    fault: str,
    chosen: Iterable[str],
) -> HttpResponse:
    note_read(desk, entry)
    context = {
        "title": f"Publish {isolated(entry.title)}",
        "entry": entry,
        "collection": entry.writing.collection,
        "lines": [{**_readiness(desk, entry, code), "chosen": code in set(chosen)} for code in codes],
        "referred": [item for item in referred[0] if item.may_publish],
        "others": len([item for item in referred[0] if not item.may_publish]) + referred[1],
        "fault": fault,
    }
    return show(request, "admin/content/publish.html", context, status=400 if fault else 200)


def _readiness(desk: Desk, entry: OpenEntry, code: str) -> dict[str, Any]:
    """Return a locale with its state, what is missing in it, each with its field, and what becomes public."""
    values = in_locale(entry.latest.data, code)
    form = EntryForm(entry.writing, readable=entry.readable, writable=(), stored=values)
    form.add(publishing.missing(entry.writing.collection, values, entry.writing, code, [code]))
    key = entry.writing.collection.key
    return {
        "code": code,
        "name": desk.schema.locale_by_code[code].name,
        "status": next((draft.status for draft in entry.drafts if draft.locale == code), ""),
        "summary": form.summary(),
        "general": form.general,
        "url": address("change", key, entry.row.pk, locale=code, missing=code),
        "becomes": _becomes_public(desk, entry, code),
    }


def _becomes_public(desk: Desk, entry: OpenEntry, code: str) -> list[str]:
    """Return sentences that say which fields readers will see anew or changed, and who those readers are."""
    draft = next(draft for draft in entry.drafts if draft.locale == code)
    number = draft.published_number
    before = in_locale(entry.row.versions.get(number=number).data, code) if number is not None else {}
    now = in_locale(entry.latest.data, code)
    changed = [spec for spec in entry.readable_fields() if before.get(str(spec.id)) != now.get(str(spec.id))]
    if not changed:
        return ["Nothing that you can see changes for readers."]
    collection = entry.writing.collection
    anyone = principals.anonymous()[0].grant(Action.READ, on=collection.resource)
    where = f" in {desk.schema.locale_by_code[code].name}" if collection.localized else ""
    told = []
    if open_to_all := [spec for spec in changed if anyone.allows(spec)]:
        rest = (
            ", as far as the policies of the public role choose this entry"
            if all(clause.rows for clause in anyone.clauses)
            else ""
        )
        told.append(f"{_named(open_to_all)} can then be read by anyone{where}{rest}.")
    if kept := [spec for spec in changed if not anyone.allows(spec)]:
        told.append(
            f"{_named(kept)} only by the roles and keys that may read {'it' if len(kept) == 1 else 'them'}{where}."
        )
    return told


def _named(specs: list[FieldSpec]) -> str:
    names = [spec.name for spec in specs[:MAX_NAMED]]
    if len(specs) > MAX_NAMED:
        names.append(f"{len(specs) - MAX_NAMED} more")
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _referred(desk: Desk, entry: OpenEntry, codes: list[str]) -> tuple[list[Referred], int]:
    """Return entries that are referred to and not public as they stand, and how many more were not looked at."""
    schema = entry.writing.schema
    ids: dict[UUID, None] = {}
    for code in codes:
        values = in_locale(entry.latest.data, code)
        ids |= {target: None for _, target in documents.references(entry.readable_fields(), values, schema)}
    ids.pop(entry.row.pk, None)
    keys = dict(Entry.objects.filter(pk__in=ids, trashed_at=None).values_list("pk", "collection_id"))
    found = []
    for target in [target for target in ids if target in keys][:MAX_REFERRED]:
        try:
            other = open_entry(desk, schema.by_id[keys[target]].key, target, None)
        except NotFoundError:
            continue  # what can't be seen is not told
        waiting = [draft for draft in other.drafts if draft.status != "published"]
        if waiting:
            faults = [
                problem.detail
                for draft in waiting
                for problem in publishing.missing(
                    other.writing.collection,
                    in_locale(other.latest.data, draft.locale),
                    other.writing,
                    draft.locale,
                    [draft.locale],
                )
            ]
            found.append(Referred(other, Action.PUBLISH in other.may, faults))
    return found, max(0, len(keys) - MAX_REFERRED)
