"""A small schema without a database, and for each type a field of it with values that are right and wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from accounts.canonical import Json
from content.fields import REGISTRY, ComponentSpec, FieldSpec
from content.fields.base import Card

_SPACE = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


def named(name: str) -> UUID:
    """Return the same id for the same name."""
    return uuid5(_SPACE, name)


AUTHORS = named("authors")
ADA, BOB, HIDDEN = (str(named(name)) for name in ("ada", "bob", "hidden"))


def make_field(
    kind: str, key: str = "it", /, *, options: dict[str, Any] | None = None, **members: Any
) -> FieldSpec:
    """Return a field of a type, its options read as a client would send them."""
    parsed = REGISTRY[kind].parse_options(
        {**DEFAULTS.get(kind, {}), **(options or {})}, members.pop("ctx", None) or World()
    )
    return FieldSpec(id=members.pop("id", named(key)), key=key, type=kind, options=parsed, **members)


DEFAULTS: dict[str, dict[str, Any]] = {
    "choice": {"choices": [{"value": "red", "label": "Red"}, {"value": "green", "label": "Green"}]},
    "choices": {"choices": [{"value": "red", "label": "Red"}, {"value": "green", "label": "Green"}]},
    "reference": {"collections": ["authors"]},
    "references": {"collections": ["authors"]},
    "component": {"components": ["hero"]},
    "components": {"components": ["hero"]},
    "blocks": {"components": ["hero", "quote", "columns"]},
}


@dataclass
class World:
    """Answers what cleaning, reading and forms ask."""

    components: dict[str, ComponentSpec] = field(default_factory=dict)
    asked: list[tuple[UUID, frozenset[UUID]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.components:
            self.components = {}
            self.add(
                "hero",
                [("text", "title", {"required": True}), ("boolean", "big", {}), ("reference", "author", {})],
            )
            self.add("quote", [("long_text", "words", {"required": True}), ("markdown", "source", {})])
            self.add(
                "columns",
                [("text", "width", {}), ("blocks", "inner", {"options": {"components": ["hero", "quote"]}})],
            )

    def add(self, key: str, fields: list[tuple[str, str, dict[str, Any]]]) -> ComponentSpec:
        specs = tuple(
            make_field(kind, name, id=named(f"{key}.{name}"), ctx=self, **more) for kind, name, more in fields
        )
        self.components[key] = ComponentSpec(named(key), key, key.capitalize(), specs)
        return self.components[key]

    def component(self, key_or_id: str) -> ComponentSpec | None:
        found = self.components.get(key_or_id)
        return found or next((c for c in self.components.values() if str(c.id) == key_or_id), None)

    def collection_id(self, key: str) -> UUID | None:
        return AUTHORS if key == "authors" else None

    def collection_key(self, collection_id: UUID) -> str | None:
        return "authors" if collection_id == AUTHORS else None

    def reference_problem(self, entry_id: UUID, collections: frozenset[UUID]) -> str | None:
        self.asked.append((entry_id, collections))
        return None if str(entry_id) in (ADA, BOB) else "There is no such entry."

    def reference(self, entry_id: UUID) -> Json:
        return None if str(entry_id) == HIDDEN else {"_id": str(entry_id), "_collection": "authors"}

    def reference_choices(self, field: FieldSpec) -> Sequence[tuple[str, str]]:
        return [(ADA, "Ada"), (BOB, "Bob")]

    def reference_cards(self, ids: Sequence[str]) -> Sequence[Card]:
        return [Card(item, {ADA: "Ada", BOB: "Bob"}.get(item, "Hidden")) for item in ids]

    def reference_collections(self, field: FieldSpec) -> Sequence[str]:
        return ["authors"]


# For each type: inputs with their canonical value, and inputs that are refused.
RIGHT: dict[str, list[tuple[Any, Any]]] = {
    "text": [("  Hello ", "Hello"), ("e\u0301", "é"), ("   ", None), ("x" * 255, "x" * 255), ("١٢", "١٢")],
    "long_text": [("a\r\nb\tc", "a\nb\tc"), (" \n ", None), ("x" * 100_000, "x" * 100_000)],
    "rich_text": [
        ("<p>a<b>b</b></p>", "<p>a<strong>b</strong></p>"),
        ("<p> </p>", None),
        ("<script>x</script>", None),
    ],
    "markdown": [("# A\r\n", "# A\r\n"), ({"source": "*a*", "html": "<x>"}, "*a*"), (" \n", None)],
    "slug": [("a-b-9", "a-b-9"), ("a", "a"), ("a" * 200, "a" * 200)],
    "integer": [(0, 0), (-(2**53) + 1, -(2**53) + 1)],
    "decimal": [
        ("12.50", "12.5"),
        (1, "1"),
        (0.1, "0.1"),
        ("-0", "0"),
        ("1" * 20 + "." + "1" * 10,) * 2,
        ("+3", "3"),
    ],
    "boolean": [(True, True), (False, False)],
    "date": [("2024-02-29", "2024-02-29"), ("0001-01-01", "0001-01-01")],
    "datetime": [
        ("2026-01-31T14:30:00Z", "2026-01-31T14:30:00.000000Z"),
        ("2026-01-31t14:30:00.5+01:00", "2026-01-31T13:30:00.500000Z"),
        ("0999-01-01 00:00Z", "0999-01-01T00:00:00.000000Z"),
    ],
    "email": [("Ada@Example.COM", "Ada@example.com"), (" a@b.example ", "a@b.example")],
    "url": [
        ("HTTPS://Example.com:8443/A?b=C#d", "https://example.com:8443/A?b=C#d"),
        ("http://[::1]/", "http://[::1]/"),
        ("https://bücher.example/ä", "https://bücher.example/ä"),
    ],
    "choice": [("red", "red"), (" green ", "green")],
    "choices": [(["green", "red"], ["red", "green"]), (["green"], ["green"])],
    "tags": [(["  b ", "a"], ["b", "a"]), (["e\u0301"], ["é"])],
    "json": [
        ({"a": [1, 2.5, None, -0.0]}, {"a": [1, 2.5, None, 0.0]}),
        ([], []),
        (0, 0),
        (False, False),
        ({}, {}),
    ],
    "color": [("#ABC", "#aabbcc"), ("#12345678", "#12345678"), ("#abcd", "#aabbccdd")],
    "geo_point": [
        ({"lat": 52, "lng": -0.0}, {"lat": 52.0, "lng": 0.0}),
        ({"lat": 90, "lng": 180}, {"lat": 90.0, "lng": 180.0}),
    ],
    "reference": [(ADA.upper(), ADA), ({"_id": ADA, "_collection": "authors"}, ADA), ({"_id": None}, None)],
    "references": [([BOB, {"_id": ADA}], [BOB, ADA])],
    "component": [
        ({"title": "x", "big": False}, {str(named("hero.title")): "x", str(named("hero.big")): False}),
        ({"title": ""}, None),
        ({}, None),
    ],
    "components": [([{"title": "x"}, {}], [{str(named("hero.title")): "x"}, {}])],
    "blocks": [
        (
            [
                {"_component": "columns", "inner": [{"_component": "hero", "title": "x"}]},
                {"_component": "quote"},
            ],
            [
                {
                    "_component": str(named("columns")),
                    str(named("columns.inner")): [
                        {"_component": str(named("hero")), str(named("hero.title")): "x"}
                    ],
                },
                {"_component": str(named("quote"))},
            ],
        )
    ],
}

WRONG: dict[str, list[Any]] = {
    "text": [1, True, "a\nb", "a\x00", "\ud800", "x" * 256, ["a"], "a\u2028b", "a" + "\u0301" * 40],
    "long_text": [1, "a\x00b", "\udfff", "x" * 100_001, "x" * 10_000_000, "\x1b[0m"],
    "rich_text": [1, "a\x00", "<ul><li>" * 60, "x" * 500_001, {}],
    "markdown": [
        1,
        "a\x00",
        "x" * 1_000_001,
        {"source": 1},
        {"source": "a", "x": 1},
        "> " * 30 + "x\n" * 20_000,
    ],
    "slug": [1, "A", "a--b", "-a", "a-", "a_b", "a/b", "ä", "a" * 201, "a b"],
    "integer": [True, "1", 1.0, 2**53, -(2**53), 10**400, float("nan"), [1]],
    "decimal": [
        *(True, "1e5", "1e999999", "NaN", "Infinity", float("inf"), float("nan"), "1" * 31, "0.00000000001"),
        *("1,5", 10**400, 1e300, "١", "0x1", "1_0", "1" * 10_000),
    ],
    "boolean": ["true", 1, 0, "yes", []],
    "date": ["2023-02-29", "2026-1-1", "20260101", 5, "2026-01-01T00:00:00Z", "0000-01-01", "١٢٣٤-01-01"],
    "datetime": [
        "2026-01-31T14:30:00",
        "2026-01-31",
        "2026-01-31T24:00:00Z",
        "2026-01-31T23:59:60Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        5,
        "2026-01-31T14:30:00+24:00",
    ],
    "email": [
        "a",
        "a@",
        "@b.example",
        "a b@c.example",
        '"a b"@c.example',
        "a@b.example\nBcc: x@y.example",
        "a@b..c",
        1,
        "a@b\x00.example",
    ],
    "url": [
        "javascript:alert(1)",
        "//evil.example",
        "/path",
        "https:/x",
        "https:x.example",
        "https://",
        "https://user@x.example/",
        "https://user:pw@x.example/",
        "https://x.example/\r\nSet-Cookie: a=b",
        "https://x.example/a b",
        "https://x.example\\@evil.example",
        "https://x.example:99999/",
        "https://x.example:0/",
        "https://a..b/",
        "https://[::1/",
        "ftp://x.example/",
        "https://x.example/\u202egpj",
        "https://x.example/" + "a" * 500,
        "https://\u2100.example/",
        1,
    ],
    "choice": ["blue", 1, "Red", ["red"]],
    "choices": ["red", ["red", "red"], ["blue"], [""], [1], {"a": 1}],
    "tags": ["a", ["a", "a "], ["x" * 61], [""], [1], ["a\nb"], [str(i) for i in range(101)]],
    "json": [
        float("nan"),
        float("inf"),
        2**53,
        {"a": "\x00"},
        {"a": "\ud800"},
        "x" * 70_000,
        {1: 2},
        object(),
        {"a": {1}},
    ],
    "color": ["red", "#12", "#12345", "#ggg", "rgb(1,2,3)", 1, "#1234567"],
    "geo_point": [
        {"lat": 91, "lng": 0},
        {"lat": True, "lng": 0},
        {"lat": "1", "lng": 0},
        {"lat": 1},
        {"lat": 1, "lng": 1, "x": 1},
        {"lat": float("nan"), "lng": 0},
        {"lat": 10**400, "lng": 0},
        [1, 2],
        "1,2",
    ],
    "reference": [HIDDEN, "x", 1, {"_id": ADA, "x": 1}, {}, [ADA], ADA.replace("-", ""), "{" + ADA + "}"],
    "references": [ADA, [ADA, ADA], [HIDDEN], [None], [{"_id": ADA}, ADA.upper()]],
    "component": [
        [],
        "x",
        {"nope": 1},
        {"title": 1},
        {"_component": "hero"},
        {1: 2},
        {"title": "a", str(named("hero.title")): "b"},
    ],
    "components": [{}, "x", [1], [{"nope": 1}], [{}] * 201],
    "blocks": [
        {},
        [{}],
        [{"_component": "nope"}],
        [{"_component": ["hero"]}],
        [{"_component": "hero", "nope": 1}],
        [{"_component": "hero"}] * 201,
        [{"_component": "columns", "inner": [{"_component": "hero"}] * 100}] * 3,
        ["hero"],
    ],
}
