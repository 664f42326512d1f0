"""Which modules a page's script is made of, so that a browser asks for all of them at once and not level by level."""

import re
from functools import cache
from pathlib import Path

from django.contrib.staticfiles import finders

FOLDER = "content/admin/js/"
FORM = ("form.js",)
# What `rich.js` loads when the page has come to rest; by name, as the page's import map has it.
EDITOR = ("django_prose_editor/editor.js", "django_prose_editor/configurable.js")
EXTENSIONS = ("rich-extensions.js",)

_IMPORT = re.compile(r'^(?:import|export)\s(?:[^";]*\sfrom\s)?\s*"\./([a-z-]+\.js)"', re.MULTILINE)


@cache
def modules(*names: str) -> tuple[str, ...]:
    """Return the static files of our modules with everything that they import, each once, the outermost first."""
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        path = finders.find(FOLDER + name)
        if FOLDER + name in found or not isinstance(path, str):
            continue
        found[FOLDER + name] = None
        waiting += _IMPORT.findall(Path(path).read_text(encoding="utf-8"))
    return tuple(found)
