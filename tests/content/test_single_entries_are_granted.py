"""Grants on single entries: this guest author, this article, and nothing else; on management, never on delivery."""

import pytest

from accounts.access import Action
from accounts.rights.granting import grant_entry, withdraw_entry
from tests.builders import ROOT, make_collection, make_entry, make_key, make_role, make_user

pytestmark = pytest.mark.django_db

FIELDS = [{"key": "title", "type": "text"}, {"key": "fee", "type": "text", "data_class": "personal"}]


def test_a_guest_author_works_on_one_article_only():
    make_collection("guests", FIELDS)
    mine, other = make_entry("guests", title="Mine", fee="1000"), make_entry("guests", title="Other")
    make_role("guest")
    guest = make_user(roles=("guest",))
    api = make_key(owner=guest)
    path = f"/api/v1/manage/content/guests/{mine.pk}"
    assert api.get(path).status_code == 404
    grant_entry(guest, [Action.READ_DRAFT, Action.UPDATE], mine, by=ROOT)
    seen = api.get(path)
    assert seen.json()["title"] == "Mine"
    assert "fee" not in seen.json()
    assert [item["_id"] for item in api.get("/api/v1/manage/content/guests").json()["data"]] == [str(mine.pk)]
    assert api.patch(path, {"fields": {"title": "Better"}}, **{"If-Match": '"1"'}).status_code == 200
    assert api.patch(path, {"fields": {"fee": "9"}}, **{"If-Match": '"2"'}).status_code == 400
    assert api.post(f"{path}/publish").status_code == 403
    assert api.get(f"/api/v1/manage/content/guests/{other.pk}").status_code == 404
    assert (
        api.patch(
            f"/api/v1/manage/content/guests/{other.pk}", {"fields": {}}, **{"If-Match": '"1"'}
        ).status_code
        == 404
    )
    assert api.get(f"/api/v1/content/guests/{mine.pk}").status_code == 404
    withdraw_entry(guest, [Action.READ_DRAFT, Action.UPDATE], mine, by=ROOT)
    assert api.get(path).status_code == 404


def test_presets_fill_what_a_new_entry_starts_with():
    make_collection("guests", FIELDS)
    make_role(
        "maker",
        {"collection": "guests", "actions": ("create", "read_draft"), "presets": {"title": "From a guest"}},
    )
    made = make_key(role="maker").post("/api/v1/manage/content/guests", {"fields": {}})
    assert made.json()["title"] == "From a guest"
