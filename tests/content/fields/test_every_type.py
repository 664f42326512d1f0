"""What holds for every field type that is registered: asked of the registry, so that a new type is asked too."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.access import DataClass
from accounts.canonical import canonical_bytes
from content.fields import REGISTRY, FieldError, FieldSpec, Kind, Options
from content.fields.strings import unix_lines
from tests.content.fields.world import ADA, DEFAULTS, RIGHT, WRONG, World, make_field

RELEASED = {
    *(
        "text",
        "long_text",
        "rich_text",
        "markdown",
        "slug",
        "integer",
        "decimal",
        "boolean",
        "date",
        "datetime",
    ),
    *("email", "url", "choice", "choices", "tags", "json", "color", "geo_point", "reference", "references"),
    *("component", "components", "blocks"),
}
TYPES = sorted(REGISTRY)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=30)
keys = st.sampled_from(["title", "_component", "_id", "lat", "lng", "inner", "source"]) | st.text(max_size=5)
anything = st.recursive(
    scalars | st.sampled_from([ADA, "red", "hero", "2026-01-01", "#fff", "<p>x", "https://x.example", "1.5"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=12,
)


def right(kind: str) -> list[Any]:
    return [canonical for _, canonical in RIGHT[kind] if canonical is not None]


def test_the_types_of_this_release_are_registered():
    assert set(REGISTRY) == RELEASED
    assert set(RIGHT) == set(WRONG) == RELEASED


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_says_what_it_is(kind):
    field_type = REGISTRY[kind]
    assert field_type.key == kind
    assert field_type.label
    assert field_type.description.endswith(".")
    assert field_type.icon
    assert not field_type.sortable or field_type.kind in (Kind.TEXT, Kind.NUMBER)
    assert field_type.converts_to <= RELEASED


@pytest.mark.parametrize(("kind", "value", "expected"), [(k, v, e) for k in TYPES for v, e in RIGHT[k]])
def test_a_right_value_becomes_canonical_and_stays_so(kind, value, expected):
    field = make_field(kind)
    cleaned = REGISTRY[kind].clean(value, field, World())
    assert cleaned == expected
    assert canonical_bytes(cleaned) == canonical_bytes(expected)
    assert REGISTRY[kind].clean(cleaned, field, World()) == cleaned


@pytest.mark.parametrize(("kind", "value"), [(k, v) for k in TYPES for v in WRONG[k]])
def test_a_wrong_value_is_refused_with_its_place(kind, value):
    with pytest.raises(FieldError) as caught:
        REGISTRY[kind].clean(value, make_field(kind), World())
    assert caught.value.problems
    for problem in caught.value.problems:
        assert problem.pointer is not None
        assert problem.pointer == "" or problem.pointer.startswith("/")
        assert problem.code == problem.code.lower()
        assert problem.detail.endswith((".", "!"))
        assert len(problem.detail) < 500


@pytest.mark.parametrize("kind", TYPES)
def test_nothing_is_none_and_required_says_so(kind):
    field_type = REGISTRY[kind]
    assert field_type.clean(None, make_field(kind), World()) is None
    assert field_type.clean("", make_field(kind), World()) is None
    assert field_type.missing(None, make_field(kind), World()) == []
    (problem,) = field_type.missing(None, make_field(kind, "headline", required=True), World())
    assert (problem.pointer, problem.code) == ("", "required")
    assert "Headline" in problem.detail


@pytest.mark.parametrize("kind", TYPES)
@settings(max_examples=60)
@given(value=anything)
def test_no_input_raises_anything_but_a_field_error(kind, value):
    field, world = make_field(kind), World()
    try:
        cleaned = REGISTRY[kind].clean(value, field, world)
    except FieldError:
        return
    canonical_bytes(cleaned)
    stored = json.loads(json.dumps(cleaned))
    assert REGISTRY[kind].clean(stored, field, world) == cleaned
    go_through(kind, field, cleaned)


@pytest.mark.parametrize(("kind", "value"), [(k, v) for k in TYPES for v in right(k)])
def test_a_canonical_value_goes_the_whole_way(kind, value):
    go_through(kind, make_field(kind), value)


def same_lines(kind: str, value: Any) -> Any:
    """Return the value with the line breaks that browsers and plain text have; only Markdown keeps others."""
    return unix_lines(value) if kind == "markdown" and value is not None else value


def go_through(kind: str, field: FieldSpec, value: Any) -> None:
    """Send a canonical value through publishing, reading, search, diff and the form."""
    field_type, world = REGISTRY[kind], World()
    delivered = field_type.resolve(value, field, world)
    shaped = field_type.shape(delivered, field, world)
    json.dumps(shaped, allow_nan=False)
    assert isinstance(field_type.search_text(delivered, field, world), str)
    assert isinstance(field_type.diff_text(value, field, world), str)
    assert isinstance(field_type.as_text(value), str)
    assert list(field_type.references(value, field, world)) == list(
        field_type.references(delivered, field, world)
    )
    assert field_type.missing(value, field, world) is not None
    assert field_type.prune(value, field, world) == value
    draft = field_type.shape_draft(value, field, world)
    assert field_type.clean(draft, field, world) == value
    back = from_form(kind, field, value)
    assert back == same_lines(kind, value)


def from_form(kind: str, field: FieldSpec, value: Any) -> Any:
    """Show a value in a form, send the form as a browser does, and clean what comes back."""
    from tests.content.fields.browser import sent

    field_type, world = REGISTRY[kind], World()
    cleaned, changed = sent(field_type.form_field(field, world), field_type.to_form(value, field, world))
    assert not changed, (kind, value)
    return field_type.clean(field_type.from_form(cleaned, field, world), field, world)


@pytest.mark.parametrize("kind", TYPES)
def test_an_absent_value_is_borne_everywhere(kind):
    field_type, field, world = REGISTRY[kind], make_field(kind), World()
    assert field_type.shape(field_type.resolve(None, field, world), field, world) in (None, [])
    assert field_type.shape_draft(None, field, world) in (None, [])
    assert field_type.search_text(None, field, world) == ""
    assert field_type.diff_text(None, field, world) == ""
    assert field_type.as_text(None) == ""
    assert list(field_type.references(None, field, world)) == []
    assert field_type.prune(None, field, world) is None
    assert from_form(kind, field, None) is None


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_shown_keeps_the_schema_that_is_published(kind):
    import jsonschema_rs

    field_type, field, world = REGISTRY[kind], make_field(kind), World()
    schema = field_type.json_schema(field, world)
    jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    for value in right(kind):
        shown = field_type.shape(field_type.resolve(value, field, world), field, world)
        jsonschema_rs.validate(schema, shown)


@pytest.mark.parametrize("kind", TYPES)
def test_options_survive_storage_and_are_shown_by_key(kind):
    field_type, world = REGISTRY[kind], World()
    options = field_type.parse_options(DEFAULTS.get(kind, {}), world)
    stored = json.loads(json.dumps(field_type.store_options(options)))
    assert field_type.load_options(stored) == options
    assert field_type.load_options({**stored, "of_a_later_release": 1}) == options
    assert field_type.parse_options(field_type.options_json(options, world), world) == options
    assert field_type.options_json(options, world) == DEFAULTS.get(kind, {})


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("raw", [[], "x", 1, {"nope": 1}, {"pattern": "(a+)+$"}, {1: 2}])
def test_options_that_are_not_known_are_refused(kind, raw):
    with pytest.raises(FieldError) as caught:
        REGISTRY[kind].parse_options(raw, World())
    if isinstance(raw, dict):
        assert f"/{next(iter(raw))}" in [problem.pointer for problem in caught.value.problems]


@pytest.mark.parametrize("kind", TYPES)
@settings(max_examples=30)
@given(data=st.data())
def test_no_options_raise_anything_but_a_field_error(kind, data):
    names = [
        "min",
        "max",
        "min_length",
        "max_length",
        "choices",
        "from",
        "collections",
        "components",
        "schema",
        "pattern",
    ]
    raw = data.draw(st.dictionaries(st.sampled_from(names), anything, max_size=3))
    try:
        options = REGISTRY[kind].parse_options({**DEFAULTS.get(kind, {}), **raw}, World())
    except FieldError:
        return
    hash(options)
    assert (
        REGISTRY[kind].load_options(json.loads(json.dumps(REGISTRY[kind].store_options(options)))) == options
    )


@pytest.mark.parametrize("kind", TYPES)
@settings(max_examples=60)
@given(
    text=st.text(max_size=40)
    | st.sampled_from(["1e999999", "NaN", "Infinity", "9" * 5000, "'--", "\x00", "١٢"])
)
def test_a_filter_s_text_becomes_a_value_or_a_field_error(kind, text):
    field_type = REGISTRY[kind]
    try:
        value = field_type.filter_value(text)
    except FieldError:
        return
    assert field_type.kind is not Kind.NONE
    if field_type.kind is Kind.NUMBER:
        assert value.is_finite()
        assert len(str(value)) < 50
    else:
        assert isinstance(value, str)
        assert "\x00" not in value


@pytest.mark.parametrize("kind", [kind for kind in TYPES if REGISTRY[kind].kind is not Kind.NONE])
def test_a_value_that_is_shown_finds_itself_in_a_filter(kind):
    field_type, field = REGISTRY[kind], make_field(kind)
    for value in right(kind):
        for item in value if isinstance(value, list) else [value]:
            found = field_type.filter_value(field_type.as_text(item) if not isinstance(value, list) else item)
            assert str(found) == (field_type.as_text(item) if kind == "boolean" else str(item)), field


@pytest.mark.parametrize("kind", [kind for kind in TYPES if REGISTRY[kind].kind is Kind.NONE])
def test_a_type_that_cannot_be_compared_says_so(kind):
    with pytest.raises(FieldError) as caught:
        REGISTRY[kind].filter_value("x")
    assert caught.value.problems[0].code == "not-filterable"


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("to", TYPES)
def test_a_conversion_loses_nothing_or_refuses(kind, to):
    source, target, world = REGISTRY[kind], REGISTRY[to], World()
    field = make_field(to)
    for value in right(kind):
        try:
            converted = source.convert(value, target, field, world)
        except FieldError:
            continue
        assert source.convertible(target)
        assert target.clean(converted, field, world) == converted
        if target.convertible(source):
            back = target.convert(converted, source, make_field(kind), world)
            assert same_lines(kind, back) == same_lines(kind, value)


@pytest.mark.parametrize("kind", TYPES)
def test_a_field_without_options_of_its_own_works_with_the_defaults(kind):
    bare = FieldSpec(id=make_field(kind).id, key="it", type=kind)
    assert type(bare.options) is Options
    assert REGISTRY[kind].clean(None, bare, World()) is None


@pytest.mark.parametrize("kind", TYPES)
def test_a_field_s_own_data_class_is_never_lowered(kind):
    field = make_field(kind, data_class=DataClass.SECRET)
    assert REGISTRY[kind].data_class(field, World()) == DataClass.SECRET
