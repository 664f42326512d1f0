"""Signing keys: pending, active, retiring, over; what is published of them, and what happens when none can sign."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import jwt
import pytest
from django.conf import LazySettings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from accounts.access import Principal
from accounts.errors import ConflictError, InvalidInputError, NotAllowedError, StepUpRequiredError
from accounts.keyring import KeyRing
from accounts.models import Event
from cms_project import environment
from cms_project.environment import EnvironmentFaultsError
from previews import sites
from previews.models import Preview, SigningKey
from previews.signing import halves, life
from previews.signing.table import tables
from tests import throwaway
from tests.accounts.cast import make_person
from tests.builders import ROOT
from tests.previews.forging import bytes_of, private_text
from tests.previews.world import World, make_site, refusals, told
from tests.security.world import assert_problem

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unlimited")]

JWKS: Final = "/.well-known/jwks.json"
# Whatever of a JWK is private or shared (RFC 7518, section 6; RFC 8037).
PRIVATE_MEMBERS: Final = {"d", "p", "q", "dp", "dq", "qi", "oth", "k", "r", "t"}
Act = Callable[[], Any]


def key(state: str, algorithm: str = "EdDSA") -> SigningKey:
    return SigningKey.objects.get(state=state, algorithm=algorithm)


def older(**ages: timedelta) -> None:
    """Let every key be older than it is, as if time had passed."""
    for name, by in ages.items():
        SigningKey.objects.filter(**{f"{name}__isnull": False}).update(**{name: F(name) - by})


def an_hour_passes() -> None:
    older(created_at=timedelta(hours=1), activated_at=timedelta(hours=1))


def published(world: World) -> dict[str, dict[str, str]]:
    answer = world.visitor.get(JWKS)
    assert answer.status_code == 200, answer.content
    return {item["kid"]: item for item in answer.json()["keys"]}


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


# --- One after the other --------------------------------------------------------------------------------------------


def test_a_key_is_published_before_it_signs_and_after_it_has_signed(world: World) -> None:
    first, second = key("active"), key("pending")
    assert set(published(world)) == {str(first.pk), str(second.pk)}
    before = world.token()
    assert kid_of(before) == str(first.pk)
    an_hour_passes()
    done = life.rotate("EdDSA", by=ROOT)
    third = key("pending")
    assert (done.key.pk, done.former and done.former.pk) == (second.pk, first.pk)
    assert set(published(world)) == {str(first.pk), str(second.pk), str(third.pk)}
    after = world.token()
    assert kid_of(after) == str(second.pk)
    assert world.read(before).status_code == world.read(after).status_code == 200  # both verify
    # Its overlap is over: at once, without anybody having noted it.
    SigningKey.objects.filter(pk=first.pk).update(retires_at=timezone.now())
    tables.forget()
    assert set(published(world)) == {str(second.pk), str(third.pk)}
    assert_problem(world.read(before), 401)
    assert refusals() == ["key"]
    assert world.read(after).status_code == 200
    life.keep(by=ROOT)
    first.refresh_from_db()
    assert (first.state, first.private) == ("retired", "")
    assert first.ended_at is not None
    assert first.public is not None  # what it signed can still be looked into


def test_a_process_lets_a_key_go_in_the_second_that_its_overlap_ends(world: World) -> None:
    """The table that it holds knows the end, so nobody has to tell it."""
    token = world.token()
    SigningKey.objects.filter(state="active").update(
        state="retiring", retires_at=timezone.now() + timedelta(seconds=60)
    )
    tables.forget()
    table = tables.current()
    assert world.read(token).status_code == 200
    verifier = table.verifiers[kid_of(token)]
    assert verifier.counts(timezone.now())
    assert not verifier.counts(timezone.now() + timedelta(seconds=60))


def test_a_key_that_caches_do_not_know_yet_does_not_sign(world: World) -> None:
    with pytest.raises(ConflictError, match="caches may not know it"):
        life.rotate("EdDSA", by=ROOT)
    SigningKey.objects.filter(state="pending").update(created_at=timezone.now() - life.JWKS_LIFE)
    first = key("active")
    life.rotate("EdDSA", by=ROOT)
    assert key("retiring") == first
    with pytest.raises(ConflictError, match="caches may not know it"):
        life.rotate("EdDSA", by=ROOT)
    life.rotate("EdDSA", at_once=True, by=ROOT)  # somebody knows what they do
    assert world.read(world.token()).status_code == 200


def test_a_key_without_overlap_is_over_with_everything_that_it_signed(world: World) -> None:
    token, code = world.token(), world.mint().json()["code"]
    first = key("active")
    life.rotate("EdDSA", overlap=timedelta(0), by=ROOT)
    first.refresh_from_db()
    assert (first.state, first.private) == ("revoked", "")
    assert str(first.pk) not in published(world)
    assert_problem(world.read(token), 401)
    fresh = world.exchange(code).json()["token"]  # codes are bound to no key
    assert world.read(fresh).status_code == 200


@pytest.mark.parametrize("overlap", [timedelta(seconds=1), timedelta(seconds=1799), timedelta(days=30, seconds=1), timedelta(seconds=-1), timedelta(days=-1)])  # fmt: skip
def test_no_overlap_is_shorter_than_a_token_lives(world: World, overlap: timedelta) -> None:
    an_hour_passes()
    before = set(SigningKey.objects.values_list("pk", "state"))
    with pytest.raises(InvalidInputError):
        life.rotate("EdDSA", overlap=overlap, by=ROOT)
    assert set(SigningKey.objects.values_list("pk", "state")) == before
    life.rotate("EdDSA", overlap=timedelta(minutes=30), by=ROOT)
    assert world.read(world.token()).status_code == 200


def test_which_key_may_be_ended(world: World) -> None:
    first, second = key("active"), key("pending")
    with pytest.raises(ConflictError, match="signs"):
        life.end(first, by=ROOT)
    life.end(second, by=ROOT)
    assert key("pending") not in (first, second)  # the next one is there at once
    with pytest.raises(ConflictError, match="over already"):
        life.end(second, by=ROOT)
    token = world.token()
    life.rotate("EdDSA", at_once=True, by=ROOT)
    life.end(first, by=ROOT)
    assert_problem(world.read(token), 401)
    assert world.read(world.token()).status_code == 200


def test_only_who_administers_previews_and_has_just_shown_it_touches_keys(world: World) -> None:
    ada = make_person("ada@example.com", roles=["administrator"], with_authenticator=True)
    acts: list[Callable[[Principal], object]] = [
        lambda by: life.rotate("EdDSA", at_once=True, by=by),
        lambda by: life.end(key("pending"), by=by),
        lambda by: life.rotate_shared(world.site, by=by),
        lambda by: sites.rotate_secret(world.site, by=by),
        lambda by: sites.change(world.site, {"name": "x"}, None, by=by),
        lambda by: sites.remove(world.site, by=by),
        lambda by: sites.add({"name": "x", "origins": ["https://x.example"]}, {}, by=by),
    ]
    before = set(SigningKey.objects.values_list("pk", "state"))
    for act in acts:
        with pytest.raises(NotAllowedError):
            act(world.edith.principal)
        with pytest.raises(StepUpRequiredError):
            act(ada.principal.having_confirmed("password"))
    assert set(SigningKey.objects.values_list("pk", "state")) == before
    life.rotate("EdDSA", at_once=True, by=ada.principal)
    assert set(SigningKey.objects.values_list("pk", "state")) != before


# --- By itself ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [1, 30, 90])
def test_a_key_is_replaced_when_it_is_old_enough(world: World, settings: LazySettings, days: int) -> None:
    settings.PREVIEW_KEY_ROTATION_DAYS = days
    first, second = key("active"), key("pending")
    older(created_at=timedelta(days=days), activated_at=timedelta(days=days) - timedelta(minutes=1))
    assert life.keep(by=ROOT) == []
    assert key("active") == first
    token = world.token()
    older(activated_at=timedelta(minutes=1))
    (done,) = life.keep(by=ROOT)
    assert (done.key, done.former) == (second, first)
    first.refresh_from_db()
    assert first.state == "retiring"
    assert first.retires_at is not None
    assert (
        timedelta(hours=23, minutes=59)
        < first.retires_at - timezone.now()
        <= life.OVERLAP
        == timedelta(hours=24)
    )
    assert life.keep(by=ROOT) == []  # once is enough
    assert world.read(token).status_code == world.read(world.token()).status_code == 200


def test_a_key_that_was_not_published_long_enough_waits(world: World, settings: LazySettings) -> None:
    settings.PREVIEW_KEY_ROTATION_DAYS = 1
    SigningKey.objects.filter(state="active").update(activated_at=timezone.now() - timedelta(days=40))
    assert life.keep(by=ROOT) == []
    SigningKey.objects.filter(state="pending").update(created_at=timezone.now() - life.JWKS_LIFE)
    assert len(life.keep(by=ROOT)) == 1
    assert world.read(world.token()).status_code == 200


def test_each_algorithm_that_a_site_asks_for_has_keys_of_its_own(world: World) -> None:
    for algorithm in ("ES256", "RS256"):
        assert not SigningKey.objects.filter(algorithm=algorithm).exists()
        make_site(algorithm, algorithm=algorithm)
        assert {key("active", algorithm).algorithm, key("pending", algorithm).algorithm} == {algorithm}
    make_site("Another", algorithm="ES256")
    assert SigningKey.objects.filter(algorithm="ES256").count() == 2
    an_hour_passes()
    eddsa = key("active")
    life.rotate("ES256", by=ROOT)
    assert key("active") == eddsa
    with pytest.raises(ConflictError, match="no site asks for it"):
        life.rotate("HS256", by=ROOT)
    older(created_at=timedelta(days=91), activated_at=timedelta(days=91))
    assert {done.key.algorithm for done in life.keep(by=ROOT)} == {"EdDSA", "ES256", "RS256"}
    assert world.read(world.token()).status_code == 200


def test_the_days_of_a_rotation_are_checked_at_start() -> None:
    for text in ("1", "30", "90"):
        assert environment.read(
            throwaway.values(PREVIEW_KEY_ROTATION_DAYS=text)
        ).preview_key_rotation_days == int(text)
    assert environment.read(throwaway.values()).preview_key_rotation_days == 30
    for text in ("0", "91", "-1", "canary", "1.5", "30 days", "1e1", "٣٠"):
        with pytest.raises(EnvironmentFaultsError) as caught:
            environment.read(throwaway.values(PREVIEW_KEY_ROTATION_DAYS=text))
        assert [name for name, _ in caught.value.faults] == ["PREVIEW_KEY_ROTATION_DAYS"], text
        assert "canary" not in str(caught.value)


# --- Shared secrets ---------------------------------------------------------------------------------------------------


def test_a_shared_secret_signs_once_the_site_was_told(world: World) -> None:
    made = make_site("Shared", algorithm="HS256")
    tables.forget()

    def token() -> str:
        body = world.mint(site_id=str(made.site.pk)).json()
        return str(world.exchange(body["code"], made.client_secret).json()["token"])

    before = token()
    done = life.rotate_shared(made.site, overlap=timedelta(hours=1), by=ROOT)
    assert done.secret
    assert done.secret not in (made.shared_secret, "")
    assert private_text(done.key) == done.secret
    assert kid_of(token()) != str(done.key.pk)  # not yet
    with pytest.raises(ConflictError, match="waits already"):
        life.rotate_shared(made.site, overlap=timedelta(hours=1), by=ROOT)
    assert life.keep(by=ROOT) == []
    SigningKey.objects.filter(pk=done.key.pk).update(activates_at=timezone.now())
    assert len(life.keep(by=ROOT)) == 1
    tables.forget()
    after = token()
    assert kid_of(after) == str(done.key.pk)
    assert (
        jwt.decode(after, bytes_of(done.secret), algorithms=["HS256"], audience=str(made.site.pk))["scope"]
        == "preview:read"
    )
    assert world.read(before).status_code == world.read(after).status_code == 200
    at_once = life.rotate_shared(made.site, overlap=timedelta(0), by=ROOT)
    assert_problem(world.read(after), 401)
    last = token()
    assert kid_of(last) == str(at_once.key.pk)
    with pytest.raises(ConflictError, match="no shared secret"):
        life.rotate_shared(world.site, by=ROOT)


def test_a_shared_secret_goes_with_its_site(world: World) -> None:
    made = make_site("Shared", algorithm="HS256")
    assert SigningKey.objects.filter(site=made.site).count() == 1
    sites.remove(made.site, by=ROOT)
    assert not SigningKey.objects.filter(algorithm="HS256").exists()
    assert world.read(world.token()).status_code == 200


# --- What is published ------------------------------------------------------------------------------------------------


def test_nothing_private_is_ever_published(world: World) -> None:
    shared = make_site("Shared", algorithm="HS256")
    for algorithm in ("ES256", "RS256"):
        make_site(algorithm, algorithm=algorithm)
    an_hour_passes()
    for algorithm in ("EdDSA", "ES256", "RS256"):
        life.rotate(algorithm, by=ROOT)
    life.rotate_shared(shared.site, by=ROOT)
    keys = published(world)
    assert len(keys) == 9
    members = {"EdDSA": {"crv", "x"}, "ES256": {"crv", "x", "y"}, "RS256": {"n", "e"}}
    for item in keys.values():
        assert set(item) == {"kid", "kty", "use", "alg"} | members[item["alg"]]
        assert not set(item) & PRIVATE_MEMBERS
        assert item["use"] == "sig"
    assert {item["alg"] for item in keys.values()} == set(members)
    text = world.visitor.get(JWKS).content.decode()
    for row in SigningKey.objects.all():
        assert row.private not in text
        assert (str(row.pk) in text) is (row.algorithm != "HS256")
    assert shared.shared_secret not in text


def test_the_key_set_is_kept_for_as_long_as_it_is_true(world: World) -> None:
    answer = world.visitor.get(JWKS)
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.headers["Content-Type"] == "application/json"
    assert "Set-Cookie" not in answer.headers
    etag = answer.headers["ETag"]
    again = world.visitor.get(JWKS, **{"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    assert world.visitor.get(JWKS, **{"If-None-Match": '"other"'}).status_code == 200
    head = world.visitor.request("HEAD", JWKS)
    assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", etag)
    an_hour_passes()
    life.rotate("EdDSA", by=ROOT)
    changed = world.visitor.get(JWKS, **{"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag
    SigningKey.objects.filter(state="retiring").update(retires_at=timezone.now() + timedelta(seconds=42))
    age = int(world.visitor.get(JWKS).headers["Cache-Control"].removeprefix("public, max-age="))
    assert 30 <= age <= 42  # never past the end of a key that is in it


def test_the_key_set_is_read_and_nothing_else(world: World) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert_problem(world.visitor.request(method, JWKS, {}), 401, 405)
    for query in ("?kid=x", "?x=1", "?callback=alert"):
        assert_problem(world.visitor.get(JWKS + query), 400)
    token = world.token()
    for text in (token, world.as_edith.credential, "x"):
        answer = world.visitor.get(JWKS, Authorization=f"Bearer {text}")
        assert answer.content == world.visitor.get(JWKS).content  # a credential has no part in it


def test_an_empty_house_publishes_an_empty_set(world: World) -> None:
    SigningKey.objects.all().delete()
    assert world.visitor.get(JWKS).json() == {"keys": []}


# --- None can sign ----------------------------------------------------------------------------------------------------


def no_key() -> Act:
    SigningKey.objects.filter(state="active").update(
        state="retiring", retires_at=timezone.now() + timedelta(hours=1)
    )
    return lambda: SigningKey.objects.filter(state="retiring").update(state="active", retires_at=None)


def ring_without_the_key() -> Act:
    patched = pytest.MonkeyPatch()
    patched.setattr(halves, "key_ring", lambda: KeyRing({"other": bytes(range(32))}))
    return patched.undo


def swapped_halves() -> Act:
    """Whoever can write rows must not make one key sign in the name of another."""
    one, other = key("active"), key("pending")
    SigningKey.objects.filter(pk=one.pk).update(private=other.private)
    SigningKey.objects.filter(pk=other.pk).update(private=one.private)

    def back() -> None:
        for row in (one, other):
            SigningKey.objects.filter(pk=row.pk).update(private=row.private)

    return back


def altered_half() -> Act:
    one = key("active")
    SigningKey.objects.filter(pk=one.pk).update(private=one.private[:-6] + "AAAAAA")
    return lambda: SigningKey.objects.filter(pk=one.pk).update(private=one.private)


@pytest.mark.parametrize(
    "close", [no_key, ring_without_the_key, swapped_halves, altered_half], ids=lambda f: f.__name__
)
def test_without_a_key_nothing_leaves_unsigned_and_no_code_is_lost(
    world: World, close: Callable[[], Act]
) -> None:
    token, code = world.token(), world.mint().json()["code"]
    number, events = Preview.objects.count(), Event.objects.filter(type__startswith="preview.").count()
    open_again = close()
    for answer in (world.mint(), world.exchange(code)):
        body = assert_problem(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
        assert "code" not in (set(body) & {"token", "url"})
    assert Preview.objects.count() == number
    assert Event.objects.filter(type__startswith="preview.").count() == events
    assert world.read(token).status_code == 200  # what was signed before can still be verified
    open_again()
    answer = world.exchange(code)
    assert answer.status_code == 200, answer.content
    assert world.read(answer.json()["token"]).status_code == 200
    assert world.mint().status_code == 201


def test_without_its_key_of_the_ring_a_shared_secret_verifies_nothing(world: World) -> None:
    made = make_site("Shared", algorithm="HS256")
    tables.forget()
    body = world.mint(site_id=str(made.site.pk)).json()
    token = world.exchange(body["code"], made.client_secret).json()["token"]
    mine = world.token()
    assert world.read(token).status_code == 200
    undo = ring_without_the_key()
    tables.forget()
    assert_problem(world.read(token), 401)
    assert world.read(mine).status_code == 200  # one key that can't be opened closes no other
    undo()
    tables.forget()
    assert world.read(token).status_code == 200


# --- The rows ---------------------------------------------------------------------------------------------------------


def test_private_halves_are_encrypted_and_bound_to_their_row(world: World) -> None:
    del world
    make_site("Shared", algorithm="HS256")
    for row in SigningKey.objects.all():
        assert row.private.startswith("v1.")
        assert "PRIVATE" not in row.private
        assert halves.signer(row) is not None
        assert str(row.pk) in row.context
        other = SigningKey.objects.exclude(pk=row.pk)[0]
        other.private = row.private
        with pytest.raises(Exception, match="altered, or belongs elsewhere"):
            halves.signer(other)
        assert "private" not in repr(row).lower()


def test_the_database_holds_what_is_always_so(world: World) -> None:
    del world
    active, pending = key("active"), key("pending")
    shared = make_site("Shared", algorithm="HS256")
    secret = SigningKey.objects.get(site=shared.site)
    wrong: list[tuple[SigningKey, dict[str, object]]] = [
        (pending, {"state": "active"}),
        (active, {"state": "pending"}),
        (active, {"state": "revoked"}),  # with its private half
        (active, {"private": ""}),
        (active, {"public": None}),
        (active, {"algorithm": "HS256"}),
        (active, {"site": shared.site}),
        (secret, {"site": None}),
        (secret, {"algorithm": "EdDSA"}),
        (secret, {"public": {"kty": "oct"}}),
    ]
    for row, columns in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            SigningKey.objects.filter(pk=row.pk).update(**columns)


def test_what_happens_to_keys_is_in_the_log_without_them(world: World) -> None:
    an_hour_passes()
    life.rotate("EdDSA", by=ROOT)
    life.end(key("retiring"), by=ROOT)
    types = {event.type for event in Event.objects.filter(type__startswith="signing-key.")}
    assert types == {
        "signing-key.created",
        "signing-key.activated",
        "signing-key.retiring",
        "signing-key.revoked",
    }
    text = json.dumps(list(Event.objects.values_list("detail", flat=True)))
    for row in SigningKey.objects.exclude(private=""):
        assert row.private not in text
        assert row.public is not None
        assert row.public["x"] not in text
    assert told("signing-key.revoked") == [{"algorithm": "EdDSA", "because": "asked"}]
    (event,) = Event.objects.filter(type="signing-key.revoked")
    assert SigningKey.objects.get(pk=UUID(event.subject_id)).state == "revoked"
    assert world.read(world.token()).status_code == 200
