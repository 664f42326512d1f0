"""Rotation in the middle of a session refuses no preview, in no process, by hand or by itself."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.errors import ConflictError
from previews import sites, tasks, tokens
from previews.models import SigningKey
from previews.signing import life
from previews.signing.table import Tables, tables
from previews.tokens import InvalidTokenError
from tests.builders import ROOT
from tests.previews.world import World, make_site, told

pytestmark = pytest.mark.django_db
PERIOD = timedelta(days=30)


def active(algorithm: str = "EdDSA") -> SigningKey:
    return SigningKey.objects.get(algorithm=algorithm, state="active")


def age(by: timedelta) -> None:
    """Move the life of all keys back, as if so much time had passed."""
    for key in SigningKey.objects.all():
        for name in ("created_at", "activated_at", "retires_at", "activates_at"):
            if (moment := getattr(key, name)) is not None:
                setattr(key, name, moment - by)
        key.save()


class Process:
    """What another process holds of keys: it verifies as ours does, by a table of its own."""

    def __init__(self) -> None:
        self.tables = Tables()
        self.tables.current()

    def grow_older(self, by: timedelta) -> None:
        """Let as much time pass for what it holds as `age` does for the rows."""
        self.tables._read_at -= by.total_seconds()

    def verifies(self, token: str, monkeypatch: pytest.MonkeyPatch) -> bool:
        with monkeypatch.context() as patch:
            patch.setattr(tokens, "tables", self.tables)
            try:
                tokens.verify(token)
            except InvalidTokenError:
                return False
        return True


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
def test_tokens_from_before_and_after_work_until_their_end(
    world: World, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    sites.change(world.site, {"algorithm": algorithm}, None, by=ROOT)
    tables.forget()
    age(timedelta(hours=1))
    first, second = Process(), Process()
    made: list[tuple[str, Any]] = []
    keys = [active(algorithm).pk]
    for _ in range(3):
        minted = world.mint().json()  # before, and exchanged after the rotation
        made.append((world.token(), active(algorithm).pk))
        life.rotate(algorithm, by=ROOT)
        keys.append(active(algorithm).pk)
        exchanged = world.exchange(minted["code"])
        assert exchanged.status_code == 200
        made.append((exchanged.json()["token"], active(algorithm).pk))
        for token, _ in made:
            assert world.read(token).status_code == 200
            assert first.verifies(token, monkeypatch)
            assert second.verifies(token, monkeypatch)
        age(life.JWKS_LIFE)
        for process in (first, second):
            process.grow_older(life.JWKS_LIFE)
    assert len(set(keys)) == 4
    assert len({kid for _, kid in made}) == 4
    with time_machine.travel(timezone.now() + timedelta(minutes=14), tick=False):
        assert all(first.verifies(token, monkeypatch) for token, _ in made)
    with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=False):
        assert not any(first.verifies(token, monkeypatch) for token, _ in made)


def test_a_key_signs_only_once_every_cache_of_the_jwks_has_it(world: World) -> None:
    with pytest.raises(ConflictError, match="Try again in"):
        life.rotate("EdDSA", by=ROOT)
    jwks = {key["kid"] for key in world.visitor.get("/.well-known/jwks.json").json()["keys"]}
    waiting = SigningKey.objects.get(state="pending")
    assert str(waiting.pk) in jwks
    age(life.JWKS_LIFE)
    life.rotate("EdDSA", by=ROOT)
    assert active().pk == waiting.pk
    after = {key["kid"] for key in world.visitor.get("/.well-known/jwks.json").json()["keys"]}
    assert jwks < after  # the former one too, while it verifies


def test_without_an_overlap_what_was_signed_before_is_over_in_every_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, other = world.token(), Process()
    life.rotate("EdDSA", overlap=timedelta(0), by=ROOT)
    assert world.read(token).status_code == 401  # this process had a table from before
    assert world.read(world.token()).status_code == 200
    generation = tables.current().generation
    with monkeypatch.context() as patch:
        patch.setattr(tokens, "tables", other.tables)
        with pytest.raises(InvalidTokenError):
            tokens.verify(token, at_least=generation)


@pytest.mark.parametrize("how", ["new", "on again", "another algorithm"])
def test_a_process_that_has_not_heard_of_a_site_refuses_none_of_its_previews(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Between what a process knows and what is so lie up to thirty seconds: our own signature is worth a question."""
    site, secret = world.site, world.secret
    if how == "on again":
        sites.change(site, {"state": "disabled"}, None, by=ROOT)
    if how == "another algorithm":
        make_site("Other", algorithm="ES256")  # so that its keys are known
    other = Process()
    if how == "new":
        made = make_site("New")
        site, secret = made.site, made.client_secret
    elif how == "on again":
        sites.change(site, {"state": "active"}, None, by=ROOT)
    else:
        sites.change(site, {"algorithm": "ES256"}, None, by=ROOT)
    minted = world.mint(site_id=str(site.pk))
    token = world.exchange(minted.json()["code"], secret).json()["token"]
    assert other.verifies(token, monkeypatch)


def test_the_task_rotates_what_is_due_and_nothing_before(world: World) -> None:
    age(PERIOD - timedelta(minutes=10))
    before, token = active().pk, world.token()
    tasks.keep_keys()
    assert active().pk == before
    age(timedelta(minutes=10))
    tasks.keep_keys()
    after = active()
    assert after.pk != before
    assert world.read(token).status_code == 200
    assert world.read(world.token()).status_code == 200
    former = SigningKey.objects.get(pk=before)
    assert (former.state, bool(former.private)) == ("retiring", True)
    tasks.keep_keys()
    assert active().pk == after.pk
    age(timedelta(hours=25))
    tasks.keep_keys()
    former.refresh_from_db()
    assert (former.state, former.private) == ("retired", "")
    assert [detail["because"] for detail in told("signing-key.retired")] == ["time"]


def test_a_shared_secret_goes_over_when_its_site_has_been_told(world: World) -> None:
    made = make_site("Shared", algorithm="HS256")
    world.site, world.secret = made.site, made.client_secret
    token, first = world.token(), active("HS256").pk
    life.rotate_shared(made.site, overlap=timedelta(hours=2), by=ROOT)
    tasks.keep_keys()
    assert active("HS256").pk == first
    assert world.read(world.token()).status_code == 200
    age(timedelta(hours=2))
    tasks.keep_keys()
    assert active("HS256").pk != first
    for one in (token, world.token()):
        assert world.read(one).status_code == 200
    age(timedelta(hours=3))
    tasks.keep_keys()
    assert SigningKey.objects.get(pk=first).state == "retired"


def test_who_rotates_right_after_another_is_told_to_wait(world: World) -> None:
    age(timedelta(hours=1))
    life.rotate("EdDSA", by=ROOT)
    with pytest.raises(ConflictError):
        life.rotate("EdDSA", by=ROOT)
    assert SigningKey.objects.filter(algorithm="EdDSA", state="active").count() == 1
    assert SigningKey.objects.filter(algorithm="EdDSA", state="pending").count() == 1
