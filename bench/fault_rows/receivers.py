"""Receivers that misbehave, beside two that do not."""

import itertools
from collections.abc import Callable
from typing import Any

from bench import receiver as behaviours
from bench.fault_rows.base import ROWS, SOON, WORK, Act, Row, Size
from bench.house import Counts, Scene, delays, percentile
from bench.receiver import Receiver


def beside(
    scene: Scene, size: Size, behave: behaviours.Behaviour, expect: Callable[[Scene, Receiver, Counts], None]
) -> Counts:
    """Let one receiver misbehave beside two that don't; these get everything in time."""
    for _ in range(2):
        scene.receiver()
    bad = scene.receiver(behave, name="bad")
    scene.start(*WORK)
    scene.act("publish", count=size.events // 2)
    scene.act("published")
    healthy = scene.receivers[:2]
    is_done = scene.wait_until_done(size.patience, but=[bad])
    counts = scene.count(healthy)
    slowest = percentile(sorted(itertools.chain(*(delays(each) for each in healthy))), 0.99)
    counts.notes.append(f"the others: p99 {slowest:.1f} s")
    counts.expect(is_done, "something still waits for the others")
    counts.expect(slowest < SOON, f"the others waited: p99 is {slowest:.1f} s")
    counts.expect(not counts.duplicates, "the others were sent something twice")
    expect(scene, bad, counts)
    return counts


def attempts(scene: Scene, receiver: Receiver) -> list[tuple[Any, ...]]:
    """Return status, error and success of the attempts of an endpoint."""
    return [
        tuple(item)
        for item in scene.rows(
            "SELECT status, error, is_success, length(response_body) FROM webhooks_attempt WHERE endpoint_id = %s",
            [receiver.endpoint],
        )
    ]


def is_unreachable(scene: Scene, receiver: Receiver, counts: Counts) -> None:
    """Expect that nothing came of any attempt, and that somebody waited no longer than the deadline."""
    scene.wait_until(lambda: attempts(scene, receiver), 25)
    found = attempts(scene, receiver)
    counts.expect(found, "no attempt was written down")
    counts.expect(all(item[:3] == (None, "unreachable", False) for item in found), f"attempts: {found[:3]}")


def has_status(status: int) -> Callable[[Scene, Receiver, Counts], None]:
    """Expect attempts that failed with this status, and nothing kept of it that is long."""

    def expect(scene: Scene, receiver: Receiver, counts: Counts) -> None:
        scene.wait_until(lambda: attempts(scene, receiver), 25)
        found = attempts(scene, receiver)
        counts.expect(found, "no attempt was written down")
        counts.expect(all(item[0] == status and not item[2] for item in found), f"attempts: {found[:3]}")

    return expect


def misbehaviour(
    code: str,
    what: str,
    behave: behaviours.Behaviour,
    expect: Callable[[Scene, Receiver, Counts], None] = is_unreachable,
) -> None:
    """Put a row about a receiver into the table."""
    ROWS.append(Row(code, f"a receiver {what}", lambda scene, size: beside(scene, size, behave, expect)))


def is_cut(scene: Scene, receiver: Receiver, counts: Counts) -> None:
    """Expect that its status was taken and its body was not: neither unpacked, nor read to its end, and kept short."""
    scene.wait_until(lambda: attempts(scene, receiver), 25)
    found = attempts(scene, receiver)
    counts.expect(found, "no attempt was written down")
    for status, error, is_success, length in found:
        is_short = error == "unreachable" or (status == 200 and is_success and length <= 2_048)
        counts.expect(is_short, f"kept {length} characters")


misbehaviour("R1", "hangs", behaviours.hanging)
misbehaviour("R2", "sends a byte a second", behaviours.dripping, is_cut)
misbehaviour("R3", "resets the connection", behaviours.resetting)
misbehaviour("R4", "answers with 100 MB", behaviours.flooding, is_cut)
misbehaviour("R5", "answers with a gzip bomb", behaviours.bombing, is_cut)


def _redirect(status: int) -> Act:
    def act(scene: Scene, size: Size) -> Counts:
        with Receiver() as inside:
            behave = behaviours.with_status(status, Location=inside.url)
            counts = beside(scene, size, behave, has_status(status))
            counts.expect(not inside.requests, "it followed the redirect")
        return counts

    return act


for number, status in enumerate((301, 302, 307, 308), start=6):
    ROWS.append(
        Row(f"R{number}", f"a receiver redirects to an internal address ({status})", _redirect(status))
    )


def is_disabled(scene: Scene, receiver: Receiver, counts: Counts) -> None:
    """Expect that it is over for the endpoint, and that nothing came after."""
    found = scene.rows(
        "SELECT state, disabled_because FROM webhooks_endpoint WHERE id = %s", [receiver.endpoint]
    )
    counts.expect([tuple(item) for item in found] == [("disabled", "gone")], f"it is {found}")
    waiting = scene.rows(
        "SELECT count(*) FROM webhooks_delivery WHERE endpoint_id = %s AND state = 'waiting'",
        [receiver.endpoint],
    )[0][0]
    counts.expect(waiting == 0, f"{waiting} still wait for it")
    counts.expect(len(receiver.requests) <= 16, f"{len(receiver.requests)} requests")


def is_held(scene: Scene, receiver: Receiver, counts: Counts) -> None:
    """Expect that it is left in peace for as long as it asked for."""
    has_status(429)(scene, receiver, counts)
    first = min((request.at for request in receiver.requests), default=0)
    # What was on the wire with the first one may still come.
    late = sum(request.at > first + 3 for request in receiver.requests)
    counts.expect(not late, f"{late} came within the pause that it asked for")
    counts.expect(len(receiver.requests) <= 16, f"{len(receiver.requests)} requests")


misbehaviour("R10", "answers 410", behaviours.with_status(410), is_disabled)
misbehaviour("R11", "answers 429 with Retry-After", behaviours.with_status(429, Retry_After="3600"), is_held)
misbehaviour("R12", "answers 500 for ever", behaviours.with_status(500), has_status(500))
