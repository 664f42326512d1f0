"""Each kind of credential at each endpoint, from the URL patterns: taken where it belongs, and nobody elsewhere.

A credential that is not taken must be worth nothing at all: what it belongs to has no part in the answer. A new
endpoint is in the lists by itself; one that takes another kind fails here until somebody says so.
"""

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import User
from accounts.sign_in import links
from accounts.sign_in.links import Purpose
from previews import sites
from previews.signing.table import tables
from tests.accounts.cast import PASSWORD, Api, make_key, make_person
from tests.builders import ROOT, make_collection, make_entry
from tests.security.paths import api_paths, filled
from tests.security.test_every_endpoint_asks import PUBLIC
from tests.security.world import routes

pytestmark = pytest.mark.django_db

BEARERS = ("access token", "API key")  # what the API takes, all of it in one header
# The draft of a preview is for its token alone, and the token for that alone.
DRAFTS = "/api/v1/preview/content/"
OTHERS = (
    "preview token",
    "code of a preview",
    "secret of a site",
    "refresh token",
    "link of a mail",
    "cookie of the admin",
    "cookie of a known browser",
    "password",
)
# Where a person without any credential is let in, each for a reason that stands with it.
OPEN = {(method, f"/{filled(route)}") for method, route in PUBLIC}
DOORS = {"login", "login/code", "login/enrolment", "passkey", "logout", "forgotten", "forgotten/sent", "link", "new-password",
         "password-strength", "jsi18n"}  # fmt: skip


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return one of each kind, all of the same administrator, who may do anything with the right one."""
    monkeypatch.setattr("accounts.limits.admit", lambda *_, **__: None)  # so many requests are another test's
    monkeypatch.setattr("accounts.limits.require_few_failures", lambda *_: None)
    ada = make_person("ada@example.com", roles=["administrator"], with_authenticator=True)
    api = ada.sign_in()
    browser = Client()
    browser.post("/admin/login/", {"email": ada.email, "password": PASSWORD})
    browser.post("/admin/login/code/", {"code": ada.code()})
    make_collection()
    draft = make_entry("articles", title="Draft", published=False)
    made = sites.add(
        {"name": "Web", "origins": ["https://www.example.com"]},
        {"articles": "https://www.example.com/{slug}"},
        by=ROOT,
    )
    tables.forget()
    code, unused = (
        api.post("previews", {"entry_id": str(draft.pk), "site_id": str(made.site.pk)}).json()["code"]
        for _ in range(2)
    )
    exchanged = api.post("previews/exchange", {"code": code, "client_secret": made.client_secret})
    return {
        "preview token": exchanged.json()["token"],
        "code of a preview": unused,
        "secret of a site": made.client_secret,
        "access token": api.credential,
        "API key": make_key(ada.user)[1],
        "refresh token": api.refresh,
        "link of a mail": links.make_token(User.objects.get(pk=ada.user.pk), Purpose.RESET),
        "cookie of the admin": browser.cookies[settings.SESSION_COOKIE_NAME].value,
        "cookie of a known browser": browser.cookies["browser-development"].value,
        "password": PASSWORD,
    }


def sent(kind: str, credential: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return cookies and headers that carry it, each where it could possibly count."""
    if kind.startswith("cookie"):
        name = settings.SESSION_COOKIE_NAME if "admin" in kind else "browser-development"
        return {name: credential}, {}
    return {}, {"Authorization": f"Bearer {credential}"}


@pytest.mark.parametrize("kind", [*BEARERS, *OTHERS])
def test_the_api_takes_bearers_and_nothing_else(credentials: dict[str, str], kind: str) -> None:
    cookies, headers = sent(kind, credentials[kind])
    for method, path in api_paths():
        if path.endswith(("auth/logout", "auth/login", "auth/refresh")):
            continue  # what these do with theirs is tested with them
        client = Client(raise_request_exception=False)
        client.cookies.load(cookies)
        options = {} if method == "GET" else {"data": "{}", "content_type": "application/json"}
        status = client.generic(method, path, headers=headers, **options).status_code
        if path.startswith(DRAFTS) and kind == "preview token":
            assert status == 403, (kind, method, path)  # known, and of another entry
        elif path.startswith(DRAFTS):
            assert status == 401, (kind, method, path)
        elif kind in BEARERS:
            assert status != 401, (kind, method, path)
        elif headers or (method, path) not in OPEN:
            assert status == 401, (kind, method, path, status)


@pytest.mark.parametrize("kind", [*BEARERS, *OTHERS])
def test_the_admin_takes_its_cookie_and_nothing_else(credentials: dict[str, str], kind: str) -> None:
    cookies, headers = sent(kind, credentials[kind])
    seen = 0
    for route in routes("admin/"):
        path = f"/{filled(route.route)}".replace("^(?P<app_label>accounts)/$", "accounts/")
        if path.removeprefix("/admin/").strip("/") in DOORS:
            continue
        client = Client(raise_request_exception=False)
        client.cookies.load(cookies)
        answer = client.get(path, headers=headers)
        is_sent_away = answer.status_code == 302 and answer["Location"].startswith("/admin/login/")
        assert is_sent_away is (kind != "cookie of the admin"), (kind, path, answer.status_code)
        seen += 1
    assert seen > 60


def test_a_refresh_token_refreshes_and_nothing_else_does(credentials: dict[str, str]) -> None:
    for kind, credential in credentials.items():
        answer = Api(Client()).post("auth/refresh", {"refresh": credential})
        assert (answer.status_code == 200) is (kind == "refresh token"), kind


def test_a_link_leads_to_a_password_and_nothing_else_does(credentials: dict[str, str]) -> None:
    for kind, credential in credentials.items():
        answer = Client().post("/admin/link/", {"token": credential})
        assert (answer.status_code == 303) is (kind == "link of a mail"), kind
