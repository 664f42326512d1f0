"""The parts in TypeScript: installed and built once, and run against the real server."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.database import ROOT

SDK = ROOT / "sdk" / "preview"
EXAMPLE = ROOT / "examples" / "astro"
OLDEST = 20
PATIENCE = 300
_NO_NETWORK = re.compile(
    r"npm (?:ERR!|error) code (ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ENETUNREACH)\b"
)
_unreachable: list[str] = []  # why, once it is known


def require_node() -> None:
    """Skip the test where there is no Node.js that is new enough, and say so."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("There is no Node.js with npm; install it to run this test.")
    version = run(SDK, "node", "--version")
    if int(version.strip().lstrip("v").split(".")[0]) < OLDEST:
        pytest.skip(f"Node.js {version.strip()} is too old; install {OLDEST} or newer to run this test.")


def built_sdk() -> Path:
    """Return the SDK's folder, with its packages as the lock says and its build as the sources say."""
    _once(SDK, ["package-lock.json", "src"], ["npm", "run", "build"])
    return SDK


def installed_example() -> Path:
    """Return the example's folder with its packages; they hold the SDK by a link."""
    built_sdk()
    _once(EXAMPLE, ["package-lock.json"])
    return EXAMPLE


def installed(folder: Path) -> Path:
    """Return a folder with the packages of its lock."""
    _once(folder, ["package-lock.json"])
    return folder


def run(folder: Path, *command: str, **environment: str) -> str:
    """Run a command to its end and return what it wrote. Raises AssertionError with all of it when it failed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "CI": "1", **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout + done.stderr


def _once(folder: Path, sources: list[str], *commands: list[str]) -> None:
    """Install, and run commands, where the sources are others than the last time; one worker at a time."""
    require_node()
    stamp = folder / "node_modules" / ".quillkeep"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = _digest(folder, sources)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        _install(folder)
        for command in commands:
            run(folder, *command)
        stamp.write_text(wanted)


def _install(folder: Path) -> None:
    """Install the packages of the lock, or skip the test where no registry can be reached, and say so."""
    if _unreachable:
        pytest.skip(_unreachable[0])
    patience = {"npm_config_fetch_retries": "1", "npm_config_fetch_timeout": "30000"}
    try:
        run(folder, "npm", "ci", "--no-audit", "--no-fund", **patience)
    except AssertionError as error:
        found = _NO_NETWORK.search(str(error))
        if found is None:
            raise
        _unreachable.append(f"npm can't reach its registry ({found[1]}), so this test does not run.")
        pytest.skip(_unreachable[0])


def _digest(folder: Path, sources: list[str]) -> str:
    found = hashlib.sha256()
    for name in sources:
        path = folder / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                found.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return found.hexdigest()
