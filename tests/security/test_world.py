"""The attacks' own ground: samples for everything there is."""

import pytest

from content import fields
from tests.security.world import CANARIES, SAMPLES, leaked, make_world

pytestmark = pytest.mark.django_db


def test_every_field_type_has_a_sample() -> None:
    assert set(fields.REGISTRY) <= set(SAMPLES)


def test_the_canaries_are_there_to_be_found() -> None:
    world = make_world()
    root = world.apis["administrator"]
    found = {
        canary
        for path in ("content/articles", "manage/content/articles", "manage/content/vault")
        for canary in leaked(root.get(f"/api/v1/{path}"))
    }
    assert found == set(CANARIES)
