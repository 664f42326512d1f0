"""Access and refresh tokens: simplejwt under rules that leave no choice to whoever sends a token (RFC 8725)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, cast
from uuid import UUID

import jwt
from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenError
from rest_framework_simplejwt.tokens import Token

from accounts import environments
from accounts.errors import NotAuthenticatedError
from accounts.jws import MalformedTokenError, claims_of, header_of
from accounts.keyring import key_ring
from accounts.models.session import Session
from accounts.models.user import User

ALGORITHM: Final = "HS256"
ACCESS_LIFE: Final = timedelta(minutes=5)
SESSION_LIFE: Final = timedelta(days=14)
_CLAIMS: Final = ("exp", "iat", "iss", "aud", "sub", "jti")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token of ours says, once its signature, kind, issuer, audience and times are right."""

    user_id: UUID
    session_id: UUID
    token_version: int
    jti: UUID


def issuer() -> str:
    """Return the `iss` of tokens: where they are from, and of which environment."""
    return f"{settings.PUBLIC_URL}#{environments.name()}"


class StrictBackend(TokenBackend):
    """Signs with the active key of the ring; takes one algorithm, one type, and keys by id from the ring only."""

    def __init__(self, *, typ: str, audience: str) -> None:
        super().__init__(ALGORITHM, audience=audience, issuer=issuer())
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
        # Believed no further than to say why it is refused: it would be in any case.
        environments.require_own("token", str(claims_of(token).get("iss")).rpartition("#")[2])
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
        try:
            header = header_of(token)
        except MalformedTokenError as error:
            raise TokenBackendError("This is not a token of ours.") from error
        if header.alg != ALGORITHM or header.typ != self.typ:
            raise TokenBackendError("The header of the token is not one of ours.")
        if not key_ring().holds(header.kid):
            raise TokenBackendError("The key of the token is not known.")
        return header.kid


class QuillkeepToken(Token):
    """What both kinds have in common: claims that name the session and the token version of the user."""

    typ: ClassVar[str]
    audience: ClassVar[str]

    def get_token_backend(self) -> StrictBackend:
        return StrictBackend(typ=self.typ, audience=f"quillkeep:{environments.name()}:{self.audience}")

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
