"""1,194 real documents by many hands, in 16 locales: imported twice, read back, the rest listed with reasons.

The corpus is no part of the repository. It is looked for at QUILLKEEP_CORPUS, or beside the checkout; where it is not,
these tests are skipped and say so. The suite takes a part of it: the pages in all locales, and one folder of the blog.
With QUILLKEEP_WHOLE_CORPUS=1 it takes all of it, for two minutes.
"""

import json
import os
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Event
from content.importing.front_matter import parse
from content.models import DraftDocument, Entry, Locale, PublishedDocument, Version
from tests.builders import allow, anonymous
from tests.database import ROOT

CORPUS = Path(os.environ.get("QUILLKEEP_CORPUS") or ROOT.parent / "shared" / "corpus" / "nodejs")
LOCALES = {
    "ar", "en", "es", "fa", "fr", "id", "ja", "ko", "pt", "pt-br", "ro", "ta", "tr", "uk", "zh-cn", "zh-tw",
}  # fmt: skip

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        not CORPUS.is_dir(),
        reason=f"There is no corpus at {CORPUS}; set QUILLKEEP_CORPUS to test with real documents.",
    ),
]


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """Copy every page of `about`, in all locales, and the blog posts about vulnerabilities."""
    for locale in sorted(LOCALES):
        shutil.copytree(CORPUS / locale / "about", tmp_path / locale / "about")
    shutil.copytree(CORPUS / "en" / "blog" / "vulnerability", tmp_path / "en" / "blog" / "vulnerability")
    shutil.copy(CORPUS / "README.md", tmp_path)
    return tmp_path


def import_folder(folder: Path) -> dict[str, Any]:
    out = StringIO()
    arguments = ("--collection", "nodejs", "--create", "--locale-pattern", "{locale}/**", "--json")
    with pytest.raises(CommandError) as caught:  # the corpus's own README is no document of any locale
        call_command("import_markdown", str(folder), *arguments, stdout=out)
    assert caught.value.returncode == 3
    result: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return result


def files_of(folder: Path) -> dict[tuple[str, str], Path]:
    """Return every document by its locale and its path without locale and ending."""
    files = [path for path in folder.rglob("*") if path.suffix in (".md", ".mdx") and path.parent != folder]
    relative = {path: path.relative_to(folder).with_suffix("") for path in files}
    return {(name.parts[0], "/".join(name.parts[1:])): path for path, name in relative.items()}


def import_twice_and_read_back(folder: Path) -> None:
    files = files_of(folder)
    first = import_folder(folder)
    assert first["failed"] == [{"path": "README.md", "reason": "The path does not fit the locale pattern."}]
    assert first["created"] == first["published"] == len(files)
    assert first["ignored"] == first["notes"] == first["gone"] == []
    assert {code for code, _ in files} == LOCALES <= set(Locale.objects.values_list("code", flat=True))
    assert set(Locale.objects.filter(direction="rtl").values_list("code", flat=True)) == {"ar", "fa"}
    assert Entry.objects.filter(collection__key="nodejs").count() == len({key for _, key in files})

    kept = (Version, Event, Entry, DraftDocument, PublishedDocument)
    before = {model: model.objects.count() for model in kept}
    second = import_folder(folder)
    assert (second["created"], second["updated"], second["published"]) == (0, 0, 0)
    assert second["unchanged"] == len(files)
    assert {model: model.objects.count() for model in kept} == before

    allow("public", collection="nodejs")
    allow("public", collection="authors")
    reader = anonymous()
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for locale in sorted(LOCALES):
        cursor = ""
        while True:
            answer = reader.get(f"/api/v1/content/nodejs?locale={locale}&limit=100&sort=source_path{cursor}")
            assert answer.status_code == 200, answer.content
            page = json.loads(answer.content)
            for document in page["data"]:
                found[locale, document["source_path"]] = document
            if page["meta"]["next_cursor"] is None:
                break
            cursor = f"&cursor={page['meta']['next_cursor']}"
    assert found.keys() == files.keys()
    for place, file in files.items():
        original, document = parse(file.read_bytes()), found[place]
        assert document["title"] == str(original.front["title"]).strip()
        body = document["body"] or {"source": "", "html": ""}  # one post is nothing but its title
        assert body["source"] == original.body
        assert "<script" not in body["html"]
        assert (document["author"] == []) == ("author" not in original.front)
    one = found["en", "blog/vulnerability/july-2021-security-releases"]
    by_slug = reader.get(f"/api/v1/content/nodejs/{one['slug']}?expand=author")
    assert [author["name"] for author in json.loads(by_slug.content)["author"]] == ["Daniel Bevenius"]


@pytest.mark.slow
def test_every_valid_document_of_a_part_is_delivered_and_a_second_run_changes_nothing(part):
    import_twice_and_read_back(part)


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("QUILLKEEP_WHOLE_CORPUS"), reason="Set QUILLKEEP_WHOLE_CORPUS=1 for all of it."
)
def test_every_valid_document_of_the_whole_corpus_is_delivered():
    import_twice_and_read_back(CORPUS)
