"""What keeps lists quick: statistics and indexes of filterable fields, and statements that are put together once."""

import pytest
from django.db import connections

from content import indexing, modeling
from tests.builders import ROOT, allow, anonymous, make_collection, make_entry, make_key, make_role

pytestmark = pytest.mark.django_db

FIELDS = [
    {"key": "title", "type": "text", "filterable": True},
    {
        "key": "mood",
        "type": "choice",
        "filterable": True,
        "options": {"choices": [{"value": "calm", "label": "Calm"}, {"value": "wild", "label": "Wild"}]},
    },
    {
        "key": "parent",
        "type": "reference",
        "filterable": True,
        "options": {"collections": ["things"]},
    },
]
THINGS = "/api/v1/content/things"


def names_like(catalog, column, pattern):
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {catalog} WHERE {column} ~ %s", [pattern])
        return {name for (name,) in cursor.fetchall()}


def titles(path, api=None):
    answer = (api or anonymous()).get(path)
    assert answer.status_code == 200, answer.content
    return [item["title"] for item in answer.json()["data"]]


def test_statistics_and_the_index_by_time_come_and_go_with_the_filterable_field():
    spec = make_collection("things", FIELDS)
    indexing.work_through()
    title, mood = (spec.by_key[key].id.hex for key in ("title", "mood"))
    assert {f"fs_p_{title}", f"fs_d_{title}", f"fs_p_{mood}", f"fs_d_{mood}"} <= names_like(
        "pg_statistic_ext", "stxname", "^fs_"
    )
    indexes = names_like("pg_indexes", "indexname", "^fx_")
    assert f"fx_t_{mood}" in indexes
    assert f"fx_t_{title}" not in indexes
    plain = [{**item, "filterable": False} for item in FIELDS]
    modeling.change_collection(spec.id, {"fields": plain}, by=ROOT, confirm=True)
    indexing.work_through()
    left = names_like("pg_statistic_ext", "stxname", "^fs_") | names_like("pg_indexes", "indexname", "^fx_")
    assert not [name for name in left if title in name or mood in name]


def test_a_list_that_was_put_together_for_one_reader_is_not_shown_to_another():
    make_collection("things", FIELDS)
    make_role("calm", {"collection": "things", "filter": {"mood": {"eq": "calm"}}})
    make_role("titled", {"collection": "things", "fields": ("title",)})
    make_entry("things", title="Calm", mood="calm")
    make_entry("things", title="Wild", mood="wild")
    calm, titled = make_key(role="calm"), make_key(role="titled")
    for _ in range(2):
        assert titles(THINGS, calm) == ["Calm"]
        assert titles(THINGS, titled) == ["Wild", "Calm"]
        assert set(titled.get(f"{THINGS}?limit=1").json()["data"][0]) >= {"title"}
        assert "mood" not in titled.get(f"{THINGS}?limit=1").json()["data"][0]
        assert anonymous().get(THINGS).status_code == 404
    allow("calm", collection="things", filter={"mood": {"eq": "wild"}})
    assert titles(f"{THINGS}?sort=title", calm) == ["Calm", "Wild"]


def test_a_filter_through_a_reference_asks_for_the_targets_first(django_assert_num_queries):
    make_collection("things", FIELDS)
    allow("public", collection="things")
    first, other = make_entry("things", title="First"), make_entry("things", title="Other")
    make_entry("things", title="Child of first", parent=str(first.pk))
    make_entry("things", title="Child of other", parent=str(other.pk))
    make_entry("things", title="Younger child of first", parent=str(first.pk))
    path = f"{THINGS}?filter[parent.title][eq]=First"
    assert titles(path) == ["Younger child of first", "Child of first"]
    with django_assert_num_queries(3, connection=connections["delivery"]):
        anonymous().get(path)
    assert titles(f"{THINGS}?filter[parent.title][eq]=Nobody") == []
    assert titles(f"{THINGS}?filter[parent.title][in]=First,Other&limit=1") == ["Younger child of first"]
    assert titles(f"{path}&sort=title") == ["Child of first", "Younger child of first"]
    counted = anonymous().get(f"{path}&count=exact&limit=1").json()
    assert counted["meta"]["total"] == 2
