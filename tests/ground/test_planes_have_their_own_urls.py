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


def routes_of(plane: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", LIST_ROUTES],
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
        ("delivery", ["api/v1/content/"], ["admin/", "api/v1/", "api/v1/manage/"]),
        ("management", ["admin/", "api/v1/", "api/v1/manage/"], ["api/v1/content/"]),
        ("edge", ["healthz"], ["admin/", "api/v1/", "api/v1/manage/", "api/v1/content/"]),
        ("", ["admin/", "api/v1/", "api/v1/manage/", "api/v1/content/"], []),
    ],
)
def test_a_plane_serves_its_own_urls_only(plane: str, there: Any, absent: Any) -> None:
    routes = routes_of(plane)
    assert set(there) <= set(routes)
    assert not set(absent) & set(routes)
    assert {"healthz", "readyz"} <= set(routes)


@pytest.mark.django_db
def test_browsers_that_ask_for_an_icon_get_ours(client: Client) -> None:
    answer = client.get("/favicon.ico")
    assert (answer.status_code, answer["Location"]) == (302, "/static/quillkeep/favicon.svg")
    icon = client.get(answer["Location"])
    assert icon.getvalue().startswith(b"<svg")
    assert icon.headers["Content-Type"] == "image/svg+xml"
    icon.close()
    assert answer["Location"] in client.get("/admin/login/").content.decode()
