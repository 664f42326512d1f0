"""The pages of accounts and the tables of previews and webhooks, one after the other, as somebody goes through them."""

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone
from playwright.sync_api import BrowserContext, Page

from accounts import people
from accounts.access import Action
from accounts.log import seal_pending
from accounts.models import Event, Role, Session, User
from accounts.sign_in import links
from accounts.sign_in.links import Purpose
from previews.models import SigningKey
from tests.accounts.cast import BUILDER, PASSWORD, make_key, make_person, make_policy, make_role
from tests.browser.conftest import make_administrator, sign_in, watch
from tests.builders import make_alert, make_collection, make_entry
from tests.previews.world import FIELDS, make_preview, make_site
from tests.processes import LiveServer
from tests.webhooks.incoming.world import make_failed_receipt, make_source
from tests.webhooks.world import make_attempt, make_delivery, make_endpoint

Look = Callable[[Page, str], None]


def visit_each(browser: BrowserContext, web_server: LiveServer, look: Look) -> None:
    """Go through the doors, then through every table, and call `look(page, name)` on each page."""
    ada = make_administrator()
    edith = make_person("edith@example.com", roles=[make_role("editor", require_second_factor=True).key])
    walter = make_person("walter@example.com", roles=["editor"])
    policy = make_policy(Role.objects.get(key="editor"), Action.READ, Action.READ_DRAFT, Action.UPDATE)
    key, _ = make_key(walter.user, name="Website")
    make_collection("articles", FIELDS)
    entry = make_entry("articles", title="First", published=False)
    watched = watch(browser, web_server.url)
    page = watched.page
    # The doors
    watched.go("/admin/login/")
    look(page, "sign-in")
    page.fill("[name=email]", ada.email)
    page.fill("[name=password]", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    look(page, "sign-in-refused")
    page.fill("[name=email]", edith.email)
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/enrolment/")
    look(page, "enrolment")
    watched.go("/admin/login/")
    page.fill("[name=email]", ada.email)
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/code/")
    look(page, "code")
    page.fill("[name=code]", "000000")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    look(page, "code-refused")
    watched.go("/admin/forgotten/")
    look(page, "forgotten")
    page.fill("[name=email]", ada.email)
    page.keyboard.press("Enter")
    page.wait_for_url("**/sent/")
    look(page, "forgotten-sent")
    watched.go("/admin/link/")
    look(page, "link")
    token = links.make_token(User.objects.get(pk=walter.user.pk), Purpose.INVITATION)
    watched.go(f"/admin/link/#{token}")
    page.wait_for_url("**/new-password/")
    look(page, "invitation")
    page.fill("[name=password]", "short")
    page.fill("[name=repeated]", "other")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    look(page, "invitation-refused")
    page.goto("about:blank")
    watched.go("/admin/link/#gone")
    page.wait_for_selector("text=This link is over")
    look(page, "link-gone")
    # The tables
    sign_in(page, web_server.url, ada)
    seal_pending()
    rows = {
        "user": edith.user.pk,
        "role": Role.objects.get(key="editor").pk,
        "policy": policy.pk,
        "apikey": key.pk,
        "serviceaccount": people.add_service("Robot", by=BUILDER).pk,
        "session": Session.objects.latest("created_at").pk,
        "event": Event.objects.filter(seal__isnull=False).latest("at").pk,
        "alert": make_alert(
            subject_type="user", subject_id=str(edith.user.pk), actor_label=ada.email, count=7
        ).pk,
    }
    site = make_site().site
    of_previews = {
        "previewsite": site.pk,
        "signingkey": SigningKey.objects.get(state="active").pk,
        "preview": make_preview(site, entry, Session.objects.filter(user=ada.user).latest("created_at")).pk,
    }
    for own in ("", "password/", "authenticator/", "passkeys/new/"):
        watched.go(f"/admin/account/{own}")
        look(page, f"account-{own.strip('/') or 'own'}")
    watched.go("/admin/account/")
    page.click("text=Make ten codes")
    page.wait_for_selector(".qk-codes")
    look(page, "recovery-codes")
    Session.objects.filter(user=ada.user).update(verified_at=timezone.now() - timedelta(minutes=11))
    watched.go("/admin/account/password/")
    look(page, "step-up")
    Session.objects.filter(user=ada.user).update(verified_at=timezone.now())
    watched.go("/admin/accounts/")
    look(page, "accounts")
    for model, pk in rows.items():
        watched.go(f"/admin/accounts/{model}/")
        look(page, f"{model}-list")
        watched.go(f"/admin/accounts/{model}/{pk}/change/")
        look(page, f"{model}-change")
        if model not in ("session", "event", "alert"):
            watched.go(f"/admin/accounts/{model}/add/")
            look(page, f"{model}-add")
        if model in ("role", "policy"):
            watched.go(f"/admin/accounts/{model}/{pk}/delete/")
            look(page, f"{model}-delete")
    endpoint = make_endpoint("https://www.example.com/hook", owner=ada.user).endpoint
    delivery = make_delivery(endpoint)
    make_attempt(delivery)
    source = make_source("deploys")
    of_webhooks = {
        "endpoint": endpoint.pk,
        "delivery": delivery.pk,
        "source": source.pk,
        "receipt": make_failed_receipt(source).pk,
    }
    for room, tables in (("previews", of_previews), ("webhooks", of_webhooks)):
        for model, pk in tables.items():
            watched.go(f"/admin/{room}/{model}/")
            look(page, f"{model}-list")
            watched.go(f"/admin/{room}/{model}/{pk}/change/")
            look(page, f"{model}-change")
    watched.go("/admin/view-as/?as=role:editor")
    look(page, "view-as")
    watched.go(f"/admin/accounts/policy/add/?role={rows['role']}&collection=*")
    page.check("[name=actions][value=read]")
    page.select_option("[name=row-0-name]", "_created_by")
    page.fill("[name=row-0-value]", "nobody")
    page.click(".submit-row [name=_save]")
    page.wait_for_selector(".errornote")
    look(page, "policy-refused")
    page.fill("[name=row-0-value]", "$user")
    page.check("[name=actions][value=delete]")
    page.click(".submit-row [name=_save]")
    page.wait_for_selector("[name=_confirmation]", state="attached")
    look(page, "access-change")
    watched.go("/admin/accounts/event/?subject=editor")
    look(page, "event-found")
    # What forms answer
    watched.go("/admin/accounts/user/add/")
    page.fill("[name=email]", ada.email)
    page.click("[name=_save]")
    page.wait_for_selector(".errornote")
    look(page, "user-refused")
    watched.go("/admin/accounts/apikey/add/")
    page.fill("[name=name]", "Website")
    page.select_option("[name=role]", label="Editor")
    page.check("[name=scopes][value='*:read']")
    page.click("[name=_save]")
    page.wait_for_selector("dl code")
    look(page, "key-shown-once")
    watched.go(f"/admin/accounts/apikey/{key.pk}/do/rotate/")
    look(page, "key-rotate")
    page.fill("[name=overlap_hours]", "999")
    page.click("input[type=submit]")
    page.wait_for_selector(".errornote")
    look(page, "key-rotate-refused")
    page.fill("[name=overlap_hours]", "2")
    page.click("input[type=submit]")
    page.wait_for_selector("dl code")
    watched.go(f"/admin/accounts/apikey/{key.pk}/change/")
    look(page, "key-retiring")
    watched.go(f"/admin/accounts/apikey/{key.pk}/do/revoke/")
    look(page, "key-revoke")
    watched.go("/admin/accounts/apikey/nothing/change/")
    look(page, "not-there")
