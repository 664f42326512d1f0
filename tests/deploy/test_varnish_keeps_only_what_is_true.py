"""A real Varnish with our VCL before the real web server: it answers from memory, and forgets within a second."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.models.generation import Generation
from content import editing, publishing
from content.kept_answers import as_of
from content.purging import Purger
from tests.builders import allow, make_collection, make_entry, make_key, make_role, writing
from tests.deploy.programs import DEPLOY, Varnish, needs_varnish, run
from tests.processes import LiveServer

pytestmark = [needs_varnish, pytest.mark.django_db, pytest.mark.slow]
ARTICLES = "/api/v1/content/articles"


class Asker:
    """Asks Varnish as nginx does, while it is told of changes."""

    def __init__(self, varnish: Varnish) -> None:
        self.varnish = varnish
        self.purger = Purger([varnish.purge_url])
        self.telling = threading.Thread(target=self.purger.run)
        self.telling.start()

    def stop_telling(self) -> None:
        self.purger.stop()
        self.telling.join()

    def __call__(
        self, path: str = ARTICLES, *, method: str = "GET", port: int | None = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        link = http.client.HTTPConnection("127.0.0.1", port or self.varnish.port, timeout=10)
        sent = {"Host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
        link.request(method, path, headers=sent)
        answer = link.getresponse()
        told = answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        link.close()
        return told

    def until(
        self, condition: Callable[[tuple[int, bytes, dict[str, str]]], bool], path: str = ARTICLES
    ) -> float:
        """Ask until an answer is as wanted; return how many seconds it took."""
        started = time.monotonic()
        while not condition(answer := self(path)):
            assert time.monotonic() - started < 20, answer
            time.sleep(0.02)
        return time.monotonic() - started

    def hit(self, path: str = ARTICLES) -> None:
        """Ask until the answer comes from memory."""
        self.until(lambda answer: answer[2]["x-cache"] == "hit", path)

    def purge(self, **headers: str) -> int:
        return self(method="PURGE", port=self.varnish.purge_port, **headers)[0]


@pytest.fixture
def articles() -> None:
    make_collection("articles", [{"key": "title", "type": "text", "required": True}])
    allow("public", collection="articles")


@pytest.fixture(scope="module")
def varnish(web_process: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Varnish]:
    with Varnish(tmp_path_factory.mktemp("varnish"), web_process.port) as started:
        yield started


@pytest.fixture
def ask(varnish: Varnish, articles: None, web_server: LiveServer) -> Iterator[Asker]:
    """Varnish before the web server. It remembers nothing of the test before: who begins to tell it lets it forget."""
    asker = Asker(varnish)
    asker.until(lambda answer: answer[0] == 200)
    yield asker
    asker.stop_telling()


def test_an_answer_comes_from_memory_and_without_what_was_another_readers(ask: Asker) -> None:
    make_entry(title="PUBLISHED")
    ask.hit()
    status, body, headers = ask()
    assert status == 200
    assert b"PUBLISHED" in body
    assert headers["cache-control"] == "public, no-cache"  # caches further out hear of no change
    for name in ("x-request-id", "ratelimit", "cache-as-of", "xkey", "via", "x-varnish", "set-cookie"):
        assert name not in headers, name
    assert ask(If_None_Match=headers["etag"])[0] == 304
    assert ask(method="HEAD")[2]["etag"] == headers["etag"]


def test_what_is_unpublished_is_gone_within_a_second(ask: Asker) -> None:
    entry = make_entry(title="CANARY")
    path = f"{ARTICLES}/{entry.pk}"
    times = []
    for _ in range(3):
        ask.hit()
        ask.hit(path)
        publishing.unpublish(entry.pk, writing=writing("articles"))
        started = time.monotonic()
        ask.until(lambda answer: answer[0] == 404, path)
        ask.until(lambda answer: b"CANARY" not in answer[1])
        times.append(time.monotonic() - started)
        publishing.publish(entry.pk, writing=writing("articles"))
        ask.until(lambda answer: b"CANARY" in answer[1])
    assert min(times) < 1, times  # others share this machine


def test_a_change_is_seen_at_once_and_nothing_older_ever_again(ask: Asker) -> None:
    entry = make_entry(title="v0")
    ask.hit()
    for number in range(1, 6):
        change(entry, f"v{number}")
        ask.until(holds(f"v{number}"))
        ask.hit()
        assert f"v{number}".encode() in ask()[1]


def holds(word: str) -> Callable[[tuple[int, bytes, dict[str, str]]], bool]:
    return lambda answer: word.encode() in answer[1]


def change(entry: Any, title: str) -> None:
    entry.refresh_from_db()
    editing.save(entry.pk, {"title": title}, writing=writing("articles"), base=entry.latest_number)
    publishing.publish(entry.pk, writing=writing("articles"))


def test_rights_that_are_taken_back_empty_it(ask: Asker) -> None:
    make_entry(title="CANARY")
    ask.hit()
    make_role("other", {"collection": "articles"})
    ask.until(lambda answer: answer[2]["x-cache"] == "miss")


def test_credentials_and_cookies_neither_fill_it_nor_are_answered_from_it(ask: Asker) -> None:
    make_entry(title="PUBLISHED")
    make_role("site", {"collection": "articles"})
    key = make_key(role="site").key
    ask.hit()
    for wanted, (status, _, told) in (
        (200, ask(Authorization=f"Bearer {key}")),
        (401, ask(Authorization="Bearer qk_wrong")),
        (200, ask(Cookie="a=b")),
    ):
        assert (status, told["x-cache"], "no-store" in told["cache-control"]) == (wanted, "miss", True)


def test_errors_are_not_kept(ask: Asker) -> None:
    for path in (f"{ARTICLES}/missing", f"{ARTICLES}?nothing=1", "/api/v1/content/none", f"{ARTICLES}/x.css"):
        for _ in range(2):
            status, _, told = ask(path)
            assert status in (400, 404)
            assert told["x-cache"] == "miss"


def test_nothing_is_answered_from_memory_once_nobody_tells_of_changes(ask: Asker) -> None:
    entry = make_entry(title="CANARY")
    ask.hit()
    ask.stop_telling()
    publishing.unpublish(entry.pk, writing=writing("articles"))
    stopped = time.monotonic()
    ask.until(lambda answer: b"CANARY" not in answer[1])
    assert time.monotonic() - stopped < 15  # five seconds, on a machine that is busy
    assert ask()[2]["x-cache"] == ask()[2]["x-cache"] == "miss"


def test_an_answer_that_is_older_than_the_last_purge_is_not_taken_in(ask: Asker) -> None:
    make_entry(title="PUBLISHED")
    ask.hit()
    ask.stop_telling()
    # As if a change was told of that this replica has not seen yet.
    ahead = str(as_of(Generation.objects.current()) + 1)
    assert ask.purge(xkey_purge="*", Cache_As_Of=ahead) == 204
    Generation.objects.bump("caches")
    for _ in range(3):
        assert ask()[2]["x-cache"] == "miss"
        Generation.objects.bump("caches")
        assert ask.purge(Cache_As_Of="1") == 204  # it is there, and takes nothing back


def test_purges_are_taken_from_their_own_socket_and_in_their_own_words_alone(ask: Asker) -> None:
    make_entry(title="PUBLISHED")
    ask.hit()
    assert ask(method="PURGE", xkey_purge="*")[0] in (404, 405)
    assert ask(xkey_purge="*", Cache_As_Of="999999999999999")[2]["x-cache"] == "hit"
    assert ask(port=ask.varnish.purge_port)[0] == 405
    assert ask.purge(Cache_As_Of="-5") == 400
    assert ask.purge(Cache_As_Of="x") == 400
    assert ask()[2]["x-cache"] == "hit"
    assert ask.purge(xkey_purge="authors") == 204
    assert ask()[2]["x-cache"] == "hit"
    assert ask.purge(xkey_purge="authors articles") == 204
    assert ask()[2]["x-cache"] == "miss"


def test_the_vcl_compiles_as_it_is_shipped() -> None:
    told = run(
        "varnishd", "-C", "-f", str(DEPLOY / "varnish/quillkeep.vcl"), "-p", f"vcl_path={DEPLOY}/varnish"
    )
    assert told.returncode == 0, told.stderr[-2000:]
