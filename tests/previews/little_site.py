"""A real site on loopback, as small as can be: what it answers is one function, and it remembers who asked what."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """One request."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def cookies(self) -> dict[str, str]:
        try:
            return {name: item.value for name, item in SimpleCookie(self.headers.get("cookie", "")).items()}
        except CookieError:
            return {}


@dataclass
class Page:
    """One answer."""

    status: int = 200
    body: str | bytes = ""
    headers: dict[str, str] = field(default_factory=dict)


Answer = Callable[[Asked], Page]
MISSING = Page(
    404, "<!doctype html><title>Nothing here</title><p>There is no such page.", {"Cache-Control": "no-store"}
)


class LittleSite:
    """Serves `answer` on a free port until it is left."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.over = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, self.rfile.read(length))
                site.asked.append(asked)
                page = site.answer(asked)
                body = page.body.encode() if isinstance(page.body, str) else page.body
                self.send_response(page.status)
                for name, value in page.headers.items():
                    self.send_header(name, value)
                if "Content-Type" not in page.headers:
                    self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True  # who asked has gone

            do_GET = do_POST = do_HEAD = handle_any  # noqa: N815 (http.server's names)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128  # as many as may come at once; one that finds no place is refused

            def handle_error(self, *_: Any) -> None:
                pass  # a client that goes away in the middle is what some tests are about

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self.server.server_address[1])
        self.origin = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def hang(self, _asked: Asked) -> Page:
        """Answer nothing until the test is over."""
        self.over.wait(30)
        return MISSING
