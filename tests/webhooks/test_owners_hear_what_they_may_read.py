"""What an endpoint hears is what its owner may read when it is sent (threats E18, W12, W13)."""

import json
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.access import Action, Area, Scopes, system
from accounts.log import Subject, record
from accounts.models import Policy, User
from content import editing, modeling, publishing
from content.schema import current
from content.writing import Writing
from tests.builders import (
    ROOT,
    Api,
    allow,
    make_collection,
    make_entry,
    make_key,
    make_locale,
    make_role,
    make_user,
)
from tests.webhooks.world import FIELDS, Receiver, deliveries, make_attempt, make_endpoint, states, work
from webhooks import asking, endpoints, fanning, outcomes, sending
from webhooks.leasing import lease
from webhooks.models import Attempt, Delivery, Endpoint, Sight

pytestmark = pytest.mark.django_db
SITE_READER = {"collection": "articles", "actions": ("read",)}
DRAFT_READER = {"collection": "articles", "actions": ("read_draft",)}


@pytest.fixture(autouse=True)
def articles() -> Writing:
    make_collection("articles", FIELDS)
    return Writing.on("articles", by=ROOT)


def owner(*policies: dict[str, Any]) -> User:
    make_role("listener", *policies)
    return make_user("listener@example.com", roles=("listener",))


def keeper(*policies: dict[str, Any]) -> Api:
    """Return who looks after webhooks, and may read no more than the policies say."""
    role = make_role("hooks", *policies)
    role.areas = [Area.WEBHOOKS.value]
    role.save()
    return make_key(role="hooks")


def states_of(endpoint: Endpoint) -> list[str]:
    return [str(delivery.state) for delivery in deliveries(endpoint)]


def path_of(delivery: Delivery) -> str:
    return f"/api/v1/manage/webhooks/deliveries/{delivery.pk}"


def test_who_reads_what_is_public_hears_nothing_of_drafts(receiver: Receiver, articles: Writing) -> None:
    make_endpoint(receiver.url, owner=owner(SITE_READER))
    entry = make_entry("articles", title="Public")
    editing.save(entry.pk, {"title": "A secret plan"}, writing=articles, base=1)
    make_entry("articles", title="A draft", published=False)
    work()
    assert receiver.types == ["entry.published"]
    assert sorted(states()) == ["delivered", "withheld", "withheld", "withheld"]


def test_who_reads_nothing_hears_nothing(receiver: Receiver) -> None:
    make_endpoint(receiver.url, owner=owner(), types=["entry.*", "collection.changed", "security.alert"])
    make_entry("articles", title="Public")
    modeling.change_collection(current().by_key["articles"].id, {"name": "Stories"}, by=ROOT)
    assert work() == 0
    assert set(states()) == {"withheld"}


def test_rows_decide(receiver: Receiver) -> None:
    news = {**DRAFT_READER, "filter": {"section": {"eq": "news"}}}
    make_endpoint(receiver.url, owner=owner(news))
    seen = make_entry("articles", title="Seen", section="news", published=False)
    make_entry("articles", title="Not seen", section="board", published=False)
    work()
    assert [json.loads(asked.body)["data"]["id"] for asked in receiver.asked] == [str(seen.pk)]


def test_a_slug_that_the_owner_may_not_read_is_not_told(receiver: Receiver) -> None:
    make_endpoint(receiver.url, owner=owner({**DRAFT_READER, "fields": ("title",)}))
    make_entry("articles", title="CANARY", published=False)
    work()
    assert json.loads(receiver.asked[0].body)["data"]["slug"] is None
    assert b"canary" not in receiver.asked[0].body


def test_a_right_that_is_lost_while_it_waits_counts(receiver: Receiver) -> None:
    make_endpoint(receiver.url, owner=owner(DRAFT_READER))
    make_entry("articles", title="Too late", published=False)
    fanning.fan_out()
    Policy.objects.filter(role__key="listener").delete()
    make_role("another")  # moves the generation of rights
    assert work() == 0
    assert states() == ["withheld"]


def test_a_field_that_is_hidden_between_two_attempts_is_gone_from_the_second(receiver: Receiver) -> None:
    listener = owner(DRAFT_READER)
    make_endpoint(receiver.url, owner=listener)
    make_entry("articles", title="CANARY", published=False)
    receiver.statuses = [500]
    work()
    Policy.objects.filter(role__key="listener").delete()
    allow("listener", collection="articles", actions=("read_draft",), fields=("title",))
    asking.redeliver(Delivery.objects.get(), by=ROOT)
    work()
    first, second = receiver.asked
    assert b'"slug":"canary"' in first.body
    assert b'"slug":null' in second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_an_owner_who_is_switched_off_hears_nothing(receiver: Receiver) -> None:
    listener = owner(DRAFT_READER)
    make_endpoint(receiver.url, owner=listener)
    make_entry("articles", title="Nobody listens", published=False)
    User.objects.filter(pk=listener.pk).update(is_active=False)
    assert work() == 0
    assert states() == ["withheld"]


def test_who_reads_what_is_public_hears_that_it_is_taken_back(receiver: Receiver, articles: Writing) -> None:
    make_endpoint(receiver.url, owner=owner(SITE_READER))
    entry = make_entry("articles", title="Soon gone")
    publishing.unpublish(entry.pk, writing=articles)
    work()
    assert receiver.types[-1] == "entry.unpublished"
    assert json.loads(receiver.asked[-1].body)["data"]["slug"] == "soon-gone"


def test_what_is_taken_back_is_told_by_the_slug_that_was_public(
    receiver: Receiver, articles: Writing
) -> None:
    make_endpoint(receiver.url, owner=owner(SITE_READER))
    entry = make_entry("articles", title="Public")
    editing.save(entry.pk, {"title": "CANARY", "slug": "canary"}, writing=articles, base=1)
    publishing.unpublish(entry.pk, writing=articles)
    work()
    told = json.loads(receiver.asked[-1].body)
    assert (told["type"], told["data"]["slug"], told["data"]["version"]) == ("entry.unpublished", "public", 1)
    assert b"canary" not in b"".join(asked.body for asked in receiver.asked)


def test_locales_that_are_taken_back_one_after_the_other_are_all_told(receiver: Receiver) -> None:
    make_locale("de")
    make_endpoint(receiver.url, owner=owner(SITE_READER))
    articles = Writing.on("articles", by=ROOT)
    entry = make_entry("articles", title="Public")
    editing.save(entry.pk, {"title": "Oeffentlich"}, writing=articles, base=1, locale="de")
    publishing.publish(entry.pk, writing=articles)
    for locale in ("en", "de"):
        publishing.unpublish(entry.pk, writing=articles, locales=[locale])
    work()
    assert receiver.types.count("entry.unpublished") == 2


def test_a_slug_of_before_a_row_was_the_owners_is_not_told(receiver: Receiver, articles: Writing) -> None:
    made = make_endpoint(receiver.url, owner=owner({**SITE_READER, "filter": {"section": {"eq": "news"}}}))
    endpoints.pause(made.endpoint, by=ROOT)
    entry = make_entry("articles", title="CANARY", section="board")
    changed = {"title": "Fine", "slug": "fine", "section": "news"}
    editing.save(entry.pk, changed, writing=articles, base=1)
    publishing.publish(entry.pk, writing=articles)
    endpoints.enable(made.endpoint, by=ROOT)
    work()
    slugs = {json.loads(asked.body)["data"]["slug"] for asked in receiver.asked}
    assert slugs == {None, "fine"}


def test_any_number_of_endpoints_of_an_owner_is_asked_about_once(
    articles: Writing, django_assert_num_queries: Any
) -> None:
    """Or who may add endpoints could keep every editor from taking anything back."""
    listener = owner(SITE_READER)
    first, second = (make_entry("articles").pk for _ in range(2))
    make_endpoint("http://127.0.0.1:9/", owner=listener)
    with CaptureQueriesContext(connection) as asked:
        publishing.unpublish(first, writing=articles)
    for number in range(20):
        make_endpoint("http://127.0.0.1:9/", name=f"Site {number}", owner=listener)
    with django_assert_num_queries(len(asked)):
        publishing.unpublish(second, writing=articles)
    assert Sight.objects.filter(subject_id=second).count() == 21


def test_what_one_owner_saw_go_is_not_told_to_the_next(receiver: Receiver, articles: Writing) -> None:
    make_role("narrow", {**SITE_READER, "filter": {"section": {"eq": "news"}}})
    made = make_endpoint(receiver.url, owner=owner(SITE_READER))
    entry = make_entry("articles", title="Hidden", section="board")
    publishing.unpublish(entry.pk, writing=articles)
    assert Sight.objects.exists()
    endpoints.change(made.endpoint, {"owner": make_user(roles=("narrow",))}, by=ROOT)
    assert work() == 0
    assert "withheld" in states()


def test_of_an_event_that_names_no_version_no_slug_is_told(receiver: Receiver, articles: Writing) -> None:
    """The newest version may be a draft, whose slug was never public."""
    listener = owner(SITE_READER)
    make_endpoint(receiver.url, owner=listener)
    entry = make_entry("articles", title="Public")
    editing.save(entry.pk, {"slug": "canary"}, writing=articles, base=1)
    with transaction.atomic():
        subject = Subject("entry", str(entry.pk), entry.collection_id)
        record("entry.unpublished", actor=system("before"), subject=subject, locale="en")
    work()
    told = [json.loads(asked.body) for asked in receiver.asked]
    (taken_back,) = [body for body in told if body["type"] == "entry.unpublished"]
    assert (taken_back["data"]["version"], taken_back["data"]["slug"]) == (None, None)


def test_whose_rows_it_was_not_among_hears_nothing_of_its_end(receiver: Receiver, articles: Writing) -> None:
    make_endpoint(receiver.url, owner=owner({**SITE_READER, "filter": {"section": {"eq": "news"}}}))
    seen = make_entry("articles", title="Seen", section="news")
    hidden = make_entry("articles", title="Hidden", section="board")
    for entry in (seen, hidden):
        publishing.unpublish(entry.pk, writing=articles)
        editing.purge(entry.pk, writing=articles)
    work()
    told = {json.loads(asked.body)["data"]["id"] for asked in receiver.asked}
    assert told == {str(seen.pk)}


def test_what_was_erased_is_told_to_who_could_see_it_then(receiver: Receiver, articles: Writing) -> None:
    make_endpoint(receiver.url, owner=owner(SITE_READER))
    entry = make_entry("articles", title="Erased")
    editing.purge(entry.pk, writing=articles)
    work()
    assert sorted(receiver.types) == ["entry.deleted", "entry.published", "entry.unpublished"]
    assert b"erased" not in b"".join(asked.body for asked in receiver.asked)
    urls = {
        body["type"]: body["data"]["url"] for body in map(json.loads, (item.body for item in receiver.asked))
    }
    assert urls["entry.deleted"] is None
    assert urls["entry.unpublished"] is not None


def test_a_sight_helps_nobody_who_may_read_nothing_there_any_more(
    receiver: Receiver, articles: Writing
) -> None:
    make_endpoint(receiver.url, owner=owner(SITE_READER))
    entry = make_entry("articles", title="Erased")
    editing.purge(entry.pk, writing=articles)
    Policy.objects.filter(role__key="listener").delete()
    make_role("another")
    assert work() == 0


def test_an_earlier_sight_says_nothing_of_a_later_end(receiver: Receiver, articles: Writing) -> None:
    """It was among the owner's rows when it was taken back first, and is not when it is taken back again."""
    make_endpoint(receiver.url, owner=owner({**SITE_READER, "filter": {"section": {"eq": "news"}}}))
    entry = make_entry("articles", title="Moves", section="news")
    publishing.unpublish(entry.pk, writing=articles)
    editing.save(entry.pk, {"section": "board"}, writing=articles, base=1)
    publishing.publish(entry.pk, writing=articles)
    work()
    before = len(receiver.asked)
    publishing.unpublish(entry.pk, writing=articles)
    work()
    assert len(receiver.asked) == before


def test_an_erased_entry_leaves_no_slug_behind(receiver: Receiver, articles: Writing) -> None:
    make_endpoint(receiver.url)
    entry = make_entry("articles", title="CANARY")
    work()
    assert Delivery.objects.filter(body__contains="canary").exists()
    editing.purge(entry.pk, writing=articles)
    assert not Delivery.objects.filter(body__contains="canary").exists()
    assert Sight.objects.filter(subject_id=entry.pk).exists()


def test_what_is_on_the_wire_when_it_is_erased_leaves_no_slug(receiver: Receiver, articles: Writing) -> None:
    make_endpoint(receiver.url)
    entry = make_entry("articles", title="CANARY")
    fanning.fan_out()
    leased = lease(10, now=timezone.now(), rooms={}, other=4, slow=False)
    flights = [item for item in sending.prepared(leased) if isinstance(item, sending.Flight)]
    editing.purge(entry.pk, writing=articles)
    answers = [sending._post(flight)[0] for flight in flights]
    outcomes.settle(answers, now=timezone.now())
    assert b"canary" in b"".join(asked.body for asked in receiver.asked)
    assert not Delivery.objects.filter(body__contains="canary").exists()
    assert [delivery.state for delivery in Delivery.objects.filter(pk__in=[item.pk for item in leased])] == [
        "delivered"
    ] * len(leased)


@pytest.mark.parametrize("is_whole", [False, True])
def test_an_answer_that_repeats_a_slug_is_erased_with_the_entry(
    receiver: Receiver, articles: Writing, *, is_whole: bool
) -> None:
    made = make_endpoint(receiver.url)
    entry = make_entry("articles", title="CANARY")
    work()
    delivery = Delivery.objects.get(type="entry.published")
    make_attempt(delivery, status=200, response_body=f"thanks for {delivery.body}")
    before = Attempt.objects.filter(endpoint=made.endpoint).count()
    if is_whole:
        modeling.delete_collection(entry.collection_id, by=ROOT, confirm=True)
    else:
        editing.purge(entry.pk, writing=articles)
    assert not Delivery.objects.filter(body__contains="canary").exists()
    assert not Attempt.objects.filter(response_body__contains="canary").exists()
    assert Attempt.objects.filter(endpoint=made.endpoint).count() == before


def test_a_collection_that_is_deleted_is_told_to_who_knew_it(receiver: Receiver) -> None:
    make_endpoint(
        receiver.url,
        owner=owner(DRAFT_READER, {"collection": "*", "actions": ("read",)}),
        types=["collection.changed"],
    )
    make_endpoint(receiver.url, name="Blind", owner=make_user(), types=["collection.changed"])
    collection = current().by_key["articles"]
    modeling.delete_collection(collection.id, by=ROOT, confirm=True)
    work()
    told = [json.loads(asked.body)["data"]["id"] for asked in receiver.asked]
    assert told == [str(collection.id)] * 2  # that it was made, and that it is gone


def test_a_collection_that_is_deleted_is_not_told_to_who_did_not_know_it(receiver: Receiver) -> None:
    make_collection("pages", FIELDS)
    types = ["collection.changed"]
    make_endpoint(receiver.url, owner=owner({"collection": "pages", "actions": ("read",)}), types=types)
    collection = current().by_key["articles"]
    modeling.delete_collection(collection.id, by=ROOT, confirm=True)
    work()
    told = {json.loads(asked.body)["data"]["id"] for asked in receiver.asked}
    assert told == {str(current().by_key["pages"].id)}


def test_who_lost_every_right_hears_no_end_of_a_collection_nor_of_what_was_in_it(
    receiver: Receiver, articles: Writing
) -> None:
    types = ["entry.deleted", "collection.changed"]
    make_endpoint(receiver.url, owner=owner(SITE_READER, DRAFT_READER), types=types)
    editing.purge(make_entry("articles").pk, writing=articles)
    modeling.delete_collection(current().by_key["articles"].id, by=ROOT)
    assert Sight.objects.count() == 4
    Policy.objects.filter(role__key="listener").delete()
    make_role("another")
    assert work() == 0
    assert set(states()) == {"withheld"}


def test_what_one_endpoint_saw_go_is_not_told_to_another(receiver: Receiver, articles: Writing) -> None:
    make_role("board", {**SITE_READER, "filter": {"section": {"eq": "board"}}})
    news = make_endpoint(receiver.url, owner=owner({**SITE_READER, "filter": {"section": {"eq": "news"}}}))
    make_endpoint(receiver.url, name="Board", owner=make_user(roles=("board",)))
    entry = make_entry("articles", section="board")
    editing.purge(entry.pk, writing=articles)
    work()
    delivered = Delivery.objects.filter(state="delivered").values_list("endpoint__name", flat=True)
    assert set(delivered) == {"Board"}
    assert set(states_of(news.endpoint)) == {"withheld"}


def test_alerts_are_told_to_who_may_read_the_log(receiver: Receiver) -> None:
    make_role("plain")
    auditor = make_role("auditor")
    auditor.areas = [Area.AUDIT.value]
    auditor.save()
    make_endpoint(receiver.url, name="Plain", owner=make_user(roles=("plain",)), types=["security.alert"])
    make_endpoint(receiver.url, name="Auditor", owner=make_user(roles=("auditor",)), types=["security.alert"])
    with transaction.atomic():
        record("security.alert", actor=system("test"), subject=Subject("alert", str(make_user().pk)))
    assert work() == 1
    assert json.loads(receiver.asked[0].body)["type"] == "security.alert"


def test_an_endpoint_hears_no_more_than_the_key_that_set_it_up(receiver: Receiver) -> None:
    listener = owner(DRAFT_READER, SITE_READER)
    role = make_role("listener")
    role.areas = [Area.WEBHOOKS.value]
    role.save()
    scopes = Scopes(frozenset({(None, Action.READ)}), frozenset({Area.WEBHOOKS}))
    made = make_key(owner=listener, scopes=scopes).post(
        "/api/v1/manage/webhooks/endpoints",
        {"name": "By key", "url": receiver.url, "types": ["entry.*"]},
    )
    assert made.status_code == 201, made.content
    make_entry("articles", title="Public")
    work()
    assert receiver.types == ["entry.published"]


def test_the_log_shows_a_slug_to_those_who_may_read_it(receiver: Receiver) -> None:
    make_endpoint(receiver.url)
    make_entry("articles", title="CANARY", published=False)
    work()
    path = path_of(Delivery.objects.get())
    assert "canary" in make_key(role="administrator").get(path).content.decode()
    shown = keeper().get(path)
    assert shown.status_code == 200
    assert "canary" not in shown.content.decode()
    assert json.loads(shown.json()["request_body"])["data"]["slug"] is None


def test_the_log_keeps_the_slug_of_a_draft_from_who_reads_what_is_public(
    receiver: Receiver, articles: Writing
) -> None:
    make_endpoint(receiver.url)
    entry = make_entry("articles", title="Public")
    editing.save(entry.pk, {"title": "CANARY", "slug": "canary"}, writing=articles, base=1)
    work()
    rita = keeper(SITE_READER)
    assert '\\"slug\\":\\"public\\"' in rita.get(path_of(Delivery.objects.get(type="entry.published"))).text
    assert "canary" not in rita.get(path_of(Delivery.objects.get(type="entry.updated"))).text


def test_the_log_names_no_collection_that_the_viewer_may_not_know(receiver: Receiver) -> None:
    make_endpoint(receiver.url)
    make_entry("articles", title="Public")
    work()
    path = path_of(Delivery.objects.get(type="entry.published"))
    assert "articles" in make_key(role="administrator").get(path).text
    assert "articles" not in keeper().get(path).text


def test_an_answer_is_shown_to_who_may_read_what_it_may_repeat(receiver: Receiver) -> None:
    make_endpoint(receiver.url)
    make_entry("articles", title="CANARY")
    work()
    delivery = Delivery.objects.get(type="entry.published")
    make_attempt(delivery, status=200, response_body=f"thanks for {delivery.body}")
    path = path_of(delivery)
    assert "thanks for" in make_key(role="administrator").get(path).text
    hidden = keeper().get(path)
    assert hidden.json()["attempts"][-1]["status"] == 200
    assert hidden.json()["attempts"][-1]["response_body"] is None
    assert "canary" not in hidden.text
