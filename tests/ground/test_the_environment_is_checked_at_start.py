"""Every fault of the environment is named at once, and no value is ever shown."""

import base64
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_project import environment
from cms_project.environment import EnvironmentFaultsError
from tests import throwaway
from tests.database import ROOT


def faults_of(**given: str) -> dict[str, str]:
    with pytest.raises(EnvironmentFaultsError) as caught:
        environment.read(throwaway.values(**given))
    return dict(caught.value.faults)


def key(character: int = 0) -> str:
    return base64.b64encode(bytes((number * 7 + character) % 256 for number in range(32))).decode()


def test_a_complete_environment_is_accepted() -> None:
    read = environment.read(throwaway.values())
    assert read.name == "production"
    assert read.plane is None
    assert read.port == 8000
    assert read.owner_database is None


def test_an_unset_environment_means_production() -> None:
    values = throwaway.values()
    del values["QUILLKEEP_ENVIRONMENT"]
    assert environment.read(values).name == "production"
    assert not environment.read(values).is_development


def test_every_missing_name_is_listed_at_once() -> None:
    with pytest.raises(EnvironmentFaultsError) as caught:
        environment.read({})
    assert {name for name, _ in caught.value.faults} == {
        "SECRET_KEY",
        "QUILLKEEP_KEY_RING",
        "DATABASE_URL",
        "DELIVERY_DATABASE_URL",
        "VALKEY_URL",
        "ALLOWED_HOSTS",
        "PUBLIC_URL",
    }


WRONG = [
    ("ENVIRONMENT_COLOUR", "canary"),
    ("ENVIRONMENT_COLOUR", "#ff0000"),
    ("SECRET_KEY_FALLBACKS", "short-canary"),
    ("SECRET_KEY_FALLBACKS", "abcdefghijklmnop" * 4 + ",canary"),
    ("SECRET_KEY_FALLBACKS", ",".join(["abcdefghijklmnop" * 4] * 2)),
    ("SECRET_KEY_FALLBACKS", ",".join(f"{number}" + "abcdefghijklmnop" * 4 for number in range(6))),
    ("QUILLKEEP_ENVIRONMENT", "canary"),
    ("QUILLKEEP_PLANE", "canary"),
    ("SECRET_KEY", "short-canary"),
    ("SECRET_KEY", "django-insecure-" + "abcdefghijklmnop" * 4),
    ("SECRET_KEY", "ChangeMe" + "abcdefghijklmnop" * 4),
    ("SECRET_KEY", "a" * 60),
    ("QUILLKEEP_KEY_RING", "canary"),
    ("QUILLKEEP_KEY_RING", "k1:not*base64"),
    ("QUILLKEEP_KEY_RING", f"k1:{base64.b64encode(b'canary').decode()}"),
    ("QUILLKEEP_KEY_RING", f"k1:{base64.b64encode(bytes(32)).decode()}"),
    ("QUILLKEEP_KEY_RING", f"k1:{key()},k1:{key(1)}"),
    ("QUILLKEEP_KEY_RING", f"k1:{key()},k2:{key()}"),
    ("QUILLKEEP_KEY_RING", f"K 1:{key()}"),
    ("DATABASE_URL", "sqlite:///canary.db"),
    ("DATABASE_URL", "mysql://u:canary@host/name"),
    ("DATABASE_URL", "postgresql://host/"),
    ("DATABASE_URL", "postgresql://u:canary@[host/name"),
    ("DATABASE_URL", "postgresql://u:canary\u2100@host/name"),
    ("DATABASE_URL", "postgresql://u:canary@host:canary/name"),
    ("DELIVERY_DATABASE_URL", "canary"),
    ("OWNER_DATABASE_URL", "canary"),
    ("VALKEY_URL", "http://canary"),
    ("VALKEY_URL", "unix:canary"),
    ("VALKEY_URL", "redis://:canary@[host"),
    ("VALKEY_URL", "redis://:canary@host:70000/0"),
    ("CELERY_BROKER_URL", "amqp://canary"),
    ("CELERY_BROKER_URL", "redis://:canary@host:canary/0"),
    ("BACKUP_TO", "canary"),
    ("BACKUP_TO", "file://host/canary"),
    ("BACKUP_TO", "ftp://canary/x"),
    ("BACKUP_TO", "s3://canary/x?endpoint=http://plain.example.com"),
    ("BACKUP_TO", "s3://canary/x?acl=public"),
    ("BACKUP_TO", "s3://user:canary@bucket/x"),
    ("BACKUP_TO", "s3://bucket/x?canary"),
    ("BACKUP_TO", "s3://bucket/x?endpoint=https://[canary"),
    ("BACKUP_RECIPIENTS", "canary"),
    ("BACKUP_RECIPIENTS", ","),
    # With their private keys neither a proof nor a restore could open a backup.
    (
        "BACKUP_RECIPIENTS",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMzOW2RPvWF7PelXjt4CskZIAw7TH0ygPZ1KXdtb3zv3 canary",
    ),
    ("BACKUP_IDENTITY", "canary"),
    ("BACKUP_EVERY_HOURS", "0"),
    ("BACKUP_PROVE_EVERY_DAYS", "canary"),
    ("BACKUP_KEEP", "canary"),
    ("BACKUP_KEEP", "0d 4w 12m"),
    ("DATABASE_URL", "postgresql://u:p@host/name?CONN_MAX_AGE={[]:'canary'}"),
    ("SCRATCH_DATABASE_URL", "mysql://u:canary@host/name"),
    ("POSTGRESQL_BIN", "canary/bin"),
    ("ALLOWED_HOSTS", "*"),
    ("ALLOWED_HOSTS", "cms.example.com,*.example.com"),
    ("ALLOWED_HOSTS", "https://canary.example.com"),
    ("CORS_ALLOWED_ORIGINS", "*"),
    ("CORS_ALLOWED_ORIGINS", "https://*.example.com"),
    ("CORS_ALLOWED_ORIGINS", "https://example.com/canary"),
    ("CORS_ALLOWED_ORIGINS", "http://example.com"),
    ("CORS_ALLOWED_ORIGINS", "null"),
    ("TRUSTED_PROXIES", "canary"),
    ("TRUSTED_PROXIES", "0.0.0.0/0"),
    ("TRUSTED_PROXIES", "::/0"),
    ("PUBLIC_URL", "http://cms.example.com"),
    ("PUBLIC_URL", "https://user:canary@cms.example.com"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("PORT", "80a"),
    ("EMAIL_URL", "canary://"),
    ("EMAIL_URL", "smtp+tls://u:canary@[host"),
    ("EMAIL_URL", "smtp+tls://u:canary@host:canary"),
    ("AUDIT_RETENTION_DAYS", "89"),
    ("AUDIT_RETENTION_DAYS", "canary"),
    ("AUDIT_RETENTION_DAYS", "-90"),
    ("AUDIT_HEAD_TO", "canary"),
    ("AUDIT_HEAD_TO", "http://canary.example.com/"),
    ("AUDIT_HEAD_TO", "https://user:canary@example.com/"),
    ("AUDIT_HEAD_TO", "https://"),
    ("AUDIT_HEAD_TO", "file://canary/log/"),
    ("AUDIT_HEAD_TO", "file:///log/../%2e%2e/canary"),
    ("EGRESS_ALLOWED_NETWORKS", "canary"),
    ("EGRESS_ALLOWED_NETWORKS", "0.0.0.0/0"),
    ("EGRESS_ALLOWED_NETWORKS", "64:ff9b::/96"),
    ("EGRESS_ALLOWED_NETWORKS", "2002:7f00::/24"),
    ("EGRESS_ALLOWED_HOSTS", "https://canary.example.com"),
    ("EGRESS_ALLOWED_HOSTS", "canary.example.com:443"),
    ("EGRESS_ALLOWED_HOSTS", "canary.example.com."),
    ("EGRESS_ALLOWED_HOSTS", "canary..example.com"),
    ("EGRESS_ALLOWED_HOSTS", "*"),
    ("EGRESS_ALLOWED_HOSTS", "*.*.example.com"),
    ("EGRESS_ALLOWED_HOSTS", "canary*.example.com"),
    ("EGRESS_ALLOWED_HOSTS", "cänary.example.com"),
    ("EGRESS_ALLOWED_HOSTS", "example.com canary.example.com"),
    ("EGRESS_ALLOWED_HOSTS", "127.1"),
    ("EGRESS_ALLOWED_HOSTS", "127.0x1"),
    ("EGRESS_ALLOWED_HOSTS", "*.0.0.1"),
    ("EGRESS_ALLOWED_HOSTS", "10.0.0.0/8"),
    ("EGRESS_ALLOWED_HOSTS", ","),
    ("EGRESS_ALLOWED_PORTS", "canary"),
    ("EGRESS_ALLOWED_PORTS", "443,0"),
    ("EGRESS_ALLOWED_PORTS", "65536"),
    ("EGRESS_ALLOWED_PORTS", "443-445"),
    ("EGRESS_ALLOWED_PORTS", ","),
    ("PURGE_URLS", "canary"),
    ("PURGE_URLS", "ftp://canary/"),
    ("PURGE_URLS", "http://user:canary@varnish:6081/"),
    ("PURGE_URLS", "http://varnish:6081/canary"),
    ("PURGE_URLS", "http://varnish:canary/"),
    ("PURGE_URLS", ","),
    ("PURGE_URLS", ",".join(f"http://canary{number}/" for number in range(17))),
    ("SECURITY_ALERT_TO", "canary"),
    ("SECURITY_ALERT_TO", "Security <canary@example.com>"),
    ("SECURITY_ALERT_TO", "soc@example.com canary@example.com"),
    ("SECURITY_ALERT_THRESHOLDS", "canary"),
    ("SECURITY_ALERT_THRESHOLDS", "mass-read=canary"),
    ("SECURITY_ALERT_THRESHOLDS", "mass-read=-1"),
    ("SECURITY_ALERT_THRESHOLDS", "mass-read=1,mass-read=2"),
    ("METRICS_ALLOWED_NETWORKS", "canary"),
    ("METRICS_ALLOWED_NETWORKS", "0.0.0.0/0"),
    ("AUDIT_STREAM_TO", "canary"),
    ("AUDIT_STREAM_TO", "stdout:canary"),
    ("AUDIT_STREAM_TO", "syslog://canary.example.com:514"),
    ("AUDIT_STREAM_TO", "syslog+tls://user:canary@siem.example.com:6514"),
    ("AUDIT_STREAM_TO", "syslog+tls://siem.example.com/canary"),
    ("AUDIT_STREAM_TO", "syslog+tls://siem.example.com:0"),
    ("AUDIT_STREAM_TO", "syslog+tls://siem.example.com:70000"),
    ("AUDIT_STREAM_TO", "syslog+tls://?ca=/canary"),
    ("AUDIT_STREAM_TO", "syslog+tls://siem.example.com?ca=canary"),
    ("AUDIT_STREAM_TO", "syslog+tls://siem.example.com?verify=canary"),
    ("AUDIT_STREAM_TO", "syslog+tcp://siem.example.com?ca=/canary"),
    ("API_V1_DEPRECATED_ON", "canary"),
    ("API_V1_DEPRECATED_ON", "2027-02-30"),
    ("API_V1_DEPRECATED_ON", "0001-01-01"),
    ("API_V1_DEPRECATED_ON", "@1700000000"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_by_name_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(EnvironmentFaultsError) as caught:
        environment.read(throwaway.values(**{name: value}))
    assert [fault for fault, _ in caught.value.faults] == [name]
    assert "canary" not in str(caught.value)


@given(
    st.sampled_from(environment.NAMES),
    st.sampled_from(
        ["", "postgresql://", "redis://", "unix://", "s3://b/", "file:///", "https://", "smtp+tls://", "syslog+tls://"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00") | st.sampled_from("[]@:/?#&=%,.*0"), max_size=30),
)  # fmt: skip
def test_any_text_is_read_or_refused_by_name(name: str, front: str, text: str) -> None:
    faults: Sequence[tuple[str, str]] = [(name, "")]
    try:
        environment.read(throwaway.values(**{name: front + text}))
    except EnvironmentFaultsError as error:
        faults = error.faults
    assert any(
        fault == name or words == "is missing" for fault, words in faults
    )  # what goes with it is named too


DEPRECATED = {"API_V1_DEPRECATED_ON": "2027-01-31"}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"API_V1_SUNSET_ON": "2027-06-30"}, "API_V1_SUNSET_ON"),  # without the other it means nothing
        ({"API_V1_SUCCESSOR": "https://cms.example.com/api/v2/"}, "API_V1_SUCCESSOR"),
        ({"API_V1_DEPRECATION_INFO": "https://example.com/end"}, "API_V1_DEPRECATION_INFO"),
        ({**DEPRECATED, "API_V1_SUNSET_ON": "2027-01-30"}, "API_V1_SUNSET_ON"),
        ({**DEPRECATED, "API_V1_SUNSET_ON": "canary"}, "API_V1_SUNSET_ON"),
        ({**DEPRECATED, "API_V1_SUCCESSOR": "http://canary.example.com/"}, "API_V1_SUCCESSOR"),
        ({**DEPRECATED, "API_V1_SUCCESSOR": "https://canary.example.com/>; rel=x"}, "API_V1_SUCCESSOR"),
        (
            {**DEPRECATED, "API_V1_DEPRECATION_INFO": "https://user:canary@example.com/"},
            "API_V1_DEPRECATION_INFO",
        ),
    ],
)
def test_the_end_of_a_version_is_told_whole_or_not_at_all(given: dict[str, str], named: str) -> None:
    faults = faults_of(**given)
    assert set(faults) == {named}
    assert "canary" not in faults[named]


def test_the_end_of_a_version_the_stream_and_metrics_are_read() -> None:
    read = environment.read(throwaway.values())
    assert read.api_v1_life is None
    assert read.audit_stream_to is None
    assert read.metrics_allowed_networks == environment.LOOPBACK
    given = {
        **DEPRECATED,
        "API_V1_SUNSET_ON": "2027-01-31",
        "AUDIT_STREAM_TO": "syslog+tls://siem.example.com?ca=/etc/siem.pem",
        "METRICS_ALLOWED_NETWORKS": "10.0.0.0/8, fd00::/8",
    }
    read = environment.read(throwaway.values(**given))
    assert read.api_v1_life == environment.ApiLife(date(2027, 1, 31), date(2027, 1, 31), "", "")
    assert read.audit_stream_to == environment.StreamTarget("tls", "siem.example.com", 6514, "/etc/siem.pem")
    assert [str(network) for network in read.metrics_allowed_networks] == ["10.0.0.0/8", "fd00::/8"]
    for text, kind, port in (
        ("syslog+udp://[::1]", "udp", 514),
        ("syslog+tcp://siem", "tcp", 601),
        ("syslog+tcp://siem:1514/", "tcp", 1514),
    ):
        target = environment.read(throwaway.values(AUDIT_STREAM_TO=text)).audit_stream_to
        assert target is not None
        assert (target.kind, target.port) == (kind, port)


def test_the_log_keeps_everything_and_nothing_private_is_reached_unless_ops_say_so() -> None:
    read = environment.read(throwaway.values())
    assert (read.audit_retention_days, read.audit_head_to, read.egress_allowed_networks) == (None, "", ())
    given = {"AUDIT_HEAD_TO": "https://log.example.com/head?token=canary", "AUDIT_RETENTION_DAYS": "365"}
    read = environment.read(throwaway.values(**given, EGRESS_ALLOWED_NETWORKS="10.1.0.0/16, fd00::/8"))
    assert (read.audit_retention_days, len(read.egress_allowed_networks)) == (365, 2)
    assert "canary" not in repr(read)


def test_where_it_may_send_to_is_a_list_that_ops_write() -> None:
    read = environment.read(throwaway.values())
    assert (read.egress_allowed_hosts, read.egress_allowed_ports) == ((), frozenset())
    hosts = "Hooks.Example.com, *.example.org, 93.184.216.34, [2606:4700:0::1111], hooks.example.com"
    read = environment.read(
        throwaway.values(EGRESS_ALLOWED_HOSTS=hosts, EGRESS_ALLOWED_PORTS="443, 9443,443")
    )
    assert read.egress_allowed_hosts == (
        "hooks.example.com",
        "*.example.org",
        "93.184.216.34",
        "2606:4700::1111",
    )
    assert read.egress_allowed_ports == {443, 9443}


def test_development_may_be_served_over_http_but_has_no_weaker_secrets() -> None:
    read = environment.read(
        throwaway.values(QUILLKEEP_ENVIRONMENT="development", PUBLIC_URL="http://localhost:8000")
    )
    assert read.public_url == "http://localhost:8000"
    assert set(faults_of(QUILLKEEP_ENVIRONMENT="development", SECRET_KEY="weak")) == {"SECRET_KEY"}


def test_staging_is_as_strict_as_production() -> None:
    assert set(faults_of(QUILLKEEP_ENVIRONMENT="staging", ALLOWED_HOSTS="*")) == {"ALLOWED_HOSTS"}


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    values = throwaway.values()
    secret = values.pop("SECRET_KEY")
    file = tmp_path / "secret"
    file.write_text(f"{secret}\n", encoding="utf-8")
    assert environment.read({**values, "SECRET_KEY_FILE": str(file)}).secret_key == secret


def test_a_file_that_is_missing_or_empty_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name in ("missing", "empty"):
        assert set(faults_of(SECRET_KEY="", SECRET_KEY_FILE=str(tmp_path / name))) == {"SECRET_KEY"}


def test_a_name_given_twice_is_a_fault(tmp_path: Path) -> None:
    assert set(faults_of(SECRET_KEY_FILE=str(tmp_path / "x"))) == {"SECRET_KEY"}


def test_the_first_key_of_the_ring_is_the_active_one() -> None:
    ring = environment.read(throwaway.values(QUILLKEEP_KEY_RING=f"new:{key(1)}, old:{key(2)}")).key_ring
    assert [key_id for key_id, _ in ring] == ["new", "old"]


def test_alerts_go_to_more_addresses_and_have_other_thresholds_where_ops_say_so() -> None:
    read = environment.read(throwaway.values())
    assert (read.security_alert_to, read.security_alert_thresholds) == ((), {})
    read = environment.read(
        throwaway.values(
            SECURITY_ALERT_TO="soc@example.com, on-call+cms@example.org,soc@example.com",
            SECURITY_ALERT_THRESHOLDS="mass-read=50, new-device=0",
        )
    )
    assert read.security_alert_to == ("soc@example.com", "on-call+cms@example.org")
    assert read.security_alert_thresholds == {"mass-read": 50, "new-device": 0}


def test_secrets_are_not_in_the_representation() -> None:
    values = throwaway.values(DATABASE_URL="postgresql://user:canary@host/name")
    shown = repr(environment.read(values))
    assert "canary" not in shown
    assert values["SECRET_KEY"] not in shown


def test_a_delivery_process_needs_no_other_database_role() -> None:
    values = throwaway.values(QUILLKEEP_PLANE="delivery")
    del values["DATABASE_URL"]
    read = environment.read(values)
    assert read.database == read.delivery_database
    assert read.serves("delivery")
    assert not read.serves("management")


def test_a_socket_folder_keeps_its_spelling() -> None:
    read = environment.read(throwaway.values(DATABASE_URL="postgresql://u:p%2Fw@/name?host=/run/MixedCase"))
    assert read.database["HOST"] == "/run/MixedCase"
    assert read.database["PASSWORD"] == "p/w"


def test_the_broker_is_the_same_server_unless_said_otherwise() -> None:
    read = environment.read(throwaway.values(VALKEY_URL="unix://:pass@/run/valkey.sock?db=3"))
    assert read.broker_url == "redis+socket://:pass@/run/valkey.sock?virtual_host=3"


def run(*command: str, **given: str) -> "subprocess.CompletedProcess[str]":
    clean = {
        name: value
        for name, value in os.environ.items()
        if name.removesuffix("_FILE").removesuffix("_VAULT") not in environment.NAMES
    }
    return subprocess.run(
        [sys.executable, *command], env={**clean, **given}, cwd=ROOT, capture_output=True, text=True
    )


STARTS = {
    "a command": ("manage.py", "check"),
    "the web process": ("-m", "cms_project.web", "--port", "8999"),
    "a worker": ("-m", "celery", "-A", "cms_project", "worker", "-Q", "default"),
    "beat": ("-m", "celery", "-A", "cms_project", "beat"),
    "the application alone": ("-c", "import cms_project.wsgi"),
}


@pytest.mark.parametrize("process", STARTS)
def test_each_process_stops_with_status_2_the_whole_list_and_no_traceback(
    process: str, tmp_path: Path
) -> None:
    done = run(
        *STARTS[process],
        DATA_DIR=str(tmp_path),
        PORT="canary",
        DJANGO_SETTINGS_MODULE="cms_project.settings",
    )
    assert done.returncode == 2
    for name in ("QUILLKEEP_KEY_RING", "DATABASE_URL", "VALKEY_URL", "ALLOWED_HOSTS", "PUBLIC_URL"):
        assert f"  {name}: is missing" in done.stderr
    assert "SECRET_KEY: is missing" in done.stderr
    assert "PORT: must be" in done.stderr
    assert "canary" not in done.stderr
    assert "Traceback" not in done.stderr


def test_unset_names_are_taken_from_the_file_of_make_run_and_said_so(tmp_path: Path) -> None:
    values = throwaway.values()
    (tmp_path / "env").write_text(
        "".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8"
    )
    done = run("manage.py", "check", DATA_DIR=str(tmp_path), ALLOWED_HOSTS="other.example.com")
    assert done.returncode == 0, done.stderr
    first = done.stderr.splitlines()[0]
    assert "SECRET_KEY" in first
    assert "ALLOWED_HOSTS" not in first
    assert values["SECRET_KEY"] not in done.stderr


@pytest.fixture(scope="module")
def accepted() -> "subprocess.CompletedProcess[str]":
    """Start the application where nothing answers: it waits five seconds for a database, and is there all the same."""
    return run("-c", "import cms_project.wsgi, os; print(*sorted(os.environ))", **throwaway.values())


@pytest.mark.parametrize("name", ["OWNER_DATABASE_URL", "OWNER_DATABASE_URL_FILE"])
def test_a_web_process_refuses_the_owner_of_the_tables(
    name: str, accepted: "subprocess.CompletedProcess[str]"
) -> None:
    refused = run("-c", "import cms_project.wsgi", **throwaway.values(**{name: throwaway.NOWHERE}))
    assert refused.returncode == 2
    assert "OWNER_DATABASE_URL: must not be set in a web process" in refused.stderr
    assert "nobody" not in refused.stderr
    assert accepted.returncode == 0, accepted.stderr


def test_a_web_process_forgets_the_variables_that_every_request_would_carry(
    accepted: "subprocess.CompletedProcess[str]",
) -> None:
    assert accepted.returncode == 0, accepted.stderr
    assert not set(environment.NAMES) & set(accepted.stdout.split())


def test_there_is_no_debug_mode_in_any_environment() -> None:
    for name in environment.ENVIRONMENTS:
        done = run(
            "-c",
            "from cms_project.settings import DEBUG; print(DEBUG)",
            **throwaway.values(QUILLKEEP_ENVIRONMENT=name),
        )
        assert done.stdout.strip() == "False", done.stderr
