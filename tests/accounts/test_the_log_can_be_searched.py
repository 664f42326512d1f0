"""Searching the log, in the API and in the admin: by who, what, about what, when and from where."""

import json
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.access import Principal, system
from accounts.audit import results, searching, verifying
from accounts.log import Subject, record, seal_pending
from accounts.models import Event, LogCheck
from accounts.principals import of_user
from tests.accounts.cast import Api, Person, make_key, make_person
from tests.content.admin.conftest import sign_in

pytestmark = pytest.mark.usefixtures("_django_db_helper")
ACTOR = system("a test")
LOG = "/admin/accounts/event/"


def write(kind: str, by: Principal = ACTOR, subject: str = "1", address: str = "192.0.2.7") -> Event:
    with transaction.atomic():
        return record(
            kind,
            actor=by.at(address=address, request_id="r"),
            subject=Subject("thing", subject),
            detail={"n": 1},
        )


def types(api: Api, query: str) -> list[str]:
    answer = api.get(f"manage/audit?{query}")
    assert answer.status_code == 200, answer.content
    return [event["type"] for event in answer.json()["data"]]


@pytest.fixture
def at_the_admin(ada: Person) -> Client:
    return sign_in(ada)


def text(page: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode()))


def test_events_are_found_by_type_and_by_all_that_begin_alike(as_ada: Api) -> None:
    for kind in ("x.one", "x.two", "xy.three"):
        write(kind)
    assert types(as_ada, "type=x.one") == ["x.one"]
    assert types(as_ada, "type=x.*") == ["x.two", "x.one"]
    assert types(as_ada, "type=x.two,xy.*") == ["xy.three", "x.two"]
    assert types(as_ada, "type=z.*") == []


def test_the_list_says_whom_an_event_is_about(at_the_admin: Client) -> None:
    rita = make_person("rita@example.com")
    with transaction.atomic():
        for about in (str(rita.user.pk), str(uuid4()), "no id"):
            record("x.about", actor=ACTOR, subject=Subject("user", about))
    seal_pending()
    told = text(at_the_admin.get(f"{LOG}?type=x.about"))
    assert "user rita@example.com" in told
    assert "user …" in told  # one that is gone
    event = Event.objects.filter(type="x.about", subject_id=str(rita.user.pk)).get()
    assert str(rita.user.pk) in text(at_the_admin.get(f"{LOG}{event.pk}/change/"))


def test_events_are_found_by_who(as_ada: Api) -> None:
    rita = make_person("rita@example.com")
    by = of_user(rita.user)
    write("x.rita", by)
    write(
        "x.key",
        Principal("service", uuid4(), label="Website (API key)", credential="api-key", credential_id="pub1"),
    )
    write("x.other")
    assert types(as_ada, f"actor={rita.user.pk}") == ["x.rita"]
    assert types(as_ada, "actor=RITA@example.com&type=x.*") == ["x.rita"]
    assert types(as_ada, "actor=website") == ["x.key"]
    assert types(as_ada, "actor=api-key:pub1") == ["x.key"]
    assert types(as_ada, "actor=api-key:pub2") == []
    assert types(as_ada, "actor=%25&type=x.*") == []  # no wildcard of LIKE


def test_who_changed_their_address_is_found_by_the_new_one(as_ada: Api) -> None:
    rita = make_person("rita@example.com")
    write("x.rita", of_user(rita.user))
    rita.user.email = "margarita@example.com"
    rita.user.save()
    assert types(as_ada, "actor=margarita@example.com&type=x.*") == ["x.rita"]


def test_events_are_found_by_subject(as_ada: Api) -> None:
    write("x.one", subject="a:b")
    write("x.two", subject="2")
    assert types(as_ada, "subject=2&type=x.*") == ["x.two"]
    assert types(as_ada, "subject=thing:2") == ["x.two"]
    assert types(as_ada, "subject=thing:a:b") == ["x.one"]
    assert types(as_ada, "subject=thing:") == ["x.two", "x.one"]
    rita = make_person("rita@example.com")
    assert "user.created" in types(as_ada, "subject=rita@example.com")
    assert "user.created" in types(as_ada, f"subject=user:{rita.user.pk}")


def test_events_are_found_by_time(as_ada: Api) -> None:
    write("x.one")
    between = timezone.now().isoformat().replace("+00:00", "Z")
    write("x.two")
    assert types(as_ada, f"type=x.*&since={between}") == ["x.two"]
    assert types(as_ada, f"type=x.*&until={between}") == ["x.one"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("192.0.2.7", ["x.v4"]),
        ("192.0.2.0/24", ["x.v4"]),
        ("::ffff:192.0.2.7", ["x.v4"]),
        ("2001:db8::/32", ["x.v6"]),
        ("2001:DB8:0::1", ["x.v6"]),
        ("192.0.3.0/24", []),
    ],
)
def test_events_are_found_by_address_and_network(as_ada: Api, asked: str, found: list[str]) -> None:
    write("x.v4", address="192.0.2.7")
    write("x.v6", address="2001:db8::1")
    write("x.none", address="")
    assert types(as_ada, f"type=x.*&address={asked}") == found


def test_a_forged_address_does_not_break_the_search(as_ada: Api) -> None:
    """The row is found by `audit verify`; it must not keep anybody from looking at the others."""
    write("x.v4")
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_event (id, type, at, actor_kind, actor_label, credential, subject_type, subject_id,"
            " locale, request_id, address, detail, tag) VALUES (%s, 'x.forged', now(), 'user', 'm', '', '', '', '', '',"
            " 'no address', '{}', 'x')",
            [uuid4()],
        )
    assert types(as_ada, "type=x.*&address=192.0.2.0/24") == ["x.v4"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("type=Role", "type"),
        ("type=*", "type"),
        ("since=2026-01-31", "since"),
        ("since=2026-01-31T12:00:00", "since"),
        ("until=never", "until"),
        ("address=300.1.1.1", "address"),
        ("address=10.0.0.0/40", "address"),
        ("address=fe80::1%25eth0", "address"),
        ("address=fe80::1%25eth0/64", "address"),
        ("actor=%1b", "actor"),
        ("actor=", "actor"),
        ("type=", "type"),
        ("since=", "since"),
        ("address=%20", "address"),
        ("subject=" + "x" * 321, "subject"),
    ],
)
def test_a_wrong_filter_is_named(as_ada: Api, query: str, parameter: str) -> None:
    answer = as_ada.get(f"manage/audit?{query}")
    assert answer.status_code == 400
    assert [problem["parameter"] for problem in answer.json()["errors"]] == [parameter]


def test_a_search_that_reads_too_much_is_stopped(
    as_ada: Api, at_the_admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "TIMEOUT", "20ms")
    monkeypatch.setattr(
        searching.Sought, "filter", lambda _, events: events.extra(where=["pg_sleep(0.1) IS NOT NULL"])
    )
    answer = as_ada.get("manage/audit")
    assert (answer.status_code, answer.json()["code"]) == (400, "search-too-slow")
    assert "reads too much of the log" in text(at_the_admin.get(LOG))


def test_who_may_not_audit_is_refused_by_the_search_and_the_export(as_rita: Api, rita: Person) -> None:
    assert as_rita.get("manage/audit?address=192.0.2.7").status_code == 403
    before = Event.objects.count()
    for method, path in (("get", LOG), ("post", f"{LOG}export/")):
        answer = getattr(sign_in(rita), method)(path, {"format": "csv"})
        assert answer.status_code in {302, 403}
    assert not Event.objects.filter(type="log.exported").exists()
    assert Event.objects.exclude(type__startswith="session.").count() <= before


def test_a_key_for_auditing_alone_reads_the_log(ada: Person) -> None:
    from accounts.access import Action, Area

    _, key = make_key(ada.user, (None, Action.READ), areas=[Area.AUDIT])
    assert Api(Client(), key).get("manage/audit").status_code == 200
    _, other = make_key(ada.user, (None, Action.READ), areas=[Area.USERS])
    assert Api(Client(), other).get("manage/audit").status_code == 403


# The admin


def test_the_page_says_in_words_what_happened(at_the_admin: Client, ada: Person) -> None:
    page = text(at_the_admin.get(LOG))
    assert "ada@example.com signed in" in page
    assert "added a user" in page


def test_the_form_searches_and_keeps_what_was_typed(at_the_admin: Client) -> None:
    write("x.one")
    write("x.two", address="198.51.100.9")
    page = at_the_admin.get(
        LOG, {"type": "x.*", "address": "198.51.100.0/24", "actor": "", "since": "2020-01-01"}
    )
    assert "x.two" in text(page)
    assert "/x.one" not in page.content.decode()
    assert 'value="198.51.100.0/24"' in page.content.decode()
    assert 'value="2020-01-01T00:00"' in page.content.decode()
    assert "Nothing here is like what you asked for" in text(at_the_admin.get(LOG, {"subject": "nothing"}))


def test_until_a_day_means_to_its_end(at_the_admin: Client) -> None:
    write("x.one")
    today = f"{timezone.now():%Y-%m-%d}"
    assert "x.one" in [line.event.type for line in at_the_admin.get(LOG, {"until": today}).context["lines"]]


def test_a_wrong_filter_is_marked_in_the_form(at_the_admin: Client) -> None:
    page = at_the_admin.get(LOG, {"address": "nowhere", "since": "yesterday"})
    assert page.status_code == 400
    assert page.content.decode().count('aria-invalid="true"') == 2
    assert "An address or a network" in text(page)


@pytest.mark.parametrize(
    "query", ["actor__email=x", "type=a&type=b", "before=x", "before=-1", "o=1", "q=%00"]
)
def test_a_strange_address_shows_the_whole_log(at_the_admin: Client, query: str) -> None:
    answer = at_the_admin.get(f"{LOG}?{query}")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{LOG}?e=1")
    assert "could not be understood" in text(at_the_admin.get(f"{LOG}?e=1"))


def test_pages_go_on_where_the_last_one_ended_and_count_nothing(at_the_admin: Client) -> None:
    for _ in range(120):
        write("x.many")
    seal_pending()
    positions: list[int] = []
    path = f"{LOG}?type=x.*"
    pages = 0
    while path:
        with CaptureQueriesContext(connections["default"]) as queries:
            page = at_the_admin.get(path)
        assert len(queries) < 32  # however many events there are
        assert not any("COUNT(*)" in query["sql"] and "accounts_event" in query["sql"] for query in queries)
        positions += [line.event.seal.position for line in page.context["lines"]]
        pages += 1
        path = f"{LOG}{page.context['older']}" if page.context["older"] else ""
    assert pages == 3
    assert len(positions) == len(set(positions)) == 120
    assert positions == sorted(positions, reverse=True)


def test_subjects_lead_to_their_pages(at_the_admin: Client, ada: Person) -> None:
    at_the_admin.post("/admin/accounts/role/add/", {"key": "editor", "name": "Editors"})
    page = at_the_admin.get(LOG, {"type": "role.created"}).content.decode()
    link = re.search(r'href="(/admin/accounts/role/\d+/change/)"', page)
    assert link
    assert at_the_admin.get(link[1]).status_code == 200
    assert "subject=role%3Aeditor" in page
    assert f"actor={ada.user.pk}" in page


def test_one_event_shows_its_seal_and_whether_it_verifies(at_the_admin: Client) -> None:
    event = write("x.one")
    seal_pending()
    page = text(at_the_admin.get(f"{LOG}{event.pk}/change/"))
    seal = Event.objects.sealed().get(pk=event.pk).seal
    assert "It verifies." in page
    assert seal.mac in page
    assert seal.key_id in page
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_event DISABLE TRIGGER USER")
        cursor.execute("UPDATE accounts_event SET actor_label = 'nobody' WHERE id = %s", [event.pk])
        cursor.execute("ALTER TABLE accounts_event ENABLE TRIGGER USER")
    assert "It does not verify." in text(at_the_admin.get(f"{LOG}{event.pk}/change/"))
    for nothing in (uuid4(), "nothing"):
        assert at_the_admin.get(f"{LOG}{nothing}/change/").status_code == 404


def test_stored_text_is_shown_as_text(at_the_admin: Client) -> None:
    with transaction.atomic():
        event = record(
            "x.one",
            actor=Principal("user", label="<script>alert(1)</script>"),
            subject=Subject("thing", "<img src=x>"),
            detail={"<b>": "<script>alert(2)</script>"},
        )
    for path in (LOG, f"{LOG}{event.pk}/change/"):
        seal_pending()
        page = at_the_admin.get(path).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x>" not in page


def test_a_forged_row_in_the_log_hides_no_other_one(at_the_admin: Client) -> None:
    """Whoever writes one by SQL, with a seal, must not make the page fail for those who audit."""
    with transaction.atomic():
        record("x.before", actor=Principal("user", label="m"), subject=Subject("thing", "1"))
    seal_pending()
    for number, (kind, detail) in enumerate((("collection", "{}"), ("thing", '[1, "x"]'), ("thing", '"x"'))):
        forged = uuid4()
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO accounts_event (id, type, at, actor_kind, actor_label, credential, subject_type,"
                " subject_id, locale, request_id, address, detail, tag)"
                " VALUES (%s, 'x.forged', now(), 'user', 'm', '', %s, 'x', '', '', '', %s, 'x')",
                [forged, kind, detail],
            )
            cursor.execute(
                "INSERT INTO accounts_seal (position, event_id, mac, key_id, sealed_at) VALUES (%s, %s, 'x', 'x', now())",
                [1000 + number, forged],
            )
        assert at_the_admin.get(f"{LOG}{forged}/change/").status_code == 200
    shown = at_the_admin.get(LOG)
    assert shown.status_code == 200
    assert "x.before" in text(shown)


def test_the_badge_says_when_the_log_was_proved(at_the_admin: Client) -> None:
    assert "Not verified yet." in text(at_the_admin.get(LOG))
    seal_pending()
    results.keep(verifying.verify(), by="schedule")
    page = text(at_the_admin.get(LOG))
    assert "The log is intact." in page
    assert f"{Event.objects.sealed().count()} seals" in page


def test_looking_at_the_log_verifies_nothing(at_the_admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "verify", lambda *_, **__: pytest.fail("not on a page view"))
    assert at_the_admin.get(LOG).status_code == 200


def test_the_badge_names_the_position_of_a_finding(at_the_admin: Client) -> None:
    event = write("x.one")
    seal_pending()
    position = Event.objects.sealed().get(pk=event.pk).seal.position
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_event DISABLE TRIGGER USER")
        cursor.execute("UPDATE accounts_event SET type = 'x.two' WHERE id = %s", [event.pk])
        cursor.execute("ALTER TABLE accounts_event ENABLE TRIGGER USER")
    results.keep(verifying.verify(), by="schedule")
    page = text(at_the_admin.get(LOG))
    assert "The log is not intact." in page
    assert f"Position {position}, altered" in page


def test_a_badge_that_somebody_wrote_by_sql_is_not_believed(at_the_admin: Client) -> None:
    results.keep(verifying.verify(), by="schedule")
    with connections["default"].cursor() as cursor:  # the application's own role may insert
        cursor.execute(
            "INSERT INTO accounts_logcheck (at, by, is_intact, result, key_id, mac)"
            " SELECT now(), by, true, result, key_id, mac FROM accounts_logcheck"
        )
    assert "was not written by Quillkeep" in text(at_the_admin.get(LOG))


def test_an_intact_log_is_no_event_and_a_wounded_one_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    event = write("x.one")
    seal_pending()
    results.keep(verifying.verify(), by="schedule")
    results.keep(verifying.verify(), by="schedule")
    assert Event.objects.count() == 1
    assert LogCheck.objects.count() == 2
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_event DISABLE TRIGGER USER")
        cursor.execute("UPDATE accounts_event SET type = 'x.two' WHERE id = %s", [event.pk])
        cursor.execute("ALTER TABLE accounts_event ENABLE TRIGGER USER")
    for _ in range(3):
        results.keep(verifying.verify(), by="schedule")
    told = Event.objects.get(type="log.verification-failed")
    assert (told.actor_kind, told.detail["position"]) == ("system", 1)
    critical = [line for line in caplog.records if line.levelname == "CRITICAL"]
    assert len(critical) == 3
    assert "altered at 1" in critical[0].getMessage()


def test_the_schedule_verifies_and_keeps_what_it_found() -> None:
    from accounts import tasks

    write("x.one")
    seal_pending()
    tasks.verify_log()
    badge = results.newest()
    assert badge
    assert (badge.is_good, badge.by, badge.result["checked"]) == (True, "schedule", 1)
    assert not badge.is_stale
    LogCheck.objects.filter(pk=0).delete()
    assert json.dumps(badge.result)
    assert badge.at > timezone.now() - timedelta(minutes=1)
