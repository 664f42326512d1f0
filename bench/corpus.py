"""The seeded generator: the same articles and authors in every run, as inputs of the editing verbs."""

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

SEED = 20_260_101
AUTHORS = 200
CATEGORIES = ("news", "guides", "releases", "stories", "opinion", "events", "security", "community")
TAGS = tuple(f"topic-{number}" for number in range(60))
RARE_WORD = "zymurgy"  # stands in one body of a thousand
COMMON_WORD = "harbour"  # stands in one summary of twenty
START = datetime(2024, 1, 1, tzinfo=UTC)
PERIOD_SECONDS = 2 * 365 * 24 * 3600
WITH_GERMAN = 0.3
EDITOR = "edith@example.com"
PASSWORD = "correct horse battery staple"  # noqa: S105 (of a database that is thrown away)
NOBODY = UUID(int=1)
BODIES = 2_000  # different bodies, so that generating takes minutes and not an hour

AUTHOR_FIELDS: list[dict[str, Any]] = [
    {"key": "name", "type": "text", "required": True, "filterable": True},
    {"key": "slug", "type": "slug", "options": {"from": "name"}},
    {"key": "bio", "type": "long_text"},
]
ARTICLE_FIELDS: list[dict[str, Any]] = [
    {"key": "title", "type": "text", "required": True, "filterable": True, "localized": True},
    {"key": "slug", "type": "slug", "options": {"from": "title"}, "localized": True},
    {"key": "summary", "type": "long_text", "localized": True},
    {"key": "body", "type": "markdown", "localized": True},
    {"key": "rating", "type": "integer", "filterable": True},
    {"key": "price", "type": "decimal", "filterable": True},
    {
        "key": "category",
        "type": "choice",
        "filterable": True,
        "options": {"choices": [{"value": item, "label": item.title()} for item in CATEGORIES]},
    },
    {"key": "tags", "type": "tags", "filterable": True},
    {"key": "on", "type": "date", "filterable": True},
    {
        "key": "author",
        "type": "reference",
        "filterable": True,
        "options": {"collections": ["authors"]},
    },
    {"key": "featured", "type": "boolean", "filterable": True},
]
LOCALIZED = ("title", "slug", "summary", "body")


@dataclass(frozen=True, slots=True)
class Article:
    """One article: its id, when it was published, what an editor types in English, and in German if at all."""

    id: UUID
    at: datetime
    english: dict[str, Any]
    german: dict[str, Any] | None


def author(number: int) -> dict[str, Any]:
    """Return the values of one author."""
    chance = random.Random(f"{SEED}:author:{number}")
    name = f"{some_word(chance).title()} {some_word(chance).title()}"
    return {"name": name, "slug": f"author-{number}", "bio": sentences(chance, 3)}


def article(number: int, authors: list[UUID]) -> Article:
    """Return one article; the number alone decides what is in it."""
    chance = random.Random(f"{SEED}:article:{number}")
    at = START + timedelta(seconds=chance.random() * PERIOD_SECONDS)
    english: dict[str, Any] = {
        **_texts(chance, number, ""),
        "rating": chance.randint(1, 5),
        "price": f"{chance.randint(0, 20_000) / 100:.2f}",
        "category": chance.choices(CATEGORIES, weights=range(len(CATEGORIES), 0, -1))[0],
        "tags": chance.sample(TAGS, chance.randint(0, 5)),
        "on": (date(2024, 1, 1) + timedelta(days=chance.randint(0, 730))).isoformat(),
        "author": str(authors[chance.randrange(len(authors))]),
        "featured": chance.random() < 0.1,
    }
    german = _texts(chance, number, " de") if chance.random() < WITH_GERMAN else None
    return Article(_identifier(chance, at), at, english, german)


def _texts(chance: random.Random, number: int, mark: str) -> dict[str, str]:
    title = " ".join(some_word(chance) for _ in range(chance.randint(3, 8))).capitalize() + mark
    summary = sentences(chance, 2)
    if chance.random() < 0.05:
        summary += f" {COMMON_WORD.title()}."
    return {
        "title": title,
        "slug": f"{title.lower().replace(' ', '-')}-{number}",
        "summary": summary,
        "body": _body(chance.randrange(BODIES)),
    }


@cache
def _body(number: int) -> str:
    """Return about 2 KB of Markdown: headings, paragraphs with emphasis and a link, a list, sometimes code."""
    chance = random.Random(f"{SEED}:body:{number}")
    parts = [f"## {sentences(chance, 1)[:-1]}", sentences(chance, 6)]
    parts.append(
        f"**{some_word(chance)}** {sentences(chance, 3)} [{some_word(chance)}](https://example.com/{number})"
    )
    parts += [f"- {sentences(chance, 1)}" for _ in range(4)]
    parts += [f"### {some_word(chance).title()}", sentences(chance, 7), f"> {sentences(chance, 2)}"]
    if number % 5 == 0:
        parts.append(f"```python\nvalue = {number}\nprint(value)\n```")
    if number % 1_000 == 0:
        parts.append(RARE_WORD)
    parts.append(sentences(chance, 6))
    return "\n\n".join(parts)


def sentences(chance: random.Random, count: int) -> str:
    return " ".join(
        " ".join(some_word(chance) for _ in range(chance.randint(8, 14))).capitalize() + "."
        for _ in range(count)
    )


def some_word(chance: random.Random) -> str:
    """Return a word, the n-th of the vocabulary about n times as rarely as the first (Zipf)."""
    vocabulary = _vocabulary()
    return vocabulary[int(len(vocabulary) ** chance.random()) - 1]


@cache
def _vocabulary() -> tuple[str, ...]:
    chance = random.Random(SEED)
    syllables = [c + v for c in "bcdfghklmnprstvw" for v in ("a", "e", "i", "o", "u", "ar", "en", "is")]
    words: dict[str, None] = {}
    while len(words) < 4_000:
        words["".join(chance.choices(syllables, k=chance.randint(1, 4)))] = None
    return tuple(words)


def _identifier(chance: random.Random, at: datetime) -> UUID:
    """Return a UUIDv7 of that time (RFC 9562, section 5.7), always the same one."""
    value = (int(at.timestamp() * 1000) << 80) | chance.getrandbits(80)
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    return UUID(int=(value & ~(0x3 << 62)) | (0x2 << 62))
