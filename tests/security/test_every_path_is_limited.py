"""Nothing below /api/ is free: each path, known or not, with every kind of caller, ends in a 429 (threats, G12)."""

import pytest

from accounts import limits
from accounts.limits import Policy
from accounts.valkey import valkey
from content.forms.api import FormView
from tests.builders import Api, anonymous, make_key, make_role
from tests.security.paths import UNKNOWN, api_paths
from tests.security.world import assert_problem

pytestmark = pytest.mark.django_db
ONE = Policy("one", quota=1, fails_open=False)


@pytest.fixture(autouse=True)
def _one_of_each(_no_quota: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everybody ask once."""
    for name in ("READS", "WRITES", "EXPORTS", "FAILURES"):
        monkeypatch.setattr(limits, name, ONE)
    for throttle in (limits.SignInThrottle, limits.RefreshThrottle):
        monkeypatch.setattr(throttle, "policy", ONE)
    monkeypatch.setattr(FormView, "limited_as", ONE)


@pytest.mark.parametrize("who", ["nobody", "a key without rights", "a bad key"])
def test_every_path_answers_429_when_the_bucket_is_used_up(who: str) -> None:
    make_role("idle")
    api = {
        "nobody": anonymous,
        "a key without rights": lambda: make_key(role="idle"),
        "a bad key": lambda: Api(anonymous().client, "qk_development_bad"),
    }[who]()
    paths = [*api_paths(), *UNKNOWN, ("OPTIONS", "/api/v1/content/articles"), ("PUT", "/api/v1/auth/me")]
    assert len(paths) > 50
    for method, path in paths:
        valkey().flushdb()
        limits.forget_failures()
        body = {} if method in ("POST", "PATCH", "PUT") else None
        first, second = (api.request(method, path, body) for _ in range(2))
        assert first.status_code not in (429, 500), (method, path, first.status_code)
        assert_problem(second, 429)
        assert 1 <= int(second["Retry-After"]) <= 60, (method, path)
        assert '"one";r=0' in second["RateLimit"], (method, path)
        assert second["RateLimit-Policy"] == '"one";q=1;w=60'


def test_what_is_refused_before_any_view_is_counted_too() -> None:
    api = anonymous()
    for path, headers, status in (
        ("/api/v1/content/articles?token=x", {}, 400),
        (f"/api/v1/content/articles?a={'x' * 9000}", {}, 414),
        ("/api/v1/content/articles", {"Accept": "text/html"}, 406),
        ("/api/v1/auth/me", {"Authorization": "Bearer " + "x" * 9000}, 431),
    ):
        valkey().flushdb()
        assert_problem(api.get(path, **headers), status)
        assert_problem(api.get(path, **headers), 429)
