"""Options of field types that are nonsense are refused where they stand."""

import json
import time

import pytest

from content.fields import REGISTRY, FieldError
from tests.content.fields.world import AUTHORS, World, make_field, named

RED = {"value": "red", "label": "Red"}


@pytest.mark.parametrize(
    ("kind", "raw", "pointer", "code"),
    [
        ("text", {"min_length": 5, "max_length": 4}, "/min_length", "out-of-range"),
        ("text", {"max_length": 501}, "/max_length", "out-of-range"),
        ("text", {"max_length": 0}, "/max_length", "out-of-range"),
        ("text", {"max_length": True}, "/max_length", "invalid-type"),
        ("text", {"max_length": "5"}, "/max_length", "invalid-type"),
        ("text", {"pattern": "^(a+)+$"}, "/pattern", "invalid-choice"),
        ("text", {"pattern": ["digits"]}, "/pattern", "invalid-choice"),
        ("text", {"nope": None}, "/nope", "unknown-option"),
        ("long_text", {"min_length": 5, "max_length": 4}, "/min_length", "out-of-range"),
        ("slug", {"from": "Title!"}, "/from", "invalid-key"),
        ("slug", {"from_key": "title"}, "/from_key", "unknown-option"),
        ("slug", {"unicode": "yes"}, "/unicode", "invalid-type"),
        ("integer", {"min": 2, "max": 1}, "/min", "out-of-range"),
        ("integer", {"min": 2**53}, "/min", "out-of-range"),
        ("integer", {"min": 1.5}, "/min", "invalid-type"),
        ("decimal", {"min": "2", "max": "1.5"}, "/min", "out-of-range"),
        ("decimal", {"min": "1e9"}, "/min", "invalid-type"),
        ("date", {"min": "2026-02-01", "max": "2026-01-01"}, "/min", "out-of-range"),
        ("date", {"min": "soon"}, "/min", "invalid-type"),
        ("datetime", {"min": "2026-02-01T00:00:00"}, "/min", "no-offset"),
        ("choice", {}, "/choices", "required"),
        ("choice", {"choices": []}, "/choices", "invalid-type"),
        ("choice", {"choices": [RED, RED]}, "/choices/1/value", "duplicate"),
        ("choice", {"choices": [{"label": "x"}]}, "/choices/0/value", "required"),
        ("choice", {"choices": [{"value": "x", "y": 1}]}, "/choices/0", "invalid-type"),
        ("choice", {"choices": [{"value": 1}]}, "/choices/0/value", "invalid-type"),
        ("choice", {"choices": [{"value": "x" * 101}]}, "/choices/0/value", "too-long"),
        ("choice", {"choices": [RED] * 501}, "/choices", "invalid-type"),
        ("choices", {"choices": [RED], "min": 2}, "/min", "out-of-range"),
        ("tags", {"min": 3, "max": 2}, "/min", "out-of-range"),
        ("reference", {}, "/collections", "required"),
        ("reference", {"collections": ["nope"]}, "/collections/0", "unknown-collection"),
        ("reference", {"collections": ["authors", "authors"]}, "/collections/1", "duplicate"),
        ("reference", {"collections": [str(named("nope"))]}, "/collections/0", "unknown-collection"),
        ("reference", {"collections": "authors"}, "/collections", "invalid-type"),
        ("references", {"collections": ["authors"], "min": 3, "max": 2}, "/min", "out-of-range"),
        ("component", {}, "/components", "required"),
        ("component", {"components": ["hero", "quote"]}, "/components", "invalid-type"),
        ("components", {"components": ["nope"]}, "/components/0", "unknown-component"),
        ("blocks", {"components": ["hero", "hero"]}, "/components/1", "duplicate"),
        ("blocks", {"components": ["hero"], "min": 3, "max": 2}, "/min", "out-of-range"),
        ("json", {"schema": "x"}, "/schema", "invalid-type"),
        ("json", {"schema": {"type": "nope"}}, "/schema", "invalid-schema"),
        (
            "json",
            {"schema": {"$schema": "http://json-schema.org/draft-07/schema#"}},
            "/schema/$schema",
            "invalid-schema",
        ),
    ],
)
def test_nonsense_is_refused_with_its_place(kind, raw, pointer, code):
    with pytest.raises(FieldError) as caught:
        REGISTRY[kind].parse_options(raw, World())
    assert (caught.value.problems[0].pointer, caught.value.problems[0].code) == (pointer, code)


def test_every_fault_is_named_at_once():
    with pytest.raises(FieldError) as caught:
        REGISTRY["text"].parse_options({"a": 1, "max_length": "x", "pattern": 1}, World())
    assert [problem.pointer for problem in caught.value.problems] == ["/a", "/max_length", "/pattern"]


def test_collections_are_stored_by_id_and_shown_by_key():
    reference = REGISTRY["reference"]
    options = reference.parse_options({"collections": ["authors"]}, World())
    assert reference.store_options(options) == {"collections": [str(AUTHORS)]}
    assert reference.options_json(options, World()) == {"collections": ["authors"]}
    assert reference.named_collections(options) == {AUTHORS}
    assert reference.parse_options({"collections": [str(AUTHORS)]}, World()) == options


def test_components_are_stored_by_id_and_shown_by_key():
    blocks, world = REGISTRY["blocks"], World()
    options = blocks.parse_options({"components": ["hero", "quote"]}, world)
    assert blocks.store_options(options) == {"components": [str(named("hero")), str(named("quote"))]}
    del world.components["quote"]
    assert blocks.options_json(options, world) == {"components": ["hero"]}


REF = {"$ref": "#/$defs/a"}


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ({"$ref": "https://evil.example/schema"}, "invalid-schema"),
        ({"$ref": "file:///etc/passwd"}, "invalid-schema"),
        ({"$ref": "#"}, "invalid-schema"),
        ({"allOf": [{"$ref": "#/allOf/0"}]}, "invalid-schema"),
        ({"$defs": {"a": REF}, **REF}, "circular"),
        ({"$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"not": REF}}, **REF}, "circular"),
        ({"$dynamicRef": "#x"}, "invalid-schema"),
        ({"$id": "https://x.example/"}, "invalid-schema"),
        ({"properties": {"x": {"$anchor": "a"}}}, "invalid-schema"),
        ({"pattern": "("}, "invalid-schema"),
        ({"pattern": "(?=a)b"}, "invalid-schema"),
        ({"pattern": "(a{1000}){1000}"}, "invalid-schema"),
        ({"pattern": "\\pL{500}" * 20}, "invalid-schema"),
        ({"pattern": "a" * 201}, "too-long"),
        ({"description": "x" * 17_000}, "too-long"),
        ({"minLength": -1}, "invalid-schema"),
        ({"const": float("nan")}, "out-of-range"),
    ],
)
def test_a_schema_that_could_fetch_loop_or_explode_is_refused(schema, code):
    start = time.process_time()
    with pytest.raises(FieldError) as caught:
        REGISTRY["json"].parse_options({"schema": schema}, World())
    assert caught.value.problems[0].code == code
    assert time.process_time() - start < 0.5


def test_a_schema_whose_references_double_and_double_is_refused():
    definitions = {f"a{i}": {"anyOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(40)}
    schema = {"$defs": {**definitions, "a40": {"type": "integer"}}, "$ref": "#/$defs/a0"}
    with pytest.raises(FieldError) as caught:
        REGISTRY["json"].parse_options({"schema": schema}, World())
    assert caught.value.problems[0].code == "too-complex"


@pytest.mark.parametrize(
    ("item", "size"), [({"type": "string"}, 30_000), ({"allOf": [{"type": "string"}] * 900}, 1_000)]
)
def test_a_value_that_is_wrong_everywhere_is_refused_quickly(item, size):
    field = make_field("json", options={"schema": {"items": item}})
    start = time.process_time()
    with pytest.raises(FieldError) as caught:
        REGISTRY["json"].clean([0] * size, field, World())
    assert time.process_time() - start < 0.5
    assert [(problem.pointer, problem.code) for problem in caught.value.problems] == [("/0", "schema")]
    with pytest.raises(FieldError) as caught:  # of a small one all is told
        REGISTRY["json"].clean(
            [0, 0], make_field("json", options={"schema": {"items": {"type": "string"}}}), World()
        )
    assert [problem.pointer for problem in caught.value.problems] == ["/0", "/1"]


def test_a_schema_checks_values_and_names_the_place():
    schema = {
        "$defs": {"size": {"type": "integer", "minimum": 1}},
        "type": "object",
        "properties": {
            "sizes": {"type": "array", "items": {"$ref": "#/$defs/size"}},
            "day": {"format": "date"},
        },
        "additionalProperties": False,
    }
    field = make_field("json", options={"schema": schema})
    assert REGISTRY["json"].clean({"sizes": [1, 2]}, field, World()) == {"sizes": [1, 2]}
    with pytest.raises(FieldError) as caught:
        REGISTRY["json"].clean({"sizes": [1, 0, "x"], "day": "soon", "more": 1}, field, World())
    assert {problem.pointer for problem in caught.value.problems} == {"", "/day", "/sizes/1", "/sizes/2"}


def test_a_pattern_that_blows_up_elsewhere_takes_no_time_here():
    field = make_field("json", options={"schema": {"pattern": "^(a+)+$"}})
    start = time.process_time()
    with pytest.raises(FieldError):
        REGISTRY["json"].clean("a" * 50_000 + "!", field, World())
    assert time.process_time() - start < 0.5


def test_json_is_limited_in_depth():
    deep = json.loads("[" * 20 + "]" * 20)
    assert REGISTRY["json"].clean(deep, make_field("json"), World()) == deep
    with pytest.raises(FieldError) as caught:
        REGISTRY["json"].clean([[deep]], make_field("json"), World())
    assert caught.value.problems[0].code == "too-deep"


@pytest.mark.parametrize("text", ["{", '{"a": 1, "a": 2}', "NaN", "[1,]", "[" * 100_000, "9" * 10_000, "'x'"])
def test_json_typed_into_the_form_is_read_strictly(text):
    with pytest.raises(FieldError):
        REGISTRY["json"].from_form(text, make_field("json"), World())


@pytest.mark.parametrize(
    ("pattern", "right", "wrong"),
    [
        ("digits", ["0123"], ["12a", "١٢"]),
        ("letters", ["Größe"], ["a1", "a b"]),
        ("kebab", ["a-b"], ["A-b", "a--b"]),
        ("phone", ["+49 (30) 123-456", "030123456"], ["+", "12", "call me"]),
        ("postal-code", ["10115", "SW1A 1AA"], ["-1", "1 "]),
        ("language-tag", ["pt-BR", "de"], ["x", "pt_BR"]),
        ("time", ["23:59"], ["24:00", "9:00"]),
        ("isbn", ["978-3-16-148410-0", "316148410X"], ["978"]),
        ("upper", ["ABC 1"], ["Abc"]),
        ("no-spaces", ["a.b"], ["a b"]),
    ],
)
def test_patterns_are_ours(pattern, right, wrong):
    field = make_field("text", options={"pattern": pattern})
    for text in right:
        assert REGISTRY["text"].clean(text, field, World()) == text
    for text in wrong:
        with pytest.raises(FieldError) as caught:
            REGISTRY["text"].clean(
                text + "\u0041" * 0 if text.strip() == text else f"{text}!", field, World()
            )
        assert caught.value.problems[0].code == "pattern"


def test_limits_are_checked():
    for kind, options, value, code in [
        ("text", {"min_length": 3}, "ab", "too-short"),
        ("text", {"max_length": 3}, "abcd", "too-long"),
        ("integer", {"min": 3}, 2, "too-small"),
        ("integer", {"max": 3}, 4, "too-large"),
        ("decimal", {"min": "0.5"}, "0.4", "too-small"),
        ("decimal", {"max": "0.5"}, "0.6", "too-large"),
        ("date", {"min": "2026-01-01"}, "2025-12-31", "too-early"),
        ("date", {"max": "2026-01-01"}, "2026-01-02", "too-late"),
        ("datetime", {"min": "2026-01-01T00:00:00Z"}, "2026-01-01T00:30:00+01:00", "too-early"),
        ("datetime", {"max": "2026-01-01T00:00:00Z"}, "2026-01-01T00:00:00.000001Z", "too-late"),
        ("choices", {"max": 1}, ["red", "green"], "too-many"),
        ("tags", {"max": 1}, ["a", "b"], "too-many"),
        ("rich_text", {"max_length": 3}, "<p>abcd</p>", "too-long"),
        ("markdown", {"max_length": 3}, "abcd", "too-long"),
    ]:
        with pytest.raises(FieldError) as caught:
            REGISTRY[kind].clean(value, make_field(kind, options=options), World())
        assert caught.value.problems[0].code == code, kind


def test_a_list_that_is_too_short_only_stops_publishing():
    for kind, value in [
        ("tags", ["a"]),
        ("choices", ["red"]),
        ("components", [{}]),
        ("blocks", [{"_component": "hero"}]),
    ]:
        field = make_field(kind, options={"min": 2})
        cleaned = REGISTRY[kind].clean(value, field, World())
        assert "too-few" in [problem.code for problem in REGISTRY[kind].missing(cleaned, field, World())]


@pytest.mark.parametrize(
    ("source", "slug"),
    [
        ("Größe & Maß!", "grosse-mass"),
        ("A  New_Beginning", "a-new-beginning"),
        ("Ünï", "uni"),
        ("日本", None),
        ("--", None),
        ("a" * 300, "a" * 200),
    ],
)
def test_a_slug_is_suggested_from_a_text(source, slug):
    assert REGISTRY["slug"].suggest(source, make_field("slug")) == slug


def test_a_slug_may_keep_the_letters_of_its_language():
    field = make_field("slug", options={"unicode": True})
    assert REGISTRY["slug"].suggest("Größe 日本", field) == "größe-日本"
    assert REGISTRY["slug"].clean("größe-日本", field, World()) == "größe-日本"
    with pytest.raises(FieldError):
        REGISTRY["slug"].clean("Größe", field, World())


def test_a_url_may_be_a_path_when_the_option_says_so():
    field = make_field("url", options={"allow_relative": True})
    assert REGISTRY["url"].clean("/a?b", field, World()) == "/a?b"
    for address in ("//evil.example", "/\\evil.example", "/a b", "a"):
        with pytest.raises(FieldError):
            REGISTRY["url"].clean(address, field, World())
