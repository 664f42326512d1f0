"""Who asks, measured: how long resolving a principal takes, how often it asks the database, and by which index."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts.access import system
from accounts.authentication import DeliveryAuthentication
from accounts.errors import NotAuthenticatedError
from accounts.keys import api_keys
from accounts.models import ApiKey
from accounts.models.credential import Bearer, Credential
from bench import corpus

# What grows with use; roles and generations are a handful of rows, read whole.
GROWING = frozenset({"accounts_apikey", "accounts_user", "accounts_session", "accounts_user_groups"})


class Principals:
    """Asks the authentication of the delivery plane, as each of its requests does."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = itertools.cycle(keys)
        self.addresses = itertools.cycle(range(60_000))
        self.token = ""

    def header(self, kind: str) -> str | None:
        """Return a credential of the kind; keys in turns, so that no limit ends the measuring."""
        if kind == "anonymous":
            return None
        if kind == "API key":
            return f"Bearer {next(self.keys)}"
        if not self.token:
            body = json.dumps({"email": corpus.EDITOR, "password": corpus.PASSWORD})
            answer = Client(headers={"host": "localhost"}).post(
                "/api/v1/auth/login", body, content_type="application/json"
            )
            self.token = answer.json()["access"]
        return f"Bearer {self.token}"

    def resolve(self, header: str | None) -> None:
        """Resolve the principal of one request."""
        number = next(self.addresses)
        extra: dict[str, Any] = {"REMOTE_ADDR": f"10.9.{number // 250}.{number % 250}"}
        if header is not None:
            extra["HTTP_AUTHORIZATION"] = header
        DeliveryAuthentication().authenticate(
            Request(APIRequestFactory().get("/api/v1/content/articles", **extra))
        )

    def call(self, kind: str) -> Callable[[], None]:
        """Return what to do once."""
        return lambda: self.resolve(self.header(kind))

    def statements(self, kind: str) -> int:
        """Return how many statements one principal costs, on all connections together."""
        header = self.header(kind)
        self.resolve(header)
        with (
            CaptureQueriesContext(connections["default"]) as default,
            CaptureQueriesContext(connections["delivery"]) as delivery,
        ):
            self.resolve(header)
        return len(default) + len(delivery)

    def scanned(self, kind: str) -> list[str]:
        """Return the tables that grow and that PostgreSQL reads without an index for a credential of the kind."""
        key = ApiKey.objects.first()
        rows = (
            Credential.objects.using("delivery").filter(public_id=key.public_id if key else "")
            if kind == "API key"
            else Bearer.objects.using("delivery").filter(pk="0190aaaa-0000-7000-8000-000000000000")
        )
        found = json.loads(rows.explain(format="json"))[0]["Plan"]
        return sorted(
            {
                node["Relation Name"]
                for node in _nodes(found)
                if node["Node Type"] == "Seq Scan" and node["Relation Name"] in GROWING
            }
        )

    def add_keys(self, count: int) -> None:
        """Add so many users, each in a role, with a key and a session that are like those that there are."""
        self.header("access token")  # so that there is a session
        number = "lpad(n::text, 12, 'x')"
        owner = "(SELECT id FROM accounts_user WHERE email = n || '@bench.invalid')"
        own: dict[str, dict[str, str]] = {
            "accounts_user": {"id": "gen_random_uuid()", "email": "n || '@bench.invalid'"},
            "accounts_apikey": {"id": "gen_random_uuid()", "public_id": number, "owner_id": owner},
            "accounts_session": {"id": "gen_random_uuid()", "user_id": owner, "refresh_jti": "NULL"},
            "accounts_user_groups": {"user_id": owner},
        }
        with connections["default"].cursor() as cursor:
            for table, other in own.items():
                cursor.execute(
                    "SELECT column_name FROM information_schema.columns"
                    " WHERE table_schema = 'public' AND table_name = %s AND is_identity = 'NO'"
                    " ORDER BY ordinal_position",
                    [table],
                )
                names = [row[0] for row in cursor.fetchall()]
                values = ", ".join(other.get(name, f'present."{name}"') for name in names)
                quoted = ", ".join(f'"{name}"' for name in names)
                cursor.execute(
                    f"INSERT INTO {table} ({quoted}) SELECT {values}"  # noqa: S608 (names of the catalog)
                    f" FROM (SELECT * FROM {table} LIMIT 1) present, generate_series(1, %s) n",
                    [count],
                )

    def is_good(self, text: str) -> bool:
        """Tell whether a key is let in."""
        try:
            self.resolve(f"Bearer {text}")
        except NotAuthenticatedError:
            return False
        return True

    @staticmethod
    def revoke(text: str) -> float:
        """Revoke a key; return the time of this machine at which that was committed."""
        public_id = api_keys.parse(text).public_id
        api_keys.revoke(ApiKey.objects.get(public_id=public_id), by=system("bench"))
        return time.monotonic()


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)
