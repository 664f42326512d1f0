"""The register in the admin: one's own previews, everybody's for who administers them, and ending them."""

from datetime import timedelta
from typing import Final
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.access import Area
from accounts.rights import granting
from previews.models import Preview
from tests.accounts.cast import Person, make_person
from tests.builders import ROOT, make_entry, make_role
from tests.content.admin.conftest import sign_in
from tests.previews.world import World, make_site, told
from tests.security.world import Unchanged

pytestmark = pytest.mark.django_db
REGISTER: Final = "/admin/previews/preview/"


@pytest.fixture
def ada(world: World) -> Client:
    return sign_in(make_person("ada@example.com", roles=["administrator"], with_authenticator=True))


@pytest.fixture
def other(world: World) -> Person:
    """Walter edits too."""
    return make_person("walter@example.com", roles=["editor"], with_authenticator=True)


def minted(world: World, by: Person | None = None) -> Preview:
    answer = world.mint(by=by.sign_in() if by else None)
    return Preview.objects.get(pk=answer.json()["jti"])


def test_everybody_sees_their_own_and_no_more(world: World, ada: Client, other: Person) -> None:
    mine, theirs = minted(world), minted(world, other)
    edith = sign_in(world.edith)
    page = edith.get(REGISTER).content.decode()
    assert "<h1>My previews</h1>" in page
    assert f"{REGISTER}{mine.pk}/change/" in page
    assert str(theirs.pk) not in page
    assert "walter@example.com" not in page
    assert "column-person" not in page
    missing = uuid4()
    for path in ("change/", "history/"):
        hidden, nothing = (edith.get(f"{REGISTER}{pk}/{path}") for pk in (theirs.pk, missing))
        assert hidden.status_code == nothing.status_code == 404, path
        assert hidden.content.replace(str(theirs.pk).encode(), b"") == nothing.content.replace(
            str(missing).encode(), b""
        )
    page = ada.get(REGISTER).content.decode()
    assert "<h1>Previews</h1>" in page
    for preview in (mine, theirs):
        assert f"{REGISTER}{preview.pk}/change/" in page
        assert ada.get(f"{REGISTER}{preview.pk}/change/").status_code == 200
    assert "walter@example.com" in page


def test_who_may_preview_nothing_has_no_such_page(world: World) -> None:
    make_role("reader", {"collection": "articles", "actions": ("read", "read_draft")})
    rita, preview = sign_in(make_person("rita@example.com", roles=["reader"])), minted(world)
    for path in (REGISTER, f"{REGISTER}{preview.pk}/change/"):
        assert rita.get(path).status_code == 403
    assert rita.get("/admin/previews/").status_code == 404
    with Unchanged():
        assert rita.post(f"{REGISTER}{preview.pk}/revoke/").status_code == 403
        ticked = {"action": "revoke", "_selected_action": str(preview.pk)}
        assert rita.post(REGISTER, ticked).status_code == 403
        assert Client().post(f"{REGISTER}{preview.pk}/revoke/").status_code == 302
    assert "My previews" not in rita.get("/admin/").content.decode()
    assert "My previews" in sign_in(world.edith).get("/admin/").content.decode()
    assert sign_in(world.edith).get("/admin/previews/").status_code == 200


def test_nobody_ends_a_preview_of_somebody_else_without_the_area(
    world: World, ada: Client, other: Person
) -> None:
    theirs = minted(world, other)
    edith = sign_in(world.edith)
    with Unchanged():
        assert edith.post(f"{REGISTER}{theirs.pk}/revoke/").status_code == 404
        edith.post(REGISTER, {"action": "revoke", "_selected_action": str(theirs.pk)})
    assert ada.post(f"{REGISTER}{theirs.pk}/revoke/").status_code == 302
    theirs.refresh_from_db()
    assert theirs.state == "revoked"
    assert told("preview.revoked") == [{"because": "asked"}]


def test_one_and_many_are_ended_at_once(world: World, ada: Client) -> None:
    token = world.token()
    preview = Preview.objects.get()
    edith = sign_in(world.edith)
    assert edith.get(f"{REGISTER}{preview.pk}/revoke/").status_code == 405
    assert edith.post(f"{REGISTER}{preview.pk}/revoke/").status_code == 302
    assert world.read(token).status_code == 401
    tokens = [world.token() for _ in range(3)]
    ticked = [str(pk) for pk in Preview.objects.values_list("pk", flat=True)]
    answer = ada.post(REGISTER, {"action": "revoke", "_selected_action": ticked}, follow=True)
    assert "3 revoked." in answer.content.decode()
    assert all(world.read(one).status_code == 401 for one in tokens)
    answer = ada.post(REGISTER, {"action": "revoke", "_selected_action": ticked}, follow=True)
    assert "over already" in answer.content.decode()


def test_nothing_of_the_register_can_be_changed(world: World, ada: Client) -> None:
    preview = minted(world)
    with Unchanged():
        for path in ("add/", f"{preview.pk}/delete/"):
            assert ada.get(f"{REGISTER}{path}").status_code == 403
            assert ada.post(f"{REGISTER}{path}", {"post": "yes"}).status_code == 403
        assert ada.post(f"{REGISTER}{preview.pk}/change/", {"expires_at_0": "2099-01-01"}).status_code == 403
        ada.post(REGISTER, {"action": "delete_selected", "_selected_action": str(preview.pk), "post": "yes"})


def test_an_entry_is_named_only_to_who_may_read_its_draft(world: World, ada: Client) -> None:
    preview = minted(world)
    edith = sign_in(world.edith)
    for browser in (ada, edith):
        for path in (REGISTER, f"{REGISTER}{preview.pk}/change/"):
            page = browser.get(path).content.decode()
            assert "CANARY draft" in page
            assert f"/admin/content/articles/{world.draft.pk}/change/?locale=en" in page
    granting.add_role("keeper", "Keeper", areas=(Area.PREVIEWS,), by=ROOT)
    keeper = sign_in(make_person("kim@example.com", roles=["keeper"], with_authenticator=True))
    for path in (REGISTER, f"{REGISTER}{preview.pk}/change/"):
        page = keeper.get(path).content.decode()
        assert "CANARY" not in page
        assert str(world.draft.pk) in page
        assert "/admin/content/articles/" not in page


def test_it_is_filtered_and_searched_by_whole_ids(world: World, ada: Client, other: Person) -> None:
    old, live = minted(world), minted(world, other)
    Preview.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(minutes=1))
    make_site("Unused")

    def found(query: str, browser: Client = ada) -> set[object]:
        return {row.pk for row in browser.get(f"{REGISTER}?{query}").context["cl"].result_list}

    both = {old.pk, live.pk}
    assert found("") == both
    assert found("state=live") == {live.pk}
    assert found("state=expired") == {old.pk}
    assert found("state=revoked") == found("state=opened") == set()
    assert found(f"site={world.site.pk}") == both
    assert found(f"site={uuid4()}") == found("site=x") == set()
    assert found(f"person={other.user.pk}") == {live.pk}
    assert found(f"q={old.pk}") == {old.pk}
    assert found(f"q={world.draft.pk}") == both
    assert found(f"q={str(old.pk)[:8]}") == set()
    assert "Unused" not in ada.get(REGISTER).content.decode()
    edith = sign_in(world.edith)
    assert found(f"q={live.pk}", edith) == set()
    assert found(f"person={other.user.pk}", edith) == {old.pk}  # there is no such filter for her
    assert found("e=1") == both


def test_the_list_asks_a_fixed_number_of_questions(world: World, ada: Client) -> None:
    minted(world)
    ada.get(REGISTER)
    with CaptureQueriesContext(connection) as few:
        ada.get(REGISTER)
    for number in range(4):
        entry = make_entry("articles", title=f"More {number}", published=False)
        world.mint(entry_id=str(entry.pk))
    with CaptureQueriesContext(connection) as many:
        page = ada.get(REGISTER).content.decode()
    assert page.count("action-select") >= 5
    assert len(many) <= len(few)


def test_where_it_was_opened_is_told(world: World, ada: Client) -> None:
    token = world.token()
    agent = {"User-Agent": "Site <b>server</b>"}
    assert world.read(token, None, "", **agent).status_code == 200
    preview = Preview.objects.get()
    page = ada.get(f"{REGISTER}{preview.pk}/change/").content.decode()
    assert "with <bdi>Site &lt;b&gt;server&lt;/b&gt;</bdi>" in page
    assert "from 127.0.0.1" in page
