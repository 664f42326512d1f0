"""Refused sign-ins, measured: whether anybody can tell by time, status, body or headers why; and what hashing holds up.

`python -m bench.sign_in [--times 200]` starts the real web server and asks it as a stranger would. Four kinds of
refusals take turns; each pair of them is compared by the Mann-Whitney test, whose p says how likely so much of a
difference is by chance alone. Then many people sign in at once while somebody reads.
"""

import argparse
import http.client
import itertools
import json
import math
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.ground import TEMPLATE, Ground

KINDS: Final = ("absent", "inactive", "locked", "wrong password")
EACH: Final = 5  # accounts of a kind: one alone would be locked half way
PASSWORD: Final = "a long phrase for the bench"  # noqa: S105 (of made-up people)
LEAST_P: Final = 0.01
STORM: Final = 4  # people who sign in at once


@dataclass
class Kind:
    """What was measured of one kind of refusal."""

    seconds: list[float] = field(default_factory=list)
    answers: set[str] = field(default_factory=set)


class Stranger:
    """Asks from an address of its own each time, as a guesser with many of them would."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc
        self.numbers = itertools.count(1)

    def sign_in(self, email: str, password: str) -> tuple[float, str]:
        """Return how long it took, and all of the answer that a stranger can compare."""
        number = next(self.numbers)
        address = f"10.{number // 62_500}.{number // 250 % 250}.{number % 250}"
        body = json.dumps({"email": email, "password": password})
        link = http.client.HTTPConnection(self.host, timeout=60)
        started = time.perf_counter()
        headers = {"Content-Type": "application/json", "X-Forwarded-For": address}
        link.request("POST", "/api/v1/auth/login", body, headers)
        answer = link.getresponse()
        text = answer.read().decode()
        seconds = time.perf_counter() - started
        link.close()
        told = json.loads(text)
        told.pop("instance", None)
        shown = sorted(
            (name, value)
            for name, value in answer.getheaders()
            if name.lower() not in ("x-request-id", "date", "ratelimit")
        )
        return seconds, json.dumps([answer.status, told, shown])


def mann_whitney(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the two-sided p of the Mann-Whitney U test, by the normal approximation with correction for ties."""
    ranks: dict[float, float] = {}
    counts: dict[float, int] = {}
    place = 0
    for value, group in itertools.groupby(sorted([*one, *other])):
        size = len(list(group))
        ranks[value], counts[value] = place + (size + 1) / 2, size
        place += size
    n, m = len(one), len(other)
    u = sum(ranks[value] for value in one) - n * (n + 1) / 2
    ties = sum(size**3 - size for size in counts.values())
    spread = math.sqrt(n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1))))
    if not spread:
        return 1.0
    z = max(0.0, abs(u - n * m / 2) - 0.5) / spread
    return math.erfc(z / math.sqrt(2))


def measure(url: str, times: int, progress: Progress) -> dict[str, Kind]:
    """Sign in `times` times for each kind, in turns."""
    stranger = Stranger(url)
    for number in range(EACH):
        for _ in range(50):
            stranger.sign_in(f"locked{number}@example.com", "wrong")
    found = {kind: Kind() for kind in KINDS}
    task = progress.add_task("Refused sign-ins", total=times * len(KINDS))
    for number in range(times):
        for kind in KINDS[number % 4 :] + KINDS[: number % 4]:
            account = f"{kind.split()[0]}{number % EACH}@example.com"
            password = PASSWORD if kind in ("inactive", "locked") else "wrong"
            seconds, answer = stranger.sign_in(account, password)
            found[kind].seconds.append(seconds)
            found[kind].answers.add(answer)
            progress.advance(task)
    return found


def read_during_a_rush(url: str, seconds: float) -> tuple[list[float], list[float]]:
    """Return how long reads take while nobody signs in, and while several do all the time."""
    over = threading.Event()
    stranger = Stranger(url)

    def keep_signing_in(number: int) -> None:
        while not over.is_set():
            stranger.sign_in(f"nobody{number}@example.com", "wrong")

    def reads() -> list[float]:
        found = []
        deadline = time.perf_counter() + seconds
        link = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        while time.perf_counter() < deadline:
            started = time.perf_counter()
            link.request("GET", "/api/v1/content/nothing", headers={"X-Forwarded-For": "10.9.9.9"})
            link.getresponse().read()
            found.append(time.perf_counter() - started)
            time.sleep(0.06)
        return found

    quiet = reads()
    rush = [threading.Thread(target=keep_signing_in, args=(number,)) for number in range(STORM)]
    for thread in rush:
        thread.start()
    busy = reads()
    over.set()
    for thread in rush:
        thread.join()
    return quiet, busy


def make_people() -> None:
    """Make the accounts; run in a process of its own, where Django is set up."""
    import django  # noqa: PLC0415 (this process alone has the settings)

    django.setup()
    from django.contrib.auth.hashers import make_password  # noqa: PLC0415

    from accounts.models import User  # noqa: PLC0415

    password = make_password(PASSWORD)
    for kind in ("inactive", "locked", "wrong"):
        for number in range(EACH):
            User.objects.create(
                email=f"{kind}{number}@example.com",
                password=password,
                has_long_password=True,
                is_active=kind != "inactive",
            )
    started = time.perf_counter()
    for _ in range(5):
        make_password(PASSWORD)
    sys.stdout.write(json.dumps({"hash_seconds": (time.perf_counter() - started) / 5}) + "\n")


def run(times: int, console: Console) -> dict[str, Any]:
    """Measure and return everything as numbers."""
    with Ground() as ground, Progress(console=console, transient=True) as progress:
        ground.servers.create_database(TEMPLATE)
        migrate = ["manage.py", "migrate", "--verbosity", "0"]
        ground.finish(ground.spawn(migrate, TEMPLATE, owner=True))
        made = ground.finish(ground.spawn(["-m", "bench.sign_in", "--people"], TEMPLATE, owner=False))
        url = ground.web(TEMPLATE, TRUSTED_PROXIES="127.0.0.1")
        found = measure(url, times, progress)
        quiet, busy = read_during_a_rush(url, 10)
    answers = set().union(*(kind.answers for kind in found.values()))
    pairs = {
        f"{one} / {other}": mann_whitney(found[one].seconds, found[other].seconds)
        for one, other in itertools.combinations(KINDS, 2)
    }
    return {
        "times": times,
        "different_answers": len(answers),
        "median_seconds": {kind: statistics.median(found[kind].seconds) for kind in KINDS},
        "p": pairs,
        "is_kept": len(answers) == 1 and min(pairs.values()) > LEAST_P,
        "one_hash_seconds": made["hash_seconds"],
        "read_seconds": {"quiet": statistics.median(quiet), "longest quiet": max(quiet)},
        "read_seconds_in_a_rush": {"median": statistics.median(busy), "longest": max(busy)},
        "longest_to_one_hash": max(busy) / made["hash_seconds"],
    }


def main() -> int:
    """Print a table, and the numbers as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="sign-ins of each kind")
    parser.add_argument("--people", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.people:
        make_people()
        return 0
    console = Console(stderr=True)
    result = run(options.times, console)
    table = Table("what", "value")
    for name, value in result.items():
        for part, number in value.items() if isinstance(value, dict) else [("", value)]:
            table.add_row(
                f"{name} {part}".strip(), f"{number:.4g}" if isinstance(number, float) else str(number)
            )
    console.print(table)
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if result["is_kept"] else 1


if __name__ == "__main__":
    sys.exit(main())
