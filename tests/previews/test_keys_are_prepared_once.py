"""A key is checked and prepared when it is read; a token is then verified without a question to the database."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.db import connection
from django.test.utils import CaptureQueriesContext
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from previews import sites, state, tokens
from previews.models import SigningKey
from previews.signing import halves
from previews.signing.table import tables
from tests.builders import ROOT
from tests.previews.world import World

pytestmark = pytest.mark.django_db


def jwk(scheme: Any, key: Any) -> dict[str, Any]:
    return dict(json.loads(scheme.to_jwk(key.public_key())))


@pytest.mark.parametrize(
    ("algorithm", "public"),
    [
        ("ES256", jwk(ECAlgorithm, ec.generate_private_key(ec.SECP384R1()))),
        ("ES256", jwk(RSAAlgorithm, rsa.generate_private_key(65537, 2048))),
        ("RS256", jwk(RSAAlgorithm, rsa.generate_private_key(65537, 1024))),  # noqa: S505 (it is to be refused)
        ("RS256", jwk(ECAlgorithm, ec.generate_private_key(ec.SECP256R1()))),
        ("EdDSA", jwk(ECAlgorithm, ec.generate_private_key(ec.SECP256R1()))),
        ("EdDSA", {"kty": "oct", "k": "c2VjcmV0"}),
    ],
)
def test_a_key_that_its_algorithm_refuses_verifies_nothing(algorithm: str, public: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        halves.verifier(SigningKey(algorithm=algorithm, public=public))


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256", "HS256"])
def test_a_token_is_verified_without_the_database(world: World, algorithm: str) -> None:
    sites.change(world.site, {"algorithm": algorithm}, None, by=ROOT)
    token = world.token()
    claims = tokens.verify(token)
    with CaptureQueriesContext(connection) as asked:
        assert tokens.verify(token) == claims
        assert state.known(claims.preview_id) is not None
    assert len(asked) == 0
    verifier = tables.current().verifiers[jwt.get_unverified_header(token)["kid"]]
    signed = token.rpartition(".")[0]
    assert not halves.verifies(verifier.algorithm, verifier.key, signed.encode(), b"\0" * 64)
    with pytest.raises(tokens.InvalidTokenError) as refused:
        tokens.verify(f"{signed}.AAAA")
    assert refused.value.reason == "signature"
