"""A path for every pattern and method of the API: of things that don't exist, for what is asked before they are."""

import re

from tests.security.matrix import V1
from tests.security.world import routes

_VALUES = {"uuid": "0190aaaa-0000-7000-8000-000000000000", "int": "1", "str": "nothing", "path": "nothing"}
UNKNOWN = [
    ("GET", "/api/v1/nowhere"),
    ("POST", "/api/v1/manage/nowhere"),
    ("GET", "/api/v2/content/articles"),
]


def api_paths() -> list[tuple[str, str]]:
    """Return (method, path) of every pattern."""
    return [(method, f"/{filled(item.route)}") for item in routes(V1) for method in item.methods]


def filled(route: str) -> str:
    """Put a value for each parameter into a pattern."""
    return re.sub(r"<(\w+):\w+>", lambda found: _VALUES[found[1]], route)
