"""The management API of content: thin views that find, call the verb and answer the draft document."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import EVERY_FIELD, Action, Needs, Principal, principal_of
from accounts.authentication import ManagementAuthentication
from accounts.canonical import Json
from accounts.errors import InvalidInputError, NotFoundError, Problem, StaleVersionError
from content import editing, publishing, schema
from content.diffing import diff
from content.manage.bodies import integer, members, object_of
from content.manage.old_versions import shape_values
from content.models import DraftDocument, DraftSearch, Entry, Version
from content.openapi import DOCUMENT_QUERY, LIST_QUERY, document_response, list_response
from content.parameters import DOCUMENT_PARAMETERS, Parameters, parse, refuse
from content.query import Plane, Reader
from content.reading import note_documents, note_entry
from content.schema import CollectionSpec
from content.shaping import Shaper, rfc3339
from content.writing import Writing, allowed_fields, clauses_for

DRAFTS = Plane(model=DraftDocument, words=DraftSearch, using="default", action=Action.READ_DRAFT, drafts=True)
_IF_MATCH = re.compile(r'(?:W/)?"?([0-9]{1,9})"?')


class ManagementView(APIView):
    """Signed in."""

    authentication_classes = [ManagementAuthentication]
    needs = Needs("signed_in")


class EntriesView(ManagementView):
    """`/api/v1/manage/content/{collection}`: drafts, and new entries."""

    @extend_schema(
        operation_id="manage_content_list", parameters=LIST_QUERY, responses=list_response(drafts=True)
    )
    def get(self, request: Request, collection: str) -> Response:
        """List the working state of a collection's entries in one locale."""
        parameters = parse(request.query_params)
        reader = Reader.of(DRAFTS, schema.current(), principal_of(request), parameters.locale)
        spec = reader.collection(collection)
        page = reader.page(spec, parameters)
        shaper = Shaper(reader)
        meta: dict[str, Json] = {"limit": parameters.limit, "next_cursor": page.next_cursor}
        if page.total is not None:
            meta["total"] = page.total
        data = [shaper.document(spec, row, page.selection) for row in page.rows]
        note_documents(shaper, spec, page.rows, is_list=True, is_draft_read=True)
        return Response({"data": data, "meta": meta})

    @extend_schema(operation_id="manage_content_create", responses={201: document_response(drafts=True)})
    def post(self, request: Request, collection: str) -> Response:
        """Create an entry as a draft."""
        body = members(request.data, {"locale", "fields", "message"}, required={"fields"})
        writing = Writing.on(collection, by=principal_of(request))
        locale = text_or_none(body, "locale")
        values, message = object_of(body, "fields"), text_or_none(body, "message") or ""
        entry = editing.create(values, writing=writing, locale=locale, message=message)
        return document(request, writing.collection, entry.pk, locale, status=201, is_done=True)


class EntryView(ManagementView):
    """`/api/v1/manage/content/{collection}/{id}`."""

    @extend_schema(
        operation_id="manage_content_retrieve",
        parameters=DOCUMENT_QUERY,
        responses=document_response(drafts=True),
    )
    def get(self, request: Request, collection: str, name: str) -> Response:
        """Return the working state of an entry, by id or slug."""
        parameters = parse(request.query_params, allowed=DOCUMENT_PARAMETERS)
        reader = Reader.of(DRAFTS, schema.current(), principal_of(request), parameters.locale)
        spec = reader.collection(collection)
        return document(request, spec, name, parameters.locale, parameters, is_draft_read=True)

    @extend_schema(operation_id="manage_content_update", responses=document_response(drafts=True))
    def patch(self, request: Request, collection: str, name: str) -> Response:
        """Save changed fields as a new version, started from the version in `If-Match`."""
        body = members(request.data, {"locale", "fields", "message"}, required={"fields"})
        writing = Writing.on(collection, by=principal_of(request))
        locale = text_or_none(body, "locale")

        def act() -> Entry:
            return editing.save(
                name,
                object_of(body, "fields"),
                writing=writing,
                base=base_of(request),
                locale=locale,
                message=text_or_none(body, "message") or "",
            )

        entry = with_current(request, writing.collection, name, locale, act)
        return document(request, writing.collection, entry.pk, locale, is_done=True)

    @extend_schema(operation_id="manage_content_delete", responses={204: None})
    def delete(self, request: Request, collection: str, name: str) -> Response:
        """Move an entry to the trash; `?purge=true` erases it with every version. `?confirm=true` despite referrers."""
        allowed = {"purge", "confirm"}
        given = dict(request.query_params.lists())
        for key, values in given.items():
            if key not in allowed:
                raise refuse(key, "unknown-parameter", "There is no such parameter here.")
            if len(values) != 1 or values[0] not in {"true", "false"}:
                raise refuse(key, "invalid-value", "Use true or false, once.")
        confirm = given.get("confirm") == ["true"]
        writing = Writing.on(collection, by=principal_of(request))
        if given.get("purge") == ["true"]:
            editing.purge(name, writing=writing, confirm=confirm)
        else:
            editing.trash(name, writing=writing, confirm=confirm)
        return Response(status=204)


class PublishView(ManagementView):
    """`POST …/{id}/publish`."""

    @extend_schema(operation_id="manage_content_publish", responses=document_response(drafts=True))
    def post(self, request: Request, collection: str, name: str) -> Response:
        """Make the newest version public in `locales` (default: all that have content)."""
        writing = Writing.on(collection, by=principal_of(request))
        entry = publishing.publish(name, writing=writing, locales=locales_of(request))
        return document(request, writing.collection, entry.pk, None, is_done=True)


class UnpublishView(ManagementView):
    """`POST …/{id}/unpublish`."""

    @extend_schema(operation_id="manage_content_unpublish", responses=document_response(drafts=True))
    def post(self, request: Request, collection: str, name: str) -> Response:
        """Take the entry back from the public in `locales` (default: all)."""
        writing = Writing.on(collection, by=principal_of(request))
        entry = publishing.unpublish(name, writing=writing, locales=locales_of(request))
        return document(request, writing.collection, entry.pk, None, is_done=True)


class RestoreView(ManagementView):
    """`POST …/{id}/restore`."""

    @extend_schema(
        operation_id="manage_content_restore", request=None, responses=document_response(drafts=True)
    )
    def post(self, request: Request, collection: str, name: str) -> Response:
        """Take an entry out of the trash."""
        members(request.data or {}, set())
        writing = Writing.on(collection, by=principal_of(request))
        entry = editing.restore(name, writing=writing)
        return document(request, writing.collection, entry.pk, None, is_done=True)


class VersionsView(ManagementView):
    """`GET …/{id}/versions`."""

    @extend_schema(operation_id="manage_content_versions")
    def get(self, request: Request, collection: str, name: str) -> Response:
        """List who saved what when, newest first."""
        given = parse(request.query_params, allowed=frozenset({"limit", "cursor"}))
        writing, entry, _ = readable_entry(request, collection, name)
        whole = sees_all(entry, writing)
        versions = entry.versions.order_by("-number")
        if given.cursor is not None:
            if not given.cursor.isdecimal() or not given.cursor.isascii() or len(given.cursor) > 9:
                raise refuse("cursor", "invalid-cursor", "This cursor is not of this list.")
            versions = versions.filter(number__lt=int(given.cursor))
        rows = list(versions[: given.limit + 1])
        more = len(rows) > given.limit
        rows = rows[: given.limit]
        note_entry(writing.collection, entry.pk, (), by=writing.by, versions=[row.number for row in rows])
        return Response(
            {
                "data": [version_json(row, is_hash_shown=whole) for row in rows],
                "meta": {"limit": given.limit, "next_cursor": str(rows[-1].number) if more else None},
            }
        )


class VersionView(ManagementView):
    """`GET …/{id}/versions/{n}`."""

    @extend_schema(operation_id="manage_content_version")
    def get(self, request: Request, collection: str, name: str, number: int) -> Response:
        """Return one version in one locale, with the fields that are still there and that you may read."""
        parameters = parse(request.query_params, allowed=frozenset({"locale"}))
        writing, entry, specs = readable_entry(request, collection, name)
        version = version_of(entry, number)
        locale = known_locale(parameters.locale, writing)
        shown_fields = [spec for spec in writing.collection.fields if spec in specs]
        values = shape_values(writing, version.data, locale, shown_fields)
        note_entry(
            writing.collection, entry.pk, shown_fields, by=writing.by, locale=locale, versions=[number]
        )
        shown = {"_id": str(entry.pk), "_collection": writing.collection.key, "_locale": locale}
        return Response(
            {**shown, **version_json(version, is_hash_shown=sees_all(entry, writing)), "fields": values}
        )


class VersionRestoreView(ManagementView):
    """`POST …/{id}/versions/{n}/restore`."""

    @extend_schema(operation_id="manage_content_version_restore", responses=document_response(drafts=True))
    def post(self, request: Request, collection: str, name: str, number: int) -> Response:
        """Make an old version's content the newest again; started from the version in `If-Match`."""
        body = members(request.data or {}, {"message"})
        writing = Writing.on(collection, by=principal_of(request))
        base = base_of(request) if "If-Match" in request.headers else latest_number(name, writing)

        def act() -> Entry:
            message = text_or_none(body, "message") or ""
            return editing.restore_version(name, number, writing=writing, base=base, message=message)

        entry = with_current(request, writing.collection, name, None, act)
        return document(request, writing.collection, entry.pk, None, is_done=True)


class DiffView(ManagementView):
    """`GET …/{id}/diff?from=&to=&locale=`."""

    @extend_schema(operation_id="manage_content_diff")
    def get(self, request: Request, collection: str, name: str) -> Response:
        """Return what differs between two versions in one locale, by field and word; of sensitive ones only that."""
        given = dict(request.query_params.lists())
        for key, values in given.items():
            if key not in {"from", "to", "locale"}:
                raise refuse(key, "unknown-parameter", "There is no such parameter here.")
            if len(values) != 1:
                raise refuse(key, "repeated-parameter", "A parameter may be given once.")
        writing, entry, specs = readable_entry(request, collection, name)
        numbers = {key: integer(given, key) for key in ("from", "to")}
        before, after = version_of(entry, numbers["from"]), version_of(entry, numbers["to"])
        locale = known_locale(given["locale"][0] if "locale" in given else None, writing)
        shown = [spec for spec in writing.collection.fields if spec in specs]
        changes = diff(before.data, after.data, locale=locale, specs=shown, ctx=writing)
        note_entry(
            writing.collection,
            entry.pk,
            [spec for spec in shown if not spec.is_sensitive],  # of the others it tells no value
            by=writing.by,
            locale=locale,
            versions=[before.number, after.number],
        )
        return Response({"from": before.number, "to": after.number, "locale": locale, "fields": changes})


def document(
    request: Request,
    spec: CollectionSpec,
    name: object,
    locale: str | None,
    parameters: Parameters | None = None,
    *,
    status: int = 200,
    is_done: bool = False,
    is_draft_read: bool = False,
) -> Response:
    """Answer an entry's draft document, in the locale asked for, else the default one, else the first with content.

    After something `is_done` to the entry, who may act without reading learns that it worked, and nothing else: a 404
    would deny what was committed. What is shown of it is a read: always where it is personal or secret, and as the
    read of a draft when it `is_draft_read`, since an act is in the log itself.
    """
    try:
        asked = parameters or Parameters()
        row, shaper, body = draft_document(principal_of(request), spec, str(name), locale, asked)
    except NotFoundError:
        if is_done:
            return Response({"_id": str(name), "_collection": spec.key}, status=status)
        raise
    note_documents(shaper, spec, [row], is_draft_read=is_draft_read)
    return Response(body, status=status, headers={"ETag": f'"{body["_version"]}"'})


def draft_document(
    principal: Principal, spec: CollectionSpec, name: str, locale: str | None, parameters: Parameters
) -> tuple[dict[str, Any], Shaper, dict[str, Json]]:
    """Return an entry's draft document as the principal sees it: row, who shaped it, what it is; locales as `document`.

    Raises NotFoundError.
    """
    present = schema.current()
    reader = Reader.of(DRAFTS, present, principal, locale)
    try:
        row, selection = reader.one(spec, name, parameters)
    except NotFoundError:
        other = next(iter(locales_with_content(reader, spec, name)), None) if locale is None else None
        if other is None:
            raise
        reader = Reader.of(DRAFTS, present, principal, other)
        row, selection = reader.one(spec, name, parameters)
    shaper = Shaper(reader)
    return row, shaper, shaper.document(spec, row, selection)


def locales_with_content(reader: Reader, spec: CollectionSpec, name: str) -> list[str]:
    """Return the locales in which the principal may see the entry; by id only, since a slug belongs to a locale."""
    try:
        entry_id = UUID(name)
    except ValueError:
        return []
    found = reader.in_any_locale(spec).filter(entry_id=entry_id)
    return list(found.order_by("locale").values_list("locale", flat=True))


def with_current(
    request: Request, spec: CollectionSpec, name: str, locale: str | None, act: Callable[[], Entry]
) -> Entry:
    """Do something; when it is refused as stale, add the current document to the refusal."""
    try:
        return act()
    except StaleVersionError as error:
        current = document(request, spec, name, locale, is_done=True).data
        raise StaleVersionError(error.detail, current=current) from None


def base_of(request: Request) -> int | None:
    """Return the version in `If-Match`, None when the header is absent."""
    header = request.headers.get("If-Match")
    if header is None:
        return None
    match = _IF_MATCH.fullmatch(header.strip())
    if match is None:
        raise InvalidInputError(
            'If-Match holds the version that you started from: "3".', code="invalid-header"
        )
    return int(match[1])


def latest_number(name: str, writing: Writing) -> int | None:
    """Return the newest version's number, for a restore that does not name what it started from."""
    try:
        entry_id = UUID(name)
    except ValueError:
        raise NotFoundError from None
    found = Entry.objects.filter(pk=entry_id, collection_id=writing.collection.id)
    return found.values_list("latest_number", flat=True).first()


def locales_of(request: Request) -> list[str] | None:
    """Return the body's `locales`, None for all."""
    body = members(request.data or {}, {"locales"})
    locales = body.get("locales")
    if locales is None:
        return None
    if not isinstance(locales, list) or not locales or not all(isinstance(item, str) for item in locales):
        raise InvalidInputError(errors=[Problem.at(("locales",), "invalid-type", "A list of locale codes.")])
    return locales


def text_or_none(body: Mapping[str, Any], member: str) -> str | None:
    """Return a text member of a body."""
    value = body.get(member)
    if value is not None and (not isinstance(value, str) or not value.isprintable()):
        raise InvalidInputError(errors=[Problem.at((member,), "invalid-type", "A printable text.")])
    return value


def readable_entry(request: Request, collection: str, name: str) -> tuple[Writing, Entry, set[Any]]:
    """Return an entry with the fields of it that the principal may read as drafts, or raise `NotFoundError`."""
    writing = Writing.on(collection, by=principal_of(request))
    try:
        entry = Entry.objects.get(pk=UUID(name), collection_id=writing.collection.id)
    except (ValueError, Entry.DoesNotExist):
        raise NotFoundError from None
    held = clauses_for(entry, Action.READ_DRAFT, writing, [])
    if not held:
        raise NotFoundError
    return writing, entry, allowed_fields(held, writing.collection)


def version_of(entry: Entry, number: int) -> Version:
    """Return a version of this very entry."""
    found = entry.versions.filter(number=number).first() if number < 2**31 else None
    if found is None:
        raise NotFoundError
    return found


def known_locale(locale: str | None, writing: Writing) -> str:
    """Return the locale to show."""
    if locale is not None and locale not in writing.schema.locale_by_code:
        raise refuse("locale", "unknown-locale", "There is no such locale.")
    return locale or writing.schema.default_locale.code


def sees_all(entry: Entry, writing: Writing) -> bool:
    """Tell whether the principal may read every field of an entry, whatever its class, gone ones included."""
    held = clauses_for(entry, Action.READ_DRAFT, writing, [])
    return any(clause.fields == EVERY_FIELD for clause in held)


def version_json(version: Version, *, is_hash_shown: bool) -> dict[str, Json]:
    """Return what is known of a version but its content.

    The hash is over all of it: who may not read some field could find its value by trying (an oracle).
    """
    return {
        "number": version.number,
        "created_at": rfc3339(version.created_at),
        "author": version.author_label,
        "message": version.message,
        "sha256": version.sha256 if is_hash_shown else None,
        "locales": [*version.locales],
    }
