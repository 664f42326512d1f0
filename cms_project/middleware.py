"""What happens to every request: who asks, its id, no credentials in URLs, and errors as problems."""

import logging
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from accounts.access import Principal
from accounts.errors import Problem, UnavailableError, UnknownParameterError
from accounts.ids import uuid7
from accounts.models import User
from accounts.principals import SESSION_ID_KEY
from cms_project import api_life, bodies, logs, problems, proxies, standing

GetResponse = Callable[[HttpRequest], HttpResponseBase]
logger = logging.getLogger("quillkeep.request")

FORWARDING_HEADERS: Final = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_SERVER",
    "HTTP_X_REAL_IP",
    "HTTP_X_REQUEST_ID",
)
MAX_CREDENTIAL_LENGTH: Final = 8 * 1024
MAX_QUERY_LENGTH: Final = 8 * 1024
MAX_HEADERS_LENGTH: Final = 32 * 1024  # all of them together
CREDENTIAL_PARAMETERS: Final = frozenset(
    {
        "access_token",
        "api-key",
        "api_key",
        "apikey",
        "auth",
        "authorization",
        "bearer",
        "client_secret",
        "credential",
        "id_token",
        "jwt",
        "key",
        "passwd",
        "password",
        "refresh",
        "refresh_token",
        "secret",
        "token",
        "x-api-key",
    }
)
CREDENTIAL_VALUE: Final = re.compile(
    r"qk_[a-z0-9]+_[A-Za-z0-9]+_|qk(?:p[cs]|hs)_|whsec_|eyJ[A-Za-z0-9_-]{8,}\.eyJ|(?i:bearer )"
)


ALIVE: Final = "/healthz"
FOR_PROGRAMS: Final = ("/api/", "/hooks/", "/.well-known/")
HTTPS_REQUIRED: Final = "Use https://. A credential that you sent has been readable on the way: revoke it."


class RequestMiddleware:
    """Gives the request its id and the true address of the client, and logs it once it is answered.

    The id is ours (UUIDv7): one from outside could point the log at somebody else's request.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer with X-Request-ID."""
        identifier = str(uuid7())
        request.request_id = identifier  # type: ignore[attr-defined]  # ours, read by cms_project.problems
        token = logs.request_id.set(identifier)
        started = time.perf_counter()
        try:
            resolve_client(request)
            response = self.get_response(request)
            response.headers["X-Request-ID"] = identifier
            response.headers["Server"] = "quillkeep"  # or the server would write its own name
            if request.path.startswith("/api/"):
                # Only what says so itself is kept by a cache: never what a credential was shown (CVE-2024-45596).
                response.headers.setdefault("Cache-Control", "private, no-store")
            if response.status_code == HTTPStatus.NOT_MODIFIED:
                # Django says 0, which is not the document's length (RFC 9110, section 8.6).
                del response.headers["Content-Length"]
            logger.info(
                "%s %s %s",
                request.method,
                request.path,
                response.status_code,
                extra={
                    "ms": round((time.perf_counter() - started) * 1000, 1),
                    "address": request.META["REMOTE_ADDR"],
                    **_who(request),
                },
            )
            return response
        finally:
            logs.request_id.reset(token)


class ProblemMiddleware:
    """Renders every error outside /admin/ that is not a problem yet as one, whoever made it."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Replace the body of a bare error and keep its headers."""
        response = self.get_response(request)
        if (
            response.status_code < HTTPStatus.BAD_REQUEST
            or problems.wants_pages(request)
            or response.headers.get("Content-Type", "").startswith(problems.CONTENT_TYPE)
        ):
            return response
        problem = problems.render(request, response.status_code)
        for name in ("Allow", "Retry-After", "WWW-Authenticate", "RateLimit", "RateLimit-Policy"):
            if name in response.headers:
                problem.headers[name] = response.headers[name]
        return problem


class GuardMiddleware:
    """Refuses what no view should have to think of.

    NUL in a path: PostgreSQL takes none, so no name holds one. Parameters of writes: what is not read must not be
    taken for understood.

    Credentials in the query string: they would stay in histories, logs and Referer headers. Endless queries
    and credentials. Bodies without a length: Django would take them for empty and act on that.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer 400, 403, 411, 413, 414, 431 or 503, or pass it on."""
        # The process lives all the same: whoever asks that would only start it again.
        if request.path != ALIVE and standing.is_refused():
            return problems.for_refusal(request, UnavailableError())
        query = request.META.get("QUERY_STRING", "")
        if len(query) > MAX_QUERY_LENGTH:
            return problems.refuse(request, HTTPStatus.REQUEST_URI_TOO_LONG)
        if len(request.META.get("HTTP_AUTHORIZATION", "")) > MAX_CREDENTIAL_LENGTH:
            return problems.refuse(request, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if "HTTP_TRANSFER_ENCODING" in request.META:
            return problems.refuse(request, HTTPStatus.LENGTH_REQUIRED)
        if (fault := _body_fault(request)) is not None:
            return problems.refuse(request, fault)
        if (
            sum(len(value) for name, value in request.META.items() if name.startswith("HTTP_"))
            > MAX_HEADERS_LENGTH
        ):
            return problems.refuse(request, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if "\x00" in request.path:
            return problems.refuse(request, HTTPStatus.NOT_FOUND)
        if settings.SECURE_SSL_REDIRECT and not request.is_secure() and _is_for_programs(request.path):
            # No redirect: a program would follow it each time, and send its credential in the clear each time.
            return problems.refuse(
                request, HTTPStatus.FORBIDDEN, code="https-required", detail=HTTPS_REQUIRED
            )
        if query and self._holds_credential(request, query):
            return problems.refuse(
                request,
                HTTPStatus.BAD_REQUEST,
                code="credential-in-query",
                detail="Credentials go in the Authorization header. The one you sent has leaked: revoke it.",
            )
        if query and request.method in ("POST", "PUT", "PATCH") and not problems.wants_pages(request):
            name = next(iter(request.GET), "")[:120]
            unknown = Problem("unknown-parameter", "There is no such parameter here.", parameter=name)
            return problems.for_refusal(request, UnknownParameterError(errors=[unknown]))
        return self.get_response(request)

    @staticmethod
    def _holds_credential(request: HttpRequest, query: str) -> bool:
        names = frozenset[str]() if problems.wants_pages(request) else CREDENTIAL_PARAMETERS
        return any(
            name.strip().lower() in names or CREDENTIAL_VALUE.search(name) or CREDENTIAL_VALUE.search(value)
            for name, value in parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=None)
        )


class SunsetMiddleware:
    """Answers 410 below `/api/v1/` once the version has ended. Inside of the limits and of CORS, like any answer."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Refuse, or pass it on."""
        if (
            request.path.startswith(api_life.PREFIX)
            and request.path not in api_life.STAYS
            and api_life.has_ended()
        ):
            return problems.refuse(request, HTTPStatus.GONE, code="version-ended", detail=api_life.ended())
        return self.get_response(request)


_BODY_FAULTS: Final = {
    bodies.CROWDED: HTTPStatus.SERVICE_UNAVAILABLE,
    bodies.SHORT: HTTPStatus.BAD_REQUEST,
    bodies.LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}


def _body_fault(request: HttpRequest) -> HTTPStatus | None:
    """Return why the body is not there to be read; a server that reads bodies itself says nothing of it."""
    if (state := request.META.get(bodies.STATE)) is not None:
        return _BODY_FAULTS[state]
    length = request.META.get("CONTENT_LENGTH") or "0"
    is_large = not length.isdecimal() or int(length) > bodies.MAX_BYTES
    return HTTPStatus.REQUEST_ENTITY_TOO_LARGE if is_large else None


def _is_for_programs(path: str) -> bool:
    return path.startswith(FOR_PROGRAMS)


def resolve_client(request: HttpRequest) -> None:
    """Put the client's address and scheme where Django looks for them, believing only our own proxies.

    The headers are removed, so that nothing after this can be fooled by them. A trusted proxy must drop names with
    underscores: WSGI can't tell X_Forwarded_For from X-Forwarded-For.
    """
    meta = request.META
    scheme = meta.get("HTTP_X_FORWARDED_PROTO", "").strip().lower()
    is_forwarded = (
        any(name in meta for name in FORWARDING_HEADERS if name != "HTTP_X_REQUEST_ID") or "HTTP_VIA" in meta
    )
    peer, client = proxies.peer_of(meta), proxies.client_of(meta)
    for name in FORWARDING_HEADERS:
        meta.pop(name, None)
    is_ours = peer is not None and proxies.is_trusted(peer)
    # A proxy that nobody told us of hides its clients: its own address, often loopback, says nothing of them.
    request.is_from_a_stranger_proxy = is_forwarded and not is_ours  # type: ignore[attr-defined]  # ours, read by cms_project.metrics
    if is_ours and scheme in ("http", "https"):
        meta["wsgi.url_scheme"] = scheme
    meta["REMOTE_ADDR"] = str(client) if client is not None else "0.0.0.0"  # noqa: S104 (a socket has no peer)


def _who(request: HttpRequest) -> dict[str, str]:
    """Return who asked, for the access log: ids that name and never authorise (a key's public id, a session's id)."""
    found = getattr(request, "auth", None) or getattr(request, "_principal", None)
    user = getattr(request, "_cached_user", None)  # a page asked who it is; never asked for the log alone
    if not isinstance(found, Principal) and isinstance(user, User):
        session = str(request.session.get(SESSION_ID_KEY, ""))
        return {"principal": str(user.pk), "credential": f"session {session}".strip()}
    if not isinstance(found, Principal) or found.kind == "anonymous":
        return {}
    who = {"principal": str(found.user_id)}
    if found.credential:
        who["credential"] = f"{found.credential} {found.credential_id}".strip()
    return who
