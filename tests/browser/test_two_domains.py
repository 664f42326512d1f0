"""The CMS and a site on two registrable domains, over TLS: the example site, the admin, and a browser between them.

On one machine under one name a cookie of the site is never a third party's; here it is, as it will be.
"""

import http.client
import shutil
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from cms_project.demo import collections as demo
from content import publishing
from content.models import Entry
from previews.models import Preview
from tests import certificates
from tests.accounts.cast import Person
from tests.browser.conftest import ARGUMENTS, CHROMIUM, bring_session, make_administrator
from tests.builders import allow, make_collection, make_entry, make_locale, writing
from tests.certificates import Certificates
from tests.previews import node
from tests.previews.world import make_site
from tests.processes import LiveServer, Process, free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CMS, SITE = "cms.alpha.test", "www.beta.test"
NAMES = [
    f"--host-resolver-rules=MAP {CMS} 127.0.0.1, MAP {SITE} 127.0.0.1",
    # Chromium asks a page of a public network before it shows one of loopback; both are on loopback here.
    "--disable-features=LocalNetworkAccessChecks,PrivateNetworkAccessForNavigations,BlockInsecurePrivateNetworkRequests",
]


class TlsServer(LiveServer):
    """The web server with TLS of its own, under its public name."""

    def __init__(self, files: Certificates) -> None:
        super().__init__(ALLOWED_HOSTS=f"{CMS},127.0.0.1")
        self.files = files
        self.url = self.public_url = self.environment["PUBLIC_URL"] = f"https://{CMS}:{self.port}"

    def command(self) -> list[str]:
        files = ["--ssl-certificate", str(self.files.certificate), "--ssl-keyfile", str(self.files.key)]
        *options, application = super().command()
        return [*options, *files, application]

    def is_ready(self) -> bool:
        return _answers(self.port, "/healthz", self.files)


class ExampleSite(Process):
    """The example of `examples/astro`, built against a CMS."""

    def __init__(self, folder: Path, cms: TlsServer, files: Certificates, **environment: str) -> None:
        super().__init__(**environment)
        self.folder, self.files, self.port = folder, files, free_port()
        self.url = f"https://{SITE}:{self.port}"
        self.environment |= {
            "CMS_URL": cms.public_url,
            "CMS_INTERNAL_URL": f"https://127.0.0.1:{cms.port}",
            "NODE_EXTRA_CA_CERTS": str(files.authority),
            "PORT": str(self.port),
            "SITE_URL": self.url,
            "TLS_CERT": str(files.certificate),
            "TLS_KEY": str(files.key),
        }

    def command(self) -> list[str]:
        return ["node", str(self.folder / "server.mjs")]

    def is_ready(self) -> bool:
        return _answers(self.port, "/", self.files)


def _answers(port: int, path: str, files: Certificates) -> bool:
    context = ssl.create_default_context(cafile=str(files.authority))
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("tls"), CMS, SITE)


@pytest.fixture(scope="module")
def far_chromium(chromium: Browser) -> Iterator[Browser]:
    """A browser for which both names are this machine."""
    browser = chromium.browser_type.launch(executable_path=str(CHROMIUM), args=[*ARGUMENTS, *NAMES])
    yield browser
    browser.close()


@dataclass
class Stage:
    """All of it, set up."""

    context: BrowserContext
    page: Page
    site: ExampleSite
    cms: TlsServer
    draft: Entry
    public: Entry

    def form(self, entry: Entry) -> None:
        self.page.goto(f"{self.cms.url}/admin/content/articles/{entry.pk}/change/?locale=en")


def _write() -> tuple[Person, Entry, Entry]:
    make_locale("de", fallback=("en",))
    make_collection("authors", demo.AUTHORS["fields"], localized=True)
    make_collection("articles", demo.ARTICLES["fields"], localized=True)
    for key in ("authors", "articles"):
        allow("public", collection=key)
    draft = make_entry(
        "articles", title="A draft of the tide", body="CANARY " + "waves\n\n" * 200, published=False
    )
    public = make_entry("articles", title="High water", body="As everybody knows it.", published=False)
    publishing.publish(public.pk, writing=writing("articles"))
    return make_administrator(), draft, public


@pytest.fixture(params=[True, False], ids=["embedded", "own-tab"])
def stage(
    request: pytest.FixtureRequest,
    _django_db_helper: None,
    far_chromium: Browser,
    files: Certificates,
    tmp_path: Path,
) -> Iterator[Stage]:
    """The CMS, the example site as it is built for a frame or for a tab of its own, and an editor who is signed in."""
    folder = tmp_path / "examples" / "astro"
    shutil.copytree(
        node.installed_example(),
        folder,
        symlinks=True,
        ignore=shutil.ignore_patterns("node_modules", "dist", ".astro"),
    )
    (folder / "node_modules").symlink_to(node.EXAMPLE / "node_modules")
    ada, draft, public = _write()
    with TlsServer(files) as cms:
        site = ExampleSite(folder, cms, files, EMBEDDED="true" if request.param else "")
        made = make_site(
            "Example", {"articles": f"{site.url}/api/preview?path=/blog/{{slug}}"}, origins=[site.url]
        )
        site.environment |= {"SITE_ID": str(made.site.pk), "CLIENT_SECRET": made.client_secret}
        wanted = {
            name: site.environment[name] for name in ("CMS_URL", "CMS_INTERNAL_URL", "NODE_EXTRA_CA_CERTS")
        }
        node.run(folder, "npm", "run", "build", **wanted)
        with site:
            context = far_chromium.new_context(
                ignore_https_errors=True, viewport={"width": 1500, "height": 900}
            )
            context.set_default_timeout(15_000)
            bring_session(context, cms.url, ada)
            yield Stage(context, context.new_page(), site, cms, draft, public)
            context.close()


def _cookies(stage: Stage) -> list[dict[str, Any]]:
    return [
        dict(cookie) for cookie in stage.context.cookies() if cookie["name"] == "__Host-quillkeep-preview"
    ]


def test_press_preview_see_the_draft_revoke_and_see_it_gone(stage: Stage) -> None:
    stage.form(stage.draft)
    with stage.context.expect_page() as opened:
        stage.page.get_by_title("On Example, in a new tab").click()
    tab = opened.value
    expect(tab.locator("h1")).to_have_text("A draft of the tide")
    assert tab.url == f"{stage.site.url}/blog/a-draft-of-the-tide"
    assert "qkpc_" not in stage.site.log()
    cookie = _cookies(stage)[0]
    assert (cookie["httpOnly"], cookie["secure"], cookie["path"]) == (True, True, "/")
    # Nobody else sees it, and what is public is there for everybody.
    stranger = stage.context.browser.new_context(ignore_https_errors=True) if stage.context.browser else None
    assert stranger is not None
    other = stranger.new_page()
    answer = other.goto(tab.url)
    assert answer is not None
    assert answer.status == 404
    assert "CANARY" not in other.content()
    other.goto(f"{stage.site.url}/blog/high-water")
    expect(other.locator("h1")).to_have_text("High water")
    stranger.close()

    row = stage.page.locator(".qk-previews li").first
    row.get_by_role("button", name="Revoke").click()
    expect(stage.page.locator(".qk-previews li")).to_have_count(0)
    answer = tab.reload()
    assert answer is not None
    assert answer.status == 404
    assert "CANARY" not in tab.content()
    assert not _cookies(stage)


def test_the_pane_shows_the_site_where_its_cookie_is_made_for_a_frame(stage: Stage) -> None:
    stage.form(stage.draft)
    stage.page.get_by_role("button", name="Beside the fields").click()
    frame = stage.page.frame_locator(".qk-pane-stage iframe")
    if stage.site.environment["EMBEDDED"] != "true":
        # A cookie for one's own tab is a third party's in a frame, and the page refuses to be framed at all.
        expect(stage.page.locator(".qk-pane-stage iframe")).to_be_visible()
        stage.page.wait_for_timeout(1500)
        assert "CANARY" not in "".join(inside.content() for inside in stage.page.frames[1:])
        return
    expect(frame.locator("h1")).to_have_text("A draft of the tide")
    cookie = _cookies(stage)[0]
    assert (cookie["sameSite"], cookie["secure"]) == ("None", True)
    assert cookie.get("partitionKey")
    inside = stage.page.frames[-1]
    inside.evaluate("scrollTo(0, 700)")
    stage.page.fill("[name='f-title']", "The tide, again")
    stage.page.keyboard.press("Control+s")
    expect(frame.locator("h1")).to_have_text("The tide, again")
    stage.page.wait_for_timeout(300)
    assert stage.page.frames[-1].evaluate("scrollY") == 700
    assert Preview.objects.live().count() == 1
    # In a tab of its own that cookie is not there: it belongs to the frame in this page alone.
    tab = stage.context.new_page()
    answer = tab.goto(f"{stage.site.url}/blog/a-draft-of-the-tide")
    assert answer is not None
    assert answer.status == 404
