"""The real web server and a real worker, on the test's own database."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from kombu import Connection, Producer

from cms_project.tasks import clear_ended_sessions
from tests.database import ROOT
from tests.ground.test_our_own_servers import is_running
from tests.processes import CeleryWorker, LiveServer


def send(server: LiveServer, raw: bytes) -> bytes:
    """Send bytes as they are, in one go; return the first that come back, none when nothing does."""
    address = urlsplit(server.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=5) as connection:
        connection.sendall(raw)
        try:
            return connection.recv(65536)
        except TimeoutError:
            return b""


def ask(
    server: LiveServer, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return (
            response.status,
            response.read(),
            {name.lower(): value for name, value in response.getheaders()},
        )
    finally:
        connection.close()


@pytest.mark.slow
def test_the_web_server_answers_as_the_tests_client_does(web_server: LiveServer) -> None:
    assert ask(web_server, "GET", "/readyz")[0] == 200
    status, body, headers = ask(web_server, "GET", "/nowhere")
    assert status == 404
    assert json.loads(body)["instance"] == f"urn:uuid:{headers['x-request-id']}"
    assert ask(web_server, "GET", "/healthz", Host="evil.example")[0] == 400
    assert ask(web_server, "DELETE", "/healthz")[0] == 405
    chunked = (
        b"Host: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    )
    assert b" 411 " in send(web_server, b"POST /nowhere HTTP/1.1\r\n" + chunked).split(b"\r\n", 1)[0]


@pytest.mark.slow
def test_odd_requests_get_an_answer_and_the_next_one_works(web_server: LiveServer) -> None:
    for raw in (
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
        b"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /%ff%00%0a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET //evil.example/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"BREW /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"nonsense\r\n\r\n",
    ):
        answer = send(web_server, raw)
        assert b" 500 " not in answer.split(b"\r\n", 1)[0]
        assert b"location: //" not in answer.lower()
        assert ask(web_server, "GET", "/healthz")[0] == 200
    assert "\nevil" not in web_server.log()


@pytest.mark.slow
def test_a_worker_does_what_was_sent_and_nothing_pickled(celery_worker: CeleryWorker, settings: Any) -> None:
    Session.objects.create(session_key="ended", session_data="", expire_date=timezone.now())
    with Connection(
        settings.CELERY_BROKER_URL, transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS
    ) as broker:
        Producer(broker).publish(
            {"task": "cms_project.clear_ended_sessions", "id": "1", "args": [], "kwargs": {}},
            exchange="default",
            routing_key="default",
            serializer="pickle",
        )
    celery_worker.wait_for(
        lambda: "ContentDisallowed" in celery_worker.log() or "pickle" in celery_worker.log()
    )
    assert Session.objects.filter(session_key="ended").exists()
    clear_ended_sessions.delay()
    celery_worker.wait_for(lambda: not Session.objects.filter(session_key="ended").exists())


BUSY_POOL = """
import os, time
from celery.signals import worker_process_init
import cms_project.celery
if os.fork() == 0:
    worker_process_init.send(sender=None)
    print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal at a parent's death is Linux's own")
def test_a_busy_process_of_the_pool_ends_with_its_worker() -> None:
    """An idle one sees that its pipes are closed; one in the middle of a task would go on."""
    command = [sys.executable, "-c", BUSY_POOL]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        busy = int(worker.stdout.readline())
        worker.kill()
        worker.wait()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and is_running(busy):
            time.sleep(0.05)
        is_left = is_running(busy)
        if is_left:
            os.kill(busy, signal.SIGKILL)
    assert not is_left
