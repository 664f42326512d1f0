"""View as…: choose a role, a key or nobody, and see what the API answers for an entry, and by which rule."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.errors import DomainError
from accounts.models import ApiKey, Role
from accounts.models.role import PUBLIC
from content import viewing
from content.admin.desk import Desk, title_of
from content.admin.pages import page, query, read_once, show
from content.models import DraftDocument
from content.schema import CollectionSpec

NAMES = ("as", "person", "plane", "collection", "entry", "other", "locale")
MOST_ENTRIES = 100
MOST_KEYS = 200
PLANES = (("published", "What is published (the website’s API)"), ("draft", "Drafts (the management API)"))


@page
@require_http_methods(["GET", "HEAD", "POST"])
def view_as(request: HttpRequest) -> HttpResponse:
    """Offer the choices; by POST show what is seen, and record that it was looked at so."""
    desk = Desk.of(request)
    viewing.require_to_look(desk.principal)
    is_asked = request.method == "POST" and "_show" not in request.POST
    if request.method == "POST":
        query(request)
        given = read_once(request.POST, {*NAMES, "csrfmiddlewaretoken", "_show", "_view"})
    else:
        given = query(request, *NAMES)
    collections = list(viewing.choices(desk.schema))
    collection = next((item for item in collections if item.key == given.get("collection")), None)
    locale = given.get("locale", "")
    locale = locale if locale in desk.schema.locale_by_code else desk.schema.default_locale.code
    plane: viewing.PlaneName = "draft" if given.get("plane") == "draft" else "published"
    problems: dict[str, str] = {}
    seen, viewer = None, None
    if is_asked:
        viewer = viewing.viewer(given.get("as", ""), given.get("person", ""), plane)
        name = given.get("other", "").strip() or given.get("entry", "")
        if viewer is None:
            problems["as"] = "Choose through whose eyes to look."
        if collection is None:
            problems["collection"] = "Choose a collection."
        if not name:
            problems["entry"] = "Choose an entry, or write its id or slug."
        if viewer is not None and collection is not None and name:
            try:
                seen = viewing.view_as(
                    viewer,
                    schema=desk.schema,
                    collection=collection,
                    name=name[:200],
                    locale=locale,
                    plane=plane,
                    by=desk.principal,
                )
            except DomainError as error:
                problems["entry"] = " ".join(item.detail for item in error.errors) or error.detail
    context = {
        "title": "View as…",
        "given": {**given, "plane": plane, "locale": locale},
        "groups": _viewers(),
        "people": _people(given.get("as", "")),
        "planes": PLANES,
        "collections": collections,
        "collection": collection,
        "entries": _entries(desk, collection, locale, given.get("entry", "")) if collection else [],
        "locales": desk.schema.locales,
        "problems": problems,
        "seen": seen,
        "viewer": viewer,
    }
    return show(request, "admin/content/view_as.html", context, status=400 if problems else 200)


def _viewers() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return whose eyes there are, by kind."""
    roles = Role.objects.exclude(key=PUBLIC).order_by("name")
    keys = ApiKey.objects.exclude(state=ApiKey.State.REVOKED).filter(expires_at__gt=timezone.now())
    groups = [
        ("Nobody", [("anonymous", "Anonymous: whoever opens the website")]),
        ("Somebody with the role", [(f"role:{role.key}", role.name) for role in roles]),
        ("API key", [(f"key:{key.pk}", key.name) for key in keys.order_by("name")[:MOST_KEYS]]),
    ]
    return [group for group in groups if group[1]]


def _people(key: str) -> list[tuple[str, str]]:
    """Return the people of the chosen role, for what is about “themselves”."""
    kind, _, name = key.partition(":")
    role = Role.objects.filter(key=name).exclude(key=PUBLIC).first() if kind == "role" else None
    if role is None:
        return []
    return [
        (str(user.pk), user.name if user.is_service else user.email) for user in viewing.people_of(role)[:200]
    ]


def _entries(desk: Desk, collection: CollectionSpec, locale: str, chosen: str) -> list[tuple[str, str]]:
    """Return (id, title) of the entries that changed last, the chosen one with them."""
    documents: Any = desk.reader(locale).in_any_locale(collection).filter(trashed=False)
    newest: list[UUID] = []
    for entry_id in documents.order_by("-updated_at").values_list("entry_id", flat=True)[: MOST_ENTRIES * 2]:
        if entry_id not in newest:
            newest.append(entry_id)
    try:
        wanted = UUID(chosen)
    except ValueError:
        wanted = None
    ids = newest[:MOST_ENTRIES] + ([wanted] if wanted and wanted not in newest[:MOST_ENTRIES] else [])
    found: dict[UUID, list[DraftDocument]] = {}
    for draft in desk.reader(locale).in_any_locale(collection).filter(entry_id__in=ids):
        found.setdefault(draft.entry_id, []).append(draft)
    readable = frozenset(collection.fields)  # who is let in here reads every field
    return [
        (str(entry_id), title_of(collection, entry_id, found[entry_id], locale, readable))
        for entry_id in ids
        if entry_id in found
    ]
