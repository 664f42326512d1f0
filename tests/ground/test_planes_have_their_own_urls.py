"""`QUILLKEEP_PLANE` serves one plane; the URLs of the others are not there."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client

from tests.database import ROOT

LIST_ROUTES = """
import json, django
django.setup()
from django.urls import get_resolver
print(json.dumps([str(pattern.pattern) for pattern in get_resolver().url_patterns]))
"""


def routes_of(plane: str, code: str = LIST_ROUTES) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "QUILLKEEP_PLANE": plane, "DJANGO_SETTINGS_MODULE": "tests.settings"},
    )
    routes: list[str] = json.loads(done.stdout.splitlines()[-1])
    return routes


@pytest.mark.parametrize(
    ("plane", "there", "absent"),
    [
        (
            "delivery",
            ["api/v1/content/"],
            ["admin/", "api/v1/", "api/v1/manage/", ".well-known/", "hooks/in/"],
        ),
        (
            "management",
            ["admin/", "api/v1/", "api/v1/manage/"],
            ["api/v1/content/", ".well-known/", "hooks/in/"],
        ),
        (
            "edge",
            ["healthz", "api/v1/", ".well-known/", "hooks/in/"],
            ["admin/", "api/v1/manage/", "api/v1/content/"],
        ),
        ("", ["admin/", "api/v1/", "api/v1/manage/", "api/v1/content/", ".well-known/"], []),
    ],
)
def test_a_plane_serves_its_own_urls_only(plane: str, there: Any, absent: Any) -> None:
    routes = routes_of(plane)
    assert set(there) <= set(routes)
    assert not set(absent) & set(routes)
    assert {"healthz", "readyz"} <= set(routes)


LIST_PREVIEWS = """
import json, django
django.setup()
from django.urls import get_resolver
def paths(patterns, before=""):
    for item in patterns:
        here = before + str(item.pattern)
        yield from paths(item.url_patterns, here) if hasattr(item, "url_patterns") else [here]
print(json.dumps(sorted({path for path in paths(get_resolver().url_patterns) if "preview" in path and "admin/" not in path})))
"""


def test_previews_are_minted_on_management_and_used_on_the_edge() -> None:
    edge = ["api/v1/preview/content/<str:collection>/<str:name>", "api/v1/previews/exchange"]
    assert routes_of("edge", LIST_PREVIEWS) == edge
    assert routes_of("delivery", LIST_PREVIEWS) == []
    found = routes_of("management", LIST_PREVIEWS)
    assert {"api/v1/previews", "api/v1/previews/<uuid:jti>", "api/v1/manage/preview-sites"} <= set(found)
    assert not set(edge) & set(found)


@pytest.mark.django_db
def test_browsers_that_ask_for_an_icon_get_ours(client: Client) -> None:
    answer = client.get("/favicon.ico")
    assert (answer.status_code, answer["Location"]) == (302, "/static/quillkeep/favicon.svg")
    icon = client.get(answer["Location"])
    assert icon.getvalue().startswith(b"<svg")
    assert icon.headers["Content-Type"] == "image/svg+xml"
    icon.close()
    assert answer["Location"] in client.get("/admin/login/").content.decode()
