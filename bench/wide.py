"""The large form: a collection of 60 fields of every type, and one entry of it that is full, with 40 blocks."""

import random
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from bench import corpus

BLOCKS = 40
LEVELS = ("one", "two", "three")

# Four fields in each kind of block, of the types that pages are built of.
COMPONENTS: list[dict[str, Any]] = [
    {
        "key": "section",
        "name": "Section",
        "kind": "component",
        "description": "A heading with text.",
        "fields": [
            {"key": "heading", "type": "text", "required": True, "options": {"max_length": 120}},
            {"key": "words", "type": "rich_text"},
            {"key": "level", "type": "choice", "options": {"choices": list(LEVELS)}},
            {"key": "anchor", "type": "slug", "options": {"from": "heading"}},
        ],
    },
    {
        "key": "quote",
        "name": "Quote",
        "kind": "component",
        "description": "What somebody said.",
        "fields": [
            {"key": "words", "type": "long_text", "required": True, "options": {"max_length": 500}},
            {"key": "source", "type": "text"},
            {"key": "link", "type": "url"},
            {"key": "on", "type": "date"},
        ],
    },
    {
        "key": "teaser",
        "name": "Teaser",
        "kind": "component",
        "description": "An entry, recommended.",
        "fields": [
            {"key": "title", "type": "text"},
            {"key": "words", "type": "markdown"},
            {"key": "entry", "type": "reference", "options": {"collections": ["authors", "articles"]}},
            {"key": "featured", "type": "boolean"},
        ],
    },
]
# How many fields there are of each type: 60 with the one that holds the blocks.
TYPES = {
    "text": 9, "long_text": 6, "rich_text": 3, "markdown": 3, "slug": 2, "integer": 5, "decimal": 3, "choice": 4,
    "choices": 1, "date": 3, "datetime": 2, "boolean": 4, "reference": 2, "references": 1, "tags": 2, "url": 2,
    "email": 2, "color": 2, "json": 1, "geo_point": 1, "component": 1, "blocks": 1,
}  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "text": {"max_length": 200},
    "long_text": {"max_length": 2000},
    "slug": {"from": "text_1"},
    "integer": {"min": 0, "max": 1_000_000},
    "choice": {"choices": [{"value": item, "label": item.title()} for item in corpus.CATEGORIES]},
    "choices": {"choices": list(LEVELS)},
    "reference": {"collections": ["authors", "articles"]},
    "references": {"collections": ["authors"]},
    "component": {"components": ["quote"]},
    "blocks": {"components": ["section", "quote", "teaser"]},
}


def fields() -> list[dict[str, Any]]:
    """Return the 60 fields; one type follows another, so that no kind of input stands alone."""
    kinds = [(place, kind) for kind, count in TYPES.items() for place in range(count)]
    return [
        {
            "key": f"{kind}_{place + 1}",
            "type": kind,
            "help": f"What the editors should know of {kind.replace('_', ' ')}." if place % 2 else "",
            "required": kind == "text",
            "options": OPTIONS.get(kind, {}),
        }
        for place, kind in sorted(kinds, key=lambda item: (item[1] == "blocks", item[0]))
    ]


def entry(authors: Sequence[UUID]) -> dict[str, Any]:
    """Return what an editor typed into every field, and 40 blocks of the three kinds in turns."""
    chance = random.Random(f"{corpus.SEED}:wide")
    values: dict[str, Any] = {
        item["key"]: value_of(item["type"], chance, authors) for item in fields() if item["type"] != "blocks"
    }
    values |= {
        item["key"]: f"{item['key'].replace('_', '-')}-value" for item in fields() if item["type"] == "slug"
    }
    return {**values, "blocks_1": [block(number, chance, authors) for number in range(BLOCKS)]}


def block(number: int, chance: random.Random, authors: Sequence[UUID]) -> dict[str, Any]:
    """Return one block, full."""
    component = COMPONENTS[number % len(COMPONENTS)]
    values = {item["key"]: value_of(item["type"], chance, authors) for item in component["fields"]}
    if "level" in values:
        values |= {"level": chance.choice(LEVELS), "anchor": f"part-{number}"}
    return {"_component": component["key"], **values}


def value_of(kind: str, chance: random.Random, authors: Sequence[UUID]) -> Any:
    """Return an input of a type, about as long as people write."""
    words = corpus.sentences
    if kind == "component":
        return {item["key"]: value_of(item["type"], chance, authors) for item in COMPONENTS[1]["fields"]}
    made: dict[str, Callable[[], Any]] = {
        "text": lambda: words(chance, 1)[:110],
        "long_text": lambda: words(chance, 4),
        "rich_text": lambda: (
            f"<h2>{words(chance, 1)}</h2><p>{words(chance, 3)} <strong>{words(chance, 1)}</strong></p>"
            f"<ul><li><p>{words(chance, 1)}</p></li><li><p>{words(chance, 1)}</p></li></ul>"
        ),
        "markdown": lambda: f"## {words(chance, 1)}\n\n{words(chance, 4)}\n\n- {words(chance, 1)}\n",
        "slug": lambda: "a-slug",
        "integer": lambda: chance.randint(0, 9_999),
        "decimal": lambda: f"{chance.randint(0, 99_999) / 100:.2f}",
        "choice": lambda: chance.choice(corpus.CATEGORIES),
        "choices": lambda: list(LEVELS[:2]),
        "date": lambda: f"2025-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
        "datetime": lambda: f"2025-{chance.randint(1, 12):02}-11T10:30:00Z",
        "boolean": lambda: chance.random() < 0.5,
        "reference": lambda: str(chance.choice(authors)),
        "references": lambda: [str(item) for item in chance.sample(list(authors), 3)],
        "tags": lambda: chance.sample(corpus.TAGS, 4),
        "url": lambda: f"https://example.com/{chance.randint(1, 9_999)}",
        "email": lambda: f"reader{chance.randint(1, 9_999)}@example.com",
        "color": lambda: "#1d4ed8",
        "json": lambda: {"name": words(chance, 1), "numbers": [1, 2, 3]},
        "geo_point": lambda: {"lat": 53.5, "lng": 9.9},
    }
    return made[kind]()
