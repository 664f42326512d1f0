"""Setting sources up by API: each fault at its place, secrets in one answer only, and nobody gives more than they hold."""

import base64
import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.utils import timezone

from accounts import people
from accounts.access import Action, Area, Scopes
from accounts.models import ApiKey, Event, User
from accounts.rights import granting
from content import modeling
from content.schema import current
from tests.accounts.cast import make_person
from tests.builders import ROOT, Api, administrator, anonymous, make_key, make_role, make_user
from tests.security.world import assert_problem
from tests.webhooks.incoming import senders
from tests.webhooks.incoming.senders import Sender
from tests.webhooks.incoming.world import SAVE, SECRET, STANDARD_SECRET, World, make_source, send, told
from webhooks.incoming import processing, tasks
from webhooks.models import Receipt, Source, SourceSecret

pytestmark = pytest.mark.django_db
AT = "/api/v1/manage/webhooks/sources"
RECEIPTS = "/api/v1/manage/webhooks/receipts"


@pytest.fixture
def ada(world: World) -> Api:
    return administrator()


def base(**changes: Any) -> dict[str, Any]:
    return {"key": "shop", "scheme": "standard", "action": {"do": "record"}, **changes}


def faults(answer: Any) -> set[tuple[str, str]]:
    return {(item["pointer"], item["code"]) for item in assert_problem(answer, 400)["errors"]}


def test_a_source_is_set_up_and_its_secret_is_in_that_answer_alone(ada: Api, world: World) -> None:
    answer = ada.post(AT, base(action=SAVE, account=str(world.account.pk)))
    assert answer.status_code == 201, answer.content
    made = answer.json()
    secret = made.pop("secret")
    assert answer.headers["Cache-Control"] == "no-store"
    assert made["action"] == SAVE
    assert made["url"].endswith("/hooks/in/shop")
    assert [row["state"] for row in made["secrets"]] == ["active"]
    body = b'{"data": {"sku": "A", "title": "B"}}'
    assert Sender("shop").post(body, senders.standard(body, secret)).status_code == 202
    told_later = [
        ada.get(AT).content,
        ada.get(f"{AT}/shop").content,
        json.dumps([event.detail for event in Event.objects.all()]).encode(),
    ]
    assert all(secret.encode() not in text for text in told_later)
    assert ada.get(f"{AT}/shop").json() | {"last_used_at": None} == made | {"last_used_at": None}
    assert told("source.created") == [
        {"key": "shop", "scheme": "standard", "do": "create_or_update", "account": str(world.account.pk)}
    ]


def test_a_secret_that_others_made_is_taken_and_never_told(ada: Api) -> None:
    for scheme in ("stripe", "slack"):
        assert faults(ada.post(AT, base(key=scheme, scheme=scheme))) == {("/secret", "required")}
        answer = ada.post(AT, base(key=scheme, scheme=scheme, secret=SECRET))
        assert answer.status_code == 201
        assert "secret" not in answer.json()
        body = {"id": "evt_1", "event_id": "Ev"}
        assert send(scheme, scheme, body).status_code == 202


@pytest.mark.parametrize(
    ("scheme", "secret"),
    [
        ("standard", ""),
        ("standard", "whsec_"),
        ("standard", "whsec_" + base64.b64encode(b"x").decode()),
        ("standard", "whsec_" + base64.b64encode(b"x" * 23).decode()),
        ("standard", "whsec_" + base64.b64encode(b"x" * 65).decode()),
        ("standard", "whsec_not base64!"),
        ("standard", "whsec_é"),
        ("standard", "whpk_" + base64.b64encode(b"x" * 31).decode()),
        ("github", "short"),
        ("github", "x" * 15),
        ("github", "with a blank in the middle"),
        ("hmac", "é" * 20),
        ("stripe", "x" * 257),
        ("slack", "tab\tinside-of-it-all"),
    ],
)
def test_a_secret_that_is_too_weak_or_none_is_refused_and_not_repeated(
    ada: Api, scheme: str, secret: str
) -> None:
    options = {"options": {"header": "X-Sign"}} if scheme == "hmac" else {}
    answer = ada.post(AT, base(scheme=scheme, secret=secret, **options))
    assert {place for place, _ in faults(answer)} == {"/secret"}
    assert not secret or len(secret) < 8 or secret not in answer.content.decode()
    assert not Source.objects.exists()


@pytest.mark.parametrize(
    "key",
    [
        "00" * 32,
        "00" * 31 + "80",
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
    ],
)
def test_a_public_key_under_which_anybody_could_sign_is_refused(ada: Api, key: str) -> None:
    raw = bytes.fromhex(key)
    forged = False
    for number in range(200):  # a signature that was made without any key
        with suppress(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(raw).verify(b"\x01" + bytes(63), f"{number}".encode())
            forged = True
    assert forged
    answer = ada.post(AT, base(secret="whpk_" + base64.b64encode(raw).decode()))
    assert faults(answer) == {("/secret", "invalid")}
    assert not Source.objects.exists()


def test_a_standard_secret_may_come_without_its_prefix(ada: Api) -> None:
    assert ada.post(AT, base(secret=STANDARD_SECRET.removeprefix("whsec_"))).status_code == 201
    assert send("shop", "standard", {}).status_code == 202


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"key": "Shop"}, ("/key", "invalid")),
        ({"key": "1shop"}, ("/key", "invalid")),
        ({"key": "x" * 42}, ("/key", "invalid")),
        ({"key": "a\nb"}, ("/key", "invalid")),
        ({"scheme": "basic"}, ("/scheme", "invalid-choice")),
        ({"state": "on"}, ("/state", "invalid-choice")),
        ({"more": 1}, ("/more", "unknown-key")),
        ({"options": {"header": "X"}}, ("/options/header", "unknown-key")),
        ({"options": {"tolerance_seconds": 29}}, ("/options/tolerance_seconds", "out-of-range")),
        ({"options": {"tolerance_seconds": 901}}, ("/options/tolerance_seconds", "out-of-range")),
        ({"options": {"tolerance_seconds": True}}, ("/options/tolerance_seconds", "out-of-range")),
        (
            {"scheme": "github", "options": {"tolerance_seconds": 60}},
            ("/options/tolerance_seconds", "unknown-key"),
        ),
        ({"schema": {"type": "nothing"}}, ("/schema", "invalid-schema")),
        ({"schema": {"$ref": "https://example.com/schema"}}, ("/schema/$ref", "invalid-schema")),
        ({"schema": {"description": "x" * 70_000}}, ("/schema", "too-long")),
        ({"action": {}}, ("/action/do", "invalid-choice")),
        ({"action": {"do": "delete"}}, ("/action/do", "invalid-choice")),
        ({"action": {"do": ["record"]}}, ("/action/do", "invalid-choice")),
        ({"action": {"do": "record", "collection": "articles"}}, ("/action/collection", "unknown-key")),
        ({"action": SAVE}, ("/account", "required")),
        ({"account": "0190aaaa-0000-7000-8000-000000000000"}, ("/account", "unknown-account")),
        ({"role": "nobody"}, ("/role", "unknown-role")),
        ({"role": "administrator"}, ("/role", "too-powerful")),
    ],
)
def test_each_fault_is_told_at_its_place(ada: Api, change: Any, expected: tuple[str, str]) -> None:
    assert expected in faults(ada.post(AT, base(**change)))
    assert not Source.objects.exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("/options/header", "required")),
        ({"header": "X Sign"}, ("/options/header", "invalid")),
        ({"header": "X-Sign\r\nX-Other"}, ("/options/header", "invalid")),
        ({"header": "Content-Length"}, ("/options/header", "invalid")),
        ({"header": 7}, ("/options/header", "invalid")),
        ({"header": "X", "encoding": "base32"}, ("/options/encoding", "invalid-choice")),
        ({"header": "X", "algorithm": "md5"}, ("/options/algorithm", "invalid-choice")),
        ({"header": "X", "prefix": "x" * 41}, ("/options/prefix", "invalid")),
        ({"header": "X", "prefix": "a\x00b"}, None),
        ({"header": "X", "tolerance_seconds": 60}, ("/options/tolerance_seconds", "not-possible")),
        (
            {"header": "X", "timestamp_header": "T", "signed": "{body}"},
            ("/options/timestamp_header", "not-signed"),
        ),
        ({"header": "X", "id_header": "I"}, ("/options/id_header", "not-signed")),
        ({"header": "X", "signed": "{timestamp}.{body}"}, ("/options/timestamp_header", "required")),
        ({"header": "X", "signed": "{id}.{body}"}, ("/options/id_header", "required")),
        ({"header": "X", "signed": "{body}{body}"}, ("/options/signed", "invalid")),
        ({"header": "X", "signed": "nothing"}, ("/options/signed", "invalid")),
        ({"header": "X", "signed": "{url}{body}"}, ("/options/signed", "invalid")),
        ({"header": "X", "signed": "{{body}"}, ("/options/signed", "invalid")),
        (
            {"header": "X", "timestamp_header": "T", "signed": "{timestamp}{body}"},
            ("/options/signed", "ambiguous"),
        ),
        (
            {"header": "X", "timestamp_header": "T", "signed": "v1{timestamp}.{body}"},
            ("/options/signed", "ambiguous"),
        ),
        ({"header": "X", "id_pointer": "event"}, ("/options/id_pointer", "invalid")),
        ({"header": "X", "id_pointer": "/~2"}, ("/options/id_pointer", "invalid")),
        (
            {"header": "X", "id_header": "I", "signed": "{id}.{body}", "id_pointer": "/id"},
            ("/options/id_pointer", "not-possible"),
        ),
        ({"header": "X", "secret": "x"}, ("/options/secret", "unknown-key")),
    ],
)
def test_an_hmac_of_one_s_own_proves_what_it_says_or_is_refused(
    ada: Api, options: Any, expected: Any
) -> None:
    answer = ada.post(AT, base(scheme="hmac", options=options))
    if expected is None:
        assert_problem(answer, 400)
    else:
        assert expected in faults(answer)
    assert not Source.objects.exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"collection": "nothing"}, ("/action/collection", "unknown-collection")),
        ({"collection": "vault"}, ("/action/collection", "unknown-collection")),  # hidden from the account
        ({"collection": 7}, ("/action/collection", "unknown-collection")),
        ({"locale": "xx"}, ("/action/locale", "unknown-locale")),
        ({"locale": "de"}, ("/action/locale", "not-localized")),
        ({"locale": ["en"]}, ("/action/locale", "invalid")),
        ({"match": None}, ("/action/match", "invalid")),
        ({"match": {"field": "sku"}}, ("/action/match", "invalid")),
        ({"match": {"field": "kind", "pointer": "/x"}}, ("/action/match/field", "not-unique")),
        ({"match": {"field": "none", "pointer": "/x"}}, ("/action/match/field", "unknown-field")),
        ({"match": {"field": "sku", "pointer": "x"}}, ("/action/match/pointer", "invalid")),
        ({"mapping": {}}, ("/action/mapping", "invalid")),
        ({"mapping": ["title"]}, ("/action/mapping", "invalid")),
        ({"mapping": {"none": "/x"}}, ("/action/mapping/none", "unknown-field")),
        (
            {"mapping": {"wage": "/x"}},
            ("/action/mapping/wage", "unknown-field"),
        ),  # personal: hidden from the account
        ({"mapping": {"title": "x"}}, ("/action/mapping/title", "invalid")),
        ({"mapping": {"title": "/~"}}, ("/action/mapping/title", "invalid")),
        ({"mapping": {"title": "/" + "x" * 500}}, ("/action/mapping/title", "invalid")),
        ({"mapping": {"title": {"value": 1, "more": 2}}}, ("/action/mapping/title", "invalid")),
        ({"mapping": {"price": {"value": "x"}}}, ("/action/mapping/price/value", "invalid-type")),
        ({"publish": "yes"}, ("/action/publish", "invalid")),
        ({"more": 1}, ("/action/more", "unknown-key")),
    ],
)
def test_an_action_is_checked_against_the_collection_and_the_account(
    ada: Api, world: World, change: Any, expected: Any
) -> None:
    answer = ada.post(AT, base(action={**SAVE, **change}, account=str(world.account.pk)))
    assert expected in faults(answer)


def test_an_account_needs_the_right_to_each_thing_that_is_done(ada: Api, world: World) -> None:
    make_role("author", {"collection": "articles", "actions": ("create", "read_draft")})
    author = people.add_service("Author", roles=["author"], by=ROOT)
    answer = ada.post(AT, base(action=SAVE, account=str(author.pk)))
    assert ("/action/do", "not-allowed") in faults(answer)
    details = " ".join(item["detail"] for item in answer.json()["errors"])
    assert "update" in details
    assert "publish" in details
    action = {"do": "create", "collection": "articles", "mapping": {"title": "/t"}}
    assert ada.post(AT, base(action=action, account=str(author.pk))).status_code == 201


def test_another_account_may_not_do_what_the_former_one_did(ada: Api, world: World) -> None:
    make_source("shop", action=SAVE, account=str(world.account.pk))
    make_role("author", {"collection": "articles", "actions": ("create", "read_draft")})
    author = people.add_service("Author", roles=["author"], by=ROOT)
    for change in ({"account": str(author.pk)}, {"role": "author"}):
        assert ("/action/do", "not-allowed") in faults(ada.patch(f"{AT}/shop", change))
    make_user(roles=("administrator",))  # somebody has to be left
    off = people.add_service("Off", roles=["importer"], by=ROOT)
    people.change_user(off, is_active=False, by=ROOT)
    assert ("/account", "unknown-account") in faults(ada.patch(f"{AT}/shop", {"account": str(off.pk)}))
    assert Source.objects.get().account == world.account
    other = people.add_service("Other", roles=["importer"], by=ROOT)
    assert ada.patch(f"{AT}/shop", {"account": str(other.pk)}).status_code == 200


def test_people_and_administrators_are_nobody_a_source_acts_as(ada: Api, world: World) -> None:
    person = make_user(roles=("importer",))
    assert ("/account", "unknown-account") in faults(ada.post(AT, base(account=str(person.pk))))
    powerful = people.add_service("Powerful", roles=["administrator"], by=ROOT)
    root = make_person("root@example.com", roles=["administrator"], with_authenticator=True).sign_in()
    answer = root.post("manage/webhooks/sources", base(account=str(powerful.pk)))
    assert ("/account", "too-powerful") in faults(answer)
    # Who doesn't hold what it holds is told the same: that nobody may, rather than that they may not.
    assert ("/account", "too-powerful") in faults(ada.post(AT, base(account=str(powerful.pk))))


def test_with_a_role_a_service_account_is_made(ada: Api, world: World) -> None:
    answer = ada.post(AT, base(action=SAVE, role="importer"))
    assert answer.status_code == 201, answer.content
    account = User.objects.get(pk=answer.json()["account"])
    assert account.is_service
    assert account.role_keys == ("importer",)


# --- Rights -----------------------------------------------------------------------------------------------------------


def key_of(*roles: str) -> Api:
    return make_key(owner=make_user(roles=roles))


def test_nobody_makes_a_source_act_as_more_than_they_are(world: World) -> None:
    granting.add_role("hooks", "Hooks", areas=[Area.WEBHOOKS], by=ROOT)
    hooks, both = key_of("hooks"), key_of("hooks", "importer")
    acting = base(action=SAVE, account=str(world.account.pk))
    assert_problem(hooks.post(AT, acting), 403)
    assert_problem(hooks.post(AT, base(action=SAVE, role="importer")), 403)
    assert not Source.objects.exists()
    assert both.post(AT, acting).status_code == 201
    # What exists already is no way around it: who could give it another secret could be its account.
    for answer in (
        hooks.post(f"{AT}/shop/rotate-secret", {}),
        hooks.patch(f"{AT}/shop", {"action": {"do": "record"}}),
        hooks.patch(f"{AT}/shop", {"options": {"tolerance_seconds": 900}}),
        hooks.patch(f"{AT}/shop", {"account": None, "action": {"do": "record"}}),
    ):
        assert_problem(answer, 403)
    assert hooks.patch(f"{AT}/shop", {"schema": {}}).status_code == 403
    assert hooks.get(f"{AT}/shop").status_code == 200
    assert hooks.delete(f"{AT}/shop").status_code == 204  # taking away gives nothing


def test_without_the_area_nothing_is_there(world: World) -> None:
    make_source("shop")
    send("shop", "standard", {})
    receipt = Receipt.objects.get()
    importer = key_of("importer")
    for client, status in ((anonymous(), 401), (importer, 403)):
        for method, path, body in (
            ("GET", AT, None), ("POST", AT, base(key="other")), ("GET", f"{AT}/shop", None), ("PATCH", f"{AT}/shop", {}),
            ("DELETE", f"{AT}/shop", None), ("POST", f"{AT}/shop/rotate-secret", {}), ("GET", RECEIPTS, None),
            ("GET", f"{RECEIPTS}/{receipt.pk}", None), ("POST", f"{RECEIPTS}/{receipt.pk}/retry", {}),
        ):  # fmt: skip
            assert_problem(client.request(method, path, body), status)
    assert Source.objects.count() == 1


def test_changes_need_a_step_up_and_looking_does_not(world: World) -> None:
    make_source("shop")
    person = make_person("ada@example.com", roles=["administrator"], with_authenticator=True)
    with time_machine.travel(timezone.now()) as clock:
        api = person.sign_in()
        clock.shift(11 * 60)
        api = type(api)(api.client, api.post("auth/refresh", {"refresh": api.refresh}).json()["access"])
        at = "manage/webhooks/sources"
        assert api.get(at).status_code == 200
        for answer in (
            api.post(at, base(key="other")), api.patch(f"{at}/shop", {"schema": {}}), api.delete(f"{at}/shop"),
            api.post(f"{at}/shop/rotate-secret"), api.patch(f"{at}/shop", {"state": "disabled"}),
        ):  # fmt: skip
            assert (answer.status_code, answer.json()["code"]) == (403, "step-up-required")
        assert api.post("auth/step-up", {"otp": person.code(), "reason": "a new partner"}).status_code < 300
        assert api.post(at, base(key="other")).status_code == 201
    assert told("source.created")[-1]["reason"] == "a new partner"


def test_a_key_needs_the_scope(world: World) -> None:
    owner = make_user(roles=("administrator",))
    scopes = Scopes(frozenset({(None, Action.READ)}), frozenset({Area.PREVIEWS}))
    assert_problem(make_key(owner=owner, scopes=scopes).get(AT), 403)
    scopes = Scopes(frozenset(), frozenset({Area.WEBHOOKS}))
    assert make_key(owner=owner, scopes=scopes).get(AT).status_code == 200
    assert ApiKey.objects.count() == 2


# --- Life -------------------------------------------------------------------------------------------------------------


def test_a_source_is_changed_switched_off_and_removed(ada: Api, world: World) -> None:
    ada.post(AT, base(secret=STANDARD_SECRET))
    schema = {"type": "object", "required": ["a"]}
    changed = ada.patch(f"{AT}/shop", {"schema": schema, "options": {"tolerance_seconds": 60}})
    assert (changed.json()["schema"], changed.json()["options"]) == (schema, {"tolerance_seconds": 60})
    assert told("source.updated")[-1]["changed"] == ["options", "schema"]
    assert ada.patch(f"{AT}/shop", {"schema": None}).json()["schema"] is None
    assert faults(ada.patch(f"{AT}/shop", {"scheme": "github"})) == {("/scheme", "unknown-key")}
    assert faults(ada.patch(f"{AT}/shop", {"key": "other"})) == {("/key", "unknown-key")}
    assert ada.patch(f"{AT}/shop", {"state": "disabled"}).json()["state"] == "disabled"
    assert_problem(send("shop", "standard", {"a": 1}), 401)
    assert ada.patch(f"{AT}/shop", {"state": "active"}).json()["state"] == "active"
    assert send("shop", "standard", {"a": 1}).status_code == 202
    assert ada.delete(f"{AT}/shop").status_code == 204
    assert_problem(ada.get(f"{AT}/shop"), 404)
    assert_problem(send("shop", "standard", {"a": 1}), 401)
    assert (Receipt.objects.count(), SourceSecret.objects.count()) == (0, 0)
    kinds = [
        event.type
        for event in Event.objects.filter(subject_type="source")
        .exclude(type="source.refused")
        .order_by("at", "pk")
    ]
    assert kinds == [
        "source.created",
        "source.updated",
        "source.updated",
        "source.disabled",
        "source.enabled",
        "source.deleted",
    ]


def test_a_change_that_fails_changes_nothing(ada: Api, world: World) -> None:
    ada.post(AT, base())
    before = ada.get(f"{AT}/shop").json()
    assert_problem(
        ada.patch(f"{AT}/shop", {"state": "disabled", "schema": {"type": 1}, "options": {"x": 1}}), 400
    )
    assert ada.get(f"{AT}/shop").json() == before


def test_a_key_that_is_refused_says_what_a_key_is(ada: Api) -> None:
    (fault,) = ada.post(AT, base() | {"key": "my-shop"}).json()["errors"]
    assert fault["detail"].startswith("Small letters, digits and _")


def test_two_sources_have_two_keys(ada: Api) -> None:
    assert ada.post(AT, base()).status_code == 201
    assert faults(ada.post(AT, base())) == {("/key", "not-unique")}


def test_a_secret_is_rotated_and_the_old_one_erased_at_its_end(ada: Api) -> None:
    ada.post(AT, base())
    answer = ada.post(f"{AT}/shop/rotate-secret", {"overlap_hours": 1})
    assert answer.json()["secret"].startswith("whsec_")
    assert {row["state"] for row in answer.json()["secrets"]} == {"retiring", "active"}
    assert faults(ada.post(f"{AT}/shop/rotate-secret", {"overlap_hours": 721})) == {
        ("/overlap_hours", "max-value")
    }
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        tasks.forget_receipts()
    assert sorted((row.state, bool(row.secret)) for row in SourceSecret.objects.all()) == [
        ("active", True),
        ("retired", False),
    ]
    assert told("source.secret-retired") == [{"key": "shop"}]


def test_a_source_of_a_collection_that_is_gone_is_still_shown(ada: Api, world: World) -> None:
    ada.post(AT, base(action=SAVE, account=str(world.account.pk)))
    spec = current().by_key["articles"]
    modeling.delete_collection(spec.id, confirm=True, by=ROOT)
    assert ada.get(f"{AT}/shop").json()["action"]["collection"] == str(spec.id)
    assert ada.patch(f"{AT}/shop", {"action": {"do": "record"}}).status_code == 200


# --- Receipts ---------------------------------------------------------------------------------------------------------


def test_receipts_are_listed_and_shown_without_what_is_secret(ada: Api, world: World) -> None:
    make_source("shop", action=SAVE, account=str(world.account.pk))
    make_source("store")
    payload = {
        "data": {"sku": "A-1", "price": "x"}, "token": "CANARY", "user": {"password": "CANARY", "email": "canary@example.com"},
        "note": "Bearer CANARY whsec_CANARY sk_live_CANARY", "long": "x" * 5000,
    }  # fmt: skip
    send("shop", "standard", payload)
    send("store", "standard", {"a": 1})
    failed, done = Receipt.objects.order_by("pk")
    processing.carry_out(failed.pk)
    listed = ada.get(RECEIPTS).json()["data"]
    assert [(row["source"], row["state"]) for row in listed] == [("store", "done"), ("shop", "failed")]
    assert [row["id"] for row in ada.get(f"{RECEIPTS}?source=shop").json()["data"]] == [str(failed.pk)]
    assert [row["id"] for row in ada.get(f"{RECEIPTS}?state=done").json()["data"]] == [str(done.pk)]
    assert_problem(ada.get(f"{RECEIPTS}?state=other"), 400)
    assert_problem(ada.get(f"{RECEIPTS}?reason=x"), 400)
    first = ada.get(f"{RECEIPTS}?limit=1").json()
    assert len(ada.get(f"{RECEIPTS}?limit=1&cursor={first['meta']['next_cursor']}").json()["data"]) == 1
    shown = ada.get(f"{RECEIPTS}/{failed.pk}").json()
    assert shown["errors"] == [{"pointer": "/price", "code": "invalid-type"}]
    assert "CANARY" not in shown["body"]
    assert "canary@" not in shown["body"]
    assert '"sku": "A-1"' in shown["body"]
    assert len(shown["body"]) == 4097
    assert_problem(ada.get(f"{RECEIPTS}/0190aaaa-0000-7000-8000-000000000000"), 404)


def test_a_body_is_for_those_who_are_no_less_than_the_account(world: World) -> None:
    """The area of webhooks alone is no way to read what becomes entries, nor is a key that is cut down to it."""
    granting.add_role("hooks", "Hooks", areas=[Area.WEBHOOKS], by=ROOT)
    make_source("shop", action=SAVE, account=str(world.account.pk))
    make_source("store")
    send("shop", "standard", {"data": {"sku": "CANARY"}})
    send("store", "standard", {"a": "seen"})
    of_shop, of_store = Receipt.objects.order_by("pk")
    scopes = Scopes(frozenset(), frozenset({Area.WEBHOOKS}))
    narrow = make_key(owner=make_user(roles=("administrator",)), scopes=scopes)
    for client, sees in ((key_of("hooks"), False), (narrow, False), (key_of("hooks", "importer"), True)):
        answer = client.get(f"{RECEIPTS}/{of_shop.pk}")
        assert answer.status_code == 200
        assert ("CANARY" in answer.content.decode()) is sees
        assert (answer.json()["body"] is not None) is sees
        assert "seen" in client.get(f"{RECEIPTS}/{of_store.pk}").json()["body"]


def test_what_failed_is_tried_again_by_hand(ada: Api, world: World) -> None:
    make_source("shop", action=SAVE, account=str(world.account.pk))
    send("shop", "standard", {"data": {"sku": "A-1"}})
    receipt = Receipt.objects.get()
    processing.carry_out(receipt.pk)
    answer = ada.post(f"{RECEIPTS}/{receipt.pk}/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "waiting")
    assert_problem(ada.post(f"{RECEIPTS}/{receipt.pk}/retry"), 409)


def test_the_lists_cost_the_same_for_one_and_for_many(ada: Api, world: World) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def cost(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert ada.get(path).status_code == 200
        return len(queries)

    make_source("shop")
    send("shop", "standard", {})
    ada.get(AT)
    few = cost(AT), cost(RECEIPTS)
    for number in range(5):
        make_source(f"s{number}")
        send("shop", "standard", {}, message_id=f"m{number}x")
    assert (cost(AT), cost(RECEIPTS)) == few
