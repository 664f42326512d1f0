"""Each check of the security check turns red when its thing is wrong, and says nothing that is secret."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.test import Client
from django.utils import timezone

from accounts import tasks
from accounts.access import Action, Area, Scopes, system
from accounts.audit import streaming
from accounts.log import record, seal_pending
from accounts.models import ApiKey, CspReport, DailyHead, LogCheck, Role, Seal, Unsealed, User
from accounts.models.alert import Severity
from cms_project import environment
from cms_project.environment import Environment, StreamTarget
from cms_project.security_check import database, dependencies, registry
from cms_project.security_check.check import Check, Found, Grade, Report, Result, run
from content.models import Backup
from previews.models import PreviewSite
from tests.accounts.cast import PASSWORD, make_person
from tests.builders import allow, make_alert, make_collection, make_key, make_role
from tests.previews.world import make_site
from tests.webhooks.world import make_endpoint
from webhooks.models import Endpoint

Break = Callable[[LazySettings, pytest.MonkeyPatch], None]
BREAKS: dict[str, list[Break]] = {}


def breaks(check: str) -> Callable[[Break], Break]:
    """Name the check that what is broken here must turn red."""

    def keep(act: Break) -> Break:
        BREAKS.setdefault(check, []).append(act)
        return act

    return keep


def result_of(check: str) -> Result:
    (found,) = run([registry.CHECKS[check]]).results
    return found


def setting(check: str, **given: Any) -> None:
    def act(settings: LazySettings, _: pytest.MonkeyPatch) -> None:
        for name, value in given.items():
            setattr(settings, name, value)

    breaks(check)(act)


# What is safe, so that each break is the only thing that is wrong


@pytest.fixture(autouse=True)
def _safe(
    _django_db_helper: None, settings: LazySettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.ENVIRONMENT = _Production(settings.ENVIRONMENT)
    settings.PUBLIC_URL = "https://cms.example.com"
    settings.SECURE_SSL_REDIRECT = settings.SECURE_HSTS_PRELOAD = settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = (
        True
    )
    settings.SECURE_HSTS_SECONDS = 63_072_000
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME = "__Host-session", "__Host-csrf"
    settings.EMAIL_BACKEND, settings.EMAIL_USE_TLS = "django.core.mail.backends.smtp.EmailBackend", True
    settings.SECURITY_ALERT_TO = ("soc@example.com",)
    settings.AUDIT_HEAD_TO = "file:///elsewhere/"
    settings.DATA_DIR = tmp_path
    settings.BACKUPS = replace(settings.BACKUPS, to="s3://elsewhere/backups")
    now = timezone.now()
    Backup.objects.using("owner").create(
        name="kept", made_at=now, environment="production", size=1, media_files=0, media_bytes=0, log_position=1,
        is_whole=True, proven_at=now, tried_at=now,
    )  # fmt: skip
    tmp_path.chmod(0o700)
    Role.objects.filter(key="administrator").update(require_second_factor=True)
    DailyHead.objects.create(day=timezone.now().date(), head={}, sent_at=timezone.now())
    tasks.verify_log()


class _Production:
    """The environment of the tests, which says of itself that it is production."""

    def __init__(self, inside: Environment) -> None:
        self._inside = inside

    name = "production"
    is_development = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inside, name)


def _administrators() -> None:
    for name in ("ada", "eve"):
        make_person(f"{name}@example.com", roles=["administrator"], with_authenticator=True)


def test_a_house_that_is_kept_well_gets_an_a() -> None:
    _administrators()
    report = registry.report()
    assert [
        (item.check.id, item.evidence, item.fault) for item in report.open if item.severity > Severity.NOTICE
    ] == []
    assert report.grade == Grade.A
    assert len(report.results) == len(registry.CHECKS) >= 35


# Settings

setting("https", PUBLIC_URL="http://cms.example.com")
setting("https", SECURE_SSL_REDIRECT=False)
setting("hsts", SECURE_HSTS_SECONDS=86_400)
setting("hsts", SECURE_HSTS_INCLUDE_SUBDOMAINS=False)
setting("hsts", SECURE_HSTS_PRELOAD=False)
setting("trusted-proxies", TRUSTED_PROXIES=[ip_network("10.0.0.0/8")])
setting("metrics-networks", METRICS_ALLOWED_NETWORKS=[ip_network("198.41.0.0/24")])
setting("stream-transport", AUDIT_STREAM_TO=StreamTarget("tcp", "siem.example.com", 601))
setting("server-connections", VALKEY_URL="redis://valkey.example.com/0")
setting("server-connections", CELERY_BROKER_URL="redis://10.0.0.1/0")
setting("cookies", SESSION_COOKIE_HTTPONLY=False)
setting("cookies", CSRF_COOKIE_SAMESITE="None")
setting("cookies", SESSION_COOKIE_SECURE=False)
setting("cookies", SESSION_COOKIE_NAME="session")
setting("cors", CORS_ALLOW_ALL_ORIGINS=True)
setting("cors", CORS_ALLOWED_ORIGIN_REGEXES=[".*"])
setting("cors", CORS_ALLOW_CREDENTIALS=True)
setting("cors", CORS_ALLOWED_ORIGINS=["null"])
setting("cors", CORS_ALLOWED_ORIGINS=["http://www.example.com"])
setting("headers", MIDDLEWARE=["django.middleware.security.SecurityMiddleware"])
setting("debug", DEBUG=True)
setting("secret-key", SECRET_KEY="x" * 60)
setting("secret-key", SECRET_KEY_FALLBACKS=["canary" * 10])
setting("mail", EMAIL_BACKEND="django.core.mail.backends.console.EmailBackend")
setting("mail", EMAIL_USE_TLS=False)
setting("alert-rules", SECURITY_ALERT_THRESHOLDS={"mass-read": 0})
setting("egress", EGRESS_ALLOWED_NETWORKS=[ip_network("10.0.0.0/8")])
setting("log-head", AUDIT_HEAD_TO="")
setting("alert-recipients", SECURITY_ALERT_TO=())


@breaks("csp")
def _unsafe_scripts(settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    directives = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    settings.CONTENT_SECURITY_POLICY = {
        "DIRECTIVES": {**directives, "script-src": ["'self'", "'unsafe-inline'"]}
    }


@breaks("csp")
def _no_reports(settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    left = {
        name: value
        for name, value in settings.CONTENT_SECURITY_POLICY["DIRECTIVES"].items()
        if name != "report-uri"
    }
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": left}


@breaks("csp")
def _open_base(settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    directives = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": {**directives, "base-uri": ["'self'"]}}


@breaks("server-connections")
def _far_database(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    far = {**settings.DATABASES["default"], "HOST": "db.example.com", "OPTIONS": {"sslmode": "prefer"}}
    monkeypatch.setitem(settings.DATABASES, "far", far)


@breaks("server-connections")
def _database_of_whoever_answers(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    far = {**settings.DATABASES["default"], "HOST": "db.example.com", "OPTIONS": {"sslmode": "require"}}
    monkeypatch.setitem(settings.DATABASES, "far", far)


@breaks("environment")
def _development(settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    settings.ENVIRONMENT = environment.current()


@breaks("owner-in-web")
def _owner(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cms_project.wsgi", sys)


@breaks("data-folder")
def _open_folder(settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    Path(settings.DATA_DIR).chmod(0o755)


@breaks("data-folder")
def _quickstart(settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    (Path(settings.DATA_DIR) / "quickstart.json").write_text("{}")


# Data


@breaks("csp-reports")
def _reported(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    CspReport.objects.create(digest="0" * 64, directive="script-src", blocked="inline", document="/admin/")


@breaks("key-ring")
def _old_ring(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    with transaction.atomic():
        record("a.thing", actor=system("a test"), subject=None)
    seal_pending()
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_seal DISABLE TRIGGER USER")
        Seal.objects.using("owner").update(sealed_at=timezone.now() - timedelta(days=400))
        cursor.execute("ALTER TABLE accounts_seal ENABLE TRIGGER USER")


@breaks("second-factor")
def _no_factor(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_person("bare@example.com", roles=["administrator"])


@breaks("passkeys")
def _no_passkey(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_person("app@example.com", roles=["administrator"], with_authenticator=True)


@breaks("role-demands")
def _lenient_role(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_role("desk")
    Role.objects.filter(key="desk").update(areas=["users"])


@breaks("administrators")
def _too_many(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    for number in range(6):
        make_person(f"a{number}@example.com", roles=["administrator"])


@breaks("administrators")
def _absent(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    person = make_person("gone@example.com", roles=["administrator"])
    User.objects.filter(pk=person.user.pk).update(last_login=timezone.now() - timedelta(days=200))


@breaks("public-role")
def _public(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    allow("public")


@breaks("public-role")
def _public_personal(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_collection("people", [{"key": "name", "type": "text", "data_class": "personal"}])
    allow("public", collection="people", fields=("name",))


@breaks("personal-fields")
def _personal(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_collection("people", [{"key": "name", "type": "text", "data_class": "personal"}])
    make_role("desk", {"collection": "people", "actions": ("read",), "fields": ("name",)})


@breaks("wide-rights")
def _wide(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_role("desk")
    Role.objects.filter(key="desk").update(areas=["operations"])


def _key(**columns: Any) -> None:
    make_role("desk", {"collection": "*", "actions": ("read",)})
    make_key(role="desk", scopes=Scopes(frozenset({(None, Action.READ)}), frozenset()))
    ApiKey.objects.update(**columns)


@breaks("key-age")
def _old_key(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    _key(created_at=timezone.now() - timedelta(days=200), last_used_at=timezone.now())


@breaks("key-idle")
def _idle_key(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    _key(created_at=timezone.now() - timedelta(days=40))


@breaks("key-expiry")
def _endless_key(_settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    _key()
    monkeypatch.setattr("cms_project.security_check.keys.LONG", timedelta(hours=1))


@breaks("key-networks")
def _key_from_anywhere(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_key(role="administrator", scopes=Scopes(frozenset(), frozenset({Area.USERS})))


@breaks("key-browser")
def _key_in_browsers(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_key(role="administrator")
    ApiKey.objects.update(browser=True)


@breaks("webhooks")
def _plain_webhook(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_endpoint("https://www.example.com/hook")
    Endpoint.objects.update(url="http://www.example.com/hook?token=canary")


@breaks("webhooks")
def _near_webhook(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_endpoint("https://www.example.com/hook")
    Endpoint.objects.update(url="https://10.1.2.3/hook")


@breaks("webhooks")
def _allowed_webhook(settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = [ip_network("172.16.0.0/12")]
    make_endpoint("https://172.20.1.2/hook")


@breaks("webhook-receivers")
def _unchecked(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_endpoint("https://www.example.com/hook")


@breaks("webhook-receivers")
def _credulous(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_endpoint("https://www.example.com/hook")
    Endpoint.objects.update(conformance={"passed": False})


@breaks("preview-sites")
def _plain_site(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_site("Web", {})
    PreviewSite.objects.update(origins=["http://www.example.com"])


@breaks("preview-leaks")
def _leak(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_site("Web", {})
    PreviewSite.objects.update(probe={"verdict": "leak"}, probed_at=timezone.now())


@breaks("preview-leaks")
def _unproven_site(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_site("Web", {})


@breaks("log-verified")
def _never_verified(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    LogCheck.objects.all().delete()


@breaks("log-verified")
def _forged_badge(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    LogCheck.objects.using("owner").update(mac="0" * 64)


@breaks("log-verified")
def _foreign_row(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    with transaction.atomic():
        event = record("a.thing", actor=system("a test"), subject=None)
    Unsealed.objects.filter(event_id=event.pk).update(refused_at=timezone.now())


@breaks("log-head")
def _head_not_sent(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    DailyHead.objects.update(sent_at=timezone.now() - timedelta(days=3))


@breaks("log-consumers")
def _rules_behind(_settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.alerting.reading.is_behind", lambda: True)


@breaks("log-consumers")
def _stream_behind(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AUDIT_STREAM_TO = StreamTarget("tls", "siem.example.com", 6514)
    with transaction.atomic():
        record("a.thing", actor=system("a test"), subject=None)
    seal_pending()
    monkeypatch.setattr(streaming, "LATE", timedelta(0))


@breaks("log-consumers")
def _no_sealer(_settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction.atomic():
        record("a.thing", actor=system("a test"), subject=None)
    monkeypatch.setattr("cms_project.security_check.log.WAITS", timedelta(seconds=-5))


@breaks("open-alerts")
def _alert(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    make_alert(severity=Severity.CRITICAL)


@breaks("database-roles")
def _one_role(_settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "ALIASES", ("owner", "delivery"))


@breaks("database-roles")
def _same_role(_settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "ALIASES", ("default", "default"))


@breaks("database-grants")
def _wide_grant(_settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    _in_owner(monkeypatch, "GRANT INSERT ON content_publisheddocument TO quillkeep_delivery")


@breaks("lockdown-triggers")
def _no_trigger(_settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    _in_owner(monkeypatch, "DROP TRIGGER refuse_while_locked_down ON content_entry")


@breaks("dependency-floors")
def _old_django(_settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(dependencies.FLOORS, "django", "99.0")


@breaks("dependency-absent")
def _flower(_settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies, "ABSENT", {"django": "a test says so"})


_undone: list[Any] = []


def _in_owner(monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    """Do it in a transaction of the owner that the check looks into, and that is taken back."""
    block = transaction.atomic(using="owner")
    block.__enter__()
    _undone.append(block)
    with connections["owner"].cursor() as cursor:
        cursor.execute(statement)
    monkeypatch.setattr(database, "connections", {"default": connections["owner"]})


@pytest.fixture(autouse=True)
def _take_back(_django_db_helper: None) -> Iterator[None]:
    yield
    while _undone:
        transaction.set_rollback(True, using="owner")
        _undone.pop().__exit__(None, None, None)


@breaks("backups-made")
def _no_backups(settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    settings.BACKUPS = replace(settings.BACKUPS, to="")


@breaks("backups-made")
def _an_old_backup(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    Backup.objects.using("owner").update(made_at=timezone.now() - timedelta(days=3))


@breaks("backups-proven")
def _an_old_proof(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    Backup.objects.using("owner").update(proven_at=timezone.now() - timedelta(days=8))


@breaks("backups-proven")
def _a_damaged_backup(_settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    Backup.objects.using("owner").update(is_whole=False)


@breaks("backups-apart")
def _backups_beside_the_data(settings: LazySettings, _: pytest.MonkeyPatch) -> None:
    settings.BACKUPS = replace(settings.BACKUPS, to=f"file://{settings.DATA_DIR}/backups")


@pytest.mark.parametrize(
    ("check", "number"),
    [(check, number) for check, acts in sorted(BREAKS.items()) for number in range(len(acts))],
)
def test_each_check_turns_red(
    check: str, number: int, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = result_of(check)
    assert before.status == "pass", before.evidence
    BREAKS[check][number](settings, monkeypatch)
    after = result_of(check)
    assert after.status in ("notice", "warn", "fail"), after
    assert after.evidence
    assert after.check.advice
    assert "canary" not in str(after.as_json())
    assert len(after.evidence) <= 21


def test_every_check_has_something_that_turns_it_red_and_says_what_to_do() -> None:
    assert set(BREAKS) == set(registry.CHECKS)
    for check in registry.CHECKS.values():
        assert re.fullmatch(r"[a-z][a-z-]{2,30}", check.id)
        assert check.advice.endswith(".")
        result = Result(check, (Found("x"),))
        assert bool(result.path) is bool(check.page), check.id  # no link that leads nowhere


# The grade


def _report(*statuses: Severity | None) -> Report:
    def looking(severity: Severity | None) -> Callable[[], list[Found]]:
        return lambda: [] if severity is None else [Found("x", severity)]

    return run(
        Check(f"c{number}", "T", Severity.NOTICE, "Do.", looking(status))
        for number, status in enumerate(statuses)
    )


@pytest.mark.parametrize(
    ("found", "grade"),
    [
        ((), "A"),
        ((Severity.NOTICE,) * 9, "A"),
        ((Severity.WARNING, None), "B"),
        ((Severity.WARNING,) * 2, "B"),
        ((Severity.WARNING,) * 3, "C"),
        ((Severity.CRITICAL,), "D"),
        ((Severity.CRITICAL,) * 2, "F"),
    ],
)
def test_a_grade_says_how_bad_it_is(found: tuple[Severity, ...], grade: str) -> None:
    assert _report(*found).grade == Grade(grade)


def test_a_check_that_can_not_look_counts_as_a_warning_and_stops_no_other() -> None:
    def fails() -> list[Found]:
        raise OSError("canary")

    report = run(
        [
            Check("fails", "T", Severity.CRITICAL, "Do.", fails),
            Check("well", "T", Severity.CRITICAL, "Do.", list),
        ]
    )
    assert [item.status for item in report.results] == ["unknown", "pass"]
    assert report.grade == Grade.B
    assert "canary" not in json.dumps(report.as_json())


def test_in_development_what_is_meant_so_is_a_notice(settings: LazySettings) -> None:
    settings.ENVIRONMENT = environment.current()
    settings.PUBLIC_URL = "http://localhost:8000"
    settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    for check in ("https", "cookies", "environment"):
        assert result_of(check).status == "notice", check
    settings.PUBLIC_URL = "http://cms.example.com"
    assert result_of("environment").status == "fail"  # a developer's leniency serves the world


# The command and the page


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, int]:
    try:
        call_command("security", "check", *arguments)
    except CommandError as error:
        return capsys.readouterr().out, error.returncode
    return capsys.readouterr().out, 0


def test_the_command_exits_by_the_grade_that_was_chosen(
    capsys: pytest.CaptureFixture[str], settings: LazySettings
) -> None:
    _administrators()
    assert told(capsys, "--fail-below", "A")[1] == 0
    settings.DEBUG = True
    settings.SESSION_COOKIE_HTTPONLY = True
    out, status = told(capsys, "--json")
    assert status == 0
    found = json.loads(out.splitlines()[-1])
    assert found["grade"] == "D"
    (debug,) = [item for item in found["checks"] if item["id"] == "debug"]
    assert (debug["status"], debug["severity"]) == ("fail", "critical")
    assert found["checks"][0]["id"] == "debug"  # what is worst stands first
    assert [told(capsys, "--fail-below", grade)[1] for grade in "ABCDF"] == [1, 1, 1, 0, 0]
    table, _ = told(capsys)
    assert "Grade D" in table
    assert "DEBUG" in table


def test_the_page_shows_it_to_who_administers_operations_alone(settings: LazySettings) -> None:
    ada = make_person("ada@example.com", roles=["administrator"], with_authenticator=True)
    make_role("desk", {"collection": "*", "actions": ("read_draft",)})
    edith = make_person("edith@example.com", roles=["desk"], with_authenticator=True)
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = settings.SECURE_SSL_REDIRECT = False
    pages = {}
    for person in (ada, edith):
        browser = Client(raise_request_exception=False)
        browser.post("/admin/login/", {"email": person.email, "password": PASSWORD})
        browser.post("/admin/login/code/", {"code": person.code()})
        pages[person.email] = browser.get("/admin/security/")
    assert pages["edith@example.com"].status_code == 403
    assert Client().get("/admin/security/").status_code == 302
    shown = pages["ada@example.com"]
    assert shown.status_code == 200
    assert "no-store" in shown["Cache-Control"]
    text = shown.content.decode()
    assert "Fix it" in text
    assert "ada@example.com has no passkey" in text
    assert str(settings.SECRET_KEY) not in text
