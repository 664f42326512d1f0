"""Preview tokens: one entry, in one locale, on one site, for half an hour at most (RFC 7519, RFC 8725)."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import jwt
from django.conf import settings
from django.utils import timezone

from accounts import environments, jws
from accounts.jws import Header, MalformedTokenError, header_of
from previews.models import Preview, PreviewSite, SigningKey
from previews.models.site import DEFAULT, LONGEST
from previews.signing import halves
from previews.signing.table import Table, Verifier, signing_key, tables

TYPE: Final = "preview+jwt"
SCOPE: Final = "preview:read"
SKEW: Final = timedelta(seconds=15)  # that clocks may differ
SHORT: Final = timedelta(seconds=DEFAULT)
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
        self.detail = ""  # what may be said of it all the same
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
    bound_to = preview.session_id or preview.api_key_id
    claims = _written(preview, session_hash(preview.site_id, bound_to), timezone.now())
    return _encoded(claims, private, key)


def samples_for_a_probe(site: PreviewSite, entry_id: UUID, locale: str) -> dict[str, str]:
    """Return tokens that no site may take, by what is wrong: `expired`, `forged`, `unsigned`. Raises UnavailableError.

    The expired one is really signed, and was over an hour before it was made. No preview has their ids.
    """
    key, private = signing_key(site)
    now = timezone.now()
    preview = Preview(site=site, entry_id=entry_id, locale=locale, expires_at=now + SHORT)
    sid = hashlib.sha256(preview.pk.bytes).hexdigest()
    live = _written(preview, sid, now)
    preview.expires_at = now - timedelta(hours=1)
    over = _written(preview, sid, preview.expires_at - SHORT)
    head = {"alg": "none", "typ": TYPE, "kid": str(key.pk)}
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (head, live)
    )
    return {
        "expired": _encoded(over, private, key),
        "forged": _encoded(live, halves.foreign(key.algorithm), key),
        "unsigned": ".".join(parts) + ".",
    }


def _written(preview: Preview, sid: str, now: datetime) -> dict[str, object]:
    issued = int(now.timestamp())
    return {
        "iss": settings.PUBLIC_URL,
        "aud": str(preview.site_id),
        "sub": f"draft:{preview.entry_id}",
        "jti": str(preview.pk),
        "iat": issued,
        "nbf": issued,
        "exp": int(preview.expires_at.timestamp()),
        "scope": SCOPE,
        "locale": preview.locale,
        "environment": environments.name(),
        "sid": sid,
    }


def _encoded(claims: dict[str, object], private: Any, key: SigningKey) -> str:
    return jwt.encode(claims, private, algorithm=key.algorithm, headers={"typ": TYPE, "kid": str(key.pk)})


def session_hash(site_id: UUID, bound_to: UUID | None) -> str:
    """Return what names the session (or the key) that a preview was minted in, to this site alone."""
    return hashlib.sha256(f"{site_id}:{bound_to}".encode()).hexdigest()


def verify(text: str, *, at_least: int = 0) -> PreviewClaims:
    """Return the claims of a token, without a question to the database. Raises InvalidTokenError.

    `at_least` is a generation of keys and sites that is known to be there: an older table is read anew. So it is for a
    key that it lacks, once a second at most, and for a site that it lacks where the signature is ours: both may be new.
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
        try:
            return _read(text, header, table)
        except InvalidTokenError as error:
            newer = _newer(table, error.reason)
            if newer is None:
                raise
            return _read(text, header, newer)
    except InvalidTokenError as error:
        # Believed no further than to say why it is refused, whether its key is known here or not.
        error.detail = environments.refusal("preview token", jws.claims_of(text).get("environment"))
        raise


def _newer(table: Table, reason: str) -> Table | None:
    """Return a table that may know what this one lacks."""
    if reason == "audience":
        return tables.if_changed(table)
    return tables.newer_than(table) if reason == "key" else None


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
    """Return the claims once the signature, the names, the times and the issuer are right (RFC 7519, section 7.2).

    The form was checked before any key was touched, and the key when the table was read; PyJWT would do all of that
    again for each token.
    """
    signed, signature = jws.split(text)
    if not halves.verifies(verifier.algorithm, verifier.key, signed, signature):
        raise InvalidTokenError("signature")
    claims = jws.claims_of(text)
    if claims.keys() != _CLAIMS or not all(type(claims[name]) is int for name in ("iat", "nbf", "exp")):
        raise InvalidTokenError("claims")
    now, skew = timezone.now().timestamp(), SKEW.total_seconds()
    if claims["iat"] > now + skew or claims["nbf"] > now + skew:
        raise InvalidTokenError("not-yet")
    if claims["exp"] <= now - skew:
        raise InvalidTokenError("expired")
    if claims["iss"] != settings.PUBLIC_URL:
        raise InvalidTokenError("issuer")
    return claims


def _claims(claims: dict[str, Any], table: Table, verifier: Verifier) -> PreviewClaims:
    """Believe the claims only in the form that we write; a signature alone says nothing of what it is for."""
    if not 0 < claims["exp"] - claims["iat"] <= LONGEST or claims["nbf"] < claims["iat"]:
        raise InvalidTokenError("lifetime")
    if claims["scope"] != SCOPE:
        raise InvalidTokenError("scope")
    if claims["environment"] != environments.name():
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
