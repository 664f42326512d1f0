"""Is the process alive, and can it do its plane's work? Asked by load balancers, without a credential."""

import logging

import redis
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from accounts.errors import UnavailableError
from cms_project import problems

logger = logging.getLogger("quillkeep.health")


@csrf_exempt  # so that a wrong method is a 405
@never_cache
@require_safe
def alive(_: HttpRequest) -> HttpResponse:
    """Answer as long as the process can answer anything; depends on nothing else."""
    return JsonResponse({"status": "ok"})


@csrf_exempt
@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Answer 200 when everything that this plane needs answers, else 503; the log says what fails."""
    failing = [alias for alias in _databases() if not _database_answers(alias)]
    if not _valkey_answers():
        failing.append("valkey")
    if failing:
        logger.error("Not ready: %s", ", ".join(failing))
        return problems.for_refusal(request, UnavailableError())
    return JsonResponse({"status": "ready"})


def _databases() -> list[str]:
    aliases = []
    if settings.ENVIRONMENT.serves("management") or settings.ENVIRONMENT.serves("edge"):
        aliases.append("default")
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
