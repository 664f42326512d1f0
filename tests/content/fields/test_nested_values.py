"""Components and blocks: keys in, ids kept, depth and number limited, conditions and requirements inside."""

import pytest

from accounts.access import DataClass
from content.conditions import Condition
from content.fields import REGISTRY, FieldError
from tests.content.fields.browser import NAME, controls, drawn, sent
from tests.content.fields.world import ADA, BOB, HIDDEN, World, make_field, named

BLOCKS = REGISTRY["blocks"]
PAGE = [
    {"_component": "hero", "title": "Hi", "big": True, "author": ADA},
    {
        "_component": "columns",
        "width": "wide",
        "inner": [{"_component": "quote", "words": "a\nb", "source": "*x*"}],
    },
]


def test_blocks_are_shown_by_key_with_every_field():
    field, world = make_field("blocks"), World()
    canonical = BLOCKS.clean(PAGE, field, world)
    shown = BLOCKS.shape(BLOCKS.resolve(canonical, field, world), field, world)
    assert shown == [
        {"_component": "hero", "title": "Hi", "big": True, "author": {"_id": ADA, "_collection": "authors"}},
        {
            "_component": "columns",
            "width": "wide",
            "inner": [
                {
                    "_component": "quote",
                    "words": "a\nb",
                    "source": {"source": "*x*", "html": "<p><em>x</em></p>\n"},
                }
            ],
        },
    ]


def test_problems_name_the_place_by_key():
    broken = [
        {"_component": "hero", "big": 1},
        {"_component": "columns", "inner": [{"_component": "quote", "x": 1}]},
    ]
    with pytest.raises(FieldError) as caught:
        BLOCKS.clean(broken, make_field("blocks"), World())
    assert [problem.pointer for problem in caught.value.problems] == ["/0/big", "/1/inner/0/x"]
    assert (
        BLOCKS.missing(
            BLOCKS.clean([{"_component": "quote"}], make_field("blocks"), World()),
            make_field("blocks"),
            World(),
        )[0].pointer
        == "/0/words"
    )


def test_references_inside_are_found_checked_and_hidden():
    field, world = make_field("blocks"), World()
    canonical = BLOCKS.clean(PAGE, field, world)
    assert [str(entry_id) for entry_id in BLOCKS.references(canonical, field, world)] == [ADA]
    with pytest.raises(FieldError) as caught:
        BLOCKS.clean([{"_component": "hero", "author": HIDDEN}], field, world)
    assert caught.value.problems[0].pointer == "/0/author"
    hidden = [{"_component": str(named("hero")), str(named("hero.author")): HIDDEN}]
    assert BLOCKS.shape(hidden, field, world) == [
        {"_component": "hero", "title": None, "big": None, "author": None}
    ]


def test_a_component_that_may_not_stand_here_is_refused():
    field = make_field("blocks", options={"components": ["quote"]})
    with pytest.raises(FieldError) as caught:
        BLOCKS.clean([{"_component": "hero"}], field, World())
    assert caught.value.problems[0].code == "unknown-component"


def test_depth_is_limited_even_where_the_schema_goes_in_circles():
    world = World()
    world.add("box", [("text", "name", {}), ("blocks", "inner", {"options": {"components": ["hero"]}})])
    inner = world.components["box"].fields[1]
    circle = make_field("blocks", "inner", id=inner.id, options={"components": ["box"]}, ctx=world)
    world.components["box"] = type(world.components["box"])(
        named("box"), "box", "Box", (world.components["box"].fields[0], circle)
    )

    def nested(levels: int) -> list[dict[str, object]]:
        return [{"_component": "box", "name": "x", **({"inner": nested(levels - 1)} if levels > 1 else {})}]

    assert BLOCKS.clean(nested(5), circle, world)
    with pytest.raises(FieldError):
        BLOCKS.clean(nested(6), circle, world)
    with pytest.raises(FieldError):
        BLOCKS.clean(nested(200), circle, world)
    assert BLOCKS.json_schema(circle, world)
    assert BLOCKS.data_class(circle, world) == DataClass.PUBLIC
    assert drawn(BLOCKS.form_field(circle, world), [])


def test_a_field_inside_whose_condition_does_not_hold_is_neither_required_nor_delivered():
    world = World()
    kind = make_field("text", "kind", id=named("k"))
    url = make_field(
        "url",
        "url",
        id=named("u"),
        required=True,
        condition=Condition.load({"field": str(kind.id), "operator": "eq", "value": "video"}),
    )
    world.components["media"] = type(world.components["hero"])(named("media"), "media", "Media", (kind, url))
    field = make_field("component", options={"components": ["media"]}, ctx=world)
    component = REGISTRY["component"]
    text = component.clean({"kind": "text", "url": "https://x.example/"}, field, world)
    assert component.missing(text, field, world) == []
    assert component.shape(component.resolve(text, field, world), field, world) == {
        "kind": "text",
        "url": None,
    }
    video = component.clean({"kind": "video"}, field, world)
    assert [problem.pointer for problem in component.missing(video, field, world)] == ["/url"]


def test_a_default_inside_counts():
    world = World()
    world.add("card", [("text", "tone", {"required": True, "default": "calm"}), ("text", "name", {})])
    field = make_field("components", options={"components": ["card"]}, ctx=world)
    components = REGISTRY["components"]
    value = components.clean([{"name": "x"}], field, world)
    assert components.missing(value, field, world) == []
    assert components.shape(components.resolve(value, field, world), field, world) == [
        {"tone": "calm", "name": "x"}
    ]


def test_what_the_schema_no_longer_knows_is_pruned_for_a_restore():
    field, world = make_field("blocks"), World()
    canonical = BLOCKS.clean(PAGE, field, world)
    del world.components["hero"]
    world.components["columns"] = type(world.components["columns"])(
        named("columns"), "columns", "Columns", world.components["columns"].fields[1:]
    )
    pruned = BLOCKS.prune(canonical, field, world)
    assert BLOCKS.clean(pruned, field, world) == pruned
    assert [part["_component"] for part in pruned] == [str(named("columns"))]
    assert str(named("columns.width")) not in pruned[0]
    assert BLOCKS.shape(BLOCKS.resolve(canonical, field, world), field, world)[0]["_component"] == "columns"


@pytest.mark.parametrize("kind", ["component", "components", "blocks"])
def test_a_component_is_as_sensitive_as_what_it_holds(kind):
    world = World()
    world.add("person", [("text", "name", {}), ("email", "mail", {"data_class": DataClass.PERSONAL})])
    world.add("team", [("components", "people", {"options": {"components": ["person"]}})])
    assert (
        REGISTRY[kind].data_class(make_field(kind, options={"components": ["team"]}, ctx=world), world)
        == DataClass.PERSONAL
    )


def test_words_are_found_and_compared():
    field, world = make_field("blocks"), World()
    canonical = BLOCKS.clean(PAGE, field, world)
    assert set(BLOCKS.search_text(BLOCKS.resolve(canonical, field, world), field, world).split()) >= {
        "Hi",
        "wide",
        "a",
        "b",
        "x",
    }
    assert BLOCKS.diff_text(canonical, field, world).splitlines()[:3] == [
        "Hero",
        "  Title: Hi",
        "  Big: true",
    ]


# The form, without script


def page_form(world: World, value: object = None, **changes: str):
    field = make_field("blocks")
    canonical = BLOCKS.clean(value or PAGE, field, world)
    cleaned, changed = sent(
        BLOCKS.form_field(field, world), BLOCKS.to_form(canonical, field, world), **changes
    )
    return BLOCKS.shape_draft(
        BLOCKS.clean(BLOCKS.from_form(cleaned, field, world), field, world), field, world
    ), changed


def test_one_input_changes_one_value():
    shown, changed = page_form(World(), **{"1-inner-0-words": "new"})
    assert changed
    assert shown[1]["inner"][0]["words"] == "new"
    assert shown[0]["title"] == "Hi"


def test_a_part_is_moved_removed_and_added():
    assert [part["_component"] for part in page_form(World(), **{"0-_order": "9"})[0]] == ["columns", "hero"]
    assert [part["_component"] for part in page_form(World(), **{"0-_delete": "on"})[0]] == ["columns"]
    assert [part["_component"] for part in page_form(World(), _add=str(named("quote")))[0]] == [
        "hero",
        "columns",
        "quote",
    ]
    inner = page_form(World(), **{"1-inner-_add": str(named("hero"))})[0][1]["inner"]
    assert [part["_component"] for part in inner] == ["quote", "hero"]
    for change in ({"0-_order": "9"}, {"0-_delete": "on"}, {"_add": str(named("quote"))}):
        assert page_form(World(), **change)[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"count": "x"},
        {"count": "-1"},
        {"count": "99999"},
        {"0-_order": "NaN"},
        {"0-_order": "x"},
        {"0-_component": "nope"},
        {"_add": "nope"},
        {"0-author": "x'--"},
    ],
)
def test_a_form_that_was_tampered_with_raises_nothing_else(changes):
    try:
        shown, _ = page_form(World(), **changes)
    except FieldError:
        return
    assert isinstance(shown, list | None)


def test_what_was_typed_is_shown_again_although_it_is_wrong():
    field, world = make_field("blocks"), World()
    form_field = BLOCKS.form_field(field, world)
    canonical = BLOCKS.clean(PAGE, field, world)
    data = controls(drawn(form_field, BLOCKS.to_form(canonical, field, world)))
    data[f"{NAME}-0-title"] = "x" * 400
    data[f"{NAME}-0-_order"] = "9"
    data[f"{NAME}-1-inner-0-source"] = "**typed"
    data[f"{NAME}-_add"] = str(named("hero"))
    raw = form_field.widget.value_from_datadict(data, {}, NAME)
    with pytest.raises(FieldError) as caught:
        BLOCKS.clean(BLOCKS.from_form(form_field.clean(raw), field, world), field, world)
    assert [problem.pointer for problem in caught.value.problems] == ["/1/title"]
    again = controls(str(form_field.widget.render(NAME, raw)))
    assert again[f"{NAME}-0-title"] == "x" * 400
    assert again[f"{NAME}-1-inner-0-source"] == "**typed"
    assert (again[f"{NAME}-0-_order"], again[f"{NAME}-1-_order"], again[f"{NAME}-2-_component"]) == (
        "2",
        "1",
        str(named("hero")),
    )


def test_typed_html_is_shown_as_text():
    html = drawn(
        BLOCKS.form_field(make_field("blocks"), World()),
        [{"_component": str(named("hero")), str(named("hero.title")): '"><script>'}],
    )
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_references_keep_their_order_and_what_is_no_longer_offered():
    references, world = REGISTRY["references"], World()
    field = make_field("references")
    form_field = references.form_field(field, world)
    assert sent(form_field, [BOB, HIDDEN, ADA])[0] == [BOB, HIDDEN, ADA]
    assert sent(form_field, [BOB, ADA], **{"0-order": "5"}) == ([ADA, BOB], True)
    assert sent(form_field, [BOB, ADA], **{"0": ""}) == ([ADA], True)
    assert sent(form_field, [BOB], **{"1": ADA}) == ([BOB, ADA], True)


def test_a_choice_that_is_no_longer_offered_is_kept_in_the_form():
    field = make_field("choice")
    assert sent(REGISTRY["choice"].form_field(field, World()), "blue") == ("blue", False)
    assert sent(REGISTRY["choices"].form_field(make_field("choices"), World()), ["blue", "red"])[1] is False
