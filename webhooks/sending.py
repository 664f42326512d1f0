"""Sends what is due: leases it, asks what may be told, posts it from a pool of threads, writes down what came of it.

Threads do nothing but HTTP; this one alone talks to the database. What is on the wire when the process dies is leased,
and so is tried again by another one a minute later, with the same id and the same bytes.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from django.db import InterfaceError, InternalError, OperationalError, connection
from django.utils import timezone

from accounts import egress
from accounts.access import Principal
from accounts.egress import EgressError
from accounts.keyring import KeyRingError
from accounts.models import Lockdown
from webhooks import hearing, outcomes, payload, rewriting, signing
from webhooks.clock import watch
from webhooks.hearing import Listener
from webhooks.lanes import SLOW_THREADS, START, THREADS, Lanes
from webhooks.leasing import LEASE, attempt_id, lease
from webhooks.models import Delivery, Endpoint, EndpointSecret
from webhooks.outcomes import Outcome
from webhooks.types import TEST

logger = logging.getLogger("quillkeep.webhooks")

DEADLINE: Final = 15.0  # seconds for an attempt, name and handshake included
LONGEST: Final = 600.0  # seconds that one drain goes on; the next one takes over
_MOST_BYTES: Final = 64 * 1024
_LOOK_EVERY: Final = 0.5  # seconds, for what became due meanwhile
_TICK: Final = 0.02
_DATABASE_AWAY: Final = 45.0  # seconds that results are kept for a database that restarts: less than a lease
_AWAY: Final = (OperationalError, InterfaceError, InternalError)  # restarting, gone, or only to be read
HEADERS: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Flight:
    """A delivery that is ready to be sent."""

    delivery: Delivery
    url: str
    body: str
    headers: dict[str, str]

    def outcome(self) -> Outcome:
        """Return what is known before the answer."""
        until = self.delivery.leased_until or timezone.now() + LEASE
        return Outcome(
            attempt_id=attempt_id(self.delivery.pk, self.delivery.fence, until),
            delivery_id=self.delivery.pk,
            endpoint_id=self.delivery.endpoint_id,
            fence=self.delivery.fence,
            is_test=self.delivery.type == TEST,
            at=timezone.now(),
            body=self.body,
            request_headers=self.headers,
        )


def drain(*, is_stopping: Callable[[], bool]) -> int:
    """Send until nothing is due and nothing on the wire, or until asked to stop; return the number of attempts."""
    return _Drain(is_stopping).run()


class _Drain:
    def __init__(self, is_stopping: Callable[[], bool]) -> None:
        self._is_stopping = is_stopping
        self._lanes = _lanes
        self._flying: dict[Future[tuple[Outcome, float]], bool] = {}  # whether it is in the slow lane
        # Results that may be told from a moment on: how soon nothing came says what is behind an address.
        self._held: list[tuple[float, Outcome]] = []
        self._unwritten: list[Outcome] = []
        self._away_since: float | None = None
        self._looked_at = float("-inf")

    def run(self) -> int:
        ends_at = time.monotonic() + LONGEST
        made = 0
        with ThreadPoolExecutor(THREADS, thread_name_prefix="webhook") as pool:
            while True:
                self._collect()
                is_over = self._is_stopping() or time.monotonic() > ends_at
                try:
                    if self._unwritten:
                        made += self._write()
                    started = 0 if is_over else self._start(pool)
                    self._away_since = None
                except _AWAY as error:
                    self._endure(error)
                    started = 0
                if not (self._flying or self._held or self._unwritten or started):
                    return made
                self._wait()

    def _collect(self) -> None:
        """Take in what has come back."""
        for future in [future for future in self._flying if future.done()]:
            del self._flying[future]
            outcome, shown_at = future.result()
            self._lanes.note(outcome)
            self._held.append((shown_at, outcome))
        now = time.monotonic()
        self._unwritten += [outcome for shown_at, outcome in self._held if shown_at <= now]
        self._held = [item for item in self._held if item[0] > now]

    def _write(self) -> int:
        outcomes.settle(self._unwritten, now=timezone.now())
        made = len(self._unwritten)
        self._unwritten = []
        self._looked_at = float("-inf")  # there is room again
        return made

    def _start(self, pool: ThreadPoolExecutor) -> int:
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY:
            return 0
        self._looked_at = now
        watch.look()
        if Lockdown.objects.is_on():
            return 0  # nothing leaves, and nothing could be written down
        free = THREADS - len(self._flying)
        slow_free = min(free, SLOW_THREADS - sum(self._flying.values()))
        slow = lease(slow_free, now=timezone.now(), rooms=self._lanes.rooms, other=1, slow=True)
        quick = lease(free - len(slow), now=timezone.now(), rooms=self._lanes.rooms, other=START, slow=False)
        is_slow = {delivery.pk for delivery in slow}
        for flight in prepared([*slow, *quick]):
            if isinstance(flight, Outcome):
                self._unwritten.append(flight)
            else:
                self._flying[pool.submit(_post, flight)] = flight.delivery.pk in is_slow
        leased = len(slow) + len(quick)
        if leased and not self._flying:
            self._looked_at = float("-inf")  # all of it was withheld: there is room for what stands behind it
        return leased

    def _endure(self, error: Exception) -> None:
        """Keep what came back while the database restarts: else each of them would be sent twice."""
        now = time.monotonic()
        self._away_since = self._away_since or now
        if now - self._away_since > _DATABASE_AWAY:
            raise error
        logger.warning("The database is away (%s); what was sent is kept.", type(error).__name__)
        connection.close()
        time.sleep(_LOOK_EVERY)

    def _wait(self) -> None:
        if self._flying:
            wait(self._flying, timeout=_TICK, return_when=FIRST_COMPLETED)
            # A little longer: what comes back together is written together, and what follows is prepared together.
            wait(self._flying, timeout=_TICK)
        elif self._held or self._unwritten:
            time.sleep(_TICK)


_lanes: Final = Lanes()


def forget() -> None:
    """Forget what this process has seen of endpoints."""
    _lanes.rooms.clear()


def prepared(deliveries: Collection[Delivery]) -> Iterable[Flight | Outcome]:
    """Yield what can be sent, and what failed before that. What the owner may not read is withheld, for good."""
    if not deliveries:
        return
    now = timezone.now()
    ids = {delivery.endpoint_id for delivery in deliveries}
    endpoints = Endpoint.objects.select_related("owner").in_bulk(ids)
    secrets: dict[object, list[EndpointSecret]] = {}
    for secret in EndpointSecret.objects.signing(now).filter(endpoint__in=ids):
        secrets.setdefault(secret.endpoint_id, []).append(secret)
    listeners = _listeners(endpoints, deliveries)
    heard = hearing.heard(listeners)
    present = [delivery for listener in listeners for delivery in listener.deliveries]
    bodies = payload.bodies(present, heard)
    _withhold([delivery for delivery in present if delivery.pk not in bodies])
    _keep(present, bodies)
    # Asked last, so that what was disabled or removed while the rights were asked is not sent any more.
    ours = dict(Delivery.objects.waiting().filter(pk__in=bodies).values_list("pk", "fence"))
    for listener in listeners:
        endpoint, endpoint_id, mine = listener.endpoint, listener.endpoint.pk, listener.deliveries
        try:
            signers = [signing.opened(secret) for secret in secrets.get(endpoint_id, ())]
        except KeyRingError:
            logger.error("The secret of endpoint %s can't be opened with the key ring.", endpoint_id)
            signers = []
        for delivery in mine:
            if ours.get(delivery.pk) != delivery.fence:
                continue
            body = bodies[delivery.pk]
            flight = Flight(delivery, endpoint.url, body, {})
            if not signers:
                yield replace(flight.outcome(), error=outcomes.UNSIGNED)
                continue
            signed = signing.headers(str(delivery.pk), now, body.encode(), signers)
            yield replace(flight, headers={**HEADERS, **signed})


def _listeners(endpoints: Mapping[UUID, Endpoint], deliveries: Collection[Delivery]) -> list[Listener]:
    """Return who is told of what. Endpoints of one owner share a principal, so that is asked once for all of them."""
    by_endpoint: dict[UUID, list[Delivery]] = {}
    for delivery in deliveries:
        if delivery.endpoint_id in endpoints:  # it may be removed by now
            by_endpoint.setdefault(delivery.endpoint_id, []).append(delivery)
    known: dict[tuple[UUID, str], Principal] = {}
    listeners = []
    for endpoint_id, mine in by_endpoint.items():
        endpoint = endpoints[endpoint_id]
        if endpoint.listens_as not in known:
            known[endpoint.listens_as] = hearing.principal_of(endpoint, endpoint.owner)
        listeners.append(Listener(endpoint, known[endpoint.listens_as], mine))
    return listeners


def _keep(deliveries: Collection[Delivery], bodies: Mapping[UUID, str]) -> None:
    """Write down what will be sent before it is: if we die on the way, the same bytes are sent again."""
    changed = [delivery for delivery in deliveries if bodies.get(delivery.pk, delivery.body) != delivery.body]
    for delivery in changed:
        delivery.body = bodies[delivery.pk]
    rewriting.write_bodies(changed)


def _withhold(deliveries: Collection[Delivery]) -> None:
    if deliveries:
        Delivery.objects.waiting().filter(pk__in=[delivery.pk for delivery in deliveries]).update(
            state=Delivery.State.WITHHELD, ended_at=timezone.now(), next_attempt_at=None, leased_until=None
        )


def _post(flight: Flight) -> tuple[Outcome, float]:
    """Make one attempt; return what came of it, and from when on (monotonic seconds) that may be told."""
    outcome, began = flight.outcome(), time.monotonic()
    try:
        answer = egress.post(
            flight.url,
            flight.body.encode(),
            headers=flight.headers,
            deadline=DEADLINE,
            max_bytes=_MOST_BYTES,
            cut=True,
        )
    except EgressError as error:
        return replace(outcome, error=outcomes.UNREACHABLE), error.shown_at
    milliseconds = int((time.monotonic() - began) * 1000)
    return replace(outcome, answer=answer, milliseconds=milliseconds), 0.0
