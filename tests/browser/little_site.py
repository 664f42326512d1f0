"""A small site that shows previews as the SDK does: handoff, exchange, a cookie, a page of the draft, and the bridge."""

import html
import json
import threading
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

BRIDGE = """
const cms = document.documentElement.dataset.cms, key = "quillkeep:scroll";
addEventListener("message", (event) => {
  if (event.origin !== cms || event.source !== parent || event.data?.type !== "quillkeep:refresh") return;
  sessionStorage.setItem(key, String(scrollY));
  location.reload();
});
addEventListener("load", () => {
  scrollTo(0, Number(sessionStorage.getItem(key) ?? 0));
  sessionStorage.removeItem(key);
  if (parent !== window) parent.postMessage({ type: "quillkeep:ready" }, cms);
});
"""


@dataclass
class LittleSite:
    """A server on a free port of loopback. It learns later which CMS it belongs to."""

    cms: str = ""
    client_secret: str = ""
    collection: str = ""
    has_bridge: bool = True
    seen: list[str] = field(default_factory=list)  # "GET /handoff" and so on, with what the browser told
    pages: int = 0

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"site": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def ask(self, path: str, body: dict[str, str] | None = None, token: str = "") -> tuple[int, Any]:
        """Ask the CMS as a server does."""
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )
        try:
            with urlopen(Request(f"{self.cms}{path}", data=data, headers=headers)) as answer:  # noqa: S310 (loopback)
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, {}


class _Handler(BaseHTTPRequestHandler):
    site: LittleSite

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/handoff":
            query = parse_qs(parts.query)
            self._hand_off(query["id"][0], query["code"][0])
        elif parts.path.startswith("/page/"):
            self._page(parts.path.removeprefix("/page/"))
        else:
            self._send(404, "<p>Nothing")

    def do_POST(self) -> None:
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._hand_off(parse_qs(urlsplit(self.path).query)["id"][0], body["code"][0])

    def _hand_off(self, entry: str, code: str) -> None:
        self.site.seen.append(f"{self.command} /handoff referer={self.headers.get('Referer', '')}")
        body = {"code": code, "client_secret": self.site.client_secret}
        status, told = self.site.ask("/api/v1/previews/exchange", body)
        if status != 200:
            self._send(status, "<h1>The code is not valid")
            return
        self.send_response(303)
        self.send_header("Location", f"/page/{entry}")
        self.send_header("Set-Cookie", f"preview={told['token']}; Path=/; HttpOnly; SameSite=Lax")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _page(self, entry: str) -> None:
        cookie = SimpleCookie(self.headers.get("Cookie", ""))
        token = cookie["preview"].value if "preview" in cookie else ""
        status, draft = self.site.ask(f"/api/v1/preview/content/{self.site.collection}/{entry}", token=token)
        if status != 200:
            self._send(200, "<h1>The preview is over</h1>")
            return
        self.site.pages += 1
        bridge = f"<script>{BRIDGE}</script>" if self.site.has_bridge else ""
        text = html.escape(str(draft["title"]))
        self._send(
            200,
            f"<h1>{text}</h1><p>Page {self.site.pages}</p><div style='height:3000px'></div><p>End</p>{bridge}",
        )

    def _send(self, status: int, body: str) -> None:
        style = (
            "<style>body{font:1rem/1.5 system-ui,sans-serif;margin:2rem;max-width:40rem;color:#222}</style>"
        )
        page = (f'<!doctype html><html lang="en" data-cms="{self.site.cms}"><meta charset="utf-8">'
                f"<title>Little site</title>{style}{body}").encode()  # fmt: skip
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Content-Security-Policy", f"frame-ancestors {self.site.cms}")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
