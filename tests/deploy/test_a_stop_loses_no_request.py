"""SIGTERM to the web server while requests are on their way: each of them is answered (threat PR3)."""

import http.client
import json
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cms_project import process
from tests.deploy.programs import run
from tests.processes import LiveServer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_django_db_helper"), pytest.mark.slow]
AT_ONCE = 8  # as many as the server works at


class Server(LiveServer):
    """Started as the unit starts it, where a sign-in that is refused takes half a second on purpose."""

    def __init__(self, **environment: str) -> None:
        super().__init__(**environment)
        self.environment |= {"DJANGO_SETTINGS_MODULE": "cms_project.settings", "PORT": str(self.port)}

    def command(self) -> list[str]:
        """Return what deploy/ starts."""
        return [sys.executable, "-m", "cms_project.process", "web", "--workers", "1"]


def sign_in(server: Server) -> tuple[int, float]:
    """Try a wrong password; return the status and when it came."""
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    body = json.dumps({"email": "nobody@example.com", "password": "wrong"})
    link.request("POST", "/api/v1/auth/login", body, {"Content-Type": "application/json"})
    answer = link.getresponse()
    answer.read()
    link.close()
    return answer.status, time.monotonic()


def test_it_says_by_a_name_that_it_takes_whether_it_lives_and_answers_what_was_begun_before_it_ends() -> None:
    hosts = "cms.example.com,localhost,127.0.0.1"
    with Server(ALLOWED_HOSTS=hosts) as server, ThreadPoolExecutor(AT_ONCE) as pool:
        assert server.process is not None
        values = {**server.environment, "OWNER_DATABASE_URL": "postgresql://x:y@/z"}
        assert process.main(["web", "--check"], values) == 0
        sign_in(server)
        asked: list[Any] = [pool.submit(sign_in, server) for _ in range(AT_ONCE)]
        time.sleep(0.25)
        server.process.send_signal(signal.SIGTERM)
        told_at = time.monotonic()
        answers = [item.result() for item in asked]
        server.process.wait(20)
        assert process.main(["web", "--check"], values) == 1
    assert {status for status, _ in answers} <= {
        401,
        429,
        503,
    }  # 503: too many hash a password; also an answer of ours
    assert max(at for _, at in answers) > told_at, "they were still on their way"


def test_a_process_of_deploy_has_help() -> None:
    told = run(sys.executable, "-m", "cms_project.process", "--help")
    assert told.returncode == 0
    assert all(name in told.stdout for name in process.NAMES)
