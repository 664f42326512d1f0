"""How much anybody may ask: burst and sustained limits on Valkey, told in the RateLimit headers of the IETF draft.

Form: draft-ietf-httpapi-ratelimit-headers-11. Who calls is the principal, or the network of the address; a limit of
one view is kept by the view that the address resolved to. Nothing that a client writes freely is part of a bucket.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar, Final

import redis
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.access import Principal
from accounts.addresses import callers_network, client_address
from accounts.buckets import Level, Notes, Window, buckets
from accounts.errors import TooManyRequestsError, UnavailableError
from accounts.outages import outage

if TYPE_CHECKING:
    from rest_framework.views import APIView  # at run time a circle: DRF's views load our default throttle

WINDOW_SECONDS: Final = 60
BURST_SECONDS: Final = 10
API: Final = "/api/"


@dataclass(frozen=True, slots=True)
class Policy:
    """`quota` requests in a minute, of which `burst` in ten seconds; `overall`: of all callers together, in a minute.

    `fails_open`: whether requests pass when the store is down.
    """

    name: str
    quota: int
    fails_open: bool
    burst: int | None = None
    overall: int | None = None

    def windows(self, caller: str) -> list[Window]:
        """Return the buckets of a caller. How full the one of all callers is, is nobody's business."""
        found = [Window(self.name, self.quota, WINDOW_SECONDS, caller)]
        if self.burst is not None:
            found.insert(0, Window(f"{self.name}-burst", self.burst, BURST_SECONDS, caller))
        if self.overall is not None:
            found.append(Window(f"{self.name}-overall", self.overall, WINDOW_SECONDS, "all", shown=False))
        return found


READS: Final = Policy("reads", quota=1200, burst=400, fails_open=True)
WRITES: Final = Policy("writes", quota=600, burst=200, fails_open=True)
EXPORTS: Final = Policy("exports", quota=30, burst=15, fails_open=True)  # for each view that is much work
SIGN_INS: Final = Policy("sign-ins", quota=30, overall=300, fails_open=False)
REFRESHES: Final = Policy("refreshes", quota=30, fails_open=False)
# What does not pass for a credential, by address, and refused before the database is asked.
FAILURES: Final = Policy("failures", quota=60, fails_open=True)


def known_callers(policy: Policy) -> Policy:
    """Return a policy without its ceiling over all callers, which strangers could use up for everybody."""
    return replace(policy, overall=None)


def of_requests_per_minute(quota: int) -> Policy:
    """Return the policy of a number that a key or a role has of its own: reads and writes together."""
    return Policy("requests", quota=quota, burst=max(1, ceil(quota / 3)), fails_open=True)


@dataclass(frozen=True, slots=True)
class State:
    """Where a caller stands after a request."""

    levels: tuple[Level, ...]

    @property
    def is_exceeded(self) -> bool:
        return any(level.is_full for level in self.levels)

    @property
    def remaining(self) -> int:
        return min(level.remaining for level in self.levels)

    @property
    def resets_in(self) -> int:
        """Return in how many seconds the caller is let in again, or the shortest window is over."""
        full = [level.resets_in for level in self.levels if level.is_full]
        return max(full) if full else min(level.resets_in for level in self.levels)

    @property
    def headers(self) -> dict[str, str]:
        shown = [level for level in self.levels if level.window.shown]
        return {
            "RateLimit-Policy": ", ".join(
                f'"{level.window.name}";q={level.window.quota};w={level.window.seconds}' for level in shown
            ),
            "RateLimit": ", ".join(
                f'"{level.window.name}";r={level.remaining};t={level.resets_in}' for level in shown
            ),
        }


def hit(policy: Policy, caller: str, *, notes: Notes | None = None, is_counted: bool = True) -> State | None:
    """Count a request. None when the store is down and the policy lets pass.

    Raises UnavailableError when the store is down and guessing must not become free.
    """
    try:
        levels = buckets().take(policy.windows(caller), notes=notes, is_counted=is_counted)
    except redis.RedisError as error:
        outage.note(error)
        if policy.fails_open:
            return None
        raise UnavailableError(retry_after=5) from error
    outage.end()
    return State(tuple(levels))


def by_address(request: HttpRequest) -> str:
    """Name the bucket of who calls without a credential."""
    return f"address:{callers_network(client_address(request))}"


# --- Requests of the API --------------------------------------------------------------------------------------------


def admit(
    request: HttpRequest, principal: Principal | None, view: "APIView | None", *, notes: Notes | None = None
) -> None:
    """Count a request of the API for whoever asks, once. Raises TooManyRequestsError."""
    policy, caller = _policy(request, principal, view), _caller(request, principal)
    if getattr(view, "limited_as", None) is not None:
        caller = f"{type(view).__module__}.{type(view).__qualname__}:{caller}"
    _count(request, policy, caller, notes=notes)


def _policy(request: HttpRequest, principal: Principal | None, view: "APIView | None") -> Policy:
    own: Policy | None = getattr(view, "limited_as", None)
    if own is not None:
        return own
    if principal is not None and principal.requests_per_minute is not None:
        return of_requests_per_minute(principal.requests_per_minute)
    return READS if request.method in ("GET", "HEAD", "OPTIONS") else WRITES


def _caller(request: HttpRequest, principal: Principal | None) -> str:
    """Name the bucket (CVE-2025-64526). A person’s sessions and tokens are one caller; each key and preview is."""
    if principal is None or not principal.credential:
        return by_address(request)
    if principal.credential in ("api-key", "preview"):
        return f"{principal.credential}:{principal.credential_id}"
    return f"user:{principal.user_id}"


def _count(request: HttpRequest, policy: Policy, caller: str, *, notes: Notes | None = None) -> None:
    state = hit(policy, caller, notes=notes)
    request.rate_limit = state  # type: ignore[attr-defined]  # read by RateLimitMiddleware
    if state is not None and state.is_exceeded:
        raise TooManyRequestsError(retry_after=state.resets_in)


# --- Credentials that are none ---------------------------------------------------------------------------------------

_failing: dict[
    str, float
] = {}  # networks whose credentials this process refused, and until when to look at them
_good: dict[bytes, float] = {}  # digests of headers that this process found good, and until when that counts
_MOST_KNOWN: Final = 10_000
_GOOD_SECONDS: Final = 600
_DIGEST_KEY: Final = secrets.token_bytes(32)  # so that what lies in memory is of no use to anybody


def require_few_failures(request: HttpRequest, header: str) -> None:
    """Raise TooManyRequestsError for an address that sent too many bad credentials, before anything is looked up.

    Only where this process has refused one of it lately, so that good credentials cost no round trip of their own:
    each process lets one more through than the quota says. What was good a while ago is let through to be checked:
    somebody who guesses must not lock out all who share an address with them.
    """
    caller = by_address(request)
    now = time.monotonic()
    if _failing.get(caller, 0.0) < now or _good.get(_digest(header), 0.0) >= now:
        return
    state = hit(FAILURES, caller, is_counted=False)
    if state is not None and state.is_exceeded:
        request.rate_limit = state  # type: ignore[attr-defined]  # read by RateLimitMiddleware
        raise TooManyRequestsError(retry_after=state.resets_in)


def note_good(header: str) -> None:
    """Remember for a while that a credential was good."""
    if len(_good) >= _MOST_KNOWN:
        _good.clear()
    _good[_digest(header)] = time.monotonic() + _GOOD_SECONDS


def _digest(header: str) -> bytes:
    return hashlib.blake2b(header.encode(errors="replace"), digest_size=16, key=_DIGEST_KEY).digest()


def count_failure(request: HttpRequest, header: str, *, notes: Notes | None = None) -> None:
    """Count a bad credential. Raises TooManyRequestsError when there were too many."""
    caller = by_address(request)
    if len(_failing) >= _MOST_KNOWN:
        _failing.clear()
    _failing[caller] = time.monotonic() + 2 * WINDOW_SECONDS
    _good.pop(_digest(header), None)
    _count(request, FAILURES, caller, notes=notes)


def count_ended(request: HttpRequest, header: str, *, credential: str) -> None:
    """Count a credential that was ours and is over, by itself. Raises TooManyRequestsError when it came too often.

    It is no guess. A site's server speaks for many people from one address, and none of them may lock out the others.
    """
    _good.pop(_digest(header), None)
    _count(request, FAILURES, credential)


def forget_failures() -> None:
    """Let this process know of none, and of nothing good."""
    _failing.clear()
    _good.clear()


# --- Where they are asked -------------------------------------------------------------------------------------------


class Throttle(BaseThrottle):
    """Counts what authentication did not count already, by address."""

    policy: ClassVar[Policy | None] = None

    def allow_request(self, request: Request, view: "APIView") -> bool:
        django_request: HttpRequest = request._request  # noqa: SLF001 (DRF's wrapper)
        if self.policy is not None:
            _count(django_request, self.policy, by_address(django_request))
        elif not hasattr(django_request, "rate_limit"):
            admit(django_request, None, view)
        return True


class SignInThrottle(Throttle):
    """Thirty sign-ins a minute from an address, whoever is named in them; three hundred from all of them."""

    policy: ClassVar[Policy] = SIGN_INS

    def allow_request(self, request: Request, view: "APIView") -> bool:
        if not (isinstance(request.auth, Principal) and request.auth.credential == "jwt"):
            return super().allow_request(request, view)
        # Who has a session is no stranger: a flood of sign-ins must not keep anybody from stepping up.
        counted: HttpRequest = request._request  # noqa: SLF001 (DRF's wrapper)
        _count(counted, known_callers(self.policy), by_address(counted))
        return True


class RefreshThrottle(Throttle):
    """Thirty refreshes a minute from an address."""

    policy = REFRESHES


class RateLimitMiddleware:
    """Adds the RateLimit headers to every answer of a counted request, refusals included.

    What no view has counted (unknown paths, preflights, requests that are refused before they reach one) is counted
    here, by address, so that nothing below /api/ is free.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not hasattr(request, "rate_limit") and request.path.startswith(API):
            try:
                admit(request, None, None)
            except TooManyRequestsError as error:
                wait = str(error.extensions["retry_after"])
                response = HttpResponse(status=429, headers={"Retry-After": wait})  # a problem further out
        state: Any = getattr(request, "rate_limit", None)
        if isinstance(state, State):
            for name, value in state.headers.items():
                response.headers[name] = value
        return response
