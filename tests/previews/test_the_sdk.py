"""The package for sites: by its own tests, and with the real server, its tokens verified by `jose`."""

import pytest

from previews.models.signing_key import Algorithm
from tests.previews import node
from tests.previews.world import World, make_site
from tests.processes import LiveServer

pytestmark = pytest.mark.django_db


def test_its_own_tests_pass() -> None:
    folder = node.built_sdk()
    node.run(folder, "npm", "run", "typecheck")
    told = node.run(folder, "npx", "vitest", "run")
    assert "passed" in told


@pytest.mark.parametrize("algorithm", Algorithm.values)
def test_it_works_with_the_real_server(algorithm: str, world: World, web_server: LiveServer) -> None:
    folder = node.built_sdk()
    made = make_site(f"By {algorithm}", algorithm=algorithm)
    codes = [world.mint(site_id=str(made.site.pk)).json()["code"] for _ in range(2)]
    environment = {
        "QUILLKEEP_URL": web_server.public_url,
        "QUILLKEEP_SITE_ID": str(made.site.pk),
        "QUILLKEEP_CLIENT_SECRET": made.client_secret,
        "QUILLKEEP_CODES": ",".join(codes),
        "QUILLKEEP_COLLECTION": "articles",
        "QUILLKEEP_ENVIRONMENT": "development",
        "QUILLKEEP_ALGORITHM": algorithm,
    }
    if made.shared_secret:
        environment["QUILLKEEP_SHARED_SECRETS"] = made.shared_secret
    told = node.run(folder, "npx", "vitest", "run", "test/live.test.ts", **environment)
    assert "2 passed" in told, told
