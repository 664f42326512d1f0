"""Bad input: 4xx as problem+json that names the parameter or the pointer, never a 500, and nothing stored."""

import json
import time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.access import Operator
from tests.builders import Api, allow, anonymous, make_collection, make_entry, make_key
from tests.security.matrix import calls
from tests.security.world import (
    SAMPLES,
    SHOWN,
    Unchanged,
    World,
    assert_problem,
    hidden_key,
    make_world,
    types,
)

pytestmark = pytest.mark.django_db

SQL = (
    "'", "''", '"', "\\", "';--", "' OR '1'='1", "') OR 1=1--", ")--", "1; DROP TABLE content_entry", "%", "%%", "%s", "%(x)s", "{}", "{0}", "$1",
    "?", "?|", "@>", "::text", "||pg_sleep(3)||", "1 UNION SELECT password FROM accounts_user", "\\x00", "E'\\x41'", "$$x$$", "/*", "*/", "a:*", "a & b", "!a",
    "<->", "(", ")", "&|!()", "\t", "\r\n", "\u2028", "\u202e", "\ufeff", "\U0001f9e8", "𝕊", "İ", "ß", "NaN", "Infinity", "-0", "1e999999", "0x10", "1_000", "٣",
    "9" * 400, "-" * 300, "null", "true", "[]", "[1,2]", "\"", ",", ",,,", " ", "",
)  # fmt: skip
LISTS = ("/api/v1/content/articles", "/api/v1/manage/content/articles")


def names(answer: Any, key: str) -> list[str]:
    return [item.get(key, "") for item in assert_problem(answer, 400)["errors"]]


@pytest.mark.parametrize("base", LISTS)
def test_every_bad_parameter_is_named(base: str) -> None:
    world = make_world()
    root = world.apis["administrator"]
    foreign = root.get(f"{base}?limit=1&sort=-title").json()["meta"]["next_cursor"]
    bad = {
        "limit": ("0", "-1", "101", "1e9", "1000000000", "x", "", " 5", "5 ", "+5", "5.0", "٣", "0x5", "null", "True", "1" * 5000),
        "offset": ("-1", "10001", "x", "1e3", "", "²"),
        "cursor": (foreign, "x", "", "A" * 6000),
        "locale": ("xx", "", "EN", "en-", "*", "../en", "en'--", "%00", "en\u0130"),
        "count": ("", "yes", "EXACT", "1"),
        "search": ("", " ", "x" * 201),
        "sort": ("", "-", "--title", "title,", "title,title", "title,-title", "nope", "title desc", "title;", "a,b,c,d,e", "TITLE", "body.x", "_id", "data"),
        "fields": ("", ",", "nope", "title,", "title..x", ".title", "a.b.c.d", "TITLE", "*", "title.x", ",".join(["title"] * 61)),
        "expand": ("", "nope", "title", "parent.nope", "parent.parent.parent", "*", "_id", "peers,"),
    }  # fmt: skip
    for name, values in bad.items():
        for value in values:
            named = names(root.get(f"{base}?{name}={quote(value)}"), "parameter")
            assert named == [name], (name, value)
    filters = ("[nope][eq]", "[title][like]", "[title]", "[title][]", "[title][eq][x]", "[]", "[][eq]", "[title][__eq]", "[Title][eq]", "[title.x][eq]", "[rating.x][eq]",
               "[parent.nope][eq]", "[parent.title.x][eq]", "[peers.][eq]", "[rating][contains]", "[rating][starts_with]", "[_id][eq]", "[_version][eq]", "[slug ][eq]")  # fmt: skip
    for tail in filters:
        assert names(root.get(f"{base}?filter{quote(tail)}=1"), "parameter") == [f"filter{tail}"], tail
    values = (("rating", "eq", "x"), ("rating", "eq", "1.5x"), ("rating", "in", "1,x"), ("rating", "exists", "maybe"), ("rating", "exists", ""), ("title", "exists", "1"),
              ("parent", "eq", "not-an-id"), ("hidden_date", "eq", "2026-02-30"), ("hidden_date", "lt", "yesterday"), ("hidden_boolean", "eq", "maybe"),
              ("_published_at", "gt", "x"), ("_updated_at", "eq", ""), ("title", "in", ",".join("a" * 101)), ("title", "eq", "x" * 501))  # fmt: skip
    for field, operator, value in values:
        parameter = f"filter[{field}][{operator}]"
        assert names(root.get(f"{base}?{quote(parameter)}={quote(value)}"), "parameter") == [parameter]
    for query in (
        "filter[title][eq]=a&filter[title][eq]=b",
        "limit=1&limit=2",
        "fields=title&fields=slug",
        "offset=1&cursor=x",
    ):
        assert len(names(root.get(f"{base}?{query}"), "parameter")) == 1
    for path in (
        "nothing",
        "ARTICLES",
        "articles%00",
        "articles'--",
        "part",
        "..",
        "articles%2F",
        "%FF",
        "a" * 300,
    ):
        assert_problem(root.get(f"{base.rsplit('/', 1)[0]}/{path}"), 404)
    for entry in (
        "nothing",
        "00000000-0000-0000-0000-000000000000",
        "1",
        "'",
        "%00",
        "%FF%FE",
        "x" * 600,
        "{00000000-0000-0000-0000-000000000000}",
        "-1",
        "null",
    ):
        assert_problem(root.get(f"{base}/{entry}"), 404)


def test_no_text_breaks_a_filter_a_search_an_order_or_an_id() -> None:
    """The corpus on every filter of every operator, on search, sort, names and cursors: no 500, and no slow one."""
    world = make_world()
    root = world.apis["administrator"]
    for base in LISTS:
        for number, text in enumerate(SQL):
            quoted = quote(text)
            filterable = [
                *SHOWN,
                *(
                    hidden_key(key)
                    for key in ("text", "integer", "decimal", "boolean", "tags", "date", "reference")
                ),
            ]
            queries = []
            for shift, field in enumerate(
                filterable
            ):  # each text meets every field, by one operator after the other
                operator = list(Operator)[(number + shift) % len(Operator)]
                queries.append(
                    f"filter[{field}][{operator}]={quoted}{',x' if operator in ('in', 'nin') else ''}"
                )
            others = (f"search={quoted}", f"sort={quoted}", f"fields={quoted}", f"expand={quoted}", f"locale={quoted}", f"cursor={quoted}", f"filter[{quoted}][eq]=x",
                          f"filter[title][{quoted}]=x", f"{quoted}=x", f"filter[parent.title][starts_with]={quoted}", f"search={quoted}&sort=title")  # fmt: skip
            for query in (*queries[number % 4 :: 4], *others[number % 4 :: 4], others[0]):
                answer = root.get(f"{base}?{query}")
                assert answer.status_code in (200, 400), (query, answer.content)
            assert root.get(f"{base}/{quoted}").status_code in (200, 404)
    for text in (*SQL[::4], "\x00", "x\x00y"):
        quoted = quote(text, safe="")
        for path in ("collections", "locales", "roles", "policies", "users", "api-keys"):
            assert root.get(f"/api/v1/manage/{path}/{quoted}").status_code in (200, 404), (path, text)
        for name in ("type", "actor", "subject", "since", "cursor", "limit"):
            assert root.get(f"/api/v1/manage/audit?{name}={quoted}").status_code in (200, 400), (name, text)
        for path in ("users", "roles", "policies", "api-keys"):
            for name in ("cursor", "limit"):
                assert root.get(f"/api/v1/manage/{path}?{name}={quoted}").status_code == 400
    assert root.get("/api/v1/manage/content/articles").status_code == 200


BODIES = {
    "not json": b"{",
    "nothing": b"",
    "a text": b'"x"',
    "an array": b"[]",
    "null": b"null",
    "NaN": b'{"fields": {"rating": NaN}}',
    "infinity": b'{"fields": {"rating": -Infinity}}',
    "a huge number": b'{"fields": {"rating": 1e999}}',
    "a long number": b'{"fields": {"rating": ' + b"9" * 5000 + b"}}",
    "a key twice": b'{"fields": {"title": "a", "title": "b"}}',
    "a member twice": b'{"fields": {"title": "a"}, "fields": {"title": "b"}}',
    "NUL escaped": b'{"fields": {"title": "a\\u0000b"}}',
    "NUL in a key": b'{"fields": {"a\\u0000b": "x"}}',
    "NUL raw": b'{"fields": {"title": "a\x00b"}}',
    "a lone surrogate": b'{"fields": {"title": "\\ud800"}}',
    "broken UTF-8": b'{"fields": {"title": "\xff\xfe"}}',
    "UTF-16": '{"fields": {"title": "x"}}'.encode("utf-16"),
    "UTF-8 with a mark": b'\xef\xbb\xbf{"fields": {"title": "x"}}',
    "too deep": b'{"fields": {"hidden_json": ' + b"[" * 50 + b"]" * 50 + b"}}",
    "too deep objects": b'{"a":' * 50 + b"1" + b"}" * 50,
    "much too deep": b"[" * 100_000,
    "trailing bytes": b'{"fields": {"title": "x"}} {}',
    "a comment": b'{"fields": {"title": "x"} /* x */}',
    "unknown members": b'{"fields": {"title": "x"}, "extra": 1}',
    "unknown fields": b'{"fields": {"title": "x", "nope": 1}}',
    "fields as text": b'{"fields": "x"}',
    "fields as list": b'{"fields": ["x"]}',
    "no fields": b'{"locale": "en"}',
    "an unknown locale": b'{"fields": {"title": "x"}, "locale": "zz"}',
    "a locale of another type": b'{"fields": {"title": "x"}, "locale": ["en"]}',
    "a message of another type": b'{"fields": {"title": "x"}, "message": {}}',
    "a long message": b'{"fields": {"title": "x"}, "message": "' + b"m" * 301 + b'"}',
    "a message with control characters": b'{"fields": {"title": "x"}, "message": "a\\u001bb"}',
}


def test_a_bad_body_is_refused_by_every_write_and_stores_nothing() -> None:
    world = make_world()
    root = world.apis["administrator"]
    for call in calls(world):
        if call.method not in ("POST", "PATCH") or call.route.endswith(
            ("csp-reports", "v1/forms/<str:form>")
        ):
            continue  # of other media types, from strangers, who are slowed down: refused by tests of their own
        takes_content = "content/" in call.route and "fields" in (call.body or {})
        with Unchanged(call):
            for about, body in BODIES.items():
                if about == "nothing" and (call.body == {} or call.method == "PATCH"):
                    continue  # no body is an empty one
                answer = raw(root, call.method, f"/{call.path}", body, **call.headers)
                problem = assert_problem(answer, 400)
                assert problem["detail"], about
                assert all("pointer" in item for item in problem.get("errors", [])), about
                if takes_content and about in (
                    "unknown members",
                    "unknown fields",
                    "no fields",
                    "a key twice",
                    "an unknown locale",
                ):
                    assert problem["errors"][0]["pointer"] not in ("", None), about
            for kind in (
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
                "application/xml",
                "application/json; charset=latin-1",
                "*/*",
                "x",
            ):
                assert_problem(
                    raw(root, call.method, f"/{call.path}", b'{"a": 1}', kind, **call.headers), 400, 415
                )
            large = b'{"fields": {"title": "' + b"x" * (2 * 1024 * 1024) + b'"}}'
            assert_problem(raw(root, call.method, f"/{call.path}", large, **call.headers), 413)
        for method in ("PUT", "TRACE", "PROPFIND", "LINK"):
            assert_problem(raw(root, method, f"/{call.path}", b"{}"), 405)


def raw(api: Api, method: str, path: str, body: bytes, kind: str = "application/json", **headers: str) -> Any:
    return api.client.generic(
        method, path, body, content_type=kind, headers={"Authorization": f"Bearer {api.key}", **headers}
    )


def test_the_delivery_plane_takes_no_body_and_no_other_method() -> None:
    make_collection()
    allow("public", collection="articles")
    entry = make_entry()
    client = anonymous().client
    for path in ("/api/v1/content/articles", f"/api/v1/content/articles/{entry.pk}"):
        plain = client.get(path)
        assert plain.status_code == 200
        assert client.head(path).status_code == 200
        for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"):
            with Unchanged(method):
                assert_problem(client.generic(method, path, b"{}", content_type="application/json"), 405)
        fat = client.generic(
            "GET", path, b'{"filter": {"title": {"eq": "x"}}}', content_type="application/json"
        )
        assert fat.content == plain.content
        assert_problem(client.get(path + "/"), 404)


WRONG = (None, True, False, 0, -1, 1.5, 10**40, "", "x" * 200_000, "\u202ex", "a\nb", [], [None], [[]], ["x"] * 600, {}, {"x": 1}, {"_id": 1}, {"_id": "x", "y": 1}, [{"_component": "nope"}],
         [{"_component": ["part"]}], [{"_component": "part", "nope": 1}], {"lat": 91, "lng": 0}, {"lat": "x", "lng": None}, {"lat": 1}, {"text": {"a": 1}}, [{"text": 1}], "2026-13-01", "24:00",
         "javascript:alert(1)", "https://", "http://a\nb", "user@", "a@b\r\nBcc: c@d", "#12", "<script>")  # fmt: skip


def test_no_value_of_any_type_is_a_500_and_what_is_refused_is_not_stored() -> None:
    world = make_world()
    root, path = world.apis["administrator"], f"/api/v1/manage/content/articles/{world.shown.pk}"
    version, stored = 1, 0
    for type_key in types():
        key = hidden_key(type_key)
        is_nested = type_key in ("component", "components", "blocks", "json", "geo_point", "references")
        for value in WRONG if is_nested else WRONG[::2]:
            answer = root.patch(path, {"fields": {key: value}}, **{"If-Match": f'"{version}"'})
            assert answer.status_code in (200, 400), (type_key, value, answer.content)
            if answer.status_code == 400:
                problem = assert_problem(answer, 400)
                assert all(item["pointer"].startswith(f"/{key}") for item in problem["errors"]), (
                    type_key,
                    value,
                )
            else:
                version = answer.json()["_version"]
                stored += 1
    now = root.get(path).json()
    assert now["_version"] == version > 1
    assert root.post(f"{path}/publish").status_code in (200, 400)


LINES = ("\r", "\n", "\r\n", "\t", "\x0b", "\x1f", "\x7f", "\u2028", "\u0085", "\u200b")


def test_no_line_end_or_control_character_gets_into_a_line() -> None:
    """It would travel into a header or a mail one day (CVE-2026-53878)."""
    world = make_world()
    for type_key in ("url", "email", "slug", "text", "color", "choice", "date", "datetime"):
        stays_one_line(world, make_entry("articles", title=f"For {type_key}").pk, type_key)


def stays_one_line(world: World, pk: object, type_key: str) -> None:
    root, path = world.apis["administrator"], f"/api/v1/manage/content/articles/{pk}"
    good = SAMPLES[type_key].value(world) if type_key != "slug" else "another-slug"
    assert (
        root.patch(path, {"fields": {hidden_key(type_key): good}}, **{"If-Match": '"1"'}).status_code == 200
    )
    for line in LINES[:7]:
        for value in (f"{good}{line}x", f"{good[:4]}{line}{good[4:]}"):
            with Unchanged(repr(value)):
                assert_problem(
                    root.patch(path, {"fields": {hidden_key(type_key): value}}, **{"If-Match": '"2"'}), 400
                )
    for line in LINES if type_key != "text" else LINES[:-1]:  # zero-width characters belong to some scripts
        for value in (f"{good}{line}", f"{line}{good}"):
            answer = root.patch(path, {"fields": {hidden_key(type_key): value}}, **{"If-Match": '"2"'})
            assert answer.status_code in (200, 400)
            if answer.status_code == 200:  # trimmed, and so nothing new
                assert answer.json()["_version"] == 2, repr(value)


def test_line_ends_in_addresses_names_and_keys_of_accounts_are_refused() -> None:
    world = make_world()
    root = world.apis["administrator"]
    for line in ("\r", "\n", "\r\nBcc: x@example.com", "\t", "\x00"):
        with Unchanged(repr(line)):
            assert_problem(root.post("/api/v1/manage/users", {"email": f"a{line}b@example.com"}), 400)
            assert_problem(root.post("/api/v1/manage/users", {"email": f"a@exa{line}mple.com"}), 400)
            assert_problem(root.post("/api/v1/manage/roles", {"key": f"a{line}b", "name": "x"}), 400)
            assert_problem(
                root.post("/api/v1/manage/collections", {"key": "ab\n", "name": "x", "fields": []}), 400
            )
            assert_problem(root.post("/api/v1/manage/locales", {"code": "de\n", "name": "x"}), 400)


SCHEMAS = [
    ({"key": "title"}, "/name"), ({"key": "x", "name": "X", "kind": "table"}, "/kind"), ({"key": "X", "name": "X"}, "/key"), ({"key": "_x", "name": "X"}, "/key"),
    ({"key": "a" * 42, "name": "X"}, "/key"), ({"key": "a-b", "name": "X"}, "/key"), ({"key": "articles", "name": "X"}, "/key"), ({"key": "x", "name": ""}, "/name"),
    ({"key": 1, "name": "X"}, "/key"), ({"key": "x", "name": "X", "fields": {}}, "/fields"), ({"key": "x", "name": "X", "fields": ["a"]}, "/fields"),
    ({"key": "x", "name": "X", "localized": "yes"}, "/localized"), ({"key": "x", "name": "X", "fields": [{}] * 101}, "/fields"),
]  # fmt: skip
FIELDS: list[tuple[list[dict[str, Any]], str]] = [
    ([{"key": "a", "type": "text"}, {"key": "a", "type": "text"}], "/fields/1/key"),
    ([{"key": "_id", "type": "text"}], "/fields/0/key"),
    ([{"key": "a__b" * 20, "type": "text"}], "/fields/0/key"),
    ([{"key": "a", "type": "password"}], "/fields/0/type"),
    ([{"key": "a", "type": ["text"]}], "/fields/0/type"),
    ([{"key": "a", "type": "text", "options": {"pattern": "^(a+)+$"}}], "/fields/0/options/pattern"),
    ([{"key": "a", "type": "text", "options": {"pattern": ["x"]}}], "/fields/0/options/pattern"),
    ([{"key": "a", "type": "text", "options": {"regex": ".*"}}], "/fields/0/options/regex"),
    ([{"key": "a", "type": "text", "options": {"max_length": -1}}], "/fields/0/options/max_length"),
    ([{"key": "a", "type": "text", "options": {"max_length": 10**9}}], "/fields/0/options/max_length"),
    ([{"key": "a", "type": "text", "options": "x"}], "/fields/0/options"),
    ([{"key": "a", "type": "json", "options": {"schema": {"type": "nonsense"}}}], "/fields/0/options/schema"),
    ([{"key": "a", "type": "json", "options": {"schema": {"$ref": "https://example.com/x"}}}], "/fields/0/options/schema"),
    ([{"key": "a", "type": "json", "options": {"schema": {"$ref": "file:///etc/passwd"}}}], "/fields/0/options/schema"),
    ([{"key": "a", "type": "json", "options": {"schema": {"pattern": "(a)\\1"}}}], "/fields/0/options/schema"),
    ([{"key": "a", "type": "json", "options": {"schema": {"pattern": "(?=a)b"}}}], "/fields/0/options/schema"),
    ([{"key": "a", "type": "json", "options": {"schema": {"pattern": "((x{1000}){1000}){1000}"}}}], "/fields/0/options/schema"),
    ([{"key": "a", "type": "json", "options": {"schema": {"pattern": "("}}}], "/fields/0/options/schema"),
    ([{"key": "a", "type": "choice", "options": {"choices": []}}], "/fields/0/options"),
    ([{"key": "a", "type": "reference", "options": {"collections": ["nope"]}}], "/fields/0/options"),
    ([{"key": "a", "type": "reference"}], "/fields/0/options"),
    ([{"key": "a", "type": "component", "options": {"components": ["articles"]}}], "/fields/0/options"),
    ([{"key": "a", "type": "text", "default": 5}], "/fields/0/default"),
    ([{"key": "a", "type": "text", "data_class": "top"}], "/fields/0/data_class"),
    ([{"key": "a", "type": "text", "condition": {"field": "a", "operator": "eq", "value": 1}}], "/fields/0/condition"),
    ([{"key": "a", "type": "text", "condition": {"field": "b", "operator": "eq", "value": 1}}, {"key": "b", "type": "text", "condition": {"field": "a", "operator": "eq", "value": 1}}], "/fields/1/condition"),
    ([{"key": "a", "type": "text", "is_admin": True}], "/fields/0/is_admin"),
    ([{"key": "a", "type": "long_text", "filterable": True}], "/fields/0/filterable"),
    ([{"key": f"f{n}", "type": "integer", "filterable": True} for n in range(13)], "/fields/12/filterable"),
    ([{"id": "00000000-0000-0000-0000-000000000000", "key": "a", "type": "text"}], "/fields/0/id"),
]  # fmt: skip


def test_a_bad_schema_is_refused_where_it_was_typed() -> None:
    world = make_world()
    root, path = world.apis["administrator"], "/api/v1/manage/collections"
    known = [
        {"id": item["id"], "key": item["key"], "type": item["type"]}
        for item in root.get(f"{path}/vault").json()["fields"]
    ]
    cases = [
        *SCHEMAS,
        *(({"key": "x", "name": "X", "fields": fields}, pointer) for fields, pointer in FIELDS),
    ]
    with Unchanged("schemas"):
        for body, pointer in cases:
            named = names(root.post(path, body), "pointer")
            assert any(item.startswith(pointer) for item in named), (body, named)
        for fields, pointer in FIELDS:
            if "filterable" in pointer:
                continue
            moved = pointer.replace("/fields/", "", 1).split("/", 1)
            at = f"/fields/{int(moved[0]) + len(known)}/{moved[1]}"
            named = names(root.patch(f"{path}/vault", {"fields": [*known, *fields]}), "pointer")
            assert any(item.startswith(at) for item in named), (fields, named)


def test_a_component_can_not_hold_itself() -> None:
    root, path = make_key(role="administrator"), "/api/v1/manage/collections"
    for key in ("one", "two", "three"):
        assert (
            root.post(
                path, {"key": key, "name": key, "kind": "component", "fields": [{"key": "t", "type": "text"}]}
            ).status_code
            == 201
        )

    def holding(*keys: str) -> dict[str, Any]:
        return {
            "fields": [
                {"key": "t", "type": "text"},
                {"key": "b", "type": "blocks", "options": {"components": list(keys)}},
            ]
        }

    assert root.patch(f"{path}/one", holding("two")).status_code == 200
    assert root.patch(f"{path}/two", holding("three")).status_code == 200
    with Unchanged("circles"):
        for key in ("one", "two", "three"):
            named = names(root.patch(f"{path}/three", holding(key)), "pointer")
            assert named[0].startswith("/fields/1/options/components")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["key", "type", "options", "_id", "fields", "x", "filter"]) | st.text(max_size=5),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


def test_generated_bodies_never_break_a_write() -> None:
    world = make_world()
    root = world.apis["administrator"]
    writes = [call for call in calls(world) if call.method in ("POST", "PATCH") and call.body]

    @settings(
        max_examples=150,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(st.sampled_from(writes), st.data())
    def send(call: Any, data: Any) -> None:
        body = dict(call.body)
        for name in data.draw(st.lists(st.sampled_from(sorted(body)), min_size=1, max_size=2)):
            body[name] = data.draw(json_values)
        answer = root.request(call.method, f"/{call.path}", json.loads(json.dumps(body)), **call.headers)
        assert answer.status_code < 500, (call, body, answer.content)

    send()


def test_a_pattern_that_would_explode_elsewhere_is_matched_in_linear_time() -> None:
    """Patterns of a JSON Schema run in an engine without backtracking; what needs it is refused above."""
    root = make_key(role="administrator")
    options = {"schema": {"type": "string", "pattern": "^(a+)+$"}}
    made = {
        "key": "things",
        "name": "Things",
        "fields": [{"key": "data", "type": "json", "options": options}],
    }
    assert root.post("/api/v1/manage/collections", made).status_code == 201
    started = time.perf_counter()
    with Unchanged("a slow value"):
        assert_problem(
            root.post("/api/v1/manage/content/things", {"fields": {"data": "a" * 20_000 + "!"}}), 400
        )
    assert time.perf_counter() - started < 2
    assert root.post("/api/v1/manage/content/things", {"fields": {"data": "aaa"}}).status_code == 201
