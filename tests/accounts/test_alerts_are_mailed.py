"""Mails about alerts: together, to those who can look at them, once, over real SMTP; and no secret in them."""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import people
from accounts.access import Area, Principal
from accounts.alerting import mailing
from accounts.alerting.acknowledging import acknowledge
from accounts.alerting.attention import attention
from accounts.alerting.mailing import CONSUMER, TOGETHER, recipients, send_due
from accounts.alerting.reading import raise_due
from accounts.alerting.rule import OPENED
from accounts.log import Subject, seal_pending
from accounts.models import Alert, Event, Position, Tally, User
from accounts.sign_in import lockout
from tests.accounts.cast import BUILDER, Person, make_person, make_role
from tests.accounts.smtp import MailServer
from tests.accounts.test_alerts_are_raised import GERMANY, fail, happen

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(ada: Person, settings: LazySettings) -> Iterator[MailServer]:
    """A mail server, in a world where nothing has been told yet."""
    look()
    Alert.objects.update(acknowledged_at=timezone.now())
    Tally.objects.all().delete()
    send_due(waits=False)
    with MailServer() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", server.port, False
        yield server


def look() -> None:
    seal_pending()
    raise_due()
    seal_pending()


def text_of(mail: Any) -> str:
    return str(mail.get_payload(decode=True).decode())


def test_what_was_raised_within_a_minute_comes_in_one_mail_to_each(
    server: MailServer, rita: Person, settings: LazySettings
) -> None:
    settings.SECURITY_ALERT_TO = ("soc@example.com", "ada@example.com")
    off = make_person("off@example.com", roles=["administrator"])
    people.change_user(off.user, is_active=False, by=BUILDER)
    look()
    send_due(waits=False)
    server.mails.clear()
    fail(rita.user, times=10)
    look()
    happen("log.verification-failed", problem="altered", position=7)
    look()
    assert send_due() == 0  # more may come
    with time_machine.travel(timezone.now() + TOGETHER, tick=True):
        assert send_due() == 2
        assert send_due() == 0
    assert [mail["To"] for mail in server.mails] == ["ada@example.com", "soc@example.com"]
    mail = server.mails[0]
    assert mail["Subject"] == "[development] Critical: The log is not intact (and 1 more)"
    text = text_of(mail)
    for words in ("10 sign-ins failed for rita@example.com", "altered", f"From: {GERMANY} (DE)", "What to do: Keep a copy",
                  "http://testserver/admin/accounts/alert/"):  # fmt: skip
        assert words in text
    (alert,) = Alert.objects.filter(rule="log-broken")
    assert f"/admin/accounts/alert/{alert.pk}/change/" in text
    sent = Event.objects.filter(type="mail.sent", detail__about=OPENED, subject_type="recipient")
    assert [event.subject_id for event in sent] == 2 * ["SECURITY_ALERT_TO #1"]


def test_who_may_not_look_at_alerts_is_not_told(server: MailServer, rita: Person) -> None:
    make_person("edith@example.com", roles=[])
    assert [address for address, _, _ in recipients()] == ["ada@example.com"]
    assert User.objects.filter(is_active=True).count() == 3


def test_who_holds_the_log_alone_is_told_and_let_in(server: MailServer) -> None:
    make_role("auditor", areas=[Area.AUDIT])
    audrey = make_person("audrey@example.com", roles=["auditor"])
    assert [address for address, _, _ in recipients()] == ["ada@example.com", "audrey@example.com"]
    api = audrey.sign_in()
    assert api.get("manage/alerts").status_code == 200
    assert api.get("manage/users").status_code == 403


def test_whoever_is_quick_to_acknowledge_hides_nothing_from_the_others(
    server: MailServer, ada: Person, rita: Person
) -> None:
    """Somebody who has just taken an administrator over sees the alert of it before the mail is sent."""
    fail(rita.user, times=10)
    look()
    acknowledge(Alert.objects.get(rule="failed-sign-ins.account").pk, note="All is well", by=ada.principal)
    assert send_due(waits=False) == 1
    text = text_of(server.mails[-1])
    assert "10 sign-ins failed for rita@example.com" in text
    assert "Acknowledged already, by ada@example.com" in text


def test_a_server_that_is_down_delays_mails_and_says_so_on_the_pages(
    rita: Person, ada: Person, settings: LazySettings
) -> None:
    look()
    send_due(waits=False)
    fail(rita.user, times=10)
    look()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    before = Position.objects.of(CONSUMER)
    with pytest.raises(OSError, match="refused"):
        send_due(waits=False)
    assert Position.objects.of(CONSUMER) == before
    assert not mailing.is_stuck()
    with time_machine.travel(timezone.now() + timedelta(minutes=11), tick=True):
        assert mailing.is_stuck()
        assert any("can’t be sent" in sentence for sentence, _ in attention())
        with MailServer() as server:
            settings.EMAIL_PORT = server.port
            assert send_due() == 1
        assert not mailing.is_stuck()


def test_an_address_that_is_refused_stops_no_other_and_goes_round_in_no_circle(
    server: MailServer, rita: Person, settings: LazySettings
) -> None:
    settings.SECURITY_ALERT_TO = ("gone@example.com",)
    server.refused.add("gone@example.com")
    fail(rita.user, times=10)
    look()
    assert send_due(waits=False) == 1
    for _ in range(4):
        look()
        send_due(waits=False)
    assert len(server.mails) == 2  # of the attack, and once of the address
    (alert,) = Alert.objects.filter(rule="alert-not-delivered")
    assert (alert.count, alert.is_open) == (1, True)
    assert "an address of SECURITY_ALERT_TO" in alert.sentence


def test_a_name_can_break_out_of_no_mail(server: MailServer) -> None:
    by = Principal(kind="user", label="Eve\r\nBcc: x@example.com\r\n\r\nhttps://evil.example/")
    people_before = len(recipients())
    happen(
        "user.created",
        by=by,
        subject=Subject("user", "0190aaaa-0000-7000-8000-000000000000"),
        roles=["administrator"],
    )
    look()
    assert send_due(waits=False) == people_before
    text = text_of(server.mails[-1])
    assert "https://evil.example" not in text
    assert "\nBcc" not in text


def test_the_command_proves_that_mails_arrive(server: MailServer) -> None:
    out = StringIO()
    call_command("alerts", "test", "--now", stdout=out)
    assert "1 sent, 0 refused" in out.getvalue()
    assert "Nothing has happened" in text_of(server.mails[-1])
    call_command("alerts", "list", "--open", "--json", stdout=(out := StringIO()))
    assert '"rule": "test"' in out.getvalue().splitlines()[-1]
    call_command("alerts", "list")
    server.refused.add("ada@example.com")
    with pytest.raises(CommandError, match="refused"):
        call_command("alerts", "test", "--now", stdout=StringIO())
    with pytest.raises(CommandError, match="worker"):
        call_command("alerts", "test", "--wait", "0", stdout=StringIO())


def test_the_command_says_when_nobody_would_be_told() -> None:
    with pytest.raises(CommandError, match="Nobody"):
        call_command("alerts", "test", "--now", stdout=StringIO())


def test_the_tasks_are_in_the_schedule(server: MailServer, settings: LazySettings) -> None:
    tasks = {item["task"]: item for item in settings.CELERY_BEAT_SCHEDULE.values()}
    assert tasks["accounts.raise_alerts"]["options"]["queue"] == "log"
    assert "accounts.send_alerts" in tasks
    assert lockout.FAILED
