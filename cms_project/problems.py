"""Every error outside /admin/ as RFC 9457 problem+json; only this module knows their HTTP statuses."""

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views import defaults
from django.views.csrf import csrf_failure as django_csrf_failure
from rest_framework import exceptions
from rest_framework.response import Response

from accounts import errors
from accounts.api.json_body import BodyTooLargeError, MalformedBodyError
from accounts.environments import OtherEnvironmentError
from accounts.errors import Problem, RefusedError
from accounts.sign_in.passkeys import PasskeyRefusedError
from cms_project import lockdown
from content.admin.whole_form import FormTooLargeError, TooManyInputsError
from content.sealed_values import ValuesLostError
from previews.handoff import RefusedCodeError
from previews.signing.life import TooYoungError
from webhooks.incoming.receiving import DifferentBodyError, UnprovenRequestError

logger = logging.getLogger("quillkeep.problems")

CONTENT_TYPE: Final = "application/problem+json"
PAGES: Final = "/admin/"  # below this people, not programs, read the errors
AWAY: Final = (OperationalError, InterfaceError, InternalError)  # it restarts, is gone, or can only be read
RETRY_SECONDS: Final = 2
CHALLENGE: Final = 'Bearer realm="quillkeep"'

# An error class that is not here fails a test; a subclass needs its own line.
STATUSES: Final[Mapping[type[RefusedError], HTTPStatus]] = {
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.NotAuthenticatedError: HTTPStatus.UNAUTHORIZED,
    errors.RetiredSecretError: HTTPStatus.UNAUTHORIZED,
    OtherEnvironmentError: HTTPStatus.UNAUTHORIZED,
    errors.SecondFactorRequiredError: HTTPStatus.UNAUTHORIZED,
    errors.SecondFactorEnrolmentRequiredError: HTTPStatus.UNAUTHORIZED,
    errors.StrongerFactorRequiredError: HTTPStatus.UNAUTHORIZED,
    RefusedCodeError: HTTPStatus.UNAUTHORIZED,
    UnprovenRequestError: HTTPStatus.UNAUTHORIZED,
    errors.LockedOutError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooManyRequestsError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.NotAllowedError: HTTPStatus.FORBIDDEN,
    errors.StepUpRequiredError: HTTPStatus.FORBIDDEN,
    errors.LockedDownError: HTTPStatus.LOCKED,
    errors.InvalidInputError: HTTPStatus.BAD_REQUEST,
    errors.UnknownParameterError: HTTPStatus.BAD_REQUEST,
    PasskeyRefusedError: HTTPStatus.BAD_REQUEST,
    errors.ConflictError: HTTPStatus.CONFLICT,
    TooYoungError: HTTPStatus.CONFLICT,
    DifferentBodyError: HTTPStatus.CONFLICT,
    ValuesLostError: HTTPStatus.CONFLICT,
    errors.ConfirmationRequiredError: HTTPStatus.CONFLICT,
    errors.StaleVersionError: HTTPStatus.PRECONDITION_FAILED,
    errors.PreconditionRequiredError: HTTPStatus.PRECONDITION_REQUIRED,
    errors.EntryIncompleteError: HTTPStatus.BAD_REQUEST,
    errors.UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}
# What a status says when nobody says more. Hidden and missing both end here, and so are the same bytes.
CODES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("bad-request", "The request can't be understood."),
    401: ("not-authenticated", errors.NotAuthenticatedError.default_detail),
    403: ("not-allowed", errors.NotAllowedError.default_detail),
    404: ("not-found", errors.NotFoundError.default_detail),
    405: ("method-not-allowed", "This method is not possible here."),
    406: ("not-acceptable", "The answer is application/json only."),
    410: ("gone", "This version of the API has ended."),
    411: ("length-required", "Send the body with a Content-Length."),
    413: ("body-too-large", BodyTooLargeError.default_detail),
    414: ("query-too-long", "The query string is too long."),
    415: ("unsupported-media-type", "The body must be application/json."),
    429: ("too-many-requests", "Too many requests. Try again later."),
    431: ("header-too-large", "A header is too large."),
    500: ("internal-error", "Something broke on our side. The instance below names this request in our log."),
    503: ("unavailable", errors.UnavailableError.default_detail),
}


def wants_pages(request: HttpRequest) -> bool:
    """Whether errors of this path are pages for people."""
    return request.path.startswith(PAGES)


def render(
    request: HttpRequest,
    status: int,
    *,
    code: str = "",
    detail: str = "",
    problems: Iterable[Problem] = (),
    extensions: Mapping[str, object] | None = None,
) -> HttpResponse:
    """Return the problem document; only `instance`, the request's id, differs between two equal errors."""
    default_code, default_detail = CODES.get(status, ("refused", "The request was refused."))
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail or default_detail,
        "instance": f"urn:uuid:{getattr(request, 'request_id', '00000000-0000-0000-0000-000000000000')}",
        "code": code or default_code,
    }
    if listed := [_as_json(problem) for problem in problems]:
        body["errors"] = listed
    body.update({name: value for name, value in (extensions or {}).items() if name not in body})
    response = HttpResponse(
        json.dumps(body, ensure_ascii=False, default=str), status=status, content_type=CONTENT_TYPE
    )
    response.headers["Cache-Control"] = "no-store"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    if status == HTTPStatus.UNAUTHORIZED:
        sent = "HTTP_AUTHORIZATION" in request.META
        response.headers["WWW-Authenticate"] = f'{CHALLENGE}, error="invalid_token"' if sent else CHALLENGE
    return response


def refuse(request: HttpRequest, status: HTTPStatus, *, code: str = "", detail: str = "") -> HttpResponse:
    """Refuse a request: below /admin/ with a page that says why, elsewhere with the problem document."""
    if not wants_pages(request):
        return render(request, status, code=code, detail=detail)
    words = {"what": status.phrase, "why": detail or CODES[status][1]}  # ours alone, nothing of the request
    response = HttpResponse(render_to_string("error.html", words), status=status)
    response.headers["Cache-Control"] = "no-store"
    return response


def handle(exception: Exception, context: Mapping[str, Any]) -> HttpResponse | Response | None:
    """Answer an exception of a DRF view; None for one that nobody foresaw, which becomes a 500."""
    request: HttpRequest = context["request"]._request  # noqa: SLF001 (it has our id)
    if isinstance(exception, RefusedError):
        return for_refusal(request, exception)
    if lockdown.is_refusal(exception):
        return for_refusal(request, errors.LockedDownError())
    if isinstance(exception, AWAY):
        logger.error("The database does not do its work: %s.", type(exception).__name__, exc_info=exception)
        return for_refusal(request, errors.UnavailableError(retry_after=RETRY_SECONDS))
    if isinstance(exception, Http404):
        return render(request, HTTPStatus.NOT_FOUND)
    if isinstance(exception, PermissionDenied):
        return render(request, HTTPStatus.FORBIDDEN)
    if isinstance(exception, RequestDataTooBig):
        return render(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if isinstance(exception, SuspiciousOperation):
        return render(request, HTTPStatus.BAD_REQUEST)
    if isinstance(exception, MalformedBodyError):
        return render(
            request, exception.status_code, code=exception.default_code, problems=[exception.problem]
        )
    if isinstance(exception, exceptions.ValidationError):
        return render(
            request,
            HTTPStatus.BAD_REQUEST,
            code=errors.InvalidInputError.code,
            detail=errors.InvalidInputError.default_detail,
            problems=list(_flatten(exception.get_full_details())),
        )
    if isinstance(exception, exceptions.APIException):
        return _for_api_exception(request, exception)
    return None


def for_refusal(request: HttpRequest, error: RefusedError) -> HttpResponse:
    """Answer one of our own errors."""
    status = status_of(type(error))
    if status == HTTPStatus.NOT_FOUND:
        return render(request, status)  # whatever detail it carries would tell hidden from missing
    response = render(
        request,
        status,
        code=error.code,
        detail=error.detail,
        problems=error.errors,
        extensions=error.extensions,
    )
    retry_after = error.extensions.get("retry_after")
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE) and isinstance(
        retry_after, int
    ):
        response.headers["Retry-After"] = str(retry_after)
    return response


def status_of(error: type[RefusedError]) -> HTTPStatus:
    """Return the status of an error class, of the nearest base that has one; 500 when there is none."""
    for cls in error.__mro__:
        if cls in STATUSES:
            return STATUSES[cls]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def _for_api_exception(request: HttpRequest, error: exceptions.APIException) -> HttpResponse:
    """Answer an exception of DRF itself, with the headers that belong to it."""
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return render(
            request, HTTPStatus.UNAUTHORIZED
        )  # DRF makes it 403 where a view has no WWW-Authenticate
    response = render(request, error.status_code)
    wait = getattr(error, "wait", None)
    if wait is not None:
        response.headers["Retry-After"] = str(int(-(-wait // 1)))
    return response


def _as_json(problem: Problem) -> dict[str, str]:
    place = {"pointer": problem.pointer} if problem.pointer is not None else {}
    if problem.parameter is not None:
        place = {"parameter": problem.parameter}
    return {**place, "code": problem.code, "detail": problem.detail}


def _flatten(details: Any, path: tuple[str | int, ...] = ()) -> Iterator[Problem]:
    """Yield the leaves of DRF's nested error details as problems with pointers."""
    if (
        isinstance(details, Mapping)
        and set(details) == {"message", "code"}
        and isinstance(details["code"], str)
    ):
        yield Problem.at(path, details["code"].replace("_", "-"), str(details["message"]))
    elif isinstance(details, Mapping):
        for key, value in details.items():
            yield from _flatten(value, path if key == "non_field_errors" else (*path, key))
    elif isinstance(details, list):
        # A list is either the messages about one place, or one entry an item of an array.
        are_messages = all(isinstance(item, Mapping) and set(item) == {"message", "code"} for item in details)
        for number, item in enumerate(details):
            yield from _flatten(item, path if are_messages else (*path, number))


# --- Django's own roads to an error
# ---------------------------------------------------------------------------------


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400: bad hosts, too many fields, bodies over the limit."""
    is_large = isinstance(exception, RequestDataTooBig | TooManyFieldsSent | TooManyFilesSent)
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if is_large else HTTPStatus.BAD_REQUEST
    if isinstance(exception, FormTooLargeError | TooManyInputsError):
        back = "Go back in your browser, which most likely still has what you typed, and take something out."
        return refuse(request, status, detail=f"{exception.detail} {back}")
    return refuse(request, status)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 (Django's signature)
    """handler403."""
    return refuse(request, HTTPStatus.FORBIDDEN)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 (Django's signature)
    """handler404."""
    return refuse(request, HTTPStatus.NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500; the exception is in the log under the same id. The page uses no template: that may be what broke."""
    is_away = isinstance(sys.exception(), AWAY)
    status = HTTPStatus.SERVICE_UNAVAILABLE if is_away else HTTPStatus.INTERNAL_SERVER_ERROR
    if not wants_pages(request):
        return render(request, status)
    title = "This is not available at the moment" if is_away else "Something broke on our side"
    words = {"title": title, "details": f"In our log it is {getattr(request, 'request_id', '')}."}
    page = HttpResponse(defaults.ERROR_PAGE_TEMPLATE % words, status=status)
    if is_away:
        page.headers["Retry-After"] = str(RETRY_SECONDS)
    return page


def is_script(request: HttpRequest) -> bool:
    """Tell whether a script of the admin asks. It says so in a header, which no other site can send here."""
    return wants_pages(request) and request.headers.get("X-Requested-With") == "quillkeep"


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The view for a missing or wrong CSRF token."""
    if is_script(request):  # the token went with the session; with a new one the script asks again
        return HttpResponse(status=HTTPStatus.UNAUTHORIZED)
    if wants_pages(request):
        page: HttpResponse = django_csrf_failure(request, reason=reason)
        return page
    return render(
        request, HTTPStatus.FORBIDDEN, code="csrf-failed", detail="The CSRF token is missing or wrong."
    )
