"""Making keys of each algorithm, and turning their stored halves into what PyJWT takes."""

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import algorithms

from accounts.keyring import key_ring
from previews.models.signing_key import Algorithm, SigningKey

SECRET_BYTES: Final = 32  # of a shared secret (RFC 7518, section 3.2: as many as the hash has at least)
RSA_BITS: Final = 3072

_NEW: Final[Mapping[str, Callable[[], Any]]] = {
    Algorithm.EDDSA: ed25519.Ed25519PrivateKey.generate,
    Algorithm.ES256: lambda: ec.generate_private_key(ec.SECP256R1()),
    Algorithm.RS256: lambda: rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS),
}
_OURS: Final[Mapping[str, type[Any]]] = {
    Algorithm.EDDSA: algorithms.OKPAlgorithm,
    Algorithm.ES256: algorithms.ECAlgorithm,
    Algorithm.RS256: algorithms.RSAAlgorithm,
}
_SCHEMES: Final[Mapping[str, algorithms.Algorithm]] = {
    name: scheme for name, scheme in algorithms.get_default_algorithms().items() if name in Algorithm.values
}


def fill(key: SigningKey) -> str:
    """Give a new row its halves. Returns the text of a shared secret, and "" for all others: they never leave."""
    if key.algorithm == Algorithm.HS256:
        secret = secrets.token_bytes(SECRET_BYTES)
        key.private = key_ring().encrypt(secret, context=key.context)
        return base64.urlsafe_b64encode(secret).rstrip(b"=").decode()  # as the member `k` of a JWK
    private = _NEW[key.algorithm]()
    stored = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key.private = key_ring().encrypt(stored, context=key.context)
    public = json.loads(_OURS[key.algorithm].to_jwk(private.public_key()))
    key.public = {
        "kid": str(key.pk),
        "use": "sig",
        "alg": key.algorithm,
        **{name: value for name, value in public.items() if name in ("kty", "crv", "x", "y", "n", "e")},
    }
    return ""


def foreign(algorithm: str) -> Any:
    """Return what signs with a key that nobody knows: such a signature must be refused everywhere."""
    return secrets.token_bytes(SECRET_BYTES) if algorithm == Algorithm.HS256 else _NEW[algorithm]()


def signer(key: SigningKey) -> Any:
    """Return what PyJWT signs with. Raises KeyRingError when the ring can't open it."""
    stored = key_ring().decrypt(key.private, context=key.context)
    if key.algorithm == Algorithm.HS256:
        return stored
    return serialization.load_der_private_key(stored, password=None)


def verifier(key: SigningKey) -> Any:
    """Return what `verifies` takes: prepared once, for many tokens.

    Raises KeyRingError for a shared secret that the ring can't open, ValueError for a key that its algorithm refuses.
    """
    scheme = _SCHEMES[key.algorithm]
    try:
        given = signer(key) if key.algorithm == Algorithm.HS256 else _OURS[key.algorithm].from_jwk(key.public)
        prepared = scheme.prepare_key(given)
    except jwt.PyJWTError as error:
        raise ValueError("The key is none of its algorithm.") from error
    if fault := scheme.check_key_length(prepared):
        raise ValueError(fault)
    return prepared


def verifies(algorithm: str, key: Any, signed: bytes, signature: bytes) -> bool:
    """Tell whether a signature is right, by a key's own algorithm: what a token says of its own has no say."""
    return bool(_SCHEMES[algorithm].verify(signed, key, signature))
