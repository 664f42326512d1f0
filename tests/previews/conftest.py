"""The world of these tests, made once a worker."""

from collections.abc import Iterator

import pytest

from previews.signing.table import tables
from tests.arranged import arranged
from tests.previews.world import World, make_world


@pytest.fixture
def world(_django_db_helper: None) -> Iterator[World]:
    """Articles, a site, and Edith, who is signed in."""
    tables.forget()
    yield arranged("previews", make_world)
    tables.forget()
