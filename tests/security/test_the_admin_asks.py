"""Every pattern of the admin, by GET and by POST, for everybody: what is refused changes no row (threats, E9)."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Event, Unsealed
from accounts.sign_in import middleware
from tests.accounts.cast import make_person
from tests.content.admin.conftest import sign_in
from tests.security.admin_matrix import (
    ADA,
    ADMIN,
    AUDREY,
    EVERYBODY,
    NORMAN,
    OUTSIDE,
    STAFF,
    Cast,
    Visit,
    make_cast,
    make_stage,
    visits,
)
from tests.security.world import Unchanged, leaked, routes, text_of

pytestmark = pytest.mark.django_db

# A failed sign-in is counted and logged: that is all that somebody who is not let in may ever write.
COUNTED = ("accounts_event", "accounts_unsealed", "axes_accessattempt", "axes_accessfailurelog")


@pytest.fixture
def cast(monkeypatch: pytest.MonkeyPatch) -> Cast:
    monkeypatch.setattr(middleware, "SEEN_EVERY_SECONDS", 1_000_000)
    monkeypatch.setattr("accounts.pages.frame.hit", lambda *_: None)  # so many attempts are another test's
    return make_cast()


def assert_refused(who: str, visit: Visit, browser: Client) -> None:
    answer = visit.send(browser)
    if who in OUTSIDE:
        assert answer.status_code == 302, (who, visit, answer.status_code)
        assert answer["Location"].startswith(reverse("admin:login")), (who, visit, answer["Location"])
    else:
        assert answer.status_code in {403, 404, 405}, (who, visit, answer.status_code)
    assert who in {ADA, AUDREY} or not leaked(answer), (who, visit, leaked(answer))


def test_every_pattern_of_the_admin_is_in_the_matrix(cast: Cast) -> None:
    known = {(visit.method, visit.route) for visit in visits(make_stage(0, cast.people[ADA]), 0)}
    found = {route.route.removeprefix(ADMIN) for route in routes(ADMIN)}
    assert found - {route for _, route in known} == set(), "a new page needs lines in admin_matrix.py"
    assert {route for _, route in known} - found == set()
    assert {(method, route) for route in found for method in ("GET", "POST")} - known == set()


def test_everybody_is_refused_what_is_not_theirs_and_nothing_changes(cast: Cast) -> None:
    for visit in visits(make_stage(0, cast.people[ADA]), 0):
        refused = [who for who in EVERYBODY if who not in visit.who]
        with Unchanged((visit, refused)):
            for who in refused:
                assert_refused(who, visit, cast.browsers[who])


def test_what_is_hidden_is_missing_on_every_page(cast: Cast) -> None:
    """Rows that the person may not see, and a collection that is closed: the same 404 as for nothing at all."""
    stage = make_stage(0, cast.people[ADA])
    hidden = cast.world.draft.pk, cast.world.hidden_target.pk, cast.people[ADA].user.pk
    for visit in visits(stage, 0):
        if "<str:key>" not in visit.route or visit.route.startswith("modeling/"):
            continue
        places = [visit.path.replace("content/articles/", "content/vault/")]
        if "<uuid:name>" in visit.route:
            places += [visit.path.replace(str(mine), str(name)) for mine in (stage.entry.pk, stage.lost.pk)
                       for name in hidden if str(mine) in visit.path]  # fmt: skip
        for path in places:
            other = Visit(visit.method, visit.route, path, visit.data)
            with Unchanged(other):
                for who in STAFF:
                    if who in {ADA, AUDREY}:
                        continue
                    answer = other.send(cast.browsers[who])
                    assert answer.status_code in {404, 405}, (who, other, answer.status_code)
                    assert not leaked(answer), (who, other)


def test_those_who_are_let_in_are_answered(cast: Cast) -> None:
    """The other half of the refusals: the same requests, on rows of their own, do what they are for."""
    for number, who in enumerate((*STAFF, *OUTSIDE)):
        stage = make_stage(number, cast.people.get(who, cast.people[ADA]))
        for visit in visits(stage, number):
            if who in visit.who:
                answer = visit.send(cast.browsers[who])
                outside = (200, 302, 303, 400, 404, 405) if visit.who == EVERYBODY else ()
                assert answer.status_code in {visit.status, *outside}, (who, visit, text_of(answer))
                assert who in {ADA, AUDREY} or not leaked(answer), (who, visit, leaked(answer))


def test_no_form_works_without_its_token(cast: Cast) -> None:
    """A page of somebody else's sends the cookie along, never the token (threats, G23)."""
    browser = sign_in(
        make_person("eve@example.com", roles=["administrator"], with_authenticator=True), csrf=True
    )
    for visit in visits(make_stage(0, cast.people[ADA]), 0):
        if visit.method == "POST":
            with Unchanged(visit):
                answer = visit.send(browser, Origin="https://evil.example")
                assert answer.status_code in {403, 405}, (visit, answer.status_code)


def test_a_script_outside_is_told_to_sign_in_and_no_more(cast: Cast) -> None:
    for visit in visits(make_stage(0, cast.people[ADA]), 0):
        if visit.who != EVERYBODY:
            for who in OUTSIDE:
                answer = visit.send(cast.browsers[who], **{"X-Requested-With": "quillkeep"})
                assert answer.status_code == 401, (who, visit, answer.status_code)
                assert not answer.content


def test_looking_at_the_log_without_the_right_to_seals_nothing(cast: Cast) -> None:
    """A refused request does no work of its page: rule 4 of the threats."""
    path = reverse("admin:accounts_event_changelist")
    assert Unsealed.objects.exists()
    with Unchanged("the log"):
        assert cast.browsers[NORMAN].get(path).status_code == 403
    assert cast.browsers[ADA].get(path).status_code == 200
    assert not Unsealed.objects.exists()
    assert Event.objects.filter(seal__isnull=False).exists()
