"""What the demo consists of, in the terms of the API: collections, who may do what with them, and short texts."""

from typing import Any, Final

LOCALE: Final = {"code": "de", "name": "German", "fallback": ["en"]}

AUTHORS: Final[dict[str, Any]] = {
    "key": "authors",
    "name": "Authors",
    "description": "The people who write for us.",
    "localized": True,
    "fields": [
        {"key": "name", "type": "text", "required": True, "filterable": True},
        {"key": "slug", "type": "slug", "options": {"from": "name"}},
        {"key": "bio", "type": "long_text", "localized": True, "options": {"max_length": 500}},
        {"key": "email", "type": "email", "data_class": "personal", "help": "Not public; for the editors."},
    ],
}

ARTICLES: Final[dict[str, Any]] = {
    "key": "articles",
    "name": "Articles",
    "description": "The journal.",
    "localized": True,
    "fields": [
        {"key": "title", "type": "text", "required": True, "filterable": True, "localized": True},
        {"key": "slug", "type": "slug", "localized": True, "options": {"from": "title"}},
        {"key": "summary", "type": "long_text", "localized": True, "options": {"max_length": 300}},
        {"key": "body", "type": "markdown", "required": True, "localized": True},
        {"key": "author", "type": "reference", "filterable": True, "options": {"collections": ["authors"]}},
        {
            "key": "category",
            "type": "choice",
            "filterable": True,
            "default": "journal",
            "options": {
                "choices": [
                    {"value": "journal", "label": "Journal"},
                    {"value": "workshop", "label": "From the workshop"},
                    {"value": "news", "label": "News"},
                ]
            },
        },
        {"key": "tags", "type": "tags", "filterable": True, "options": {"max": 8}},
        {"key": "written_on", "type": "date", "label": "Written on", "filterable": True},
        {"key": "colour", "type": "color", "help": "Of the cover."},
    ],
}

COMPONENTS: Final[list[dict[str, Any]]] = [
    {
        "key": "hero",
        "name": "Hero",
        "kind": "component",
        "fields": [
            {"key": "heading", "type": "text", "required": True},
            {"key": "text", "type": "long_text", "options": {"max_length": 300}},
            {"key": "colour", "type": "color"},
        ],
    },
    {
        "key": "words",
        "name": "Words",
        "kind": "component",
        "fields": [{"key": "text", "type": "rich_text", "required": True}],
    },
    {
        "key": "quote",
        "name": "Quote",
        "kind": "component",
        "fields": [
            {"key": "text", "type": "long_text", "required": True, "options": {"max_length": 500}},
            {"key": "source", "type": "text"},
        ],
    },
    {
        "key": "teasers",
        "name": "Teasers",
        "kind": "component",
        "fields": [
            {"key": "heading", "type": "text"},
            {"key": "articles", "type": "references", "options": {"collections": ["articles"], "max": 6}},
        ],
    },
]

PAGES: Final[dict[str, Any]] = {
    "key": "pages",
    "name": "Pages",
    "description": "Built of blocks.",
    "localized": True,
    "fields": [
        {"key": "title", "type": "text", "required": True, "filterable": True, "localized": True},
        {"key": "slug", "type": "slug", "options": {"from": "title"}},
        {
            "key": "blocks",
            "type": "blocks",
            "localized": True,
            "options": {"components": [component["key"] for component in COMPONENTS], "max": 20},
        },
    ],
}

SITE_SETTINGS: Final[dict[str, Any]] = {
    "key": "site_settings",
    "name": "Site settings",
    "kind": "single",
    "localized": True,
    "fields": [
        {"key": "site_name", "type": "text", "label": "Name of the site", "required": True},
        {"key": "tagline", "type": "text", "localized": True},
        {"key": "accent", "type": "color"},
        {"key": "contact", "type": "email"},
        {"key": "place", "type": "geo_point", "help": "Where the tower would stand."},
        {
            "key": "front_page",
            "type": "reference",
            "label": "Front page",
            "options": {"collections": ["pages"]},
        },
    ],
}

INTERNAL_NOTES: Final[dict[str, Any]] = {
    "key": "internal_notes",
    "name": "Internal notes",
    "description": "For ourselves: nobody outside may read these.",
    "fields": [
        {"key": "title", "type": "text", "required": True, "data_class": "internal"},
        {"key": "note", "type": "rich_text", "data_class": "internal"},
        {
            "key": "about",
            "type": "reference",
            "options": {"collections": ["articles"]},
            "data_class": "internal",
        },
        {"key": "phone", "type": "text", "options": {"pattern": "phone"}, "data_class": "personal"},
        {"key": "door_code", "type": "text", "label": "Door code", "data_class": "secret"},
    ],
}

CONTACT: Final[dict[str, Any]] = {
    "key": "contact",
    "name": "Contact",
    "description": "What visitors send us.",
    "kind": "form",
    "form": {
        "open": True,
        "retention_days": 30,
        "notice": "To answer letters. Nobody else sees them, and after thirty days they are gone.",
    },
    "fields": [
        {"key": "name", "type": "text", "required": True},
        {"key": "email", "type": "email", "required": True},
        {"key": "message", "type": "long_text", "required": True, "options": {"max_length": 4000}},
    ],
}
LETTERS: Final[list[dict[str, Any]]] = [
    {
        "name": "Tove Lind",
        "email": "tove@example.net",
        "message": "I counted two hundred and thirteen steps. Who is right?",
    },
    {
        "name": "A. Visitor",
        "email": "visitor@example.net",
        "message": "Is the flag up on Sunday? I would bring cake.",
    },
]

COLLECTIONS: Final = [AUTHORS, ARTICLES, *COMPONENTS, PAGES, SITE_SETTINGS, INTERNAL_NOTES, CONTACT]
OPEN: Final = (
    "articles",
    "authors",
    "pages",
    "site_settings",
)  # what everybody may read once it is published

PEOPLE: Final[list[dict[str, Any]]] = [
    {
        "name": "Marit Solheim",
        "email": "marit@example.com",
        "bio": {
            "en": "Keeps the lamp, the log and the only key to the gallery.",
            "de": "Hütet die Lampe, das Logbuch und den einzigen Schlüssel zur Galerie.",
        },
    },
    {
        "name": "Jonas Brandt",
        "email": "jonas@example.com",
        "bio": {
            "en": "Prints, binds, and talks to the press.",
            "de": "Druckt, bindet und redet mit der Presse.",
        },
    },
    {
        "name": "Ines Okafor",
        "email": "ines@example.com",
        "bio": {"en": "Writes to buoys. Draws gulls.", "de": "Schreibt an Bojen. Zeichnet Möwen."},
    },
]

WELCOME: Final[dict[str, list[dict[str, Any]]]] = {
    "en": [
        {
            "_component": "hero",
            "heading": "Books by the light of a lamp",
            "text": "Gull & Lamp is the smallest press on Skarvholm, and the largest.",
            "colour": "#1d3557",
        },
        {
            "_component": "quote",
            "text": "A keeper does not run. A keeper starts early.",
            "source": "A grandmother",
        },
        {"_component": "teasers", "heading": "From the journal", "articles": []},
    ],
    "de": [
        {
            "_component": "hero",
            "heading": "Bücher im Schein einer Lampe",
            "text": "Gull & Lamp ist der kleinste Verlag auf Skarvholm, und der größte.",
            "colour": "#1d3557",
        },
        {
            "_component": "quote",
            "text": "Eine Wärterin rennt nicht. Eine Wärterin geht früh los.",
            "source": "Eine Großmutter",
        },
        {"_component": "teasers", "heading": "Aus dem Journal", "articles": []},
    ],
}

ABOUT: Final[dict[str, list[dict[str, Any]]]] = {
    "en": [
        {"_component": "hero", "heading": "About us", "text": "Two hundred and twelve steps above the sea."},
        {
            "_component": "words",
            "text": "<p>We are three people, one press and a lamp. Visitors are welcome whenever the flag is up; "
            "bring <strong>lamp oil</strong> or cake.</p>",
        },
    ],
    "de": [
        {"_component": "hero", "heading": "Über uns", "text": "Zweihundertzwölf Stufen über dem Meer."},
        {
            "_component": "words",
            "text": "<p>Wir sind drei Menschen, eine Presse und eine Lampe. Gäste sind willkommen, wenn die Flagge "
            "oben ist; bringt <strong>Lampenöl</strong> oder Kuchen mit.</p>",
        },
    ],
}

SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "en": {
        "site_name": "Gull & Lamp",
        "tagline": "A small press in a lighthouse",
        "accent": "#e9c46a",
        "contact": "hello@example.com",
        "place": {"lat": 58.0012, "lng": 11.0034},
    },
    "de": {"tagline": "Ein kleiner Verlag im Leuchtturm"},
}

NOTES: Final[list[dict[str, Any]]] = [
    {
        "title": "The inspector comes back in May",
        "note": "<p>Count the steps <em>before</em> he does.</p>",
        "phone": "+47 55 512345",
        "door_code": "1904",
    },
    {"title": "Paper for the autumn", "note": "<p>We need nine more sacks of rags.</p>"},
]

# Where the example of `examples/` runs.
SITE: dict[str, Any] = {"name": "Gull & Lamp, the website", "origins": ["http://localhost:4321"]}
HANDOFF_URLS = {"articles": "http://localhost:4321/api/preview?path=/blog/{slug}"}

# Paused until somebody listens there: docs/webhooks.md has a receiver of a few lines.
ENDPOINT: dict[str, Any] = {
    "name": "Demo receiver",
    "url": "http://localhost:8787/webhook",
    "types": ["entry.*", "collection.changed"],
}
