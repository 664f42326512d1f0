"""Acts on many entries at once: what will happen is said first, and then what became of each."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from accounts.access import Action
from accounts.errors import DomainError, InvalidInputError, NotFoundError
from content import editing, publishing
from content.admin.desk import Desk, OpenEntry, open_entry
from content.admin.pages import address, page, query, show
from content.documents import locales_of

MAX_ROWS = 200
MISSING = "There is no such entry."


@dataclass(frozen=True, slots=True)
class Act:
    """One act: its words, the right it needs, and what it does to an entry in the chosen locales."""

    key: str
    label: str
    done: str
    action: Action
    run: Callable[[OpenEntry, list[str]], object]
    in_trash: bool = False
    by_locale: bool = False
    is_dangerous: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one entry, or why nothing did."""

    title: str
    url: str
    is_done: bool
    detail: str


def _publish(entry: OpenEntry, locales: list[str]) -> object:
    return publishing.publish(entry.row.pk, writing=entry.writing, locales=_among(entry, locales))


def _unpublish(entry: OpenEntry, locales: list[str]) -> object:
    live = [draft.locale for draft in entry.drafts if draft.published_number is not None]
    chosen = [code for code in locales if code in live]
    if not chosen:
        raise InvalidInputError("It is not published in the chosen locales.")
    return publishing.unpublish(entry.row.pk, writing=entry.writing, locales=chosen)


def _among(entry: OpenEntry, locales: list[str]) -> list[str]:
    seen = {draft.locale for draft in entry.drafts} & set(locales_of(entry.latest.data))
    chosen = [code for code in locales if code in seen]
    if not chosen:
        raise InvalidInputError("It is not written in the chosen locales.")
    return chosen


ACTS = {
    act.key: act
    for act in (
        Act("publish", "Publish", "Published", Action.PUBLISH, _publish, by_locale=True),
        Act("unpublish", "Unpublish", "Unpublished", Action.UNPUBLISH, _unpublish, by_locale=True),
        Act(
            "trash",
            "Move to trash",
            "Moved to the trash",
            Action.DELETE,
            lambda entry, _: editing.trash(entry.row.pk, writing=entry.writing),
            is_dangerous=True,
        ),
        Act(
            "restore",
            "Restore",
            "Restored as a draft",
            Action.RESTORE,
            lambda entry, _: editing.restore(entry.row.pk, writing=entry.writing),
            in_trash=True,
        ),
        Act(
            "purge",
            "Erase",
            "Erased for good",
            Action.PURGE,
            lambda entry, _: editing.purge(entry.row.pk, writing=entry.writing, confirm=False),
            in_trash=True,
            is_dangerous=True,
        ),
    )
}


@page
@require_POST
def bulk(request: HttpRequest, key: str) -> HttpResponse:
    """Ask about an act on the chosen entries; when confirmed, do it to each and say what became of it.

    Each entry is a transaction of its own, so that one that fails stops no other.
    """
    query(request)
    desk = Desk.of(request)
    collection = desk.writing(key).collection
    if not desk.may(Action.READ_DRAFT, collection):
        raise NotFoundError
    act = ACTS.get(request.POST.get("act", ""))
    if act is None or not desk.may(act.action, collection):
        raise NotFoundError
    ids = _ids(request)
    locales = [code for code in desk.locales_of(collection) if code in request.POST.getlist("locales")]
    context = {
        "collection": collection,
        "act": act,
        "ids": ids,
        "count": len(ids),
        "locales": [
            (desk.schema.locale_by_code[code], code in (locales or [request.POST.get("here", "")]))
            for code in desk.locales_of(collection)
        ],
        "back": address("trash-list" if act.in_trash else "list", key),
    }
    needs_locale = act.by_locale and collection.localized
    if request.POST.get("confirm") != "1" or not ids or (needs_locale and not locales):
        fault = "Choose at least one entry." if not ids else ""
        if request.POST.get("confirm") == "1" and ids:
            fault = "Choose at least one locale."
        context |= {"title": f"{act.label}: {len(ids)} selected", "fault": fault}
        return show(request, "admin/content/bulk.html", context, status=400 if fault else 200)
    results = [_run(desk, key, name, act, locales or desk.locales_of(collection)) for name in ids]
    done = sum(result.is_done for result in results)
    context |= {"title": f"{act.label}: {done} of {len(results)} done", "results": results, "done": done}
    return show(request, "admin/content/bulk.html", context)


def _ids(request: HttpRequest) -> list[UUID]:
    """Return the chosen ids, each once; what is no id at all is left to be missing like any other."""
    try:
        ids = list(dict.fromkeys(UUID(str(item)) for item in request.POST.getlist("ids")))
    except ValueError as error:
        raise InvalidInputError("That is not a list of entries.") from error
    if len(ids) > MAX_ROWS:
        raise InvalidInputError(f"Choose at most {MAX_ROWS} entries at once.")
    return ids


def _run(desk: Desk, key: str, name: UUID, act: Act, locales: list[str]) -> Result:
    try:
        entry = open_entry(desk, key, name, None)
    except NotFoundError:
        return Result(str(name)[-6:], "", is_done=False, detail=MISSING)
    title, url = entry.title, address("change", key, name)
    if entry.is_in_trash is not act.in_trash:
        where = "It is in the trash." if entry.is_in_trash else "It is not in the trash."
        return Result(title, url, is_done=False, detail=where)
    try:
        act.run(entry, locales)
    except NotFoundError:
        return Result(title, "", is_done=False, detail=MISSING)
    except DomainError as error:
        problems = " ".join(dict.fromkeys(problem.detail for problem in error.errors))
        return Result(title, url, is_done=False, detail=f"{error.detail} {problems}".strip())
    return Result(title, "" if act.key == "purge" else url, is_done=True, detail=f"{act.done}.")
