"""Preview sites: the list, the form, the secrets that are shown once, and what can be done with a site."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.acts import Act, ActedOnAdmin
from accounts.admin.key_forms import OverlapForm
from accounts.admin.marks import Mark, pill
from accounts.errors import DomainError
from accounts.keys.usage import ago
from accounts.principals import of_request
from previews import sites
from previews.admin import probed
from previews.admin.framed import FramedAdmin
from previews.admin.handoff_input import rows_of
from previews.admin.site_forms import SiteForm
from previews.models import Preview, PreviewSite, SigningKey
from previews.models.signing_key import Algorithm
from previews.signing import life
from previews.sites import Made
from previews.tasks import probe_soon

OLD_AFTER: Final = timedelta(days=365)  # a client secret
STATES: Final[dict[str, Mark]] = {
    "active": ("qk-published", "●", "On"),
    "disabled": ("qk-draft", "‖", "Off"),
}


ACTS: Final = {
    "check": Act(
        "Check for leaks",
        "The site is asked for a draft as strangers would ask: without a preview, with tokens that are over or forged, "
        "by tricks that worked elsewhere. That takes up to a minute; what came of it then stands on the site’s page.",
    ),
    "rotate-secret": Act(
        "New client secret",
        "The site gets a new client secret, which is shown once. Both work until the hours are over.",
    ),
    "rotate-shared": Act(
        "New shared secret",
        "A new shared secret is made and shown once. It signs when the hours are over, so that you can bring it to the "
        "site before; then the old one verifies for as long again. With 0 it signs at once, and the old one is over.",
    ),
    "disable": Act(
        "Switch off",
        "The site gets no codes and no drafts from the next request on, until it is switched on again.",
        takes=True,
    ),
    "enable": Act("Switch on", "The site can show previews again."),
    "remove": Act(
        "Remove",
        "The site, its secrets and its part of the register are removed. What happened stays in the log. "
        "This can’t be undone.",
        takes=True,
    ),
}


def acts_of(site: PreviewSite) -> list[str]:
    """Return what can be done with a site as it is."""
    shared = ["rotate-shared"] if site.algorithm == Algorithm.HS256 else []
    if not site.is_active:
        return ["rotate-secret", *shared, "enable", "remove"]
    return ["check", "rotate-secret", *shared, "disable", "remove"]


@admin.register(PreviewSite)
class PreviewSiteAdmin(FramedAdmin[PreviewSite], ActedOnAdmin[PreviewSite]):
    """Preview sites. Their secrets are shown once, in the answer to what made them."""

    empty_text = "No preview site yet. Editors see their drafts on a website once it is set up here."
    change_form_template = "admin/previews/site_form.html"
    list_display = (
        "name",
        "state_shown",
        "origins_shown",
        "signed_with",
        "live",
        "last_used",
        "probe_shown",
        "secret_age",
    )
    search_fields = ("name",)
    search_help_text = "Name"
    ordering = ("name",)

    def get_urls(self) -> list[URLPattern]:
        act = path("<uuid:site_id>/do/<str:act>/", self.admin_site.admin_view(self.act_view), name="site-act")
        return [act, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[PreviewSite]:
        return super().get_queryset(request).annotate(live_previews=Count("previews", filter=_live()))

    def get_form(
        self, request: HttpRequest, obj: PreviewSite | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        return super().get_form(request, obj, *args, **{**kwargs, "form": SiteForm})

    def get_fieldsets(self, request: HttpRequest, obj: PreviewSite | None = None) -> Any:
        is_closed = obj is not None and not self.has_change_permission(request, obj)
        places = ("origins_shown", "urls_shown") if is_closed else ("origins", "handoff_urls")
        return (
            (None, {"fields": ("name", *places)}),
            (
                "How previews work there",
                {"fields": ("response_mode", "algorithm", *_LIVES, "is_embeddable", "cdn_origin")},
            ),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: PreviewSite | None = None) -> Any:
        is_closed = obj is not None and not self.has_change_permission(request, obj)
        return ("origins_shown", "urls_shown") if is_closed else ()

    # The list

    @admin.display(description="state", ordering="state")
    def state_shown(self, site: PreviewSite) -> SafeString:
        return pill(STATES[site.state])

    @admin.display(description="origins")
    def origins_shown(self, site: PreviewSite) -> str:
        more = len(site.origins) - 1
        return f"{site.origins[0]} and {more} more" if more > 0 else ", ".join(site.origins)

    @admin.display(description="signed with", ordering="algorithm")
    def signed_with(self, site: PreviewSite) -> str:
        return str(site.algorithm)

    @admin.display(description="handoff URLs")
    def urls_shown(self, site: PreviewSite) -> str:
        return "\n".join(f"{row.collection} {row.locale}: {row.url}" for row in rows_of(site))

    @admin.display(description="live previews", ordering="live_previews")
    def live(self, site: Any) -> int:
        number: int = site.live_previews if site.is_active else 0
        return number

    @admin.display(description="last used", ordering="last_used_at")
    def last_used(self, site: PreviewSite) -> str:
        return ago(site.last_used_at)

    @admin.display(description="last check", ordering="probed_at")
    def probe_shown(self, site: PreviewSite) -> SafeString:
        return probed.pill_of(site)

    @admin.display(description="secret")
    def secret_age(self, site: PreviewSite) -> str | SafeString:
        age = timezone.now() - (site.secret_rotated_at or site.created_at)
        words = "new today" if age.days < 1 else f"{age.days} day{'' if age.days == 1 else 's'} old"
        return format_html('<span class="qk-pill qk-changed">{}</span>', words) if age > OLD_AFTER else words

    # The form

    def response_add(
        self,
        request: HttpRequest,
        obj: PreviewSite,
        post_url_continue: str | None = None,  # noqa: ARG002 (Django's signature)
    ) -> HttpResponse:
        return self._shown_once(request, _made(obj), is_new=True)

    def response_change(self, request: HttpRequest, obj: PreviewSite) -> HttpResponse:
        """Show the shared secret that another algorithm has brought, or go back to the site."""
        made = _made(obj)
        if made.shared_secret:
            return self._shown_once(request, made)
        self.message_user(request, f"{obj.name} was saved.", messages.SUCCESS)
        return redirect("admin:previews_previewsite_change", obj.pk)

    def _shown_once(self, request: HttpRequest, made: Made, *, is_new: bool = False) -> HttpResponse:
        """Answer with the secrets themselves: a message after a redirect would keep them in a cookie or a session."""
        key = SigningKey.objects.filter(site=made.site).order_by("-pk").only("pk").first()
        context = {
            "site": made.site,
            "is_new": is_new,
            "lines": environment(made, str(key.pk) if key is not None else ""),
            "has_client_secret": bool(made.client_secret),
            "until": made.site.previous_valid_until if made.client_secret and not is_new else None,
        }
        return self.page(request, "admin/previews/site_shown_once.html", "Shown this once", context)

    # What can be done

    def act_view(self, request: HttpRequest, site_id: UUID, act: str) -> HttpResponse:
        """Say what will happen, and with a POST let it happen."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        site = _found(str(site_id))
        if site is None or act not in ACTS:
            raise Http404
        form = _overlap_form(request, act)
        if request.method == "POST" and (form is None or form.is_valid()):
            try:
                return self._acted(request, site, act, form)
            except DomainError as error:
                place = (
                    "overlap_hours"
                    if any(item.pointer == "/overlap_hours" for item in error.errors)
                    else None
                )
                if form is None or place is None:
                    return self.refused(request, str(site.pk), error)
                form.add_error(place, " ".join(item.detail for item in error.errors))
        context = {
            "site": site,
            "act": ACTS[act],
            "form": form,
            "state": pill(STATES[site.state]),
            "is_possible": act in acts_of(site),
            "ends": _live_number(site) if act in ("disable", "remove") else 0,
            "last_used": ago(site.last_used_at) if site.last_used_at else "",
        }
        return self.page(request, "admin/previews/site_act.html", f"{ACTS[act].name}: {site.name}", context)

    def _acted(
        self, request: HttpRequest, site: PreviewSite, act: str, form: OverlapForm | None
    ) -> HttpResponse:
        by = of_request(request)
        if form is not None:
            overlap = timedelta(hours=form.cleaned_data["overlap_hours"])
            if act == "rotate-secret":
                return self._shown_once(request, sites.rotate_secret(site, overlap=overlap, by=by))
            done = life.rotate_shared(site, overlap=overlap, by=by)
            return self._shown_once(request, Made(site, shared_secret=done.secret))
        if act == "check":
            probe_soon(site, by=by)
            self.message_user(
                request, "The site is being checked. Load the page again in a minute.", messages.SUCCESS
            )
            return redirect("admin:previews_previewsite_change", site.pk)
        if act == "remove":
            sites.remove(site, by=by)
            self.message_user(request, f"{site.name} is removed.", messages.SUCCESS)
            return redirect("admin:previews_previewsite_changelist")
        is_on = act == "enable"
        state = PreviewSite.State.ACTIVE if is_on else PreviewSite.State.DISABLED
        sites.change(site, {"state": state.value}, None, by=by)
        self.message_user(request, f"{site.name} is switched {'on' if is_on else 'off'}.", messages.SUCCESS)
        return redirect("admin:previews_previewsite_change", site.pk)

    def about(self, request: HttpRequest, row: PreviewSite) -> dict[str, Any]:
        """Return what the page says before the form."""
        site, now = row, timezone.now()
        shared = SigningKey.objects.verifying(now).filter(site=site).defer("private").order_by("-pk")
        return {
            "title": site.name,
            "subtitle": None,
            "site": site,
            "state": pill(STATES[site.state]),
            "acts": [(act, ACTS[act]) for act in acts_of(site)]
            if self.has_change_permission(request)
            else [],
            "live": _live_number(site),
            "last_used": ago(site.last_used_at),
            "secret_age": self.secret_age(site),
            "old_secret_until": site.previous_valid_until
            if site.previous_valid_until and site.previous_valid_until > now
            else None,
            "shared": list(shared),
            "probe": probed.told(site),
            "cms_url": settings.PUBLIC_URL,
        }


_LIVES: Final = (("ttl_seconds", "max_ttl_seconds"),)  # in one row


def environment(made: Made, kid: str) -> list[str]:
    """Return the lines that the site's environment needs, ready to copy."""
    lines = [
        f"CMS_URL={settings.PUBLIC_URL}",
        f"CMS_ENVIRONMENT={settings.ENVIRONMENT.name}",
        f"SITE_ID={made.site.pk}",
        f"ALGORITHM={made.site.algorithm}",
    ]
    if made.client_secret:
        lines.append(f"CLIENT_SECRET={made.client_secret}")
    if made.shared_secret:
        lines += [f"SHARED_SECRETS={made.shared_secret}", f"SHARED_SECRET_KID={kid}"]
    return lines


def _made(site: PreviewSite) -> Made:
    found = getattr(site, "made", None)
    return found if isinstance(found, Made) else Made(site)


def _live() -> Q:
    return Q(previews__expires_at__gt=timezone.now(), previews__revoked_at=None)


def _live_number(site: PreviewSite) -> int:
    return Preview.objects.live().filter(site=site).count()


def _overlap_form(request: HttpRequest, act: str) -> OverlapForm | None:
    if act not in ("rotate-secret", "rotate-shared"):
        return None
    form = OverlapForm(request.POST or None)
    if act == "rotate-shared":
        form.fields["overlap_hours"].label = "Hours until the new secret signs"
        form.fields["overlap_hours"].help_text = "1 to 720; with 0 the old one is dead at once."
    return form


def _found(text: str) -> PreviewSite | None:
    try:
        return PreviewSite.objects.filter(pk=UUID(text)).first()
    except ValueError:
        return None
