"""Tokens: each kind is good for one thing, and no other form of a token is good for anything (RFC 8725)."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import jwt
import pytest
from django.conf import settings

from accounts.errors import NotAuthenticatedError
from accounts.keyring import key_ring
from accounts.models import Session, User
from accounts.sign_in.tokens import AccessToken, QuillkeepToken, RefreshToken
from tests.accounts.cast import Api, Person


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forge(
    header: dict[str, Any] | None = None, claims: dict[str, Any] | None = None, *, key: bytes | None = None
) -> str:
    """Return a token that is right in all but what is given; None as a value takes the name away."""
    now = int(time.time())
    whole_header = {"alg": "HS256", "typ": "at+jwt", "kid": key_ring().active_id} | (header or {})
    whole_claims = {
        "iss": f"{settings.PUBLIC_URL}#development",
        "aud": "quillkeep:development:api",
        "sub": str(uuid4()),
        "sid": str(uuid4()),
        "tv": 0,
        "jti": str(uuid4()),
        "iat": now,
        "exp": now + 300,
        "token_type": "access",
    } | (claims or {})
    whole_header = {name: value for name, value in whole_header.items() if value is not None}
    whole_claims = {name: value for name, value in whole_claims.items() if value is not None}
    return sign(f"{part(whole_header)}.{part(whole_claims)}", key)


def sign(body: str, key: bytes | None = None) -> str:
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{body}.{part(algorithm.sign(body.encode(), key if key is not None else key_ring().derive('jwt:at+jwt')))}"


def test_the_forge_makes_good_tokens_when_nothing_is_wrong() -> None:
    assert AccessToken.read(forge()).token_version == 0


KINDS: dict[str, type[QuillkeepToken]] = {"access": AccessToken, "refresh": RefreshToken}


@pytest.mark.parametrize("made", KINDS)
@pytest.mark.parametrize("read", KINDS)
def test_each_kind_is_taken_by_its_own_verifier_alone(rita: Person, made: str, read: str) -> None:
    user = User.objects.get(pk=rita.user.pk)
    text = KINDS[made].issue(Session(user=user), user)
    if made == read:
        assert KINDS[read].read(text).user_id == user.pk
    else:
        with pytest.raises(NotAuthenticatedError):
            KINDS[read].read(text)


def test_a_refresh_token_is_no_credential_and_an_access_token_refreshes_nothing(as_rita: Api) -> None:
    assert Api(as_rita.client, as_rita.refresh).get("auth/me").status_code == 401
    assert as_rita.post("auth/refresh", {"refresh": as_rita.credential}).status_code == 401
    assert as_rita.get("auth/me").status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"}, {"alg": "None"}, {"alg": "NONE"}, {"alg": "nOnE"}, {"alg": ""}, {"alg": None},
        {"alg": "HS512"}, {"alg": "RS256"}, {"alg": ["HS256"]}, {"typ": None}, {"typ": "JWT"}, {"typ": "rt+jwt"},
        {"typ": "preview+jwt"},
        {"kid": None}, {"kid": "../../x"}, {"kid": "' OR 1=1 --"}, {"kid": "k" * 10_000}, {"kid": 1}, {"kid": ["k1"]},
        {"jku": "https://evil.example/jwks"}, {"x5u": "https://evil.example"}, {"jwk": {"kty": "oct", "k": "AA"}},
        {"x5c": ["AA"]}, {"crit": ["exp"]}, {"zip": "DEF"}, {"b64": False}, {"cty": "JWT"}, {"enc": "A256GCM"},
    ],
)  # fmt: skip
def test_a_header_that_is_not_ours_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(NotAuthenticatedError):
        AccessToken.read(forge(header))


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": None}, {"iss": "https://other.example"}, {"iss": "http://testserver"}, {"iss": 5}, {"iss": "https://other.example#development"}, {"aud": None}, {"aud": "quillkeep:staging:api"},
        {"aud": ["quillkeep:development:api", "other"]}, {"aud": "quillkeep:development:refresh"}, {"exp": None},
        {"exp": 1}, {"exp": "soon"}, {"iat": None}, {"iat": 99_999_999_999}, {"nbf": 99_999_999_999}, {"sub": None},
        {"sub": "1"}, {"sub": 1}, {"sid": None}, {"sid": "x"}, {"tv": None}, {"tv": "0"}, {"tv": True}, {"tv": 0.0},
        {"jti": None}, {"jti": "x"}, {"token_type": "refresh"}, {"token_type": None},
    ],
)  # fmt: skip
def test_claims_that_are_missing_or_wrong_are_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(NotAuthenticatedError):
        AccessToken.read(forge(claims=claims))


def twice(text: str) -> str:
    header, claims, _ = text.split(".")
    raw = base64.urlsafe_b64decode(claims + "==")
    return sign(f"{header}.{part(raw[:-1] + b', ' + raw[1:])}")


FORMS: dict[str, Callable[[str], Any]] = {
    "no signature": lambda text: text.rpartition(".")[0] + ".",
    "two parts": lambda text: text.rpartition(".")[0],
    "four parts": lambda text: text + ".AA",
    "trailing byte": lambda text: text + "A",
    "trailing newline": lambda text: text + "\n",
    "trailing dot": lambda text: text + ".",
    "padding": lambda text: text + "=",
    "other spelling of the signature": lambda text: text[:-1] + chr(ord(text[-1]) + 1),
    "other alphabet": lambda text: text.replace("_", "/").replace("-", "+") + "+",
    "JSON serialised": lambda text: json.dumps(
        dict(zip(("protected", "payload", "signature"), text.split("."), strict=True))
    ),
    "a claim twice": twice,
    "signed with the secret key": lambda text: sign(text.rpartition(".")[0], settings.SECRET_KEY.encode()),
    "signed with the root key": lambda text: sign(
        text.rpartition(".")[0], dict(settings.KEY_RING)[key_ring().active_id]
    ),
    "signed with the refresh key": lambda text: sign(
        text.rpartition(".")[0], key_ring().derive("jwt:rt+jwt")
    ),
    "signed with nothing": lambda text: sign(text.rpartition(".")[0], b""),
    "claims that are no object": lambda text: sign(f"{text.split('.')[0]}.{part([1])}"),
    "claims that are no UTF-8": lambda text: sign(f"{text.split('.')[0]}.{part(bytes([0xFF, 0xFE]))}"),
    "a deep header": lambda text: sign(f"{part(b'[' * 400)}.{text.split('.')[1]}"),
    "five thousand characters": lambda text: text + "A" * 5000,
}


@pytest.mark.parametrize("form", FORMS)
def test_no_other_form_of_a_token_is_taken(form: str) -> None:
    text = forge()
    assert AccessToken.read(text).token_version == 0
    with pytest.raises(NotAuthenticatedError):
        AccessToken.read(FORMS[form](text))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic cml0YTp4",
        "Token x",
        "Bearer x y",
        "bearer\tx",
        "Bearer ü",
        "Bearer " + "a" * 7000,
    ],
)
def test_a_broken_credential_is_a_401_and_never_anonymous(anonymous: Api, header: str) -> None:
    answer = anonymous.get("auth/me", Authorization=header)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_token_of_a_deleted_user_is_worth_nothing_to_the_next_one(rita: Person, as_rita: Api) -> None:
    User.objects.using("owner").filter(pk=rita.user.pk).delete()
    assert as_rita.get("auth/me").status_code == 401


def test_cookies_mean_nothing_to_the_api(rita: Person) -> None:
    api = Api(rita.sign_in().client)
    api.client.cookies["session-development"] = "whatever"
    assert api.get("auth/me").status_code == 401
