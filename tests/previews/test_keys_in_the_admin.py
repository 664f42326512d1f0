"""Signing keys in the admin: where each stands, rotating and ending them, and no private half anywhere."""

from datetime import timedelta
from typing import Any, Final

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Session
from previews.models import SigningKey
from previews.signing import life
from tests.accounts.cast import make_person
from tests.builders import ROOT
from tests.content.admin.conftest import sign_in
from tests.previews.world import World, make_site
from tests.security.world import Unchanged, text_of

pytestmark = pytest.mark.django_db
KEYS: Final = "/admin/previews/signingkey/"


@pytest.fixture
def ada(world: World) -> Client:
    return sign_in(make_person("ada@example.com", roles=["administrator"], with_authenticator=True))


def words(answer: Any) -> str:
    return text_of(answer)


def signing() -> SigningKey:
    return SigningKey.objects.get(algorithm="EdDSA", state="active")


def ripen() -> None:
    SigningKey.objects.update(created_at=timezone.now() - timedelta(hours=1))


def test_nobody_else_sees_or_changes_keys(world: World) -> None:
    ripen()
    edith, key = sign_in(world.edith), signing()
    waiting = SigningKey.objects.get(state="pending")
    paths = (KEYS, f"{KEYS}{key.pk}/change/", f"{KEYS}rotate/EdDSA/", f"{KEYS}{waiting.pk}/end/", f"{KEYS}add/",
             f"{KEYS}{key.pk}/delete/", f"{KEYS}{key.pk}/history/")  # fmt: skip
    with Unchanged():
        for path in paths:
            assert edith.get(path).status_code == 403, path
            assert edith.post(path, {"overlap_hours": "1"}).status_code == 403, path
            assert Client().post(path, {"overlap_hours": "1"}).status_code == 302, path


def test_no_page_holds_a_private_half(world: World, ada: Client) -> None:
    made = make_site("Shared", algorithm="HS256")
    life.rotate_shared(made.site, by=ROOT)
    keys = list(SigningKey.objects.all())
    paths = [KEYS, f"{KEYS}rotate/EdDSA/", f"/admin/previews/previewsite/{made.site.pk}/change/"]
    for key in keys:
        paths += [f"{KEYS}{key.pk}/change/", f"{KEYS}{key.pk}/end/"]
    for path in paths:
        answer = ada.get(path)
        assert answer.status_code == 200, path
        page = answer.content.decode()
        assert "no-store" in answer.headers["Cache-Control"] or path == KEYS
        assert made.shared_secret not in page
        for key in keys:
            assert key.private[10:40] not in page, path
    with Unchanged():
        for path in (f"{KEYS}add/", f"{KEYS}{keys[0].pk}/delete/"):
            assert ada.get(path).status_code == 403
            assert ada.post(path, {"private": "x", "state": "active", "post": "yes"}).status_code == 403
        assert (
            ada.post(f"{KEYS}{keys[0].pk}/change/", {"private": "x", "state": "revoked"}).status_code == 403
        )


def test_the_list_says_what_signs_and_until_when(world: World, ada: Client) -> None:
    ripen()
    former = signing()
    life.rotate("EdDSA", by=ROOT)
    page = ada.get(KEYS).content.decode()
    due = life.due_at(signing())
    assert due is not None
    assert f'next rotation on <time datetime="{due.isoformat()}">' in page
    for word in ("Waits", "Signs", "Verifies only"):
        assert f"</span> {word}</span>" in page
    assert page.count('<svg class="qk-life"') == 3
    detail = ada.get(f"{KEYS}{former.pk}/change/").content.decode()
    assert 'aria-current="step"><strong>Verifies what it signed</strong>' in detail
    assert f"&quot;kid&quot;: &quot;{former.pk}&quot;" in detail
    assert ada.get(f"{KEYS}{world.site.pk}/change/").status_code == 404
    assert ada.get(f"{KEYS}nothing/change/").status_code == 404


def test_an_algorithm_is_rotated_by_hand(world: World, ada: Client) -> None:
    ripen()
    former, token, path = signing(), world.token(), f"{KEYS}rotate/EdDSA/"
    assert "1 live preview was signed this way" in words(ada.get(path))
    with Unchanged():
        for hours in ("721", "-1", "", "x"):
            answer = ada.post(path, {"overlap_hours": hours})
            assert answer.status_code == 200
            assert list(answer.context["form"].errors) == ["overlap_hours"]
    assert ada.post(path, {"overlap_hours": "2"}).status_code == 302
    former.refresh_from_db()
    assert former.state == "retiring"
    assert signing().pk != former.pk
    assert world.read(token).status_code == 200
    for wrong in ("ES256", "HS256", "none"):
        assert ada.get(f"{KEYS}rotate/{wrong}/").status_code == 404


def test_a_young_key_is_rotated_to_only_when_asked_twice(world: World, ada: Client) -> None:
    path = f"{KEYS}rotate/EdDSA/"
    assert "every site knows it" in words(ada.get(path))
    with Unchanged():
        answer = ada.post(path, {"overlap_hours": "24"})
    assert "Try again in" in answer.content.decode()
    before = signing().pk
    assert ada.post(path, {"overlap_hours": "24", "at_once": "on"}).status_code == 302
    assert signing().pk != before


def test_keys_that_do_not_sign_can_be_ended(world: World, ada: Client) -> None:
    ripen()
    token, former = world.token(), signing()
    life.rotate("EdDSA", by=ROOT)
    assert "This key signs." in words(ada.get(f"{KEYS}{signing().pk}/end/"))
    answer = ada.post(f"{KEYS}{signing().pk}/end/", follow=True)
    assert "This key signs. Rotate it with no overlap" in answer.content.decode()
    assert world.read(token).status_code == 200
    assert ada.post(f"{KEYS}{former.pk}/end/").status_code == 302
    assert world.read(token).status_code == 401
    former.refresh_from_db()
    assert (former.state, former.private) == ("revoked", "")
    waiting = SigningKey.objects.get(state="pending")
    assert ada.post(f"{KEYS}{waiting.pk}/end/").status_code == 302
    assert SigningKey.objects.get(state="pending").pk != waiting.pk


def test_a_stale_factor_is_asked_for_first(world: World, ada: Client) -> None:
    ripen()
    long_ago = timezone.now() - timedelta(minutes=11)
    Session.objects.update(verified_at=long_ago, confirmed_at=long_ago)
    waiting = SigningKey.objects.get(state="pending")
    with Unchanged():
        for path in (f"{KEYS}rotate/EdDSA/", f"{KEYS}{waiting.pk}/end/"):
            answer = ada.post(path, {"overlap_hours": "1"})
            assert answer.status_code == 403
            assert "Confirm that it’s you" in answer.content.decode()
