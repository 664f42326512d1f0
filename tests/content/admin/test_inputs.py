"""What inputs ask the server while somebody types, and what it refuses to tell."""

from typing import Any

import pytest
from django.test import Client

from accounts.limits import Policy
from tests.builders import make_collection, make_entry
from tests.content.admin.conftest import SignIn

pytestmark = pytest.mark.django_db

CANARY = '"><img src=x onerror=alert(1)>'
FIELDS: list[dict[str, Any]] = [
    {"key": "title", "type": "text", "localized": False},
    {"key": "slug", "type": "slug", "options": {"from": "title"}},
    {"key": "words", "type": "tags"},
    {"key": "body", "type": "markdown"},
    {"key": "at", "type": "datetime"},
]


@pytest.fixture
def notes(_django_db_helper: None) -> None:
    make_collection("notes", FIELDS)


def ask(browser: Client, what: str, **data: str) -> Any:
    return browser.post(f"/admin/content/notes/{what}/", data)


def test_a_slug_is_made_by_the_rule_of_saving_and_told_free(notes: None, ada: Client) -> None:
    taken = make_entry("notes", title="Straße nach Łódź")
    data = {"field": "slug", "text": f"Straße nach Łódź {CANARY}"}
    assert ask(ada, "slug", **data).json()["slug"] == "strasse-nach-lodz-img-srcx-onerroralert1"
    found = ask(ada, "slug", field="slug", text="Straße nach Łódź").json()
    assert found == {"slug": "strasse-nach-lodz-2", "is_taken": True, "public": ""}
    own = ask(ada, "slug", field="slug", text="strasse-nach-lodz", typed="1", entry=str(taken.pk)).json()
    assert own["is_taken"] is False
    assert ask(ada, "slug", field="slug", text="مرحبا").json()["slug"] == ""
    assert ask(ada, "slug", field="slug", text="e" + "\u0301" * 500).json()["slug"] == ""
    assert ada.get("/admin/content/notes/slug/?field=slug&text=x").status_code == 405


def test_the_public_slug_is_told_to_who_may_read_it(notes: None, ada: Client, as_somebody: SignIn) -> None:
    entry = make_entry("notes", title="Old")
    data = {"field": "slug", "text": "new", "typed": "1", "entry": str(entry.pk)}
    assert ask(ada, "slug", **data).json()["public"] == "old"
    blind = {"collection": "notes", "actions": ("read_draft",), "fields": ("title",)}
    writes = {"collection": "notes", "actions": ("update",), "fields": ("slug",)}
    assert ask(as_somebody("walter", blind, writes), "slug", **data).json()["public"] == ""


def test_a_slug_is_nothing_to_ask_about_for_who_may_not_write_it(notes: None, as_somebody: SignIn) -> None:
    entry = make_entry("notes", title="Old")
    can = as_somebody("edith", {"collection": "notes", "actions": ("read_draft", "create", "update")})
    reads = {"collection": "notes", "actions": ("read_draft",)}
    writes = {"collection": "notes", "actions": ("create", "update"), "fields": ("title",)}
    cannot = as_somebody("walter", reads, writes)
    outside = as_somebody("mallory")
    for data in ({"field": "slug", "text": "old"}, {"field": "slug", "text": "old", "entry": str(entry.pk)}):
        assert ask(can, "slug", **data).status_code == 200
        assert ask(cannot, "slug", **data).status_code == 404
        assert ask(outside, "slug", **data).status_code == 404
    assert ask(can, "slug", field="title", text="old").status_code == 404
    assert ask(can, "slug", field="slug", text="old", entry="nonsense").status_code == 404
    assert ask(Client(), "slug", field="slug", text="old").status_code in (302, 303, 401)


def test_tags_in_use_are_told_as_far_as_they_may_be_read(
    notes: None, ada: Client, as_somebody: SignIn
) -> None:
    make_entry("notes", title="One", words=["Bread", CANARY])
    make_entry("notes", title="Two", words=["Bread", "Secret bread"])
    assert ask(ada, "tags", field="words", q="BREAD").json() == {"tags": ["Bread", "Secret bread"]}
    assert CANARY in ask(ada, "tags", field="words").json()["tags"]
    some = {"collection": "notes", "actions": ("read_draft",), "filter": {"title": {"eq": "One"}}}
    assert ask(as_somebody("rita", some), "tags", field="words", q="bread").json() == {"tags": ["Bread"]}
    titles = {"collection": "notes", "actions": ("read_draft",), "fields": ("title",)}
    assert ask(as_somebody("walter", titles), "tags", field="words").status_code == 404
    assert ask(as_somebody("mallory"), "tags", field="words").status_code == 404
    assert ask(ada, "tags", field="title").status_code == 404


def test_markdown_is_shown_as_publishing_would_make_it(notes: None, ada: Client, as_somebody: SignIn) -> None:
    text = f"# entry_form\r\n\r\n*Hi* {CANARY}\r\n\r\n<script>alert(1)</script>\r\n\r\n![A <b> cat](https://x.example/cat.png)"
    made = ask(ada, "markdown", text=text).json()["markup"]
    assert "<em>Hi</em>" in made
    assert "<h1>entry_form</h1>" in made
    assert "Image: A &lt;b&gt; cat" in made
    assert "<img" not in made
    assert "<script" not in made
    assert ask(ada, "markdown", text="x" * 300_001).status_code == 413
    assert ask(ada, "markdown", text="a\x00b").status_code == 400
    assert ask(ada, "markdown", text="").json() == {"markup": ""}
    assert ask(as_somebody("mallory"), "markdown", text=text).status_code == 404


def test_questions_are_counted(notes: None, ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "content.admin.assist.ASSISTS",
        Policy("assists-test", quota=1, fails_open=True),
    )
    assert ask(ada, "markdown", text="a").status_code == 200
    refused = ask(ada, "markdown", text="a")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("day", "time", "zone", "stored"),
    [
        ("2026-07-01", "14:30", "Europe/Berlin", "2026-07-01T12:30:00.000000Z"),
        ("2026-07-01", "14:30", "UTC", "2026-07-01T14:30:00.000000Z"),
        ("2026-07-01", "14:30", "+02:00", "2026-07-01T12:30:00.000000Z"),
        ("2026-03-29", "02:30", "Europe/Berlin", "the clocks are put forward"),
        ("2026-10-25", "02:30", "Europe/Berlin", "such as +02:00 (the first time) or +01:00"),
        ("2026-07-01", "14:30", "Europe", "no such time zone"),
        ("2026-07-01", "14:30", "../../etc/passwd", "no such time zone"),
        ("0001-01-01", "00:30", "Asia/Tokyo", "There is no such time"),
        ("2026-07-01", "half past", "Europe/Berlin", "is expected"),
    ],
)
def test_a_moment_is_typed_in_the_time_of_a_place(
    notes: None, ada: Client, day: str, time: str, zone: str, stored: str
) -> None:
    data = {"f-title": "When", "f-at_day": day, "f-at_time": time, "f-at_zone": zone, "_save": "1"}
    answer = ada.post("/admin/content/notes/add/", data, follow=True)
    assert answer.status_code in (200, 400, 422)
    shown = answer.content.decode()
    if stored.endswith("Z"):
        assert f'value="{stored[:10]}"' in shown
        assert f'value="{stored[11:16]}"' in shown
    else:
        assert stored in shown
        assert f'value="{day}"' in shown
