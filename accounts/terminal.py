"""What a terminal is shown: texts that other people made, and how far something is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from django.core.management.base import OutputWrapper
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY: Final = 1000  # where there is no terminal

Told = Callable[[int, int], None]  # done, in all


def printable(text: str) -> str:
    """Return a text without what commands a terminal: an escape sequence could rewrite what it shows."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


@contextmanager
def progress(title: str, what: str, out: OutputWrapper) -> Iterator[Told]:
    """Give what is to be told how far it is: it moves a bar on a terminal, and writes a line now and then elsewhere."""
    if out.isatty():
        columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(file=sys.stdout), transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    lines = 0

    def line(done: int, total: int) -> None:
        nonlocal lines
        if done and (done == total or done // LINE_EVERY > lines):
            lines = done // LINE_EVERY
            out.write(f"{done} of {total} {what}")

    yield line
