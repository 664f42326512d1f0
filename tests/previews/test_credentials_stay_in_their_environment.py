"""What opens a door in one environment is refused in another, by name, with the same keys and a copy of the database."""

import base64
import re
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client

from accounts import environments
from accounts.keys import api_keys
from accounts.models import User
from accounts.sign_in import browsers, links, session_store
from accounts.sign_in.links import Purpose
from cms_project.environment import COLOUR_OF, COLOURS, ENVIRONMENTS
from previews import secrets
from tests.accounts.cast import Api as PersonsApi
from tests.accounts.cast import Person, make_key, make_person
from tests.builders import Api
from tests.database import ROOT
from tests.previews.world import World, refusals

NAMED = "is for the environment development, and this is staging."


@pytest.fixture
def elsewhere(settings: LazySettings):
    """Return what takes everything to another environment: same keys, same database."""

    def go() -> None:
        settings.ENVIRONMENT = replace(settings.ENVIRONMENT, name="staging")

    return go


def assert_refused(answer, what: str, status: int = 401) -> None:
    assert answer.status_code == status, answer.content
    assert f"This {what} {NAMED}" in answer.json()["detail"]


def test_the_names_are_those_of_the_settings() -> None:
    assert environments.NAMES == ENVIRONMENTS


def test_an_api_key(world: World, elsewhere) -> None:
    _, text = make_key(world.edith.user)
    assert PersonsApi(Client(), text).get("auth/me").status_code in (200, 403)
    elsewhere()
    assert_refused(PersonsApi(Client(), text).get("auth/me"), "API key")
    nowhere = api_keys.KeyText("nowhere", text.split("_")[2], "x" * 43)
    answer = PersonsApi(Client(), str(nowhere)).get("auth/me")
    assert answer.status_code == 401
    assert "nowhere" not in answer.json()["detail"]


def test_an_access_token_and_a_refresh_token(world: World, elsewhere) -> None:
    assert world.as_edith.get("auth/me").status_code == 200
    elsewhere()
    answer = world.as_edith.get("auth/me")
    assert_refused(answer, "token")
    assert answer.json()["code"] == "other-environment"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert_refused(world.as_edith.post("auth/refresh", {"refresh": world.as_edith.refresh}), "token")


def test_a_session_of_the_admin(world: World, elsewhere) -> None:
    browser = signed_in(world.edith)
    cookie = browser.cookies["session-development"].value
    assert cookie.startswith("development-")
    assert browser.get("/admin/").status_code == 200
    elsewhere()
    answer = browser.get("/admin/", follow=True)
    assert answer.redirect_chain
    assert f"This session {NAMED} Sign in to this one." in answer.content.decode()
    direct = Client()
    direct.cookies["session-development"] = cookie
    assert f"This session {NAMED} Sign in to this one." in direct.get("/admin/login/").content.decode()
    renamed = Client()
    renamed.cookies["session-development"] = cookie.replace("development", "staging")
    assert renamed.get("/admin/").status_code == 302
    assert not session_store.SessionStore(cookie.replace("development", "staging")).load()


def test_a_form_of_another_environment(world: World) -> None:
    """A cookie has another name there, so its token is no token."""
    browser = Client(enforce_csrf_checks=True)
    page = browser.get("/admin/login/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())
    assert token is not None
    sent = {"email": "a@example.com", "password": "x", "csrfmiddlewaretoken": token[1]}
    assert browser.post("/admin/login/", sent).status_code != 403
    browser.cookies["csrf-staging"] = browser.cookies["csrf-development"].value
    del browser.cookies["csrf-development"]
    assert browser.post("/admin/login/", sent).status_code == 403


@pytest.mark.parametrize("purpose", Purpose)
def test_a_link_from_a_mail(world: World, elsewhere, purpose: Purpose) -> None:
    user = User.objects.get(pk=world.edith.user.pk)
    token = links.make_token(user, purpose)
    assert links.read(token) == (user, purpose)
    elsewhere()
    answer = Client().post("/admin/link/", {"token": token})
    assert answer.status_code == 400
    assert f"This link {NAMED}" in answer.content.decode()
    assert (
        Client().post("/admin/link/", {"token": token.replace("development", "staging")}).status_code == 404
    )


def test_a_known_browser(world: World, elsewhere, rf) -> None:
    signed = signed_in(world.edith)
    request = rf.get("/")
    request.COOKIES = {name: found.value for name, found in signed.cookies.items()}
    assert browsers.known(request, world.edith.email)
    elsewhere()
    assert not browsers.known(request, world.edith.email)


def test_a_preview_token(world: World, elsewhere) -> None:
    token = world.token()
    assert world.read(token).status_code == 200
    elsewhere()
    assert_refused(world.read(token), "preview token")
    assert refusals() == ["environment"]
    # With keys of another installation too: it says what it is of, and is refused in any case.
    head, body, signature = token.split(".")
    other = ".".join([head, body, signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")])
    assert_refused(world.read(other), "preview token")


def test_a_preview_code_and_a_client_secret(world: World, elsewhere, settings: LazySettings) -> None:
    code = world.mint().json()["code"]
    elsewhere()
    assert_refused(world.exchange(code), "code")
    there = code.replace("development", "staging")
    assert world.exchange(there).status_code == 401
    assert_refused(world.exchange(there), "client secret")
    assert set(refusals()) == {"other-environment"}
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, name="development")
    assert world.exchange(code).status_code == 200


def test_a_client_secret_from_before_it_named_its_environment_still_works(world: World) -> None:
    old = "qkps_" + "a" * 43
    world.site.secret_hash = secrets.digest(old)
    world.site.save()
    assert world.exchange(world.mint().json()["code"], old).status_code == 200


def test_a_cursor_of_published_content(world: World, elsewhere) -> None:
    path = "/api/v1/manage/content/articles?limit=1"
    cursor = Api(Client(), world.as_edith.credential).get(path).json()["meta"]["next_cursor"]
    assert Api(Client(), world.as_edith.credential).get(f"{path}&cursor={cursor}").status_code == 200
    elsewhere()
    again = world.edith.sign_in()
    answer = Api(Client(), again.credential).get(f"{path}&cursor={cursor}")
    assert answer.status_code == 400
    assert f"This cursor {NAMED}" in answer.json()["errors"][0]["detail"]


def test_a_cursor_of_a_list_of_administration(world: World, elsewhere) -> None:
    ada = make_person("ada@example.com", roles=["administrator"], with_authenticator=True)
    cursor = ada.sign_in().get("manage/users?limit=1").json()["meta"]["next_cursor"]
    assert ada.sign_in().get(f"manage/users?limit=1&cursor={cursor}").status_code == 200
    elsewhere()
    answer = ada.sign_in().get(f"manage/users?limit=1&cursor={cursor}")
    assert answer.status_code == 400
    assert f"This cursor {NAMED}" in answer.json()["errors"][0]["detail"]
    seal, _, body = base64.urlsafe_b64decode(cursor + "==").partition(b"\n")
    forged = (
        base64.urlsafe_b64encode(seal.replace(b"development", b"staging") + b"\n" + body).decode().rstrip("=")
    )
    assert ada.sign_in().get(f"manage/users?limit=1&cursor={forged}").status_code == 400


def test_an_authenticator_app_names_the_environment(world: World, elsewhere) -> None:
    device = world.edith.device
    assert device is not None
    assert "issuer=Quillkeep%20%28development%29" in device.config_url
    elsewhere()
    assert "issuer=Quillkeep%20%28staging%29" in device.config_url


def test_a_name_that_is_no_environment_is_never_shown() -> None:
    for claimed in ("canary", "", None, 5, ["staging"], "development"):
        assert environments.refusal("token", claimed) == ""


def test_every_page_names_the_environment(world: World, elsewhere) -> None:
    elsewhere()
    for path in ("/admin/login/", "/admin/forgotten/", "/admin/link/"):
        assert (
            '<span class="qk-environment qk-environment-blue">Staging</span>'
            in Client().get(path).content.decode()
        )
    assert ">Staging</span>" in signed_in(world.edith).get("/admin/").content.decode()


def test_the_colours_are_read_in_light_and_dark() -> None:
    css = (Path(ROOT) / "content/static/content/admin/css/admin.css").read_text(encoding="utf-8")
    assert set(COLOUR_OF) == set(ENVIRONMENTS)
    for colour in COLOURS:
        rule = re.search(rf"^\.qk-environment-{colour} {{(.*)}}$", css, re.MULTILINE)
        assert rule is not None, colour
        pairs = dict(re.findall(r"([a-z-]+): light-dark\((#\w+, #\w+)\)", rule[1]))
        for theme, page in enumerate(("#ffffff", "#141b1a")):
            text, ground, bar = (
                pairs[name].split(", ")[theme] for name in ("color", "background", "--qk-environment-bar")
            )
            assert contrast(text, ground) >= 4.5, (colour, theme)
            assert contrast(bar, page) >= 3, (colour, theme)


def contrast(one: str, other: str) -> float:
    """Return the ratio of WCAG 2.2, 1.4.3."""

    def luminance(text: str) -> float:
        parts = [int(text[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def signed_in(person: Person) -> Client:
    browser = Client()
    browser.post("/admin/login/", {"email": person.email, "password": "correct horse battery staple"})
    answer = browser.post("/admin/login/code/", {"code": person.code()})
    assert answer.status_code in (302, 303), answer.content
    return browser
