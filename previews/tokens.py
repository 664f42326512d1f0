"""Preview tokens: one entry, in one locale, on one site, for half an hour at most (RFC 7519, RFC 8725)."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import jwt
from django.conf import settings
from django.utils import timezone

from accounts.jws import Header, MalformedTokenError, header_of
from previews.models import Preview
from previews.models.site import LONGEST
from previews.signing.table import Table, Verifier, signing_key, tables

TYPE: Final = "preview+jwt"
SCOPE: Final = "preview:read"
SKEW: Final = timedelta(seconds=15)  # that clocks may differ
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SID: Final = re.compile(r"[0-9a-f]{64}")
_LOCALE: Final = re.compile(r"[A-Za-z0-9-]{1,24}")  # a site that shares its secret could write anything here
_CLAIMS: Final = frozenset(
    {"iss", "aud", "sub", "jti", "iat", "nbf", "exp", "scope", "locale", "environment", "sid"}
)


class InvalidTokenError(Exception):
    """A token is refused. `reason` is a word for the log; whoever sent it learns nothing of it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class PreviewClaims:
    """What a token says, once its signature, type, issuer, audience, times and scope are right."""

    preview_id: UUID
    site_id: UUID
    entry_id: UUID
    locale: str
    session: str  # a hash
    expires_at: datetime
    generation: int  # of the keys and sites that it was verified by


def sign(preview: Preview) -> str:
    """Return the token of a preview; its site must be loaded. Raises UnavailableError when no key can sign."""
    key, private = signing_key(preview.site)
    now = int(timezone.now().timestamp())
    claims = {
        "iss": settings.PUBLIC_URL,
        "aud": str(preview.site_id),
        "sub": f"draft:{preview.entry_id}",
        "jti": str(preview.pk),
        "iat": now,
        "nbf": now,
        "exp": int(preview.expires_at.timestamp()),
        "scope": SCOPE,
        "locale": preview.locale,
        "environment": settings.ENVIRONMENT.name,
        "sid": session_hash(preview.site_id, preview.session_id or preview.api_key_id),
    }
    return jwt.encode(claims, private, algorithm=key.algorithm, headers={"typ": TYPE, "kid": str(key.pk)})


def session_hash(site_id: UUID, bound_to: UUID | None) -> str:
    """Return what names the session (or the key) that a preview was minted in, to this site alone."""
    return hashlib.sha256(f"{site_id}:{bound_to}".encode()).hexdigest()


def verify(text: str, *, at_least: int = 0) -> PreviewClaims:
    """Return the claims of a token, without a question to the database. Raises InvalidTokenError.

    `at_least` is a generation of keys and sites that is known to be there: an older table is read anew. So it is, once
    a second at most, for a key or a site that it lacks: both may be younger than the table.
    """
    try:
        header = header_of(text)
    except MalformedTokenError as error:
        raise InvalidTokenError("malformed") from error
    if header.typ != TYPE:
        raise InvalidTokenError("type")
    if not _UUID.fullmatch(header.kid):
        raise InvalidTokenError("key")
    table = tables.current(at_least=at_least)
    try:
        return _read(text, header, table)
    except InvalidTokenError as error:
        newer = tables.newer_than(table) if error.reason in ("key", "audience") else None
        if newer is None:
            raise
        return _read(text, header, newer)


def _read(text: str, header: Header, table: Table) -> PreviewClaims:
    verifier = _verifier(table, header)
    return _claims(_verified(text, verifier), table, verifier)


def _verifier(table: Table, header: Header) -> Verifier:
    """Return the key that is named; the header has no say in its algorithm."""
    found = table.verifiers.get(header.kid)
    if found is None or not found.counts(timezone.now()):
        raise InvalidTokenError("key")
    if header.alg != found.algorithm:
        raise InvalidTokenError("algorithm")
    return found


def _verified(text: str, verifier: Verifier) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            text,
            verifier.key,
            algorithms=[verifier.algorithm],
            issuer=settings.PUBLIC_URL,
            leeway=SKEW,
            options={"require": sorted(_CLAIMS), "verify_aud": False},  # which sites there are is asked below
        )
    except jwt.InvalidTokenError as error:
        raise InvalidTokenError(_REASONS.get(type(error), "claims")) from error
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidTokenError("claims") from error
    return claims


_REASONS: Final[dict[type[Exception], str]] = {
    jwt.InvalidSignatureError: "signature",
    jwt.ExpiredSignatureError: "expired",
    jwt.ImmatureSignatureError: "not-yet",
    jwt.InvalidIssuerError: "issuer",
}


def _claims(claims: dict[str, Any], table: Table, verifier: Verifier) -> PreviewClaims:
    """Believe the claims only in the form that we write; a signature alone says nothing of what it is for."""
    times = [claims["iat"], claims["nbf"], claims["exp"]]
    if claims.keys() != _CLAIMS or not all(type(moment) is int for moment in times):
        raise InvalidTokenError("claims")
    if not 0 < claims["exp"] - claims["iat"] <= LONGEST or claims["nbf"] < claims["iat"]:
        raise InvalidTokenError("lifetime")
    if claims["scope"] != SCOPE:
        raise InvalidTokenError("scope")
    if claims["environment"] != settings.ENVIRONMENT.name:
        raise InvalidTokenError("environment")
    site_id = _uuid(claims["aud"], "audience")
    if table.sites.get(site_id) != verifier.algorithm or verifier.site_id not in (None, site_id):
        raise InvalidTokenError("audience")
    kind, _, entry = claims["sub"].partition(":") if isinstance(claims["sub"], str) else ("", "", "")
    if kind != "draft":
        raise InvalidTokenError("subject")
    locale, sid = claims["locale"], claims["sid"]
    if not isinstance(locale, str) or not _LOCALE.fullmatch(locale):
        raise InvalidTokenError("claims")
    if not isinstance(sid, str) or not _SID.fullmatch(sid):
        raise InvalidTokenError("claims")
    return PreviewClaims(
        _uuid(claims["jti"], "claims"),
        site_id,
        _uuid(entry, "subject"),
        locale,
        sid,
        datetime.fromtimestamp(claims["exp"], UTC),
        table.generation,
    )


def _uuid(value: object, reason: str) -> UUID:
    """Parse an id in the one spelling that we write."""
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise InvalidTokenError(reason)
    return UUID(value)
