"""Alerts in the admin and by API: open ones first, acknowledged with a note by those who look after the log, nobody else."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.access import Area
from accounts.models import Alert, Event, Severity
from tests.accounts.cast import Api, Person, make_key, make_person, make_role
from tests.builders import make_alert
from tests.content.admin.conftest import sign_in

pytestmark = pytest.mark.django_db

PAGE = "/admin/accounts/alert/"


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer.status_code
    return str(answer.content.decode())


@pytest.fixture
def as_ada_in_admin(ada: Person) -> Client:
    return sign_in(ada)


def test_open_ones_stand_first_the_most_severe_on_top(as_ada_in_admin: Client) -> None:
    make_alert(sentence="A notice.", severity=Severity.NOTICE)
    make_alert(sentence="A critical one.", severity=Severity.CRITICAL)
    make_alert(
        sentence="A former one.",
        severity=Severity.CRITICAL,
        acknowledged_at=timezone.now(),
        note="It was Rita",
    )
    shown = text(as_ada_in_admin.get(PAGE))
    assert shown.index("A critical one.") < shown.index("A notice.")
    assert "A former one." not in shown
    assert "What to do:" in shown
    shown = text(as_ada_in_admin.get(PAGE, {"state": "all"}))
    assert shown.index("A notice.") < shown.index("A former one.")
    assert "It was Rita" in shown
    assert "A notice." not in text(as_ada_in_admin.get(PAGE, {"severity": "critical"}))
    assert "No alert is like that" in text(as_ada_in_admin.get(PAGE, {"rule": "mass-read"}))


def test_a_strange_address_shows_the_open_ones(as_ada_in_admin: Client) -> None:
    for query in (
        "state=x",
        "severity=9",
        "rule=%00",
        "x=1",
        "p=x",
        "p=-1",
        "state=open&state=all",
        "note__startswith=a",
    ):
        answer = as_ada_in_admin.get(f"{PAGE}?{query}")
        assert (answer.status_code, answer["Location"]) == (302, f"{PAGE}?e=1"), query
    assert "could not be understood" in text(as_ada_in_admin.get(f"{PAGE}?e=1"))
    assert as_ada_in_admin.get(f"{PAGE}?p=999999").status_code == 200


def test_the_sidebar_and_the_home_page_count_the_open_ones(as_ada_in_admin: Client) -> None:
    shown = text(as_ada_in_admin.get("/admin/"))
    assert "Alerts</a>" in shown
    assert "open alerts</span>" not in shown
    make_alert(severity=Severity.CRITICAL)
    make_alert()
    shown = text(as_ada_in_admin.get("/admin/"))
    assert 'class="qk-pill qk-changed">2<span class="visually-hidden"> open alerts</span></a>' in shown
    assert "2 alerts are open: 1 critical, 1 warning." in shown


def test_many_are_acknowledged_at_once_with_one_note(as_ada_in_admin: Client, ada: Person) -> None:
    first, second, third = make_alert(), make_alert(), make_alert()
    body = {"alert": [str(first.pk), str(second.pk), "nonsense"], "note": "A drill"}
    shown = text(as_ada_in_admin.post(PAGE, body, follow=True))
    assert "2 acknowledged." in shown
    assert "Something happened." in shown
    for alert in (first, second):
        alert.refresh_from_db()
        assert (alert.is_open, alert.note, alert.acknowledged_by) == (False, "A drill", ada.user)
    third.refresh_from_db()
    assert third.is_open
    events = Event.objects.filter(type="alert.acknowledged")
    assert {(event.actor_id, event.subject_id) for event in events} == {
        (ada.user.pk, str(first.pk)),
        (ada.user.pk, str(second.pk)),
    }
    assert "Tick the alerts" in text(as_ada_in_admin.post(PAGE, {"note": "x"}, follow=True))


def test_one_is_acknowledged_and_opened_again_on_its_page(as_ada_in_admin: Client) -> None:
    alert = make_alert(count=40, positions=[])
    page = f"{PAGE}{alert.pk}/change/"
    assert "its archives have them" in text(as_ada_in_admin.get(page))
    assert as_ada_in_admin.post(page, {"note": "Seen"})["Location"] == PAGE
    assert "acknowledged this alert already" in text(
        as_ada_in_admin.post(page, {"note": "Again"}, follow=True)
    )
    assert "Seen" in text(as_ada_in_admin.get(page))
    as_ada_in_admin.post(page, {"reopen": "1"})
    alert.refresh_from_db()
    assert alert.is_open
    assert Event.objects.filter(type="alert.reopened").count() == 1
    assert "At most 500" in text(as_ada_in_admin.post(page, {"note": "x" * 501}, follow=True))


def test_the_events_behind_an_alert_lead_into_the_log(as_ada_in_admin: Client, ada: Person) -> None:
    as_ada_in_admin.get("/admin/accounts/event/")  # seals
    event = Event.objects.filter(seal__isnull=False).order_by("-at")[0]
    alert = make_alert(
        positions=[event.seal.position],
        subject_type="user",
        subject_id=str(ada.user.pk),
        actor_id=ada.user.pk,
        actor_label="ada@example.com",
        address="185.220.101.1",
    )
    shown = text(as_ada_in_admin.get(f"{PAGE}{alert.pk}/change/"))
    assert f'href="/admin/accounts/event/{event.pk}/change/"' in shown
    assert shown.count(f'href="/admin/accounts/user/{ada.user.pk}/change/"') == 2
    assert "185.220.101.1 (DE)" in shown


def test_a_hundred_alerts_cost_as_many_queries_as_one(as_ada_in_admin: Client) -> None:
    counts = []
    as_ada_in_admin.get(PAGE)  # what a process looks up once
    for number in (1, 30):
        for _ in range(number):
            make_alert(actor_id=None)
        with CaptureQueriesContext(connection) as caught:
            assert as_ada_in_admin.get(PAGE).status_code == 200
        counts.append(len(caught))
    assert counts[0] == counts[1]


def test_who_does_not_look_after_the_log_sees_and_changes_nothing(rita: Person) -> None:
    alert = make_alert()
    make_role("writer")
    walter = sign_in(make_person("walter@example.com", roles=["writer"]))
    for browser, status in ((walter, 403), (Client(), 302)):
        for path in (PAGE, f"{PAGE}{alert.pk}/change/", f"{PAGE}{alert.pk}/history/"):
            assert browser.get(path).status_code == status
        assert browser.post(PAGE, {"alert": str(alert.pk)}).status_code == status
        assert browser.post(f"{PAGE}{alert.pk}/change/", {"note": "x"}).status_code == status
    assert "accounts/alert" not in text(walter.get("/admin/"))
    alert.refresh_from_db()
    assert alert.is_open
    assert not Event.objects.filter(type__startswith="alert.").exists()


# --- By API


def test_alerts_are_listed_filtered_and_read(as_ada: Api) -> None:
    first = make_alert(
        severity=Severity.CRITICAL, rule="log-broken", subject_type="log", subject_id="log", positions=[]
    )
    second = make_alert(acknowledged_at=timezone.now())
    ids = [row["id"] for row in as_ada.get("manage/alerts").json()["data"]]
    assert ids == sorted([str(first.pk), str(second.pk)], reverse=True)
    for query, found in (
        ("state=open", first),
        ("state=acknowledged", second),
        ("severity=critical", first),
        ("rule=test", second),
    ):
        assert [row["id"] for row in as_ada.get(f"manage/alerts?{query}").json()["data"]] == [
            str(found.pk)
        ], query
    one = as_ada.get(f"manage/alerts/{first.pk}").json()
    assert (one["title"], one["severity"], one["events"]) == ("The log is not intact", "critical", [])
    page = as_ada.get("manage/alerts?limit=1").json()
    rest = as_ada.get(f"manage/alerts?limit=1&cursor={page['meta']['next_cursor']}").json()
    assert [row["id"] for row in (*page["data"], *rest["data"])] == ids
    for query in ("state=x", "severity=9", "rule=nope", "x=1", "state=open&state=open", "rule=%00"):
        assert as_ada.get(f"manage/alerts?{query}").status_code == 400, query


def test_an_alert_is_acknowledged_once(as_ada: Api, ada: Person) -> None:
    alert = make_alert()
    answer = as_ada.post(f"manage/alerts/{alert.pk}/acknowledge", {"note": "Seen"})
    assert (answer.status_code, answer.json()["note"], answer.json()["acknowledged_by"]) == (
        200,
        "Seen",
        str(ada.user.pk),
    )
    assert as_ada.post(f"manage/alerts/{alert.pk}/acknowledge").status_code == 409
    assert as_ada.post("manage/alerts/0190aaaa-0000-7000-8000-000000000000/acknowledge").status_code == 404
    other = make_alert()
    bodies: tuple[object, ...] = ({"note": 7}, {"note": "x" * 501}, {"x": 1}, {"note": "a\x00"}, [])
    for body in bodies:
        assert as_ada.post(f"manage/alerts/{other.pk}/acknowledge", body).status_code == 400, body
    other.refresh_from_db()
    assert other.is_open


def test_by_api_it_needs_the_area_of_the_log(as_rita: Api, anonymous: Api, ada: Person) -> None:
    alert = make_alert()
    _, without = make_key(ada.user, areas=[Area.USERS])
    _, with_it = make_key(ada.user, areas=[Area.AUDIT])
    calls = [
        ("GET", "manage/alerts"),
        ("GET", f"manage/alerts/{alert.pk}"),
        ("POST", f"manage/alerts/{alert.pk}/acknowledge"),
    ]
    for method, path in calls:
        body: dict[str, str] | None = {} if method == "POST" else None
        assert anonymous.send(method, path, body).status_code == 401
        assert as_rita.send(method, path, body).status_code == 403
        assert Api(Client(), without).send(method, path, body).status_code == 403
        alert.refresh_from_db()
        assert alert.is_open
        assert Api(Client(), with_it).send(method, path, body).status_code == 200
    assert Alert.objects.acknowledged().count() == 1
