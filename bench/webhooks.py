"""Webhooks, measured: deliveries a second, how long one waits, a long queue, and a fan-out to many endpoints.

`python -m bench.webhooks [--quick]` makes servers of its own; the sink is a process on loopback that answers 204.
Deliveries of one process are compared with a bare loop of the same HTTP client (`egress.post`, as many threads, no
database), and with two processes. Then events are committed one by one and the time until their first attempt is
taken, a long queue is drained while its process is watched, and one event is fanned out to many endpoints.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.house import House, Scene, delays, percentile

ENDPOINTS: Final = 40  # that a rate is measured with
SCALES: Final = 1.6  # two processes to one, on two cores that also serve the sink and the database
FAN_OUT_SECONDS: Final = 0.3
P99_SECONDS: Final = 5.0
GROWS: Final = 1.1  # resident memory at the end of the long queue to that after its first tenth
_LEFT: Final = "SELECT count(*) FROM webhooks_delivery WHERE state = 'waiting'"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rate: int = 8_000  # deliveries
    bare: int = 4_000
    singles: int = 100
    queue: int = 100_000
    fan_out: int = 1_000


QUICK: Final = Size(2_000, 1_000, 30, 10_000, 1_000)


class Sink:
    """A process that answers 204 as quickly as it can; `bench` itself must not be what is measured."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.sink"], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
        )
        if self.process.stdout is None:
            raise RuntimeError("The sink has no pipe.")
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/hook"

    def close(self) -> None:
        """End it."""
        self.process.communicate("")


def inside(url: str, count: int) -> None:
    """Post so many times with as many threads as a process that sends has, and print how many a second that were."""
    import django  # noqa: PLC0415 (this process alone has the settings)

    django.setup()
    from accounts import egress  # noqa: PLC0415
    from webhooks.lanes import THREADS  # noqa: PLC0415
    from webhooks.sending import DEADLINE  # noqa: PLC0415

    body = json.dumps({"type": "entry.published", "timestamp": "", "data": {"id": "0" * 36}}).encode()
    body += b" " * (330 - len(body))
    headers = {"Content-Type": "application/json", "webhook-id": "0" * 36, "webhook-timestamp": "0" * 10}

    def post(_: int) -> bool:
        return egress.post(url, body, headers=headers, deadline=DEADLINE).is_success

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(post, range(THREADS)))
        began = time.perf_counter()
        if not all(pool.map(post, range(count))):
            raise RuntimeError("The sink refused something.")
    sys.stdout.write(json.dumps({"rate": count / (time.perf_counter() - began)}) + "\n")


def queue(scene: Scene, url: str, endpoints: int, deliveries: int) -> None:
    """Set up endpoints where they are missing, and queue so many deliveries over all of them."""
    scene.act("endpoints", count=endpoints, url=url)
    scene.act("emit", count=max(1, deliveries // endpoints))
    scene.act("fan_out")


def rate(scene: Scene, processes: int, deliveries: int, url: str) -> float:
    """Return how many deliveries a second so many processes make, from a second after the first to the last tenth."""
    scene.more["PROCESSES"] = str(processes)
    queue(scene, url, ENDPOINTS, deliveries)
    left = int(scene.rows(_LEFT)[0][0])
    scene.start("sender")
    scene.act("wake", times=processes)
    scene.wait_until(lambda: int(scene.rows(_LEFT)[0][0]) < left - 200, 30, every=0.02)
    began, first = time.perf_counter(), int(scene.rows(_LEFT)[0][0])
    least = left // 10
    scene.wait_until(lambda: int(scene.rows(_LEFT)[0][0]) <= least, 300, every=0.05)
    ended, last = time.perf_counter(), int(scene.rows(_LEFT)[0][0])
    scene.wait_until(lambda: int(scene.rows(_LEFT)[0][0]) == 0, 60)
    scene.stop("sender")
    return (first - last) / (ended - began)


def long_queue(scene: Scene, url: str, deliveries: int) -> dict[str, float]:
    """Drain a long queue with one process; return its memory after a tenth and at the end, and the rate."""
    scene.more["PROCESSES"] = "1"
    queue(scene, url, 100, deliveries)
    left = int(scene.rows(_LEFT)[0][0])
    scene.start("sender", "beat")
    began = time.perf_counter()
    first = last = 0.0
    while (now := int(scene.rows(_LEFT)[0][0])) > 0:
        if now < left * 0.9:
            last = max(scene.memory("sender"))
            first = first or last
        time.sleep(1)
    seconds = time.perf_counter() - began
    scene.stop("sender")
    scene.stop("beat")
    return {"deliveries": left, "first": first, "last": last, "rate": left / seconds}


def singles(scene: Scene, count: int) -> list[float]:
    """Return how long each of so many events waits from its commit to its first attempt, one at a time."""
    receiver = scene.receiver(name="alone")
    scene.more.pop("PROCESSES", None)
    scene.start("sealer", "sender", "beat")
    scene.act("publish", count=count, pause=0.3)
    scene.act("published")
    scene.wait_until_done(60)
    return delays(receiver)


def run(size: Size) -> dict[str, Any]:
    """Measure and return everything as numbers."""
    found: dict[str, Any] = {}
    sink = Sink()
    try:
        with House() as house:
            with Scene(house, "rate") as scene:
                rates: dict[str, list[float]] = {"bare": [], "one": [], "two": []}
                for _ in range(2):  # in turns, so that whatever else the machine does slows all of them
                    arguments = ["-m", "bench.webhooks", "--inside", sink.url, str(size.bare)]
                    rates["bare"].append(
                        house.finish(house.spawn(arguments, scene.database, owner=False))["rate"]
                    )
                    rates["one"].append(rate(scene, 1, size.rate, sink.url))
                    rates["two"].append(rate(scene, 2, size.rate, sink.url))
                found |= {name: statistics.mean(each) for name, each in rates.items()}
            with Scene(house, "wait") as scene:
                times = singles(scene, size.singles)
                found |= {"p50": percentile(times, 0.5), "p99": percentile(times, 0.99)}
            with Scene(house, "fan") as scene:
                scene.act("endpoints", count=size.fan_out, url=sink.url)
                found["fan_out"] = statistics.median(scene.act("fan_out_times", times=5))
            with Scene(house, "queue") as scene:
                found["queue"] = long_queue(scene, sink.url, size.queue)
    finally:
        sink.close()
    return found


def main() -> int:
    """Print a table, and the numbers as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer deliveries, a shorter queue")
    parser.add_argument("--inside", nargs=2, metavar=("URL", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options.inside[0], int(options.inside[1]))
        return 0
    found = run(QUICK if options.quick else Size())
    table = Table("what", "measured", "ratio", "target")
    table.add_row("bare loop of the HTTP client, one process", f"{found['bare']:.0f}/s", "", "")
    one, two = found["one"], found["two"]
    table.add_row(
        "deliveries, one process, to the bare loop", f"{one:.0f}/s", f"{one / found['bare']:.2f}", ""
    )
    table.add_row("deliveries, two processes, to one", f"{two:.0f}/s", f"{two / one:.2f}", "")
    table.add_row("commit to first attempt, p50", f"{found['p50']:.2f} s", "", "")
    table.add_row("commit to first attempt, p99", f"{found['p99']:.2f} s", "", f"{P99_SECONDS:.0f} s")
    table.add_row("one event to 1,000 endpoints", f"{found['fan_out']:.2f} s", "", f"{FAN_OUT_SECONDS} s")
    long = found["queue"]
    told = f"{long['first']:.0f} to {long['last']:.0f} MB, {long['rate']:.0f}/s"
    table.add_row(
        f"{long['deliveries']:,} queued, memory after a tenth to the end",
        told,
        f"{long['last'] / long['first']:.2f}",
        str(GROWS),
    )
    Console(stderr=True, width=120).print(table)
    is_kept = (
        found["p99"] <= P99_SECONDS
        and found["fan_out"] <= FAN_OUT_SECONDS
        and long["last"] / long["first"] <= GROWS
    )
    sys.stdout.write(json.dumps({**found, "is_kept": is_kept}) + "\n")
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
