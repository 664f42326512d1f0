"""The secrets of an endpoint as people see them: where each stands in its life, and how a receiver verifies by them."""

from datetime import datetime
from typing import Any, Final

from django.utils import timezone

from accounts.keys.usage import ago
from webhooks.models import Endpoint, EndpointSecret
from webhooks.models.endpoint import Scheme

_PYTHON: Final = """\
import os

from standardwebhooks import Webhook

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
# The raw bytes as they came, before anything parses them. Raises WebhookVerificationError.
event = webhook.verify(request.body, dict(request.headers))
"""
_JAVASCRIPT: Final = """\
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
// The raw text as it came, before anything parses it. Throws WebhookVerificationError.
const event = webhook.verify(await request.text(), Object.fromEntries(request.headers));
"""
# The library knows v1 alone. While a key is changed over there are two signatures: one of them must be right.
_PYTHON_V1A: Final = """\
import json, os, time
from base64 import b64decode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

public = os.environ["WEBHOOK_PUBLIC_KEY"].removeprefix("whpk_")
key = Ed25519PublicKey.from_public_bytes(b64decode(public))
headers = request.headers
at = headers["webhook-timestamp"]
if abs(time.time() - int(at)) > 300:
    raise ValueError("too old, or too early")
signed = f"{headers['webhook-id']}.{at}.".encode() + request.body
for item in headers["webhook-signature"].split():
    scheme, _, signature = item.partition(",")
    try:
        if scheme == "v1a":
            key.verify(b64decode(signature), signed)
            break
    except InvalidSignature:
        continue
else:
    raise ValueError("the signature is wrong")
event = json.loads(request.body)
"""
_JAVASCRIPT_V1A: Final = """\
const raw = Buffer.from(process.env.WEBHOOK_PUBLIC_KEY.slice("whpk_".length), "base64");
const key = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
const header = (name) => request.headers.get(`webhook-${name}`) ?? "";
if (!(Math.abs(Date.now() / 1000 - Number(header("timestamp"))) < 300)) throw new Error("too old, or too early");
const body = await request.text();
const signed = new TextEncoder().encode(`${header("id")}.${header("timestamp")}.${body}`);
const items = header("signature").split(" ").filter((item) => item.startsWith("v1a,"));
const verify = (item) => crypto.subtle.verify("Ed25519", key, Buffer.from(item.slice(4), "base64"), signed);
if (!(await Promise.all(items.map(verify))).includes(true)) throw new Error("the signature is wrong");
const event = JSON.parse(body);
"""


def lines(endpoint: Endpoint, secret: str) -> list[str]:
    """Return the line that the receiver's environment needs, ready to copy."""
    return [f"{'WEBHOOK_PUBLIC_KEY' if endpoint.algorithm == Scheme.V1A else 'WEBHOOK_SECRET'}={secret}"]


def snippets(endpoint: Endpoint) -> list[tuple[str, str]]:
    """Return how a receiver verifies a delivery, by language."""
    if endpoint.algorithm == Scheme.V1A:
        return [("Python", _PYTHON_V1A), ("JavaScript", _JAVASCRIPT_V1A)]
    return [("Python", _PYTHON), ("JavaScript", _JAVASCRIPT)]


def lives(endpoint: Endpoint) -> list[dict[str, Any]]:
    """Return the secrets that deliveries are signed with now, the newest first. Nothing secret is loaded."""
    now = timezone.now()
    found = EndpointSecret.objects.signing(now).filter(endpoint=endpoint).defer("private")
    return [
        {
            "scheme": secret.algorithm,
            "public": secret.public,
            "made": secret.created_at,
            "age": ago(secret.created_at),
            "ends": secret.retires_at if secret.state == EndpointSecret.State.RETIRING else None,
        }
        for secret in found
    ]


def overlap_end(endpoint: Endpoint) -> datetime | None:
    """Return until when the former secret still signs."""
    return next((item["ends"] for item in lives(endpoint) if item["ends"] is not None), None)
