"""Caches in front of the delivery plane are told what changed, and keep answers only while they are."""

import ipaddress
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.utils import timezone

from accounts import egress
from accounts.destinations import DestinationError, address_problem, destination_of
from accounts.models import Event
from accounts.models.generation import Generation
from content import kept_answers, publishing, purging
from content.delivery.views import ASK_FIRST, KEEP
from content.kept_answers import TOLD
from content.models import Collection
from content.purging import Cache, Purger
from content.tasks import watch_caches
from tests.builders import allow, anonymous, make_collection, make_entry, make_key, make_role, writing
from tests.processes import free_port

pytestmark = pytest.mark.django_db

AUTHOR = [{"key": "name", "type": "text", "required": True}]


class Receiver:
    """A cache that speaks the protocol: it notes what it is told, and answers with a status."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.status = 204
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_PURGE(self) -> None:
                told.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
                self.send_response(told.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def take(self) -> list[set[str]]:
        """Return the tags of each purge since the last time."""
        found = [set(headers.get("xkey-purge", "").split()) for _, _, headers in self.asked]
        self.asked.clear()
        return found

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def public() -> None:
    """Authors, and articles that refer to them; everybody reads both."""
    make_collection("authors", AUTHOR)
    make_collection(
        "articles",
        [
            {"key": "title", "type": "text", "required": True},
            {"key": "author", "type": "reference", "options": {"collections": ["authors"]}},
        ],
    )
    make_collection("notes", AUTHOR)
    for key in ("authors", "articles", "notes"):
        allow("public", collection=key)


def tell(receiver: Receiver) -> Cache:
    """Return a cache that was told everything, which is written down."""
    purger = Purger([receiver.url])
    purger.caches[0].look()
    purger.note()
    receiver.take()
    return purger.caches[0]


def heard(microseconds: int) -> None:
    """Let the caches have been told at a time, relative to now."""
    now = int(timezone.now().timestamp() * 1_000_000)
    Generation.objects.update_or_create(name=TOLD, defaults={"value": now + microseconds})


def test_answers_may_be_kept_once_the_caches_are_told_of_changes(public: None, receiver: Receiver) -> None:
    entry = make_entry("articles")
    before = anonymous().get(f"/api/v1/content/articles/{entry.pk}")
    tell(receiver)
    after = anonymous().get(f"/api/v1/content/articles/{entry.pk}")
    assert (before.headers["Cache-Control"], before.headers.get("Cache-As-Of")) == (ASK_FIRST, None)
    assert (
        after.headers["Cache-Control"] == KEEP == "public, max-age=0, s-maxage=60, stale-while-revalidate=30"
    )
    assert int(after.headers["Cache-As-Of"]) == kept_answers.as_of(Generation.objects.current()) > 0


def test_a_list_and_a_304_may_be_kept_too(public: None, receiver: Receiver) -> None:
    make_entry("articles")
    tell(receiver)
    listed = anonymous().get("/api/v1/content/articles")
    again = anonymous().get("/api/v1/content/articles", **{"If-None-Match": listed.headers["ETag"]})
    assert again.status_code == 304
    assert listed.headers["Cache-Control"] == again.headers["Cache-Control"] == KEEP


@pytest.mark.parametrize(
    ("microseconds", "kept"),
    [(0, KEEP), (-1_000_000, KEEP), (-6_000_000, ASK_FIRST), (30_000_000, ASK_FIRST)],
)
def test_answers_are_not_kept_when_the_last_word_is_old_or_of_a_wrong_clock(
    public: None, microseconds: int, kept: str
) -> None:
    make_entry("articles")
    heard(microseconds)
    assert anonymous().get("/api/v1/content/articles").headers["Cache-Control"] == kept


def test_what_is_shown_to_somebody_is_never_kept(public: None) -> None:
    make_entry("articles")
    make_role("site", {"collection": "articles"})
    heard(0)
    with_key = make_key(role="site").get("/api/v1/content/articles")
    with_cookie = anonymous().get("/api/v1/content/articles", Cookie="session=x")
    missing = anonymous().get("/api/v1/content/articles/nothing")
    for answer in (with_key, with_cookie, missing):
        assert "no-store" in answer.headers["Cache-Control"]
        assert "Cache-As-Of" not in answer.headers
    assert missing.status_code == 404


def test_a_read_that_the_log_must_know_is_never_kept() -> None:
    make_collection("people", [*AUTHOR, {"key": "phone", "type": "text", "data_class": "personal"}])
    allow("public", collection="people", fields=("name", "phone"))
    make_entry("people", name="Ada", phone="1")
    heard(0)
    assert anonymous().get("/api/v1/content/people").headers["Cache-Control"] == ASK_FIRST
    assert anonymous().get("/api/v1/content/people?fields=name").headers["Cache-Control"] == KEEP


def test_a_cache_that_we_know_nothing_of_forgets_everything(public: None, receiver: Receiver) -> None:
    Cache(receiver.url).look()
    method, path, headers = receiver.asked[0]
    assert (method, path, headers["xkey-purge"]) == ("PURGE", "/", "*")
    assert int(headers["cache-as-of"]) == kept_answers.as_of(Generation.objects.current())


def test_a_change_purges_its_collection_and_those_that_refer_to_it(public: None, receiver: Receiver) -> None:
    author, article = make_entry("authors", name="Ada"), make_entry("articles")
    cache = tell(receiver)
    publishing.unpublish(author.pk, writing=writing("authors"))
    cache.look()
    assert receiver.take()[0] >= {"authors", "articles"}
    cache._again = frozenset()
    publishing.unpublish(article.pk, writing=writing("articles"))
    cache.look()
    assert receiver.take() == [{"articles"}]


def test_a_change_of_access_or_of_the_schema_purges_everything(public: None, receiver: Receiver) -> None:
    cache = tell(receiver)
    make_role("other", {"collection": "notes"})
    cache.look()
    make_collection("more", AUTHOR)
    cache.look()
    assert receiver.take() == [{"*"}, {"*"}]


def test_drafts_and_sessions_purge_nothing(public: None, receiver: Receiver) -> None:
    cache = tell(receiver)
    cache._again = frozenset()
    make_entry("articles", published=False)
    Generation.objects.bump("keys", "key-use")
    cache.look()
    assert receiver.take() == []


def test_without_a_change_the_cache_hears_of_us_and_of_what_was_purged_once_more(
    public: None, receiver: Receiver
) -> None:
    cache = tell(receiver)
    cache.told_at -= purging.TELL_EVERY
    cache.look()
    cache.look()
    cache.told_at -= purging.TELL_EVERY
    cache.look()
    assert receiver.take() == [{"*"}, set()]


def test_what_could_not_be_told_is_told_later_and_nothing_may_be_kept_meanwhile(
    public: None, receiver: Receiver
) -> None:
    entry = make_entry("notes", name="Ada")
    purger = Purger([receiver.url])
    cache = purger.caches[0]
    receiver.status = 503
    cache.look()
    purger.note()
    assert TOLD not in Generation.objects.current()
    receiver.status = 204
    cache.look()
    purger.note()
    receiver.take()
    cache._again = frozenset()
    receiver.status = 403
    publishing.unpublish(entry.pk, writing=writing("notes"))
    cache.look()
    cache.told_at -= 10  # as long as it was refused
    before = Generation.objects.current()[TOLD]
    purger.note()
    assert Generation.objects.current()[TOLD] == before
    receiver.status = 204
    cache.look()
    purger.note()
    assert receiver.take() == [{"notes"}, {"notes"}]
    assert Generation.objects.current()[TOLD] > before


def test_an_answer_without_a_change_is_older_than_its_purge_also_where_a_later_change_was_committed_before_it(
    public: None, receiver: Receiver
) -> None:
    author, note = make_entry("authors", name="Ada"), make_entry("notes", name="Ada")
    tell(receiver)
    path = f"/api/v1/content/authors/{author.pk}"
    with ThreadPoolExecutor(1) as elsewhere, transaction.atomic():
        publishing.unpublish(author.pk, writing=writing("authors"))
        elsewhere.submit(publishing.unpublish, note.pk, writing=writing("notes")).result()
        before = elsewhere.submit(anonymous().get, path).result()
        elsewhere.submit(connections.close_all).result()
    Cache(receiver.url).look()
    assert before.status_code == 200
    assert int(before.headers["Cache-As-Of"]) < int(receiver.asked[-1][2]["cache-as-of"])


def test_one_cache_that_is_gone_keeps_answers_out_of_all(public: None, receiver: Receiver) -> None:
    purger = Purger([receiver.url, f"http://127.0.0.1:{free_port()}/"])
    for cache in purger.caches:
        cache.look()
    purger.note()
    assert receiver.take() == [{"*"}]
    assert TOLD not in Generation.objects.current()


def test_a_collection_that_is_gone_purges_everything(public: None, receiver: Receiver) -> None:
    cache = tell(receiver)
    unknown = Collection.objects.order_by("pk").first()
    assert unknown is not None
    Generation.objects.bump("content:01890000-0000-7000-8000-000000000000")
    cache.look()
    assert receiver.take() == [{"*"}]


def test_the_process_tells_of_a_change_within_a_second_and_ends_when_it_is_asked_to(
    public: None, receiver: Receiver
) -> None:
    entry = make_entry("notes", name="Ada")
    purger = Purger([receiver.url])
    thread = threading.Thread(target=purger.run)
    thread.start()
    try:
        wait_for(lambda: TOLD in Generation.objects.current())
        receiver.take()
        publishing.unpublish(entry.pk, writing=writing("notes"))
        wait_for(lambda: any("notes" in headers.get("xkey-purge", "") for _, _, headers in receiver.asked))
    finally:
        purger.stop()
        thread.join(5)
    assert not thread.is_alive()


def test_the_process_ends_with_a_fault_of_its_own_rather_than_staying_silent(
    public: None, receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PURGE_URLS = (receiver.url,)
    monkeypatch.setattr(purging, "tags_of", lambda *_: 1 / 0)
    monkeypatch.setattr("signal.signal", lambda *_: None)  # this process belongs to pytest
    with pytest.raises(CommandError, match="Start it again"):
        call_command("caches", "run")


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_caches_that_are_not_told_are_an_event_once_a_day(settings: Any) -> None:
    watch_caches()
    assert not Event.objects.filter(type=purging.NOT_TOLD).exists()  # nobody has a cache
    settings.PURGE_URLS = ("http://varnish:6082/",)
    watch_caches()
    watch_caches()
    told = Event.objects.get(type=purging.NOT_TOLD)
    assert told.detail == {"since": "never"}
    heard(-30_000_000)
    watch_caches()
    assert Event.objects.filter(type=purging.NOT_TOLD).count() == 1


def test_by_hand_everything_is_purged_and_a_cache_that_does_not_answer_is_named(
    settings: Any, receiver: Receiver
) -> None:
    output = StringIO()
    settings.PURGE_URLS = (receiver.url,)
    call_command("caches", "purge", stdout=output)
    assert receiver.take() == [{"*"}]
    assert output.getvalue() == "Purged: 1 of 1.\n"
    receiver.status = 403
    settings.PURGE_URLS = (receiver.url, f"http://127.0.0.1:{free_port()}/")
    with pytest.raises(CommandError, match="number 1, 2 of PURGE_URLS"):
        call_command("caches", "purge")
    settings.PURGE_URLS = ()
    with pytest.raises(CommandError, match="PURGE_URLS names no cache"):
        call_command("caches", "run")


# --- Where purges may go -------------------------------------------------------------------------------------------


@pytest.fixture
def in_production(settings: Any) -> None:
    """Nothing of what is allowed on a developer's machine."""
    settings.ENVIRONMENT = type("Production", (), {"is_development": False})()


@pytest.mark.parametrize(
    "url", ["http://10.0.0.31:6082/", "http://[fd00::1]/", "http://varnish:6082/", "https://c.example/"]
)
def test_a_cache_may_stand_inside_and_speak_http_though_no_webhook_may(url: str, in_production: None) -> None:
    found = destination_of(url, any_port=True, is_inside=True)
    assert address_problem("10.0.0.31", networks=found.networks) is None
    assert address_problem("10.0.0.31") == "not a public address"
    if url.startswith("http:"):
        with pytest.raises(DestinationError):
            destination_of(url, any_port=True)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "0.0.0.1", "224.0.0.1", "::ffff:169.254.169.254"]
)
def test_no_purge_goes_to_metadata_or_to_nowhere(address: str, in_production: None) -> None:
    networks = destination_of("http://varnish/", any_port=True, is_inside=True).networks
    assert address_problem(address, networks=networks) is not None
    bracketed = f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
    with pytest.raises(egress.EgressError):
        egress.purge(f"http://{bracketed}:6082/", headers={}, deadline=1)


def test_a_cache_on_this_machine_is_reached_in_production(in_production: None, receiver: Receiver) -> None:
    assert egress.purge(receiver.url, headers={"xkey-purge": "*"}, deadline=5).is_success
    with pytest.raises(egress.EgressError):
        egress.post(receiver.url, b"", headers={}, any_port=True)
    assert receiver.take() == [{"*"}]
