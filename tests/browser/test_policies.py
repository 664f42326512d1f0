"""Rights are given by choosing: the form follows what is chosen, and asks before it saves; the eyes of others likewise."""

import pytest
from playwright.sync_api import Browser, expect

from accounts.models import Event, Policy, Role
from content.schema import current
from tests.browser.conftest import Watched, make_administrator, sign_in
from tests.builders import allow, make_collection, make_entry, make_role
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def role(_django_db_helper: None) -> Role:
    kinds = {"choices": [{"value": "news", "label": "News"}, {"value": "tip", "label": "Tip"}]}
    make_collection(
        "articles",
        [{"key": "title", "type": "text", "label": "Title"},
         {"key": "kind", "type": "choice", "label": "Kind", "options": kinds},
         {"key": "rating", "type": "integer", "label": "Rating"},
         {"key": "phone", "type": "text", "label": "Phone", "data_class": "personal"}],
        name="Articles",
    )  # fmt: skip
    make_collection("authors", [{"key": "name", "type": "text", "label": "Name"}], name="Authors")
    make_entry("articles", title="One", kind="news", rating=1)
    return make_role("desk")


def test_a_policy_is_chosen_and_confirmed(role: Role, ada: Watched) -> None:
    page = ada.page
    ada.go(f"/admin/accounts/role/{role.pk}/change/")
    page.get_by_role("link", name="Add a policy").click()
    page.get_by_label("Update", exact=True).check()
    page.get_by_label("Where").select_option("authors")
    expect(page.get_by_role("checkbox", name="Name")).to_be_visible()  # by itself
    page.get_by_label("Where").select_option("articles")
    phone = page.get_by_role("checkbox", name="Phone personal")
    phone.check()
    expect(page.get_by_label("Update", exact=True)).to_be_checked()
    expect(page.get_by_role("button", name="Show its fields")).to_be_hidden()

    what, how, value = (page.locator(f"[name=row-0-{part}]") for part in ("name", "operator", "value"))
    what.select_option("kind")
    assert how.locator("option:not([hidden])").all_inner_texts() == [
        "is", "is not", "is one of", "is none of", "is filled in", "is empty"
    ]  # fmt: skip
    assert "News" in page.locator("#policy-values-0 option").all_text_contents()
    value.fill("News")
    page.get_by_role("button", name="One more condition").click()
    page.locator("[name=row-1-name]").select_option("rating")
    expect(page.locator("[name=row-1-value]")).to_have_attribute("type", "number")
    page.locator("[name=row-1-operator]").select_option("empty")
    expect(page.locator("[name=row-1-value]")).to_be_hidden()
    page.get_by_role("button", name="Remove condition 2").click()

    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.get_by_role("heading", name="More may be done")).to_be_visible()
    assert not Policy.objects.exists()
    page.get_by_role("button", name="Back to the form").click()
    expect(page.locator("[name=row-0-value]")).to_have_value("News")
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".qk-sentences")).to_contain_text("Desk may update in Articles where Kind is News")
    policy = Policy.objects.get()
    fields = current().by_key["articles"].by_key
    assert policy.rows == [[str(fields["kind"].id), "eq", "news"]]
    assert policy.field_ids == [str(fields["phone"].id)]
    assert not ada.violations
    assert not ada.errors


def test_the_eyes_of_others(role: Role, ada: Watched) -> None:
    allow(role, collection="articles", fields=("title",))
    page = ada.page
    ada.go("/admin/view-as/?as=role:desk")
    page.get_by_label("Collection").select_option("articles")
    page.get_by_label("Entry", exact=True).select_option(label="One")
    page.get_by_role("button", name="View", exact=True).last.click()
    expect(page.locator("#seen")).to_have_text("As somebody with the role Desk: this is answered")
    expect(page.locator(".qk-answer").first).to_contain_text('"title": "One"')
    expect(page.get_by_role("row", name="Kind kind")).to_contain_text("hidden")
    assert Event.objects.filter(type="access.viewed-as").count() == 1
    assert not ada.violations
    assert not ada.errors


def test_it_works_without_a_script(role: Role, chromium: Browser, web_server: LiveServer) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(10_000)
    sign_in(page, web_server.url, make_administrator())
    page.goto(f"{web_server.url}/admin/accounts/policy/add/?role={role.pk}")
    page.get_by_label("Where").select_option("articles")
    page.get_by_role("button", name="Show its fields").click()
    page.get_by_label("Read what is published").check()
    page.locator("[name=row-0-name]").select_option("kind")
    page.locator("[name=row-0-value]").fill("gossip")
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.locator("#row-0-errors")).to_have_text("This is none of the values that the field can have.")
    page.locator("[name=row-0-value]").fill("Tip")
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/role/*/change/")
    assert Policy.objects.get().rows[0][2] == "tip"
    context.close()
