"""The form names its modules, so that a browser asks for all of them together."""

import re
from pathlib import Path

from django.contrib.staticfiles import finders
from django.test import Client

from content.admin import scripts
from tests.builders import make_collection


def test_every_module_of_the_form_is_named_once_with_what_it_imports() -> None:
    named = scripts.modules(*scripts.FORM)
    assert len(named) == len(set(named))
    assert named[0] == "content/admin/js/form.js"
    for path in named:
        found = finders.find(path)
        assert found is not None
        text = Path(found).read_text(encoding="utf-8")
        imported = re.findall(r'from "\./([^"]+)"|^import "\./([^"]+)"', text, re.MULTILINE)
        for one, other in imported:
            assert f"content/admin/js/{one or other}" in named, path


def test_the_page_asks_for_its_modules_behind_the_import_map(ada: Client) -> None:
    make_collection("notes", [{"key": "title", "type": "text"}, {"key": "text", "type": "rich_text"}])
    page = ada.get("/admin/content/notes/add/").content.decode()
    asked = re.findall(r'<link rel="modulepreload" href="/static/([^"]+)"', page)
    wanted = [*scripts.modules(*scripts.FORM), *scripts.EDITOR, *scripts.modules(*scripts.EXTENSIONS)]
    assert asked == list(dict.fromkeys(wanted))
    # Chromium before 133 takes no import map any more once a module has been asked for.
    assert page.index('type="importmap"') < page.index('type="module"')
    assert page.index('type="importmap"') < page.index('rel="modulepreload"')
