"""Endpoints and deliveries through the API: what it takes, what it refuses and where, and that secrets leave once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.access import Action, Area, Principal, Scopes
from accounts.errors import LockedDownError, NotAllowedError
from accounts.models import Event, User
from accounts.rights import granting
from tests.builders import ROOT, Api, anonymous, make_collection, make_entry, make_key, make_role, make_user
from tests.webhooks.world import FIELDS, Receiver, make_delivery, make_endpoint, told, work
from webhooks import asking, conformance, endpoints
from webhooks.models import Delivery, Endpoint, EndpointSecret
from webhooks.tasks import check_soon

pytestmark = pytest.mark.django_db
ENDPOINTS = "/api/v1/manage/webhooks/endpoints"
DELIVERIES = "/api/v1/manage/webhooks/deliveries"
GOOD = {"name": "Site", "url": "https://hooks.example.com/in", "types": ["entry.*"]}


@pytest.fixture
def ada() -> Api:
    return make_key(role="administrator")


def pointers(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.content
    return [item["pointer"] for item in answer.json()["errors"]]


def test_an_endpoint_is_made_and_its_secret_is_shown_once(ada: Api) -> None:
    made = ada.post(ENDPOINTS, GOOD)
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    for path in (ENDPOINTS, f"{ENDPOINTS}/{made.json()['id']}"):
        assert secret not in ada.get(path).content.decode()
    assert secret not in EndpointSecret.objects.get().private
    assert not Event.objects.filter(detail__icontains=secret).exists()
    assert told("endpoint.created")[0]["host"] == "hooks.example.com"


def test_an_endpoint_with_a_public_key_has_nothing_to_hide(ada: Api) -> None:
    made = ada.post(ENDPOINTS, GOOD | {"algorithm": "v1a"}).json()
    assert made["public_key"].startswith("whpk_")
    assert "secret" not in made
    (secret,) = ada.get(f"{ENDPOINTS}/{made['id']}").json()["secrets"]
    assert (secret["state"], secret["public_key"]) == ("active", made["public_key"])


def test_an_endpoint_tells_until_when_its_former_secret_signs(ada: Api) -> None:
    made = ada.post(ENDPOINTS, GOOD).json()
    at = f"{ENDPOINTS}/{made['id']}"
    new = ada.post(f"{at}/rotate-secret", {"overlap_hours": 1}).json()
    answer = ada.get(at)
    active, retiring = answer.json()["secrets"]
    assert (active["state"], active["retires_at"], active["public_key"]) == ("active", None, None)
    assert (retiring["state"], retiring["retires_at"] is not None) == ("retiring", True)
    assert made["secret"] not in answer.content.decode()
    assert new["secret"] not in answer.content.decode()


@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("name", " ", "/name"),
        ("name", "x" * 101, "/name"),
        ("name", "Bell\x07", "/name"),
        ("types", [], "/types"),
        ("types", ["entry.*", "entry.exploded"], "/types/1"),
        ("types", ["*"], "/types/0"),
        ("types", "entry.*", "/types"),
        ("collections", ["articles", "nowhere"], "/collections/1"),
        ("owner", "01890000-0000-7000-8000-000000000000", "/owner"),
        ("owner", "me", "/owner"),
        ("algorithm", "v2", "/algorithm"),
        ("is_active", "yes", "/is_active"),
        ("scopes", None, "/scopes"),
        ("state", "active", "/state"),
        ("secret", "whsec_chosen", "/secret"),
        ("url", "", "/url"),
        ("url", "hooks.example.com", "/url"),
        ("url", "ftp://hooks.example.com/", "/url"),
        ("url", "file:///etc/passwd", "/url"),
        ("url", "https://user:pass@hooks.example.com/", "/url"),
        ("url", "https://hooks.example.com/#part", "/url"),
        ("url", "https://hooks.example.com/\r\nX: y", "/url"),
        ("url", "https://hooks.example.com:0/", "/url"),
        ("url", "https://hooks.example.com:99999/", "/url"),
        ("url", "https:///nowhere", "/url"),
        ("url", "https://hooks.example.com/" + "x" * 2100, "/url"),
    ],
)
def test_bad_input_is_refused_in_its_place(ada: Api, field: str, value: Any, pointer: str) -> None:
    make_collection("articles", FIELDS)
    assert pointer in pointers(ada.post(ENDPOINTS, GOOD | {field: value}))
    assert not Endpoint.objects.exists()


def test_every_fault_is_told_at_once(ada: Api) -> None:
    bad = {"name": " x ", "url": "gopher://x/", "types": ["nothing"], "algorithm": "v9"}
    assert set(pointers(ada.post(ENDPOINTS, bad))) == {"/url", "/types/0", "/algorithm"}


def test_two_endpoints_can_t_share_a_name(ada: Api) -> None:
    ada.post(ENDPOINTS, GOOD)
    assert pointers(ada.post(ENDPOINTS, GOOD)) == ["/name"]


def test_an_endpoint_is_changed_paused_resumed_and_removed(ada: Api) -> None:
    make_collection("articles", FIELDS)
    path = f"{ENDPOINTS}/{ada.post(ENDPOINTS, GOOD).json()['id']}"
    changed = ada.patch(path, {"types": ["entry.published"], "collections": ["articles"], "is_active": False})
    assert changed.status_code == 200
    assert changed.json()["collections"] == ["articles"]
    assert (changed.json()["state"], changed.json()["is_active"]) == ("paused", False)
    assert ada.patch(path, {"is_active": False}).status_code == 200  # as it is already
    assert ada.patch(path, {"is_active": True}).json()["state"] == "active"
    assert ada.delete(path).status_code == 204
    assert ada.get(path).status_code == 404
    assert [detail["changed"] for detail in told("endpoint.updated")] == [["collection_ids", "types"]]


def test_another_algorithm_brings_another_secret_and_both_sign(ada: Api) -> None:
    path = f"{ENDPOINTS}/{ada.post(ENDPOINTS, GOOD).json()['id']}"
    assert ada.patch(path, {"algorithm": "v1a"}).json()["public_key"].startswith("whpk_")
    states = sorted(EndpointSecret.objects.values_list("algorithm", "state"))
    assert states == [("v1", "retiring"), ("v1a", "active")]


def test_a_test_is_sent_and_its_delivery_returned(ada: Api, receiver: Receiver) -> None:
    made = ada.post(ENDPOINTS, GOOD | {"url": receiver.url}).json()
    receiver.secret = made["secret"]
    sent = ada.post(f"{ENDPOINTS}/{made['id']}/test")
    assert sent.status_code == 202
    work()
    delivery = ada.get(f"{DELIVERIES}/{sent.json()['id']}").json()
    assert delivery["state"] == "delivered"
    assert delivery["attempts"][0]["status"] == 204
    assert receiver.verified()[0]["type"] == "webhook.test"


def test_deliveries_are_listed_filtered_and_sent_again(ada: Api, receiver: Receiver) -> None:
    make_collection("articles", FIELDS)
    made = ada.post(ENDPOINTS, GOOD | {"url": receiver.url}).json()
    other = ada.post(ENDPOINTS, GOOD | {"url": receiver.url, "name": "Other"}).json()
    make_entry("articles", title="Hello")
    work()
    assert len(ada.get(DELIVERIES).json()["data"]) == 4
    query = f"?endpoint={made['id']}&state=delivered&type=entry.published"
    found = ada.get(DELIVERIES + query).json()["data"]
    assert [item["type"] for item in found] == ["entry.published"]
    assert ada.get(f"{DELIVERIES}?endpoint={other['id']}&state=waiting").json()["data"] == []
    page = ada.get(f"{DELIVERIES}?limit=3").json()
    rest = ada.get(f"{DELIVERIES}?limit=3&cursor={page['meta']['next_cursor']}").json()
    assert len(page["data"]) + len(rest["data"]) == 4
    again = ada.post(f"{DELIVERIES}/{found[0]['id']}/redeliver")
    assert (again.status_code, again.json()["state"]) == (202, "waiting")
    work()
    assert len(ada.get(f"{DELIVERIES}/{found[0]['id']}").json()["attempts"]) == 2


@pytest.mark.parametrize(
    ("query", "parameter"), [("endpoint=x", "endpoint"), ("state=lost", "state"), ("since=1", "since")]
)
def test_a_filter_that_is_none_is_refused(ada: Api, query: str, parameter: str) -> None:
    answer = ada.get(f"{DELIVERIES}?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["parameter"] == parameter


def test_what_was_missed_is_recovered(ada: Api, receiver: Receiver) -> None:
    make_collection("articles", FIELDS)
    make_entry("articles", title="Before")
    work()
    made = ada.post(ENDPOINTS, GOOD | {"url": receiver.url}).json()
    since = (timezone.now() - timedelta(minutes=5)).isoformat()
    asked = ada.post(f"{ENDPOINTS}/{made['id']}/recover", {"since": since})
    assert (asked.status_code, asked.json()["is_recovering"]) == (202, True)
    work()
    assert receiver.types == ["entry.created", "entry.published"]
    assert pointers(ada.post(f"{ENDPOINTS}/{made['id']}/recover", {"since": "yesterday"})) == ["/since"]


ENDPOINT_CALLS = [
    ("get", ENDPOINTS),
    ("post", ENDPOINTS),
    ("get", f"{ENDPOINTS}/{{id}}"),
    ("patch", f"{ENDPOINTS}/{{id}}"),
    ("delete", f"{ENDPOINTS}/{{id}}"),
    ("post", f"{ENDPOINTS}/{{id}}/test"),
    ("post", f"{ENDPOINTS}/{{id}}/check"),
    ("post", f"{ENDPOINTS}/{{id}}/rotate-secret"),
    ("post", f"{ENDPOINTS}/{{id}}/recover"),
    ("get", DELIVERIES),
    ("get", f"{DELIVERIES}/{{delivery}}"),
    ("post", f"{DELIVERIES}/{{delivery}}/redeliver"),
]


@pytest.mark.parametrize(("method", "path"), ENDPOINT_CALLS)
def test_only_who_administers_webhooks_comes_here(
    ada: Api, receiver: Receiver, method: str, path: str
) -> None:
    made = ada.post(ENDPOINTS, GOOD | {"url": receiver.url}).json()
    delivery = ada.post(f"{ENDPOINTS}/{made['id']}/test").json()
    path = path.format(id=made["id"], delivery=delivery["id"])
    before = list(Endpoint.objects.values()), list(Delivery.objects.values())
    make_role("editor", {"actions": ("read", "read_draft", "update", "publish")})
    elsewhere = Scopes(frozenset({(None, Action.READ)}), frozenset({Area.PREVIEWS}))
    body = {"patch": ({"name": "Mine"},), "post": (GOOD,)}.get(method, ())
    for client, status in (
        (anonymous(), 401),
        (make_key(role="editor"), 403),
        (make_key(role="administrator", scopes=elsewhere), 403),
    ):
        assert getattr(client, method)(path, *body).status_code == status
    assert (list(Endpoint.objects.values()), list(Delivery.objects.values())) == before


def test_nobody_listens_as_somebody_who_may_more(receiver: Receiver) -> None:
    role = make_role("hooks")
    role.areas = [Area.WEBHOOKS.value]
    role.save()
    boss = make_user("boss@example.com", roles=("administrator",))
    hooks = make_key(role="hooks")
    refused = hooks.post(ENDPOINTS, GOOD | {"owner": str(boss.pk)})
    assert refused.status_code == 403
    assert not Endpoint.objects.exists()
    made = make_key(role="administrator").post(ENDPOINTS, GOOD).json()
    path = f"{ENDPOINTS}/{made['id']}"
    assert hooks.patch(path, {"url": "https://evil.example.com/"}).status_code == 403
    assert hooks.patch(path, {"types": ["entry.created"]}).status_code == 403
    assert Endpoint.objects.get().url == GOOD["url"]
    # What aims at nothing else is theirs: that is what looking after webhooks means.
    assert hooks.patch(path, {"is_active": False, "name": "Off"}).json()["state"] == "paused"


def test_a_key_that_aims_an_endpoint_elsewhere_caps_what_it_hears(ada: Api, receiver: Receiver) -> None:
    make_collection("articles", FIELDS)
    path = f"{ENDPOINTS}/{ada.post(ENDPOINTS, GOOD).json()['id']}"
    scopes = Scopes(frozenset({(None, Action.READ)}), frozenset({Area.WEBHOOKS}))
    other = make_key(role="administrator", scopes=scopes)
    assert other.patch(path, {"url": receiver.url}).status_code == 200
    make_entry("articles", title="Public")
    work()
    assert receiver.types == ["entry.published"]


def test_collections_that_one_can_t_see_are_not_there(ada: Api) -> None:
    make_collection("secret_plans", FIELDS)
    role = make_role("hooks")
    role.areas = [Area.WEBHOOKS.value]
    role.save()
    hooks = make_key(role="hooks")
    hidden = hooks.post(ENDPOINTS, GOOD | {"collections": ["secret_plans"]})
    missing = hooks.post(ENDPOINTS, GOOD | {"collections": ["no_such_one"]})
    assert pointers(hidden) == pointers(missing) == ["/collections/0"]
    assert hidden.json()["errors"] == missing.json()["errors"]


def test_an_endpoint_names_no_collection_that_the_viewer_can_t_see(ada: Api) -> None:
    for key in ("articles", "secret_plans"):
        make_collection(key, FIELDS)
    made = ada.post(ENDPOINTS, GOOD | {"collections": ["articles", "secret_plans"]}).json()
    assert (made["collections"], made["hidden_collections"]) == (["articles", "secret_plans"], 0)
    role = make_role("hooks", {"collection": "articles", "actions": ("read",)})
    role.areas = [Area.WEBHOOKS.value]
    role.save()
    hooks = make_key(role="hooks")
    path = f"{ENDPOINTS}/{made['id']}"
    answers = [hooks.get(ENDPOINTS), hooks.get(path), hooks.patch(path, {"name": "Another"})]
    assert all("secret_plans" not in answer.text for answer in answers)
    shown = answers[1].json()
    assert (shown["collections"], shown["hidden_collections"]) == (["articles"], 1)


def test_nobody_listens_as_somebody_who_was_granted_an_entry_that_they_were_not(receiver: Receiver) -> None:
    make_collection("articles", FIELDS)
    role = make_role("hooks")
    role.areas = [Area.WEBHOOKS.value]
    role.save()
    walter = make_user("walter@example.com", roles=("hooks",))
    mallory = make_user("mallory@example.com", roles=("hooks",))
    entry = make_entry("articles", published=False)
    granting.grant_entry(walter, entry=entry, actions=[Action.READ_DRAFT], by=ROOT)
    hooks = make_key(owner=mallory)
    body = GOOD | {"url": receiver.url, "owner": str(walter.pk)}
    assert hooks.post(ENDPOINTS, body).status_code == 403
    assert not Endpoint.objects.exists()
    granting.grant_entry(mallory, entry=entry, actions=[Action.READ_DRAFT], by=ROOT)
    assert hooks.post(ENDPOINTS, body).status_code == 201


NOBODY = Principal(kind="user", credential="session", confirmed="factor")
LOCKED = replace(ROOT, kind="user", is_administrator=True, is_locked_down=True, confirmed="factor")
VERBS: list[Callable[[Endpoint, Principal], object]] = [
    lambda endpoint, by: endpoints.add(GOOD | {"owner": endpoint.owner}, by=by),
    lambda endpoint, by: endpoints.change(endpoint, {"name": "Mine"}, by=by),
    lambda endpoint, by: endpoints.rotate_secret(endpoint, by=by),
    lambda endpoint, by: endpoints.retire_secret(endpoint, by=by),
    lambda endpoint, by: endpoints.pause(endpoint, by=by),
    lambda endpoint, by: endpoints.enable(endpoint, by=by),
    lambda endpoint, by: endpoints.disable(endpoint, by=by),
    lambda endpoint, by: endpoints.remove(endpoint, by=by),
    lambda endpoint, by: asking.test(endpoint, by=by),
    lambda endpoint, by: asking.redeliver(Delivery.objects.get(), by=by),
    lambda endpoint, by: asking.recover(endpoint, since=timezone.now(), by=by),
    lambda endpoint, by: check_soon(endpoint, by=by),
    lambda endpoint, by: conformance.check(endpoint, by=by),
]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("by", "error"), [(NOBODY, NotAllowedError), (LOCKED, LockedDownError)])
def test_every_verb_asks_for_itself_who_it_is(
    verb: Callable[[Endpoint, Principal], object], by: Principal, error: type[Exception]
) -> None:
    """Whatever view, command or task calls it."""
    endpoint = make_endpoint("http://127.0.0.1:9/").endpoint
    make_delivery(endpoint)
    before = list(Endpoint.objects.values()), list(Delivery.objects.values())
    with pytest.raises(error):
        verb(endpoint, by)
    assert (list(Endpoint.objects.values()), list(Delivery.objects.values())) == before


def test_an_owner_who_is_switched_off_is_refused(ada: Api) -> None:
    gone = make_user("gone@example.com")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    assert pointers(ada.post(ENDPOINTS, GOOD | {"owner": str(gone.pk)})) == ["/owner"]
    assert not Endpoint.objects.exists()


def test_there_is_an_end_to_endpoints_and_their_collections(
    ada: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("articles", "pages"):
        make_collection(key, FIELDS)
    both = GOOD | {"collections": ["articles", "pages"]}
    monkeypatch.setattr(endpoints, "MOST_COLLECTIONS", 1)
    assert pointers(ada.post(ENDPOINTS, both)) == ["/collections"]
    monkeypatch.setattr(endpoints, "MOST_COLLECTIONS", 2)
    monkeypatch.setattr(endpoints, "MOST_ENDPOINTS", 1)
    assert ada.post(ENDPOINTS, both).status_code == 201
    assert ada.post(ENDPOINTS, GOOD | {"name": "Second"}).status_code == 409
    assert Endpoint.objects.count() == 1


def test_an_id_is_never_taken_for_the_name_of_another() -> None:
    older = make_endpoint("http://127.0.0.1:9/", name="Older").endpoint
    newer = make_endpoint("http://127.0.0.1:9/", name="Newer", owner=older.owner).endpoint
    endpoints.change(older, {"name": str(newer.pk)}, by=ROOT)
    assert Endpoint.objects.named(str(newer.pk)) == newer
    assert Endpoint.objects.named("Newer") == newer


def test_a_missing_endpoint_and_delivery_are_not_found(ada: Api) -> None:
    nothing = "01890000-0000-7000-8000-000000000000"
    assert ada.get(f"{ENDPOINTS}/{nothing}").status_code == 404
    assert ada.post(f"{ENDPOINTS}/{nothing}/test").status_code == 404
    assert ada.get(f"{DELIVERIES}/{nothing}").status_code == 404
    assert ada.post(f"{DELIVERIES}/{nothing}/redeliver").status_code == 404
