"""An authenticator in software (WebAuthn Level 2): it makes passkeys, shows them, and does one thing wrong when told."""

import base64
import hashlib
import json
import os
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def raw(base64url: str) -> bytes:
    return base64.urlsafe_b64decode(base64url + "=" * (-len(base64url) % 4))


@dataclass
class SoftAuthenticator:
    """Holds one passkey. What is set to something else than by default is what it does wrong."""

    origin: str = "http://testserver"
    rp_id: str = "testserver"
    flags: int = UP | UV
    type_create: str = "webauthn.create"
    type_get: str = "webauthn.get"
    challenge: str | None = None
    client: dict[str, Any] = field(default_factory=dict)
    algorithm: int = -7
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    user_handle: bytes | None = None
    sign_count: int = 0
    counts: bool = False
    key: Any = None

    def __post_init__(self) -> None:
        if self.key is None:
            self.key = ec.generate_private_key(ec.SECP256R1())

    def create(self, options: dict[str, Any]) -> str:
        """Answer `navigator.credentials.create`."""
        self.user_handle = self.user_handle or raw(options["user"]["id"])
        attested = bytes(16) + struct.pack(">H", len(self.credential_id)) + self.credential_id + self._cose()
        data = self._authenticator_data(self.flags | AT) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": text(self._client_data(self.type_create, options)),
            "attestationObject": text(attestation),
            "transports": ["internal", "made-up"],
        }
        return self._credential(response)

    def get(self, options: dict[str, Any]) -> str:
        """Answer `navigator.credentials.get`."""
        if self.counts:
            self.sign_count += 1
        client = self._client_data(self.type_get, options)
        data = self._authenticator_data(self.flags)
        response = {
            "clientDataJSON": text(client),
            "authenticatorData": text(data),
            "signature": text(self._sign(data + hashlib.sha256(client).digest())),
            "userHandle": text(self.user_handle) if self.user_handle is not None else None,
        }
        return self._credential(response)

    def _credential(self, response: dict[str, Any]) -> str:
        return json.dumps(
            {
                "id": text(self.credential_id),
                "rawId": text(self.credential_id),
                "type": "public-key",
                "response": response,
                "clientExtensionResults": {},
            }
        )

    def _client_data(self, kind: str, options: dict[str, Any]) -> bytes:
        data = {
            "type": kind,
            "challenge": self.challenge or options["challenge"],
            "origin": self.origin,
            "crossOrigin": False,
        }
        return json.dumps(data | self.client).encode()

    def _authenticator_data(self, flags: int) -> bytes:
        return hashlib.sha256(self.rp_id.encode()).digest() + struct.pack(">BI", flags, self.sign_count)

    def _cose(self) -> bytes:
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            x = self.key.public_key().public_bytes_raw()
            return cbor2.dumps({1: 1, 3: self.algorithm, -1: 6, -2: x})
        if isinstance(self.key, rsa.RSAPrivateKey):
            numbers = self.key.public_key().public_numbers()
            return cbor2.dumps(
                {1: 3, 3: self.algorithm, -1: numbers.n.to_bytes(256), -2: numbers.e.to_bytes(3)}
            )
        point = self.key.public_key().public_numbers()
        return cbor2.dumps(
            {1: 2, 3: self.algorithm, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)}
        )

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(data)
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), SHA256())
        signature: bytes = self.key.sign(data, ec.ECDSA(SHA256()))
        return signature
