"""Endpoints in the admin: who may, the form, secrets that are shown once, how each is doing, and what can be done."""

import re
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from standardwebhooks import Webhook

from accounts.access import Area
from accounts.models import Event, Session
from accounts.rights import granting
from cms_project import lockdown
from content.schema import current
from tests.accounts.cast import Person, make_person
from tests.builders import ROOT, make_collection, make_role, make_user
from tests.content.admin.conftest import sign_in
from tests.security.world import Unchanged, text_of
from tests.webhooks.world import Receiver, make_attempt, make_delivery, make_endpoint, work
from webhooks import endpoints
from webhooks.models import Delivery, Endpoint, EndpointSecret

pytestmark = pytest.mark.django_db
ENDPOINTS: Final = "/admin/webhooks/endpoint/"
SECRET: Final = re.compile(r"whsec_[A-Za-z0-9+/=]{20,}")
URL: Final = "https://www.example.com/hook"


def form(person: Person, **values: Any) -> dict[str, Any]:
    return {
        "name": "Website",
        "url": URL,
        "types": ["entry.*", "collection.changed"],
        "about": "every",
        "owner": str(person.user.pk),
        "algorithm": "v1",
        **values,
    }


def words(answer: Any) -> str:
    return text_of(answer)


def page_of(endpoint: Endpoint) -> str:
    return f"{ENDPOINTS}{endpoint.pk}/change/"


def shown(browser: Client, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, path
    return str(answer.content.decode())


def act(browser: Client, endpoint: Endpoint, name: str, **data: Any) -> Any:
    path = f"{ENDPOINTS}{endpoint.pk}/do/{name}/"
    assert browser.get(path).status_code == 200
    return browser.post(path, data)


def make_keeper() -> Person:
    """Make somebody who administers webhooks, and reads nothing."""
    granting.add_role("keeper", "Keeper", areas=(Area.WEBHOOKS,), by=ROOT)
    return make_person("kim@example.com", roles=["keeper"], with_authenticator=True)


# Who may


def test_only_who_administers_webhooks_comes_here(ada: Client, person: Person, endpoint: Endpoint) -> None:
    make_role("editor", {"actions": ("read", "read_draft", "update", "publish")})
    edith = sign_in(make_person("edith@example.com", roles=["editor"], with_authenticator=True))
    kim = sign_in(make_keeper())
    at = f"{ENDPOINTS}{endpoint.pk}/"
    for path in (
        ENDPOINTS,
        f"{ENDPOINTS}add/",
        f"{at}change/",
        f"{at}do/remove/",
        "/admin/webhooks/delivery/",
    ):
        assert edith.get(path).status_code == 403, path
        assert Client().get(path).status_code == 302, path
        for browser in (ada, kim):
            assert browser.get(path).status_code == 200, path
    with Unchanged():
        for name in ("test", "rotate-secret", "disable", "remove", "check", "pause", "recover"):
            assert edith.post(f"{at}do/{name}/", {"overlap_hours": "1"}).status_code == 403
        assert edith.post(f"{ENDPOINTS}add/", form(person)).status_code == 403
    assert "Endpoints" not in shown(edith, "/admin/")
    assert "Endpoints" in shown(ada, "/admin/")


def test_what_is_not_there_is_missing(ada: Client, endpoint: Endpoint) -> None:
    for path in (f"{ENDPOINTS}{uuid4()}/do/test/", f"{ENDPOINTS}{endpoint.pk}/do/explode/"):
        assert ada.get(path).status_code == 404
        assert ada.post(path).status_code == 404
    assert ada.get(f"{ENDPOINTS}nothing/change/").status_code == 302  # Django's word for "there is none"


def test_a_dangerous_act_asks_for_the_second_factor_and_loses_nothing(
    ada: Client, person: Person, endpoint: Endpoint
) -> None:
    Session.objects.update(verified_at=timezone.now() - timedelta(minutes=11))
    with Unchanged(but=("django_session",)):
        for path, data in (
            (f"{ENDPOINTS}add/", form(person)),
            (page_of(endpoint), form(person)),
            (f"{ENDPOINTS}{endpoint.pk}/do/rotate-secret/", {"overlap_hours": "24"}),
            (f"{ENDPOINTS}{endpoint.pk}/do/remove/", {}),
        ):
            answer = ada.post(path, data)
            assert answer.status_code == 403, path
            assert "Confirm that it’s you" in answer.content.decode(), path
            assert not SECRET.search(answer.content.decode())
    assert "collection.changed" in ada.post(f"{ENDPOINTS}add/", form(person)).content.decode()


def test_a_lockdown_stops_every_act(ada: Client, person: Person, endpoint: Endpoint) -> None:
    lockdown.begin(reason="A leak", by=ROOT, keep_sessions=True)
    for name in ("test", "pause", "rotate-secret", "remove"):
        assert ada.post(f"{ENDPOINTS}{endpoint.pk}/do/{name}/", {"overlap_hours": "1"}).status_code == 423
    assert ada.post(f"{ENDPOINTS}add/", form(person)).status_code == 423
    page = shown(ada, page_of(endpoint))
    assert "/do/" not in page
    assert 'name="url"' not in page


# Setting up


def test_an_endpoint_is_set_up_and_its_secret_is_shown_once(
    ada: Client, person: Person, receiver: Receiver
) -> None:
    make_collection("articles", [{"key": "title", "type": "text"}])
    answer = ada.post(f"{ENDPOINTS}add/", form(person, url=receiver.url))
    assert answer.status_code == 200, words(answer)
    page = answer.content.decode()
    endpoint = Endpoint.objects.get(name="Website")
    (secret,) = set(SECRET.findall(page))
    assert f"WEBHOOK_SECRET={secret}" in page
    assert "standardwebhooks" in page
    assert "no-store" in answer.headers["Cache-Control"]
    assert (endpoint.owner_id, endpoint.types, endpoint.collection_ids) == (
        person.user.pk,
        ["entry.*", "collection.changed"],
        [],
    )
    for path in (ENDPOINTS, page_of(endpoint), "/admin/accounts/event/"):
        assert not SECRET.search(shown(ada, path)), path
    assert secret not in str(list(Event.objects.values_list("detail", flat=True)))
    answer = act(ada, endpoint, "test")
    assert answer.status_code == 302
    work()
    told = [Webhook(secret).verify(asked.body, asked.headers) for asked in receiver.asked]
    assert "webhook.test" in {event["type"] for event in told}
    assert "It arrived, with 1 attempt." in shown(ada, answer["Location"])


def test_a_public_key_may_be_looked_at_again(ada: Client, person: Person) -> None:
    page = ada.post(f"{ENDPOINTS}add/", form(person, algorithm="v1a")).content.decode()
    endpoint = Endpoint.objects.get()
    key = endpoint.secrets.get().public
    assert f"WEBHOOK_PUBLIC_KEY={key.replace('+', '+')}" in page
    assert "Ed25519PublicKey" in page
    assert key in shown(ada, page_of(endpoint))


def test_another_algorithm_brings_a_secret_that_is_shown_once(
    ada: Client, person: Person, endpoint: Endpoint
) -> None:
    typed = form(person, name=endpoint.name, types=["entry.*"], algorithm="v1a")
    answer = ada.post(page_of(endpoint), typed)
    assert answer.status_code == 200
    assert "WEBHOOK_PUBLIC_KEY=whpk_" in answer.content.decode()
    assert "signature of the former secret too" in answer.content.decode()
    assert "signs too until" in shown(ada, page_of(endpoint))


def test_what_is_wrong_stands_at_its_input_and_nothing_typed_is_lost(ada: Client, person: Person) -> None:
    make_collection("articles", [{"key": "title", "type": "text"}])
    with Unchanged(but=("django_session",)):
        answer = ada.post(f"{ENDPOINTS}add/", form(person, url="ftp://files.example.com/in", about="these"))
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "Tick at least one, or take every collection." in page
    assert 'value="ftp://files.example.com/in"' in page
    assert re.search(r'value="entry\.\*"[^>]* checked', page)
    with Unchanged(but=("django_session",)):
        page = ada.post(f"{ENDPOINTS}add/", form(person, url="ftp://files.example.com/in")).content.decode()
    assert re.search(r'form-row errors field-url.*?class="errorlist"', page, re.DOTALL)
    page = ada.post(f"{ENDPOINTS}add/", form(person, types=[])).content.decode()
    assert "Tick at least one." in page
    page = ada.post(f"{ENDPOINTS}add/", form(person, owner=str(uuid4()))).content.decode()
    assert re.search(r'form-row errors field-owner.*?class="errorlist"', page, re.DOTALL)
    assert not Endpoint.objects.exists()


def test_saving_without_a_change_notes_nothing(ada: Client, person: Person, endpoint: Endpoint) -> None:
    typed = form(person, name=endpoint.name, types=["entry.*"])
    with Unchanged(but=("django_session",)):
        assert ada.post(page_of(endpoint), typed).status_code == 302
    assert ada.post(page_of(endpoint), typed | {"name": "Renamed"}).status_code == 302
    event = Event.objects.filter(type="endpoint.updated").get()
    assert event.detail["changed"] == ["name"]


def test_it_is_narrowed_to_collections_that_the_viewer_sees(person: Person) -> None:
    for key in ("articles", "vault"):
        make_collection(key, [{"key": "title", "type": "text"}], name=key.title())
    granting.add_role("hooks", "Hooks", areas=(Area.WEBHOOKS,), by=ROOT)
    make_role("hooks", {"collection": "articles", "actions": ("read",)})
    kim = make_person("kim@example.com", roles=["hooks"], with_authenticator=True)
    browser = sign_in(kim)
    page = shown(browser, f"{ENDPOINTS}add/")
    ids = {item.key: item.id for item in current().collections}
    assert str(ids["articles"]) in page
    assert str(ids["vault"]) not in page
    assert "vault" not in page.lower()
    hidden = form(kim, about="these", collections=[str(ids["vault"])])
    nothing = form(kim, about="these", collections=[str(uuid4())])
    pages = [browser.post(f"{ENDPOINTS}add/", data).content.decode() for data in (hidden, nothing)]
    assert all("Select a valid choice" in page for page in pages)
    answer = browser.post(f"{ENDPOINTS}add/", form(kim, about="these", collections=[str(ids["articles"])]))
    assert answer.status_code == 200
    assert Endpoint.objects.get().collection_ids == [ids["articles"]]


def test_collections_that_the_viewer_cant_see_stay_as_they_are(person: Person) -> None:
    for key in ("articles", "vault"):
        make_collection(key, [{"key": "title", "type": "text"}])
    ids = {item.key: item.id for item in current().collections}
    granting.add_role("hooks", "Hooks", areas=(Area.WEBHOOKS,), by=ROOT)
    make_role("hooks", {"collection": "articles", "actions": ("read",)})
    kim = make_person("kim@example.com", roles=["hooks"], with_authenticator=True)
    made = make_endpoint(URL, owner=kim.user, collection_ids=[ids["vault"]]).endpoint
    browser = sign_in(kim)
    assert str(ids["vault"]) not in shown(browser, page_of(made))
    typed = form(kim, name="Renamed", types=["entry.*"], about="these")
    assert browser.post(page_of(made), typed).status_code == 302
    made.refresh_from_db()
    assert (made.name, made.collection_ids) == ("Renamed", [ids["vault"]])


def test_nobody_lets_it_listen_as_somebody_who_is_more_than_they_are(
    person: Person, endpoint: Endpoint
) -> None:
    kim = make_keeper()
    granting.add_role("auditor", "Auditor", areas=(Area.AUDIT,), by=ROOT)
    audrey = make_user("audrey@example.com", roles=("auditor",))
    other = make_user("other-keeper@example.com", roles=("keeper",))
    assert {user.pk for user in endpoints.possible_owners(kim.principal)} == {kim.user.pk, other.pk}
    browser = sign_in(kim)
    page = shown(browser, f"{ENDPOINTS}add/")
    assert "other-keeper@example.com" in page
    assert "audrey@example.com" not in page
    with Unchanged(but=("django_session",)):
        for owner in (audrey, person.user):
            answer = browser.post(f"{ENDPOINTS}add/", form(kim, owner=str(owner.pk)))
            assert "Select a valid choice" in answer.content.decode()
        typed = form(kim, name="Taken over", url="https://evil.example/", owner=str(person.user.pk))
        assert browser.post(page_of(endpoint), typed).status_code == 200


def test_every_type_has_an_example(ada: Client) -> None:
    make_collection("recipes", [{"key": "title", "type": "text"}])
    page = shown(ada, f"{ENDPOINTS}add/")
    for name in ("entry.published", "collection.changed", "backup.failed", "security.alert", "webhook.test"):
        assert f'data-type="{name}"' in page
    assert "&quot;collection&quot;: &quot;recipes&quot;" in page


# How each is doing


def test_the_list_tells_how_each_is_doing_in_a_fixed_number_of_queries(
    ada: Client, endpoint: Endpoint, person: Person
) -> None:
    make_attempt(make_delivery(endpoint), is_success=True, error="", status=204, milliseconds=20)
    make_attempt(make_delivery(endpoint), status=500, error="")
    make_delivery(endpoint, state="waiting")
    Endpoint.objects.update(failing_since=timezone.now())
    page = words(ada.get(ENDPOINTS))
    for said in ("Failing", "www.example.com", "50.0%", "1 succeeded, 1 failed in 24 hours", "500"):
        assert said in page, said
    ada.get(ENDPOINTS)
    with CaptureQueriesContext(connection) as few:
        ada.get(ENDPOINTS)
    for number in range(8):
        other = make_endpoint(URL, name=f"Hook {number}", owner=person.user).endpoint
        make_attempt(make_delivery(other))
    with CaptureQueriesContext(connection) as many:
        ada.get(ENDPOINTS)
    assert len(many) == len(few)


def test_endpoints_are_found_by_name_address_and_state(
    ada: Client, endpoint: Endpoint, person: Person
) -> None:
    other = make_endpoint("https://search.example.org/in", name="Search index", owner=person.user).endpoint
    endpoints.pause(other, by=ROOT)
    for query, found in (
        ("q=search", {other}), ("q=example.com", {endpoint}), ("state=paused", {other}), ("state=active", {endpoint}),
        ("state=failing", set()), ("", {endpoint, other}),
    ):  # fmt: skip
        page = shown(ada, f"{ENDPOINTS}?{query}")
        assert {row for row in (endpoint, other) if str(row.pk) in page} == found, query


def test_the_page_shows_the_last_day_and_the_last_deliveries(ada: Client, endpoint: Endpoint) -> None:
    now = timezone.now()
    for hours in (0, 3):
        make_attempt(make_delivery(endpoint), at=now - timedelta(hours=hours), is_success=True, error="", status=200,
                     milliseconds=240)  # fmt: skip
    make_attempt(make_delivery(endpoint, state="waiting", next_attempt_at=now + timedelta(minutes=31)))
    page = shown(ada, page_of(endpoint))
    words = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    for said in ("66.7%", "240 ms", "next in 31 minutes", "no answer", "Tries again", "Delivered"):
        assert said in words, said
    assert page.count('class="qk-hook-up"') == 2
    assert page.count('class="qk-hook-down"') == 1
    assert "style=" not in page.partition('id="content"')[2]


def test_an_endpoint_that_was_sent_nothing_says_what_to_do(ada: Client, endpoint: Endpoint) -> None:
    assert "Send a test" in shown(ada, page_of(endpoint))
    Endpoint.objects.all().delete()
    assert "No endpoint yet." in shown(ada, ENDPOINTS)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "Nobody has looked yet"),
        ({"running_since": "now"}, "It is being checked."),
        ({"running_since": "2020-01-01T00:00:00Z"}, "came to no end"),
        ({"at": "2026-01-02T03:04:05Z", "passed": True, "checks": []}, "It checks"),
        (
            {"at": "x", "passed": False, "checks": [{"name": "old", "title": "Ten minutes old", "expected": "refused",
                                                     "status": 204, "passed": False, "advice": "Refuse it."}]},
            "1 of 1 not as they should be",
        ),
        ({"at": 7, "checks": "none"}, "0 of 0"),
        (["what"], "Nobody has looked yet"),
    ],
)  # fmt: skip
def test_what_the_last_check_found_is_told(ada: Client, endpoint: Endpoint, found: Any, words: str) -> None:
    if isinstance(found, dict) and found.get("running_since") == "now":
        found = {"running_since": timezone.now().isoformat()}
    Endpoint.objects.update(conformance=found)
    assert words in text_of_whole(ada, endpoint)


def text_of_whole(browser: Client, endpoint: Endpoint) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", shown(browser, page_of(endpoint))).split())


# What can be done


def test_a_secret_is_rotated_and_the_overlap_ended(ada: Client, endpoint: Endpoint) -> None:
    asks = f"{ENDPOINTS}{endpoint.pk}/do/rotate-secret/"
    assert "Two secrets sign already" not in shown(ada, asks)
    answer = act(ada, endpoint, "rotate-secret", overlap_hours="48")
    assert "Two secrets sign already" in shown(ada, asks)
    (secret,) = set(SECRET.findall(answer.content.decode()))
    assert secret
    assert endpoint.secrets.filter(state="retiring").count() == 1
    assert "signs too until" in text_of_whole(ada, endpoint)
    assert act(ada, endpoint, "end-overlap").status_code == 302
    assert not endpoint.secrets.filter(state=EndpointSecret.State.RETIRING).exists()
    assert "can’t be done" in shown(ada, f"{ENDPOINTS}{endpoint.pk}/do/end-overlap/")
    with Unchanged(but=("django_session",)):
        page = act(ada, endpoint, "rotate-secret", overlap_hours="721").content.decode()
        assert "Nothing was done yet" in page


def test_it_is_paused_switched_on_off_and_removed(ada: Client, endpoint: Endpoint) -> None:
    make_delivery(endpoint, state="waiting")
    page = shown(ada, f"{ENDPOINTS}{endpoint.pk}/do/disable/")
    assert "1 delivery waits now and is dropped." in page
    for name, state in (
        ("pause", "paused"),
        ("enable", "active"),
        ("disable", "disabled"),
        ("enable", "active"),
    ):
        assert act(ada, endpoint, name).status_code == 302
        endpoint.refresh_from_db()
        assert endpoint.state == state
    assert act(ada, endpoint, "remove").status_code == 302
    assert not Endpoint.objects.exists()
    assert Event.objects.filter(type="endpoint.deleted").exists()


def test_a_recovery_says_how_much_it_is_about_before(ada: Client, endpoint: Endpoint) -> None:
    make_collection("articles", [{"key": "title", "type": "text"}])
    path = f"{ENDPOINTS}{endpoint.pk}/do/recover/"
    assert "Nothing that it hears of has happened" in shown(ada, path)
    Event.objects.bulk_create(
        Event(type="entry.published", at=timezone.now(), actor_kind="system", actor_label="test", subject_type="entry",
              subject_id=str(uuid4()), detail={}) for _ in range(3)
    )  # fmt: skip
    assert "At most 3 events" in shown(ada, path)
    since = f"{timezone.now() - timedelta(days=2):%Y-%m-%dT%H:%M}"
    with Unchanged(but=("django_session",)):
        assert "At most 3 events" in ada.post(path, {"since": since, "_count": "1"}).content.decode()
        assert "last 30 days" in ada.post(path, {"since": "2020-01-01T00:00"}).content.decode()
        assert "Nothing was done yet" in ada.post(path, {"since": "yesterday"}).content.decode()
    assert ada.post(path, {"since": since}).status_code == 302
    endpoint.refresh_from_db()
    assert endpoint.recovers_to is not None


def test_a_test_goes_out_while_it_is_paused(ada: Client, endpoint: Endpoint, receiver: Receiver) -> None:
    Endpoint.objects.update(url=receiver.url, state="paused")
    answer = act(ada, endpoint, "test")
    delivery = Delivery.objects.get()
    assert answer["Location"].endswith(f"/delivery/{delivery.pk}/change/")
    page = shown(ada, answer["Location"])
    assert "data-qk-live" in page
    assert "Look again" in page
    receiver.statuses[:] = [500]
    work()
    page = shown(ada, answer["Location"])
    assert "It was given up after 1 attempt. The last answer: 500." in page
    assert "data-qk-live" not in page


def test_the_log_leads_to_the_endpoint(ada: Client, endpoint: Endpoint) -> None:
    page = shown(ada, f"/admin/accounts/event/?subject={endpoint.pk}")
    assert page_of(endpoint) in page
    assert "set up a webhook endpoint" in page
