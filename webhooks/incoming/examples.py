"""A request that a source would send, as lines for a shell: to try a source out, and to see how it is signed."""

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from content import schema
from webhooks.incoming.options import Signed, signed_of
from webhooks.incoming.sources import address_of
from webhooks.models import Source
from webhooks.models.source import Scheme

_BODY: Final[Mapping[Scheme, Mapping[str, Any]]] = {
    Scheme.STRIPE: {"id": "evt_test_1", "type": "test", "data": {}},
    Scheme.SLACK: {"event_id": "EvTest1", "type": "event_callback"},
}
# What stands for a value of a kind of field in an example.
_VALUES: Final[Mapping[str, Any]] = {
    "integer": 1,
    "decimal": "1.00",
    "boolean": True,
    "date": "2026-01-31",
    "datetime": "2026-01-31T09:00:00Z",
    "url": "https://www.example.com/",
    "email": "somebody@example.com",
}
_POST: Final = "curl -X POST '{url}' -H 'Content-Type: application/json' {headers} --data-binary \"$body\""


def lines_for(source: Source) -> list[str]:
    """Return the lines; the secret is a variable of the shell, and stands in none of them."""
    body = _body(source).replace("'", "'\\''")  # as it stands between single quotes of a shell
    lines = ["secret='…'  # the secret of this source", f"body='{body}'"]
    if source.scheme == Scheme.STANDARD:
        made, headers = _standard()
    elif source.scheme == Scheme.GITHUB:
        made = [f"mac=$({_mac('$body')})"]
        headers = ["X-Hub-Signature-256: sha256=$mac"]
    elif source.scheme == Scheme.STRIPE:
        made = ["t=$(date +%s)", f"mac=$({_mac('$t.$body')})"]
        headers = ["Stripe-Signature: t=$t,v1=$mac"]
    elif source.scheme == Scheme.SLACK:
        made = ["t=$(date +%s)", f"mac=$({_mac('v0:$t:$body')})"]
        headers = ["X-Slack-Request-Timestamp: $t", "X-Slack-Signature: v0=$mac"]
    else:
        made, headers = _of_one_s_own(signed_of(source.options))
    options = " ".join(f'-H "{header}"' for header in headers)
    return [*lines, *made, _POST.format(url=address_of(source), headers=options)]


def _body(source: Source) -> str:
    """Return a payload that has something at each place that the action looks at."""
    payload: dict[str, Any] = dict(_BODY.get(Scheme(source.scheme), {"type": "test", "data": {}}))
    action = source.action
    collection = schema.current().by_id.get(UUID(action["collection"])) if "collection" in action else None
    places = {
        field_id: place for field_id, place in action.get("mapping", {}).items() if isinstance(place, str)
    }
    if "match" in action:
        places[action["match"]["field"]] = action["match"]["pointer"]
    for field_id, place in places.items():
        spec = collection.by_id.get(UUID(field_id)) if collection is not None else None
        _put(payload, place, _VALUES.get(spec.type, "example") if spec is not None else "example")
    if "when" in action:
        _put(payload, action["when"]["pointer"], action["when"]["in"][0])
    return json.dumps(payload, ensure_ascii=False)


def _put(payload: dict[str, Any], pointer: str, value: Any) -> None:
    """Put a value at a place, where objects alone lead to it."""
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]] or [""]
    for name in way:
        inner = payload.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        payload = inner
    if pointer:
        payload[last] = value


def _standard() -> tuple[list[str], list[str]]:
    key = "key=$(printf %s \"${secret#whsec_}\" | base64 -d | od -An -v -tx1 | tr -d ' \\n')"
    mac = 'printf %s "$id.$t.$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64'
    headers = ["webhook-id: $id", "webhook-timestamp: $t", "webhook-signature: v1,$mac"]
    return ["id=msg_$(date +%s) t=$(date +%s)", key, f"mac=$({mac})"], headers


def _of_one_s_own(signed: Signed) -> tuple[list[str], list[str]]:
    names = {"{id}": "${id}", "{timestamp}": "${t}", "{body}": "${body}"}  # a letter may stand right behind
    content = "".join(names.get(part, _quoted(part)) for part in signed.parts)
    made = ["id=msg_$(date +%s) t=$(date +%s)"] if len(signed.parts) > 1 else []
    made.append(f"mac=$({_mac(content, signed.algorithm, is_hex=signed.encoding == 'hex')})")
    headers = [f"{signed.header}: {_quoted(signed.prefix)}$mac"]
    headers += [f"{signed.timestamp_header}: $t"] if signed.timestamp_header else []
    headers += [f"{signed.id_header}: $id"] if signed.id_header else []
    return made, headers


def _mac(content: str, algorithm: str = "sha256", *, is_hex: bool = True) -> str:
    command = f'printf %s "{content}" | openssl dgst -{algorithm} -hmac "$secret"'
    return f"{command} -r | cut -d' ' -f1" if is_hex else f"{command} -binary | base64 -w0"


def _quoted(text: str) -> str:
    """Return text as it stands between double quotes of a shell."""
    return "".join(f"\\{sign}" if sign in '"$`\\' else sign for sign in text)
