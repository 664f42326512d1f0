"""The lines that people copy into a receiver do verify what is sent, refuse what is not, and outlive a rotation."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from tests.builders import ROOT
from tests.previews.node import require_node, run
from tests.webhooks.world import make_endpoint
from webhooks import endpoints, signing
from webhooks.admin import secrets
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db
BODY = json.dumps({"type": "webhook.test", "data": {"slug": "läuse"}}, ensure_ascii=False)
Verify = Callable[[str, str, str, dict[str, str]], Any]


def signed(endpoint: Endpoint) -> dict[str, str]:
    now = timezone.now()
    signers = [signing.opened(secret) for secret in endpoint.secrets.signing(now)]
    return signing.headers("msg_1", now, BODY.encode(), signers)


def in_python(
    snippet: str, line: str, body: str, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    monkeypatch.setenv(*line.split("=", 1))
    space: dict[str, Any] = {"request": SimpleNamespace(body=body.encode(), headers=headers)}
    exec(compile(snippet, "snippet", "exec"), space)  # noqa: S102 (our own text, as people run it)
    return space["event"]


def snippet_of(endpoint: Endpoint, language: str) -> str:
    return dict(secrets.snippets(endpoint))[language]


@pytest.mark.parametrize("algorithm", ["v1", "v1a"])
def test_the_lines_in_python_verify(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_endpoint("https://www.example.com/hook", algorithm=algorithm)
    snippet = snippet_of(made.endpoint, "Python")
    (old,) = secrets.lines(made.endpoint, made.secret)
    assert in_python(snippet, old, BODY, signed(made.endpoint), monkeypatch)["data"]["slug"] == "läuse"
    (new,) = secrets.lines(made.endpoint, endpoints.rotate_secret(made.endpoint, by=ROOT).secret)
    headers = signed(made.endpoint)
    for line in (old, new):
        assert in_python(snippet, line, BODY, headers, monkeypatch)["type"] == "webhook.test"
        for wrong in (
            {"webhook-id": "msg_2"},
            {"webhook-timestamp": "1000000000"},
            {"webhook-signature": "v1,eA== v1a,eA=="},
        ):
            with pytest.raises(Exception, match=r"ignature|old|stamp"):
                in_python(snippet, line, BODY, headers | wrong, monkeypatch)
        with pytest.raises(Exception, match="ignature"):
            in_python(snippet, line, BODY + " ", headers, monkeypatch)


@pytest.mark.slow
def test_the_lines_in_javascript_verify_a_public_key(tmp_path: Any) -> None:
    require_node()
    made = make_endpoint("https://www.example.com/hook", algorithm="v1a")
    (line,) = secrets.lines(made.endpoint, made.secret)
    endpoints.rotate_secret(made.endpoint, by=ROOT)
    name, value = line.split("=", 1)

    def verified(headers: dict[str, str]) -> str:
        request = f"new Request('http://x/', {{method: 'POST', body: {json.dumps(BODY)}, headers: {json.dumps(headers)}}})"
        text = f"const request = {request};\ntry {{\n{snippet_of(made.endpoint, 'JavaScript')}"
        text += "console.log('took', event.data.slug);\n} catch (error) { console.log('refused', error.message); }\n"
        (tmp_path / "receiver.mjs").write_text(text)
        return run(tmp_path, "node", "receiver.mjs", **{name: value})

    headers = signed(made.endpoint)
    assert "took läuse" in verified(headers)
    assert "refused the signature is wrong" in verified(headers | {"webhook-id": "msg_2"})
    assert "refused too old" in verified(headers | {"webhook-timestamp": "1000000000"})
