"""What a process holds of keys and sites, so that a token is verified without a question to the database."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import jwt
from django.utils import timezone

from accounts.errors import UnavailableError
from accounts.keyring import KeyRingError
from accounts.models.generation import Freshness
from previews.models import PreviewSite, SigningKey
from previews.signing import halves
from previews.signing.life import GENERATION

logger = logging.getLogger("quillkeep.previews")

FRESH_SECONDS: Final = 30.0  # a process that hears nothing looks again after that
_RETRY_SECONDS: Final = 1.0  # and once a second for what it doesn't know


@dataclass(frozen=True, slots=True)
class Verifier:
    """A key as tokens are verified with it: one algorithm, one purpose, an end."""

    algorithm: str
    key: Any = field(repr=False)
    site_id: UUID | None  # of a shared secret
    until: datetime | None

    def counts(self, now: datetime) -> bool:
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Table:
    """Keys by `kid` and the algorithm of each site that is on, as of one generation."""

    generation: int
    verifiers: Mapping[str, Verifier]
    sites: Mapping[UUID, str]

    @classmethod
    def read(cls) -> "Table":
        """Read it: three queries. A key that can't be opened is left out, which refuses."""
        found = Freshness.objects.filter(name=GENERATION).values_list("value", flat=True).first()
        verifiers: dict[str, Verifier] = {}
        for key in SigningKey.objects.verifying(timezone.now()):
            try:
                verifiers[str(key.pk)] = Verifier(
                    key.algorithm, halves.verifier(key), key.site_id, key.retires_at
                )
            except (KeyRingError, jwt.PyJWTError, ValueError, TypeError):
                logger.exception("The signing key %s can't be opened: what it signed is refused.", key.pk)
        sites = PreviewSite.objects.filter(state=PreviewSite.State.ACTIVE)
        return cls(found or 0, verifiers, dict(sites.values_list("pk", "algorithm")))


class Tables:
    """The table of this process, and when it was read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._table: Table | None = None
        self._read_at = float("-inf")

    def current(self, *, at_least: int = 0) -> Table:
        """Return the table. It is read anew when it is old, or older than a generation."""
        with self._lock:
            table, age = self._table, time.monotonic() - self._read_at
            if table is not None and table.generation >= at_least and age < FRESH_SECONDS:
                return table
            return self._anew()

    def newer_than(self, table: Table) -> Table | None:
        """Return a table that was read later; None where that one was read within a second."""
        with self._lock:
            if self._table is not None and self._table is not table:
                return self._table
            return self._anew() if time.monotonic() - self._read_at >= _RETRY_SECONDS else None

    def _anew(self) -> Table:
        read_at = time.monotonic()
        self._table = Table.read()
        self._read_at = read_at
        return self._table

    def if_changed(self, table: Table) -> Table | None:
        """Return a newer table if keys or sites have changed since, else None. Asks for the generation alone."""
        found = Freshness.objects.filter(name=GENERATION).values_list("value", flat=True).first()
        return self.current(at_least=found) if found is not None and found > table.generation else None

    def forget(self) -> None:
        """Let the next one who asks read it anew."""
        with self._lock:
            self._table = None


tables: Final = Tables()


def signing_key(site: PreviewSite) -> tuple[SigningKey, Any]:
    """Return the key that signs for a site, and its private half. Raises UnavailableError: nothing leaves unsigned."""
    shared = site if site.algorithm == "HS256" else None
    key = SigningKey.objects.filter(
        algorithm=site.algorithm, site=shared, state=SigningKey.State.ACTIVE
    ).first()
    if key is None:
        logger.critical("No key can sign for preview sites with %s.", site.algorithm)
        raise UnavailableError("Previews are closed for maintenance: no key can sign.", retry_after=60)
    try:
        return key, halves.signer(key)
    except (KeyRingError, ValueError) as error:
        logger.critical("The signing key %s can't be opened: is its key of the ring gone?", key.pk)
        raise UnavailableError(
            "Previews are closed for maintenance: no key can sign.", retry_after=60
        ) from error
