"""`/metrics`: for the inside, or by credential; no label holds what anybody typed; all processes count together."""

import http.client
import os
import re
import socket
import subprocess
import sys
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connections, transaction
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from accounts import measuring, tasks
from accounts.access import Action, Area, Scopes, system
from accounts.log import record, seal_pending
from accounts.measuring import Measure
from accounts.models import ApiKey, LogCheck
from accounts.models.alert import Severity
from cms_project import metrics, metrics_folder
from cms_project.environment import LOOPBACK
from tests.builders import Api, administrator, anonymous, make_alert, make_key, make_role
from tests.processes import LiveServer
from tests.security.world import assert_problem
from tests.webhooks.incoming.world import make_failed_receipt, make_source
from tests.webhooks.world import make_delivery, make_endpoint

pytestmark = pytest.mark.django_db
OUTSIDE = "203.0.113.7"


def scrape(**extra: Any) -> Any:
    return Client(raise_request_exception=False).get("/metrics", **extra)


def values(text: str) -> dict[tuple[str, ...], float]:
    """Return each number by its name and the values of its labels."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of_house() -> dict[tuple[str, ...], float]:
    return values(scrape().content.decode())


# Who is let in


def test_loopback_reads_it_and_the_rest_of_the_world_needs_a_credential() -> None:
    inside = scrape()
    assert inside.status_code == 200
    assert inside["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "no-store" in inside["Cache-Control"]
    refused = scrape(REMOTE_ADDR=OUTSIDE)
    assert_problem(refused, 401)
    assert refused["WWW-Authenticate"].startswith("Bearer")
    assert scrape(REMOTE_ADDR="").status_code == 401


def test_only_who_administers_operations_reads_it_from_outside() -> None:
    make_role("desk", {"collection": "*", "actions": ("read",)})
    operations = Scopes(frozenset(), frozenset({Area.OPERATIONS}))
    others = Scopes(frozenset({(None, Action.READ)}), frozenset(Area) - {Area.OPERATIONS})
    for api, status in (
        (make_key(role="administrator", scopes=operations), 200),
        (make_key(role="administrator", scopes=others), 403),
        (make_key(role="desk", scopes=operations), 403),
        (Api(Client(), "qk_development_nonsense"), 401),
    ):
        for address in (OUTSIDE, "127.0.0.1"):  # what is sent is looked at, also where none is needed
            answer = Client().get(
                "/metrics", headers={"Authorization": f"Bearer {api.key}"}, REMOTE_ADDR=address
            )
            assert answer.status_code == status, api.key[:20]
            assert b"quillkeep_" not in answer.content or status == 200


@pytest.mark.parametrize(
    "header",
    ["HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA", "HTTP_X_FORWARDED_HOST"],
)
def test_behind_a_proxy_that_nobody_told_us_of_nobody_is_inside(settings: LazySettings, header: str) -> None:
    """Its own address is loopback, and so is everybody's behind it."""
    assert scrape(**{header: "127.0.0.1"}).status_code == 401
    settings.TRUSTED_PROXIES = LOOPBACK
    given = {"HTTP_X_FORWARDED_FOR": "10.1.2.3", header: "10.1.2.3"}
    assert scrape(**given).status_code == 401
    settings.METRICS_ALLOWED_NETWORKS = [ip_network("10.0.0.0/8")]
    assert scrape(**given).status_code == 200
    assert scrape(**{**given, "HTTP_X_FORWARDED_FOR": f"10.1.2.3, {OUTSIDE}"}).status_code == 401


def test_other_methods_and_hosts_are_refused() -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
        assert Client().generic(method, "/metrics").status_code == 405
    assert scrape(headers={"Host": "evil.example"}).status_code == 400
    assert (
        scrape(headers={"Accept": "application/openmetrics-text;version=1.0.0,text/html"}).status_code == 200
    )


def test_it_answers_inside_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0

    def gone(*_: Any, **__: Any) -> Any:
        nonlocal tried
        tried += 1
        raise OperationalError("gone")

    monkeypatch.setattr("django.db.backends.postgresql.base.DatabaseWrapper.connect", gone)
    connections.close_all()
    answer = scrape()
    assert answer.status_code == 200
    assert tried == 1  # or a scrape would wait for a connection once for each measure
    assert 'quillkeep_measure_read{measure="quillkeep_unsealed_events"} 0.0' in answer.content.decode()
    assert_problem(scrape(REMOTE_ADDR=OUTSIDE, headers={"Authorization": "Bearer qk_x"}), 401, 503)


# What it says


def test_requests_are_counted_by_plane_method_and_status_and_never_by_path() -> None:
    before = of_house()

    def more(*key: str) -> float:
        return of_house().get(key, 0.0) - before.get(key, 0.0)

    canary = "canary" * 5
    anonymous().get(f"/api/v1/content/{canary}")
    anonymous().get(f"/api/v1/manage/{canary}")
    anonymous().request("BREW", f"/{canary}")
    anonymous().post(f"/hooks/in/{canary}")
    Client().get(f"/admin/{canary}/")
    anonymous().get(f"/api/v1/nowhere?token={canary}")
    assert more("quillkeep_http_requests_total", "GET", "delivery", "404") == 1
    assert more("quillkeep_http_requests_total", "GET", "management", "404") == 1
    assert more("quillkeep_http_requests_total", "GET", "management", "400") == 1
    assert more("quillkeep_http_requests_total", "other", "none", "404") == 1
    assert more("quillkeep_http_requests_total", "POST", "edge", "401") == 1
    assert more("quillkeep_http_requests_total", "GET", "management", "302") == 1
    assert more("quillkeep_http_request_duration_seconds_count", "delivery") == 1
    assert canary not in scrape().content.decode()


def test_the_house_tells_what_waits_and_what_is_wrong() -> None:
    endpoint = make_endpoint("https://www.example.com/hook").endpoint
    for state in ("waiting", "waiting", "delivered"):
        make_delivery(endpoint, state=state)
    make_failed_receipt(make_source())
    make_alert(severity=Severity.CRITICAL)
    make_alert(severity=Severity.CRITICAL, acknowledged_at=timezone.now())
    make_key(role="administrator")
    ApiKey.objects.update(expires_at=timezone.now() + timedelta(days=3))
    seal_pending()
    with transaction.atomic():
        record("a.thing", actor=system("a test"), subject=None)
    found = of_house()
    assert found["quillkeep_webhook_deliveries", "waiting"] == 2
    assert found["quillkeep_webhook_deliveries", "delivered"] == 1
    assert found["quillkeep_webhook_receipts", "failed"] == 1
    assert found["quillkeep_webhook_endpoints", "active"] == 1
    assert found["quillkeep_open_alerts", "critical"] == 1
    assert found["quillkeep_open_alerts", "warning"] == 0
    assert found["quillkeep_expiring_api_keys",] == 1
    assert found["quillkeep_unsealed_events",] == 1
    assert 0 <= found["quillkeep_oldest_unsealed_event_seconds",] < 60
    assert found["quillkeep_unread_events", "alerts"] > 0
    assert found["quillkeep_webhooks_unread_events",] > 0
    assert ("quillkeep_log_verified_timestamp_seconds",) not in found  # it never was
    assert all(found[name] == 1 for name in found if name[0] == "quillkeep_measure_read")


def test_when_the_log_was_verified_is_told_by_results_of_our_own_alone() -> None:
    tasks.verify_log()
    found = of_house()
    assert abs(found["quillkeep_log_verified_timestamp_seconds",] - timezone.now().timestamp()) < 60
    assert found["quillkeep_log_intact",] == 1
    LogCheck.objects.using("owner").update(mac="0" * 64)
    found = of_house()
    assert ("quillkeep_log_verified_timestamp_seconds",) not in found
    assert found["quillkeep_log_intact",] == 0


def test_rooms_add_measures_and_one_that_fails_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "MEASURES", dict(measuring.MEASURES))

    def fails() -> float:
        raise OSError("canary")

    one = Measure("quillkeep_backup_last_proven_seconds", "Since when.", lambda: 12.0)
    measuring.register([one, Measure("quillkeep_broken_thing", "Fails.", fails)])
    measuring.register([one])
    text = scrape().content.decode()
    found = values(text)
    assert found["quillkeep_backup_last_proven_seconds",] == 12
    assert found["quillkeep_measure_read", "quillkeep_broken_thing"] == 0
    assert ("quillkeep_broken_thing",) not in found
    assert "canary" not in text
    for name in ("quillkeep_backup_last_proven_seconds", "other_name", "quillkeep_", "quillkeep_{x}"):
        with pytest.raises(ValueError, match="no name"):
            measuring.register([Measure(name, "Another.", lambda: 1.0)])


# Many processes


class TwoWorkers(LiveServer):
    """A web server of two processes."""

    def command(self) -> list[str]:
        command = super().command()
        command[command.index("--workers") + 1] = "2"
        return command


@pytest.mark.slow
@pytest.mark.usefixtures("_django_db_helper")
def test_processes_of_one_server_count_together_and_servers_apart(tmp_path: Path) -> None:
    def ask(server: LiveServer, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", path, headers={"Host": "localhost", "Connection": "close"})
        body = connection.getresponse().read()
        connection.close()
        return body

    dead = tmp_path / "metrics" / f"{socket.gethostname()}-999999999"
    dead.mkdir(parents=True)
    with TwoWorkers(DATA_DIR=str(tmp_path)) as two:
        (folder,) = (tmp_path / "metrics").iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        asked, pids = 0, set[str]()
        while len(pids) < 2 and asked < 2000:  # the kernel chooses who answers, and one may start later
            ask(two, "/nowhere")
            asked += 1
            pids = {re.search(r"_(\d+)\.db", file.name)[1] for file in folder.glob("counter_*.db")}  # type: ignore[index]
        assert len(pids) == 2
        texts = [ask(two, "/metrics").decode() for _ in range(6)]
        for text in texts:
            assert values(text)["quillkeep_http_requests_total", "GET", "none", "404"] == asked
        with LiveServer(DATA_DIR=str(tmp_path)) as other:
            ask(other, "/nowhere")
            found = values(ask(other, "/metrics").decode())
            assert found["quillkeep_http_requests_total", "GET", "none", "404"] == 1


def test_a_folder_that_can_not_be_made_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(metrics_folder.FOLDER, raising=False)
    (tmp_path / "metrics").write_text("a file stands in the way")
    metrics_folder.share(tmp_path)
    assert metrics_folder.FOLDER not in os.environ
    assert b"quillkeep_http_requests_total" in metrics.exposition(of_the_house=False)


DELIVERY = """
import django
django.setup()
from django.test import Client
answer = Client().get("/metrics")
print(answer.status_code, "quillkeep_unsealed_events" in answer.content.decode(), "quillkeep_http" in answer.content.decode())
answer = Client().get("/metrics", REMOTE_ADDR="203.0.113.7", headers={"Authorization": "Bearer " + KEY})
print(answer.status_code)
answer = Client().get("/readyz", headers={"Authorization": "Bearer " + KEY})
print(answer.status_code, [need["name"] for need in answer.json()["needs"]])
"""


def test_the_delivery_plane_tells_of_its_requests_alone() -> None:
    key = administrator().key
    environment = {**os.environ, "QUILLKEEP_PLANE": "delivery", "DJANGO_SETTINGS_MODULE": "tests.settings"}
    environment["DATABASE_URL"] = environment["DELIVERY_DATABASE_URL"]
    done = subprocess.run(
        [sys.executable, "-c", f"KEY = {key!r}\n{DELIVERY}"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.stdout.splitlines() == ["200 False True", "200", "200 ['delivery', 'valkey']"], done.stderr


# Readiness


def test_readiness_has_details_for_who_administers_operations_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = anonymous().get("/readyz")
    assert plain.json() == {"status": "ready"}
    found = administrator().get("/readyz").json()
    assert (found["status"], found["plane"]) == ("ready", "all")
    assert [(need["name"], need["ok"]) for need in found["needs"]] == [
        ("default", True),
        ("delivery", True),
        ("valkey", True),
    ]
    make_role("desk", {"collection": "*", "actions": ("read",)})
    assert_problem(make_key(role="desk").get("/readyz"), 403)
    assert_problem(Api(Client(), "qk_development_nonsense").get("/readyz"), 401)
    monkeypatch.setattr("cms_project.health._valkey_answers", lambda: False)
    assert_problem(anonymous().get("/readyz"), 503)
    detailed = administrator().get("/readyz")
    assert detailed.status_code == 503
    assert detailed.json()["needs"][-1]["ok"] is False
