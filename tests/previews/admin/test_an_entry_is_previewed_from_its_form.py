"""The preview at the form of an entry: shown to who may preview that very entry, refused to everybody else."""

import logging
import re
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import Event
from content import editing
from previews import sites
from previews.models import Preview, PreviewSite, SigningKey
from tests.builders import ROOT, make_collection, make_entry, writing
from tests.content.admin.conftest import sign_in
from tests.previews.admin.conftest import As
from tests.previews.world import World, make_site, told
from tests.script_check import scripts

pytestmark = pytest.mark.django_db

OPEN = "/admin/previews/open/"
SCRIPT = {"X-Requested-With": "quillkeep"}
CONTROL = "data-qk-preview>"


def form(world: World, entry: Any = None, query: str = "") -> str:
    return f"/admin/content/articles/{(entry or world.draft).pk}/change/{query}"


def asked(world: World, **more: str) -> dict[str, str]:
    return {"entry": str(world.draft.pk), "locale": "en", "site": str(world.site.pk), **more}


def policy(answer: Any) -> dict[str, list[str]]:
    """Return the directives of the answer's policy."""
    parts = [part.split() for part in answer.headers["Content-Security-Policy"].split(";")]
    return {name: sources for name, *sources in parts}


def code_in(answer: Any) -> str:
    found = re.search(r"qkpc_development_[A-Za-z0-9_-]{43}", answer.content.decode())
    assert found is not None
    return found[0]


# --- The control -----------------------------------------------------------------------------------------------------


def test_who_may_preview_the_entry_has_a_button_and_others_have_none(
    world: World, edith: Client, somebody: As
) -> None:
    assert CONTROL in edith.get(form(world)).content.decode()
    rita = somebody("rita", "read", "read_draft", "update")
    page = rita.get(form(world)).content.decode()
    assert "CANARY draft" in page
    assert "qk-handoff" not in page
    assert "previews/admin/" not in page
    refused = rita.post(OPEN, asked(world))
    assert refused.status_code == 403
    assert "You may not preview this entry." in refused.content.decode()
    assert not Preview.objects.exists()


def test_the_right_counts_for_this_very_row(world: World, somebody: As) -> None:
    walter = somebody("walter", "read_draft", "update", "create", filter={"title": {"eq": "Another one"}})
    make_role_preview = {"title": {"eq": "CANARY draft"}}
    wendy = somebody("wendy", "read_draft", "preview", filter=make_role_preview)
    assert walter.get(form(world, world.other)).status_code == 200
    assert CONTROL not in walter.get(form(world, world.other)).content.decode()
    assert CONTROL in wendy.get(form(world)).content.decode()
    assert wendy.get(form(world, world.other)).status_code == 404
    for name in (world.other.pk, uuid4(), "nothing"):
        answer = wendy.post(OPEN, asked(world, entry=str(name)))
        assert answer.status_code == 404, name
        assert "Another one" not in answer.content.decode()


def test_where_no_site_shows_the_collection_in_this_locale_there_is_no_button(
    world: World, edith: Client
) -> None:
    sites.change(world.site, {}, {"articles": {"de": "https://www.example.com/p?path=/{slug}"}}, by=ROOT)
    page = edith.get(form(world, query="?locale=en"))
    assert CONTROL not in page.content.decode()
    assert "frame-src" in policy(page)
    assert policy(page)["frame-src"] == ["'self'"]
    editing.save(world.draft.pk, {"title": "Entwurf"}, writing=writing("articles"), base=1, locale="de")
    assert CONTROL in edith.get(form(world, query="?locale=de")).content.decode()


def test_several_sites_are_a_menu(world: World, edith: Client) -> None:
    other = make_site("Kiosk <b>", origins=["https://kiosk.example.com"],
                      urls={"articles": "https://kiosk.example.com/p?path=/{slug}"}).site  # fmt: skip
    page = edith.get(form(world)).content.decode()
    assert "<summary" in page
    assert "Kiosk &lt;b&gt;" in page
    assert page.count(f'value="{other.pk}"') == 2  # the menu's button, and the choice in the pane


def test_an_entry_in_the_trash_and_a_locked_down_system_have_none(world: World, edith: Client) -> None:
    editing.trash(world.draft.pk, writing=writing("articles"))
    assert CONTROL not in edith.get(form(world)).content.decode()
    assert edith.post(OPEN, asked(world)).status_code == 409
    assert not Preview.objects.exists()


def test_the_form_of_a_new_entry_brings_the_scripts_to_who_may_preview_and_leads_nowhere(
    world: World, edith: Client, somebody: As
) -> None:
    page = edith.get("/admin/content/articles/add/")
    assert "previews/admin/js/open.js" in page.content.decode()
    assert policy(page)["frame-src"] == ["'self'"]
    assert policy(page)["form-action"] == ["'self'"]
    rita = somebody("rita", "read", "read_draft", "create")
    assert "previews/admin/" not in rita.get("/admin/content/articles/add/").content.decode()


def test_no_script_of_ours_sends_a_message_to_whoever_stands_in_the_frame() -> None:
    """Each message names the origin that it is for (CVE-2026-55660)."""
    sent = [
        call
        for path in scripts()
        for call in re.findall(r"postMessage\(.*\)", path.read_text(encoding="utf-8"))
    ]
    assert len(sent) >= 3
    assert not [call for call in sent if "*" in call or not re.search(r", (location|live)\.origin\)$", call)]


# --- The policy ------------------------------------------------------------------------------------------------------


def test_the_page_may_frame_exactly_the_sites_that_show_it(world: World, edith: Client) -> None:
    make_collection("pages", [{"key": "title", "type": "text"}, {"key": "slug", "type": "slug"}])
    posted = {"origins": ["https://b.example.com", "https://a.example.com"], "response_mode": "form_post"}
    make_site("Posted", urls={"articles": "https://a.example.com/p?path=/{slug}"}, **posted)
    make_site("Off", origins=["https://off.example.com"], state="disabled",
              urls={"articles": "https://off.example.com/p?path=/{slug}"})  # fmt: skip
    make_site("Not framed", origins=["https://alone.example.com"], is_embeddable=False,
              urls={"articles": "https://alone.example.com/p?path=/{slug}"})  # fmt: skip
    make_site("Pages", origins=["https://pages.example.com"],
              urls={"pages": "https://pages.example.com/p?path=/{slug}"})  # fmt: skip
    make_site("German", origins=["https://de.example.com"],
              urls={"articles": {"de": "https://de.example.com/p?path=/{slug}"}})  # fmt: skip
    found = policy(edith.get(form(world)))
    assert found["frame-src"] == [
        "'self'",
        "https://a.example.com",
        "https://b.example.com",
        "https://www.example.com",
    ]
    assert found["form-action"] == ["'self'", "https://a.example.com", "https://b.example.com"]
    assert found["frame-ancestors"] == ["'none'"]
    assert found["connect-src"] == ["'self'"]


def test_no_other_page_may_frame_a_site(world: World, edith: Client, ada: Client) -> None:
    make_collection("notes", [{"key": "title", "type": "text"}])
    note = make_entry("notes", title="A note")
    for browser, path in (
        (edith, "/admin/"),
        (edith, "/admin/content/articles/"),
        (edith, "/admin/content/articles/add/"),
        (edith, f"/admin/content/articles/{world.draft.pk}/history/"),
        (edith, f"{form(world)}?drawer=1"),
        (ada, f"/admin/content/notes/{note.pk}/change/"),
        (ada, "/admin/content/notes/"),
        (ada, "/admin/modeling/collections/articles/"),
    ):
        answer = browser.get(path)
        assert answer.status_code == 200, path
        assert "example.com" not in answer.headers["Content-Security-Policy"], path
        assert CONTROL not in answer.content.decode(), path


def test_a_site_on_our_own_origin_never_stands_in_the_pane(world: World, edith: Client) -> None:
    PreviewSite.objects.filter(pk=world.site.pk).update(
        origins=["http://testserver", "https://www.example.com"]
    )
    page = edith.get(form(world))
    assert policy(page)["frame-src"] == ["'self'"]
    assert "data-qk-pane " not in page.content.decode()
    assert edith.post(OPEN, asked(world), headers=SCRIPT).status_code == 409


# --- The page between ------------------------------------------------------------------------------------------------


def test_the_browser_goes_on_to_the_site_with_its_code(world: World, edith: Client) -> None:
    answer = edith.post(OPEN, asked(world))
    assert answer.status_code == 200
    code = code_in(answer)
    text = unescape(answer.content.decode())
    assert f'content="0; url=https://www.example.com/api/preview?path=/blog/canary-draft&code={code}"' in text
    assert f'href="https://www.example.com/api/preview?path=/blog/canary-draft&code={code}"' in text
    assert "Opening the preview on" in text
    assert "CANARY draft" not in text
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "script" not in text
    found = policy(answer)
    assert found["frame-ancestors"] == ["'none'"]
    assert found["form-action"] == ["'self'"]
    assert "frame-src" not in found
    exchanged = world.exchange(code)
    assert exchanged.status_code == 200
    assert world.read(exchanged.json()["token"]).json()["title"] == "CANARY draft"
    assert [detail["entry"] for detail in told("preview.minted")] == [str(world.draft.pk)]


def test_a_site_that_takes_forms_gets_the_code_in_one(world: World, edith: Client) -> None:
    sites.change(world.site, {"response_mode": "form_post"}, None, by=ROOT)
    answer = edith.post(OPEN, asked(world))
    text = unescape(answer.content.decode())
    assert 'action="https://www.example.com/api/preview?path=/blog/canary-draft"' in text
    assert f'name="code" value="{code_in(answer)}"' in text
    assert 'type="submit">Go on</button>' in text
    assert "refresh" not in text
    assert text.count("<script") == 1
    found = policy(answer)
    assert found["form-action"] == ["https://www.example.com"]
    assert any(source.startswith("'nonce-") for source in found["script-src"])


def test_no_row_opens_the_policy_of_the_way_there(world: World, edith: Client) -> None:
    sites.change(world.site, {"response_mode": "form_post"}, None, by=ROOT)
    origins = ["https://www.example.com", "*", "https://x.example.com; script-src *", 7]
    PreviewSite.objects.filter(pk=world.site.pk).update(origins=origins)
    found = policy(edith.post(OPEN, asked(world)))
    assert found["form-action"] == ["https://www.example.com"]
    assert "*" not in found["script-src"]


def test_a_script_gets_what_the_pane_needs(world: World, edith: Client) -> None:
    answer = edith.post(OPEN, asked(world), headers=SCRIPT)
    body = answer.json()
    assert body["url"] == f"https://www.example.com/api/preview?path=/blog/canary-draft&code={body['code']}"
    assert (body["response_mode"], body["origin"]) == ("query", "https://www.example.com")
    assert 890 <= body["seconds"] <= 900
    assert Preview.objects.get(pk=body["jti"]).user == world.edith.user
    assert "no-store" in answer.headers["Cache-Control"]
    sites.change(world.site, {"response_mode": "form_post"}, None, by=ROOT)
    posted = edith.post(OPEN, asked(world), headers=SCRIPT).json()
    assert posted["url"] == "https://www.example.com/api/preview?path=/blog/canary-draft"
    sites.change(world.site, {"is_embeddable": False}, None, by=ROOT)
    refused = edith.post(OPEN, asked(world), headers=SCRIPT)
    assert refused.status_code == 409
    assert "Open its preview in a tab" in refused.json()["detail"]
    assert edith.post(OPEN, asked(world)).status_code == 200


def test_what_goes_wrong_is_a_page_that_says_what_to_do(world: World, edith: Client) -> None:
    empty = make_entry("articles", title="No address", published=False)
    editing.save(empty.pk, {"title": None, "slug": None}, writing=writing("articles"), base=1)
    nothing = edith.post(OPEN, asked(world, entry=str(empty.pk)))
    assert nothing.status_code == 400
    assert "needs a value for Slug" in nothing.content.decode()
    assert "press Preview again" in nothing.content.decode()
    unwritten = edith.post(OPEN, asked(world, locale="de"))
    assert unwritten.status_code == 400
    assert "nothing in this locale yet" in unwritten.content.decode()
    gone = edith.post(OPEN, asked(world, site=str(uuid4())))
    assert gone.status_code == 409
    sites.change(world.site, {"state": "disabled"}, None, by=ROOT)
    off = edith.post(OPEN, asked(world))
    assert off.status_code == 409
    assert "switched off" in off.content.decode()
    assert "switched off" in edith.post(OPEN, asked(world), headers=SCRIPT).json()["detail"]
    for answer in (nothing, unwritten, gone, off):
        assert "qkpc_" not in answer.content.decode()
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert not Preview.objects.exists()


def test_without_a_key_nothing_opens_and_people_are_told_to_wait(world: World, edith: Client) -> None:
    SigningKey.objects.all().delete()
    answer = edith.post(OPEN, asked(world))
    assert answer.status_code == 503
    assert "in a minute" in answer.content.decode()
    assert edith.post(OPEN, asked(world), headers=SCRIPT).status_code == 503
    assert not Preview.objects.exists()


def test_only_a_form_of_ours_opens_a_preview(world: World, edith: Client) -> None:
    got = edith.get(OPEN)
    assert got.status_code == 405
    assert "Preview button" in got.content.decode()
    assert got.headers["Allow"] == "POST"
    strict = sign_in(world.edith, csrf=True)
    assert strict.post(OPEN, asked(world), headers={"Origin": "https://evil.example"}).status_code == 403
    assert Client().post(OPEN, asked(world)).status_code == 302
    assert Client().post(OPEN, asked(world), headers=SCRIPT).status_code == 401
    assert not Preview.objects.exists()


def test_a_session_that_ended_opens_nothing(world: World, edith: Client) -> None:
    edith.post("/admin/logout/")
    assert edith.post(OPEN, asked(world)).status_code == 302
    assert not Preview.objects.exists()


def test_the_code_is_in_no_log_and_no_event(
    world: World, edith: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    code = code_in(edith.post(OPEN, asked(world)))
    posted = edith.post(OPEN, asked(world), headers=SCRIPT).json()["code"]
    page = edith.get(form(world)).content.decode()
    for secret in (code, posted):
        assert secret not in caplog.text
        assert secret not in page
        assert not [event for event in Event.objects.all() if secret in str(event.detail)]


# --- The register on the form ----------------------------------------------------------------------------------------


def of(world: World) -> str:
    return f"/admin/previews/of/{world.draft.pk}/"


def test_what_is_open_is_listed_to_its_person_and_revoked_there(world: World, edith: Client) -> None:
    assert "Your previews" in edith.get(form(world)).content.decode()
    assert "data-jti" not in edith.get(form(world)).content.decode()
    token = world.exchange(code_in(edith.post(OPEN, asked(world)))).json()["token"]
    assert "not opened yet" in edith.get(form(world)).content.decode()
    assert world.read(token).status_code == 200
    page = edith.get(form(world)).content.decode()
    assert "from 127.0.0.1" in page
    assert 'role="timer"' in page
    jti = Preview.objects.get().pk
    assert str(jti) in edith.get(of(world)).content.decode()
    answer = edith.post(f"/admin/previews/{jti}/revoke/", follow=True)
    assert answer.redirect_chain == [(f"{form(world)}?locale=en", 302)]
    assert "The preview is over." in answer.content.decode()
    assert "data-jti" not in answer.content.decode()
    assert world.read(token).status_code == 401


def test_nobody_sees_or_revokes_what_somebody_else_opened_but_who_administers_previews(
    world: World, edith: Client, ada: Client, somebody: As
) -> None:
    jti = edith.post(OPEN, asked(world), headers=SCRIPT).json()["jti"]
    path = f"/admin/previews/{jti}/revoke/"
    wendy = somebody("wendy", "read_draft", "preview")
    assert "data-jti" not in wendy.get(form(world)).content.decode()
    assert "edith" not in wendy.get(of(world)).content.decode()
    assert wendy.post(path).status_code == 404
    assert wendy.post(f"/admin/previews/{uuid4()}/revoke/").status_code == 404
    assert wendy.get(path).status_code == 405
    strict = sign_in(world.edith, csrf=True)
    assert strict.post(path, headers={"Origin": "https://evil.example"}).status_code == 403
    assert Preview.objects.get(pk=jti).revoked_at is None
    page = ada.get(form(world)).content.decode()
    assert "Open previews" in page
    assert "edith@example.com" in page
    assert ada.post(path, headers=SCRIPT).status_code == 204
    assert Preview.objects.get(pk=jti).revoked_at is not None


def test_the_list_of_an_entry_is_refused_without_the_right_to_preview_it(world: World, somebody: As) -> None:
    rita = somebody("rita", "read_draft")
    assert rita.get(of(world)).status_code == 403
    nobody = somebody("nobody", "read")
    assert nobody.get(of(world)).status_code == 404
    wendy = somebody("wendy", "read_draft", "preview")
    assert wendy.get(of(world)).status_code == 200
    assert wendy.post(of(world)).status_code == 405
    assert wendy.get(f"/admin/previews/of/{uuid4()}/").status_code == 404
    assert wendy.get(f"{of(world)}?locale=xx").status_code == 404


def test_the_list_is_bounded(world: World, edith: Client, django_assert_max_num_queries: Any) -> None:
    for _ in range(22):
        assert edith.post(OPEN, asked(world)).status_code == 200
    page = edith.get(form(world)).content.decode()
    assert page.count("data-jti") == 20
    assert "The newest 20." in page
    with django_assert_max_num_queries(30):
        edith.get(of(world))
