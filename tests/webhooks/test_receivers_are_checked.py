"""The conformance tester: it passes a receiver that checks everything and fails those that check less."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from accounts.errors import ConflictError, NotAllowedError, TooManyRequestsError
from tests.builders import ROOT, principal
from tests.previews.little_site import Asked, LittleSite, Page
from tests.processes import CeleryWorker
from tests.webhooks.world import make_endpoint, told
from webhooks import conformance, tasks
from webhooks.endpoints import Made

pytestmark = pytest.mark.django_db
GOOD = ["good", "repeated"]
BAD = ["wrong-signature", "altered-body", "other-id", "old", "early", "unsigned"]


class Strict:
    """A receiver written from the specification's documentation alone."""

    def __init__(self) -> None:
        self.secret = ""
        self.seen: set[str] = set()

    def __call__(self, asked: Asked) -> Page:
        try:
            Webhook(self.secret).verify(asked.body, asked.headers)
        except WebhookVerificationError:
            return Page(401)
        if asked.headers["webhook-id"] in self.seen:
            return Page(200, "known")
        self.seen.add(asked.headers["webhook-id"])
        return Page(204)


@pytest.fixture
def check() -> Iterator[Callable[..., tuple[Made, dict[str, bool]]]]:
    """Check a receiver that answers by a function; return which cases it passed."""
    sites: list[LittleSite] = []

    def check(answer: Callable[[Asked], Page], **values: Any) -> tuple[Made, dict[str, bool]]:
        site = LittleSite(answer)
        site.__enter__()
        sites.append(site)
        made = make_endpoint(f"http://127.0.0.1:{site.port}/", **values)
        if isinstance(answer, Strict):
            answer.secret = made.secret
        found = conformance.check(made.endpoint, by=ROOT)
        return made, {item["name"]: item["passed"] for item in found["checks"]}

    yield check
    for site in sites:
        site.__exit__()


def test_a_receiver_that_checks_everything_passes(check: Any) -> None:
    made, passed = check(Strict())
    assert passed == dict.fromkeys(GOOD + BAD, True)
    made.endpoint.refresh_from_db()
    assert made.endpoint.conformance is not None
    assert made.endpoint.conformance["passed"] is True
    assert told("endpoint.checked") == [{"name": "Site", "passed": True, "failed": []}]


def test_a_receiver_that_ignores_signatures_fails(check: Any) -> None:
    made, passed = check(lambda _: Page(200))
    assert passed == dict.fromkeys(GOOD, True) | dict.fromkeys(BAD, False)
    made.endpoint.refresh_from_db()
    assert made.endpoint.conformance is not None
    assert made.endpoint.conformance["passed"] is False
    advice = {item["name"]: item["advice"] for item in made.endpoint.conformance["checks"]}
    assert "five minutes" in advice["old"]
    assert advice["good"] == ""


def test_a_receiver_that_ignores_time_fails_there_alone(check: Any) -> None:
    strict = Strict()

    def without_time(asked: Asked) -> Page:
        if "webhook-signature" not in asked.headers:
            return Page(400)
        signed = Webhook(strict.secret)
        at = asked.headers["webhook-timestamp"]
        expected = signed.sign(asked.headers["webhook-id"], _utc(int(at)), asked.body.decode())
        return Page(204 if expected == asked.headers["webhook-signature"] else 401)

    class Wrapped(Strict):
        def __call__(self, asked: Asked) -> Page:
            strict.secret = self.secret
            return without_time(asked)

    _, passed = check(Wrapped())
    assert [name for name, is_right in passed.items() if not is_right] == ["old", "early"]


def _utc(seconds: int) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC)


def test_a_receiver_that_breaks_on_what_is_forged_is_told_so(check: Any) -> None:
    made, passed = check(lambda asked: Page(500))
    assert not any(passed.values())
    made.endpoint.refresh_from_db()
    assert made.endpoint.conformance is not None
    assert "401" in made.endpoint.conformance["checks"][2]["advice"]


def test_a_receiver_that_says_conflict_to_a_repeated_one_passes(check: Any) -> None:
    class Careful(Strict):
        def __call__(self, asked: Asked) -> Page:
            page = super().__call__(asked)
            return Page(409) if page.status == 200 else page

    _, passed = check(Careful())
    assert all(passed.values())


def test_nobody_listening_passes_nothing_and_says_no_reason() -> None:
    found = conformance.check(make_endpoint("http://127.0.0.1:9/").endpoint, by=ROOT)
    assert {item["status"] for item in found["checks"]} == {None}
    assert {item["advice"] for item in found["checks"]} == {"No answer came within the time."}


def test_a_check_that_can_t_begin_is_not_left_running() -> None:
    made = make_endpoint("http://127.0.0.1:9/", name="First")
    other = make_endpoint("http://127.0.0.1:9/", name="Second")
    made.endpoint.secrets.update(private=other.endpoint.secrets.get().private)  # it can't be opened there
    type(made.endpoint).objects.update(conformance={"running_since": "2026-01-01T00:00:00Z"})
    with pytest.raises(ConflictError):
        tasks.check(str(made.endpoint.pk))
    made.endpoint.refresh_from_db()
    assert made.endpoint.conformance is None


def test_only_who_administers_webhooks_checks() -> None:
    endpoint = make_endpoint("http://127.0.0.1:9/").endpoint
    with pytest.raises(NotAllowedError):
        tasks.check_soon(endpoint, by=principal())
    endpoint.refresh_from_db()
    assert endpoint.conformance is None


def test_a_worker_checks_and_not_twice_a_minute(celery_worker: CeleryWorker) -> None:
    with LittleSite(lambda _: Page(401)) as site:
        endpoint = make_endpoint(f"http://127.0.0.1:{site.port}/").endpoint
        tasks.check_soon(endpoint, by=ROOT)
        endpoint.refresh_from_db()
        assert endpoint.conformance is not None
        with pytest.raises(TooManyRequestsError):
            tasks.check_soon(endpoint, by=ROOT)

        def is_done() -> bool:
            endpoint.refresh_from_db()
            return "checks" in (endpoint.conformance or {})

        celery_worker.wait_for(is_done)
    assert endpoint.conformance["passed"] is False
