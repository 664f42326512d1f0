"""`manage.py demo`: what a newcomer finds after the first start; it happens once, and never in production."""

import base64
import json
import shutil
import stat
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.oath import TOTP

from accounts.models import ApiKey, Event, Policy, User
from content.models import Collection, DraftDocument, Entry, Locale, PublishedDocument, Version
from tests.arranged import arranged
from tests.builders import Api, anonymous, make_collection
from tests.webhooks.world import Receiver, work

pytestmark = pytest.mark.django_db

KEPT = (ApiKey, Collection, DraftDocument, Entry, Event, Locale, Policy, PublishedDocument, User, Version)


@pytest.fixture
def folder(tmp_path, settings):
    settings.DATA_DIR = tmp_path
    return tmp_path


@pytest.fixture
def quickstart(folder, settings, tmp_path_factory):
    def make():
        settings.DATA_DIR = tmp_path_factory.mktemp("demo")
        run_demo()
        return settings.DATA_DIR

    shutil.copytree(arranged("demo", make), folder, dirs_exist_ok=True)
    settings.DATA_DIR = folder
    return json.loads((folder / "quickstart.json").read_text())


def run_demo(*arguments):
    out = StringIO()
    call_command("demo", *arguments, stdout=out)
    return out.getvalue()


def state():
    return {model.__name__: model.objects.count() for model in KEPT}


def with_key(key):
    return Api(Client(raise_request_exception=False), key)


def signed_in(person):
    """Return a client with the access token of a sign-in with password and one-time code."""
    code = f"{TOTP(base64.b32decode(person['totp_secret'])).token():06d}"
    body = {"email": person["email"], "password": person["password"], "otp": code}
    answer = anonymous().post("/api/v1/auth/login", body)
    assert answer.status_code == 200, answer.content
    return with_key(answer.json()["access"])


def test_everybody_reads_what_is_published_in_both_languages(quickstart):
    english = anonymous().get("/api/v1/content/articles?sort=written_on&expand=author&count=exact").json()
    assert english["meta"]["total"] == 5
    assert [item["title"] for item in english["data"]][:2] == [
        "The night the lamp went out",
        "How we print with salt water",
    ]
    assert english["data"][0]["author"]["name"] == "Marit Solheim"
    assert "email" not in english["data"][0]["author"], "an address is personal"
    german = anonymous().get("/api/v1/content/articles?locale=de&sort=written_on").json()["data"]
    assert [item["_locale"] for item in german] == ["de", "de", "de", "en", "en"]
    page = anonymous().get("/api/v1/content/pages/welcome?locale=de").json()
    assert [block["_component"] for block in page["blocks"]] == ["hero", "quote", "teasers"]
    assert len(page["blocks"][2]["articles"]) == 2
    site = anonymous().get("/api/v1/content/site_settings?locale=de").json()
    assert (site["site_name"], site["tagline"]) == ("Gull & Lamp", "Ein kleiner Verlag im Leuchtturm")
    assert site["front_page"] == {"_id": page["_id"], "_collection": "pages"}


def test_drafts_changes_and_notes_are_nowhere_for_the_public(quickstart):
    for reader in (anonymous(), with_key(quickstart["api_key"])):
        assert reader.get("/api/v1/content/articles/what-the-fog-horn-says").status_code == 404
        gulls = reader.get("/api/v1/content/articles/a-map-of-all-the-gulls").json()
        assert gulls["summary"].startswith("There are four hundred of them")
        assert reader.get("/api/v1/content/internal_notes").status_code == 404
        assert reader.get("/api/v1/manage/content/articles").status_code in (401, 403, 404)
    assert set(DraftDocument.objects.values_list("status", flat=True)) == {"draft", "changed", "published"}


def test_the_people_can_sign_in_at_once_and_see_what_their_roles_allow(quickstart):
    admin, editor = signed_in(quickstart["admin"]), signed_in(quickstart["editor"])
    assert admin.get("/api/v1/auth/me").json()["email"] == "admin@example.com"
    assert admin.get("/api/v1/manage/roles").status_code == 200
    assert editor.get("/api/v1/manage/roles").status_code == 403
    notes = editor.get("/api/v1/manage/content/internal_notes?sort=-_updated_at").json()["data"]
    assert {note.get("phone") for note in notes} == {"+47 55 512345", None}
    assert all("door_code" not in note for note in notes)
    full = admin.get("/api/v1/manage/content/internal_notes").json()["data"]
    assert "1904" in {note["door_code"] for note in full}


def test_the_management_key_models_and_writes(quickstart):
    manager = with_key(quickstart["manage_api_key"])
    collection = {"key": "recipes", "name": "Recipes", "fields": [{"key": "title", "type": "text"}]}
    assert manager.post("/api/v1/manage/collections", collection).status_code == 201
    assert (
        manager.post("/api/v1/manage/content/recipes", {"fields": {"title": "Lamp oil cake"}}).status_code
        == 201
    )
    assert with_key(quickstart["api_key"]).get("/api/v1/content/articles").status_code == 200


def test_the_file_is_the_owners_alone_and_says_what_the_contract_says(quickstart, folder):
    assert stat.S_IMODE((folder / "quickstart.json").stat().st_mode) == 0o600
    assert quickstart.keys() == {
        "url",
        "admin",
        "editor",
        "api_key",
        "manage_api_key",
        "preview_site",
        "webhook_secret",
    }
    assert quickstart["preview_site"].keys() == {"id", "client_secret"}
    assert quickstart["admin"].keys() == quickstart["editor"].keys() == {"email", "password", "totp_secret"}


def test_the_preview_site_gets_a_draft(quickstart):
    manager, site = with_key(quickstart["manage_api_key"]), quickstart["preview_site"]
    (article,) = manager.get("/api/v1/manage/content/articles?limit=1&fields=title").json()["data"]
    asked = {"entry_id": article["_id"], "site_id": site["id"]}
    code = manager.post("/api/v1/previews", asked).json()["code"]
    body = {"code": code, "client_secret": site["client_secret"]}
    token = with_key("").post("/api/v1/previews/exchange", body).json()["token"]
    draft = with_key(token).get(f"/api/v1/preview/content/articles/{article['_id']}")
    assert draft.json()["title"] == article["title"]


def test_the_demo_endpoint_hears_of_what_is_done_and_not_of_how_the_demo_was_made(quickstart):
    manager = with_key(quickstart["manage_api_key"])
    (hook,) = manager.get("/api/v1/manage/webhooks/endpoints").json()["data"]
    assert hook["state"] == "paused"
    with Receiver(secret=quickstart["webhook_secret"]) as receiver:
        changed = manager.patch(
            f"/api/v1/manage/webhooks/endpoints/{hook['id']}", {"url": receiver.url, "is_active": True}
        )
        assert changed.status_code == 200
        manager.post("/api/v1/manage/content/articles", {"fields": {"title": "Heard"}})
        work()
        assert [body["type"] for body in receiver.verified()] == ["entry.created"]


def test_a_second_run_changes_nothing_and_says_so(quickstart, folder):
    before, file = state(), (folder / "quickstart.json").read_bytes()
    assert "nothing was changed" in run_demo()
    assert state() == before
    assert (folder / "quickstart.json").read_bytes() == file
    assert User.objects.filter(is_service=False).count() == 2


def test_what_people_removed_does_not_come_back(quickstart, folder):
    (folder / "quickstart.json").unlink()
    assert "createadmin" in run_demo()
    assert not (folder / "quickstart.json").exists()


def test_the_file_follows_the_address_of_this_start_only_when_asked(quickstart, folder, settings):
    settings.PUBLIC_URL = "http://localhost:9999"
    run_demo()
    assert json.loads((folder / "quickstart.json").read_text())["url"] == "http://testserver"
    run_demo("--update-url")
    assert json.loads((folder / "quickstart.json").read_text()) == {
        **quickstart,
        "url": "http://localhost:9999",
    }


def test_there_is_no_demo_among_real_content(folder):
    make_collection()
    before = state()
    assert "no demo" in run_demo()
    assert state() == before
    assert not (folder / "quickstart.json").exists()


@pytest.mark.parametrize("name", ["staging", "production"])
def test_there_is_no_demo_outside_of_development(folder, settings, name):
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, name=name)
    with pytest.raises(CommandError, match="development only"):
        run_demo()
    assert not Collection.objects.exists()


def test_a_demo_that_fails_leaves_nothing(folder, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        run_demo()
    assert not Collection.objects.exists()
    assert not User.objects.exists()


def test_the_console_shows_how_to_sign_in(folder, capsys):
    shown = run_demo("--qr")
    values = json.loads((folder / "quickstart.json").read_text())
    assert (
        f"Sign in at http://testserver/admin/ as admin@example.com, password {values['admin']['password']}"
        in shown
    )
    assert values["admin"]["totp_secret"] in shown
    assert "█" in capsys.readouterr().out
    assert values["manage_api_key"] not in shown
