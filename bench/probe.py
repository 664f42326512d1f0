"""Measures in one process on one database: the real WSGI application, in process, request by request.

Run as `python -m bench.probe` by `bench.ground`; reads questions as lines of JSON and answers each with one.
"""

import io
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import django

django.setup()

from django.core.management import call_command, get_commands  # noqa: E402
from django.db import connections  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from accounts.access import system  # noqa: E402
from accounts.models import Policy  # noqa: E402
from accounts.rights import granting  # noqa: E402
from accounts.valkey import valkey  # noqa: E402
from bench import corpus, plain, principals, stock  # noqa: E402
from cms_project.wsgi import application  # noqa: E402 (Django must be set up)
from content import editing, publishing  # noqa: E402
from content.models import DraftDocument, Entry, PublishedDocument  # noqa: E402
from content.schema import current  # noqa: E402
from content.writing import Writing  # noqa: E402

ROOT = system("bench")
LIST = "/api/v1/content/articles"
STOCK = "/stock/bench/stockpage/1/change/"
DEEP_PAGE = 500  # or four fifths of the way, where there are not so many
IMPORT_DOCUMENTS = 300

Call = Callable[[], Any]


class Probe:
    """The cases by name, and what they need to know of the database."""

    def __init__(self, size: int, keys: dict[str, list[str]], collection: str) -> None:
        self.size = size
        self.keys = keys
        self.chance = random.Random(f"{corpus.SEED}:probe")
        self.plain = plain.application()
        self.collection = collection
        self.address = 0
        self.numbers = iter(range(10**9))
        found = PublishedDocument.objects.using("delivery").filter(
            collection_id=UUID(collection), locale="en"
        )
        self.ids = [
            str(item) for item in found.order_by("entry_id").values_list("entry_id", flat=True)[:5000]
        ]
        self.chance.shuffle(self.ids)
        self.cursors: dict[str, str] = {}
        self.browser: Client | None = None
        self.principals = principals.Principals(keys["reader"])
        self.stock = stock.client()
        wide, authors = (current().by_key[key].id for key in ("wide", "authors"))
        self.wide = f"/admin/content/wide/{Entry.objects.get(collection_id=wide).pk}/change/"
        self.authors = [
            str(item) for item in Entry.objects.filter(collection_id=authors).values_list("pk", flat=True)
        ]
        self.titles = list(
            DraftDocument.objects.filter(entry_id__in=self.ids[:200], locale="en").values_list(
                "title", flat=True
            )
        )

    # Requests

    def get(self, path: str, *, role: str = "", plain_view: bool = False) -> bytes:
        """Answer one GET and return the body. Each has an address or key of its own, as far as limits go."""
        path, _, query = path.partition("?")
        self.address = (self.address + 1) % 60_000
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": quote(query, safe="=&,.-_%+"),
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": f"10.{self.size % 200}.{self.address // 250}.{self.address % 250}",
            "HTTP_HOST": "localhost:8000",
            "HTTP_ACCEPT": "application/json",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if role:
            keys = self.keys[role]
            environ["HTTP_AUTHORIZATION"] = f"Bearer {keys[self.address % len(keys)]}"
        status = ""

        def start_response(line: str, _headers: Any, _info: Any = None) -> Any:
            nonlocal status
            status = line

        response = (self.plain if plain_view else application)(environ, start_response)
        try:
            body = b"".join(response)
        finally:
            close = getattr(response, "close", None)
            if close is not None:
                close()
        if not status.startswith("200"):
            raise RuntimeError(f"{path}?{query}: {status} {body[:400]!r}")
        return body

    def cursor_of(self, query: str, offset: int) -> str:
        """Return the cursor for the page after an offset, without walking there."""
        key = f"{query}:{offset}"
        if key not in self.cursors:
            body = json.loads(self.get(f"{LIST}?{query}limit=20&offset={offset - 20}"))
            self.cursors[key] = body["meta"]["next_cursor"]
        return self.cursors[key]

    # Cases

    def case(self, name: str) -> Call:
        """Return what to do once for a case; every call takes other values where that matters."""
        plane, _, rest = name.partition(" ")
        if plane == "get":
            return lambda: self.get(self.filled_in(rest))
        if plane == "plain-list":
            return lambda: self.get(f"/plain/{self.collection}?{rest}", plain_view=True)
        if plane == "plain-detail":
            return lambda: self.get(f"/plain/{self.collection}/{self.some_id()}", plain_view=True)
        if plane.startswith("as:"):
            return lambda: self.get(self.filled_in(rest), role=plane[3:])
        if plane == "admin":
            browser = self.signed_in()
            return lambda: self.page(browser, self.filled_in(rest))
        if plane == "stock":
            return lambda: self.page(self.stock, STOCK)
        if plane == "principal":
            return self.principals.call(rest)
        if name == "deep":
            page = min(DEEP_PAGE, self.size // 25)
            cursor = self.cursor_of("", page * 20)
            return lambda: self.get(f"{LIST}?limit=20&cursor={cursor}")
        return {"publish": self.publish, "save": self.save}[name]

    def filled_in(self, path: str) -> str:
        """Put values in for the names in braces."""
        return path.format(
            list=LIST,
            id=self.some_id() if "{id}" in path else "",
            category=self.chance.choice(corpus.CATEGORIES),
            author=self.chance.randrange(corpus.AUTHORS),
            common=corpus.COMMON_WORD,
            rare=corpus.RARE_WORD,
            wide=self.wide,
            author_id=self.chance.choice(self.authors),
            letters=corpus.some_word(self.chance)[:3],
            two_words=" ".join(self.chance.choice(self.titles).split()[:2]),
        )

    def signed_in(self) -> Client:
        """Return a browser in which the editor has gone through the sign-in page."""
        if self.browser is None:
            self.browser = Client(headers={"host": "localhost"})
            given = {"email": corpus.EDITOR, "password": corpus.PASSWORD}
            answer = self.browser.post("/admin/login/", given)
            if answer.status_code != HTTPStatus.SEE_OTHER:
                raise RuntimeError(f"sign-in: {answer.status_code}")
        return self.browser

    @staticmethod
    def page(browser: Client, path: str) -> str:
        """Return a page of the admin."""
        answer = browser.get(path)
        if answer.status_code != HTTPStatus.OK:
            raise RuntimeError(f"{path}: {answer.status_code}")
        return answer.content.decode()

    def some_id(self) -> str:
        """Return the id of some entry, another one each time."""
        return self.ids[next(self.numbers) % len(self.ids)]

    def publish(self) -> None:
        """Publish an entry again, by the verb, in a transaction of its own."""
        publishing.publish(self.some_id(), writing=Writing.on("articles", by=ROOT))

    def save(self) -> None:
        """Save another title, by the verb, from the newest version."""
        entry = Entry.objects.get(pk=self.some_id())
        title = {"title": f"Saved {next(self.numbers)}"}
        editing.save(entry.pk, title, writing=Writing.on("articles", by=ROOT), base=entry.latest_number)

    # Questions

    def measure(self, case: str, count: int) -> list[float]:
        """Return milliseconds of each of `count` calls."""
        call = self.case(case)
        valkey().flushdb()  # or the limits of requests would end the measuring
        call()
        times = []
        for _ in range(count):
            started = time.perf_counter()
            call()
            times.append((time.perf_counter() - started) * 1000)
        return times

    def queries(self, case: str) -> int:
        """Return the number of statements of one call, on all connections together."""
        call = self.case(case)
        call()
        with ExitStack() as stack:
            captured = [
                stack.enter_context(CaptureQueriesContext(connections[name]))
                for name in ("default", "delivery")
            ]
            call()
        return sum(len(item.captured_queries) for item in captured)

    def principal(self, what: str, **given: Any) -> Any:
        """Answer a question about resolving principals."""
        return getattr(self.principals, what)(**given)

    def inputs(self, case: str) -> int:
        """Return how many inputs people see in a form, without any script."""
        counter = Inputs()
        counter.feed(self.case(case)())
        return counter.found.total()

    def choose_columns(self, names: list[str]) -> None:
        """Let the editor choose the columns of the articles' list: our own names, or keys of fields."""
        fields = current().by_key["articles"].by_key
        ids = [str(fields[name].id) if name in fields else name for name in names]
        given = {"order": ids, "show": ids} if ids else {"act": "reset"}
        answer = self.signed_in().post("/admin/content/articles/columns/", given)
        if answer.status_code != HTTPStatus.FOUND:
            raise RuntimeError(f"columns: {answer.status_code}")

    def facts(self) -> dict[str, Any]:
        """Return what a browser outside of this process needs: the editor's cookies, the form, words to type."""
        valkey().flushdb()
        cookies = {name: morsel.value for name, morsel in self.signed_in().cookies.items()}
        return {
            "cookies": cookies,
            "form": self.wide,
            "words": [title.split()[0][:4] for title in self.titles],
        }

    def close_public(self) -> None:
        """Take the articles from the public, so that only a role's own clauses are left."""
        collection = UUID(self.collection)
        for policy in Policy.objects.filter(role__key="public", collection_id=collection):
            granting.remove_policy(policy, by=ROOT)

    def create_and_publish(self, count: int) -> float:
        """Return entries a second through create and publish."""
        writing = Writing.on("articles", by=ROOT)
        authors = list(
            Entry.objects.filter(collection_id=writing.schema.by_key["authors"].id).values_list(
                "pk", flat=True
            )
        )
        articles = [corpus.article(10_000_000 + number, authors) for number in range(count)]
        started = time.perf_counter()
        for article in articles:
            entry = editing.create(article.english, writing=Writing.on("articles", by=ROOT))
            publishing.publish(entry.pk, writing=Writing.on("articles", by=ROOT))
        return count / (time.perf_counter() - started)

    def import_markdown(self) -> float | None:
        """Return documents a second of the command on a generated folder; None while there is no such command."""
        if "import_markdown" not in get_commands():
            return None
        with tempfile.TemporaryDirectory() as folder:
            for number in range(IMPORT_DOCUMENTS):
                english = corpus.article(20_000_000 + number, [UUID(int=1)]).english
                head = "\n".join(
                    [f"title: {english['title']}", f"date: {english['on']}", f"rating: {english['rating']}"]
                )
                text = f"---\n{head}\n---\n\n{english['body']}\n"
                Path(folder, f"{english['slug']}.md").write_text(text, encoding="utf-8")
            started = time.perf_counter()
            call_command("import_markdown", folder, collection="imported", create=True, stdout=io.StringIO())
            return IMPORT_DOCUMENTS / (time.perf_counter() - started)


class Inputs(HTMLParser):
    """Counts inputs that people see, by tag."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kind = dict(attrs).get("type")
        if tag in {"input", "select", "textarea"} and kind not in {"hidden", "submit", "button"}:
            self.found[tag] += 1


def main() -> None:
    """Answer questions until there are no more."""
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is no answer
    probe: Probe | None = None
    for line in sys.stdin:
        question = json.loads(line)
        act = question.pop("act")
        result: Any = None
        if act == "start":
            probe = Probe(**question)
        elif probe is not None:
            result = getattr(probe, act)(**question)
        answers.write(json.dumps(result) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
