"""A version that is deprecated says so on every answer, and after its last day it is gone (RFC 9745, RFC 8594; threats 2.4)."""

import re
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.test import Client

from accounts.limits import Policy
from cms_project.environment import ApiLife
from tests.accounts.cast import make_person
from tests.builders import administrator, allow, anonymous, make_collection, make_entry
from tests.security.paths import UNKNOWN, api_paths
from tests.security.world import assert_problem

pytestmark = pytest.mark.django_db
SUCCESSOR, INFO = "https://cms.example.com/api/v2/openapi.json", "https://example.com/v1-ends"
LIFE = ApiLife(date(2027, 1, 31), date(2027, 6, 30), SUCCESSOR, INFO)
BEFORE, AFTER = datetime(2027, 6, 29, 23, 59, 59, tzinfo=UTC), datetime(2027, 6, 30, tzinfo=UTC)
# An item that is a Date (RFC 9651, section 3.3.7): @ and an integer, nothing else.
DATE = re.compile(r"@(-?[0-9]{1,15})")


@pytest.fixture
def _ending(settings: LazySettings) -> None:
    settings.API_V1_LIFE = LIFE


def told(answer: Any) -> bool:
    """Tell whether an answer says all of it, each in its own form."""
    found = DATE.fullmatch(answer.headers.get("Deprecation", ""))
    if found is None:
        return False
    deprecated = datetime.fromtimestamp(int(found[1]), UTC)
    sunset = parsedate_to_datetime(answer["Sunset"])
    assert answer["Sunset"] == "Wed, 30 Jun 2027 00:00:00 GMT"
    assert (deprecated, sunset) == (datetime(2027, 1, 31, tzinfo=UTC), AFTER)
    assert sunset >= deprecated
    for target, relation in ((INFO, "deprecation"), (INFO, "sunset"), (SUCCESSOR, "successor-version")):
        assert f'<{target}>; rel="{relation}"' in answer["Link"]
    return True


@pytest.mark.usefixtures("_ending")
def test_every_answer_says_so_errors_304_and_limits_included(monkeypatch: pytest.MonkeyPatch) -> None:
    make_collection()
    make_entry(title="There")
    allow("public", collection="articles")
    with time_machine.travel(BEFORE, tick=False):
        for method, path in [*api_paths(), *UNKNOWN[:2]]:
            assert told(anonymous().request(method, path, {} if method in ("POST", "PATCH") else None)), path
        first = anonymous().get("/api/v1/content/articles")
        same = anonymous().get("/api/v1/content/articles", **{"If-None-Match": first["ETag"]})
        refused = [
            anonymous().get("/api/v1/auth/me?token=x"),
            anonymous().get("/api/v1/auth/me", Host="evil.example"),
            anonymous().get("/api/v1/content/x", Authorization="Bearer " + "x" * 9000),
            Client().options(
                "/api/v1/content/x",
                headers={"Origin": "https://x.example", "Access-Control-Request-Method": "GET"},
            ),
        ]
        monkeypatch.setattr("accounts.limits.READS", Policy("one", quota=1, fails_open=False))
        limited = [anonymous().get("/api/v1/content/articles") for _ in range(2)][1]
    assert [first.status_code, same.status_code, limited.status_code] == [200, 304, 429]
    assert [answer.status_code for answer in refused[:3]] == [400, 400, 431]
    for answer in (first, same, limited, *refused):
        assert told(answer)


@pytest.mark.usefixtures("_ending")
def test_deprecation_alone_changes_nothing_and_other_paths_say_nothing() -> None:
    root = administrator()
    assert root.get("/api/v1/manage/locales").status_code == 200
    for path in ("/healthz", "/admin/login/", "/.well-known/jwks.json", "/api/v2/content/articles"):
        answer = anonymous().get(path)
        assert not {"Deprecation", "Sunset", "Link"} & set(answer.headers), path


def test_the_current_version_says_nothing() -> None:
    for path in ("/api/v1/auth/me", "/api/v1/content/articles", "/api/v1/nowhere"):
        assert not {"Deprecation", "Sunset", "Link"} & set(anonymous().get(path).headers), path
    schema = administrator().get("/api/v1/openapi.json").json()
    assert not any(operation.get("deprecated") for operation in operations(schema))
    assert "deprecated" not in schema["info"].get("description", "")


@pytest.mark.usefixtures("_ending")
def test_after_the_last_day_it_is_gone_for_everybody() -> None:
    root, nobody = administrator(), anonymous()
    signed_in = make_person("walter@example.com").sign_in()
    with time_machine.travel(BEFORE, tick=False):
        assert nobody.get("/api/v1/auth/me").status_code == 401
    with time_machine.travel(AFTER, tick=False):
        for method, path in [*api_paths(), *UNKNOWN[:2]]:
            if path in ("/api/v1/auth/logout", "/api/v1/csp-reports"):
                continue
            for api in (root, nobody):
                answer = api.request(method, path, {} if method in ("POST", "PATCH") else None)
                problem = assert_problem(answer, 410)
                assert problem["code"] == "version-ended"
                assert SUCCESSOR in problem["detail"]
                assert told(answer)
                assert "no-store" in answer["Cache-Control"]
        # What only takes something away goes on, and so does what pages of the admin send.
        assert nobody.request("POST", "/api/v1/auth/logout", {}).status_code == 401
        assert nobody.request("POST", "/api/v1/csp-reports", []).status_code == 415
        assert nobody.get("/healthz").status_code == 200
        assert Client().get("/admin/login/").status_code == 200
    assert signed_in.post("auth/logout", {}).status_code in (200, 204)


@pytest.mark.usefixtures("_ending")
def test_what_is_gone_is_counted_too_and_read_by_sites(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://www.example.com"]
    monkeypatch.setattr("accounts.limits.READS", Policy("one", quota=1, fails_open=False))
    with time_machine.travel(AFTER, tick=False):
        answers = [
            anonymous().get("/api/v1/content/articles", Origin="https://www.example.com") for _ in range(2)
        ]
    assert [answer.status_code for answer in answers] == [410, 429]
    for answer in answers:
        assert answer["Access-Control-Allow-Origin"] == "https://www.example.com"
        assert "sunset" in answer["Access-Control-Expose-Headers"]


def operations(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        operation
        for path in schema["paths"].values()
        for operation in path.values()
        if "responses" in operation
    ]


@pytest.mark.usefixtures("_ending")
def test_the_schema_says_so() -> None:
    make_collection()
    schema = administrator().get("/api/v1/openapi.json").json()
    found = operations(schema)
    assert len(found) > 90
    assert all(operation["deprecated"] is True for operation in found)
    for word in ("2027-01-31", "2027-06-30", "410", SUCCESSOR, INFO):
        assert word in schema["info"]["description"]


def test_without_a_last_day_there_is_no_sunset(settings: LazySettings) -> None:
    settings.API_V1_LIFE = ApiLife(date(2027, 1, 31), None, "", "")
    with time_machine.travel(datetime(2100, 1, 1, tzinfo=UTC), tick=False):
        answer = anonymous().get("/api/v1/auth/me")
    assert answer.status_code == 401
    assert answer["Deprecation"] == f"@{int(datetime(2027, 1, 31, tzinfo=UTC).timestamp())}"
    assert not {"Sunset", "Link"} & set(answer.headers)
