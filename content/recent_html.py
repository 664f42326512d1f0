"""The HTML of Markdown texts that were just rendered: one save with its publishing asks for the same text five times.

Rendering is a pure function of the text and costs 0.1 s per 100 KB, so remembering it changes nothing but the time.
"""

from collections import OrderedDict
from threading import Lock
from typing import Final

from content import markdown

ROOM: Final = 8_000_000  # characters of texts and their HTML that a process keeps

_lock = Lock()
_kept: OrderedDict[str, str] = OrderedDict()
_size = 0


def to_html(source: str) -> str:
    """Return `markdown.to_html(source)`. Raises MarkupError as that does, and remembers no failure."""
    global _size  # noqa: PLW0603 (the room that `_kept` takes)
    with _lock:
        if source in _kept:
            _kept.move_to_end(source)
            return _kept[source]
    made = markdown.to_html(source)
    with _lock:
        if source not in _kept and len(source) + len(made) <= ROOM // 2:
            _kept[source] = made
            _size += len(source) + len(made)
        while _size > ROOM:
            old, html = _kept.popitem(last=False)
            _size -= len(old) + len(html)
    return made
