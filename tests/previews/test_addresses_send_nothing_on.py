"""Who looks after sites and not after content learns nothing of drafts by the addresses that they are sent to."""

from typing import Any

import pytest

from accounts.access import Area, Principal
from accounts.errors import InvalidInputError
from accounts.rights import granting
from previews import sites
from tests.builders import ROOT, allow, principal
from tests.previews.world import World

pytestmark = pytest.mark.django_db

ELSEWHERE = "https://mallory.example"


@pytest.fixture
def keeper(world: World) -> Principal:
    granting.add_role("keeper", "Keeper", areas=(Area.PREVIEWS,), by=ROOT)
    return principal("keeper")


def send(world: World, by: Principal, url: str, **values: Any) -> list[str]:
    """Send a site's addresses elsewhere, and return the codes of what was refused."""
    try:
        sites.change(
            world.site, {"origins": [ELSEWHERE], **values}, {"articles": {"de": ELSEWHERE + url}}, by=by
        )
    except InvalidInputError as error:
        return [f"{problem.pointer} {problem.code}" for problem in error.errors]
    return []


@pytest.mark.parametrize("url", ["/?path=/{slug}", "/{title}"])
def test_a_field_that_one_may_not_read_is_sent_nowhere(world: World, keeper: Principal, url: str) -> None:
    assert send(world, keeper, url) == ["/handoff_urls/articles/de not-readable"]
    assert send(world, keeper, "/?path=/{_locale}/{_id}") == []
    allow("keeper", collection="articles", actions=("read", "read_draft"))
    assert send(world, principal("keeper"), url) == []


@pytest.mark.parametrize(
    "narrow", [{"fields": ("title",)}, {"filter": {"_created_by": {"eq": "$user"}}}, {"actions": ("read",)}]
)
def test_nor_is_one_that_is_read_in_some_drafts_only(world: World, keeper: Principal, narrow: Any) -> None:
    allow("keeper", collection="articles", **{"actions": ("read", "read_draft"), **narrow})
    assert send(world, principal("keeper"), "/{slug}") == ["/handoff_urls/articles/de not-readable"]


def test_addresses_that_were_there_stay_and_their_values_go_nowhere_else(
    world: World, keeper: Principal
) -> None:
    urls = sites.shown_urls(world.site)
    sites.change(world.site, {"name": "Renamed"}, urls, by=keeper)
    for given in (None, urls):
        with pytest.raises(InvalidInputError):
            sites.change(world.site, {"cdn_origin": ELSEWHERE}, given, by=keeper)
    sites.change(world.site, {"cdn_origin": ""}, None, by=keeper)
