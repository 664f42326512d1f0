"""Chosen entries go to another house in a signed bundle: ids kept, conflicts told, all of it or nothing."""

import json
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from accounts.keyring import KeyRing, key_ring
from accounts.models import Event
from accounts.principals import of_user
from cms_project import lockdown
from content import editing, publishing
from content.bundles import signing
from content.models import DraftDocument, Entry, PublishedDocument, Version
from tests.builders import ROOT, make_collection, make_entry, make_locale, make_user, writing
from tests.content.bundles.forging import remade
from tests.database import TestDatabase

pytestmark = pytest.mark.django_db

FIELDS: list[dict[str, Any]] = [
    {"key": "title", "type": "text", "localized": True, "required": True},
    {"key": "slug", "type": "slug", "localized": True, "options": {"from": "title"}},
    {"key": "body", "type": "rich_text", "localized": True},
    {"key": "author", "type": "reference", "options": {"collections": ["authors"]}},
    {"key": "related", "type": "references", "options": {"collections": ["articles"]}},
    {"key": "price", "type": "decimal"},
    {"key": "note", "type": "text", "data_class": "secret"},
]


def make_house() -> None:
    make_locale("de", fallback=("en",))
    make_collection(
        "authors",
        [{"key": "name", "type": "text"}, {"key": "email", "type": "email", "data_class": "personal"}],
    )
    make_collection("articles", FIELDS, localized=True)


def run(*arguments: Any) -> str:
    out = StringIO()
    call_command("content", *map(str, arguments), stdout=out)
    return out.getvalue()


def run_json(*arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json").splitlines()[-1])
    return found


def failed(*arguments: Any) -> tuple[dict[str, Any], str]:
    """Run what is refused, and return what it printed and said."""
    out = StringIO()
    with pytest.raises(CommandError) as refused:
        call_command("content", *map(str, arguments), "--json", stdout=out)
    lines = out.getvalue().splitlines()
    return (json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}), str(refused.value)


def save(entry: Entry, *, locale: str | None = None, by: Any = ROOT, **values: Any) -> None:
    entry.refresh_from_db()
    collection = (
        "articles"
        if DraftDocument.objects.filter(entry=entry, collection__key="articles").exists()
        else "authors"
    )
    editing.save(entry.pk, values, writing=writing(collection, by), base=entry.latest_number, locale=locale)


def contents(entry_id: UUID) -> list[Any]:
    return [
        (row.locale, row.status, row.title, row.data)
        for row in DraftDocument.objects.filter(entry=entry_id).order_by("locale")
    ]


@pytest.fixture
def bundle(db: None, tmp_path: Path, django_db_setup: TestDatabase) -> tuple[Path, Entry, Entry]:
    """A bundle of an article and its author; the house is empty again, but for its schema."""
    make_house()
    author = make_entry("authors", name="Ada", email="ada@example.com")
    article = make_entry(title="One", author=str(author.pk), price="1.50", note="hidden words")
    save(article, title="Eins", locale="de")
    file = tmp_path / "one.bundle"
    run("export", file, "--entry", article.pk, "--with-references")
    django_db_setup.reset()
    make_house()
    return file, article, author


def test_an_entry_arrives_with_its_id_what_it_refers_to_and_without_what_is_secret(
    bundle: tuple[Path, Entry, Entry],
) -> None:
    file, article, author = bundle
    assert b"hidden words" not in file.read_bytes()
    assert b"ada@example.com" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    result = run_json("import", file)
    assert (result["created"], result["published"], result["written"]) == (2, 0, True)
    spec = writing("articles").collection
    rows = contents(article.pk)
    assert [(locale, status, title) for locale, status, title, _ in rows] == [
        ("de", "draft", "Eins"),
        ("en", "draft", "One"),
    ]
    assert rows[0][3][str(spec.by_key["author"].id)] == str(author.pk)
    assert rows[0][3][str(spec.by_key["price"].id)] == "1.5"
    assert str(spec.by_key["note"].id) not in rows[0][3]
    assert set(Version.objects.values_list("message", flat=True)) == {
        f"Imported from development (bundle {result['bundle']})"
    }
    assert Event.objects.filter(type="content.imported", subject_id=result["bundle"]).count() == 1


def test_what_is_public_over_there_is_published_here_when_it_is_asked_for(
    bundle: tuple[Path, Entry, Entry],
) -> None:
    file, article, _ = bundle
    result = run_json("import", file, "--publish")
    assert result["published"] == 2
    assert [(row[0], row[1]) for row in contents(article.pk)] == [("de", "draft"), ("en", "published")]


def test_a_draft_that_goes_on_from_what_is_public_arrives_as_both(
    tmp_path: Path, django_db_setup: TestDatabase
) -> None:
    make_house()
    article = make_entry(title="Public")
    save(article, title="Not yet")
    run("export", tmp_path / "b", "--collection", "articles")
    django_db_setup.reset()
    make_house()
    run("import", tmp_path / "b", "--publish")
    title = str(writing("articles").collection.by_key["title"].id)
    assert PublishedDocument.objects.get(entry=article.pk, locale="en").data[title] == "Public"
    assert contents(article.pk)[0][1:3] == ("changed", "Not yet")


def test_entries_that_refer_to_each_other_in_a_circle_arrive_whole(
    tmp_path: Path, django_db_setup: TestDatabase
) -> None:
    make_house()
    one, two = make_entry(title="One"), make_entry(title="Two")
    save(one, related=[str(two.pk), str(one.pk)])
    save(two, related=[str(one.pk)])
    run("export", tmp_path / "b", "--collection", "articles")
    django_db_setup.reset()
    make_house()
    assert run_json("import", tmp_path / "b")["created"] == 2
    related = str(writing("articles").collection.by_key["related"].id)
    assert contents(one.pk)[0][3][related] == [str(two.pk), str(one.pk)]
    assert contents(two.pk)[0][3][related] == [str(one.pk)]


def test_a_second_import_changes_nothing_and_what_a_bundle_brought_follows_the_next_one(
    bundle: tuple[Path, Entry, Entry], tmp_path: Path
) -> None:
    file, article, _ = bundle
    run("import", file)
    versions = Version.objects.count()
    assert run_json("import", file)["unchanged"] == 2
    assert Version.objects.count() == versions
    later = tmp_path / "later.bundle"
    save(Entry.objects.get(pk=article.pk), title="Two")
    run("export", later, "--entry", article.pk)
    editing.restore_version(
        article.pk, 2, writing=writing("articles"), base=Entry.objects.get(pk=article.pk).latest_number
    )
    # Somebody here has put the old words back, so the two have gone apart.
    conflicts, _ = failed("import", later)
    assert conflicts["conflicts"][0]["fields"] == ["title"]
    assert run_json("import", file)["unchanged"] == 2
    assert run_json("import", later, "--on-conflict", "update")["updated"] == 1
    assert run_json("import", file)["updated"] == 1  # the newest version came by a bundle: it follows


def test_what_was_changed_here_is_a_conflict_by_entry_locale_and_field_and_nothing_is_written(
    bundle: tuple[Path, Entry, Entry],
) -> None:
    file, article, _ = bundle
    run("import", file)
    save(Entry.objects.get(pk=article.pk), title="Mine", price="2")
    before = contents(article.pk)
    told, said = failed("import", file)
    assert [(item["entry"], item["locale"], item["fields"]) for item in told["conflicts"]] == [
        (str(article.pk), "de", ["price"]),
        (str(article.pk), "en", ["price", "title"]),
    ]
    assert "--on-conflict" in said
    assert told["written"] is False
    assert contents(article.pk) == before
    skipped = run_json("import", file, "--on-conflict", "skip")
    assert (skipped["skipped"], skipped["unchanged"]) == (1, 1)
    assert contents(article.pk) == before
    assert run_json("import", file, "--on-conflict", "update")["updated"] == 1
    assert contents(article.pk)[1][2] == "One"


def test_a_dry_run_says_what_would_come_and_writes_nothing(bundle: tuple[Path, Entry, Entry]) -> None:
    events = Event.objects.count()
    result = run_json("import", bundle[0], "--dry-run", "--publish")
    assert (result["created"], result["published"], result["written"]) == (2, 2, False)
    assert not Entry.objects.exists()
    assert Event.objects.count() == events


def test_what_is_missing_here_is_a_fault_with_its_place_and_nothing_is_written(
    tmp_path: Path, django_db_setup: TestDatabase
) -> None:
    make_house()
    author = make_entry("authors", name="Ada")
    article = make_entry(title="One", author=str(author.pk))
    told = run("export", tmp_path / "b", "--entry", article.pk)
    assert "refers to 1 entries that are not in it" in told
    django_db_setup.reset()
    make_house()
    result, _ = failed("import", tmp_path / "b")
    assert [(item["entry"], item["pointer"]) for item in result["faults"]] == [
        (str(article.pk), "/en/author")
    ]
    assert not Entry.objects.exists()
    django_db_setup.reset()
    make_collection("articles", FIELDS[:1], localized=True)
    result, _ = failed("import", tmp_path / "b")
    pointers = {item["pointer"] for item in result["faults"]}
    assert pointers == {"/author", "/body", "/price", "/related", "/slug"}
    django_db_setup.reset()
    result, _ = failed("import", tmp_path / "b")
    assert [item["collection"] for item in result["faults"]] == ["articles"]


def test_sensitive_fields_travel_only_when_both_sides_ask(
    tmp_path: Path, django_db_setup: TestDatabase
) -> None:
    make_house()
    author = make_entry("authors", name="Ada", email="ada@example.com")
    run("export", tmp_path / "b", "--entry", author.pk, "--with-sensitive")
    assert Event.objects.get(type="content.exported").detail["with_sensitive"] is True
    django_db_setup.reset()
    make_house()
    email = str(writing("authors").collection.by_key["email"].id)
    assert run_json("import", tmp_path / "b")["ignored"] == {"authors": ["email"]}
    assert email not in contents(author.pk)[0][3]
    run("import", tmp_path / "b", "--with-sensitive")
    assert contents(author.pk)[0][3][email] == "ada@example.com"


def test_what_comes_in_is_cleaned_like_everything_else(
    bundle: tuple[Path, Entry, Entry], tmp_path: Path
) -> None:
    file, article, _ = bundle
    evil = remade(
        file,
        tmp_path / "evil",
        b'"body":null',
        b'"body":"<p onclick=\\"x()\\">Hi<script>alert(1)</script></p>"',
    )
    run("import", evil)
    body = str(writing("articles").collection.by_key["body"].id)
    stored = json.dumps(contents(article.pk)[1][3][body])
    assert "Hi" in stored
    assert "script" not in stored
    assert "onclick" not in stored


def test_a_trashed_entry_and_one_that_is_not_there_are_not_exported(tmp_path: Path) -> None:
    make_house()
    article = make_entry(title="One")
    editing.trash(article.pk, writing=writing("articles"))
    _, said = failed("export", tmp_path / "b", "--entry", article.pk)
    assert str(article.pk) in said
    assert not list(tmp_path.iterdir())
    _, said = failed("export", tmp_path / "b", "--collection", "nowhere")
    assert "nowhere" in said


def test_a_file_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    make_house()
    make_entry(title="One")
    (tmp_path / "b").write_text("mine")
    _, said = failed("export", tmp_path / "b", "--collection", "articles")
    assert "is there already" in said
    assert (tmp_path / "b").read_text() == "mine"
    (tmp_path / "b").unlink()
    name = "b" * 250
    run("export", tmp_path / name, "--collection", "articles")
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_an_entry_in_the_trash_here_is_a_conflict_and_is_not_dug_out(
    bundle: tuple[Path, Entry, Entry],
) -> None:
    file, article, _ = bundle
    run("import", file)
    editing.trash(article.pk, writing=writing("articles"))
    told, _ = failed("import", file)
    assert told["conflicts"][0]["detail"] == "It is in the trash here."
    told, _ = failed("import", file, "--on-conflict", "update")
    assert told["faults"][0]["entry"] == str(article.pk)
    assert run_json("import", file, "--on-conflict", "skip")["skipped"] == 1
    assert Entry.objects.get(pk=article.pk).trashed_at is not None


def test_a_message_that_somebody_types_passes_nothing_off_as_a_bundle(
    bundle: tuple[Path, Entry, Entry],
) -> None:
    file, article, _ = bundle
    run("import", file)
    entry = Entry.objects.get(pk=article.pk)
    edith = of_user(make_user("edith@example.com", roles=("administrator",)))
    editing.save(
        entry.pk,
        {"title": "Mine"},
        writing=writing("articles", edith),
        base=entry.latest_number,
        message="Imported from development (bundle 0)",
    )
    told, _ = failed("import", file)
    assert told["conflicts"][0]["fields"] == ["title"]


def test_the_keys_are_shown_and_follow_the_ring(bundle: tuple[Path, Entry, Entry]) -> None:
    keys = json.loads(run("keys", "--json"))["keys"]
    assert keys == signing.own_keys()
    assert len(keys) == len(key_ring().ids)
    assert all(key.startswith("ed25519:") for key in keys)


def test_the_key_of_a_ring_is_the_one_that_other_houses_were_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = KeyRing({"k1": bytes(range(32))})
    monkeypatch.setattr(signing, "key_ring", lambda: ring)
    known = "ed25519:2QdL5OwUA1CKTyfrIvSY4fjfNVMZO5feDmKGQENYfe0"
    key, signature = signing.sign(b"message")
    assert [key] == signing.own_keys() == [known]
    assert signing.is_signed_by(known, signature, b"message")


def test_a_published_entry_stays_public_as_it_is_while_an_import_brings_a_draft(
    bundle: tuple[Path, Entry, Entry],
) -> None:
    file, article, _ = bundle
    run("import", file, "--publish")
    save(Entry.objects.get(pk=article.pk), title="Mine")
    publishing.publish(article.pk, writing=writing("articles"), locales=["en"])
    run("import", file, "--on-conflict", "update")
    title = str(writing("articles").collection.by_key["title"].id)
    assert PublishedDocument.objects.get(entry=article.pk, locale="en").data[title] == "Mine"
    assert contents(article.pk)[1][1:3] == ("changed", "One")


def test_nothing_goes_out_or_in_during_a_lockdown(bundle: tuple[Path, Entry, Entry], tmp_path: Path) -> None:
    lockdown.begin(reason="test", by=ROOT)
    for arguments in (("import", bundle[0]), ("export", tmp_path / "x", "--collection", "articles")):
        _, said = failed(*arguments)
        assert "locked down" in said
