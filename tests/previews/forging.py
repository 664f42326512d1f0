"""Tokens as an attacker would write them: any bytes as header and claims, signed by any key or by none."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from accounts.keyring import key_ring
from previews.models import SigningKey
from previews.signing import halves

MISSING: Final = object()
ALGORITHMS: Final = get_default_algorithms()


def text_of(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def bytes_of(part: str) -> bytes:
    """Return what a part of a token stands for."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def dumped(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def compact(header: object, claims: object, algorithm: str, key: Any) -> str:
    """Return a compact JWS of any header and any claims (bytes are taken as they are); `none` signs with nothing."""
    signed = f"{text_of(dumped(header))}.{text_of(dumped(claims))}"
    if algorithm == "none":
        return signed + "."
    return f"{signed}.{text_of(ALGORITHMS[algorithm].sign(signed.encode(), key))}"


def changed(before: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a copy with other members; MISSING takes one away."""
    return {name: value for name, value in {**before, **changes}.items() if value is not MISSING}


@dataclass
class Forge:
    """A good token taken apart, with the very key that signed it."""

    token: str
    header: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    key: Any = None

    def __post_init__(self) -> None:
        header, claims, _ = self.token.split(".")
        self.header, self.claims = json.loads(bytes_of(header)), json.loads(bytes_of(claims))
        self.key = halves.signer(SigningKey.objects.get(pk=UUID(self.header["kid"])))

    @property
    def algorithm(self) -> str:
        return str(self.header["alg"])

    def with_claims(self, **changes: Any) -> str:
        """Return the token with other claims, truly signed."""
        return compact(self.header, changed(self.claims, **changes), self.algorithm, self.key)

    def with_header(self, **changes: Any) -> str:
        """Return the token with another header, truly signed."""
        return compact(changed(self.header, **changes), self.claims, self.algorithm, self.key)

    def with_bytes(self, header: object = None, claims: object = None) -> str:
        """Return the token with these very bytes as header or claims, truly signed."""
        return compact(
            self.header if header is None else header,
            self.claims if claims is None else claims,
            self.algorithm,
            self.key,
        )

    @property
    def signature(self) -> str:
        return self.token.rpartition(".")[2]


def foreign_key(algorithm: str) -> Any:
    """Return a new private key of an algorithm, which nobody here knows."""
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return b"0123456789abcdef0123456789abcdef"


def private_text(key: SigningKey) -> str:
    """Return the text of a shared secret as its site has it: base64url, as the member `k` of a JWK."""
    return text_of(key_ring().decrypt(key.private, context=key.context))


def jwks_key(jwks: Mapping[str, Any], kid: str) -> Any:
    """Return a key of a JWKS as PyJWT reads it."""
    return jwt.PyJWKSet.from_dict(dict(jwks))[kid].key
