"""Writing entries in the admin: forms from fields, saving, stale saves, publishing, refusals."""

from django.test import Client

from content import editing, modeling
from content.models import DraftDocument, Entry, PublishedDocument, Version
from content.schema import current
from tests.builders import ROOT, make_collection, make_entry, make_locale, writing
from tests.content.admin.conftest import SignIn, fields_of


def url(entry: Entry, act: str = "change", collection: str = "articles") -> str:
    return f"/admin/content/{collection}/{entry.pk}/{act}/"


def test_an_entry_is_written_saved_and_published(ada: Client) -> None:
    make_collection()
    page = ada.get("/admin/content/articles/add/")
    assert page.status_code == 200
    answer = ada.post(
        "/admin/content/articles/add/",
        {"f-title": "Soup", "f-body": "Hot.", "message": "First", "_save": "1"},
    )
    entry = Entry.objects.get()
    assert answer.headers["Location"] == f"{url(entry)}?locale=en"
    assert Version.objects.get().message == "First"
    assert DraftDocument.objects.get().title == "Soup"
    page = ada.get(answer.headers["Location"])
    assert 'value="Soup"' in page.content.decode()
    sent = fields_of(page) | {"f-title": "Better soup", "_publish": "1", "locales": "en"}
    answer = ada.post(url(entry), sent)
    assert answer.status_code == 302
    assert PublishedDocument.objects.get(locale="en").version_number == 2


def test_a_failed_publish_keeps_the_save_and_shows_what_is_missing_at_its_field(ada: Client) -> None:
    make_collection()
    entry = make_entry(published=False, title="Soup")
    sent = {"base": "1", "f-title": "", "f-body": "New body", "_publish": "1", "locales": "en"}
    answer = ada.post(url(entry), sent)
    page = ada.get(answer.headers["Location"])
    text = page.content.decode()
    assert "It is not published yet: 1 thing is missing." in text
    assert 'href="#field-title"' in text
    assert "New body" in text
    assert not PublishedDocument.objects.exists()
    assert Entry.objects.get().latest_number == 2


def test_invalid_input_comes_back_as_typed_with_errors_at_the_fields(ada: Client) -> None:
    make_collection(
        "things",
        [
            {"key": "title", "type": "text"},
            {"key": "amount", "type": "integer"},
            {"key": "site", "type": "url"},
        ],
    )
    answer = ada.post(
        "/admin/content/things/add/", {"f-title": "Kept", "f-amount": "many", "f-site": "javascript:alert(1)"}
    )
    text = answer.content.decode()
    assert answer.status_code == 400
    assert 'value="Kept"' in text
    assert 'value="many"' in text
    assert "javascript:alert(1)" in text
    assert 'href="#field-amount"' in text
    assert 'href="#field-site"' in text
    assert not Entry.objects.exists()


def test_a_stale_save_comes_back_with_both_and_overwrites_nothing(ada: Client) -> None:
    make_collection()
    entry = make_entry(published=False, title="First", body="Old body")
    mine = fields_of(ada.get(url(entry)))
    editing.save(entry.pk, {"title": "Theirs", "body": "Their body"}, writing=writing("articles"), base=1)
    answer = ada.post(url(entry), mine | {"f-title": "Mine", "_save": "1"})
    text = answer.content.decode()
    assert answer.status_code == 409
    assert 'value="Mine"' in text
    assert "Theirs" in text
    assert "Their body" in text
    assert Entry.objects.get().latest_number == 2
    assert answer.context["base"] == 2
    rows = {row.spec.key: row for row in answer.context["rows"]}
    assert rows["title"].theirs == "Theirs"
    assert rows["body"].theirs is None
    assert rows["body"].before == "Old body"
    again = ada.post(
        url(entry), {"base": "2", "f-title": "Mine", "f-slug": "first", "f-body": "Their body", "_save": "1"}
    )
    assert again.status_code == 302
    assert DraftDocument.objects.get().title == "Mine"
    newest = Version.objects.get(number=3).data["en"]
    assert "Their body" in newest.values()


def test_a_stale_save_without_or_with_a_made_up_base_saves_nothing(ada: Client) -> None:
    make_collection()
    entry = make_entry(published=False, title="First")
    for base in ("", "0", "99", "x", "-1", "9999999999999"):
        answer = ada.post(url(entry), {"base": base, "f-title": "Mine", "_save": "1"})
        assert answer.status_code == 409, base
    assert Entry.objects.get().latest_number == 1


def test_each_locale_is_written_by_itself(ada: Client) -> None:
    make_locale("ar", direction="rtl")
    make_collection(
        "pages",
        [{"key": "title", "type": "text", "localized": True}, {"key": "code", "type": "text"}],
        localized=True,
    )
    entry = make_entry("pages", title="Hello", code="A1", published=False)
    page = ada.get(url(entry, collection="pages"), {"locale": "ar"})
    assert 'dir="rtl"' in page.content.decode()
    assert "Nothing is written in ar yet" in page.content.decode()
    answer = ada.post(
        f"{url(entry, collection='pages')}?locale=ar",
        fields_of(page) | {"f-title": "مرحبا", "_publish": "1", "locales": "ar"},
    )
    assert answer.headers["Location"].endswith("?locale=ar")
    assert list(PublishedDocument.objects.values_list("locale", "content_locale")) == [("ar", "ar")]
    assert DraftDocument.objects.get(locale="en").title == "Hello"


def test_a_single_goes_straight_to_its_form(ada: Client) -> None:
    make_collection("home", [{"key": "title", "type": "text"}], kind="single")
    assert ada.get("/admin/content/home/").headers["Location"] == "/admin/content/home/add/"
    ada.post("/admin/content/home/add/", {"f-title": "Welcome"})
    entry = Entry.objects.get()
    assert ada.get("/admin/content/home/").headers["Location"] == url(entry, collection="home")
    assert ada.post("/admin/content/home/add/", {"f-title": "Twice"}).status_code == 409
    assert Entry.objects.count() == 1


def test_what_may_not_be_seen_is_not_in_the_form_and_what_may_not_be_written_is_no_input(
    as_somebody: SignIn,
) -> None:
    make_collection(
        "staff",
        [{"key": "name", "type": "text"}, {"key": "note", "type": "text"}, {"key": "pay", "type": "text"}],
    )
    entry = make_entry("staff", name="Ann", note="Kind", pay="CANARY-PAY", published=False)
    edith = as_somebody(
        "edith",
        {"collection": "staff", "actions": ("read_draft",), "fields": ("name", "note")},
        {"collection": "staff", "actions": ("update",), "fields": ("name",)},
    )
    page = edith.get(url(entry, collection="staff"))
    text = page.content.decode()
    assert 'name="f-name"' in text
    assert 'name="f-note"' not in text
    assert "Kind" in text
    assert "CANARY-PAY" not in text
    assert "Pay" not in text
    sent = {"base": "1", "f-name": "Anna", "f-note": "Forged", "f-pay": "0", "_save": "1"}
    assert edith.post(url(entry, collection="staff"), sent).status_code == 302
    data = Version.objects.get(number=2).data["*"].values()
    assert set(data) == {"Anna", "Kind", "CANARY-PAY"}


def test_who_may_only_add_sees_nothing_of_what_is_there(as_somebody: SignIn) -> None:
    make_collection()
    entry = make_entry(title="CANARY-TITLE", published=False)
    walter = as_somebody("walter", {"collection": "articles", "actions": ("create",)})
    for path in (
        "/admin/content/articles/",
        "/admin/content/articles/trash/",
        url(entry),
        url(entry, "history"),
        url(entry, "publish"),
        url(entry, "trash"),
        f"{url(entry, 'diff')}?from=1&to=1",
    ):
        answer = walter.get(path)
        assert answer.status_code == 404, path
        assert b"CANARY" not in answer.content
    answer = walter.post("/admin/content/articles/add/", {"f-title": "Mine"}, follow=True)
    assert answer.status_code == 200
    assert b"CANARY" not in answer.content
    assert Entry.objects.count() == 2


def test_every_act_asks_for_its_own_right(as_somebody: SignIn) -> None:
    make_collection()
    entry = make_entry(title="Seen")
    trashed = make_entry(title="Gone", published=False)
    editing.trash(trashed.pk, writing=writing("articles"))
    rita = as_somebody("rita", {"collection": "articles", "actions": ("read_draft",)})
    assert rita.get(url(entry)).status_code == 200
    forbidden = [
        (entry, "change", {"base": "1", "f-title": "x"}),
        (entry, "change", {"base": "1", "_publish": "1", "locales": "en"}),
        (entry, "publish", {"locales": "en"}),
        (entry, "unpublish", {"locales": "en"}),
        (entry, "trash", {"confirm": "1"}),
        (trashed, "restore", {}),
        (trashed, "purge", {"confirm": "1"}),
        (entry, "history/1/restore", {"base": "1"}),
    ]
    for subject, act, data in forbidden:
        answer = rita.post(url(subject, act), data)
        if act == "change" and "_publish" in data:
            assert answer.status_code == 302
            continue
        assert answer.status_code == 403, act
        assert b"Seen" not in answer.content
        assert b"Gone" not in answer.content
    assert rita.get("/admin/content/articles/add/").status_code == 403
    assert Version.objects.count() == 2
    assert PublishedDocument.objects.count() == 1
    assert Entry.objects.get(pk=trashed.pk).trashed_at is not None


def test_hidden_of_another_collection_and_missing_look_the_same(as_somebody: SignIn) -> None:
    make_collection()
    make_collection("secrets", [{"key": "title", "type": "text"}])
    hidden = make_entry("secrets", title="CANARY", published=False)
    mine = make_entry(title="Mine", published=False)
    edith = as_somebody("edith", {"collection": "articles", "actions": ("read_draft", "update")})
    seen = {
        edith.get(path).content
        for path in (
            url(hidden, collection="secrets"), url(hidden), url(mine, collection="secrets"),
            url(hidden).replace(str(hidden.pk), "0195b1de-0000-7000-8000-000000000000"),
        )
    }  # fmt: skip
    assert len(seen) == 1
    assert b"CANARY" not in seen.pop()
    assert edith.get(url(mine)).status_code == 200


def test_a_reference_is_chosen_by_title_and_a_hidden_one_is_not_told(
    ada: Client, as_somebody: SignIn
) -> None:
    make_collection("authors", [{"key": "name", "type": "text"}])
    make_collection(
        "books",
        [
            {"key": "title", "type": "text"},
            {"key": "author", "type": "reference", "options": {"collections": ["authors"]}},
        ],
    )
    ann = make_entry("authors", name="CANARY-ANN", published=False)
    book = make_entry("books", title="Book", author=str(ann.pk), published=False)
    assert "CANARY-ANN" in ada.get(url(book, collection="books")).content.decode()
    edith = as_somebody("edith", {"collection": "books", "actions": ("read_draft", "update")})
    page = edith.get(url(book, collection="books"))
    assert "CANARY" not in page.content.decode()
    assert (
        edith.post(
            url(book, collection="books"), fields_of(page) | {"f-title": "New", "_save": "1"}
        ).status_code
        == 302
    )
    assert str(ann.pk) in Version.objects.get(entry=book, number=2).data["*"].values()
    assert edith.get("/admin/choices/?in=authors").status_code == 404
    assert ada.get("/admin/choices/?in=authors&q=canary").json()["entries"][0]["title"] == "CANARY-ANN"


def test_nonsense_in_a_form_is_an_answer_and_never_a_crash(ada: Client) -> None:
    make_collection()
    entry = make_entry(title="Kept", published=False)
    make_collection("quote", [{"key": "words", "type": "text"}], kind="component")
    make_collection("pages", [
        {"key": "title", "type": "text"}, {"key": "point", "type": "geo_point"}, {"key": "at", "type": "datetime"},
        {"key": "author", "type": "reference", "options": {"collections": ["articles"]}},
        {"key": "also", "type": "references", "options": {"collections": ["articles"]}},
        {"key": "parts", "type": "blocks", "options": {"components": ["quote"]}}, {"key": "data", "type": "json"},
    ])  # fmt: skip
    nonsense = (
        "\x00",
        "a\x00b",
        "\ud800".encode("utf-8", "surrogatepass"),
        "[" * 5000,
        "NaN",
        "-1",
        "9" * 400,
        "\u202e" * 50,
    )
    for value in nonsense:
        for name in ("f-title", "message", "base", "locales", "f-body"):
            answer = ada.post(
                url(entry), {"base": "1", "f-title": "Kept", "_publish": "1", "locales": "en", name: value}
            )
            assert answer.status_code in {302, 400, 409}, (name, value, answer.status_code)
        for name in (
            "f-title",
            "f-point_lat",
            "f-at_day",
            "f-at_time",
            "f-author",
            "f-also-count",
            "f-also-0",
            "f-parts-count",
            "f-parts-0-_component",
            "f-parts-0-_order",
            "f-parts-_add",
            "f-parts-0-words",
            "f-data",
        ):
            sent = {"f-also-count": "1", "f-parts-count": "1", name: value}
            assert ada.post("/admin/content/pages/add/", sent).status_code in {302, 400}, (name, value)
    for path in (
        "/admin/content/%00/",
        "/admin/modeling/collections/%00/",
        "/admin/modeling/locales/%00/",
        f"/admin/content/articles/{entry.pk}/diff/?from=999999999&to=1",
        f"{url(entry)}?locale=%00",
        f"{url(entry, 'history')}?before=0",
    ):
        assert ada.get(path).status_code in {302, 404}, path
    assert ada.post(url(entry, "history/99999999999999999999/restore"), {"base": "1"}).status_code == 302
    for name in (
        "field-count",
        "field-0-order",
        "field-0-type",
        "field-0-option-max_length",
        "field-0-option-pattern",
        "field-0-default",
        "field-0-condition_field",
        "field-0-condition_operator",
        "field-0-condition_value",
        "field-0-id",
        "kind",
        "key",
        "new_type",
    ):
        for value in nonsense:
            sent = {
                "name": "N",
                "key": "n",
                "kind": "many",
                "field-count": "1",
                "field-0-key": "a",
                "field-0-type": "text",
                "field-0-data_class": "public",
                name: value,
            }
            assert ada.post("/admin/modeling/collections/add/", sent).status_code in {302, 400}, (name, value)
            if "n" in current().by_key:
                modeling.delete_collection(current().by_key["n"].id, by=ROOT)


def test_arranging_parts_shows_the_form_again_and_saves_nothing(ada: Client) -> None:
    make_collection("quote", [{"key": "words", "type": "text"}], kind="component")
    spec = make_collection(
        "pages",
        [
            {"key": "title", "type": "text"},
            {"key": "parts", "type": "blocks", "options": {"components": ["quote"]}},
        ],
    )
    quote = str(current().by_key["quote"].id)
    entry = make_entry("pages", title="Kept", published=False)
    sent = {
        "base": "1",
        "f-title": "Typed",
        "f-parts-count": "0",
        "f-parts-_add": quote,
        "_arrange": "f-parts",
    }
    page = ada.post(url(entry, collection=spec.key), sent)
    text = page.content.decode()
    assert page.status_code == 200
    assert 'name="f-parts-0-words"' in text
    assert 'value="Typed"' in text
    assert Entry.objects.get().latest_number == 1
    sent = {
        "base": "1",
        "f-title": "Typed",
        "f-parts-count": "1",
        "f-parts-0-_component": quote,
        "f-parts-0-words": "Said",
    }
    assert ada.post(url(entry, collection=spec.key), sent).status_code == 302
    assert "Said" in str(Version.objects.get(number=2).data)
