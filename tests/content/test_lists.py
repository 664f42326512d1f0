"""Lists: filters, order, pages, search and counts, on published documents and drafts."""

import json

import pytest

from content import indexing
from content.models import PublishedDocument
from tests.builders import (
    administrator,
    allow,
    anonymous,
    make_collection,
    make_entry,
    make_key,
    make_role,
)

pytestmark = pytest.mark.django_db

FIELDS = [
    {"key": "title", "type": "text", "filterable": True},
    {"key": "slug", "type": "slug", "options": {"from": "title"}},
    {"key": "rating", "type": "integer", "filterable": True},
    {"key": "price", "type": "decimal", "filterable": True},
    {"key": "is_new", "type": "boolean", "filterable": True},
    {"key": "on", "type": "date", "filterable": True},
    {
        "key": "mood",
        "type": "choice",
        "filterable": True,
        "options": {"choices": [{"value": "calm", "label": "Calm"}, {"value": "wild", "label": "Wild"}]},
    },
    {"key": "tags", "type": "tags", "filterable": True},
    {"key": "parent", "type": "reference", "filterable": True, "options": {"collections": ["things"]}},
    {"key": "others", "type": "references", "options": {"collections": ["things"]}},
    {"key": "text", "type": "long_text"},
]
THINGS = "/api/v1/content/things"


def titles(path, api=None):
    answer = (api or anonymous()).get(path)
    assert answer.status_code == 200, answer.content
    return [item["title"] for item in answer.json()["data"]]


@pytest.fixture
def things():
    make_collection("things", FIELDS)
    allow("public", collection="things")
    a = make_entry(
        "things",
        title="Alpha",
        rating=5,
        price="9.50",
        is_new=True,
        on="2026-01-02",
        mood="calm",
        tags=["red", "blue"],
    )
    b = make_entry(
        "things",
        title="Beta",
        rating=10,
        price="10",
        is_new=False,
        on="2026-02-01",
        mood="wild",
        tags=["red"],
        parent=str(a.pk),
    )
    c = make_entry(
        "things", title="Gamma", others=[str(a.pk), str(b.pk)], text="The quick brown foxes jumped"
    )
    return a, b, c


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filter[title][eq]=Beta", ["Beta"]),
        ("filter[title][ne]=Beta", ["Alpha", "Gamma"]),
        ("filter[title][in]=Alpha,Gamma", ["Alpha", "Gamma"]),
        ("filter[title][nin]=Alpha,Gamma", ["Beta"]),
        ("filter[title][gte]=Beta", ["Beta", "Gamma"]),
        ("filter[title][contains]=amm", ["Gamma"]),
        ("filter[title][starts_with]=Al", ["Alpha"]),
        ("filter[rating][gt]=5", ["Beta"]),
        ("filter[rating][lte]=10", ["Alpha", "Beta"]),
        ("filter[rating][exists]=false", ["Gamma"]),
        ("filter[rating][ne]=5", ["Beta", "Gamma"]),
        ("filter[price][lt]=9.75", ["Alpha"]),
        ("filter[price][eq]=10.00", ["Beta"]),
        ("filter[is_new][eq]=true", ["Alpha"]),
        ("filter[on][gte]=2026-01-15", ["Beta"]),
        ("filter[mood][in]=calm,wild", ["Alpha", "Beta"]),
        ("filter[tags][eq]=red", ["Alpha", "Beta"]),
        ("filter[tags][in]=blue,green", ["Alpha"]),
        ("filter[tags][ne]=blue", ["Beta", "Gamma"]),
        ("filter[tags][exists]=true", ["Alpha", "Beta"]),
        ("filter[parent][exists]=true", ["Beta"]),
        ("filter[parent.title][eq]=Alpha", ["Beta"]),
        ("filter[parent.slug][eq]=beta", []),
        ("filter[others.title][eq]=Beta", ["Gamma"]),
        ("filter[others.rating][gte]=5", ["Gamma"]),
        ("filter[_published_at][gte]=2020-01-01T00:00:00Z", ["Alpha", "Beta", "Gamma"]),
        ("filter[_published_at][lt]=2020-01-01T00:00:00Z", []),
        ("filter[title][eq]=Alpha&filter[rating][eq]=10", []),
    ],
)
def test_filters(things, query, expected):
    assert titles(f"{THINGS}?{query}&sort=title") == expected
    assert titles(f"/api/v1/manage/content/things?{query}&sort=title", administrator()) == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("title", ["Alpha", "Beta", "Gamma"]),
        ("-title", ["Gamma", "Beta", "Alpha"]),
        ("rating", ["Alpha", "Beta", "Gamma"]),
        ("-rating", ["Gamma", "Beta", "Alpha"]),
        ("price,-title", ["Alpha", "Beta", "Gamma"]),
        ("-_published_at", ["Gamma", "Beta", "Alpha"]),
        ("_updated_at", ["Alpha", "Beta", "Gamma"]),
    ],
)
def test_order(things, sort, expected):
    assert titles(f"{THINGS}?sort={sort}") == expected


def test_search_finds_words_and_ranks_titles_first(things):
    make_entry("things", title="The fox")
    assert titles(f"{THINGS}?search=fox") == ["The fox", "Gamma"]
    assert titles(f"{THINGS}?search=quick+foxes") == ["Gamma"]
    assert titles(f"{THINGS}?search=%22brown+fox%22") == ["Gamma"]
    assert titles(f"{THINGS}?search=%22quick+fox%22") == []
    assert titles(f"{THINGS}?search=fox&sort=title") == ["Gamma", "The fox"]


@pytest.mark.parametrize(
    "sort", ["rating", "-rating", "rating,-title", "-rating,title", "-_published_at", "title", "mood,-price"]
)
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_cursors_neither_skip_nor_repeat(sort, limit):
    make_collection("things", FIELDS)
    allow("public", collection="things")
    for number in range(9):
        values = {"title": f"T{number % 4}"}
        if number % 3:
            values["rating"] = number % 2
        if number % 2:
            values["mood"] = "calm"
        make_entry("things", **values)
    everything = [item["_id"] for item in anonymous().get(f"{THINGS}?sort={sort}&limit=100").json()["data"]]
    seen, cursor = [], None
    while True:
        page = (
            anonymous()
            .get(f"{THINGS}?sort={sort}&limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
            .json()
        )
        seen += [item["_id"] for item in page["data"]]
        cursor = page["meta"]["next_cursor"]
        if cursor is None:
            break
    assert seen == everything
    assert len(set(seen)) == 9


def test_a_cursor_is_of_one_query_and_one_grant(things):
    make_role("reader", {"collection": "things", "filter": {"rating": {"gt": 1}}})
    cursor = anonymous().get(f"{THINGS}?limit=1").json()["meta"]["next_cursor"]
    assert anonymous().get(f"{THINGS}?limit=2&cursor={cursor}").status_code == 200
    assert anonymous().get(f"{THINGS}?limit=1&sort=title&cursor={cursor}").status_code == 400
    assert make_key(role="reader").get(f"{THINGS}?limit=1&cursor={cursor}").status_code == 400
    assert anonymous().get(f"{THINGS}?limit=1&cursor={cursor[:-3]}AAA").status_code == 400


def test_expand_and_fields(things):
    a, b, _ = things
    read = anonymous().get(f"{THINGS}/gamma?expand=others.parent&fields=title,others").json()
    assert set(read) == {
        "_id",
        "_collection",
        "_locale",
        "_version",
        "_published_at",
        "_updated_at",
        "title",
        "others",
    }
    assert [item["title"] for item in read["others"]] == ["Alpha", "Beta"]
    assert read["others"][1]["parent"]["title"] == "Alpha"
    assert read["others"][1]["others"] is None or read["others"][1]["others"] == []
    named = anonymous().get(f"{THINGS}/gamma?fields=others.title").json()
    assert [item["title"] for item in named["others"]] == ["Alpha", "Beta"]
    assert "rating" not in named["others"][0]
    plain = anonymous().get(f"{THINGS}/gamma").json()
    assert plain["others"] == [
        {"_id": str(a.pk), "_collection": "things"},
        {"_id": str(b.pk), "_collection": "things"},
    ]


def test_a_field_of_some_rows_filters_only_those_rows():
    make_collection("things", FIELDS)
    make_role(
        "halves",
        {"collection": "things", "filter": {"mood": {"eq": "calm"}}, "fields": ("title", "mood")},
        {"collection": "things", "filter": {"mood": {"eq": "wild"}}, "fields": ("title", "mood", "rating")},
    )
    make_entry("things", title="Calm", mood="calm", rating=1)
    make_entry("things", title="Wild", mood="wild", rating=1)
    api = make_key(role="halves")
    shown = {item["title"]: item for item in api.get(f"{THINGS}?sort=title").json()["data"]}
    assert "rating" not in shown["Calm"]
    assert shown["Wild"]["rating"] == 1
    assert titles(f"{THINGS}?filter[rating][eq]=1", api) == ["Wild"]
    assert titles(f"{THINGS}?sort=rating", api) == ["Wild"]


def test_the_number_of_queries_does_not_grow_with_the_page(things, django_assert_max_num_queries):
    for number in range(30):
        make_entry("things", title=f"N{number}", parent=str(things[0].pk))
    api = anonymous()
    api.get(THINGS)
    key = make_key(role="administrator")
    key.get(THINGS)
    for client, using in ((api, "delivery"), (key, "delivery")):
        for limit in (1, 30):
            from django.db import connections

            with django_assert_max_num_queries(3, connection=connections[using]) as captured:
                assert client.get(f"{THINGS}?limit={limit}&expand=parent").status_code == 200
            assert len(captured.captured_queries) == 2
        with django_assert_max_num_queries(2, connection=connections[using]):
            assert client.get(f"{THINGS}/alpha?expand=parent").status_code == 200


def test_filterable_fields_are_indexed_and_the_index_is_used(things):
    assert indexing.work_through() >= 8
    from django.db import connections

    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'fx%'")
        assert cursor.fetchone()[0] >= 16
        cursor.execute("SET enable_seqscan = off")
    from accounts.access import Operator
    from content.rows import compare_field
    from content.schema import current

    spec = current().by_key["things"]
    found = PublishedDocument.objects.using("owner").filter(
        compare_field(spec.by_key["rating"], Operator.EQ, 5), collection_id=spec.id, locale="en"
    )
    assert f"fx_p_{spec.by_key['rating'].id.hex}" in found.explain()
    with connections["owner"].cursor() as cursor:
        cursor.execute("RESET enable_seqscan")


def test_conditional_requests(things):
    first = anonymous().get(THINGS)
    assert first["Cache-Control"] == "public, no-cache"
    again = anonymous().get(THINGS, **{"If-None-Match": first["ETag"]})
    assert again.status_code == 304
    assert "Content-Length" not in again.headers
    assert again.content == b""
    assert first["Cache-Tag"].startswith("things,")
    make_entry("things", title="New")
    assert anonymous().get(THINGS, **{"If-None-Match": first["ETag"]}).status_code == 200


def test_unknown_names_are_refused_by_name(things):
    for query, parameter in [
        ("filter[nope][eq]=1", "filter[nope][eq]"),
        ("filter[text][eq]=1", "filter[text][eq]"),
        ("filter[title][like]=1", "filter[title][like]"),
        ("sort=nope", "sort"),
        ("sort=tags", "sort"),
        ("fields=nope", "fields"),
        ("expand=title", "expand"),
        ("limit=0", "limit"),
        ("limit=1e9", "limit"),
        ("offset=-1", "offset"),
        ("cursor=abc", "cursor"),
        ("locale=xx", "locale"),
        ("depth=1", "depth"),
        ("limit=1&limit=2", "limit"),
        ("filter[rating][eq]=1e999999", "filter[rating][eq]"),
        ("filter[on][eq]=yesterday", "filter[on][eq]"),
        ("count=1", "count"),
    ]:
        answer = anonymous().get(f"{THINGS}?{query}")
        assert answer.status_code == 400, query
        assert answer["Content-Type"] == "application/problem+json"
        assert json.loads(answer.content)["errors"][0]["parameter"] == parameter
