"""What a form of the admin does not offer is not written by typing its name, at any depth (threats, E8 and E13)."""

import json
import re
from html import unescape
from typing import Any

import pytest

from accounts.models import User
from accounts.sign_in import middleware
from content.models import Collection, DraftDocument, Entry, Field, ListLayout, Locale, SavedView, Version
from content.schema import current
from tests.accounts.cast import make_person
from tests.builders import make_collection, make_entry, make_locale, make_role
from tests.content.admin.conftest import collection_of, sign_in
from tests.security.admin_matrix import ADA, EDITH, WALTER, Cast, make_cast
from tests.security.world import Unchanged, leaked, text_of, types

pytestmark = pytest.mark.django_db

# Another value for each input of the hidden fields, by what their names end in; a new type needs one too.
OTHER: dict[str, dict[str, str]] = {
    "text": {"": "taken"},
    "long_text": {"": "taken"},
    "rich_text": {"": "<p>taken</p>"},
    "markdown": {"": "taken"},
    "slug": {"": "taken"},
    "integer": {"": "5"},
    "decimal": {"": "5.5"},
    "boolean": {"": "false"},
    "date": {"": "2001-01-01"},
    "datetime": {"_day": "2001-01-01", "_time": "01:01", "_zone": "UTC"},
    "email": {"": "taken@example.com"},
    "url": {"": "https://example.com/taken"},
    "choice": {"": "other"},
    "choices": {"": "other"},
    "tags": {"": "taken"},
    "json": {"": '{"taken": true}'},
    "color": {"": "#000000"},
    "geo_point": {"_lat": "1", "_lng": "1"},
    "reference": {"": "VAULT", "-id": "VAULT"},
    "references": {"-count": "1", "-0": "VAULT", "-0-order": "1"},
    "component": {"-count": "1", "-0-_component": "PART", "-0-text": "taken"},
    "components": {"-count": "1", "-0-_component": "PART", "-0-_order": "1", "-0-text": "taken"},
    "blocks": {"-count": "1", "-0-_component": "PART", "-0-_order": "1", "-0-text": "taken"},
}
# Other spellings under which somebody might try to reach a field or a column.
STRANGE = (
    "hidden_text", "f-f-hidden_text", "f-hidden_text-0", "f-title-hidden_text", "f-0-hidden_text", "fields.hidden_text",
    "form-0-hidden_text", "initial-f-hidden_text", "f-_created_by", "f-created_by", "f-id", "f-_id", "id", "created_by",
    "collection", "collection_id", "f-collection", "latest_number", "number", "data", "author_label", "published_at",
    "trashed_at", "status", "f-_status", "keep-hidden_text", "_locale", "f-_component", "f-title-0-_component",
)  # fmt: skip


@pytest.fixture
def cast(monkeypatch: pytest.MonkeyPatch) -> Cast:
    monkeypatch.setattr(middleware, "SEEN_EVERY_SECONDS", 1_000_000)
    return make_cast()


def hidden_inputs(cast: Cast, *, but: tuple[str, ...] = ()) -> dict[str, str]:
    """Return every input of every hidden field with another value than it has."""
    known = {
        "VAULT": str(make_entry("vault", title="Other").pk),
        "PART": str(Collection.objects.get(key="part").pk),
    }
    return {
        f"f-hidden_{type_key}{end}": known.get(value, value)
        for type_key in types()
        if type_key not in but
        for end, value in OTHER[type_key].items()
    }


def inputs_of(page: Any) -> set[str]:
    return {unescape(name) for name in re.findall(r'name="(f-[^"]+)"', page.content.decode())}


def values_of(entry: Entry) -> dict[str, Any]:
    """Return what the newest version holds, by field key."""
    keys = {str(spec.id): spec.key for spec in current().by_key["articles"].fields}
    newest: Version = entry.versions.order_by("-number")[0]
    return {keys[name]: value for values in newest.data.values() for name, value in values.items()}


def changed(entry: Entry, before: dict[str, Any]) -> set[str]:
    after = values_of(entry)
    return {key for key in {*before, *after} if before.get(key) != after.get(key)}


def test_the_same_names_do_write_for_who_may(cast: Cast) -> None:
    """Without this the refusals below could pass because a name is wrong."""
    entry = cast.world.published
    path = f"/admin/content/articles/{entry.pk}/change/"
    page = cast.browsers[ADA].get(path)
    sent = {"base": "1", "f-title": "Published", "f-rating": "2", **hidden_inputs(cast)}
    assert set(hidden_inputs(cast)) <= inputs_of(page) | {"f-hidden_references-0-order"}
    before = values_of(entry)
    answer = cast.browsers[ADA].post(path, sent)
    assert answer.status_code == 302, text_of(answer)
    assert {f"hidden_{type_key}" for type_key in types()} <= changed(entry, before)


def test_a_field_that_is_not_there_for_the_writer_stays(cast: Cast) -> None:
    """Edith sees five fields of articles, Walter two of what he wrote."""
    cases = [(EDITH, cast.world.published, {"title", "parent", "peers"})]
    mine = make_entry("articles", title="Mine", rating=3, published=False, by=cast.people[WALTER].principal)
    cases.append((WALTER, mine, {"title"}))
    for who, entry, may in cases:
        path = f"/admin/content/articles/{entry.pk}/change/"
        page = cast.browsers[who].get(path)
        assert not any("hidden_" in name for name in inputs_of(page)), who
        before = values_of(entry)
        base = {"base": "1", "f-slug": before["slug"], "f-rating": str(before["rating"])}
        strange = dict.fromkeys(STRANGE, "taken")
        sent = {**strange, **hidden_inputs(cast), **base, "f-title": f"By {who}"}
        answer = cast.browsers[who].post(path, sent)
        assert answer.status_code == 302, (who, text_of(answer))
        assert "title" in changed(entry, before)
        assert changed(entry, before) <= may, who
        row, fresh = Entry.objects.get(pk=entry.pk), entry
        assert (row.created_by_id, row.collection_id) == (fresh.created_by_id, fresh.collection_id)
        assert (row.latest_number, row.trashed_at) == (2, None)
        newest = row.versions.get(number=2)
        assert newest.author_label == cast.people[who].email


def test_a_field_that_may_only_be_read_stays(cast: Cast) -> None:
    """Pam reads everything of articles and corrects titles: the page shows the rest in words, without inputs."""
    policies = ({"collection": "articles", "actions": ("read_draft",)},
                {"collection": "articles", "actions": ("update",), "fields": ("title",)})  # fmt: skip
    make_role("proofreader", *policies)
    pam = sign_in(make_person("pam@example.com", roles=["proofreader"]))
    entry = cast.world.published
    path = f"/admin/content/articles/{entry.pk}/change/"
    assert inputs_of(pam.get(path)) == {"f-title"}
    before = values_of(entry)
    others = {"f-rating": "90", "f-slug": "taken", "f-parent": "", "f-peers-count": "0"}
    sent = {
        **dict.fromkeys(STRANGE, "taken"),
        **hidden_inputs(cast),
        **others,
        "f-title": "Proofread",
        "base": "1",
    }
    assert pam.post(path, sent).status_code == 302
    assert changed(entry, before) == {"title"}
    with Unchanged("nothing that she may write"):
        assert pam.post(path, {**sent, "f-title": "Proofread", "base": "2"}).status_code == 302
    for part in ("f-hidden_blocks", "f-hidden_component", "f-hidden_blocks-0-text", "f-title"):
        with Unchanged(part):
            answer = pam.post(
                "/admin/content/articles/part/", {"name": part, "number": "0", "component": "part"}
            )
            assert answer.status_code == 404, part


def test_a_new_entry_takes_what_its_form_shows(cast: Cast) -> None:
    adder = sign_in(make_person("adam@example.com", roles=["adder"]))
    path = "/admin/content/articles/add/"
    assert not any("hidden_" in name for name in inputs_of(adder.get(path)))
    inputs = hidden_inputs(cast)
    known = set(Entry.objects.values_list("pk", flat=True))
    sent = {
        **dict.fromkeys(STRANGE, "taken"),
        **inputs,
        "f-title": "New",
        "f-rating": "4",
        "_publish": "1",
    }
    assert adder.post(path, sent).status_code == 302
    entry = Entry.objects.exclude(pk__in=known).get()
    assert set(values_of(entry)) == {"title", "slug", "rating"}
    assert entry.created_by_id == User.objects.get(email="adam@example.com").pk
    assert not DraftDocument.objects.filter(entry=entry).exclude(status="draft").exists()


def test_parts_are_of_the_components_that_the_field_allows(cast: Cast) -> None:
    """An id inside of a part addresses no row of somebody else's, nor another component (CVE-2022-41654)."""
    make_collection(
        "other_part", [{"key": "text", "type": "text"}, {"key": "more", "type": "text"}], kind="component"
    )
    page = [{"key": "title", "type": "text"},
            {"key": "parts", "type": "blocks", "options": {"components": ["part"]}}]  # fmt: skip
    make_collection("pages", page)
    make_role("page_editor", {"collection": "pages", "actions": ("read_draft", "create", "update")})
    pat = sign_in(make_person("pat@example.com", roles=["page_editor"]))
    part, other = Collection.objects.get(key="part").pk, Collection.objects.get(key="other_part").pk
    entry = make_entry(
        "pages", title="A page", parts=[{"_component": "part", "text": "one"}], published=False
    )
    path = f"/admin/content/pages/{entry.pk}/change/"
    spec = current().by_key["pages"].by_key["parts"]
    kept = {"base": "1", "f-title": "A page", "f-parts-count": "1", "f-parts-0-_order": "1"}

    def newest() -> Version:
        return entry.versions.order_by("-number")[0]

    before = next(values[str(spec.id)] for values in newest().data.values() if str(spec.id) in values)
    foreign = [
        str(other),
        "other_part",
        str(Collection.objects.get(key="vault").pk),
        str(entry.pk),
        "nonsense",
    ]
    for wrong in foreign:
        base = {**kept, "base": str(newest().number)}
        pat.post(
            path, {**base, "f-parts-0-_component": wrong, "f-parts-0-text": "two", "f-parts-0-more": "two"}
        )
        assert "two" not in json.dumps(newest().data), wrong
        assert wrong not in json.dumps(newest().data), wrong
    sent = {**kept, "base": str(newest().number), "f-parts-0-_component": str(part), "f-parts-0-text": "two",
            "f-parts-0-more": "x", "f-parts-0-id": str(cast.world.hidden_target.pk), "f-parts-0-_id": "x",
            "f-parts-0-f-title": "x"}  # fmt: skip
    assert pat.post(path, sent).status_code == 302
    after = next(values[str(spec.id)] for values in newest().data.values() if str(spec.id) in values)
    assert json.dumps(after).count("two") == 1
    assert str(cast.world.hidden_target.pk) not in json.dumps(newest().data)
    assert (len(after), set(after[0])) == (1, set(before[0]))
    with Unchanged("another component"):
        answer = pat.post(
            "/admin/content/pages/part/", {"name": "f-parts", "number": "1", "component": "other_part"}
        )
        assert answer.status_code == 404


def test_hidden_inputs_lead_to_no_entry_of_somebody_elses(cast: Cast) -> None:
    """Ids in lists of choices, in the bulk form and in the forms of views are asked for like any other id."""
    edith = cast.browsers[EDITH]
    hidden = [str(cast.world.draft.pk), str(cast.world.hidden_target.pk)]
    with Unchanged("bulk"):
        for act in ("trash", "publish", "unpublish"):
            body = {"act": act, "ids": hidden, "confirm": "1", "locales": ["en"], "here": "en"}
            answer = edith.post("/admin/content/articles/bulk/", body)
            assert answer.status_code == 200
            assert answer.content.count(b"There is no such entry.") == 2
            assert not leaked(answer)
    with Unchanged(
        "together", but=("accounts_event", "accounts_unsealed")
    ):  # that the page was read is written down
        body = {"locales": "en", "together": hidden, "base": "99"}
        answer = edith.post(f"/admin/content/articles/{cast.world.shown.pk}/publish/", body)
        assert answer.status_code == 400
        assert not leaked(answer)
    with Unchanged("version of another entry"):
        other = f"/admin/content/articles/{cast.world.shown.pk}/history/9/restore/"
        assert edith.post(other, {"base": "1", "entry": hidden[0], "number": "1"}).status_code == 404
    collection = Collection.objects.get(key="articles")
    theirs = SavedView.objects.create(
        owner=cast.people[ADA].user, collection=collection, name="Ada’s", query={}, is_shared=True
    )
    for act in ("rename", "delete"):
        with Unchanged(act):
            body = {
                "act": act,
                "view": str(theirs.pk),
                "name": "Mine now",
                "owner": str(cast.people[EDITH].user.pk),
            }
            assert edith.post("/admin/content/articles/views/", body).status_code == 404
    made = {"act": "save", "name": "New", "query": "", "owner": str(cast.people[ADA].user.pk), "owner_id": str(cast.people[ADA].user.pk)}  # fmt: skip
    assert edith.post("/admin/content/articles/views/", made).status_code == 302
    assert SavedView.objects.get(name="New").owner_id == cast.people[EDITH].user.pk
    body = {"order": ["_author"], "show": ["_author"], "user": str(cast.people[ADA].user.pk)}
    assert edith.post("/admin/content/articles/columns/", body).status_code == 302
    assert ListLayout.objects.get().user_id == cast.people[EDITH].user.pk
    secret = current().by_key["articles"].by_key["hidden_text"]
    body = {"order": [str(secret.id), "_author"], "show": [str(secret.id), "_author"]}
    assert edith.post("/admin/content/articles/columns/", body).status_code == 302
    assert str(secret.id) not in json.dumps(ListLayout.objects.get().columns)


def test_the_form_of_a_collection_writes_no_field_of_another(cast: Cast) -> None:
    make_role("modeller", {"collection": "articles", "actions": ("read_draft", "manage_schema")})
    mo = sign_in(make_person("mo@example.com", roles=["modeller"]))
    path = "/admin/modeling/collections/articles/"
    page = mo.get(path)
    assert page.status_code == 200
    sent = collection_of(page)
    vault = Collection.objects.get(key="vault")
    foreign = Field.objects.get(collection=vault, key="title")
    last = page.context["form"].count
    row = {"id": str(foreign.pk), "key": "stolen", "type": "text", "data_class": "public", "order": "99"}
    stolen = {f"field-{last}-{name}": value for name, value in row.items()} | {"field-count": str(last + 1)}
    junk = {"id": str(vault.pk), "collection": "vault", "kind": "single", "generation": "1", "_id": str(vault.pk),
            "field-0-collection": str(vault.pk), "field-0-removed_at": "x", "created_at": "x"}  # fmt: skip
    before = (
        list(Collection.objects.filter(pk=vault.pk).values()),
        list(Field.objects.filter(collection=vault).values()),
    )
    assert mo.post(path, {**sent, **stolen, **junk, "_confirm": "1"}).status_code == 302
    after = (
        list(Collection.objects.filter(pk=vault.pk).values()),
        list(Field.objects.filter(collection=vault).values()),
    )
    assert before == after
    articles = Collection.objects.get(key="articles")
    assert articles.kind == "many"
    made = Field.objects.get(collection=articles, key="stolen")
    assert made.pk != foreign.pk
    for other in ("vault/", "part/", "vault/delete/", "part/delete/", "articlez/"):
        with Unchanged(other):
            assert (
                mo.post(f"/admin/modeling/collections/{other}", {**sent, "key": "vault"}).status_code == 404
            ), other
    with Unchanged("a new collection"):
        assert mo.post("/admin/modeling/collections/add/", {**sent, "key": "mine"}).status_code == 403


def test_the_form_of_a_locale_keeps_its_code_and_the_default(cast: Cast) -> None:
    make_locale("xx")
    before = Locale.objects.filter(code="en").values().get()
    sent = {
        "code": "yy",
        "name": "Changed",
        "direction": "rtl",
        "fallback": "",
        "is_default": "on",
        "position": "9",
        "pk": "en",
    }
    assert cast.browsers[ADA].post("/admin/modeling/locales/xx/", sent).status_code == 302
    assert set(Locale.objects.values_list("code", flat=True)) == {"en", "xx"}
    assert Locale.objects.filter(code="en").values().get() == before
    assert not Locale.objects.get(code="xx").is_default


def test_every_field_type_has_another_value() -> None:
    assert set(OTHER) == set(types())
