"""Workers that die, and the promises about deliveries as such (threats.md, rows W)."""

import itertools
import random
import signal
import time

from bench import receiver as behaviours
from bench.fault_rows.base import SENDERS, SOON, THREADS, WORK, Size, finish, row
from bench.house import PUBLISHED, Counts, Scene, delays, percentile
from bench.receiver import Exchange, Request


@row("W1", "nothing happens")
def undisturbed(scene: Scene, size: Size) -> Counts:
    """Everything arrives once, signed, within seconds of its commit."""
    for _ in range(size.endpoints):
        scene.receiver()
    scene.start(*WORK)
    scene.act("publish", count=size.events)
    counts = finish(scene, size)
    slowest = percentile(sorted(itertools.chain(*(delays(each) for each in scene.receivers))), 0.99)
    counts.notes.append(f"p99 {slowest:.1f} s")
    counts.expect(slowest < SOON, f"p99 is {slowest:.1f} s")
    counts.expect(not counts.duplicates, "something came twice")
    return counts


@row("W2", "kill -9 of sending processes, children and main, at random times")
def killed(scene: Scene, size: Size) -> Counts:
    """Nothing is lost, and no more comes twice than was on the wire."""
    for _ in range(size.endpoints):
        scene.receiver(behaviours.slowly(0.05))
    scene.start(*WORK)
    scene.act("publish", count=size.events, pause=size.pause)
    dice = random.Random(2)
    for number in range(size.kills):
        scene.wait_for_more(skips_leases=size.skips_leases)
        time.sleep(dice.uniform(0.05, 0.4))
        if number % 2:
            scene.kill("sender")
        else:
            scene.kill_child("sender", dice.randrange(SENDERS))
    counts = finish(scene, size)
    counts.notes.append(f"{size.kills} kills")
    counts.expect(counts.duplicates <= size.kills * SENDERS * THREADS, "more came twice than was on the wire")
    return counts


@row("W3", "kill -9 after the receiver has it, before its 200 is seen")
def killed_before_the_answer(scene: Scene, size: Size) -> Counts:
    """It comes once more, with the same id; the log of attempts shows both."""

    def kill(_request: Request) -> None:
        receiver.on_request = None
        scene.end_at_once("sender")

    receiver = scene.receiver()
    scene.start(*WORK)
    scene.wait_until(scene.is_done, 10)
    receiver.on_request = kill
    scene.act("publish", count=1)
    scene.wait_until(lambda: receiver.requests and receiver.on_request is None, 30)
    scene.processes["sender"].wait()
    scene.start("sender")
    counts = finish(scene, size)
    ids = [request.id for request in receiver.requests]
    counts.expect(len(ids) == 2 and len(set(ids)) == 1, f"{len(ids)} requests with {len(set(ids))} ids")
    attempts = scene.rows(
        "SELECT number, is_success, error FROM webhooks_attempt WHERE endpoint_id = %s ORDER BY number",
        [receiver.endpoint],
    )
    counts.expect(
        [tuple(item) for item in attempts] == [(1, False, "lost"), (2, True, "")],
        f"the log of attempts has {attempts}",
    )
    counts.duplicates = len(ids) - 1
    return counts


@row("W4", "the transaction of the change is rolled back")
def rolled_back(scene: Scene, size: Size) -> Counts:
    """Nobody hears of what did not happen."""
    receiver = scene.receiver()
    scene.start(*WORK)
    scene.act("roll_back", count=size.events)
    scene.act("publish", count=1)  # comes after them, so that it is known when they would have come
    counts = finish(scene, size)
    counts.expect(len(receiver.requests) == 1, f"{len(receiver.requests)} requests in place of 1")
    return counts


@row("W6", "a receiver fails for ever, the clock moved")
def schedule(scene: Scene, _size: Size) -> Counts:
    """Ten attempts at the times of the table, then an event and a mail, then nothing."""
    found = scene.act("schedule")
    counts = Counts(sent=1, received=0)
    counts.notes.append(f"{found['attempts']} attempts, then given up and told")
    pairs = list(zip(found["seconds"], found["wanted"], strict=False))
    counts.expect(found["attempts"] == 10, f"{found['attempts']} attempts")
    counts.expect(
        all(abs(is_ - wanted) <= wanted * 0.2 + 2 for is_, wanted in pairs), f"the times are {pairs}"
    )
    counts.expect(found["exhausted"] == 1 and found["mails"] == 1, "nobody was told")
    counts.expect(not found["after"] and found["ids"] == 1, "it was tried after that, or by another id")
    return counts


@row("W7", "a receiver fails for five days, the clock moved; then it is recovered")
def five_days(scene: Scene, size: Size) -> Counts:
    """It is disabled, its owner told; recovering brings all that it missed, in the order of the log."""
    found = scene.act("five_days", count=size.events // 4)
    counts = Counts(found["sent"], found["received"], found["lost"])
    after = found["disabled_after"]
    counts.expect(
        after is not None and 5 <= after < 5.5 and found["because"] == "failing", f"disabled: {after}"
    )
    counts.expect(found["mails"] >= 1, "nobody was told")
    counts.expect(not counts.lost, f"{counts.lost} are lost")
    # Several are on the wire at once; nothing is further from its place than that.
    counts.expect(found["out_of_place"] <= 16, f"out of place by {found['out_of_place']}")
    counts.notes.append(f"disabled after {after or 0:.1f} days; at most {found['out_of_place']} places off")
    return counts


@row("W8", "random histories; deliveries fail at random, so that they come in any order")
def histories(scene: Scene, size: Size) -> Counts:
    """A consumer that keeps the greatest sequence of each entry ends where the database is."""
    dice = random.Random(8)

    def at_random(exchange: Exchange) -> None:
        time.sleep(dice.uniform(0, 0.1))
        exchange.answer(500 if dice.random() < 0.2 else 204)

    # The second pause is five minutes: what failed twice is moved forward, so that this ends today.
    receiver = scene.receiver(at_random, types=("entry.published", "entry.unpublished"))
    scene.start(*WORK)
    public = scene.act("histories", count=size.histories)

    def is_done() -> bool:
        scene.rows(
            "UPDATE webhooks_delivery SET next_attempt_at = now() + interval '1 s' "
            "WHERE state = 'waiting' AND leased_until IS NULL AND next_attempt_at > now() + interval '20 s'"
        )
        return scene.is_done()

    is_over = scene.wait_until(is_done, size.patience * 3, every=0.5)
    kept: dict[str, tuple[int, int | None]] = {}
    for request in receiver.taken:
        data, is_public = request.data, request.type == PUBLISHED
        if data["sequence"] > kept.get(data["id"], (0, None))[0]:
            kept[data["id"]] = (data["sequence"], data["version"] if is_public else None)
    wrong = sum(kept.get(entry, (0, None))[1] != version for entry, version in public.items())
    counts = scene.count(type_=PUBLISHED)
    other = scene.count(type_="entry.unpublished")
    counts.sent, counts.received = counts.sent + other.sent, counts.received + other.received
    counts.lost += other.lost
    counts.problems = sorted({*counts.problems, *other.problems})
    counts.duplicates += other.duplicates
    order = [int(request.data["sequence"]) for request in receiver.taken]
    late = sum(later < before for before, later in itertools.pairwise(order))
    counts.expect(is_over, "something still waits")
    counts.expect(not wrong, f"{wrong} of {len(public)} histories end elsewhere")
    counts.notes.append(f"{len(public)} histories, {late} times a later one came first")
    return counts


@row("W11", "the secret is rotated under load, then the old one retired")
def rotated(scene: Scene, size: Size) -> Counts:
    """During the overlap both secrets verify; after it the old one fails."""
    receiver = scene.receiver()
    old = receiver.secret
    receiver.secret = ""
    scene.start(*WORK)
    scene.act("publish", count=size.events)
    scene.wait_until(lambda: len(receiver.requests) >= size.events // 4, size.patience)
    new = scene.act("rotate", endpoint=receiver.endpoint)
    rotated_at = time.time()
    scene.wait_until(lambda: len(receiver.requests) >= size.events // 2, size.patience)
    retiring_at = time.time()
    scene.act("retire", endpoint=receiver.endpoint)
    retired_at = time.time()
    counts = finish(scene, size)
    wrong = passed = 0
    tally = [0, 0, 0]
    for request in receiver.requests:
        by_old, by_new = request.is_signed_by(old), request.is_signed_by(new)
        # When it was signed is known to the second; in the second of a change both are right.
        signed_at = int(request.headers["webhook-timestamp"])
        if request.at < retiring_at:
            wrong += not by_old
            tally[0] += 1
        if signed_at > rotated_at:
            wrong += not by_new
            tally[1] += 1
        if signed_at > retired_at:
            passed += by_old
            tally[2] += 1
    counts.notes.append(f"verified by the old {tally[0]}, by the new {tally[1]}; the old refused {tally[2]}")
    counts.expect(not wrong, f"{wrong} failed to verify")
    counts.expect(not passed, f"{passed} verified by a secret that was retired")
    counts.expect(all(tally), "nothing came in one of the phases")
    return counts


@row("W12", "an endpoint is removed, its owner switched off, its role taken, all with a queue")
def taken_away(scene: Scene, size: Size) -> Counts:
    """Nothing more is sent once the change is committed, but for what is on the wire."""
    cases = {
        "remove": ("endpoint", scene.receiver(behaviours.slowly(0.3), name="removed")),
        "switch_off": ("owner", scene.receiver(behaviours.slowly(0.3), name="switched-off")),
        "take_role": ("owner", scene.receiver(behaviours.slowly(0.3), name="without-role")),
        "disable": ("endpoint", scene.receiver(behaviours.slowly(0.3), name="disabled")),
    }
    healthy = scene.receiver(name="beside")
    scene.start(*WORK)
    scene.act("publish", count=size.events)
    counts = Counts()
    told = []
    for act, (of, receiver) in cases.items():
        scene.wait_until(lambda receiver=receiver: len(receiver.requests) >= 8, 20)  # type: ignore[misc]
        scene.act(act, **{of: receiver.endpoint if of == "endpoint" else receiver.owner})
        at = time.time()
        told.append((act, receiver, at))
    scene.act("published")
    scene.wait_until_done(size.patience)
    for act, receiver, at in told:
        # What was on the wire has been read by the receiver a moment later.
        late = sum(request.at > at + 0.5 for request in receiver.requests)
        counts.expect(not late, f"{late} came after {act}")
        counts.expect(receiver.requests, f"nothing came before {act}")
    beside = scene.count([healthy])
    beside.problems += counts.problems
    beside.notes.append("what the endpoint beside them got")
    return beside


@row("W13", "an owner may no longer read a field when it is sent")
def reads_less(scene: Scene, _size: Size) -> Counts:
    """The field is not in it."""
    found = scene.act("at_send_time")
    counts = Counts(sent=1, received=len(found["slugs"]))
    counts.expect(found["slugs"] == [None], f"the slug is {found['slugs']}")
    return counts


@row("W14", "SIGTERM to the sending worker with deliveries on the wire")
def stopped_gently(scene: Scene, size: Size) -> Counts:
    """What is on the wire is seen through and written down, so nothing is sent twice."""
    for _ in range(size.endpoints):
        scene.receiver(behaviours.slowly(0.2))
    scene.start(*WORK)
    scene.act("publish", count=size.events)
    for _ in range(min(3, size.kills)):
        scene.wait_for_more()
        process = scene.processes.pop("sender")
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        scene.start("sender")
    counts = finish(scene, size)
    counts.expect(not counts.duplicates, f"{counts.duplicates} were sent twice")
    counts.expect(
        not sum(not request.is_taken for each in scene.receivers for request in each.requests),
        "a request was broken off",
    )
    return counts
