"""`QUILLKEEP_PLANE` serves one plane; the URLs of the others are not there."""

import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

import pytest
from django.test import Client

from tests.database import ROOT

LIST = """
import json, django
django.setup()
from django.urls import get_resolver
def paths(patterns, before=""):
    for item in patterns:
        here = before + str(item.pattern)
        yield from paths(item.url_patterns, here) if hasattr(item, "url_patterns") else [here]
found = get_resolver().url_patterns
print(json.dumps([[str(pattern.pattern) for pattern in found], sorted(set(paths(found)))]))
"""


@cache
def patterns_of(plane: str) -> tuple[list[str], list[str]]:
    """Return the patterns that a process of a plane begins with, and every path that they lead to."""
    done = subprocess.run(
        [sys.executable, "-c", LIST],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "QUILLKEEP_PLANE": plane, "DJANGO_SETTINGS_MODULE": "tests.settings"},
    )
    first, paths = json.loads(done.stdout.splitlines()[-1])
    return first, paths


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
    routes = patterns_of(plane)[0]
    assert set(there) <= set(routes)
    assert not set(absent) & set(routes)
    assert {"healthz", "readyz"} <= set(routes)


def previews_of(plane: str) -> list[str]:
    return [path for path in patterns_of(plane)[1] if "preview" in path and "admin/" not in path]


def test_previews_are_minted_on_management_and_used_on_the_edge() -> None:
    edge = ["api/v1/preview/content/<str:collection>/<str:name>", "api/v1/previews/exchange"]
    assert previews_of("edge") == edge
    assert previews_of("delivery") == []
    found = previews_of("management")
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
