"""Is the process alive, and can it do its plane's work? Asked by load balancers, without a credential.

What it needs, and how quickly that answers, is for who administers operations.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

import redis
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import Area, Needs
from accounts.authentication import DeliveryAuthentication, ManagementAuthentication
from accounts.errors import UnavailableError
from cms_project import problems

logger = logging.getLogger("quillkeep.health")


def has_default() -> bool:
    """Tell whether this process holds the role of the application."""
    return settings.ENVIRONMENT.serves("management") or settings.ENVIRONMENT.serves("edge")


@csrf_exempt  # so that a wrong method is a 405
@never_cache
@require_safe
def alive(_: HttpRequest) -> HttpResponse:
    """Answer as long as the process can answer anything; depends on nothing else."""
    return JsonResponse({"status": "ok"})


@csrf_exempt
@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponseBase:
    """Answer 200 when everything that this plane needs answers, else 503; the log says what fails."""
    if "HTTP_AUTHORIZATION" in request.META:
        return _details(request)
    if _failing(list(_looks())):
        return problems.for_refusal(request, UnavailableError())
    return JsonResponse({"status": "ready"})


@dataclass(frozen=True, slots=True)
class Look:
    """What one thing said that this plane needs."""

    name: str
    is_well: bool
    milliseconds: float


class DetailsView(APIView):
    """The same with each thing by its name. Without a database that knows the credential there are no details: 503."""

    authentication_classes = [ManagementAuthentication if has_default() else DeliveryAuthentication]
    needs = Needs("area", Area.OPERATIONS)

    def get(self, request: Request) -> HttpResponse | Response:
        """Answer 200 or 503, with details."""
        looks = list(_looks())
        failing = _failing(looks)
        told = {
            "environment": settings.ENVIRONMENT.name,
            "plane": settings.ENVIRONMENT.plane or "all",
            "needs": [{"name": look.name, "ok": look.is_well, "ms": look.milliseconds} for look in looks],
        }
        if failing:
            asked: HttpRequest = request._request  # noqa: SLF001 (it has our id)
            return problems.render(asked, HTTPStatus.SERVICE_UNAVAILABLE, extensions=told)
        return Response({"status": "ready", **told})


_details = DetailsView.as_view()


def _looks() -> Iterator[Look]:
    for alias in _databases():
        yield _look(alias, partial(_database_answers, alias))
    yield _look("valkey", _valkey_answers)


def _look(name: str, answers: Callable[[], bool]) -> Look:
    started = time.perf_counter()
    is_well = answers()
    return Look(name, is_well, round((time.perf_counter() - started) * 1000, 1))


def _failing(looks: list[Look]) -> list[str]:
    failing = [look.name for look in looks if not look.is_well]
    if failing:
        logger.error("Not ready: %s", ", ".join(failing))
    return failing


def _databases() -> list[str]:
    aliases = ["default"] if has_default() else []
    if settings.ENVIRONMENT.serves("delivery"):
        aliases.append("delivery")
    return aliases


def _database_answers(alias: str) -> bool:
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _valkey_answers() -> bool:
    try:
        cache.get("health")
    except (redis.RedisError, OSError):
        return False
    return True
