"""How much anybody may ask: DRF throttles over `limits` on Valkey, told in the RateLimit headers of the IETF draft.

Form: draft-ietf-httpapi-ratelimit-headers-11.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

import redis
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.access import Principal
from accounts.addresses import client_address
from accounts.errors import TooManyRequestsError, UnavailableError
from accounts.valkey import valkey

if TYPE_CHECKING:
    from rest_framework.views import APIView  # at run time a circle: DRF's views load our default throttle

logger = logging.getLogger("quillkeep.limits")

WINDOW_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Policy:
    """`quota` requests in a minute. `fails_open`: whether requests pass when the store is down."""

    name: str
    quota: int
    fails_open: bool


READS: Final = Policy("reads", quota=1200, fails_open=True)
WRITES: Final = Policy("writes", quota=600, fails_open=True)
SIGN_INS: Final = Policy("sign-ins", quota=30, fails_open=False)


@dataclass(frozen=True, slots=True)
class State:
    """Where a caller stands after a request: what remains, and in how many seconds the window is over."""

    policy: Policy
    remaining: int
    resets_in: int
    is_exceeded: bool

    @property
    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Policy": f'"{self.policy.name}";q={self.policy.quota};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.policy.name}";r={self.remaining};t={self.resets_in}',
        }


def hit(policy: Policy, caller: str) -> State | None:
    """Count a request. None when the store is down and the policy lets pass.

    Raises UnavailableError when the store is down and guessing must not become free.
    """
    item = RateLimitItemPerMinute(policy.quota, namespace="quillkeep")
    try:
        is_within = _limiter().hit(item, policy.name, caller)
        stats = _limiter().get_window_stats(item, policy.name, caller)
    except redis.RedisError as error:
        if policy.fails_open:
            logger.warning("Limits can't be counted, requests pass: %s.", type(error).__name__)
            return None
        raise UnavailableError(retry_after=5) from error
    resets_in = min(WINDOW_SECONDS, max(1, int(stats.reset_time - time.time()) + 1))
    return State(policy, max(0, stats.remaining), resets_in, is_exceeded=not is_within)


class Throttle(BaseThrottle):
    """Counts by principal, or by address where nobody is signed in; puts the state on the request for the headers."""

    policy: ClassVar[Policy | None] = None

    def allow_request(self, request: Request, view: "APIView") -> bool:  # noqa: ARG002 (DRF's signature)
        policy = self.policy or (READS if request.method in ("GET", "HEAD", "OPTIONS") else WRITES)
        django_request: HttpRequest = request._request  # noqa: SLF001 (DRF's wrapper)
        state = hit(policy, self.caller(request))
        django_request.rate_limit = state  # type: ignore[attr-defined]  # read by RateLimitMiddleware
        if state is not None and state.is_exceeded:
            raise TooManyRequestsError(retry_after=state.resets_in)
        return True

    def caller(self, request: Request) -> str:
        """Name the bucket. Nothing that the client writes freely is part of it (CVE-2025-64526)."""
        principal = request.auth
        if isinstance(principal, Principal) and principal.credential:
            return f"{principal.credential}:{principal.credential_id or principal.user_id}"
        return f"address:{client_address(request._request)}"  # noqa: SLF001 (DRF's wrapper)


class SignInThrottle(Throttle):
    """Thirty sign-ins a minute from an address, whoever is named in them."""

    policy = SIGN_INS

    def caller(self, request: Request) -> str:
        return f"address:{client_address(request._request)}"  # noqa: SLF001 (DRF's wrapper)


class RateLimitMiddleware:
    """Adds the RateLimit headers to every answer of a counted request, refusals included."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        state: Any = getattr(request, "rate_limit", None)
        if isinstance(state, State):
            for name, value in state.headers.items():
                response.headers[name] = value
        return response


@cache
def _limiter() -> SlidingWindowCounterRateLimiter:
    storage = RedisStorage(
        "redis://", connection_pool=valkey().connection_pool, key_prefix="quillkeep:limits"
    )
    return SlidingWindowCounterRateLimiter(storage)
