"""Markup in any text column is shown as the text that it is, on every page of the admin (threats, J5)."""

import json
from html import unescape

import pytest
from django.test import Client
from django.urls import resolve

from tests.accounts.cast import make_person
from tests.builders import make_alert
from tests.content.admin.conftest import sign_in
from tests.security.admin_matrix import ADMIN
from tests.security.markup import (
    CANARY,
    ELSEWHERE,
    PLACED,
    Marked,
    alive,
    canary,
    crawl,
    make_marked,
    starting_points,
    text_columns,
)
from tests.security.world import routes

pytestmark = pytest.mark.django_db

# Patterns that answer no GET, or none with a page of the house.
NO_PAGES = {
    "accounts/event/export/", "accounts/event/<path:object_id>/history/",
    "login/", "logout/", "jsi18n/", "passkey/", "forgotten/", "forgotten/sent/", "link/", "new-password/", "password-strength/",
    "account/sessions/others/end/", "account/sessions/<uuid:session_id>/end/", "content/<str:key>/bulk/",
    "content/<str:key>/columns/", "content/<str:key>/views/", "content/<str:key>/part/", "content/<str:key>/slug/",
    "content/<str:key>/tags/", "content/<str:key>/markdown/", "content/<str:key>/<uuid:name>/presence/",
    "previews/open/", "previews/<uuid:jti>/revoke/",
    "content/<str:key>/<uuid:name>/restore/", "content/<str:key>/<uuid:name>/history/<int:number>/restore/",
    *(f"accounts/{model}/<path:object_id>/{page}" for model in ("user", "apikey", "serviceaccount") for page in ("", "delete/")),
    *(f"accounts/{model}/<path:object_id>/" for model in ("role", "policy", "event", "session", "alert")),
    *(f"accounts/{model}/{page}" for model in ("event", "session", "alert") for page in ("add/", "<path:object_id>/delete/")),
    *(f"previews/{model}/<path:object_id>/{page}" for model in ("previewsite", "signingkey", "preview") for page in ("", "delete/")),
    *(f"webhooks/{model}/<path:object_id>/{page}" for model in ("source", "receipt") for page in ("", "delete/")),
    "webhooks/receipt/add/", "webhooks/receipt/<uuid:receipt_id>/retry/",
    "previews/signingkey/add/", "previews/preview/add/", "previews/preview/<uuid:preview_id>/revoke/",
}  # fmt: skip


@pytest.fixture
def ada(_django_db_helper: None) -> Client:
    return sign_in(make_person("ada@example.com", roles=["administrator"], with_authenticator=True))


@pytest.fixture
def marked(ada: Client) -> Marked:
    return make_marked(ada.get("/admin/").wsgi_request.user)


def test_every_text_column_is_accounted_for() -> None:
    known = {*PLACED, *(name for names in ELSEWHERE.values() for name in names)}
    assert text_columns() - known == set(), "a new column needs markup in tests/security/markup.py"
    assert known - text_columns() == set()


def test_live_markup_is_found() -> None:
    assert alive(f"<p>{CANARY}</p>")
    assert alive('<a href="/" onclick="x">')
    assert not alive("<p title='&quot;&gt;&lt;img src=x onerror=alert(1)&gt;'>&lt;img src=x&gt;</p>")


def test_no_page_holds_stored_markup_as_markup(ada: Client, marked: Marked) -> None:
    pages = crawl(ada, starting_points(marked), most=500)
    found = {path: alive(text) for path, text in pages.items() if not text.startswith("{")}
    assert not {path: elements for path, elements in found.items() if elements}
    for path, text in pages.items():
        if text.startswith("{"):  # JSON: of its members, only cards are put into a page as markup
            for entry in json.loads(text).get("entries", []):
                assert not alive(entry["card"]), path
    every = "\n".join(pages.values())
    plain = unescape(every)
    unseen = {name for name, word in PLACED.items() if canary(word) not in plain}
    assert not unseen, "no page shows these, so nothing is proved of them"
    visited = {resolve(path.split("?")[0]).route.removeprefix(ADMIN) for path in pages}
    expected = {route.route.removeprefix(ADMIN) for route in routes(ADMIN)} - NO_PAGES
    assert {route.removeprefix("^") for route in expected} - visited == set()


def test_no_answer_to_a_form_holds_markup_as_markup(ada: Client, marked: Marked) -> None:
    """What is typed comes back in forms that were refused, in messages, and in what scripts ask for."""
    at, one = "/admin/content/marked/", f"/admin/content/marked/{marked.entry.pk}/"
    sent = [
        (f"{at}add/", {"f-title": CANARY, "f-integer": CANARY, "f-json": CANARY, "f-url": CANARY, "f-choice": CANARY,
                       "f-reference-id": CANARY, "f-date": CANARY, "f-color": CANARY, "message": CANARY}),
        (f"{one}change/", {"f-title": CANARY, "base": CANARY}),
        (f"{one}change/", {"f-title": canary("mine"), "f-text": canary("mine"), "base": "1"}),
        (f"{one}rights/", {"to": CANARY, "actions": CANARY}),
        (f"{one}publish/", {"locales": CANARY, "together": CANARY}),
        (f"{one}unpublish/", {"locales": CANARY}),
        (f"{at}bulk/", {"act": "trash", "ids": str(marked.entry.pk)}),
        (f"{at}bulk/", {"act": "publish", "ids": [str(marked.entry.pk), str(marked.lost.pk)], "confirm": "1", "locales": ["en", "ar"]}),
        (f"{at}bulk/", {"act": CANARY, "ids": CANARY}),
        (f"{at}views/", {"act": "save", "name": CANARY, "query": CANARY}),
        (f"{at}views/", {"act": CANARY, "name": CANARY}),
        (f"{at}part/", {"name": "f-blocks", "number": "3", "component": "part", "f-blocks-3-text": CANARY}),
        (f"{at}part/", {"name": f"f-blocks{CANARY}", "number": CANARY, "component": CANARY}),
        (f"{at}slug/", {"field": "slug", "text": CANARY}),
        (f"{at}tags/", {"field": "tags", "q": ""}),
        (f"{at}markdown/", {"text": f"{CANARY}\n\n`{CANARY}`\n\n[a](<javascript:alert(1)>)"}),
        ("/admin/modeling/collections/add/", {"name": CANARY, "key": CANARY, "kind": CANARY, "field-count": "1", "field-0-key": CANARY, "field-0-type": CANARY,
                                              "field-0-options": CANARY, "field-0-label": CANARY, "_save": "1"}),
        ("/admin/modeling/collections/marked/", {"name": CANARY, "key": "marked", "kind": "many", "field-count": "0", "_save": "1"}),
        ("/admin/modeling/collections/marked/delete/", {"key": CANARY}),
        ("/admin/modeling/locales/add/", {"code": CANARY, "name": CANARY, "fallback": CANARY, "direction": CANARY}),
        ("/admin/accounts/user/add/", {"email": CANARY, "name": CANARY, "roles": CANARY}),
        (f"/admin/accounts/user/{marked.eve.pk}/change/", {"email": CANARY, "name": CANARY, "roles": ["marked"]}),
        ("/admin/accounts/user/", {"action": "invite_again", "_selected_action": str(marked.eve.pk)}),
        ("/admin/accounts/user/", {"action": CANARY, "_selected_action": CANARY}),
        ("/admin/accounts/role/add/", {"key": CANARY, "name": canary("rolename")}),
        ("/admin/accounts/role/add/", {"key": "other", "name": canary("other")}),
        ("/admin/accounts/policy/add/", {"collection": CANARY, "actions": CANARY, "filter": CANARY, "field_names": CANARY, "presets": CANARY}),
        ("/admin/accounts/apikey/add/", {"name": CANARY, "scopes": [CANARY], "rate_limit": CANARY, "network_lines": CANARY, "owner": CANARY}),
        ("/admin/accounts/alert/", {"alert": CANARY, "note": CANARY}),
        (f"/admin/accounts/alert/{make_alert().pk}/change/", {"note": CANARY * 50}),
        (f"/admin/accounts/alert/{make_alert().pk}/change/", {"note": CANARY}),
        ("/admin/previews/previewsite/add/", {"name": CANARY, "origins": CANARY, "cdn_origin": CANARY, "ttl_seconds": CANARY, "max_ttl_seconds": CANARY, "algorithm": CANARY,
                                              "response_mode": CANARY, "handoff_urls-0-collection": CANARY, "handoff_urls-0-locale": CANARY, "handoff_urls-0-url": CANARY}),
        (f"/admin/previews/previewsite/{marked.site}/do/rotate-secret/", {"overlap_hours": CANARY}),
        (f"/admin/previews/previewsite/{marked.site}/do/rotate-secret/", {"overlap_hours": "1"}),
        (f"/admin/previews/previewsite/{marked.site}/do/disable/", {}),
        ("/admin/previews/signingkey/rotate/EdDSA/", {"overlap_hours": CANARY}),
        ("/admin/previews/preview/", {"action": CANARY, "_selected_action": CANARY}),
        (f"/admin/previews/previewsite/{marked.site}/do/remove/", {}),
        ("/admin/login/", {"email": CANARY, "password": CANARY, "next": f"/admin/{CANARY}"}),
    ]  # fmt: skip
    for path, data in sent:
        answer = ada.post(path, data, follow=True)
        assert answer.status_code < 500, path
        text = answer.content.decode()
        if answer["Content-Type"].startswith("application/json"):
            text = str(json.loads(text).get("markup", ""))
        assert not alive(text), (path, alive(text))
    outside = Client()
    for path in (
        f"/admin/login/?next=/admin/{CANARY}",
        f"/admin/{CANARY}/",
    ):
        assert not alive(outside.get(path).content.decode()), path
