"""Every method of every pattern of the API, with a request that an administrator succeeds with."""

from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from accounts.models import ApiKey, Policy
from accounts.principals import anonymous
from content import editing
from content.forms.submitting import submit
from previews import sites
from previews.signing.table import tables
from tests.builders import (
    ROOT,
    Api,
    allow,
    make_alert,
    make_collection,
    make_entry,
    make_key,
    make_locale,
    make_role,
    make_user,
    writing,
)
from tests.content.forms.world import make_form
from tests.security.world import World
from tests.webhooks.incoming.world import make_failed_receipt
from tests.webhooks.world import make_endpoint
from webhooks import asking
from webhooks.incoming import sources as incoming

V1 = "api/v1/"
ENTRY = V1 + "manage/content/<str:collection>/<str:name>"
SUBMISSION = V1 + "manage/forms/<str:form>/submissions/<uuid:submission_id>"
DRAFT = V1 + "preview/content/<str:collection>/<str:name>"


@dataclass(frozen=True)
class Call:
    """One request: `who` may send it (`anyone`, `signed_in`, those with `administrator` rights, or none of them where a
    credential of another kind is asked for: `token`).
    """

    method: str
    route: str
    path: str
    body: Any = None
    status: int = 200
    who: str = "administrator"
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, api: Api) -> Any:
        return api.request(self.method, f"/{self.path}", self.body, **self.headers)

    def send_with(self, api: Api, members: dict[str, Any]) -> Any:
        """Send it with further members in the body, or other ones."""
        return api.request(self.method, f"/{self.path}", {**self.body, **members}, **self.headers)


def calls(world: World) -> list[Call]:
    """Return the calls in an order in which each finds what it needs."""
    make_locale("xx")
    make_role("spare")
    allow("spare", collection="articles")
    make_role("holder", {"collection": "articles"})
    make_collection("doomed", [])
    policy = Policy.objects.get(role__key="spare")
    person = make_user("person@example.com")
    make_key(owner=make_user("owner@example.com", roles=("holder",)))
    key = ApiKey.objects.get(owner__email="owner@example.com")
    entry = make_entry("articles", title="Acted on", rating=7, published=False)
    editing.save(entry.pk, {"rating": 8}, writing=writing("articles"), base=1)
    make_form("contact", [{"key": "name", "type": "text"}])
    sent = [str(submit("contact", {"name": "Somebody"}, size=10, by=anonymous()[0])) for _ in range(2)]
    lost = make_entry("articles", title="Lost", rating=7, published=False)
    alert = make_alert()
    probed = sites.add({"name": "Probed", "origins": ["https://www.example.com"]}, {}, by=ROOT).site
    handoff = {"articles": "https://www.example.com/api/preview?path=/{slug}"}
    on = {"origins": ["https://www.example.com"]}
    site = sites.add({"name": "Site", **on}, handoff, by=ROOT).site
    shared = sites.add({"name": "Shared", "algorithm": "HS256", **on}, {}, by=ROOT).site
    tables.forget()
    hook = incoming.add("shop", "standard", {"action": {"do": "record"}}, by=ROOT).source
    receipt = make_failed_receipt(hook)
    to_mint = {"entry_id": str(world.shown.pk), "site_id": str(site.pk)}
    minted = world.apis["administrator"].post(f"/{V1}previews", to_mint).json()
    one_site, preview = V1 + "manage/preview-sites/<uuid:site_id>", f"{V1}previews/{minted['jti']}"
    at = V1 + "manage/"
    hook, doomed_hook = (
        make_endpoint("https://www.example.com/", name=name).endpoint for name in ("Hook", "Doomed")
    )
    told = asking.test(hook, by=ROOT)
    ends, told_all = at + "webhooks/endpoints", at + "webhooks/deliveries"
    one_hook, one_told = ends + "/<uuid:endpoint_id>", told_all + "/<uuid:delivery_id>"
    new_hook = {"name": "New", "url": "https://www.example.com/", "types": ["entry.*"]}
    since = {"since": timezone.now().isoformat()}
    hooks = at + "webhooks/"
    one = f"{at}content/articles/{entry.pk}"
    made = {"key": "made", "name": "Made", "fields": [{"key": "title", "type": "text"}]}
    rule = {"role": "spare", "collection": "articles", "actions": ["read"], "fields": ["title"]}
    role_path, roles = f"{at}roles/spare", at + "roles/<str:key>"
    policies, keys = at + "policies/<uuid:policy_id>", at + "api-keys/<uuid:key_id>"
    return [
        Call("GET", V1 + "openapi.json", V1 + "openapi.json", who="anyone"),
        Call("GET", V1 + "content/<str:collection>", V1 + "content/articles", who="anyone"),
        Call("GET", V1 + "content/<str:collection>/<str:name>", f"{V1}content/articles/{world.shown.pk}", who="anyone"),
        Call("POST", V1 + "auth/login", V1 + "auth/login", {"email": "x@example.com", "password": "y"}, 401, who="anyone"),
        Call("POST", V1 + "auth/refresh", V1 + "auth/refresh", {"refresh": "x"}, 401, who="anyone"),
        Call("POST", V1 + "auth/step-up", V1 + "auth/step-up", {"otp": "000000", "reason": "x"}, 409, who="signed_in"),
        Call("GET", V1 + "auth/me", V1 + "auth/me", who="signed_in"),
        Call("GET", V1 + "auth/sessions", V1 + "auth/sessions", status=409, who="signed_in"),
        Call("GET", V1 + "auth/sessions/<uuid:session_id>", f"{V1}auth/sessions/{person.pk}", status=409, who="signed_in"),
        Call("DELETE", V1 + "auth/sessions/<uuid:session_id>", f"{V1}auth/sessions/{person.pk}", status=409, who="signed_in"),
        Call("POST", V1 + "auth/logout", V1 + "auth/logout", {}, 409, who="signed_in"),
        Call("GET", at + "locales", at + "locales", who="signed_in"),
        Call("GET", at + "locales/<str:code>", at + "locales/en", who="signed_in"),
        Call("GET", at + "collections", at + "collections", who="signed_in"),
        Call("GET", at + "collections/<str:key>", at + "collections/vault"),
        Call("POST", at + "collections", at + "collections", made, 201),
        Call("PATCH", at + "collections/<str:key>", at + "collections/vault", {"name": "Renamed"}),
        Call("DELETE", at + "collections/<str:key>", at + "collections/doomed", status=204),
        Call("POST", at + "locales", at + "locales", {"code": "yy", "name": "Y"}, 201),
        Call("PATCH", at + "locales/<str:code>", at + "locales/xx", {"name": "X"}),
        Call("DELETE", at + "locales/<str:code>", at + "locales/xx", status=204),
        Call("GET", at + "content/<str:collection>", at + "content/vault"),
        Call("POST", at + "content/<str:collection>", at + "content/vault", {"fields": {"title": "New"}}, 201),
        Call("GET", ENTRY, f"{at}content/vault/{world.hidden_target.pk}"),
        Call("PATCH", ENTRY, one, {"fields": {"hidden_text": "x"}}, headers={"If-Match": '"2"'}),
        Call("GET", ENTRY + "/versions", f"{at}content/vault/{world.hidden_target.pk}/versions"),
        Call("GET", ENTRY + "/versions/<int:number>", f"{at}content/vault/{world.hidden_target.pk}/versions/1"),
        Call("GET", ENTRY + "/diff", f"{at}content/vault/{world.hidden_target.pk}/diff?from=1&to=1"),
        Call("POST", ENTRY + "/versions/<int:number>/restore", f"{at}content/articles/{world.stranger.pk}/versions/1/restore", {}),
        Call("POST", ENTRY + "/publish", f"{at}content/articles/{world.draft.pk}/publish", {}),
        Call("POST", ENTRY + "/unpublish", f"{at}content/articles/{world.stranger.pk}/unpublish", {}),
        Call("DELETE", ENTRY, f"{at}content/articles/{world.draft.pk}", status=204),
        Call("POST", ENTRY + "/restore", f"{at}content/articles/{world.draft.pk}/restore", {}),
        Call("DELETE", ENTRY, f"{at}content/articles/{lost.pk}?purge=true", status=204),
        Call("POST", V1 + "forms/<str:form>", V1 + "forms/contact", {"name": "Somebody"}, 201, who="anyone"),
        Call("GET", at + "forms/<str:form>/submissions", at + "forms/contact/submissions"),
        Call("GET", SUBMISSION, f"{at}forms/contact/submissions/{sent[0]}"),
        Call("DELETE", SUBMISSION, f"{at}forms/contact/submissions/{sent[1]}", status=204),
        Call("POST", at + "forms/<str:form>/export", at + "forms/contact/export", {"format": "csv", "reason": "A test"}),
        Call("GET", at + "roles", at + "roles"),
        Call("POST", at + "roles", at + "roles", {"key": "fresh", "name": "Fresh"}, 201),
        Call("GET", roles, role_path),
        Call("PATCH", roles, role_path, {"name": "Other"}),
        Call("GET", at + "policies", at + "policies"),
        Call("POST", at + "policies", at + "policies", rule, 201),
        Call("GET", policies, f"{at}policies/{policy.pk}"),
        Call("PATCH", policies, f"{at}policies/{policy.pk}", {"actions": ["read", "create"]}),
        Call("DELETE", policies, f"{at}policies/{policy.pk}", status=204),
        Call("DELETE", roles, role_path, status=204),
        Call("GET", at + "users", at + "users"),
        Call("POST", at + "users", at + "users", {"email": "new@example.com", "roles": []}, 201),
        Call("GET", at + "users/<uuid:user_id>", f"{at}users/{person.pk}"),
        Call("PATCH", at + "users/<uuid:user_id>", f"{at}users/{person.pk}", {"name": "Other", "roles": ["holder"]}),
        Call("GET", at + "api-keys", at + "api-keys"),
        Call("POST", at + "api-keys", at + "api-keys", {"name": "n", "role": "holder", "scopes": ["articles:read"]}, 201),
        Call("GET", keys, f"{at}api-keys/{key.pk}"),
        Call("POST", keys + "/rotate", f"{at}api-keys/{key.pk}/rotate", {}),
        Call("POST", keys + "/retire", f"{at}api-keys/{key.pk}/retire", {}),
        Call("POST", keys + "/disable", f"{at}api-keys/{key.pk}/disable", {}),
        Call("POST", keys + "/enable", f"{at}api-keys/{key.pk}/enable", {}),
        Call("DELETE", keys, f"{at}api-keys/{key.pk}", status=204),
        Call("GET", at + "audit", at + "audit"),
        Call("POST", V1 + "csp-reports", V1 + "csp-reports", [], 415, who="anyone"),
        Call("GET", at + "alerts", at + "alerts"),
        Call("GET", at + "alerts/<uuid:alert_id>", f"{at}alerts/{alert.pk}"),
        Call("POST", V1 + "previews/exchange", V1 + "previews/exchange", {"code": "x", "client_secret": "y"}, 401, who="anyone"),
        Call("GET", DRAFT, f"{V1}preview/content/articles/{world.shown.pk}", status=401, who="token"),
        Call("GET", V1 + "previews", V1 + "previews", who="signed_in"),
        Call("POST", V1 + "previews", V1 + "previews", to_mint, 201),
        Call("GET", V1 + "previews/<uuid:jti>", preview),
        Call("DELETE", V1 + "previews/<uuid:jti>", preview, status=204),
        Call("GET", at + "preview-sites", at + "preview-sites"),
        Call("POST", at + "preview-sites", at + "preview-sites", {"name": "Another", **on}, 201),
        Call("GET", one_site, f"{at}preview-sites/{site.pk}"),
        Call("PATCH", one_site, f"{at}preview-sites/{site.pk}", {"name": "Renamed"}),
        Call("POST", one_site + "/rotate-secret", f"{at}preview-sites/{site.pk}/rotate-secret", {}),
        Call("POST", one_site + "/rotate-shared-secret", f"{at}preview-sites/{shared.pk}/rotate-shared-secret", {}),
        Call("DELETE", one_site, f"{at}preview-sites/{site.pk}", status=204),
        Call("GET", hooks + "sources", hooks + "sources"),
        Call("POST", hooks + "sources", hooks + "sources", {"key": "more", "scheme": "github", "action": {"do": "record"}}, 201),
        Call("GET", hooks + "sources/<str:key>", hooks + "sources/shop"),
        Call("PATCH", hooks + "sources/<str:key>", hooks + "sources/shop", {"options": {"tolerance_seconds": 60}}),
        Call("POST", hooks + "sources/<str:key>/rotate-secret", hooks + "sources/shop/rotate-secret", {}),
        Call("GET", hooks + "receipts", hooks + "receipts"),
        Call("GET", hooks + "receipts/<uuid:receipt_id>", f"{hooks}receipts/{receipt.pk}"),
        Call("POST", hooks + "receipts/<uuid:receipt_id>/retry", f"{hooks}receipts/{receipt.pk}/retry", {}, 202),
        Call("DELETE", hooks + "sources/<str:key>", hooks + "sources/shop", status=204),
        Call("POST", at + "alerts/<uuid:alert_id>/acknowledge", f"{at}alerts/{alert.pk}/acknowledge", {}),
        Call("POST", at + "preview-sites/<uuid:site_id>/probe", f"{at}preview-sites/{probed.pk}/probe", {}),
        Call("GET", ends, ends),
        Call("POST", ends, ends, new_hook, 201),
        Call("GET", one_hook, f"{ends}/{hook.pk}"),
        Call("PATCH", one_hook, f"{ends}/{hook.pk}", {"name": "Renamed hook"}),
        Call("POST", one_hook + "/test", f"{ends}/{hook.pk}/test", {}, 202),
        Call("POST", one_hook + "/check", f"{ends}/{hook.pk}/check", {}, 202),
        Call("POST", one_hook + "/rotate-secret", f"{ends}/{hook.pk}/rotate-secret", {}),
        Call("POST", one_hook + "/recover", f"{ends}/{hook.pk}/recover", since, 202),
        Call("DELETE", one_hook, f"{ends}/{doomed_hook.pk}", status=204),
        Call("GET", told_all, told_all),
        Call("GET", one_told, f"{told_all}/{told.pk}"),
        Call("POST", one_told + "/redeliver", f"{told_all}/{told.pk}/redeliver", {}, 202),
    ]  # fmt: skip
