"""What a path says of a document, and what a value of its front matter means to a field."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from content.fields.base import FieldSpec
from content.importing.inference import slug_source
from content.importing.languages import language
from content.importing.sources import LocalePattern, PatternError
from content.importing.values import field_key, input_for, moment_of, name_and_handle, names_in


@pytest.mark.parametrize(
    ("pattern", "path", "taken"),
    [
        ("{locale}/**", "pt-br/about/index", ("pt-br", "about/index")),
        ("{locale}/**", "zh_TW/about", ("zh-TW", "about")),
        ("{locale}/**", "images/about", None),
        ("{locale}/**", "de", None),
        ("blog/{locale}/*", "blog/de/hallo", ("de", "blog/hallo")),
        ("blog/{locale}/*", "blog/de/mehr/hallo", None),
        ("**/*.{locale}.md", "blog/hallo.de", ("de", "blog/hallo")),
        ("**/*.{locale}", "hallo.de", ("de", "hallo")),
        ("**/*.{locale}", "hallo", None),
        ("content/{locale}/**/*", "content/de/a/b/c", ("de", "content/a/b/c")),
    ],
)
def test_a_pattern_tells_the_locale_and_what_is_the_same_in_all_of_them(pattern, path, taken):
    assert LocalePattern(pattern).take(path) == taken


@pytest.mark.parametrize(
    "pattern", ["", "**", "{locale}/{locale}", "{lang}/**", "{locale}/***", "{locale}" + "x" * 300]
)
def test_a_pattern_without_sense_is_refused(pattern):
    with pytest.raises(PatternError):
        LocalePattern(pattern)


@given(st.text(max_size=60))
def test_any_path_fits_a_pattern_or_does_not(path):
    for pattern in ("{locale}/**", "**/*.{locale}"):
        taken = LocalePattern(pattern).take(path)
        assert taken is None or taken[0].lower() in path.lower().replace("_", "-")


def test_an_index_is_named_by_its_folder():
    assert [slug_source(key) for key in ("index", "a/index", "a/b/README", "a/c.d")] == [
        "index",
        "a",
        "b",
        "c.d",
    ]


@pytest.mark.parametrize(
    ("code", "name", "direction"),
    [
        ("ar", "Arabic", "rtl"),
        ("pt-br", "Brazilian Portuguese", "ltr"),
        ("zh-cn", "Simplified Chinese", "ltr"),
        ("de-CH", "German (CH)", "ltr"),
    ],
)
def test_languages_are_known_by_name_and_direction(code, name, direction):
    found = language(code)
    assert (found.name, found.direction) == (name, direction)


def test_what_is_no_language_is_none():
    assert [language(code) for code in ("api", "xx", "src", "www")] == [None] * 4


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Ada Lovelace", ["Ada Lovelace"]),
        ("Ada Lovelace, Mary Somerville", ["Ada Lovelace", "Mary Somerville"]),
        ("Ada Lovelace and Mary Somerville", ["Ada Lovelace", "Mary Somerville"]),
        ("Ada Lovelace & Mary Somerville; Grace Hopper", ["Ada Lovelace", "Mary Somerville", "Grace Hopper"]),
        (
            "Ada Lovelace (@ada) & Mary Somerville (mary, m)",
            ["Ada Lovelace (@ada)", "Mary Somerville (mary, m)"],
        ),
        ("ada, Mary Somerville", ["ada", "Mary Somerville"]),  # known by itself
        ("Lovelace, Ada", ["Lovelace, Ada"]),
        ("Salt and Pepper", ["Salt and Pepper"]),
        ("Sam Miller, Jr. and Ada Lovelace", ["Sam Miller, Jr.", "Ada Lovelace"]),
        ("Gull & Lamp, Ltd", ["Gull & Lamp, Ltd"]),
        (["Ada Lovelace", "Ada Lovelace", "B"], ["Ada Lovelace", "B"]),
        ({"name": "Ada Lovelace", "url": "x"}, ["Ada Lovelace"]),
        ([{"name": "Ada"}, {"title": "Mary"}, 3, None, ""], ["Ada", "Mary"]),
        (3, []),
    ],
)
def test_several_authors_in_one_text_are_told_apart_where_it_is_safe(text, names):
    assert names_in(text, {"ada"}) == names


@given(st.text(max_size=80))
def test_names_lose_nothing_but_separators(text):
    found = names_in(text)
    assert all(name.strip() for name in found)
    assert sum(map(len, found)) <= len(text)


def test_what_stands_in_brackets_behind_a_name_is_a_handle():
    assert name_and_handle("Ada Lovelace (@ada)") == ("Ada Lovelace", "@ada")
    assert name_and_handle("(nobody)") == ("(nobody)", "")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2020-01-31", "2020-01-31T00:00:00+00:00"),
        ("2020-01-31T10:00:00.000Z", "2020-01-31T10:00:00+00:00"),
        ("2020-01-31 10:00", "2020-01-31T10:00:00+00:00"),
        ("2020-01-31 10:00:00 +0100", "2020-01-31T10:00:00+01:00"),
        ("2020-01-31 10:00:00 UTC", "2020-01-31T10:00:00+00:00"),
        ("2020-02-31", None),
        ("0001-01-01T00:00:00+10:00", None),
        ("yesterday", None),
        ("31.1.2020", None),
    ],
)
def test_days_and_times_as_site_generators_write_them(text, moment):
    found = moment_of(text)
    assert (found.isoformat() if found else None) == moment


@given(st.text(max_size=50))
def test_any_text_is_a_moment_or_not(text):
    moment = moment_of(text)
    assert moment is None or moment.tzinfo is not None


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("publishDate", "publish_date"),
        ("Über uns", "uber_uns"),
        ("日本", ""),
        ("_x", "x"),
        ("1st", "st"),
        ("a-b.c", "a_bc"),
    ],
)
def test_keys_of_the_front_matter_become_keys_of_fields(name, key):
    assert field_key(name) == key


@given(st.text(max_size=80))
def test_a_key_is_one_that_collections_take_or_nothing(name):
    key = field_key(name)
    assert key == "" or (key.isascii() and key[0].isalpha() and len(key) <= 41 and key == key.lower())


@pytest.mark.parametrize(
    ("type_key", "value", "taken"),
    [
        ("text", 12, "12"),
        ("text", True, "true"),
        ("tags", "a, b,,c", ["a", "b", "c"]),
        ("tags", ["a", 1], ["a", "1"]),
        ("date", "2020-01-31T23:00:00-05:00", "2020-01-31"),
        ("datetime", "2020-01-31", "2020-01-31T00:00:00Z"),
        ("datetime", "soon", "soon"),
        ("text", ["a"], ["a"]),
        ("text", "", None),
        ("json", {"a": [1]}, {"a": [1]}),
    ],
)
def test_a_value_becomes_what_the_field_takes_or_stays_for_it_to_refuse(type_key, value, taken):
    assert input_for(FieldSpec(uuid4(), "x", type_key), value) == taken
