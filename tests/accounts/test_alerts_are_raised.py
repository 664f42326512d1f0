"""Rules over the log raise alerts: one for a group, counted, told once; and what must not raise one does not."""

import time
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import log, people
from accounts.access import Action, Area, Principal, system
from accounts.alerting import reading
from accounts.alerting.acknowledging import acknowledge, reopen
from accounts.alerting.attention import attention
from accounts.alerting.house import BROKEN, TEST
from accounts.alerting.reading import CONSUMER, MOST_OPEN, OTHERS, raise_due
from accounts.alerting.registry import RULES, check_thresholds
from accounts.alerting.rule import OPENED, OWN, Hit, Rule, plain
from accounts.errors import ConflictError, InvalidInputError, NotAllowedError
from accounts.log import Subject, record, seal_pending
from accounts.models import Alert, Event, Position, Role, Session, Severity, Tally, User
from accounts.principals import of_user
from accounts.rights.granting import PolicyTerms, change_policy, change_role
from accounts.sign_in import devices, lockout
from tests.accounts.cast import (
    ARTICLES,
    BUILDER,
    PHONE,
    TITLE,
    Person,
    make_key,
    make_person,
    make_policy,
    make_role,
)

pytestmark = pytest.mark.django_db(transaction=True)

FORMERLY = datetime(2001, 1, 1, tzinfo=UTC)
GERMANY, JAPAN, BRAZIL = "185.220.101.1", "133.11.0.1", "200.160.0.8"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15"


def happen(
    type_: str, *, by: Principal = BUILDER, subject: Subject | None = None, address: str = "", **detail: Any
) -> Event:
    with transaction.atomic():
        return record(type_, actor=by.at(address=address, request_id=""), subject=subject, detail=detail)


def fail(
    user: User | None = None, *, times: int = 1, address: str = GERMANY, type_: str = lockout.FAILED
) -> None:
    subject = Subject("user", str(user.pk)) if user else None
    for _ in range(times):
        happen(type_, by=Principal(kind="anonymous"), subject=subject, address=address)


def look() -> int:
    seal_pending()
    return raise_due()


def raised(rule: str = "") -> list[Alert]:
    look()
    alerts = Alert.objects.exclude(acknowledged_at=FORMERLY).order_by("pk")
    return list(alerts.filter(rule=rule) if rule else alerts)


def caught_up() -> None:
    """Forget what building the world has raised."""
    look()
    Alert.objects.update(acknowledged_at=FORMERLY)  # nobody can delete them
    Tally.objects.all().delete()


def sign_in_from(user: User, address: str, agent: str = FIREFOX, *, at: datetime | None = None) -> None:
    at = at or timezone.now()
    session = Session.objects.create(
        user=user,
        kind="admin",
        address=address,
        agent=agent,
        created_at=at,
        expires_at=at + timedelta(hours=1),
    )
    happen("session.started", by=of_user(user), subject=Subject("session", str(session.pk)), address=address)


# --- Signing in


def test_ten_failed_sign_ins_for_one_account_are_one_alert_whose_count_rises(rita: Person) -> None:
    fail(rita.user, times=8)
    fail(rita.user, type_=lockout.STEP_UP_FAILED)  # whoever took a session over guesses codes there
    assert raised() == []
    fail(rita.user)
    (alert,) = raised()
    assert (alert.rule, alert.count, alert.severity) == ("failed-sign-ins.account", 10, Severity.WARNING)
    assert "10 sign-ins failed for rita@example.com" in alert.sentence
    assert (alert.subject_type, alert.subject_id, alert.address) == ("user", str(rita.user.pk), GERMANY)
    fail(rita.user, times=5)
    (alert,) = raised("failed-sign-ins.account")
    assert alert.count == 15
    assert Event.objects.filter(type=OPENED, subject_id=str(alert.pk)).count() == 1


def test_ten_within_hours_are_none(rita: Person) -> None:
    start = timezone.now()
    for hours in range(12):
        with time_machine.travel(start + timedelta(hours=hours), tick=True):
            fail(rita.user)
            look()
    assert not Alert.objects.exists()
    assert Tally.objects.count() <= 3  # what is over is forgotten


def test_failures_from_one_address_and_over_all_are_counted_whoever_is_meant(rita: Person) -> None:
    fail(times=20, address="2a00:1450:4001:81b::1")
    fail(times=1, address="2a00:1450:4001:81b:ffff::2")  # the same /64: one caller
    (alert,) = raised()
    assert (alert.rule, alert.group, alert.count) == (
        "failed-sign-ins.address",
        "2a00:1450:4001:81b::/64",
        21,
    )
    for number in range(80):
        fail(address=f"8.8.{number}.1")
    assert [alert.count for alert in raised("failed-sign-ins.all")] == [101]


def test_a_locked_account_with_a_role_is_told_and_one_without_is_not(ada: Person, rita: Person) -> None:
    caught_up()
    fail(rita.user, type_=lockout.LOCKED_OUT)
    fail(ada.user, type_=lockout.LOCKED_OUT)
    (alert,) = raised("account-locked")
    assert (alert.subject_id, alert.severity) == (str(ada.user.pk), Severity.CRITICAL)


def test_real_sign_ins_that_fail_come_to_an_alert(rita: Person) -> None:
    browser = Client(REMOTE_ADDR=GERMANY)
    for _ in range(10):
        browser.post(
            "/api/v1/auth/login", {"email": rita.email, "password": "wrong"}, content_type="application/json"
        )
    assert [alert.count for alert in raised("failed-sign-ins.account")] == [10]


def test_an_administrator_abroad_is_told_once_and_others_are_not(ada: Person, rita: Person) -> None:
    for person in (ada, rita):
        sign_in_from(person.user, GERMANY, at=timezone.now() - timedelta(days=3))
        sign_in_from(person.user, GERMANY)
        sign_in_from(person.user, "10.0.0.7")
    assert raised("new-country") == []
    sign_in_from(ada.user, JAPAN)
    sign_in_from(rita.user, JAPAN)
    (alert,) = raised("new-country")
    assert alert.sentence.startswith(f"ada@example.com signed in from JP ({JAPAN})")
    sign_in_from(ada.user, JAPAN)
    assert [alert.count for alert in raised("new-country")] == [1]  # it is known now
    assert raised("new-device") == []


def test_the_first_sign_in_of_all_is_no_news_and_the_first_in_ninety_days_is(ada: Person) -> None:
    sign_in_from(ada.user, GERMANY)
    assert raised("new-country") == []
    with time_machine.travel(timezone.now() + timedelta(days=120), tick=True):
        sign_in_from(ada.user, GERMANY)
        assert len(raised("new-country")) == 1


def test_a_new_browser_of_an_administrator_is_a_notice(ada: Person) -> None:
    sign_in_from(ada.user, GERMANY, at=timezone.now() - timedelta(days=3))
    sign_in_from(ada.user, GERMANY, FIREFOX.replace("128", "129"))
    assert raised("new-device") == []  # it was only updated
    sign_in_from(ada.user, GERMANY, SAFARI)
    (alert,) = raised("new-device")
    assert "Safari on Mac OS X" in alert.sentence
    assert alert.severity == Severity.NOTICE


def test_a_refresh_token_used_twice_is_critical(rita: Person) -> None:
    api = rita.sign_in()
    first = api.refresh
    assert api.post("auth/refresh", {"refresh": first}).status_code == 200
    assert api.post("auth/refresh", {"refresh": first}).status_code == 401
    (alert,) = raised("refresh-token-reused")
    assert alert.severity == Severity.CRITICAL
    assert alert.subject_id == str(rita.user.pk)
    assert "rita@example.com" in alert.sentence


def test_factors_taken_by_somebody_else_are_told_and_ones_own_are_not(ada: Person) -> None:
    edith = make_person("edith@example.com", with_authenticator=True)
    caught_up()
    happen(devices.REMOVED, by=edith.principal, subject=Subject("user", str(edith.user.pk)), device="passkey")
    assert raised("factors-removed") == []
    devices.remove_all(edith.user, by=ada.principal)
    (alert,) = raised("factors-removed")
    assert alert.sentence == "ada@example.com removed the second factors of edith@example.com."


def test_a_password_right_after_a_factor_is_told(ada: Person, rita: Person) -> None:
    people.set_password(rita.user, "a wholly other phrase", by=BUILDER)
    devices.enrol(rita.user, by=BUILDER)
    assert raised("password-after-factor") == []
    people.set_password(rita.user, "one more phrase of mine", by=BUILDER)
    assert len(raised("password-after-factor")) == 1


def test_a_recovery_code_is_a_notice_and_of_an_administrator_a_warning(ada: Person, rita: Person) -> None:
    for person in (ada, rita):
        happen(
            "recovery-code.used", by=person.principal, subject=Subject("user", str(person.user.pk)), left=3
        )
    assert {alert.severity for alert in raised("recovery-code-used")} == {Severity.WARNING, Severity.NOTICE}


# --- Rights, keys, content, the house


def test_what_opens_to_the_public_is_told(ada: Person) -> None:
    make_policy(
        Role.objects.get(key="public"), Action.READ, collection=ARTICLES, every_field=False, fields=[TITLE]
    )
    (alert,) = raised("public-opened")
    assert alert.severity == Severity.WARNING
    assert "let everybody on the internet read articles" in alert.sentence
    make_policy(Role.objects.get(key="public"), Action.READ)
    assert raised("public-opened")[-1].severity == Severity.CRITICAL


def test_a_policy_is_told_for_what_it_gives_anew(ada: Person) -> None:
    writer = make_role("writer")
    policy = make_policy(writer, Action.READ, collection=ARTICLES, every_field=False, fields=[TITLE])
    assert raised("policy-widened") == []
    more = PolicyTerms(
        ARTICLES, frozenset({Action.READ, Action.UPDATE}), (), False, frozenset({TITLE, PHONE})
    )
    change_policy(policy, more, by=BUILDER)
    (widened,) = raised("policy-widened")
    assert widened.sentence.endswith("let the role writer do more in articles: update.")
    (sensitive,) = raised("sensitive-fields-opened")
    assert "opened phone of articles to the role writer" in sensitive.sentence
    change_policy(policy, more, by=BUILDER)
    assert [alert.count for alert in raised("policy-widened")] == [1]


def test_who_may_but_read_the_log_is_a_notice() -> None:
    make_person("ada@example.com", roles=["administrator"])
    make_role("auditor", areas=[Area.AUDIT])
    make_role("keeper", areas=[Area.AUDIT, Area.USERS])
    rita = make_person("rita@example.com", roles=["auditor"])
    assert [alert.severity for alert in raised("new-administrator")] == [Severity.NOTICE]
    people.change_user(rita.user, roles=["auditor", "keeper"], by=BUILDER)
    assert [alert.severity for alert in raised("new-administrator")] == [Severity.CRITICAL]


@pytest.mark.parametrize(
    "wider",
    [
        PolicyTerms(ARTICLES, frozenset({Action.UPDATE}), (), False, frozenset({TITLE})),
        PolicyTerms(
            ARTICLES,
            frozenset({Action.UPDATE}),
            (("_locale", "in", ["en", "de"]),),
            False,
            frozenset({TITLE}),
        ),
        PolicyTerms(ARTICLES, frozenset({Action.UPDATE}), (("_locale", "in", ["en"]),), True),
    ],
    ids=["no condition", "another value", "more fields"],
)
def test_a_policy_that_reaches_further_by_the_same_acts_is_told(ada: Person, wider: PolicyTerms) -> None:
    """A narrow policy is told of and acknowledged; what it is widened to afterwards must not pass unseen."""
    policy = make_policy(
        make_role("writer"),
        Action.UPDATE,
        collection=ARTICLES,
        rows=[("_locale", "in", ["en"])],
        every_field=False,
        fields=[TITLE],
    )
    caught_up()
    change_policy(policy, wider, by=BUILDER)
    (alert,) = raised("policy-widened")
    assert "role writer do more in articles: update" in alert.sentence


def test_a_policy_that_reaches_less_far_is_not_told(ada: Person) -> None:
    policy = make_policy(make_role("writer"), Action.UPDATE)
    caught_up()
    own = (("_created_by", "eq", "$user"),)
    acts = frozenset({Action.UPDATE})
    change_policy(policy, PolicyTerms(ARTICLES, acts, (), True), by=BUILDER)
    change_policy(policy, PolicyTerms(ARTICLES, acts, own, True), by=BUILDER)
    change_policy(policy, PolicyTerms(ARTICLES, acts, own, False, frozenset({TITLE})), by=BUILDER)
    assert raised("policy-widened") == []
    change_policy(policy, PolicyTerms(ARTICLES, acts, own, False, frozenset({TITLE, PHONE})), by=BUILDER)
    assert [alert.count for alert in raised("policy-widened")] == [1]


def test_drafts_that_are_opened_to_a_role_are_told(ada: Person) -> None:
    make_policy(make_role("website2"), Action.READ)
    assert raised("policy-widened") == []
    make_policy(Role.objects.get(key="website2"), Action.READ_DRAFT)
    assert [alert.severity for alert in raised("policy-widened")] == [Severity.WARNING]


def test_an_administrator_who_is_switched_on_again_is_a_new_one(ada: Person) -> None:
    former = make_person("former@example.com", roles=["administrator"])
    plain_one = make_person("plain@example.com")
    for person in (former, plain_one):
        people.change_user(person.user, is_active=False, by=BUILDER)
    caught_up()
    people.change_user(plain_one.user, is_active=True, by=BUILDER)
    assert raised("new-administrator") == []
    people.change_user(former.user, is_active=True, by=BUILDER)
    (alert,) = raised("new-administrator")
    assert alert.sentence.endswith("gave former@example.com the role administrator.")


def test_a_new_administrator_is_critical_and_the_first_one_is_not() -> None:
    make_person("ada@example.com", roles=["administrator"])
    assert raised("new-administrator") == []
    rita = make_person("rita@example.com")
    assert raised("new-administrator") == []
    people.change_user(rita.user, roles=["administrator"], by=BUILDER)
    (alert,) = raised("new-administrator")
    assert alert.severity == Severity.CRITICAL
    assert alert.sentence.endswith("gave rita@example.com the role administrator.")


def test_a_role_that_asks_for_less_is_told_and_one_that_asks_for_more_is_not(ada: Person) -> None:
    role = make_role("writer", require_second_factor=True)
    change_role(role, session_hours=4, by=BUILDER)
    change_role(role, session_hours=2, by=BUILDER)
    assert raised("demands-loosened") == []
    change_role(role, session_hours=8, by=BUILDER)
    change_role(role, require_second_factor=False, by=BUILDER)
    (alert,) = raised("demands-loosened")
    assert alert.count == 2
    assert alert.sentence.endswith("loosened what the role writer asks for: a second factor.")
    change_role(role, session_hours=None, by=BUILDER)
    assert [alert.count for alert in raised("demands-loosened")] == [3]


def test_a_role_of_which_the_log_knows_nothing_yet_is_told_when_it_asks_for_less(ada: Person) -> None:
    """A ready role is made by a migration, and of an old one the log may be archived."""
    auditor = Role.objects.create(
        key="auditor", name="Auditor", areas=["audit"], require_second_factor=True, session_hours=4
    )
    caught_up()
    change_role(auditor, name="Auditors", by=BUILDER)
    assert raised("demands-loosened") == raised("role-opens-areas") == []
    change_role(auditor, require_second_factor=False, session_hours=8, by=BUILDER)
    (alert,) = raised("demands-loosened")
    assert alert.sentence.endswith("asks for: a second factor, the length of sessions.")


def test_a_key_that_administers_is_told(ada: Person) -> None:
    caught_up()
    make_key(ada.user)
    assert raised("key-administers") == []
    make_key(ada.user, name="Terraform", areas=[Area.AUDIT])
    (alert,) = raised("key-administers")
    assert "made the API key Terraform, which may administer audit" in alert.sentence


def test_mass_reads_count_entries_and_each_key_of_a_person_is_its_own_hand(rita: Person) -> None:
    by = rita.principal
    happen("draft.read", by=by, count=900)
    happen(
        "draft.read",
        by=Principal(
            kind="service", user_id=by.user_id, label="Robot", credential="api-key", credential_id="x"
        ),
        count=900,
    )
    assert raised("mass-read") == []
    for _ in range(100):
        happen("draft.read", by=by)
    (alert,) = raised("mass-read")
    assert "read 1,000 drafts" in alert.sentence
    happen("sensitive.read", by=by, count=200)
    assert [alert.severity for alert in raised("mass-read.sensitive")] == [Severity.CRITICAL]


@pytest.mark.parametrize(
    ("type_", "rule"),
    [("entry.trashed", "mass-delete"), ("entry.unpublished", "mass-delete"), ("entry.deleted", "mass-purge")],
)
def test_many_entries_that_vanish_by_one_hand_are_told(rita: Person, type_: str, rule: str) -> None:
    for number in range(19):
        happen(type_, by=rita.principal, subject=Subject("entry", str(number)))
    assert raised(rule) == []
    happen(type_, by=rita.principal, subject=Subject("entry", "20"))
    assert [alert.count for alert in raised(rule)] == [20]


def test_entries_that_are_erased_with_their_collection_count_too(rita: Person) -> None:
    subject = Subject("collection", str(ARTICLES))
    for detail in ({"change": "changed", "fields": []}, {"change": "deleted", "key": "a", "entries": 19}):
        happen("collection.changed", by=rita.principal, subject=subject, **detail)
    happen("collection.changed", by=rita.principal, subject=subject, change="deleted", key="b", entries=0)
    assert raised("mass-purge") == []
    happen("entry.deleted", by=rita.principal, subject=Subject("entry", "1"))
    assert [alert.count for alert in raised("mass-purge")] == [20]


def test_what_a_retention_erases_counts_for_who_shortened_it(rita: Person) -> None:
    for number in range(30):
        happen("entry.deleted", by=system("retention"), subject=Subject("entry", str(number)))
    assert raised("mass-purge") == []
    subject = Subject("collection", str(ARTICLES))
    happen("collection.changed", by=rita.principal, subject=subject, change="changed", erased=30)
    assert [alert.count for alert in raised("mass-purge")] == [30]


def test_what_is_seen_through_the_eyes_of_others_counts_as_read(ada: Person) -> None:
    for number in range(199):
        happen("access.viewed-as", by=ada.principal, subject=Subject("entry", str(number)))
    assert raised("mass-read.sensitive") == []
    happen("sensitive.read", by=ada.principal)
    assert [alert.count for alert in raised("mass-read.sensitive")] == [200]


@pytest.mark.parametrize(
    ("type_", "rule", "detail"),
    [
        ("log.verification-failed", "log-broken", {"findings": 1, "problem": "altered", "position": 7}),
        ("cache.not-told", "caches-not-told", {"since": "never"}),
        ("log.head-not-sent", "head-not-sent", {"day": "2026-01-01", "problem": "no answer"}),
        ("limits.unavailable", "limits-unavailable", {}),
        ("clock.skewed", "clock-skewed", {"seconds": 600}),
        (
            "api-key.new-place",
            "key-elsewhere",
            {"network": "133.11.0.0/24", "country": "JP", "new_country": True},
        ),
        ("api-key.old-secret-refused", "key-old-secret", {}),
        ("lockdown.on", "lockdown-began", {"reason": "A key leaked"}),
        ("lockdown.off", "lockdown-lifted", {}),
        ("log.exported", "mass-export", {"count": 10_000}),
        ("role.updated", "role-opens-areas", {"areas": ["audit"]}),
    ],
)
def test_what_the_house_says_of_itself_is_told(
    ada: Person, type_: str, rule: str, detail: dict[str, Any]
) -> None:
    caught_up()
    happen(type_, subject=Subject("thing", "x"), **detail)
    assert len(raised(rule)) == 1


def test_mails_that_are_refused_are_told_when_they_are_many(rita: Person) -> None:
    for _ in range(4):
        happen("mail.refused", about="user.invited", subject=Subject("user", str(rita.user.pk)))
    assert raised() == []
    happen("mail.refused", about="user.invited", subject=Subject("user", str(rita.user.pk)))
    assert [alert.rule for alert in raised()] == ["mail-refused"]


# --- Grouping, telling, acknowledging


def test_the_same_is_not_told_twice_in_an_hour_unless_it_gets_much_worse(rita: Person) -> None:
    def told() -> int:
        return Event.objects.filter(type=OPENED).count()

    start = timezone.now()
    limit = {"failed-sign-ins.address": 0, "failed-sign-ins.all": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.SECURITY_ALERT_THRESHOLDS", limit)
        with time_machine.travel(start, tick=True):
            fail(rita.user, times=10)
            look()
            fail(rita.user, times=80)
            look()
            assert told() == 1
            fail(rita.user, times=10)  # ten times as many
            look()
            assert told() == 2
        with time_machine.travel(start + timedelta(minutes=61), tick=True):
            fail(rita.user, times=50)
            look()
            assert told() == 2  # it goes on, but not doubled
            fail(rita.user, times=60)
            look()
            assert told() == 3
        with time_machine.travel(start + timedelta(hours=26), tick=True):
            fail(rita.user, times=10)
            look()
            assert told() == 4  # a day later it is told again
    assert Alert.objects.count() == 1


def test_a_severity_that_rises_is_told_at_once(rita: Person) -> None:
    happen(
        "api-key.new-place",
        subject=Subject("api-key", "x"),
        network="8.8.8.0/24",
        country="US",
        new_country=False,
    )
    look()
    happen(
        "api-key.new-place",
        subject=Subject("api-key", "x"),
        network="8.8.8.0/24",
        country="JP",
        new_country=True,
    )
    (alert,) = raised("key-elsewhere")
    assert alert.severity == Severity.WARNING
    assert [event.detail["severity"] for event in Event.objects.filter(type=OPENED).order_by("at")] == [
        "notice",
        "warning",
    ]


def test_what_happens_after_an_acknowledgement_is_a_new_alert_that_needs_a_threshold_of_its_own(
    ada: Person, rita: Person
) -> None:
    caught_up()
    fail(rita.user, times=12)
    (first,) = raised()
    acknowledge(first.pk, note="  It was\nRita  ", by=ada.principal)
    event = Event.objects.get(type="alert.acknowledged")
    assert (event.actor_id, event.detail["note"]) == (ada.user.pk, "It was Rita")
    fail(rita.user, times=9, address=JAPAN)
    assert len(raised("failed-sign-ins.account")) == 1
    fail(rita.user, address=JAPAN)
    second = raised("failed-sign-ins.account")[-1]
    assert (second.is_open, second.count) == (True, 10)
    with pytest.raises(ConflictError):
        acknowledge(first.pk, by=ada.principal)
    with pytest.raises(ConflictError):
        reopen(first.pk, by=ada.principal)
    acknowledge(second.pk, by=ada.principal)
    assert reopen(first.pk, by=ada.principal).is_open
    with pytest.raises(InvalidInputError):
        acknowledge(first.pk, note="x" * 501, by=ada.principal)


def test_only_who_looks_after_the_log_acknowledges(rita: Person) -> None:
    fail(rita.user, times=10)
    (alert,) = raised()
    for act in (acknowledge, reopen):
        with pytest.raises(NotAllowedError):
            act(alert.pk, by=rita.principal)
    alert.refresh_from_db()
    assert alert.is_open
    assert not Event.objects.filter(type="alert.acknowledged").exists()


def test_a_thousand_addresses_are_one_attack() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "django.conf.settings.SECURITY_ALERT_THRESHOLDS",
            {"failed-sign-ins.address": 1, "failed-sign-ins.all": 0},
        )
        for number in range(MOST_OPEN + 30):
            fail(address=f"8.8.{number}.1", times=2)
        assert len(raised()) == MOST_OPEN + 1
        others = Alert.objects.get(group=OTHERS)
        assert others.count == 60
        Position.objects.filter(consumer=CONSUMER).update(position=0)
        assert len(raised()) == MOST_OPEN + 1
        assert Alert.objects.get(group=OTHERS).count == 60


# --- Crashes, repeats, broken rules, bursts, loops


def snapshot() -> list[Any]:
    return [
        list(Alert.objects.order_by("pk").values()),
        list(Tally.objects.order_by("rule", "group").values("rule", "group", "slices", "last_position")),
        Event.objects.filter(type=OPENED).count(),
    ]


def test_reading_the_same_again_changes_nothing(rita: Person, ada: Person) -> None:
    fail(rita.user, times=13)
    fail(times=4, address=JAPAN)
    sign_in_from(ada.user, GERMANY, at=timezone.now() - timedelta(days=1))
    sign_in_from(ada.user, JAPAN)
    look()
    before = snapshot()
    for position in (0, 3):
        Position.objects.filter(consumer=CONSUMER).update(position=position)
        look()
        assert snapshot() == before
    acknowledge(Alert.objects.filter(rule="failed-sign-ins.account").get().pk, by=ada.principal)
    before = snapshot()
    Position.objects.filter(consumer=CONSUMER).update(position=0)
    look()
    assert snapshot()[0] == before[0]
    assert snapshot()[2] == before[2]


def test_a_crash_between_batches_loses_and_repeats_nothing(
    rita: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BATCH", 4)
    fail(rita.user, times=18)
    seal_pending()
    advance, calls = type(Position.objects).advance, 0

    def dies(self: Any, consumer: str, *, to: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt  # as a worker that is killed: nothing of the batch may stay
        advance(self, consumer, to=to)

    with monkeypatch.context() as patch:
        patch.setattr(type(Position.objects), "advance", dies)
        with pytest.raises(KeyboardInterrupt):
            raise_due()
    assert Position.objects.of(CONSUMER) < Event.objects.filter(seal__isnull=False).count()
    assert not Alert.objects.exists()
    (alert,) = raised()
    assert alert.count == 18
    assert Event.objects.filter(type=OPENED).count() == 1


def test_two_workers_count_each_event_once(rita: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BATCH", 7)
    fail(rita.user, times=60)
    seal_pending()
    failed: list[Exception] = []

    def work() -> None:
        try:
            raise_due()
        except Exception as error:  # noqa: BLE001 (told by the test)
            failed.append(error)
        finally:
            connection.close()

    workers = [Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failed == []
    (alert,) = Alert.objects.filter(rule="failed-sign-ins.account")
    assert alert.count == 60
    assert Position.objects.of(CONSUMER) == Event.objects.filter(seal__isnull=False).count()


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("y"), DatabaseError("z")])
def test_a_rule_that_fails_is_an_alert_and_stops_no_other(
    rita: Person, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> Any:
        if isinstance(error, DatabaseError):
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        raise error

    rule = Rule("odd", "Odd", Severity.NOTICE, frozenset({lockout.FAILED}), "Odd.", "Look.", breaks)
    monkeypatch.setattr("accounts.alerting.registry.RULES", {"odd": rule, **RULES})
    fail(rita.user, times=10)
    (broken,) = raised(BROKEN)
    assert broken.count == 10
    assert "The rule odd failed" in broken.sentence
    assert len(raised("failed-sign-ins.account")) == 1


@pytest.mark.slow
def test_ten_thousand_events_are_read_quickly_and_with_few_queries(rita: Person) -> None:
    look()
    event = happen(
        lockout.FAILED,
        by=Principal(kind="anonymous"),
        subject=Subject("user", str(rita.user.pk)),
        address=GERMANY,
    )
    last = Event.objects.filter(seal__isnull=False).count()
    with connection.cursor() as cursor:  # ours only to read: their seals are not looked at here
        cursor.execute(
            "WITH made AS (INSERT INTO accounts_event SELECT gen_random_uuid(), type, at, actor_kind, actor_id, actor_label,"
            " credential, subject_type, subject_id, collection_id, locale, request_id,"
            " '8.8.' || (n %% 200) || '.1', detail, tag FROM accounts_event, generate_series(1, 10000) n WHERE id = %s RETURNING id)"
            " INSERT INTO accounts_seal (position, event_id, mac, key_id, sealed_at)"
            " SELECT %s + row_number() OVER (), id, '', '', now() FROM made",
            [event.pk, last],
        )
    started = time.monotonic()
    with CaptureQueriesContext(connection) as caught:
        raise_due()
    assert time.monotonic() - started < 10
    assert len(caught) < 10 * 200
    (alert,) = Alert.objects.filter(rule="failed-sign-ins.account")
    assert alert.count == 10_000
    assert len(alert.positions) <= 20
    assert Alert.objects.filter(rule="failed-sign-ins.address").count() <= MOST_OPEN + 1


def test_no_alert_is_about_alerts(ada: Person) -> None:
    for rule in RULES.values():
        assert not rule.types & OWN
    with pytest.raises(ValueError, match="the next"):
        Rule("loop", "Loop", Severity.NOTICE, frozenset({OPENED}), "", "", lambda *_: ())
    happen(TEST)
    look()
    acknowledge(Alert.objects.get(rule="test").pk, by=ada.principal)
    count = Alert.objects.count()
    for _ in range(5):
        assert look() == 0
    assert Alert.objects.count() == count


def test_rules_that_do_not_run_are_said_on_the_home_page(rita: Person) -> None:
    seal_pending()
    assert not reading.is_behind()
    with time_machine.travel(timezone.now() + timedelta(minutes=11), tick=True):
        assert reading.is_behind()
        assert any("No rule has looked" in sentence for sentence, _ in attention())
        raise_due()
        assert not reading.is_behind()


def test_what_the_demo_sets_up_is_no_news(ada: Person) -> None:
    make_policy(Role.objects.get(key="public"), Action.READ)
    log.pass_over(reading.CONSUMER)
    assert raised() == []


def test_types_that_nobody_knows_are_passed_over() -> None:
    happen("future.thing", x=1)
    assert raised() == []
    assert Position.objects.of(CONSUMER) == Event.objects.filter(seal__isnull=False).count()


def test_a_hostile_name_is_one_line_of_text() -> None:
    by = Principal(kind="user", label="Eve\r\nBcc: x\u202e {count} https://evil.example <b>")
    happen("user.created", by=by, subject=Subject("user", "not an id\n"), roles=["administrator"])
    happen("mail.refused", about=["x"], alerts=7)
    happen("draft.read", by=by, count="many")
    happen("policy.updated", by=by, role=["public"], actions="x", fields=3, subject=Subject("policy", "x"))
    make_person("ada@example.com")
    happen("user.created", by=by, subject=Subject("user", "not an id"), roles=["administrator"])
    (alert,) = raised()
    assert alert.rule == "new-administrator"
    assert (
        alert.sentence == "Eve Bcc: x {count} https: //evil.example <b> gave somebody the role administrator."
    )
    assert plain("a\x00b\u2028c\x1bd") == "ab cd"


def test_ops_set_thresholds_and_switch_rules_off(rita: Person, settings: LazySettings) -> None:
    settings.SECURITY_ALERT_THRESHOLDS = {"failed-sign-ins.account": 3, "failed-sign-ins.all": 0}
    fail(rita.user, times=3)
    assert [alert.rule for alert in raised()] == ["failed-sign-ins.account"]
    assert check_thresholds() == []
    settings.SECURITY_ALERT_THRESHOLDS = {"typo": 3, "new-country": 5}
    assert [error.id for error in check_thresholds()] == ["accounts.E001", "accounts.E002"]


def test_every_rule_says_what_to_do() -> None:
    odd = Rule(
        "odd", "Odd", Severity.NOTICE, frozenset(), "{who} did {what}, {count} times.", "Look.", lambda *_: ()
    )
    assert odd.sentence(Hit("x", {"who": "{count}"}), 1_000) == "{count} did …, 1,000 times."
    for rule in RULES.values():
        assert rule.advice.endswith(".")
        assert rule.title
        assert len(rule.says) < 200
        assert rule.sentence(
            Hit(
                "x",
                dict.fromkeys(
                    (
                        "who",
                        "where",
                        "by",
                        "what",
                        "role",
                        "acts",
                        "areas",
                        "fields",
                        "key",
                        "scopes",
                        "browser",
                        "country",
                        "left",
                        "problem",
                        "whom",
                        "rule",
                        "error",
                        "reason",
                    ),
                    "x",
                ),
            ),
            5,
        )
