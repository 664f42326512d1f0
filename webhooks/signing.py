"""Signatures of Standard Webhooks 1.0.0: HMAC-SHA256 (`v1`) and Ed25519 (`v1a`) over `{id}.{timestamp}.{body}`."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accounts.keyring import key_ring
from webhooks.models import EndpointSecret
from webhooks.models.endpoint import Scheme

SECRET: Final = "whsec_"  # noqa: S105 (a prefix)
PRIVATE: Final = "whsk_"
PUBLIC: Final = "whpk_"
SECRET_BYTES: Final = 32
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """A secret that was opened, for one batch of deliveries."""

    algorithm: str
    key: bytes  # of v1 the shared secret, of v1a the 32 bytes of the private key

    def sign(self, content: bytes) -> str:
        """Return one signature of the list: `v1,…` or `v1a,…`."""
        if self.algorithm == Scheme.V1A:
            made = Ed25519PrivateKey.from_private_bytes(self.key).sign(content)
        else:
            made = hmac.digest(self.key, content, hashlib.sha256)
        return f"{self.algorithm},{base64.b64encode(made).decode()}"


def fill(secret: EndpointSecret) -> str:
    """Make the key of a new row, and return what the receiver is given: the secret, or the public key."""
    if secret.algorithm == Scheme.V1A:
        private = Ed25519PrivateKey.generate()
        raw = private.private_bytes_raw()
        secret.public = PUBLIC + base64.b64encode(private.public_key().public_bytes_raw()).decode()
        told = secret.public
    else:
        raw = secrets.token_bytes(SECRET_BYTES)
        told = SECRET + base64.b64encode(raw).decode()
    secret.private = key_ring().encrypt(raw, context=secret.context)
    return told


def opened(secret: EndpointSecret) -> Signer:
    """Return the signer of a row. Raises KeyRingError when its key is gone from the ring."""
    return Signer(secret.algorithm, key_ring().decrypt(secret.private, context=secret.context))


def secret_bytes(text: str) -> bytes:
    """Return the bytes of a `whsec_…` text. Raises ValueError for what is none."""
    try:
        return base64.b64decode(text.removeprefix(SECRET), validate=True)
    except binascii.Error as error:
        raise ValueError("not a secret") from error


def headers(message_id: str, at: datetime, body: bytes, signers: Iterable[Signer]) -> dict[str, str]:
    """Return the three headers of an attempt; it is signed with each of the secrets, the newest first."""
    timestamp = str(int(at.timestamp()))
    content = f"{message_id}.{timestamp}.".encode() + body
    return {
        ID: message_id,
        TIMESTAMP: timestamp,
        SIGNATURE: " ".join(signer.sign(content) for signer in signers),
    }
