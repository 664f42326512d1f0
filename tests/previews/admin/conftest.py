"""Browsers at the admin, in the world of previews."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.accounts.cast import Person, make_person
from tests.builders import make_role
from tests.content.admin.conftest import sign_in
from tests.previews.world import World

As = Callable[..., Client]


@pytest.fixture
def edith(world: World) -> Client:
    """Edith, who may preview articles, in her browser."""
    return sign_in(Person(world.edith.user, world.edith.device))


@pytest.fixture
def ada(world: World) -> Client:
    """Ada administers, previews too."""
    return sign_in(make_person("ada@example.com", roles=["administrator"], with_authenticator=True))


@pytest.fixture
def somebody(world: World) -> As:
    """Sign in somebody who may do these things with articles."""

    def become(name: str, *actions: str, **more: Any) -> Client:
        make_role(name, {"collection": "articles", "actions": actions, **more})
        return sign_in(make_person(f"{name}@example.com", roles=[name]))

    return become
