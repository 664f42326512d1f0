"""`make faults`: what is lost when something dies (threats.md, section 3.3), by real processes on servers of its own.

`python -m bench.faults [--quick] [--only W2,BR1] [--json]`. Each row is one run: events are published while the fault
happens, receivers on loopback keep what they are sent, and then the log is compared with what they took. Exits 1 when
a row fails.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.fault_rows import backups, broker, database, incoming, receivers, serving, workers
from bench.fault_rows.base import FULL, QUICK, ROWS, Row, Size
from bench.ground import BenchError
from bench.house import Counts, House, Scene

KINDS: Final = ("W", "BR", "DB", "CA", "PR", "R", "CK", "BK")
# Importing them fills the table.
SECTIONS: Final = (workers, incoming, broker, database, serving, receivers, backups)
ROWS.append(
    Row(
        "CK2",
        "scheduled publishing across a change of the clock",
        why_not="scheduled publishing is not built",
    )
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A row that was run, or was not."""

    code: str
    what: str
    seconds: float
    counts: Counts | None
    why_not: str = ""

    @property
    def is_failed(self) -> bool:
        return self.counts is not None and bool(self.counts.problems)


def run_row(house: House, item: Row, size: Size) -> Verdict:
    """Run one row in a scene of its own."""
    began = time.monotonic()
    if item.act is None:
        return Verdict(item.code, item.what, 0.0, None, item.why_not)
    try:
        with Scene(house, item.code) as scene:
            counts = item.act(scene, size)
            if counts.problems:
                counts.notes += [
                    f"{name}: {line[:200]}"
                    for name in scene.processes
                    for line in scene.log_of(name).splitlines()
                    if "Traceback" in line or '"ERROR"' in line or "CRITICAL" in line
                ][-5:]
    except (BenchError, OSError) as error:
        told = str(error).strip().splitlines() or [type(error).__name__]
        counts = Counts(problems=[f"it broke: {told[-1]}"], notes=told[-30:-1])
    return Verdict(item.code, item.what, time.monotonic() - began, counts)


def table(verdicts: Sequence[Verdict]) -> Table:
    """Return the table as it is shown."""
    shown = Table(title="What is lost when something dies")
    for name in ("row", "what was done"):
        shown.add_column(name)
    for name in ("sent", "received", "lost", "duplicates", "seconds"):
        shown.add_column(name, justify="right")
    shown.add_column("verdict")
    for verdict in verdicts:
        counts = verdict.counts
        if counts is None:
            shown.add_row(verdict.code, verdict.what, "", "", "", "", "", verdict.why_not)
            continue
        numbers = (str(item) for item in (counts.sent, counts.received, counts.lost, counts.duplicates))
        told = "; ".join(counts.problems) if counts.problems else "; ".join(["held", *counts.notes])
        style = "red" if counts.problems else ""
        shown.add_row(verdict.code, verdict.what, *numbers, f"{verdict.seconds:.0f}", told, style=style)
    return shown


def _place(item: Row) -> tuple[int, int]:
    kind = item.code.rstrip("0123456789")
    return KINDS.index(kind), int(item.code.removeprefix(kind))


def main() -> int:
    """Return 0 when every row that was run held."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="few events, short outages, leases not waited for"
    )
    parser.add_argument("--only", default="", help="rows by their codes, comma separated")
    parser.add_argument("--json", action="store_true", help="repeat the table as the last line of stdout")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers and their folder go away
    chosen = {code.strip().upper() for code in arguments.only.split(",") if code.strip()}
    if unknown := chosen - {item.code for item in ROWS}:
        parser.error(f"There are no rows {', '.join(sorted(unknown))}.")
    rows = [item for item in sorted(ROWS, key=_place) if not chosen or item.code in chosen]
    size = QUICK if arguments.quick else FULL
    console = Console(stderr=True)
    verdicts: list[Verdict] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with House() as house, Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(rows))
        for item in rows:
            progress.update(task, description=f"{item.code}: {item.what}")
            verdict = run_row(house, item, size)
            verdicts.append(verdict)
            if not verdict.is_failed:
                console.print(
                    f"{item.code}: {verdict.why_not or 'held'}, {verdict.seconds:.0f} s", markup=False
                )
            if verdict.is_failed and verdict.counts is not None:
                console.print(f"{item.code} failed: {'; '.join(verdict.counts.problems)}", markup=False)
                for note in verdict.counts.notes:
                    console.print(f"    {note}", markup=False)
            progress.advance(task)
    Console(width=max(150, Console().width)).print(table(verdicts))
    if arguments.json:
        print(json.dumps([asdict(verdict) for verdict in verdicts]))
    return 1 if any(verdict.is_failed for verdict in verdicts) else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130 if os.name == "posix" else 1)
