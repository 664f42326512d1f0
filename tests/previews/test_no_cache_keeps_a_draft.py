"""A caching proxy in front of a site, and of the draft API: whoever asks in whatever order, nobody gets another's answer.

nginx keeps every 200 for ten minutes where nothing forbids it; its cache key knows no cookie and no credential (threat N1).
"""

import http.client
import itertools
import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from content import editing
from previews import sites
from previews.api.edge import COOKIE
from tests.accounts.cast import make_person
from tests.builders import ROOT, allow, make_entry, make_role, writing
from tests.database import ROOT as ROOT_FOLDER
from tests.previews.little_site import MISSING, Asked, LittleSite, Page
from tests.previews.world import World
from tests.processes import LiveServer, NginxProcess, free_port

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        shutil.which("nginx") is None, reason="nginx is not installed (apt install nginx-light)"
    ),
]

CANARY = "CANARYDRAFT"
PUBLIC = "PUBLICWORDS"
PAGE = "/blog/harbour"
CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=pages:1m;
    {in_http}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {upstream};
            proxy_cache pages;
            proxy_cache_valid 200 10m;
            add_header X-Cache-Status $upstream_cache_status always;
            {in_location}
        }}
    }}
}}
"""


class Nginx(NginxProcess):
    """nginx with all of its files in one folder, as whoever runs the tests."""

    def __init__(self, folder: Path, upstream: str, *, port: int, rules: str = "") -> None:
        super().__init__()
        self.port, self.folder = port, folder
        self.url = f"http://127.0.0.1:{port}"
        lines = [line.strip() for line in rules.splitlines() if line.strip()]
        in_http = [line for line in lines if line.startswith("map ")]
        folder.mkdir()
        (folder / "nginx.conf").write_text(
            CONFIG.format(
                folder=folder,
                port=port,
                upstream=upstream,
                in_http="\n".join(in_http),
                in_location="\n".join(line for line in lines if line not in in_http),
            )
        )

    def is_ready(self) -> bool:
        """Return whether it listens."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kept(self) -> bytes:
        """Return every byte that it keeps on disk, of answers and of those that it was working on."""
        names = ("cache", "proxy", "body")
        files = [file for name in names for file in (self.folder / name).rglob("*") if file.is_file()]
        return b"\n".join(file.read_bytes() for file in files)


def documented() -> str:
    """Return what docs/previews.md tells people to write into their nginx."""
    found = re.search(r"```nginx\n(.*?)```", (ROOT_FOLDER / "docs/previews.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def ask(port: int, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    link.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = link.getresponse()
    told = answer.status, answer.read().decode(), {key.lower(): value for key, value in answer.getheaders()}
    link.close()
    return told


class Frontend:
    """A site that shows articles: published ones to everybody, the draft to whoever brings a token that the CMS takes."""

    def __init__(self, cms: LiveServer, secret: str) -> None:
        self.cms, self.secret = cms, secret

    def __call__(self, asked: Asked) -> Page:
        if asked.path == "/api/preview":
            return self.hand_off(asked)
        slug = asked.path.rpartition("/")[2]
        found = self.cms_json("GET", f"/api/v1/content/articles?filter[slug][eq]={slug}")["data"]
        if not found:
            return MISSING
        document, private = found[0], {"Vary": "Cookie"}
        if token := asked.cookies.get(COOKIE):
            path = f"/api/v1/preview/content/articles/{document['_id']}"
            draft = self.cms_json("GET", path, Authorization=f"Bearer {token}")
            document = draft if "_id" in draft else document
            private |= {"Cache-Control": "private, no-store, max-age=0", "X-Robots-Tag": "noindex, nofollow"}
        return Page(200, f"<h1>{document['title']}</h1>{document['body']['html']}", private if token else {})

    def hand_off(self, asked: Asked) -> Page:
        body = {"code": asked.query["code"][0], "client_secret": self.secret}
        token = self.cms_json("POST", "/api/v1/previews/exchange", body).get("token")
        headers = {"Location": asked.query["path"][0], "Cache-Control": "no-store"}
        if token:
            headers["Set-Cookie"] = f"{COOKIE}={token}; Path=/; HttpOnly; Secure; SameSite=Lax"
        return Page(303, "", headers)

    def cms_json(self, method: str, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        link = http.client.HTTPConnection("127.0.0.1", self.cms.port, timeout=10)
        sent = json.dumps(body).encode() if body is not None else None
        link.request(method, path, sent, {"Content-Type": "application/json", **headers} if sent else headers)
        told = json.loads(link.getresponse().read())
        link.close()
        return dict(told)


class Stage:
    """The site behind its cache, an article with a published version and a newer draft, and a cookie for the draft."""

    def __init__(self, world: World, cms: LiveServer, proxy: Nginx) -> None:
        self.proxy = proxy
        self.cms = cms
        self.world = world

    def cookie(self) -> str:
        """Preview the draft through the proxy, as an editor's browser does, and return the cookie that it got."""
        minted = self.world.mint()
        assert minted.status_code == 201, minted.content
        status, _, headers = ask(self.proxy.port, minted.json()["url"].partition(f":{self.proxy.port}")[2])
        assert (status, headers["location"]) == (303, PAGE)
        return headers["set-cookie"].partition(";")[0]

    def anonymous(self) -> str:
        status, text, headers = ask(self.proxy.port, PAGE)
        assert status == 200
        return f"{headers['x-cache-status']} {text}"


@pytest.fixture
def staged(world: World, web_server: LiveServer, tmp_path: Path) -> Iterator[Callable[[str], Stage]]:
    """Return what puts everything on stage, behind an nginx with some rules."""
    allow("public", collection="articles")
    draft = make_entry("articles", title=f"{PUBLIC} title", slug="harbour", body=f"{PUBLIC} body")
    changed = {"title": f"{CANARY} title", "body": f"{CANARY} body"}
    editing.save(draft.pk, changed, writing=writing("articles"), base=1)
    world.draft = draft
    with ExitStack() as stack:

        def stage(rules: str) -> Stage:
            site = stack.enter_context(LittleSite(Frontend(web_server, world.secret)))
            proxy = Nginx(tmp_path / "nginx", site.origin, port=free_port(), rules=rules)
            stack.enter_context(proxy)
            handoff = {"articles": f"{proxy.url}/api/preview?path=/blog/{{slug}}"}
            sites.change(world.site, {"origins": [proxy.url]}, handoff, by=ROOT)
            return Stage(world, web_server, proxy)

        yield stage


def test_the_documented_cache_shows_drafts_to_previews_and_to_nobody_else(
    staged: Callable[[str], Stage],
) -> None:
    stage = staged(documented())
    cookie = stage.cookie()
    for _ in range(2):
        status, text, headers = ask(stage.proxy.port, PAGE, Cookie=cookie)
        assert (status, headers["x-cache-status"]) == (200, "BYPASS")
        assert f"{CANARY} title" in text
        assert f"{CANARY} body" in text
        assert PUBLIC not in text
        assert headers["cache-control"] == "private, no-store, max-age=0"
    assert stage.anonymous().startswith(f"MISS <h1>{PUBLIC} title")  # the preview left nothing
    assert stage.anonymous().startswith(f"HIT <h1>{PUBLIC} title")
    assert CANARY in ask(stage.proxy.port, PAGE, Cookie=cookie)[1]
    assert CANARY not in stage.anonymous()
    kept = stage.proxy.kept()
    assert PUBLIC.encode() in kept
    assert CANARY.encode() not in kept
    assert cookie.partition("=")[2].encode() not in kept


@pytest.mark.parametrize("is_preview_first", [True, False])
def test_a_cache_that_knows_nothing_of_previews_keeps_none(
    staged: Callable[[str], Stage], *, is_preview_first: bool
) -> None:
    stage = staged("")
    cookie = stage.cookie()
    if not is_preview_first:
        assert stage.anonymous().startswith(f"MISS <h1>{PUBLIC}")
    _, text, _ = ask(stage.proxy.port, PAGE, Cookie=cookie)
    assert (CANARY in text) == is_preview_first  # too careful is what the documented rules are against
    for _ in range(2):
        assert CANARY not in stage.anonymous()
    assert "HIT" in stage.anonymous()
    assert CANARY.encode() not in stage.proxy.kept()
    assert cookie.partition("=")[2].encode() not in stage.proxy.kept()


def test_a_preview_that_was_revoked_shows_what_is_published(staged: Callable[[str], Stage]) -> None:
    stage = staged(documented())
    cookie = stage.cookie()
    assert CANARY in ask(stage.proxy.port, PAGE, Cookie=cookie)[1]
    (preview,) = stage.world.as_edith.get("previews").json()["data"]
    assert stage.world.as_edith.delete(f"previews/{preview['jti']}").status_code == 204
    status, text, _ = ask(stage.proxy.port, PAGE, Cookie=cookie)
    assert status == 200
    assert CANARY not in text
    assert PUBLIC in text


def test_the_draft_api_behind_a_cache_answers_each_caller_their_own(
    world: World, web_server: LiveServer, tmp_path: Path
) -> None:
    draft = make_entry("articles", title=f"{CANARY} title", body=f"{CANARY} body", published=False)
    world.draft = draft
    titles = {"collection": "articles", "actions": ("read_draft", "preview"), "fields": ("title", "slug")}
    make_role("titles", titles)
    tina = make_person("tina@example.com", roles=["titles"], with_authenticator=True).sign_in()
    front = Frontend(web_server, world.secret)
    tokens = []
    for client, entry in ((world.as_edith, draft), (tina, draft), (world.as_edith, world.other)):
        minted = world.mint(by=client, entry_id=str(entry.pk))
        assert minted.status_code == 201, minted.content
        body = {"code": minted.json()["code"], "client_secret": world.secret}
        tokens.append(front.cms_json("POST", "/api/v1/previews/exchange", body)["token"])
    path = f"/api/v1/preview/content/articles/{draft.pk}"

    def right(who: str, status: int, text: str) -> None:
        expected = {"nobody": 401, "edith": 200, "tina": 200, "of another entry": 403}[who]
        assert status == expected, (who, status, text)
        assert (CANARY in text) == (who in ("edith", "tina")), who
        assert (f"{CANARY} body" in text) == (who == "edith"), who

    callers = {
        "nobody": {},
        **{
            who: {"Authorization": f"Bearer {token}"}
            for who, token in zip(("edith", "tina", "of another entry"), tokens, strict=True)
        },
    }
    with Nginx(tmp_path / "nginx", web_server.url, port=free_port()) as proxy:
        for order in itertools.permutations(callers):
            for who in (*order, *order):
                status, text, headers = ask(proxy.port, path, **callers[who])
                right(who, status, text)
                assert headers["x-cache-status"] == "MISS", who
                assert headers["cache-control"] == "private, no-store, max-age=0"
        seen = [ask(proxy.port, "/.well-known/jwks.json")[2]["x-cache-status"] for _ in range(2)]
        assert seen == ["MISS", "HIT"]  # it does keep what it may
        kept = proxy.kept()
        assert b'"keys"' in kept
        assert CANARY.encode() not in kept
        assert not any(token.encode() in kept for token in tokens)
