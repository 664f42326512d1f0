"""The management API: minting, the register, and the sites."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import Area, Needs, principal_of
from accounts.api.bodies import JsonObjectField, RotateBody
from accounts.api.manage import NO_STORE, ManagementView
from accounts.api.shapes import moment
from accounts.api.strict import (
    StrictBooleanField,
    StrictCharField,
    StrictIntegerField,
    StrictListField,
    StrictSerializer,
    StrictUUIDField,
    read_body,
    read_query,
)
from accounts.errors import InvalidInputError, NotFoundError, Problem
from accounts.limits import EXPORTS
from previews import handoff, register, sites
from previews.api.shapes import preview_json, site_json
from previews.models import Preview, PreviewSite
from previews.probing.probe import probe
from previews.signing import life

LIST: Final = OpenApiResponse(description="A page: `data` and `meta`.")
ONE: Final = OpenApiResponse(description="The thing.")


# --- Previews -------------------------------------------------------------------------------------------------------


class MintBody(StrictSerializer):
    entry_id = StrictUUIDField()
    site_id = StrictUUIDField()
    locale = StrictCharField(max_length=24, required=False)
    ttl_seconds = StrictIntegerField(required=False)


class PreviewsView(ManagementView):
    """`/api/v1/previews`: handing one out, and those that were."""

    needs = Needs("signed_in")

    @extend_schema(operation_id="previews_list", responses={200: LIST})
    def get(self, request: Request) -> Response:
        """List one's own previews, the newest first; everybody's for those who administer previews."""
        rows = Preview.objects.visible_to(principal_of(request))
        return self.handle_list(request, rows, preview_json, order="-pk")

    @extend_schema(operation_id="previews_create", request=MintBody, responses={201: ONE})
    def post(self, request: Request) -> Response:
        """Hand out a preview of an entry's draft; the browser goes to `url` within a minute."""
        body = read_body(MintBody, request)
        site = PreviewSite.objects.filter(pk=body["site_id"]).first()
        if site is None:
            detail = "There is no such preview site."
            raise InvalidInputError(errors=[Problem.at(["site_id"], "unknown-site", detail)])
        minted = handoff.mint(
            body["entry_id"],
            site=site,
            locale=body.get("locale"),
            ttl=body.get("ttl_seconds"),
            by=principal_of(request),
        )
        preview = minted.preview
        told = {
            "url": minted.url,
            "code": minted.code,
            "expires_at": moment(preview.expires_at),
            "jti": str(preview.pk),
            "response_mode": site.response_mode,
        }
        return Response(told, status=201, headers=NO_STORE)


class PreviewView(ManagementView):
    """`/api/v1/previews/{jti}`."""

    needs = Needs("signed_in")

    @extend_schema(operation_id="previews_retrieve", responses={200: ONE})
    def get(self, request: Request, jti: UUID) -> Response:
        """Return one preview of the register."""
        read_query(request, ())
        preview = Preview.objects.visible_to(principal_of(request)).filter(pk=jti).first()
        if preview is None:
            raise NotFoundError
        return Response(preview_json(preview))

    @extend_schema(operation_id="previews_revoke", responses={204: None})
    def delete(self, request: Request, jti: UUID) -> Response:
        """Revoke a preview: its code and its token are over at once."""
        register.revoke(jti, by=principal_of(request))
        return Response(status=204)


# --- Sites ----------------------------------------------------------------------------------------------------------


class SiteChange(StrictSerializer):
    name = StrictCharField(max_length=100, required=False)
    origins = StrictListField(child=StrictCharField(max_length=300), required=False, max_length=20)
    handoff_urls = JsonObjectField(required=False)
    algorithm = StrictCharField(max_length=5, required=False)
    ttl_seconds = StrictIntegerField(required=False, min_value=0, max_value=86_400)
    max_ttl_seconds = StrictIntegerField(required=False, min_value=0, max_value=86_400)
    response_mode = StrictCharField(max_length=9, required=False)
    is_embeddable = StrictBooleanField(required=False)
    cdn_origin = StrictCharField(max_length=300, required=False, allow_null=True, allow_blank=True)
    state = StrictCharField(max_length=8, required=False)


class SiteBody(SiteChange):
    name = StrictCharField(max_length=100)
    origins = StrictListField(child=StrictCharField(max_length=300), max_length=20)


class SitesView(ManagementView):
    """`/api/v1/manage/preview-sites`."""

    needs = Needs("area", Area.PREVIEWS)

    @extend_schema(operation_id="manage_preview_sites_list", responses={200: LIST})
    def get(self, request: Request) -> Response:
        """List the preview sites."""
        rows = PreviewSite.objects.prefetch_related("handoff_urls")
        return self.handle_list(request, rows, site_json, order="pk")

    @extend_schema(operation_id="manage_preview_sites_create", request=SiteBody, responses={201: ONE})
    def post(self, request: Request) -> Response:
        """Set up a site. Its secrets are in this answer only."""
        body = read_body(SiteBody, request)
        made = sites.add(_settings(body), _urls(body) or {}, by=principal_of(request))
        return Response(_made_json(made), status=201, headers=NO_STORE)


class SiteView(ManagementView):
    """`/api/v1/manage/preview-sites/{id}`."""

    needs = Needs("area", Area.PREVIEWS)

    @extend_schema(operation_id="manage_preview_sites_retrieve", responses={200: ONE})
    def get(self, request: Request, site_id: UUID) -> Response:
        """Return one preview site."""
        read_query(request, ())
        return Response(site_json(_site(site_id)))

    @extend_schema(operation_id="manage_preview_sites_update", request=SiteChange, responses={200: ONE})
    def patch(self, request: Request, site_id: UUID) -> Response:
        """Change what is given; `handoff_urls` as a whole."""
        body = read_body(SiteChange, request, partial=True)
        made = sites.change(_site(site_id), _settings(body), _urls(body), by=principal_of(request))
        return Response(_made_json(made), headers=NO_STORE)

    @extend_schema(operation_id="manage_preview_sites_delete", responses={204: None})
    def delete(self, request: Request, site_id: UUID) -> Response:
        """Remove a site; its previews are over at once."""
        sites.remove(_site(site_id), by=principal_of(request))
        return Response(status=204)


class SiteRotationView(ManagementView):
    """`POST /api/v1/manage/preview-sites/{id}/rotate-secret`."""

    needs = Needs("area", Area.PREVIEWS)

    @extend_schema(
        operation_id="manage_preview_sites_rotate_secret", request=RotateBody, responses={200: ONE}
    )
    def post(self, request: Request, site_id: UUID) -> Response:
        """Give a site a new client secret, in this answer only."""
        made = sites.rotate_secret(_site(site_id), **_overlap(request), by=principal_of(request))
        return Response(_made_json(made), headers=NO_STORE)


class SharedSecretRotationView(ManagementView):
    """`POST /api/v1/manage/preview-sites/{id}/rotate-shared-secret`, for HS256."""

    needs = Needs("area", Area.PREVIEWS)

    @extend_schema(
        operation_id="manage_preview_sites_rotate_shared_secret",
        request=RotateBody,
        responses={200: ONE},
    )
    def post(self, request: Request, site_id: UUID) -> Response:
        """Make a new shared secret, in this answer only. It signs after `overlap_hours`, once the site knows it."""
        site = _site(site_id)
        done = life.rotate_shared(site, **_overlap(request), by=principal_of(request))
        told = {
            "id": str(site.pk),
            "kid": str(done.key.pk),
            "shared_secret": done.secret,
            "activates_at": moment(done.key.activates_at),
        }
        return Response(told, headers=NO_STORE)


class SiteProbeView(ManagementView):
    """`POST /api/v1/manage/preview-sites/{id}/probe`."""

    limited_as = EXPORTS  # it asks another server, for a minute at most
    needs = Needs("area", Area.PREVIEWS)

    @extend_schema(operation_id="manage_preview_sites_probe", request=None, responses={200: ONE})
    def post(self, request: Request, site_id: UUID) -> Response:
        """Ask the site for drafts as strangers would, and return it with what came of it in `probe`."""
        read_body(StrictSerializer, request)
        return Response(site_json(probe(_site(site_id), by=principal_of(request))))


def _site(site_id: UUID) -> PreviewSite:
    found = PreviewSite.objects.filter(pk=site_id).first()
    if found is None:
        raise NotFoundError
    return found


def _settings(body: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {name: body[name] for name in sites.SETTINGS if name in body}
    if "cdn_origin" in values:
        values["cdn_origin"] = values["cdn_origin"] or ""
    return values


def _urls(body: dict[str, Any]) -> sites.HandoffUrls | None:
    """Return the handoff URLs of a body; their shape is checked here, what they say is not."""
    given = body.get("handoff_urls")
    if given is None:
        return None
    problems = []
    for key, value in given.items():
        is_by_locale = isinstance(value, dict) and all(isinstance(url, str) for url in value.values())
        if not isinstance(value, str) and not is_by_locale:
            detail = 'A URL, or an object of URLs by locale ("*": every other one).'
            problems.append(Problem.at(["handoff_urls", key], "invalid", detail))
    if problems:
        raise InvalidInputError(errors=problems)
    return dict(given)


def _made_json(made: sites.Made) -> dict[str, Any]:
    told = site_json(made.site)
    if made.client_secret:
        told["client_secret"] = made.client_secret
    if made.shared_secret:
        told["shared_secret"] = made.shared_secret
    return told


def _overlap(request: Request) -> dict[str, timedelta]:
    body = read_body(RotateBody, request)
    return {"overlap": timedelta(hours=body["overlap_hours"])} if "overlap_hours" in body else {}
