"""`import_markdown`, end to end: new, unchanged, changed, gone and bad files; and what hostile folders try."""

import json
import os
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.audit import archiving
from accounts.log import seal_pending
from accounts.models import Event, Position, User
from content import editing, publishing
from content.models import Collection, DraftDocument, Entry, Field, Locale, PublishedDocument, Version
from tests.builders import (
    ROOT,
    allow,
    anonymous,
    make_collection,
    make_entry,
    make_key,
    make_role,
    make_user,
    writing,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "site"


def write(folder, path, text):
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def post(title, body="Some words.", **front):
    lines = [f"title: {title}", *(f"{key}: {value}" for key, value in front.items())]
    return "---\n" + "\n".join(lines) + f"\n---\n\n{body}\n"


def run(folder, *arguments, collection="posts", code=0):
    """Run the command; returns the JSON of its last line."""
    out, exited = StringIO(), 0
    try:
        call_command(
            "import_markdown", str(folder), "--collection", collection, "--json", *arguments, stdout=out
        )
    except CommandError as error:
        exited = error.returncode
    assert exited == code, out.getvalue()
    return json.loads(out.getvalue().splitlines()[-1])


def counts(result):
    """Return what is not nought."""
    numbers = {key: result[key] for key in ("created", "updated", "unchanged", "published")}
    return {key: count for key, count in {**numbers, "failed": len(result["failed"])}.items() if count}


def refusal(folder, *arguments, collection="posts"):
    with pytest.raises(CommandError) as caught:
        call_command(
            "import_markdown", str(folder), "--collection", collection, *arguments, stdout=StringIO()
        )
    assert caught.value.returncode == 1
    return str(caught.value)


def state():
    """Return what a second run must leave as it is."""
    kept = (Version, Event, Entry, DraftDocument, PublishedDocument)
    return {model.__name__: model.objects.count() for model in kept}


def delivered(collection="posts", **parameters):
    query = "&".join(f"{key}={value}" for key, value in {"limit": 100, **parameters}.items())
    answer = anonymous().get(f"/api/v1/content/{collection}?{query}")
    assert answer.status_code == 200, answer.content
    return {document.get("source_path", document.get("slug")): document for document in answer.json()["data"]}


# From files to delivery


def test_a_folder_becomes_a_collection_that_is_delivered(folder):
    body = "# Hi\n\n**bold** <script>x</script>"
    common = {"date": "2020-01-31T10:00:00.000Z", "category": "news"}
    write(folder, "blog/v1.10.md", post("One", body, author="Ada Lovelace", tags="[a, b]", **common))
    several = "Ada Lovelace (@ada), Mary Somerville"
    write(
        folder,
        "blog/two.mdx",
        post("Two", "Hi <X /> there", author=several, featured="true", weight="3", **common),
    )
    toml = "title = 'Three'\ndate = 2022-01-31T10:00:00Z\ncategory = 'essay'\nprice = 1.5"
    write(folder, "three.md", f"+++\n{toml}\n+++\nThree\n")
    result = run(folder, "--create")
    assert counts(result) == {"created": 3, "published": 3}
    assert result["made"] == ["collection authors", "collection posts"]
    allow("public", collection="posts")
    allow("public", collection="authors")
    found = delivered(expand="author", sort="date")
    assert set(found) == {"blog/v1.10", "blog/two", "three"}
    first = found["blog/v1.10"]
    assert first["slug"] == "v1-10"
    assert first["date"] == "2020-01-31T10:00:00Z"
    assert first["tags"] == ["a", "b"]
    assert "<strong>bold</strong>" in first["body"]["html"]
    assert "script" not in first["body"]["html"]
    assert [author["name"] for author in found["blog/two"]["author"]] == ["Ada Lovelace", "Mary Somerville"]
    assert found["blog/two"]["author"][0]["handles"] == ["@ada"]
    assert first["author"][0]["_id"] == found["blog/two"]["author"][0]["_id"]
    assert (found["blog/two"]["featured"], found["blog/two"]["weight"]) == (True, 3)
    assert list(delivered(**{"filter[category][eq]": "essay"})) == ["three"]
    assert list(delivered(**{"filter[source_path][eq]": "blog/two"})) == ["blog/two"]
    types = dict(Field.objects.filter(collection__key="posts").values_list("key", "type"))
    assert types == {
        "title": "text", "slug": "slug", "body": "markdown", "source_path": "text", "date": "datetime",
        "author": "references", "category": "choice", "tags": "tags", "featured": "boolean", "weight": "integer",
        "price": "decimal",
    }  # fmt: skip


def test_a_second_run_changes_nothing(folder):
    for name in range(5):
        write(
            folder,
            f"{name}.md",
            post(f"Post {name}", author="Ada Lovelace", date="2020-01-01", layout="post"),
        )
    run(folder, "--create")
    before = state()
    again = run(folder, "--create")
    assert counts(again) == {"unchanged": 5}
    assert state() == before


def test_a_changed_file_makes_one_version_that_says_where_it_is_from(folder):
    write(folder, "a.md", post("One", summary="short"))
    write(folder, "b.md", post("Two", summary="short"))
    run(folder, "--create")
    allow("public", collection="posts")
    before = state()
    write(folder, "a.md", post("Uno"))
    assert counts(run(folder)) == {"updated": 1, "unchanged": 1, "published": 1}
    assert state() == {**before, "Version": before["Version"] + 1, "Event": before["Event"] + 2}
    newest = Version.objects.order_by("-id").first()
    assert (newest.number, newest.message) == (2, "Imported from a.md")
    found = delivered()
    assert (found["a"]["title"], found["a"]["summary"]) == ("Uno", None)
    assert found["a"]["slug"] == "a", "a new title keeps the address"
    assert counts(run(folder))["unchanged"] == 2


def test_a_file_that_is_gone_is_reported_only(folder):
    write(folder, "a.md", post("One"))
    gone = write(folder, "b.md", post("Two"))
    run(folder, "--create")
    before = state()
    gone.unlink()
    assert run(folder)["gone"] == ["b.md"]
    assert state() == before


def test_one_document_in_several_locales_is_one_entry(folder):
    write(folder, "en/about/index.md", post("About", layout="about"))
    write(folder, "de/about/index.mdx", post("Über uns", layout="about"))
    write(folder, "ar/about/index.md", post("حول", layout="about"))
    write(folder, "en/news.md", post("News"))
    result = run(folder, "--create", "--locale-pattern", "{locale}/**")
    assert counts(result) == {"created": 4, "published": 4}
    assert Entry.objects.count() == 2
    assert dict(Locale.objects.values_list("code", "direction")) == {"en": "ltr", "de": "ltr", "ar": "rtl"}
    allow("public", collection="posts")
    assert {key: document["title"] for key, document in delivered(locale="ar").items()} == {
        "about/index": "حول"
    }
    assert delivered(locale="de")["about/index"]["slug"] == "about"
    assert set(delivered()) == {"about/index", "news"}
    before = state()
    assert counts(run(folder, "--locale-pattern", "{locale}/**"))["unchanged"] == 4
    assert state() == before
    write(folder, "de/about/index.mdx", post("Wir", layout="about"))
    assert counts(run(folder, "--locale-pattern", "{locale}/**")) == {
        "updated": 1,
        "unchanged": 3,
        "published": 1,
    }
    write(folder, "de/news.md", post("Neues"))
    assert counts(run(folder, "--locale-pattern", "{locale}/**"))["created"] == 1
    assert Entry.objects.count() == 2


def test_what_all_locales_share_comes_from_the_default_one(folder):
    write(folder, "en/a.md", post("A", weight=1))
    write(folder, "de/a.md", post("A de", weight=1))
    run(folder, "--create", "--locale-pattern", "{locale}/**")
    write(folder, "de/a.md", post("A de", weight=7))
    overruled = run(folder, "--locale-pattern", "{locale}/**")
    assert counts(overruled) == {"unchanged": 2}
    reason = "weight is the same in all locales, as in en/a.md."
    assert overruled["notes"] == [{"path": "de/a.md", "reason": reason}]
    write(folder, "en/a.md", post("A", weight=2))
    assert counts(run(folder, "--locale-pattern", "{locale}/**")) == {
        "updated": 1,
        "unchanged": 1,
        "published": 2,
    }
    allow("public", collection="posts")
    assert delivered(locale="de")["a"]["weight"] == 2


def test_an_unknown_locale_is_listed_and_a_folder_that_is_no_language_never_becomes_one(folder):
    write(folder, "en/a.md", post("A"))
    write(folder, "de/a.md", post("A de"))
    write(folder, "api/a.md", post("API"))
    write(folder, "README.md", "# Read me\n")
    created = run(folder, "--create", "--locale-pattern", "{locale}/**", code=3)
    assert created["failed"] == [
        {"path": "README.md", "reason": "The path does not fit the locale pattern."},
        {"path": "api/a.md", "reason": "There is no locale api."},
    ]
    write(folder, "fr/a.md", post("A fr"))
    without = run(folder, "--locale-pattern", "{locale}/**", code=3)
    assert {"path": "fr/a.md", "reason": "There is no locale fr."} in without["failed"]
    assert not Locale.objects.filter(code="fr").exists()


# Bad files


def test_bad_files_are_listed_with_their_reasons_and_the_others_are_imported(folder):
    for number in range(60):
        write(folder, f"good/{number}.md", post(f"Good {number}", date="2020-01-01"))
    write(folder, "bad/yaml.md", "---\na: [1\n---\n")
    write(folder, "bad/python.md", "---\ntitle: !!python/object/apply:os.system [id]\n---\n")
    write(folder, "bad/bytes.md", b"---\ntitle: \xff\n---\n")
    write(folder, "bad/nul.md", post("x\x00y"))
    write(folder, "bad/date.md", post("Odd date", date="next Tuesday"))
    write(folder, "bad/untitled.md", "Just words.\n")
    write(folder, "bad/big.md", b"x" * (2 * 1024 * 1024 + 1))
    result = run(folder, "--create", code=3)
    assert counts(result) == {"created": 60, "published": 60, "failed": 7}
    reasons = {item["path"]: item["reason"] for item in result["failed"]}
    assert set(reasons) == {
        f"bad/{name}.md" for name in ("yaml", "python", "bytes", "nul", "date", "untitled", "big")
    }
    assert "no YAML" in reasons["bad/yaml.md"]
    assert "tag" in reasons["bad/python.md"]
    assert "not UTF-8" in reasons["bad/bytes.md"]
    assert "NUL" in reasons["bad/nul.md"]
    assert reasons["bad/date.md"].startswith("date: ")
    assert reasons["bad/untitled.md"].startswith("title: ")
    assert "2 MB" in reasons["bad/big.md"]
    assert Entry.objects.filter(collection__key="posts").count() == 60
    assert counts(run(folder, code=3)) == {"unchanged": 60, "failed": 7}


def test_a_bad_translation_does_not_take_the_good_ones_along(folder):
    write(folder, "en/a.md", post("A", weight=1))
    write(folder, "de/a.md", post("A de", weight=1))
    write(folder, "fr/a.md", "No title.\n")
    arguments = ("--create", "--locale-pattern", "{locale}/**")
    result = run(folder, *arguments, code=3)
    assert counts(result) == {"created": 2, "published": 2, "failed": 1}
    before = state()
    assert counts(run(folder, *arguments, code=3))["unchanged"] == 2
    assert state() == before


def test_a_heading_is_the_title_where_there_is_no_front_matter(folder):
    write(folder, "a.md", "# A heading #\n\nWords.\n")
    run(folder, "--create")
    assert DraftDocument.objects.get().title == "A heading"


def test_what_the_api_would_refuse_the_import_refuses_too(folder):
    body = "Click [here](javascript:alert(1)) <img src=x onerror=alert(1)>"
    write(folder, "a.md", post("One", body, link="javascript:alert(1)", mail="x"))
    make_collection(
        "posts",
        [
            {"key": "title", "type": "text", "required": True},
            {"key": "slug", "type": "slug"},
            {"key": "body", "type": "markdown"},
            {"key": "link", "type": "url"},
            {"key": "mail", "type": "email"},
        ],
    )
    result = run(folder, code=3)
    assert "link: " in result["failed"][0]["reason"]
    assert "mail: " in result["failed"][0]["reason"]
    write(folder, "a.md", post("One", body))
    run(folder)
    allow("public", collection="posts")
    html = delivered()["a"]["body"]["html"]
    assert "javascript:" not in html.replace("(javascript:", "")
    assert "onerror" not in html


def test_keys_without_a_field_are_reported_with_their_number(folder):
    make_collection("posts")
    write(folder, "a.md", post("A", layout="x", mood="good"))
    write(folder, "b.md", post("B", layout="x"))
    result = run(folder)
    reason = "The collection has no field of its own for it."
    assert result["ignored"] == [
        {"key": "layout", "documents": 2, "reason": reason},
        {"key": "mood", "documents": 1, "reason": reason},
    ]


def test_links_out_of_the_folder_pipes_and_hidden_files_are_not_read(folder, tmp_path):
    write(folder, "a.md", post("A"))
    secret = write(tmp_path, "secret.md", post("Secret"))
    (folder / "out.md").symlink_to(secret)
    (folder / "circle.md").symlink_to(folder / "circle.md")
    (folder / "inside.md").symlink_to(folder / "a.md")
    (folder / "folder").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.md")
    write(folder, ".git/b.md", post("Hidden"))
    write(folder, "bell\x07.md", post("Bell"))
    result = run(folder, "--create", code=3)
    reasons = {item["path"]: item["reason"] for item in result["failed"]}
    assert set(reasons) == {"out.md", "circle.md", "folder", "pipe.md", "bell\\x07.md"}
    assert "outside" in reasons["out.md"]
    assert reasons["pipe.md"] == "It is no ordinary file."
    assert set(DraftDocument.objects.filter(collection__key="posts").values_list("title", flat=True)) == {"A"}
    assert result["created"] == 2


def test_names_that_climb_or_clash_stay_names(folder):
    write(folder, "a/x..%2f..%2fetc.md", post("Dots"))
    write(folder, "a/same.md", post("One"))
    write(folder, "b/same.md", post("Two"))
    write(folder, "b/same.mdx", post("Three"))
    result = run(folder, "--create", code=3)
    assert result["failed"] == [{"path": "b/same.mdx", "reason": "The same document as b/same.md."}]
    allow("public", collection="posts")
    assert {document["slug"] for document in delivered().values()} == {"x-2f-2fetc", "same", "b-same"}


def test_escape_sequences_in_keys_do_not_reach_the_terminal(folder):
    make_collection("posts")
    write(folder, "a.md", '---\ntitle: A\n"\\e[2Jhidden": 1\n---\n')
    out = StringIO()
    call_command("import_markdown", str(folder), "--collection", "posts", stdout=out)
    assert "hidden" in out.getvalue()
    assert "\x1b" not in out.getvalue()


# People and the import


def test_what_people_changed_since_stays_until_the_file_changes(folder):
    write(folder, "a.md", post("One", "First."))
    run(folder, "--create")
    entry = Entry.objects.get(collection__key="posts")
    editing.save(entry.pk, {"title": "Edited"}, writing=writing("posts"), base=1)
    before = state()
    assert counts(run(folder)) == {"unchanged": 1}
    assert state() == before
    write(folder, "a.md", post("One", "Second."))
    result = run(folder)
    assert counts(result) == {"updated": 1}
    assert result["notes"] == [{"path": "a.md", "reason": "Not published: the entry has changes by others."}]


def test_what_people_unpublished_stays_unpublished(folder):
    write(folder, "a.md", post("One", "A secret."))
    run(folder, "--create")
    publishing.unpublish(Entry.objects.get(collection__key="posts").pk, writing=writing("posts"))
    assert counts(run(folder)) == {"unchanged": 1}
    write(folder, "a.md", post("One", "Another secret."))
    result = run(folder)
    assert (result["updated"], result["published"]) == (1, 0)
    assert not PublishedDocument.objects.exists()


def test_what_people_unpublished_stays_so_once_that_is_in_an_archive_of_the_log(folder, settings, tmp_path):
    """What the tables no longer tell must not be taken for "nobody did"."""
    settings.DATA_DIR = tmp_path / "data"
    write(folder, "a.md", post("One", "A secret."))
    run(folder, "--create")
    publishing.unpublish(Entry.objects.get(collection__key="posts").pk, writing=writing("posts"))
    make_collection("other", [])  # the newest event stays in the tables
    seal_pending()
    Position.objects.all().delete()  # of the house's own consumers, which no worker moves on here
    assert list(archiving.archive(timezone.now(), by=ROOT))
    assert not Event.objects.filter(type="entry.unpublished").exists()
    write(folder, "a.md", post("One", "Another secret."))
    write(folder, "b.md", post("Two"))
    result = run(folder)
    assert (result["created"], result["updated"], result["published"]) == (1, 1, 1)
    assert PublishedDocument.objects.get().data


def test_drafts_are_published_by_a_later_run_unless_the_file_says_draft(folder):
    write(folder, "a.md", post("One"))
    write(folder, "b.md", post("Two", draft="true"))
    assert counts(run(folder, "--create", "--no-publish")) == {"created": 2}
    assert counts(run(folder)) == {"unchanged": 2, "published": 1}
    assert DraftDocument.objects.get(status="draft").title == "Two"


def test_what_is_in_the_trash_is_not_brought_back(folder):
    write(folder, "a.md", post("One"))
    run(folder, "--create")
    editing.trash(Entry.objects.get(collection__key="posts").pk, writing=writing("posts"))
    reason = "Its entry is in the trash. Restore it, or erase it."
    assert run(folder, code=3)["failed"] == [{"path": "a.md", "reason": reason}]


def test_a_dry_run_tries_everything_and_leaves_nothing(folder):
    write(folder, "en/a.md", post("One", author="Ada Lovelace"))
    write(folder, "de/a.md", post("Eins"))
    write(folder, "en/bad.md", "---\n[\n---\n")
    before = state()
    result = run(folder, "--create", "--dry-run", "--locale-pattern", "{locale}/**", code=3)
    assert counts(result) == {"created": 2, "published": 2, "failed": 1}
    assert state() == before
    assert not Collection.objects.exists()
    assert counts(run(folder, "--create", "--locale-pattern", "{locale}/**", code=3))["created"] == 2


def test_an_import_in_somebodys_name_has_their_rights(folder):
    write(folder, "a.md", post("One"))
    make_collection("posts")
    make_role("writer", {"collection": "posts", "actions": ("read_draft", "create", "update")})
    walter = make_user("walter@example.com", roles=("writer",))
    refused = run(folder, "--as", "walter@example.com", code=3)
    assert refused["failed"] == [{"path": "a.md", "reason": "You may not publish here."}]
    assert not Entry.objects.exists()
    assert counts(run(folder, "--as", "walter@example.com", "--no-publish"))["created"] == 1
    assert Version.objects.get().author_id == walter.pk
    rita = make_user("rita@example.com", roles=())
    assert "There is no collection posts" in refusal(folder, "--as", "rita@example.com")
    User.objects.filter(pk=rita.pk).update(is_active=False)
    assert "no active user" in refusal(folder, "--as", "rita@example.com")
    assert "can't be created" in refusal(folder, "--as", "walter@example.com", "--create", collection="more")


def test_a_name_that_nobody_has_is_refused_without_create(folder):
    make_collection("authors", [{"key": "name", "type": "text", "required": True}])
    make_collection(
        "posts",
        [
            {"key": "title", "type": "text", "required": True},
            {"key": "slug", "type": "slug", "options": {"from": "title"}},
            {"key": "text", "type": "markdown"},
            {"key": "author", "type": "reference", "options": {"collections": ["authors"]}},
        ],
    )
    ada = make_entry("authors", name="Ada Lovelace")
    write(folder, "a.md", post("One", author="Ada Lovelace"))
    write(folder, "b.md", post("Two", author="Mallory Nobody"))
    write(folder, "c.md", post("Three", author="Ada Lovelace and Mary Somerville"))
    result = run(folder, code=3)
    assert [item["path"] for item in result["failed"]] == ["b.md", "c.md"]
    assert "Mallory Nobody" in result["failed"][0]["reason"]
    assert "Mary Somerville" in result["failed"][1]["reason"]
    allow("public", collection="posts")
    allow("public", collection="authors")
    assert delivered()["a"]["author"]["_id"] == str(ada.pk)
    assert counts(run(folder, code=3))["unchanged"] == 1, "found again by its slug"


def test_what_somebody_wrote_by_hand_is_not_overwritten_for_having_the_same_slug(folder):
    make_collection("posts")
    by_hand = make_entry("posts", title="Hello", slug="hello", body="Mine.")
    write(folder, "hello.md", post("Hello", "Theirs."))
    assert run(folder, code=3)["failed"] == [
        {"path": "hello.md", "reason": "Somebody has written an entry with this slug."}
    ]
    assert Version.objects.get().entry_id == by_hand.pk


def test_what_stops_an_import_is_said_before_anything_is_written(folder, tmp_path):
    write(folder, "a.md", post("One"))
    assert "--create" in refusal(folder)
    assert "no folder" in refusal(tmp_path / "nothing")
    assert "{locale}" in refusal(folder, "--locale-pattern", "nothing")
    make_collection("posts", [{"key": "title", "type": "text"}])
    assert "markdown" in refusal(folder)
    make_collection("single", kind="single")
    assert "many entries" in refusal(folder, collection="single")
    make_collection("bare", [{"key": "title", "type": "text"}, {"key": "body", "type": "markdown"}])
    assert "slug" in refusal(folder, collection="bare")
    assert "can't be created" in refusal(folder, "--create", collection="No Key")
    assert not Entry.objects.exists()


def test_an_imported_draft_is_nowhere_for_readers(folder):
    write(folder, "a.md", post("One"))
    run(folder, "--create", "--no-publish")
    allow("public", collection="posts")
    make_role("reader", {"collection": "posts", "actions": ("read",)})
    assert delivered() == {}
    assert make_key(role="reader").get("/api/v1/content/posts/a").status_code == 404
