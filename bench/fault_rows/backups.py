"""What happens to backups: disks fill, processes die, bits flip, keys change (rows BK)."""

import base64
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pyrage import x25519

from bench.fault_rows.base import ROWS, Row, Size, row
from bench.fault_rows.client import Client, told
from bench.ground import ROOT
from bench.house import Counts, Scene
from cms_project.servers import OWNER

CANARY: Final = "Canary of the backups"
_SECONDS: Final = 300.0


class Place:
    """Backups of a scene: where they go, who reads them, and the command."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.folder = scene.house.folder / f"{scene.database}-backups"
        self.data = scene.house.folder / f"{scene.database}-data"
        (self.data / "media").mkdir(parents=True)
        self.identity = str(x25519.Identity.generate())
        self.scratch = f"{scene.database}_scratch"
        scene.house.servers.create_database(self.scratch)

    def values(self, **more: str) -> dict[str, str]:
        """Return the environment of a keeper."""
        return {
            **self.scene.house.environment(self.scene.database, owner=True),
            "DATA_DIR": str(self.data),
            "BACKUP_TO": f"file://{self.folder}",
            "BACKUP_RECIPIENTS": str(x25519.Identity.from_str(self.identity).to_public()),
            "BACKUP_IDENTITY": self.identity,
            "SCRATCH_DATABASE_URL": self.scene.house.servers.database_url(OWNER, self.scratch),
            **more,
        }

    def popen(self, *arguments: str, before: tuple[str, ...] = (), **more: str) -> subprocess.Popen[str]:
        """Start `manage.py backup …`."""
        return subprocess.Popen(
            [*before, sys.executable, str(ROOT / "manage.py"), "backup", *arguments],
            cwd=ROOT,
            env=self.values(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, before: tuple[str, ...] = (), **more: str) -> tuple[int, str, str]:
        """Run it to its end; return status, stdout and stderr."""
        process = self.popen(*arguments, before=before, **more)
        out, err = process.communicate(timeout=_SECONDS)
        return process.returncode, out, err

    def create(self) -> str:
        """Make a backup and return its name."""
        status, out, err = self.run("create", "--json")
        if status:
            raise OSError(f"backup create: {err[-300:]}")
        return str(json.loads(out.splitlines()[-1])["name"])

    def listed(self) -> list[str]:
        """Return the names that the command lists."""
        out = self.run("list", "--json")[1]
        return [str(item["name"]) for item in json.loads(out.splitlines()[-1])["backups"]]

    def files(self, name: str) -> list[Path]:
        """Return the files of one backup, its media files included."""
        return [*sorted((self.folder / name).iterdir()), *sorted((self.folder / "objects").rglob("*.age"))]

    def is_whole(self, name: str) -> bool:
        return self.run("verify", name)[0] == 0

    def fill(self, files: int, size: int) -> None:
        """Put media files there."""
        for number in range(files):
            (self.data / "media" / f"file-{number}").write_bytes(os.urandom(size))

    def snapshot(self) -> dict[str, bytes]:
        """Return every file of the store."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }


@contextmanager
def _writing(scene: Scene, clients: int = 4) -> Iterator[list[Client]]:
    """Have clients publish all the time."""
    found = [Client(scene) for _ in range(clients)]
    are_over = threading.Event()

    def publish(client: Client, name: int) -> None:
        number = 0
        while not are_over.is_set():
            client.publish_one(f"{CANARY} {name} {number}")
            number += 1

    threads = [
        threading.Thread(target=publish, args=item) for item in zip(found, range(clients), strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        are_over.set()
        for thread in threads:
            thread.join()


@row("BK1", "the disk is full in the middle of a backup, while others publish")
def disk_full(scene: Scene, size: Size) -> Counts:  # noqa: ARG001 (a row like the others)
    """It fails with a sentence and an event, leaves nothing, and the backup before is as it was."""
    place = Place(scene)
    counts = Counts()
    scene.start("web")
    good = place.create()
    place.fill(8, 2**20)
    before = place.snapshot()
    # A file system of its own, so small that it fills up; without user namespaces a limit on the length of files.
    to = place.folder
    mount = f"mount -t tmpfs -o size={5 * 2**20} tmpfs {to} && cp -r {to}.kept/. {to}/"
    script = f'{mount} && {{ "$@"; status=$?; find {to} -type f | sort > {to}.left; exit $status; }}'
    shutil.copytree(place.folder, f"{place.folder}.kept")
    # Who is root already needs no user namespace; inside of one, the socket of PostgreSQL would be out of reach.
    unshare = (
        ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--mount")
    )
    inside: tuple[str, ...] = (*unshare, "sh", "-c", script, "sh")
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        inside = ("sh", "-c", 'trap "" XFSZ; ulimit -f 512; exec "$@"', "sh")
        counts.notes.append("no namespaces here: a limit on file sizes instead of a full disk")
    with _writing(scene) as clients:
        status, _, err = place.run("create", before=inside)
        statuses = [item for client in clients for item in client.statuses]
    left = Path(f"{place.folder}.left")
    files = (
        left.read_text().splitlines()
        if left.exists()
        else [str(place.folder / name) for name in place.snapshot()]
    )
    counts.expect(status == 1, f"status {status}")
    counts.expect("can't be written" in err, f"it said: {err[-200:]}")
    counts.expect("Traceback" not in err, "a traceback")
    counts.expect(files == sorted(str(place.folder / name) for name in before), "something is left, or gone")
    counts.expect(place.listed() == [good], "the list holds another one")
    counts.expect(place.is_whole(good), "the backup before is damaged")
    failed = scene.rows("SELECT count(*) FROM accounts_event WHERE type = 'backup.failed'")[0][0]
    counts.expect(failed == 1, f"{failed} events tell of it")
    counts.expect(all(200 <= item < 300 for item in statuses), f"others were answered {told(statuses)}")
    counts.sent = counts.received = len(statuses)
    return counts


@row("BK3", "backups are killed at random moments")
def killed(scene: Scene, size: Size) -> Counts:
    """Nothing half is ever in the list, and the next one needs nobody's help."""
    place = Place(scene)
    counts = Counts()
    place.fill(40, 2**20)
    good = place.create()
    dice = random.Random(3)
    began = time.monotonic()
    place.fill(40, 2**20)
    place.create()
    usual = time.monotonic() - began
    names = place.listed()
    for _ in range(size.kills):
        place.fill(10, 2**20)
        process = place.popen("create")
        try:
            process.wait(dice.uniform(0.2, 1.0) * usual)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        else:
            process.communicate()
        listed = place.listed()
        new = [name for name in listed if name not in names]
        counts.expect(all(place.is_whole(name) for name in new), "a half backup is in the list")
        names = listed
        counts.sent += 1
    last = place.create()
    counts.received = len(place.listed())
    counts.expect(place.is_whole(good), "the first one is damaged")
    counts.expect(place.is_whole(last), "the last one is damaged")
    counts.expect(not list(place.folder.glob(".writing/*")), "drafts are left")
    return counts


@row("BK5", "private keys are wrong, and the key ring is rotated")
def keys(scene: Scene, size: Size) -> Counts:  # noqa: ARG001 (a row like the others)
    """A wrong key is a sentence at once; what was made before a rotation is read with the old key."""
    place = Place(scene)
    counts = Counts(sent=4)
    name = place.create()
    wrong = place.data / "wrong"
    wrong.write_text(f"{x25519.Identity.generate()}\n")
    status, _, err = place.run("prove", name, "--identity", str(wrong))
    counts.expect(status == 1 and "not one of those" in err, f"wrong identity: {err[-200:]}")
    other = base64.b64encode(os.urandom(32)).decode()
    status, _, err = place.run("verify", name, QUILLKEEP_KEY_RING=f"k1:{other}")
    counts.expect(status == 1 and "signature of the manifest is wrong" in err, f"another ring: {err[-200:]}")
    status, _, err = place.run("verify", name, QUILLKEEP_KEY_RING=f"k2:{other}")
    counts.expect(status == 1 and "not in QUILLKEEP_KEY_RING" in err, f"a ring without it: {err[-200:]}")
    ring = f"k2:{other},{scene.house.secrets['QUILLKEEP_KEY_RING']}"
    status, _, err = place.run("prove", name, QUILLKEEP_KEY_RING=ring)
    counts.expect(status == 0, f"after a rotation: {err[-200:]}")
    secrets = [base64.b64decode(scene.house.secrets["QUILLKEEP_KEY_RING"].partition(":")[2])]
    secrets += [place.identity.encode(), scene.house.secrets["SECRET_KEY"].encode()]
    found = any(secret in raw for raw in place.snapshot().values() for secret in secrets)
    counts.expect(not found, "a key lies in the store")
    counts.received = 4
    return counts


@row("BK9", "200 flipped bits, 50 truncations, 20 swapped files")
def damaged(scene: Scene, size: Size) -> Counts:
    """Every one is found, by a process that verifies as the command does."""
    place = Place(scene)
    place.fill(5, 20_000)
    scene.act("publish", count=5)
    scene.act("published")
    name = place.create()
    number = 1 if size.skips_leases else 10  # the quick run makes a tenth of them
    damage = subprocess.run(
        [
            sys.executable,
            "-m",
            "bench.damage",
            name,
            str(200 // 10 * number),
            str(50 // 10 * number),
            str(20 // 10 * number),
        ],
        cwd=ROOT,
        env=place.values(),
        capture_output=True,
        text=True,
    )
    counts = Counts()
    counts.expect(damage.returncode == 0, damage.stderr[-300:])
    if damage.returncode == 0:
        done = json.loads(damage.stdout.splitlines()[-1])
        counts.sent, counts.received = done["done"], done["found"]
        counts.lost = counts.sent - counts.received
        counts.expect(counts.lost == 0, f"not found: {done['missed']}")
    counts.expect(place.is_whole(name), "and afterwards it is not as it was")
    return counts


ROWS.append(
    Row("BK10", "400 days of retention", why_not="needs no process: tests/content/backups/test_retention.py")
)


@row("BK11", "what is due by schedule: made, verified, proven, told")
def by_schedule(scene: Scene, size: Size) -> Counts:  # noqa: ARG001
    """A keeper alone makes the first one and proves it."""
    place = Place(scene)
    counts = Counts(sent=1)
    scene.more |= {
        name: value
        for name, value in place.values().items()
        if name.startswith(("BACKUP_", "SCRATCH_", "OWNER_")) or name == "DATA_DIR"
    }
    scene.start("keeper")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "cms_project.celery",
            "call",
            "content.keep_backups",
            "--queue",
            "backups",
        ],
        cwd=ROOT,
        env={**place.values(), "DJANGO_SETTINGS_MODULE": "cms_project.settings"},
        capture_output=True,
        text=True,
    )
    counts.expect(done.returncode == 0, done.stderr[-200:])
    query = "SELECT count(*) FROM content_backup WHERE proven_at IS NOT NULL AND is_whole"
    proven = scene.wait_until(lambda: scene.rows(query) == [(1,)], 180)
    counts.expect(proven, f"not proven: {scene.log_of('keeper')[-300:]}")
    counts.expect(place.run("schedule")[0] == 0, "something is overdue all the same")
    counts.received = 1
    return counts


@row("BK12", "backups while four clients publish; nothing of it in clear")
def contents(scene: Scene, size: Size) -> Counts:
    """Each is one look at everything and proves it; no byte of content, no loose mode."""
    place = Place(scene)
    counts = Counts()
    scene.start("web")
    rounds = 2 if size.skips_leases else 5
    with _writing(scene) as clients:
        names = [place.create() for _ in range(rounds)]
        statuses = [item for client in clients for item in client.statuses]
    for name in names:
        status, _, err = place.run("prove", name)
        counts.expect(status == 0, f"{name}: {err[-200:]}")
    counts.sent = counts.received = len(statuses)
    counts.expect(all(200 <= item < 300 for item in statuses), f"writers were answered {told(statuses)}")
    for path in place.folder.rglob("*"):
        mode = path.stat().st_mode & 0o777
        counts.expect(mode == (0o700 if path.is_dir() else 0o600), f"{path.name} has mode {mode:o}")
        counts.expect(path.is_dir() or CANARY.encode() not in path.read_bytes(), f"{path.name} holds content")
    return counts
