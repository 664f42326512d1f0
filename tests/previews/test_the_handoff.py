"""The handoff: minted by an editor, exchanged by the site's server, once, within a minute; then the draft is read."""

import pytest

from content import publishing
from tests.builders import administrator, writing
from tests.previews.world import World, refusals, told

pytestmark = pytest.mark.django_db


def test_a_draft_is_seen_on_the_site_and_by_nobody_else(world: World) -> None:
    minted = world.mint()
    assert minted.status_code == 201, minted.content
    body = minted.json()
    assert body["url"] == f"https://www.example.com/api/preview?path=/blog/canary-draft&code={body['code']}"
    exchanged = world.exchange(body["code"])
    assert exchanged.status_code == 200, exchanged.content
    answer = world.read(exchanged.json()["token"])
    assert answer.status_code == 200, answer.content
    assert answer.json()["title"] == "CANARY draft"
    assert answer.headers["Cache-Control"] == "private, no-store, max-age=0"
    assert world.visitor.get(f"/api/v1/content/articles/{world.draft.pk}").status_code == 404
    assert [len(told(f"preview.{what}")) for what in ("minted", "exchanged", "opened")] == [1, 1, 1]
    assert not refusals()


def test_a_draft_has_the_form_that_readers_will_get(world: World) -> None:
    draft = world.read(world.token()).json()
    publishing.publish(world.draft.pk, writing=writing("articles"))
    public = administrator().get(f"/api/v1/content/articles/{world.draft.pk}").json()
    assert draft["body"]["html"].strip() == "<p><strong>secret plans</strong></p>"
    assert {key: draft[key] for key in public if key in draft and not key.startswith("_")} == {
        key: public[key] for key in ("title", "slug", "body", "related")
    }
