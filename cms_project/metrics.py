"""What monitoring reads: requests, counted by all processes of one web server together, and the house's measures.

Counting costs no round trip: each process adds up in a mapped file of its own, and whoever is asked adds the files.
They lie in one folder for each server that was started, so that two on one host don't count twice (`metrics_folder`).
"""

import os
import time
from collections.abc import Callable, Iterable
from typing import Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from accounts import measuring
from cms_project.metrics_folder import FOLDER

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
# By the beginning of the path, the longer one first. A path itself is never a label: strangers make endlessly many.
PLANES: Final = (
    ("/api/v1/content/", "delivery"),
    ("/api/v1/preview/", "edge"),
    ("/api/v1/previews/exchange", "edge"),
    ("/api/v1/forms/", "edge"),
    ("/api/v1/csp-reports", "edge"),
    ("/.well-known/", "edge"),
    ("/hooks/in/", "edge"),
    ("/api/v1/", "management"),
    ("/admin", "management"),
    ("/static/", "static"),
    ("/healthz", "operations"),
    ("/readyz", "operations"),
    ("/metrics", "operations"),
)

_counted: Final = CollectorRegistry()
REQUESTS: Final = Counter(
    "quillkeep_http_requests", "Requests answered.", ["plane", "method", "status"], registry=_counted
)
SECONDS: Final = Histogram(
    "quillkeep_http_request_duration_seconds",
    "How long answers took, from the first middleware on.",
    ["plane"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    registry=_counted,
)


def plane_of(path: str) -> str:
    """Return which plane a path belongs to, "none" for those of no plane."""
    return next((plane for beginning, plane in PLANES if path.startswith(beginning)), "none")


class MetricsMiddleware:
    """Counts each answer, refusals included."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass on, and count."""
        started = time.perf_counter()
        response = self.get_response(request)
        plane = plane_of(request.path)
        method = request.method if request.method in METHODS else "other"
        REQUESTS.labels(plane, method, str(response.status_code)).inc()
        SECONDS.labels(plane).observe(time.perf_counter() - started)
        return response


def exposition(*, of_the_house: bool) -> bytes:
    """Return all of it in Prometheus' text format; `of_the_house` where this process may read what waits."""
    registry = CollectorRegistry()
    folder = os.environ.get(FOLDER, "")
    if folder:
        MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    else:
        registry.register(_Ours())
    if of_the_house:
        registry.register(_House())
    return generate_latest(registry)


class _Ours:
    """What this process alone has counted: without a shared folder there is no other one."""

    def collect(self) -> Iterable[Metric]:
        return _counted.collect()


class _House:
    """The measures of the rooms, as gauges; one that can't be read says so, and hides no other."""

    def collect(self) -> Iterable[Metric]:
        is_read = GaugeMetricFamily(
            "quillkeep_measure_read", "1 where a measure could be read, else 0.", labels=["measure"]
        )
        for reading in measuring.readings():
            measure = reading.measure
            is_read.add_metric([measure.name], float(reading.values is not None))
            labels = [measure.label] if measure.label else []
            family = GaugeMetricFamily(measure.name, measure.help, labels=labels)
            for label, value in (reading.values or {}).items():
                family.add_metric([label] if measure.label else [], value)
            if reading.values:
                yield family
        yield is_read
