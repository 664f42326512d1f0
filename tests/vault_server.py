"""A small, strict server that speaks the HTTP API of HashiCorp Vault: KV version 2 and AppRole, on loopback."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

TOKEN = "hvs.canary-of-the-token"
ROLE_ID, SECRET_ID = "canary-role-id", "canary-secret-id"


class VaultServer:
    """Holds `secrets` (path below the mount → keys) and counts requests. `status` makes every answer that error."""

    def __init__(self, mount: str = "kv", **secrets: dict[str, Any]) -> None:
        self.mount = mount
        self.secrets: dict[str, Any] = {name.replace("__", "/"): found for name, found in secrets.items()}
        self.asked: list[str] = []
        self.namespaces: list[str | None] = []
        self.status = 0
        self.errors: Any = ["canary of what the server says"]
        self.delay = 0.0
        self.raw = b""
        self.missing = 0  # bytes that an answer is shorter than it says
        self.redirect_to = ""
        handler = type("Handler", (_Handler,), {"server_of_secrets": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_of_secrets: VaultServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.server_of_secrets.asked.append(self.path)
        self.server_of_secrets.namespaces.append(self.headers.get("X-Vault-Namespace"))
        if self._is_broken():
            return
        if self.headers.get("X-Vault-Token") != TOKEN or self.headers.get("X-Vault-Request") != "true":
            self._say(403, {"errors": ["permission denied", self.headers.get("X-Vault-Token")]})
            return
        prefix = f"/v1/{self.server_of_secrets.mount}/data/"
        found = (
            self.server_of_secrets.secrets.get(self.path.removeprefix(prefix))
            if self.path.startswith(prefix)
            else None
        )
        if found is None:
            self._say(404, {"errors": []})
            return
        self._say(200, {"data": {"data": found, "metadata": {"version": 1}}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server_of_secrets.asked.append(self.path)
        if self._is_broken():
            return
        if self.path != "/v1/auth/approle/login":
            self._say(404, {"errors": []})
        elif body != {"role_id": ROLE_ID, "secret_id": SECRET_ID}:
            self._say(400, {"errors": ["invalid role or secret ID", str(body)]})
        else:
            self._say(200, {"auth": {"client_token": TOKEN, "lease_duration": 60}})

    def _is_broken(self) -> bool:
        time.sleep(self.server_of_secrets.delay)
        if self.server_of_secrets.redirect_to:
            self.send_response(307)
            self.send_header("Location", self.server_of_secrets.redirect_to)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.server_of_secrets.raw:
            self._write(200, self.server_of_secrets.raw)
        elif self.server_of_secrets.status:
            self._say(self.server_of_secrets.status, {"errors": self.server_of_secrets.errors})
        return bool(
            self.server_of_secrets.redirect_to or self.server_of_secrets.raw or self.server_of_secrets.status
        )

    def _say(self, status: int, body: object) -> None:
        self._write(status, json.dumps(body).encode())

    def _write(self, status: int, raw: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw) + self.server_of_secrets.missing))
        self.end_headers()
        self.wfile.write(raw)
        self.close_connection = bool(self.server_of_secrets.missing)
