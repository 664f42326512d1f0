"""The management API of the schema: collections and locales."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import Action, Principal, principal_of
from accounts.canonical import Json
from accounts.errors import NotFoundError
from content import designing, fields, locales, modeling, schema
from content.fields.base import FieldSpec
from content.manage.bodies import flag, members
from content.manage.views import ManagementView
from content.models import Collection, Locale
from content.parameters import parse
from content.schema import CollectionSpec, Schema

ANY_RIGHT = (Action.READ, Action.READ_DRAFT, Action.CREATE, Action.UPDATE, Action.MANAGE_SCHEMA)


class CollectionsView(ManagementView):
    """`/api/v1/manage/collections`."""

    asks_widely = True

    @extend_schema(operation_id="manage_collections_list")
    def get(self, request: Request) -> Response:
        """List the collections that you have any right in, with the fields that you may know of."""
        parse(request.query_params, allowed=frozenset())
        by, present = principal_of(request), schema.current()
        visible = [spec for spec in present.collections if sees(by, spec)]
        descriptions = dict(Collection.objects.values_list("id", "description"))
        data = [collection_json(spec, present, by, descriptions.get(spec.id, "")) for spec in visible]
        return Response({"data": data, "meta": {"limit": len(data), "next_cursor": None}})

    @extend_schema(operation_id="manage_collections_create")
    def post(self, request: Request) -> Response:
        """Create a collection."""
        body = members(request.data, set(designing.COLLECTION_KEYS))
        by = principal_of(request)
        spec = modeling.create_collection(body, by=by)
        return Response(described(spec, by), status=201)


class CollectionView(ManagementView):
    """`/api/v1/manage/collections/{key}`."""

    asks_widely = True

    @extend_schema(operation_id="manage_collections_retrieve")
    def get(self, request: Request, key: str) -> Response:
        """Return one collection."""
        parse(request.query_params, allowed=frozenset())
        by = principal_of(request)
        return Response(described(visible_collection(key, by), by))

    @extend_schema(operation_id="manage_collections_update")
    def patch(self, request: Request, key: str) -> Response:
        """Change a collection. `fields` is the whole new list; `"dry_run": true` only tells the effects."""
        body = dict(members(request.data, {*designing.COLLECTION_KEYS, "confirm", "dry_run"}))
        by = principal_of(request)
        spec = visible_collection(key, by)
        confirm, dry_run = flag(body, "confirm"), flag(body, "dry_run")
        change = {name: value for name, value in body.items() if name in designing.COLLECTION_KEYS}
        if dry_run:
            effects = modeling.effects_of_change(spec.id, change, by=by)
            return Response({"effects": [effect.as_json() for effect in effects]})
        return Response(described(modeling.change_collection(spec.id, change, by=by, confirm=confirm), by))

    @extend_schema(operation_id="manage_collections_delete", responses={204: None})
    def delete(self, request: Request, key: str) -> Response:
        """Delete a collection; `?confirm=true` erases its entries with it."""
        by = principal_of(request)
        spec = visible_collection(key, by)
        modeling.delete_collection(spec.id, by=by, confirm=confirmed(request))
        return Response(status=204)


class LocalesView(ManagementView):
    """`/api/v1/manage/locales`."""

    @extend_schema(operation_id="manage_locales_list")
    def get(self, request: Request) -> Response:
        """List the locales, the default one first."""
        parse(request.query_params, allowed=frozenset())
        rows: QuerySet[Locale] = Locale.objects.order_by("-is_default", "code")
        data = [locale_json(row) for row in rows]
        return Response({"data": data, "meta": {"limit": len(data), "next_cursor": None}})

    @extend_schema(operation_id="manage_locales_create")
    def post(self, request: Request) -> Response:
        """Create a locale."""
        locale = locales.create_locale(members(request.data, set(locales.KEYS)), by=principal_of(request))
        return Response(locale_json(locale), status=201)


class LocaleView(ManagementView):
    """`/api/v1/manage/locales/{code}`."""

    @extend_schema(operation_id="manage_locales_retrieve")
    def get(self, request: Request, code: str) -> Response:
        """Return one locale."""
        parse(request.query_params, allowed=frozenset())
        row = Locale.objects.filter(pk=code).first()
        if row is None:
            raise NotFoundError
        return Response(locale_json(row))

    @extend_schema(operation_id="manage_locales_update")
    def patch(self, request: Request, code: str) -> Response:
        """Change a locale's name, fallback or direction."""
        body = members(request.data, set(locales.KEYS))
        return Response(locale_json(locales.change_locale(code, body, by=principal_of(request))))

    @extend_schema(operation_id="manage_locales_delete", responses={204: None})
    def delete(self, request: Request, code: str) -> Response:
        """Delete a locale without content."""
        parse(request.query_params, allowed=frozenset())
        locales.delete_locale(code, by=principal_of(request))
        return Response(status=204)


def sees(by: Principal, spec: CollectionSpec) -> bool:
    """Tell whether the principal has any right in a collection; components are seen by those who model."""
    return any(by.grant(action, on=spec.resource) for action in ANY_RIGHT)


def visible_collection(key: str, by: Principal) -> CollectionSpec:
    """Return a collection by key, or raise `NotFoundError`."""
    found = schema.current().by_key.get(key)
    if found is None or not sees(by, found):
        raise NotFoundError
    return found


def confirmed(request: Request) -> bool:
    """Return whether `?confirm=true` was sent."""
    parse(request.query_params, allowed=frozenset({"confirm"}))
    return request.query_params.get("confirm") == "true"


def described(spec: CollectionSpec, by: Principal) -> dict[str, Json]:
    """Return a collection's JSON."""
    description = Collection.objects.values_list("description", flat=True).get(pk=UUID(str(spec.id)))
    return collection_json(spec, schema.current(), by, description)


def collection_json(
    spec: CollectionSpec, present: Schema, by: Principal, description: str
) -> dict[str, Json]:
    """Return a collection with the fields that the principal may know of."""
    grants = [by.grant(action, on=spec.resource) for action in ANY_RIGHT]
    manages = bool(by.grant(Action.MANAGE_SCHEMA, on=spec.resource))
    shown = [field for field in spec.fields if manages or any(grant.allows(field) for grant in grants)]
    known = present if manages else known_part(present, by)
    return {
        "id": str(spec.id),
        "key": spec.key,
        "name": spec.name,
        "description": description,
        "kind": spec.kind,
        "localized": spec.localized,
        "retention": dict(spec.retention.as_json()) if spec.retention else None,
        **({"form": spec.form.as_json()} if spec.form is not None else {}),
        "fields": [field_json(field, shown, known) for field in shown],
    }


def known_part(present: Schema, by: Principal) -> Schema:
    """Return the schema without collections that the principal has no right in; components go with their fields."""
    seen = (spec for spec in present.collections if spec.kind == Collection.Kind.COMPONENT or sees(by, spec))
    return replace(present, collections=tuple(seen))


def field_json(field: FieldSpec, shown: list[FieldSpec], known: Schema) -> dict[str, Json]:
    """Return a field as a client may send it back, without the names of fields and collections that are not shown."""
    field_type = fields.get(field.type)
    options: Any = field_type.options_json(field_type.options(field), known)
    if options.get("from") not in {None, *(other.key for other in shown)}:
        del options["from"]
    condition = field.condition
    if condition is not None and condition.field not in {other.id for other in shown}:
        condition = None
    return {
        "id": str(field.id),
        "key": field.key,
        "type": field.type,
        "label": field.label,
        "help": field.help,
        **({"group": field.group} if field.group else {}),
        "required": field.required,
        "localized": field.localized,
        "unique": field.unique,
        "filterable": field.filterable,
        "default": field.default,
        "data_class": field.data_class,
        "options": options,
        "condition": condition.shown(shown) if condition else None,
    }


def locale_json(row: Locale) -> dict[str, Json]:
    """Return a locale's JSON."""
    return {
        "code": row.code,
        "name": row.name,
        "fallback": list(row.fallback),
        "direction": row.direction,
        "is_default": row.is_default,
    }
