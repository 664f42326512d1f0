"""The main job against the real web server and a real Celery worker: sign in, model, write, publish, read."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings
from django_otp.oath import TOTP

from accounts.audit.verifying import verify
from accounts.log import seal_pending
from accounts.sign_in.devices import enrol
from content.models import FieldIndex, PublishedDocument
from content.tasks import index
from tests.builders import PASSWORD, ROOT, make_user

pytestmark = pytest.mark.django_db

FIELDS: list[dict[str, Any]] = [
    {"key": "title", "type": "text", "required": True, "localized": True, "filterable": True},
    {"key": "slug", "type": "slug", "localized": True, "options": {"from": "title"}},
    {"key": "intro", "type": "rich_text", "localized": True},
    {"key": "method", "type": "markdown", "localized": True},
    {"key": "servings", "type": "integer", "filterable": True, "options": {"min": 1}},
    {"key": "vegan", "type": "boolean", "filterable": True},
    {"key": "cooked_on", "type": "date"},
    {"key": "mood", "type": "choice", "options": {"choices": [{"value": "slow", "label": "Slow"}]}},
    {"key": "tags", "type": "tags", "filterable": True},
    {"key": "goes_with", "type": "references", "options": {"collections": ["recipes"]}},
]


class Site:
    """A client that speaks HTTP over a socket, as curl would."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc
        self.credential = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.host, timeout=20)
        sent = {"Content-Type": "application/json", **headers}
        if self.credential:
            sent["Authorization"] = f"Bearer {self.credential}"
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, json.loads(content) if content else None


def test_the_main_job(web_server, celery_worker):
    ada = make_user("ada@example.com", roles=("administrator",))
    device = enrol(ada, by=ROOT)
    site = Site(web_server.url)
    credentials = {"email": "ada@example.com", "password": PASSWORD}
    status, refused = site.ask("POST", "/api/v1/auth/login", credentials)
    assert (status, refused["code"]) == (401, "second-factor-required")
    otp = f"{TOTP(device.raw_secret).token():06d}"
    status, tokens = site.ask("POST", "/api/v1/auth/login", credentials | {"otp": otp})
    assert status == 200, tokens
    visitor, site.credential = Site(web_server.url), tokens["access"]

    assert (
        site.ask("POST", "/api/v1/manage/locales", {"code": "de", "name": "Deutsch", "fallback": ["en"]})[0]
        == 201
    )
    model = {"key": "recipes", "name": "Recipes", "localized": True, "fields": FIELDS}
    status, made = site.ask("POST", "/api/v1/manage/collections", model)
    assert status == 201, made

    bread = {
        "title": "Bread",
        "intro": "<p>Warm</p>",
        "method": "Knead **well**",
        "servings": 4,
        "vegan": True,
    }
    status, first = site.ask("POST", "/api/v1/manage/content/recipes", {"fields": bread})
    assert status == 201, first
    soup = {"title": "Soup", "servings": 2, "tags": ["warm"], "goes_with": [first["_id"]]}
    status, second = site.ask("POST", "/api/v1/manage/content/recipes", {"fields": soup})
    path = f"/api/v1/manage/content/recipes/{second['_id']}"
    status, german = site.ask(
        "PATCH", path, {"locale": "de", "fields": {"title": "Suppe"}}, **{"If-Match": '"1"'}
    )
    assert (status, german["slug"]) == (200, "suppe")
    status, published = site.ask("POST", f"{path}/publish", {})
    assert (status, published["_status"]) == (200, {"de": "published", "en": "published"})

    assert visitor.ask("GET", "/api/v1/content/recipes")[0] == 404
    policy = {"role": "public", "collection": "recipes", "actions": ["read"], "filter": {}, "fields": "*"}
    status, answer = site.ask("POST", "/api/v1/manage/policies", policy)
    assert status == 201, answer
    status, listed = visitor.ask("GET", "/api/v1/content/recipes?locale=de&expand=goes_with")
    assert [item["title"] for item in listed["data"]] == ["Suppe"]
    assert listed["data"][0]["goes_with"] == []  # bread is a draft, and so nowhere
    assert "Bread" not in json.dumps(listed)
    assert visitor.ask("GET", f"/api/v1/content/recipes/{first['_id']}")[0] == 404

    key = {"name": "site", "role": "public", "scopes": ["recipes:read"]}
    status, minted = site.ask("POST", "/api/v1/manage/api-keys", key)
    assert status == 201, minted
    visitor.credential = minted["key"]
    assert visitor.ask("GET", "/api/v1/content/recipes/soup")[1]["servings"] == 2
    assert visitor.ask("GET", "/api/v1/manage/content/recipes")[0] == 404  # it may read, not read drafts

    index.delay()
    celery_worker.wait_for(lambda: not FieldIndex.objects.exclude(state="ready").exists())
    assert FieldIndex.objects.count() == 5

    seal_pending()
    assert verify().is_intact
    status, log = site.ask("GET", "/api/v1/manage/audit?type=entry.published")
    assert {item["subject"]["id"] for item in log["data"]} == {second["_id"]}
    assert "Suppe" not in json.dumps(log)

    assert site.ask("POST", "/api/v1/auth/logout", {})[0] == 204
    assert site.ask("GET", "/api/v1/auth/me")[0] == 401
    assert PublishedDocument.objects.count() == 2


@pytest.mark.parametrize(
    "table",
    [
        "content_draftdocument", "content_draftsearch", "content_entry", "content_version", "content_reference",
        "content_uniquevalue", "accounts_user", "accounts_apikey", "accounts_session", "accounts_event",
        "accounts_seal", "accounts_authenticator", "django_session",
    ],
)  # fmt: skip
def test_the_delivery_role_is_refused_by_the_database(table):
    parameters = settings.DATABASES["delivery"]
    with (
        psycopg.connect(
            host=parameters["HOST"],
            user=parameters["USER"],
            password=parameters["PASSWORD"],
            dbname=parameters["NAME"],
        ) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(f"SELECT * FROM {table} LIMIT 1")
