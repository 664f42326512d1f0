"""What inputs ask while somebody types: the slug that a text makes, tags in use, how Markdown will look.

Questions come by POST, although they change nothing: what people write must not stand in addresses and logs.
"""

import html
import re
from collections import Counter
from uuid import UUID

from django.db.models.fields.json import KeyTransform
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from accounts.access import Action
from accounts.errors import NotFoundError
from accounts.limits import Policy, hit
from content import documents, editing, fields
from content.admin.desk import Desk, OpenEntry, open_entry
from content.admin.pages import page, query
from content.fields.base import FieldError, FieldSpec
from content.fields.slug import MAX_SLUG, SlugField
from content.rows import rows_of
from content.sanitizing import MarkupError
from content.writing import Writing, allowed_fields

ASSISTS = Policy("assists", quota=300, fails_open=True)
MAX_TEXT = 1_000  # characters that a slug is made of
MAX_MARKDOWN = 300_000  # characters that are previewed
TAGGED = 1_000  # entries whose tags are looked at, the newest
MAX_OFFERED = 20

_IMAGE = re.compile(r'<img((?: [a-z]+="[^"]*")*) ?/?>')
_ALT = re.compile(r' alt="([^"]*)"')
_HEADING_ID = re.compile(r'<(h[1-6]) id="[^"]*">')


@page
@require_POST
def slug(request: HttpRequest, key: str) -> HttpResponse:
    """Say which slug a text makes, or whether a typed one is free: `{"slug", "is_taken", "public"}`.

    Only for who may write the field, since a save would tell them as much. `slug` is a free one, "" where none can be
    made; `public` is the one that readers know, "" when there is none or it may not be read.
    """
    query(request)
    if (refused := _too_many(request)) is not None:
        return refused
    desk = Desk.of(request)
    writing = desk.writing(key)
    locale = editing.content_locale(writing, request.POST.get("locale") or None)
    opened = _opened(desk, key, request.POST.get("entry", ""), locale)
    spec = _writable(request.POST.get("field", ""), writing, opened)
    slug_type = fields.get("slug")
    if spec.type != "slug" or not isinstance(slug_type, SlugField):
        raise NotFoundError
    text = request.POST.get("text", "")[:MAX_TEXT]
    try:
        base = (
            slug_type.clean(text, spec, writing)
            if request.POST.get("typed")
            else slug_type.suggest(text, spec)
        )
    except FieldError:
        try:
            base = slug_type.suggest(text, spec)
        except FieldError:
            base = None
    answer = {"slug": "", "is_taken": False, "public": _public(spec, opened, locale)}
    if isinstance(base, str):
        place = editing.place_of(spec, writing.collection, locale)
        entry = opened.row if opened else None
        claim = (spec.id, place, documents.digest_of(base[:MAX_SLUG]))
        answer["is_taken"] = bool(writing.taken([claim], entry))
        free = editing.free_slug(base, spec, place, writing, entry) if answer["is_taken"] else base
        answer["slug"] = free or ""
    return JsonResponse(answer)


@page
@require_POST
def tags(request: HttpRequest, key: str) -> HttpResponse:
    """Return tags that stand in a field already and hold some words, the most used first: `{"tags": [...]}`.

    Counted in the newest entries that the principal may see with this field.
    """
    query(request)
    if (refused := _too_many(request)) is not None:
        return refused
    desk = Desk.of(request)
    collection = desk.writing(key).collection
    grant = desk.principal.grant(Action.READ_DRAFT, on=collection.resource)
    spec = collection.by_key.get(request.POST.get("field", ""))
    if spec is None or spec.type != "tags" or not grant.allows(spec):
        raise NotFoundError
    words = request.POST.get("q", "")[:100].strip().casefold()
    rows = (
        desk.reader(None)
        .in_any_locale(collection)
        .filter(rows_of(grant.holding(spec), collection), trashed=False, sealed__has_key=str(spec.id))
        .order_by("-updated_at")
        .values_list(KeyTransform(str(spec.id), "sealed"), flat=True)[:TAGGED]
    )
    counted = Counter(
        tag for row in rows if isinstance(row, list) for tag in row if words in str(tag).casefold()
    )
    return JsonResponse({"tags": [tag for tag, _ in counted.most_common(MAX_OFFERED)]})


@page
@require_POST
def markdown(request: HttpRequest, key: str) -> HttpResponse:
    """Return the HTML that publishing would make of a Markdown text, without images: `{"markup"}` or `{"error"}`."""
    query(request)
    if (refused := _too_many(request)) is not None:
        return refused
    writing = Desk.of(request).writing(key)
    text = request.POST.get("text", "").replace("\r\n", "\n")
    if len(text) > MAX_MARKDOWN:
        return JsonResponse(
            {"error": "This text is too long for a preview. It can be saved all the same."}, status=413
        )
    field_type = fields.get("markdown")
    spec = FieldSpec(id=UUID(int=0), key="preview", type="markdown")
    try:
        source = field_type.clean(text, spec, writing)
        resolved = field_type.resolve(source, spec, writing)
    except (FieldError, MarkupError) as error:
        detail = error.problems[0].detail if isinstance(error, FieldError) else error.detail
        return JsonResponse({"error": detail}, status=400)
    made = resolved.get("html") if isinstance(resolved, dict) else ""
    return JsonResponse({"markup": _without_images(str(made))})


def _without_images(safe_markup: str) -> str:
    """Return sanitized HTML with the words of its images, and without ids, which could be those of the page's own."""

    def words(image: re.Match[str]) -> str:
        alt = _ALT.search(image[1])
        said = html.escape(html.unescape(alt[1]) if alt else "")
        return f"<em>Image: {said or 'without a description'}</em>"

    return _HEADING_ID.sub(r"<\1>", _IMAGE.sub(words, safe_markup))


def _too_many(request: HttpRequest) -> HttpResponse | None:
    state = hit(ASSISTS, f"user:{Desk.of(request).principal.user_id}")
    if state is None or not state.is_exceeded:
        return None
    answer = JsonResponse({"error": "That was too often. Please wait a moment."}, status=429)
    answer.headers["Retry-After"] = str(state.resets_in)
    return answer


def _opened(desk: Desk, key: str, name: str, locale: str) -> OpenEntry | None:
    """Return the entry that is edited, None for a new one; one that may not be seen is missing."""
    if not name:
        return None
    try:
        entry_id = UUID(name)
    except ValueError:
        raise NotFoundError from None
    seen = open_entry(desk, key, entry_id, None)
    if any(draft.locale == locale for draft in seen.drafts):
        return open_entry(desk, key, entry_id, locale)
    return seen


def _writable(name: str, writing: Writing, opened: OpenEntry | None) -> FieldSpec:
    """Return a field that the principal may write in this entry, or in a new one."""
    spec = writing.collection.by_key.get(name)
    if opened is not None:
        may_write = spec in opened.writable
    else:
        grant = writing.by.grant(Action.CREATE, on=writing.collection.resource)
        may_write = spec in allowed_fields(grant.clauses, writing.collection)
    if spec is None or not may_write:
        raise NotFoundError
    return spec


def _public(spec: FieldSpec, opened: OpenEntry | None, locale: str) -> str:
    """Return the slug under which readers know the entry in its locale, "" for none or one that may not be read."""
    if opened is None or opened.locale != locale or spec not in opened.readable:
        return ""
    number = next((draft.published_number for draft in opened.drafts if draft.locale == locale), None)
    version = opened.row.versions.filter(number=number).first() if number is not None else None
    value = documents.in_locale(version.data, locale).get(str(spec.id)) if version is not None else None
    return value if isinstance(value, str) else ""
