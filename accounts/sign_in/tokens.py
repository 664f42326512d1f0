"""Access and refresh tokens: simplejwt under rules that leave no choice to whoever sends a token (RFC 8725)."""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, cast
from uuid import UUID

import jwt
from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenError
from rest_framework_simplejwt.tokens import Token

from accounts.errors import NotAuthenticatedError
from accounts.keyring import key_ring
from accounts.models.session import Session
from accounts.models.user import User

ALGORITHM: Final = "HS256"
ACCESS_LIFE: Final = timedelta(minutes=5)
SESSION_LIFE: Final = timedelta(days=14)
_MAX_LENGTH: Final = 4096
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{1,600}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")
_CLAIMS: Final = ("exp", "iat", "iss", "aud", "sub", "jti")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token of ours says, once its signature, kind, issuer, audience and times are right."""

    user_id: UUID
    session_id: UUID
    token_version: int
    jti: UUID


class StrictBackend(TokenBackend):
    """Signs with the active key of the ring; takes one algorithm, one type, and keys by id from the ring only."""

    def __init__(self, *, typ: str, audience: str) -> None:
        super().__init__(ALGORITHM, audience=audience, issuer=settings.PUBLIC_URL)
        self.typ = typ

    def encode(self, payload: dict[str, Any]) -> str:
        """Return the signed token, with `typ` and `kid` in its header."""
        ring = key_ring()
        claims = payload | {"aud": self.audience, "iss": self.issuer}
        headers = {"typ": self.typ, "kid": ring.active_id}
        return jwt.encode(claims, ring.derive(self.purpose), algorithm=ALGORITHM, headers=headers)

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 (simplejwt's)
        """Return the claims. Raises TokenBackendError; there is no way to skip verification."""
        if not verify:
            raise TokenBackendError("Tokens are always verified.")
        key_id = self._key_id(token)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key_ring().derive(self.purpose, key_id),
                algorithms=[ALGORITHM],
                audience=self.audience,
                issuer=self.issuer,
                options={"require": list(_CLAIMS), "strict_aud": True},
            )
        except (jwt.InvalidTokenError, ValueError) as error:
            raise TokenBackendError("The token is not valid.") from error
        return claims

    @property
    def purpose(self) -> str:
        """Each type has a key of its own, so that one can't pass for another whatever its claims."""
        return f"jwt:{self.typ}"

    def _key_id(self, token: object) -> str:
        """Check the form and the header before anything else looks at the token; return the id of its key."""
        if not isinstance(token, str) or len(token) > _MAX_LENGTH or not _FORM.fullmatch(token):
            raise TokenBackendError("This is not a compact JWS.")
        header_part, claims_part, signature_part = token.split(".")
        header = _loads(header_part)
        _loads(claims_part)
        _decoded(signature_part)
        # Exactly these: `jku`, `x5u`, `jwk`, `crit`, `zip`, `b64` and whatever comes next have no say here.
        if set(header) != {"alg", "kid", "typ"} or header["alg"] != ALGORITHM or header["typ"] != self.typ:
            raise TokenBackendError("The header of the token is not one of ours.")
        key_id = header["kid"]
        if not isinstance(key_id, str) or not key_ring().holds(key_id):
            raise TokenBackendError("The key of the token is not known.")
        return key_id


class QuillkeepToken(Token):
    """What both kinds have in common: claims that name the session and the token version of the user."""

    typ: ClassVar[str]
    audience: ClassVar[str]

    def get_token_backend(self) -> StrictBackend:
        return StrictBackend(typ=self.typ, audience=f"quillkeep:{settings.ENVIRONMENT.name}:{self.audience}")

    @classmethod
    def issue(
        cls, session: Session, user: User, *, jti: UUID | None = None, until: datetime | None = None
    ) -> str:
        """Return a signed token for a session."""
        token = cls()
        token["sub"] = str(user.pk)
        token["sid"] = str(session.pk)
        token["tv"] = user.token_version
        token["jti"] = str(jti) if jti else str(UUID(token["jti"]))
        if until is not None:
            token["exp"] = int(until.timestamp())
        return str(token)

    @classmethod
    def read(cls, text: str) -> Claims:
        """Return the claims of a valid token. Raises NotAuthenticatedError for everything else."""
        try:
            token = cls(cast("Any", text))  # annotated as a token there, and a text
            version = token["tv"]
            if type(version) is not int:
                raise NotAuthenticatedError
            return Claims(UUID(token["sub"]), UUID(token["sid"]), version, UUID(token["jti"]))
        except (
            TokenError,
            TokenBackendError,
            KeyError,
            ValueError,
            TypeError,
            AttributeError,
            OverflowError,
        ) as error:
            raise NotAuthenticatedError("The token is not valid, or has expired.") from error


class AccessToken(QuillkeepToken):
    """For five minutes, for the APIs."""

    token_type = "access"  # noqa: S105 (a kind, not a password)
    lifetime = ACCESS_LIFE
    typ = "at+jwt"
    audience = "api"


class RefreshToken(QuillkeepToken):
    """For `auth/refresh` alone; the session knows the one that works."""

    token_type = "refresh"  # noqa: S105 (a kind, not a password)
    lifetime = SESSION_LIFE
    typ = "rt+jwt"
    audience = "refresh"


def _decoded(part: str) -> bytes:
    """Decode base64url strictly: one byte string has one text, so that no signature has two spellings."""
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError) as error:
        raise TokenBackendError("The token is not base64url.") from error
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
        raise TokenBackendError("The token is not canonical base64url.")
    return raw


def _loads(part: str) -> dict[str, Any]:
    """Parse an object in which no name comes twice: two readers could believe different ones."""

    def build(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("A name comes twice.")
        return found

    try:
        value = json.loads(_decoded(part).decode(), object_pairs_hook=build)
    except (ValueError, RecursionError) as error:
        raise TokenBackendError("The token is not JSON.") from error
    if not isinstance(value, dict):
        raise TokenBackendError("The token is not a JSON object.")
    return value
