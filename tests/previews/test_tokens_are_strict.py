"""A preview token is taken as we wrote it, byte for byte, or not at all (RFC 8725; threats, F and section 2.1)."""

import base64
import builtins
import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, Final
from uuid import UUID, uuid4

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from jwcrypto.jwk import JWKSet
from jwcrypto.jws import InvalidJWSSignature
from jwcrypto.jwt import JWT, JWTMissingKey

from accounts.access import Action
from accounts.models import Event
from previews import sites, tokens
from previews.models import SigningKey
from previews.signing import halves
from previews.signing.table import tables
from previews.sites import Made
from previews.tokens import InvalidTokenError
from tests.accounts.cast import make_key
from tests.builders import ROOT, Api
from tests.previews.forging import (
    MISSING,
    Forge,
    bytes_of,
    changed,
    compact,
    dumped,
    foreign_key,
    jwks_key,
    private_text,
    text_of,
)
from tests.previews.world import World, make_site, refusals
from tests.security.world import assert_problem, masked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unlimited")]

OTHER: Final = "0190aaaa-0000-7000-8000-000000000000"
ASYMMETRIC: Final = ("EdDSA", "ES256", "RS256")
EXPECTED: Final = {
    "Cache-Control": "private, no-store, max-age=0",
    "WWW-Authenticate": 'Bearer realm="quillkeep", error="invalid_token"',
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Referrer-Policy": "no-referrer",
}


class Door:
    """Where drafts are read, and what it must say of every token that is no good: always the same."""

    def __init__(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        self.world, self.caplog = world, caplog
        self.forge = Forge(world.token())
        self.refused = masked(world.read("x"))

    def lets_in(self, token: str) -> None:
        """Check that a token is good: the other half of every refusal."""
        answer = self.world.read(token)
        assert answer.status_code == 200, answer.content
        assert answer.json()["title"] == "CANARY draft"

    def refuses(self, token: str, *reasons: str, about: object = "") -> None:
        """Check the refusal: status, body, headers, cookie, event; and that nothing of the token is written down."""
        before = len(refusals())
        answer = self.world.read(token)
        assert_problem(answer, 401)
        assert masked(answer) == self.refused, about
        for name, value in EXPECTED.items():
            assert answer.headers[name] == value, (about, name)
        cookie = answer.cookies["__Host-quillkeep-preview"]
        assert (cookie.value, cookie["max-age"], cookie["path"]) == ("", 0, "/"), about
        assert (cookie["secure"], cookie["httponly"], cookie["domain"]) == (True, True, ""), about
        why = refusals()[before:]
        assert len(why) == 1, (about, why)
        assert not reasons or why[0] in reasons, (about, why)
        for part in token.split("."):
            if len(part) > 20 and part != self.forge.token.split(".")[0]:
                assert part not in self.caplog.text, about
                assert part not in str(list(Event.objects.values_list("detail", flat=True))), about


@pytest.fixture
def door(world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """A draft, a good token of it, and the way it was signed."""
    monkeypatch.setattr(logging.getLogger("quillkeep"), "propagate", True)
    with caplog.at_level(logging.DEBUG):
        found = Door(world, caplog)
        found.lets_in(found.forge.token)
        found.lets_in(found.forge.with_claims())  # what a forger signs is good when nothing else is changed
        yield found


# --- Claims ---------------------------------------------------------------------------------------------------------


NOT_TEXT: Final[list[object]] = [None, 7, True, 1.5, [], {}, ["preview:read"], ""]
NOT_TIME: Final[list[object]] = [
    None,
    "",
    "9999999999",
    True,
    1e9,
    [],
    {},
    -1,
    10**30,
    float("nan"),
    float("inf"),
]
WRONG: Final[dict[str, list[object]]] = {
    "iss": [*NOT_TEXT, "https://evil.example", "http://testserver/", ["https://testserver"]],
    "aud": [*NOT_TEXT, OTHER, "quillkeep:development:api", "*"],
    "sub": [*NOT_TEXT, OTHER, f"draft:{OTHER}x", "draft:", "entry:" + OTHER, "draft:*", f"draft:{OTHER}:x"],
    "jti": [*NOT_TEXT, OTHER, "x", f"{{{OTHER}}}", f"urn:uuid:{OTHER}"],
    "iat": [*NOT_TIME],
    "nbf": [*NOT_TIME],
    "exp": [*NOT_TIME],
    "scope": [*NOT_TEXT, "preview", "preview:read preview:write", "PREVIEW:READ", "*", "preview:read "],
    "locale": [*NOT_TEXT, "x" * 25, "en\x00", "xx", "*", "EN", "en "],
    "environment": [*NOT_TEXT, "Staging", "elsewhere", "DEVELOPMENT", "*"],
    "sid": [*NOT_TEXT, "0" * 64, "0" * 63, "G" * 64, "x"],
}  # fmt: skip


def test_every_claim_is_in_the_list(door: Door) -> None:
    assert door.forge.claims.keys() == WRONG.keys() == tokens._CLAIMS
    assert door.forge.header.keys() == {"alg", "typ", "kid"}


@pytest.mark.parametrize("claim", WRONG)
def test_one_wrong_claim_is_enough(door: Door, claim: str) -> None:
    door.refuses(door.forge.with_claims(**{claim: MISSING}), "claims", about="missing")
    for value in WRONG[claim]:
        door.refuses(door.forge.with_claims(**{claim: value}), about=value)
    for value in (door.forge.claims[claim],):
        door.refuses(door.forge.with_claims(**{claim: [value]}), about="a list of the right one")
        door.refuses(door.forge.with_claims(**{claim: {"value": value}}), about="an object")
    text = door.forge.claims[claim]
    if isinstance(text, str):
        for near in (text + " ", " " + text, text + "\n", text + "\x00", text.upper() + "X", text[:-1]):
            door.refuses(door.forge.with_claims(**{claim: near}), about=near)
    door.lets_in(door.forge.with_claims(**{claim: text}))


@pytest.mark.parametrize(
    "name", ["admin", "sid2", "roles", "azp", "cnf", "act", "client_id", "ISS", "", "iss "]
)
def test_a_claim_more_is_one_too_many(door: Door, name: str) -> None:
    door.refuses(door.forge.with_claims(**{name: "x"}), "claims")


def test_of_the_wrong_issuer_audience_subject_scope_and_environment_the_log_says_which(door: Door) -> None:
    for claim, value, reason in (
        ("iss", "https://evil.example", "issuer"),
        ("aud", OTHER, "audience"),
        ("sub", "user:" + OTHER, "subject"),
        ("scope", "preview:write", "scope"),
        ("environment", "elsewhere", "environment"),
        ("sid", "0" * 64, "session"),
        ("sub", f"draft:{OTHER}", "not-as-minted"),
        ("locale", "de", "not-as-minted"),
        ("jti", OTHER, "revoked"),
    ):
        door.refuses(door.forge.with_claims(**{claim: value}), reason, about=claim)


def test_ids_have_one_spelling(door: Door) -> None:
    claims = door.forge.claims
    for claim in ("aud", "jti"):
        for near in (claims[claim].upper(), claims[claim].replace("-", ""), f"{{{claims[claim]}}}"):
            door.refuses(door.forge.with_claims(**{claim: near}), about=near)
    entry = claims["sub"].removeprefix("draft:")
    for near in (
        f"draft:{entry.upper()}",
        f"draft:{entry.replace('-', '')}",
        f"DRAFT:{entry}",
        f"draft: {entry}",
    ):
        door.refuses(door.forge.with_claims(sub=near), "subject", about=near)


# --- The clock ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "seconds", "reason"),
    [
        ("exp", -14, ""), ("exp", -16, "expired"),
        ("nbf", 14, ""), ("nbf", 16, "not-yet"),
        ("iat", 14, ""), ("iat", 16, "not-yet"),
    ],
)  # fmt: skip
def test_clocks_may_differ_by_a_quarter_of_a_minute(
    door: Door, claim: str, seconds: int, reason: str
) -> None:
    with time_machine.travel(timezone.now().replace(microsecond=0), tick=False):
        now = int(timezone.now().timestamp())
        times = {"iat": now - 60, "nbf": now - 60, "exp": now + 60}
        times[claim] = now + seconds
        times["nbf"] = max(times["nbf"], times["iat"])
        token = door.forge.with_claims(**times)
        if reason:
            with pytest.raises(InvalidTokenError) as caught:
                tokens.verify(token)
            assert caught.value.reason == reason
        else:
            assert tokens.verify(token).expires_at.timestamp() == times["exp"]


def test_no_token_lives_for_more_than_half_an_hour(door: Door) -> None:
    now = int(timezone.now().timestamp())
    door.lets_in(door.forge.with_claims(iat=now, nbf=now, exp=now + 1800))
    for times in (
        {"iat": now, "nbf": now, "exp": now + 1801},
        {"iat": now, "nbf": now, "exp": now + 10**8},
        {"iat": now - 3600, "nbf": now, "exp": now + 60},
        {"iat": now + 5, "nbf": now + 5, "exp": now + 5},
        {"iat": now + 10, "nbf": now + 10, "exp": now + 9},
        {"iat": now, "nbf": now - 1, "exp": now + 60},  # good before it was made
    ):
        door.refuses(door.forge.with_claims(**times), "lifetime", about=times)


# --- Algorithms and keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", "null", "HS256", "HS512", "RS256", "RS1", "ES512", "PS256", "ES256K", "Ed25519", "eddsa", "EDDSA", "EdDSA "])  # fmt: skip
def test_the_header_has_no_say_in_the_algorithm(door: Door, name: str) -> None:
    header = changed(door.forge.header, alg=name)
    unsigned = f"{text_of(dumped(header))}.{text_of(dumped(door.forge.claims))}."
    door.refuses(unsigned, "malformed", about="no signature")
    door.refuses(unsigned + door.forge.signature, "algorithm")
    door.refuses(unsigned + text_of(b"x"), "algorithm")
    door.refuses(
        compact(header, door.forge.claims, "EdDSA", door.forge.key), "algorithm", about="truly signed"
    )
    door.lets_in(door.forge.with_header(alg="EdDSA"))


def test_a_token_without_alg_kid_typ_or_signature_is_none(door: Door) -> None:
    for name in ("alg", "kid", "typ"):
        for value in (MISSING, None, 7, [door.forge.header[name]], {}):
            door.refuses(door.forge.with_header(**{name: value}), "malformed", about=(name, value))
    body = door.forge.token.rpartition(".")[0]
    for signature in ("", ".", "..", text_of(b"\x00" * 64), text_of(b"\xff" * 64), text_of(b"\x00" * 4000)):
        door.refuses(f"{body}.{signature}", "malformed", "signature")


def public_texts(key: Any) -> dict[str, bytes]:
    """Return what of a public key an attacker could have as bytes."""
    encoding, form = serialization.Encoding, serialization.PublicFormat
    public = key.public_key()
    texts = {
        "PEM": public.public_bytes(encoding.PEM, form.SubjectPublicKeyInfo),
        "DER": public.public_bytes(encoding.DER, form.SubjectPublicKeyInfo),
        "SSH": public.public_bytes(encoding.OpenSSH, form.OpenSSH),
    }
    if isinstance(public, ed25519.Ed25519PublicKey):
        texts["raw"] = public.public_bytes(encoding.Raw, form.Raw)
    if isinstance(public, rsa.RSAPublicKey):
        texts["PKCS1"] = public.public_bytes(encoding.PEM, form.PKCS1)
    texts["PEM without its last line break"] = texts["PEM"].strip()
    return texts


def hmac_of(signed: str, secret: bytes) -> str:
    """Sign with HMAC-SHA-256, without the care that libraries take of what the secret is."""
    made = hmac.HMAC(secret, hashes.SHA256())
    made.update(signed.encode())
    return f"{signed}.{text_of(made.finalize())}"


def site_with(algorithm: str) -> Made:
    """Return a site whose tokens are signed in one way, known to this process."""
    made = make_site(f"Site {algorithm}", algorithm=algorithm)
    tables.forget()
    return made


def token_for(world: World, made: Made) -> str:
    minted = world.mint(site_id=str(made.site.pk))
    assert minted.status_code == 201, minted.content
    exchanged = world.exchange(minted.json()["code"], made.client_secret)
    assert exchanged.status_code == 200, exchanged.content
    return str(exchanged.json()["token"])


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_public_key_is_no_shared_secret(world: World, door: Door, algorithm: str) -> None:
    forge = Forge(token_for(world, site_with(algorithm)))
    door.lets_in(forge.with_claims())
    published = world.visitor.get("/.well-known/jwks.json").json()
    jwk = next(key for key in published["keys"] if key["kid"] == forge.header["kid"])
    secrets = public_texts(forge.key) | {
        "JWK": json.dumps(jwk).encode(),
        "JWK, short": json.dumps(jwk, separators=(",", ":")).encode(),
        "JWKS": json.dumps(published).encode(),
        "kid": forge.header["kid"].encode(),
        "x": str(jwk.get("x", jwk.get("n"))).encode(),
        "nothing": b"",
    }
    for name in ("HS256", algorithm):
        signed = f"{text_of(dumped(changed(forge.header, alg=name)))}.{text_of(dumped(forge.claims))}"
        for what, secret in secrets.items():
            door.refuses(hmac_of(signed, secret), "algorithm", "signature", about=(name, what))


@pytest.mark.parametrize("algorithm", [*ASYMMETRIC, "HS256"])
def test_each_key_signs_in_its_own_way_alone(world: World, door: Door, algorithm: str) -> None:
    forges = {name: Forge(token_for(world, site_with(name))) for name in (*ASYMMETRIC, "HS256")}
    mine = forges[algorithm]
    door.lets_in(mine.with_claims())
    for name, other in forges.items():
        if name == algorithm:
            continue
        # The header of one, the key of the other, in every combination that could be taken for good.
        for header in (mine.header, changed(mine.header, alg=name), other.header):
            token = compact(header, mine.claims, name, other.key)
            door.refuses(token, "algorithm", "signature", "audience", about=(name, header))
    foreign = foreign_key(algorithm)
    door.refuses(
        compact(mine.header, mine.claims, algorithm, foreign), "signature", about="right kid, foreign key"
    )


def test_a_shared_secret_signs_for_its_own_site_alone(world: World, door: Door) -> None:
    one, other = make_site("One", algorithm="HS256"), make_site("Other", algorithm="HS256")
    tables.forget()
    first, second = Forge(token_for(world, one)), Forge(token_for(world, other))
    door.lets_in(first.with_claims())
    door.lets_in(second.with_claims())
    # What the text says in base64url is the key; the text itself is none.
    signed = f"{text_of(dumped(first.header))}.{text_of(dumped(first.claims))}"
    door.lets_in(hmac_of(signed, bytes_of(one.shared_secret)))
    door.refuses(hmac_of(signed, one.shared_secret.encode()), "signature", about="by the text")
    key = SigningKey.objects.get(site=one.site, state="active")
    assert private_text(key) == one.shared_secret
    door.refuses(first.with_claims(aud=second.claims["aud"]), "audience", about="for another shared site")
    door.refuses(
        first.with_claims(aud=door.forge.claims["aud"]), "audience", about="for a site with a public key"
    )
    door.refuses(
        door.forge.with_claims(aud=first.claims["aud"]), "audience", about="our key for a shared site"
    )
    everything = changed(second.claims)
    door.refuses(
        compact(first.header, everything, "HS256", first.key), "audience", about="all of the other's claims"
    )
    door.refuses(compact(second.header, everything, "HS256", first.key), "signature", about="the other's kid")


def test_a_key_that_is_not_ours_is_not_looked_for_anywhere(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens.verify(door.forge.token)  # the table is there
    kids = [
        "../../x", "/etc/passwd", "file:///etc/passwd", "http://evil.example/key", "' OR 1=1 --",
        "x'; DROP TABLE previews_signingkey; --", "\x00", "", "*", "%", "x" * 300, "x" * 10_240, "0", "null",
        door.forge.header["kid"].upper(), door.forge.header["kid"] + " ", f"{{{door.forge.header['kid']}}}",
    ]  # fmt: skip

    def never(*_: object, **__: object) -> Any:
        raise AssertionError("something was looked for")

    for kid in kids:
        token = door.forge.with_header(kid=kid)
        with monkeypatch.context() as patched, CaptureQueriesContext(connection) as asked:
            patched.setattr(builtins, "open", never)
            patched.setattr(socket.socket, "connect", never)
            with pytest.raises(InvalidTokenError) as caught:
                tokens.verify(token)
        assert caught.value.reason in ("key", "malformed"), kid
        assert len(asked.captured_queries) == 0, kid
        if len(kid) < 1000:
            door.refuses(token, "key", "malformed", about=kid)


def test_an_unknown_key_is_asked_for_once_a_second_and_no_more(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("previews.signing.table._RETRY_SECONDS", 1000.0)
    tokens.verify(door.forge.token)
    with CaptureQueriesContext(connection) as asked:
        for _ in range(20):
            with pytest.raises(InvalidTokenError, match="key"):
                tokens.verify(door.forge.with_header(kid=str(uuid4())))
    assert len(asked.captured_queries) == 0
    monkeypatch.setattr("previews.signing.table._RETRY_SECONDS", 0.0)
    with CaptureQueriesContext(connection) as asked, pytest.raises(InvalidTokenError, match="key"):
        tokens.verify(door.forge.with_header(kid=str(uuid4())))
    assert len(asked.captured_queries) == 3
    door.refuses(door.forge.with_header(kid=str(uuid4())), "key")


# --- The header -----------------------------------------------------------------------------------------------------


EXTRA: Final[dict[str, object]] = {
    "crit": ["exp"],
    "jku": "https://evil.example/jwks.json",
    "x5u": "https://evil.example/cert.pem",
    "jwk": {"kty": "oct", "k": "eA"},
    "x5c": ["MIIB"],
    "x5t": "x",
    "x5t#S256": "x",
    "zip": "DEF",
    "b64": False,
    "cty": "JWT",
    "enc": "A256GCM",
    "url": "x",
    "": "x",
}


@pytest.mark.parametrize("name", EXTRA)
def test_a_header_says_three_things_and_no_more(door: Door, name: str) -> None:
    door.refuses(door.forge.with_header(**{name: EXTRA[name]}), "malformed")
    if name == "jwk":  # with the key that really signed it
        own = ed25519.Ed25519PrivateKey.generate()
        jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(own.public_key()))
        header = changed(door.forge.header, jwk=jwk)
        door.refuses(compact(header, door.forge.claims, "EdDSA", own), "malformed")


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "rt+jwt", "PREVIEW+JWT", "preview+jwt ", "preview", "application/preview+jwt", "jwe", ""])  # fmt: skip
def test_a_token_says_of_what_kind_it_is(door: Door, typ: str) -> None:
    door.refuses(door.forge.with_header(typ=typ), "type")


# --- Its form -------------------------------------------------------------------------------------------------------


def test_there_is_one_serialisation(door: Door) -> None:
    header, claims, signature = door.forge.token.split(".")
    jwe = text_of(dumped({"alg": "dir", "enc": "A256GCM"}))
    flattened = {"protected": header, "payload": claims, "signature": signature}
    general = {"payload": claims, "signatures": [{"protected": header, "signature": signature}]}
    nested = compact({**door.forge.header, "cty": "JWT"}, door.forge.token.encode(), "EdDSA", door.forge.key)
    for token in (
        json.dumps(flattened),
        json.dumps(general),
        json.dumps({**flattened, "header": {"kid": "x"}}),
        f"{header}.{claims}.{signature}.",
        f"{header}.{claims}.{signature}.x.y",  # a JWE has five parts
        f"{jwe}..{text_of(b'x' * 12)}.{text_of(b'x' * 80)}.{text_of(b'x' * 16)}",
        nested,
        door.forge.with_bytes(claims=door.forge.token.encode()),
        f"{header}..{signature}",  # detached (RFC 7797)
        f"{header}.{claims}",
        header,
        "..",
        ".",
        f"Bearer {door.forge.token}",
        f"{door.forge.token},{door.forge.token}",
        f"{door.forge.token} {door.forge.token}",
    ):
        door.refuses(token, "malformed", about=token[:60])


def test_no_name_comes_twice(door: Door) -> None:
    claims, header = dumped(door.forge.claims).decode(), dumped(door.forge.header).decode()
    for name, value in door.forge.claims.items():
        for other in (json.dumps(value), '"x"', "0"):
            for twice in (f'{{"{name}":{other},{claims[1:]}', f'{claims[:-1]},"{name}":{other}}}'):
                door.refuses(door.forge.with_bytes(claims=twice.encode()), "malformed", about=twice[:80])
    escaped = f'{{"\\u0073ub":"draft:{OTHER}",{claims[1:]}'
    door.refuses(door.forge.with_bytes(claims=escaped.encode()), "malformed")
    for name, value in door.forge.header.items():
        for twice in (f'{{"{name}":"x",{header[1:]}', f'{header[:-1]},"{name}":"{value}"}}'):
            door.refuses(door.forge.with_bytes(header=twice.encode()), "malformed", about=twice[:80])


def test_what_is_not_json_in_utf_8_is_not_read(door: Door) -> None:
    claims, header = dumped(door.forge.claims), dumped(door.forge.header)
    for bad in (
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"{}",
        b"\xff\xfe" + claims,
        claims.replace(b"preview:read", b"preview\xff:read"),
        claims.decode().encode("utf-16"),
        claims.decode().encode("utf-32"),
        b"\xef\xbb\xbf" + claims,
        claims + b"x",
        claims + claims,
        b"{" * 500,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        claims[:-1] + b',"x":' + b"9" * 2000 + b"}",
    ):
        door.refuses(door.forge.with_bytes(claims=bad), "malformed", "claims", about=bad[:40])
    for bad in (
        b"",
        b"null",
        b"[]",
        b"\xff" + header,
        header.decode().encode("utf-16"),
        header + b"x",
        b"{" * 400,
    ):
        door.refuses(door.forge.with_bytes(header=bad), "malformed", about=bad[:40])


def test_a_token_has_one_spelling(door: Door) -> None:
    token = door.forge.token
    header, claims, signature = token.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 64 bytes leave four bits unused in the last letter: fifteen others decode to the very same signature.
    last = alphabet.index(signature[-1])
    same = [signature[:-1] + alphabet[last ^ bits] for bits in range(1, 16)]
    assert all(bytes_of(text) == bytes_of(signature) for text in same)
    near = [f"{header}.{claims}.{text}" for text in same]
    near += [token + tail for tail in ("=", "==", "A", "AA", ".", "%00", "\t", " ", "x" * 5)]
    near += [" " + token, "\t" + token, f"{header}. {claims}.{signature}", f"{header}=.{claims}.{signature}"]
    near += [f"{header}.{claims}==.{signature}", token.replace(".", "\u2024"), token.upper(), token[:-1]]
    near += [f"{header}.{claims}.{signature[:20]}\n{signature[20:]}", f"{header}.{claims}.*{signature}"]
    near += [f"{header}.{claims}.{base64.b64encode(bytes_of(signature)).decode()}"]
    for text in near:
        door.refuses(text, "malformed", "signature", about=text[-20:])
    door.lets_in(token)


def test_each_bit_of_a_token_counts(door: Door) -> None:
    for number, part in enumerate(door.forge.token.split(".")):
        raw = bytes_of(part)
        for at in range(0, len(raw), 7):
            parts = door.forge.token.split(".")
            parts[number] = text_of(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
            door.refuses(".".join(parts), about=(number, at))


def test_what_is_long_is_refused_before_it_is_read(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.refuses(door.forge.with_claims(x="y" * 4000), "malformed")
    door.refuses(door.forge.with_header(kid="y" * 700), "malformed")
    door.refuses("y" * 4097, "malformed")
    with pytest.raises(InvalidTokenError, match="malformed"):  # also where no header is looked at before
        tokens.verify(door.forge.with_claims(x="y" * 4000))

    def never(*_: object, **__: object) -> Any:
        raise AssertionError("it was read")

    with monkeypatch.context() as patched:
        patched.setattr("accounts.jws._loads", never)
        door.refuses(door.forge.with_claims(x="y" * 4000), "malformed")
        patched.setattr("previews.authentication.PreviewAuthentication.authenticate", never)
        answer = door.world.read(door.forge.with_header(kid="y" * 10_240))
        assert_problem(answer, 431)
        assert door.world.read("y" * 9000).status_code == 431
    fastest = min(_seconds(lambda: door.world.read("y" * 9000)) for _ in range(5))
    assert fastest < 0.5  # a bound of what is read, on whatever machine


def _seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "bearer  ", "Basic {0}", "Token {0}", "Bearer{0}", "{0}", "DPoP {0}", "Bearer {0}, Bearer {0}", "Bearer\t{0}", "Bearer Bearer {0}"])  # fmt: skip
def test_a_token_comes_as_a_bearer_and_in_no_other_way(door: Door, header: str) -> None:
    path = f"/api/v1/preview/content/articles/{door.world.draft.pk}"
    answer = door.world.visitor.get(path, Authorization=header.format(door.forge.token))
    assert masked(answer) == door.refused
    door.world.visitor.client.cookies["__Host-quillkeep-preview"] = door.forge.token
    without = masked(door.world.visitor.get(path))
    assert without[:2] == door.refused[:2]
    assert {**without[2], "WWW-Authenticate": EXPECTED["WWW-Authenticate"]} == door.refused[2]
    assert_problem(door.world.visitor.get(f"{path}?token={door.forge.token}"), 400)
    assert door.world.visitor.get(path, Authorization=f"bearer {door.forge.token}").status_code == 200


# --- Kinds of credential --------------------------------------------------------------------------------------------


def test_each_kind_of_credential_opens_its_own_door_and_no_other(world: World, door: Door) -> None:
    edith = world.as_edith
    minted = world.mint()
    shared = make_site("Shared", algorithm="HS256")
    kinds = {
        "access token": edith.credential,
        "refresh token": edith.refresh,
        "preview token": door.forge.token,
        "API key": make_key(world.edith.user, (None, Action.READ_DRAFT), (None, Action.PREVIEW))[1],
        "code": str(minted.json()["code"]),
        "client secret": world.secret,
        "shared secret": shared.shared_secret,
    }
    doors: dict[str, tuple[set[str], Callable[[str], Any]]] = {
        "drafts of previews": ({"preview token"}, world.read),
        "management": ({"access token", "API key"}, lambda text: Api(world.visitor.client, text).get("/api/v1/auth/me")),
        "delivery": ({"access token", "API key"}, lambda text: Api(world.visitor.client, text).get(f"/api/v1/content/articles/{world.draft.pk}")),
        "refreshing": ({"refresh token"}, lambda text: world.visitor.post("/api/v1/auth/refresh", {"refresh": text})),
        "exchange, as a secret": ({"client secret"}, lambda text: world.exchange(str(world.mint().json()["code"]), text)),
        "exchange, as a code": ({"code"}, world.exchange),
    }  # fmt: skip
    for name, (right, ask) in doors.items():
        for kind, text in kinds.items():
            if kind not in right:
                assert_problem(ask(text), *([400, 401] if name.startswith("exchange") else [401]))
        for kind in sorted(right):
            # Of delivery only that it is known: what is not published is not there.
            assert ask(kinds[kind]).status_code == (404 if name == "delivery" else 200), (name, kind)
    for text in kinds.values():
        assert text not in door.caplog.text


def test_management_tokens_signed_with_our_keys_are_none(door: Door) -> None:
    """Even with a key of ours, and claims that are right there: each plane has keys of its own."""
    access = door.world.as_edith.credential
    header, claims = (json.loads(bytes_of(part)) for part in access.split(".")[:2])
    door.refuses(access, "type")
    for made in (
        compact({**header, "typ": "preview+jwt"}, claims, "EdDSA", door.forge.key),
        compact(door.forge.header, claims, "EdDSA", door.forge.key),
        compact(door.forge.header, {**claims, **door.forge.claims}, "EdDSA", door.forge.key),
    ):
        door.refuses(made, "key", "claims", "issuer")
    for made in (
        compact({**door.forge.header, "typ": "at+jwt"}, claims, "EdDSA", door.forge.key),
        compact(door.forge.header, claims, "EdDSA", door.forge.key),
        door.forge.token,
    ):
        assert Api(door.world.visitor.client, made).get("/api/v1/auth/me").status_code == 401
    assert door.world.as_edith.get("auth/me").status_code == 200


# --- Other readers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_site_verifies_a_token_by_the_published_keys(world: World, algorithm: str) -> None:
    made = site_with(algorithm)
    token = token_for(world, made)
    jwks = world.visitor.get("/.well-known/jwks.json").json()
    kid = jwt.get_unverified_header(token)["kid"]
    claims = jwt.decode(
        token, jwks_key(jwks, kid), algorithms=[algorithm], audience=str(made.site.pk), issuer="http://localhost:8000",
        options={"require": sorted(WRONG), "verify_iss": False},
    )  # fmt: skip
    assert claims["sub"] == f"draft:{world.draft.pk}"
    # And by a library that shares no code with ours.
    keys = JWKSet.from_json(json.dumps(jwks))
    asked = {"aud": str(made.site.pk), "sub": f"draft:{world.draft.pk}"}
    JWT(jwt=token, key=keys, algs=[algorithm], check_claims=asked)
    for altered in (token[:-8] + text_of(b"wrong!"), foreign(token)):
        with pytest.raises((InvalidJWSSignature, JWTMissingKey)):
            JWT(jwt=altered, key=keys, algs=[algorithm], check_claims=asked)


def foreign(token: str) -> str:
    """Return a token whose claims are others' than those that were signed."""
    header, claims, signature = token.split(".")
    return f"{header}.{text_of(bytes_of(claims).replace(b'preview:read', b'preview:rest'))}.{signature}"


def test_a_point_that_is_on_no_curve_is_no_key(world: World) -> None:
    """RFC 8725, section 3.4: what the table is read of is checked too, and one bad row closes no other key."""
    made = make_site("Curve", algorithm="ES256")
    token, other = token_for(world, made), world.token()
    assert world.read(token).status_code == 200
    key = SigningKey.objects.get(pk=UUID(jwt.get_unverified_header(token)["kid"]))
    for change in ({"y": text_of(b"\x01" * 32)}, {"x": text_of(b"\x00" * 32), "y": text_of(b"\x00" * 32)}, {"crv": "P-521"}, {"kty": "oct", "k": "eA"}, {"x": 7}):  # fmt: skip
        SigningKey.objects.filter(pk=key.pk).update(public={**(key.public or {}), **change})
        tables.forget()
        assert world.read(token).status_code == 401, change
        assert world.read(other).status_code == 200, change
    SigningKey.objects.filter(pk=key.pk).update(public=key.public)
    tables.forget()
    assert world.read(token).status_code == 200
    assert halves.verifier(key) is not None


def test_a_site_that_was_set_up_a_moment_ago_is_known_to_every_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a table of its own, up to half a minute old."""
    monkeypatch.setattr("previews.signing.table._RETRY_SECONDS", 0.0)
    for algorithm in (*ASYMMETRIC, "HS256"):
        tables.current()
        made = make_site(f"New {algorithm}", algorithm=algorithm)
        assert world.read(token_for(world, made)).status_code == 200, algorithm
    moved = make_site("Moved", algorithm="HS256")
    assert world.read(token_for(world, moved)).status_code == 200
    sites.change(moved.site, {"algorithm": "EdDSA"}, None, by=ROOT)
    assert world.read(token_for(world, moved)).status_code == 200


def test_another_sites_token_is_of_no_use_once_the_site_signs_in_another_way(world: World) -> None:
    token = world.token()
    assert world.read(token).status_code == 200
    sites.change(world.site, {"algorithm": "ES256"}, None, by=ROOT)
    assert world.read(token).status_code == 401
    assert refusals()[-1] == "audience"
