"""Who previews what where: articles with a draft, two sites, Edith who edits, Rita who may not, and their clients."""

from dataclasses import dataclass, field
from typing import Any, Final

from django.test import Client

from accounts.access import Area
from accounts.models import Event
from content.models import Entry
from previews import sites
from previews.models import PreviewSite
from previews.signing.table import tables
from previews.sites import Made
from tests.accounts.cast import Api as PersonsApi
from tests.accounts.cast import Person, make_person
from tests.builders import ROOT, Api, allow, make_collection, make_entry, make_locale, make_role

HANDOFF: Final = "https://www.example.com/api/preview?path=/blog/{slug}"
FIELDS: Final[list[dict[str, Any]]] = [
    {"key": "title", "type": "text", "required": True, "filterable": True, "localized": True},
    {"key": "slug", "type": "slug", "options": {"from": "title"}, "localized": True},
    {"key": "body", "type": "markdown", "localized": True},
    {"key": "wage", "type": "integer", "data_class": "personal"},
    {"key": "related", "type": "references", "options": {"collections": ["articles"]}},
]
EDITING: Final = ("read", "read_draft", "create", "update", "preview")


@dataclass
class World:
    """The rows, and those who act."""

    draft: Entry
    other: Entry
    site: PreviewSite
    secret: str
    edith: Person
    as_edith: PersonsApi
    visitor: Api = field(default_factory=lambda: Api(Client(raise_request_exception=False)))

    def mint(self, *, by: Any = None, **body: Any) -> Any:
        """Ask for a preview of the draft as Edith, or as another client."""
        sent = {"entry_id": str(self.draft.pk), "site_id": str(self.site.pk), **body}
        return (by or self.as_edith).post(
            "previews", {key: value for key, value in sent.items() if value is not None}
        )

    def exchange(self, code: str, secret: str | None = None) -> Any:
        """Send a code as the site's server does."""
        body = {"code": code, "client_secret": self.secret if secret is None else secret}
        return self.visitor.post("/api/v1/previews/exchange", body)

    def token(self, **body: Any) -> str:
        """Return a good token, by way of the whole handoff."""
        minted = self.mint(**body)
        assert minted.status_code == 201, minted.content
        exchanged = self.exchange(minted.json()["code"])
        assert exchanged.status_code == 200, exchanged.content
        return str(exchanged.json()["token"])

    def read(self, token: str, entry: Entry | None = None, query: str = "", **headers: str) -> Any:
        """Read a draft with a token."""
        path = f"/api/v1/preview/content/articles/{(entry or self.draft).pk}{query}"
        return Api(self.visitor.client, token).get(path, **headers)


def make_site(name: str = "Web", urls: Any = None, **values: Any) -> Made:
    """Set up a site; by default one that shows articles."""
    given = {"name": name, "origins": ["https://www.example.com"], **values}
    return sites.add(given, {"articles": HANDOFF} if urls is None else urls, by=ROOT)


def make_world() -> World:
    """Make all of it. Edith may preview articles, and does not read what is personal."""
    make_locale("de")
    make_collection("articles", FIELDS, localized=True)
    make_role("editor", {"collection": "articles", "actions": EDITING})
    draft = make_entry(
        "articles", title="CANARY draft", body="**secret plans**", wage=731648, published=False
    )
    other = make_entry("articles", title="Another one", published=False)
    made = make_site()
    tables.forget()
    edith = make_person("edith@example.com", roles=["editor"], with_authenticator=True)
    return World(draft, other, made.site, made.client_secret, edith, edith.sign_in())


def told(type_: str) -> list[dict[str, Any]]:
    """Return the details of the events of a type, in their order."""
    return [event.detail for event in Event.objects.filter(type=type_).order_by("at", "pk")]


def refusals() -> list[str]:
    """Return why something was refused, in order."""
    return [str(detail["reason"]) for detail in told("preview.refused")]


__all__ = ["Area", "World", "allow", "make_site", "make_world", "refusals", "told"]
