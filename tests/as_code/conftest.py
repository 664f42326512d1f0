"""A house with one of everything that a file can say."""

import pytest

from accounts import people
from accounts.access import Area
from accounts.models import Role, User
from accounts.rights import granting
from content.schema import current
from previews import sites
from tests.builders import ROOT, allow, make_collection, make_locale, make_role, make_user
from webhooks import endpoints
from webhooks.incoming import sources


@pytest.fixture
def rich_house(db: None) -> None:
    make_rich_house()


def make_accounts() -> None:
    """Make who endpoints and sources act as: no file brings accounts."""
    make_user("ada@example.com", roles=("administrator",))
    people.add_service("Importer", by=ROOT)


def make_rich_house() -> None:
    make_accounts()
    make_locale("de", fallback=("en",))
    make_locale("no", fallback=("de", "en"))
    make_locale("ar", direction="rtl")
    make_collection(
        "hero",
        [{"key": "heading", "type": "text"}, {"key": "contact", "type": "email", "data_class": "personal"}],
        kind="component",
    )
    make_collection("authors", [{"key": "name", "type": "text", "required": True, "unique": True}])
    make_collection(
        "articles",
        [
            {"key": "title", "type": "text", "label": "Title", "help": "Short: no clickbait", "required": True,
             "filterable": True, "localized": True, "options": {"max_length": 120}},
            {"key": "slug", "type": "slug", "options": {"from": "title"}, "localized": True},
            {"key": "body", "type": "rich_text", "localized": True, "group": "Text"},
            {"key": "kind", "type": "choice", "default": "note", "filterable": True,
             "options": {"choices": [{"value": "note", "label": "Note"}, {"value": "no", "label": "Yes & no: #1"}]}},
            {"key": "price", "type": "decimal", "options": {"min": "0.5", "max": "100"}, "default": "1.50",
             "condition": {"field": "kind", "operator": "eq", "value": "note"}},
            {"key": "author", "type": "reference", "options": {"collections": ["authors"]}, "filterable": True},
            {"key": "related", "type": "references", "options": {"collections": ["articles", "authors"]}},
            {"key": "top", "type": "component", "options": {"components": ["hero"]}},
            {"key": "data", "type": "json", "default": {"b": [1, 2.5, None, True], "a": "1e5"},
             "options": {"schema": {"type": "object"}}},
            {"key": "secret_note", "type": "long_text", "data_class": "secret"},
        ],
        localized=True,
        description="What we write.",
    )  # fmt: skip
    make_collection("home", [{"key": "claim", "type": "text"}], kind="single")
    make_role(
        "writer",
        {"collection": "articles", "actions": ("create", "read_draft", "update"),
         "filter": {"author": {"exists": True}, "kind": {"in": ["note", "no"]}}, "presets": {"kind": "note"}},
        {"collection": "articles", "actions": ("read",), "fields": ("title", "secret_note")},
        {"collection": "*", "actions": ("read",), "filter": {"_created_by": {"eq": "$user"}}},
    )  # fmt: skip
    writer = Role.objects.get(key="writer")
    granting.change_role(
        writer, by=ROOT, require_second_factor=True, session_hours=8, areas=[Area.LOCALES, Area.PREVIEWS]
    )
    allow("public", collection="articles", fields=("title", "body"))
    make_role("feeder", {"collection": "articles", "actions": ("create", "update", "read_draft")})
    people.change_user(User.objects.get(name="Importer"), roles=["feeder"], by=ROOT)
    endpoints.add(
        {
            "name": "Search: index",
            "url": "https://search.example.com/hooks?token=abc",
            "types": ["entry.*", "collection.changed"],
            "collection_ids": [_id("articles")],
            "owner": User.objects.get(email="ada@example.com"),
        },
        is_active=False,
        by=ROOT,
    )
    sources.add(
        "feed",
        "hmac",
        {
            "options": {"header": "X-Signature", "timestamp_header": "X-Time"},
            "schema": {"type": "object", "required": ["name"]},
            "action": {
                "do": "create_or_update",
                "collection": "articles",
                "match": {"field": "slug", "pointer": "/slug"},
                "mapping": {"title": "/title", "kind": {"value": "note"}},
            },
            "account": str(User.objects.get(name="Importer").pk),
        },
        by=ROOT,
    )
    sites.add(
        {"name": "Website", "origins": ["https://www.example.com"], "ttl_seconds": 300},
        {
            "articles": {
                "*": "https://www.example.com/p?path=/{slug}",
                "de": "https://www.example.com/de?s={slug}",
            }
        },
        by=ROOT,
    )


def _id(key: str):
    return current().by_key[key].id
