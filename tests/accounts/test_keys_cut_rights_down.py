"""API keys: their form, their life, their scopes, and where they may come from."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts.access import Action, Area, Principal, Resource, Scopes
from accounts.authentication import DeliveryAuthentication, ManagementAuthentication
from accounts.errors import InvalidInputError, NotAllowedError, NotAuthenticatedError
from accounts.keys import api_keys, usage
from accounts.models import ApiKey, Event, User
from tests.accounts.cast import BUILDER, Api, Person, make_key, make_person, make_policy, make_role

pytestmark = pytest.mark.usefixtures("_django_db_helper")


def test_the_form_of_a_key_is_public(rita: Person) -> None:
    key, text = make_key(rita.user)
    assert re.fullmatch(r"qk_development_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}", text)
    assert api_keys.parse(text).public_id == key.public_id
    assert str(api_keys.parse(text)) == text


def test_the_secret_is_nowhere_in_the_database(rita: Person) -> None:
    _, text = make_key(rita.user)
    secret = text.split("_")[3][:43]
    for table in ("accounts_apikey", "accounts_event", "accounts_credential"):
        with connections["default"].cursor() as cursor:
            cursor.execute(f"SELECT t::text FROM {table} t")
            assert all(secret not in row[0] for row in cursor.fetchall())


@pytest.mark.parametrize(
    "spoil", ["swap", "cut", "longer", "other secret", "unknown id", "other environment", "case"]
)
def test_a_spoilt_key_is_a_401(rita: Person, anonymous: Api, spoil: str) -> None:
    key, text = make_key(rita.user)
    parts = api_keys.KeyText("development", key.public_id, "a" * 43)
    spoilt = {
        "swap": text[:-8] + text[-7] + text[-8] + text[-6:],
        "cut": text[:-1],
        "longer": text + "0",
        "other secret": str(parts),
        "unknown id": str(api_keys.KeyText("development", "a" * 12, api_keys.parse(text).secret)),
        "other environment": str(api_keys.KeyText("staging", key.public_id, api_keys.parse(text).secret)),
        "case": text.swapcase(),
    }[spoil]
    if spoilt == text:
        pytest.skip("two equal characters were swapped")
    assert Api(anonymous.client, text).get("auth/me").status_code == 200
    answer = Api(anonymous.client, spoilt).get("auth/me")
    assert answer.status_code == 401
    assert ("for the environment staging" in answer.json()["detail"]) == (spoil == "other environment")


def test_a_key_dies_with_its_time_its_owner_and_its_revocation(rita: Person, as_ada: Api) -> None:
    key, text = make_key(rita.user)
    api = Api(as_ada.client, text)
    assert api.get("auth/me").status_code == 200
    with time_machine.travel(timezone.now() + timedelta(days=91)):
        assert api.get("auth/me").status_code == 401
    User.objects.filter(pk=rita.user.pk).update(is_active=False)
    assert api.get("auth/me").status_code == 401
    User.objects.filter(pk=rita.user.pk).update(is_active=True)
    assert as_ada.delete(f"manage/api-keys/{key.pk}").status_code == 204
    assert api.get("auth/me").status_code == 401
    assert Event.objects.filter(type="api-key.revoked", subject_id=str(key.pk)).count() == 1


def test_a_rotated_key_works_in_both_forms_until_the_overlap_ends(rita: Person, as_ada: Api) -> None:
    key, old = make_key(rita.user)
    answer = as_ada.post(f"manage/api-keys/{key.pk}/rotate", {"overlap_hours": 2})
    assert answer.status_code == 200
    new = answer.json()["key"]
    assert answer.json()["state"] == "retiring"
    assert Api(as_ada.client, old).get("auth/me").status_code == 200
    assert Api(as_ada.client, new).get("auth/me").status_code == 200
    with time_machine.travel(timezone.now() + timedelta(hours=3)):
        assert Api(as_ada.client, old).get("auth/me").status_code == 401
        assert Api(as_ada.client, new).get("auth/me").status_code == 200
        assert api_keys.end_overlaps(by=BUILDER) == 1
    assert as_ada.post(f"manage/api-keys/{key.pk}/rotate", {"overlap_hours": 0}).status_code == 200
    assert Api(as_ada.client, new).get("auth/me").status_code == 401


def test_a_key_comes_from_its_networks_only(rita: Person, anonymous: Api) -> None:
    _, text = make_key(rita.user, allowed_networks=["192.0.2.0/24", "2001:db8::/32"])
    api = Api(anonymous.client, text)
    for address, status in [
        ("192.0.2.9", 200),
        ("198.51.100.1", 401),
        ("2001:db8::1", 200),
        ("::ffff:192.0.2.9", 200),
    ]:
        api.client.defaults["REMOTE_ADDR"] = address
        assert api.get("auth/me").status_code == status, address


def test_a_key_in_a_browser_is_refused_unless_made_for_it(rita: Person, anonymous: Api) -> None:
    _, plain = make_key(rita.user)
    _, browser = make_key(rita.user, browser=True)
    origin = {"Origin": "https://www.example.com"}
    assert Api(anonymous.client, plain).get("auth/me", **origin).status_code == 401
    assert Api(anonymous.client, browser).get("auth/me", **origin).status_code == 200


def principal_of_key(
    text: str, *, of: type[DeliveryAuthentication] | type[ManagementAuthentication]
) -> Principal:
    request = Request(APIRequestFactory().get("/", headers={"Authorization": f"Bearer {text}"}))
    authenticated = of().authenticate(request)
    assert authenticated is not None
    return authenticated[1]


def test_rights_are_the_owners_cut_down_to_the_scopes() -> None:
    articles, pages = uuid4(), uuid4()
    editor = make_role("editor")
    make_policy(editor, Action.READ, Action.UPDATE, collection=articles)
    edith = make_person("edith@example.com", roles=["editor"])
    _, text = make_key(edith.user, (articles, Action.READ), (pages, Action.READ), (None, Action.DELETE))
    principal = principal_of_key(text, of=DeliveryAuthentication)
    assert principal.grant(Action.READ, on=Resource(articles))
    assert not principal.grant(Action.UPDATE, on=Resource(articles))
    assert not principal.grant(Action.READ, on=Resource(pages))
    assert not principal.grant(Action.DELETE, on=Resource(articles))


def test_an_administrators_key_administers_only_what_it_says(ada: Person) -> None:
    _, text = make_key(ada.user, (None, Action.READ), areas=[Area.KEYS])
    principal = principal_of_key(text, of=ManagementAuthentication)
    assert principal.administers(Area.KEYS)
    assert not principal.administers(Area.USERS)
    assert not principal.grant(Action.UPDATE, on=Resource(uuid4()))


def test_checking_a_key_on_the_delivery_plane_is_one_query_by_its_own_role(rita: Person) -> None:
    _, text = make_key(rita.user)
    principal_of_key(text, of=DeliveryAuthentication)
    with (
        CaptureQueriesContext(connections["delivery"]) as delivery,
        CaptureQueriesContext(connections["default"]) as default,
    ):
        principal_of_key(text, of=DeliveryAuthentication)
    assert (len(delivery), len(default)) == (1, 0)


def test_the_generations_come_with_it(rita: Person) -> None:
    _, text = make_key(rita.user)
    request = Request(APIRequestFactory().get("/", headers={"Authorization": f"Bearer {text}"}))
    DeliveryAuthentication().authenticate(request)
    assert {"access", "keys"} <= set(request.generations)  # type: ignore[attr-defined]


def test_a_key_can_not_be_made_beyond_its_makers_rights(ada: Person, rita: Person) -> None:
    """A key that may make keys is still a key: what it makes is not more than itself (GHSA-pmf4-v838-29hg)."""
    _, text = make_key(ada.user, (None, Action.READ), areas=[Area.KEYS])
    maker = principal_of_key(text, of=ManagementAuthentication)

    def scopes(*actions: Action, areas: tuple[Area, ...] = ()) -> Scopes:
        return Scopes(frozenset((None, action) for action in actions), frozenset(areas))

    assert api_keys.mint(rita.user, name="x", scopes=scopes(Action.READ), by=maker).key.owner == rita.user
    before = ApiKey.objects.count()
    for wanted in (scopes(Action.UPDATE), scopes(Action.READ, areas=(Area.USERS,))):
        with pytest.raises(NotAllowedError):
            api_keys.mint(rita.user, name="x", scopes=wanted, by=maker)
    with pytest.raises(NotAllowedError):
        api_keys.mint(ada.user, name="x", scopes=scopes(Action.READ), by=maker)
    with pytest.raises(NotAllowedError):
        api_keys.mint(rita.user, name="x", scopes=scopes(Action.READ), by=rita.principal)
    assert ApiKey.objects.count() == before


def test_a_key_lives_for_90_days_by_default_and_a_year_at_most(rita: Person) -> None:
    key, _ = make_key(rita.user)
    assert timedelta(days=89) < key.expires_at - timezone.now() < timedelta(days=91)
    for days in (-1, 400):
        with pytest.raises(InvalidInputError):
            make_key(rita.user, expires_at=timezone.now() + timedelta(days=days))


def test_use_is_noted_and_written_down(rita: Person, anonymous: Api) -> None:
    key, text = make_key(rita.user)
    assert Api(anonymous.client, text).get("auth/me").status_code == 200
    assert usage.flush(by=BUILDER) == 1
    assert ApiKey.objects.get(pk=key.pk).last_used_at is not None
    assert usage.flush(by=BUILDER) == 0


def test_without_the_store_a_key_still_works(rita: Person, no_valkey: None) -> None:
    _, text = make_key(rita.user)
    assert principal_of_key(text, of=DeliveryAuthentication).user_id == rita.user.pk


def test_a_key_has_no_session_to_end(rita: Person, anonymous: Api) -> None:
    _, text = make_key(rita.user)
    assert Api(anonymous.client, text).post("auth/logout").status_code == 409


@pytest.mark.parametrize("text", ["", "qk_", "qk_development", "qk_development_x_y", "qk_" + "a" * 8000])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(NotAuthenticatedError):
        api_keys.parse(text)
