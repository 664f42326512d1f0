"""The files of an import: which there are, which locale and identity their paths say, and reading them safely."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from content.importing.front_matter import MAX_FILE, DocumentError, MarkdownDocument, parse

ENDINGS: Final = (".md", ".mdx")
MAX_PATH: Final = 400  # characters of a path in the folder
MAX_PATTERN: Final = 200
_LOCALE: Final = r"(?P<locale>[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,2})"


class PatternError(Exception):
    """The locale pattern can't be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the folder: `path` relative to it, `locale` as its path spells it, `key` the same in every locale."""

    path: str
    locale: str | None
    key: str

    @property
    def message(self) -> str:
        """What the version says that was made from the file."""
        return f"{MESSAGE}{self.path}"[:300]


MESSAGE: Final = "Imported from "


class LocalePattern:
    """Tells the locale from a path: `{locale}/**`, `blog/{locale}/*`, `**/*.{locale}.md`.

    `*` is anything between two slashes, `**` any number of folders; the file's ending plays no part.
    Raises PatternError.
    """

    def __init__(self, pattern: str) -> None:
        if pattern.count("{locale}") != 1 or len(pattern) > MAX_PATTERN or "***" in pattern:
            raise PatternError("A locale pattern holds {locale} once, e.g. {locale}/** or **/*.{locale}")
        bare = re.sub(r"\.(?:mdx?|\*)$", "", pattern)
        parts = re.split(r"(\{locale\}|\*\*/|\*\*|\*)", bare)
        meaning = {"{locale}": _LOCALE, "**/": "(?:[^/]+/)*", "**": ".+", "*": "[^/]+"}
        self._regex = re.compile("".join(meaning.get(part, re.escape(part)) for part in parts))

    def take(self, path: str) -> tuple[str, str] | None:
        """Return the locale as spelled and the path without it, None when the pattern does not fit."""
        match = self._regex.fullmatch(path)
        if match is None:
            return None
        start, end = match.span("locale")
        rest = path[:start].rstrip(".") + path[end:]
        return match["locale"].replace("_", "-"), rest.replace("//", "/").strip("/")


def without_ending(path: str) -> str:
    """Return a path without `.md` or `.mdx`: a page may be Markdown in one language and MDX in another."""
    return path[: -len(PurePosixPath(path).suffix)]


def find(folder: Path, pattern: LocalePattern | None) -> Iterator[Source | tuple[str, str]]:
    """Yield every Markdown file of a folder in a fixed order, or (path, reason) for what can't be imported.

    Hidden files and folders are left out. Links to folders are not followed, links to files only inside of `folder`.
    """
    root = folder.resolve(strict=True)
    for here, folders, files in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in list(folders):
            inner = Path(here) / name
            if inner.is_symlink():
                folders.remove(name)
                yield shown(inner.relative_to(root)), "Links to folders are not followed."
        for name in sorted(files):
            if not name.startswith(".") and name.lower().endswith(ENDINGS):
                yield _source(Path(here) / name, root, pattern)


def _source(file: Path, root: Path, pattern: LocalePattern | None) -> Source | tuple[str, str]:
    relative = file.relative_to(root)
    path = relative.as_posix()
    if not path.isprintable():
        return shown(relative), "The path holds characters that can't be shown, or is not UTF-8."
    if len(path) > MAX_PATH:
        return shown(relative)[:MAX_PATH], f"The path is longer than {MAX_PATH} characters."
    if pattern is None:
        return Source(path, None, without_ending(path))
    taken = pattern.take(without_ending(path))
    if taken is None or not taken[1]:
        return path, "The path does not fit the locale pattern."
    return Source(path, *taken)


def read(folder: Path, source: Source) -> MarkdownDocument:
    """Read and parse one file. Raises DocumentError with the reason.

    The descriptor that is checked is the one that is read, and it is opened without waiting: a pipe named `a.md`
    can't hold the import up, a link out of the folder shows nothing of the machine.
    """
    root = folder.resolve(strict=True)
    try:
        target = (root / source.path).resolve(strict=True)
        if not target.is_relative_to(root):
            raise DocumentError("It is a link to something outside of the folder.")
        descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of links, before Python 3.13
        raise DocumentError(
            f"The file can't be read ({getattr(error, 'strerror', None) or 'a circle'})."
        ) from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DocumentError("It is no ordinary file.")
        return parse(stream.read(MAX_FILE + 1))


def shown(path: Path) -> str:
    """Return a path for people and logs: what would move their terminal's cursor is spelled out."""
    return ascii(path.as_posix())[1:-1] if not path.as_posix().isprintable() else path.as_posix()
