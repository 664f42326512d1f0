"""Progress of a long command: a bar on a terminal, a line of JSON for each step where a program listens."""

import json
import sys
import time
from types import TracebackType
from typing import IO, Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_EVERY: Final = 1.0  # seconds between two lines of JSON of one step


class Shown:
    """A content.backups.progress.Progress on stderr; stdout is for the result."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.stream = stream or sys.stderr
        self.is_terminal = self.stream.isatty()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._name, self._total, self._done, self._told = "", 0, 0, 0.0

    def __enter__(self) -> Self:
        if self.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description:<22}"),
                BarColumn(bar_width=32),
                TextColumn("{task.fields[amount]}"),
                TimeElapsedColumn(),
                console=Console(file=self.stream),
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(is_done=kind is None)
        if self._bar is not None:
            self._bar.stop()

    def step(self, name: str, total: int = 0) -> None:
        """Begin a step."""
        self._end(is_done=True)
        self._name, self._total, self._done, self._told = name, total, 0, time.monotonic()
        if self._bar is not None:
            self._task = self._bar.add_task(name, total=total or None, amount="")
        else:
            self._tell("begun")

    def advance(self, amount: int) -> None:
        """Count what was done of it."""
        self._done += amount
        now = time.monotonic()
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task, completed=min(self._done, self._total or self._done), amount=self._amount()
            )
        elif now - self._told >= _EVERY:
            self._told = now
            self._tell("going on")

    def _end(self, *, is_done: bool) -> None:
        if not self._name:
            return
        if self._bar is not None and self._task is not None:
            if is_done:
                self._bar.update(self._task, total=1, completed=1, amount=self._amount())
        elif is_done:
            self._tell("done")
        self._name = ""

    def _amount(self) -> str:
        if self._done >= 2**20:
            return f"{self._done / 2**20:,.0f} MiB"
        return f"{self._done:,}" if self._done else ""

    def _tell(self, what: str) -> None:
        line = {"step": self._name, "is": what, "amount": self._done, "of": self._total or None}
        self.stream.write(json.dumps(line) + "\n")
        self.stream.flush()
