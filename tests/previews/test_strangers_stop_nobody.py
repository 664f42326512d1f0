"""What strangers send to a site, or to us, keeps no editor from a preview: quotas are theirs, not ours (threats, D)."""

from dataclasses import replace
from typing import Any

import pytest

from accounts import limits
from accounts.access import Action
from accounts.limits import Policy
from previews import handoff, register, secrets
from previews.api import edge
from previews.models import Preview
from tests.accounts.cast import Api as PersonsApi
from tests.accounts.cast import make_key, make_person
from tests.builders import ROOT
from tests.content.admin.conftest import sign_in
from tests.previews.world import World, refusals
from tests.security.world import Unchanged, assert_problem

pytestmark = pytest.mark.django_db


def quota(patched: pytest.MonkeyPatch, **values: Any) -> None:
    patched.setattr(edge.ExchangeThrottle, "policy", replace(edge.EXCHANGES, **values))


@pytest.mark.parametrize("limit", [{"quota": 1}, {"overall": 1}])
def test_a_code_that_waits_is_taken_however_many_were_made_up(
    world: World, monkeypatch: pytest.MonkeyPatch, limit: dict[str, int]
) -> None:
    code = world.mint().json()["code"]
    quota(monkeypatch, **limit)
    assert_problem(world.exchange(secrets.new(secrets.CODE)), 401)
    assert_problem(world.exchange(secrets.new(secrets.CODE)), 429)
    answer = world.exchange(code)
    assert answer.status_code == 200, answer.content
    assert_problem(world.exchange(code), 429)  # it waits no more


@pytest.mark.parametrize("body", [None, [], "x", {}, {"code": 1}, {"code": "x" * 5000}])
def test_what_is_no_code_is_too_much_like_any_other(
    world: World, monkeypatch: pytest.MonkeyPatch, body: Any
) -> None:
    quota(monkeypatch, quota=1)
    world.exchange(secrets.new(secrets.CODE))
    assert_problem(world.visitor.post("/api/v1/previews/exchange", body), 429)


def test_a_code_that_waits_is_no_key_to_guess_secrets_with(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = world.mint().json()["code"]
    quota(monkeypatch, quota=1)
    monkeypatch.setattr(edge, "WAITING", replace(edge.WAITING, quota=2))
    world.exchange(secrets.new(secrets.CODE))
    wrong = secrets.new(secrets.CLIENT_SECRET)
    assert [world.exchange(code, wrong).status_code for _ in range(3)] == [401, 401, 429]


def test_bad_tokens_of_a_sites_visitors_keep_no_good_one_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FAILURES", Policy("failures", quota=1, fails_open=True))
    token = world.token()
    assert [world.read("nonsense").status_code for _ in range(3)] == [401, 429, 429]
    assert world.read(token).status_code == 200  # this process never saw it before


def test_a_preview_that_is_over_is_held_for_itself_and_for_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FAILURES", Policy("failures", quota=2, fails_open=True))
    over, good = world.token(), world.token()
    register.revoke(Preview.objects.order_by("pk")[0].pk, by=ROOT)
    assert [world.read(over).status_code for _ in range(4)] == [401, 401, 429, 429]
    assert world.read(good).status_code == 200
    assert refusals() == ["revoked"] * 4


def test_one_person_fills_no_register_by_the_api_nor_by_the_admin(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handoff, "MINTS", replace(handoff.MINTS, quota=2))
    browser = sign_in(world.edith)
    sent = {"entry": str(world.draft.pk), "site": str(world.site.pk)}
    assert world.mint().status_code == 201
    assert browser.post("/admin/previews/open/", sent).status_code == 200
    with Unchanged():
        answer = world.mint()
        assert_problem(answer, 429)
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        for headers in ({}, {"X-Requested-With": "quillkeep"}):
            refused = browser.post("/admin/previews/open/", sent, headers=headers)
            assert refused.status_code == 429
            assert int(refused.headers["Retry-After"]) >= 1
    sam = make_person("sam@example.com", roles=["editor"], with_authenticator=True).sign_in()
    assert world.mint(by=sam).status_code == 201
    _, key = make_key(world.edith.user, (None, Action.READ_DRAFT), (None, Action.PREVIEW))
    assert world.mint(by=PersonsApi(world.visitor.client, key)).status_code == 201
