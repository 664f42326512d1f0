"""Django's sessions in the database, under a hash of their key: a copy of the table opens no session."""

import hashlib
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.http import HttpRequest
from django.utils import timezone

from accounts import environments


class SessionStore(DatabaseStore):
    """As Django's own, but for the name under which a row is kept: what the cookie says is written nowhere.

    Keys begin with the environment, and the name is a hash of all of it: a copy of the table opens none elsewhere.
    """

    def _get_new_session_key(self) -> str:
        return f"{environments.name()}-{super()._get_new_session_key()}"  # type: ignore[misc]  # not in the stubs

    def _get_session_from_db(self) -> Any:
        key = self.session_key
        found = (
            key
            and made_in(key) == environments.name()
            and self.model.objects.filter(session_key=hashed(key), expire_date__gt=timezone.now()).first()
        )
        if not found:
            self._session_key = None
        return found or None

    def exists(self, session_key: str) -> bool:
        return self.model.objects.filter(session_key=hashed(session_key)).exists()

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row = super().create_model_instance(data)
        row.session_key = hashed(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            self.model.objects.filter(session_key=hashed(key)).delete()


def made_in(key: str) -> str:
    """Return the environment that a key says it is of; no check."""
    return key.partition("-")[0]


def elsewhere(request: HttpRequest) -> str:
    """Return the sentence about a session cookie of another environment, "" for any other."""
    return environments.refusal("session", made_in(request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")))


def hashed(key: str) -> str:
    """Return 160 bits in hex, as long as the column is: a key has as many random bits, so a slow hash adds nothing."""
    return hashlib.blake2b(key.encode(), digest_size=20).hexdigest()
