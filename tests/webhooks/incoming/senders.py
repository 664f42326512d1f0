"""Senders as others write them: Standard Webhooks by its own library, the rest after the public pages of each."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client
from standardwebhooks import Webhook

JSON = "application/json"


def encoded(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def at_now(at: float | None) -> int:
    return int(time.time() if at is None else at)


def standard(
    body: bytes, secret: str, *, message_id: str = "msg_1", at: float | None = None
) -> dict[str, str]:
    """Sign with the published library."""
    when = datetime.fromtimestamp(at_now(at), tz=UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_now(at)),
        "webhook-signature": Webhook(secret).sign(msg_id=message_id, timestamp=when, data=body.decode()),
    }


def raw_standard(
    body: bytes, secret: str, *, message_id: str = "msg_1", at: float | None = None
) -> dict[str, str]:
    """Sign what the library would not: bodies that are no text."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{message_id}.{at_now(at)}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_now(at)),
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


def asymmetric(
    body: bytes, private: Ed25519PrivateKey, *, message_id: str = "msg_1", at: float | None = None
) -> dict[str, str]:
    signature = private.sign(f"{message_id}.{at_now(at)}.".encode() + body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_now(at)),
        "webhook-signature": "v1a," + base64.b64encode(signature).decode(),
    }


def github(body: bytes, secret: str, *, delivery: str = "d1") -> dict[str, str]:
    mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-GitHub-Event": "push", "X-GitHub-Delivery": delivery, "X-Hub-Signature-256": f"sha256={mac}"}


def stripe(body: bytes, secret: str, *, at: float | None = None) -> dict[str, str]:
    mac = hmac.new(secret.encode(), f"{at_now(at)}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={at_now(at)},v0={'0' * 64},v1={mac}"}


def slack(body: bytes, secret: str, *, at: float | None = None) -> dict[str, str]:
    base = b":".join([b"v0", str(at_now(at)).encode(), body])
    mac = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(at_now(at)), "X-Slack-Signature": f"v0={mac}"}


def generic(body: bytes, secret: str, *, at: float | None = None, message_id: str = "m1") -> dict[str, str]:
    """Sign as the options GENERIC say."""
    content = f"{message_id}|{at_now(at)}|".encode() + body
    mac = base64.b64encode(hmac.new(secret.encode(), content, hashlib.sha512).digest()).decode()
    return {"X-Id": message_id, "X-Time": str(at_now(at)), "X-Sign": f"sig {mac}"}


GENERIC: dict[str, Any] = {
    "header": "X-Sign",
    "encoding": "base64",
    "prefix": "sig ",
    "algorithm": "sha512",
    "timestamp_header": "X-Time",
    "id_header": "X-Id",
    "signed": "{id}|{timestamp}|{body}",
}


@dataclass
class Sender:
    """Somebody who posts to a source, from an address of their own."""

    name: str
    address: str = "192.0.2.10"

    def post(self, body: bytes, headers: dict[str, str], *, content_type: str = JSON, **extra: Any) -> Any:
        client = Client(raise_request_exception=False, REMOTE_ADDR=self.address)
        return client.generic(
            "POST", f"/hooks/in/{self.name}", body, content_type=content_type, headers=headers, **extra
        )
