"""The two ceremonies of WebAuthn Level 2: making a passkey (7.1), and showing that one has it (7.2).

py_webauthn checks signatures and structures; what it leaves to its caller is checked here.
"""

import json
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import bytes_to_base64url
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from accounts.errors import InvalidInputError
from accounts.models.device import Passkey, issuer
from accounts.models.user import User

_STATE_KEY: Final = "accounts_passkey"
_LIFE_SECONDS: Final = 300
_LONGEST: Final = 16 * 1024  # characters; a real answer has two thousand
_LONGEST_ID: Final = 1023  # bytes (WebAuthn Level 2, 4)
# The last one for computers whose security chip knows no other.
_ALGORITHMS: Final = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
# We ask for no attestation. Browsers send none then, or one that the authenticator made for itself.
_FORMATS: Final = frozenset({AttestationFormat.NONE, AttestationFormat.PACKED})


class Ceremony(StrEnum):
    """What a challenge is for; it is good for nothing else."""

    SIGN_IN = "sign-in"  # without a password: who it is, the passkey says
    SECOND_FACTOR = "second-factor"
    STEP_UP = "step-up"
    ENROLMENT = "enrolment"


class PasskeyRefusedError(InvalidInputError):
    """What the browser sent is no passkey of ours, or not an answer to our challenge."""

    code = "passkey-refused"
    default_detail = "This passkey was not accepted. Try again, or use another way."


# --- Making one -----------------------------------------------------------------------------------------------


def begin_registration(request: HttpRequest, user: User) -> dict[str, Any]:
    """Return the options for `navigator.credentials.create`, as JSON, and remember their challenge in the session."""
    challenge = secrets.token_bytes(32)
    options = generate_registration_options(
        rp_id=_rp_id(),
        rp_name=issuer(),
        user_id=user.pk.bytes,
        user_name=user.email,
        user_display_name=user.name or user.email,
        challenge=challenge,
        timeout=_LIFE_SECONDS * 1000,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=_descriptors(user),
        supported_pub_key_algs=_ALGORITHMS,
    )
    _remember(request, Ceremony.ENROLMENT, challenge, user)
    found: dict[str, Any] = json.loads(options_to_json(options))
    return found


def finish_registration(request: HttpRequest, user: User, text: str, *, name: str) -> Passkey:
    """Check what the browser made and return it, not yet kept. Raises PasskeyRefusedError."""
    challenge = _challenge(request, Ceremony.ENROLMENT, user)
    answer = _parsed(text)
    try:
        checked = verify_registration_response(
            credential=answer.raw,
            expected_challenge=challenge,
            expected_rp_id=_rp_id(),
            expected_origin=settings.PUBLIC_URL,
            require_user_verification=True,
            supported_pub_key_algs=_ALGORITHMS,
        )
    except _REFUSALS as error:
        raise PasskeyRefusedError from error
    if checked.fmt not in _FORMATS or len(checked.credential_id) > _LONGEST_ID:
        raise PasskeyRefusedError
    return Passkey(
        user=user,
        name=name,
        confirmed=True,
        credential_id=checked.credential_id,
        public_key=checked.credential_public_key,
        sign_count=checked.sign_count,
        transports=answer.transports,
        aaguid=checked.aaguid,
        is_synced=checked.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
    )


# --- Showing it -----------------------------------------------------------------------------------------------


def begin_assertion(request: HttpRequest, ceremony: Ceremony, user: User | None) -> dict[str, Any]:
    """Return the options for `navigator.credentials.get`. Without a user they name no passkey, and so nobody."""
    challenge = secrets.token_bytes(32)
    options = generate_authentication_options(
        rp_id=_rp_id(),
        challenge=challenge,
        timeout=_LIFE_SECONDS * 1000,
        allow_credentials=_descriptors(user) if user is not None else [],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    _remember(request, ceremony, challenge, user)
    found: dict[str, Any] = json.loads(options_to_json(options))
    return found


@transaction.atomic
def finish_assertion(request: HttpRequest, ceremony: Ceremony, user: User | None, text: str) -> Passkey:
    """Check an answer and return the passkey that gave it. Raises PasskeyRefusedError.

    With a user it must be one of theirs; without, the answer itself names whose it is.
    """
    challenge = _challenge(request, ceremony, user)
    answer = _parsed(text)
    passkey: Passkey | None = (
        Passkey.objects.select_for_update()
        .filter(credential_id=answer.credential_id, confirmed=True, user__is_active=True)
        .first()
    )
    if passkey is None or (user is not None and passkey.user_id != user.pk):
        raise PasskeyRefusedError
    handle = answer.user_handle
    if handle != passkey.user_id.bytes and (handle is not None or user is None):
        raise PasskeyRefusedError
    try:
        checked = verify_authentication_response(
            credential=answer.raw,
            expected_challenge=challenge,
            expected_rp_id=_rp_id(),
            expected_origin=settings.PUBLIC_URL,
            credential_public_key=bytes(passkey.public_key),
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except _REFUSALS as error:
        raise PasskeyRefusedError from error
    passkey.sign_count = checked.new_sign_count
    passkey.is_synced = checked.credential_device_type is CredentialDeviceType.MULTI_DEVICE
    passkey.last_used_at = timezone.now()
    passkey.save(update_fields=["sign_count", "is_synced", "last_used_at"])
    return passkey


# --- The challenge --------------------------------------------------------------------------------------------


def _remember(request: HttpRequest, ceremony: Ceremony, challenge: bytes, user: User | None) -> None:
    request.session[_STATE_KEY] = {
        "for": ceremony.value,
        "challenge": bytes_to_base64url(challenge),
        "at": int(time.time()),
        "user": str(user.pk) if user is not None else "",
    }


def _challenge(request: HttpRequest, ceremony: Ceremony, user: User | None) -> bytes:
    """Take the challenge of this session, which is then gone whatever comes of it (CVE-2022-42731)."""
    found = request.session.pop(_STATE_KEY, None)
    request.session.save()  # also when the answer is refused, and the request ends in an error
    if (
        found is None
        or found["for"] != ceremony.value
        or found["user"] != (str(user.pk) if user is not None else "")
        or time.time() - found["at"] > _LIFE_SECONDS
    ):
        raise PasskeyRefusedError
    return base64url_to_bytes(found["challenge"])


# --- What the browser sends -----------------------------------------------------------------------------------

_REFUSALS: Final = (
    WebAuthnException,
    ValueError,  # and what the parsers beneath it raise for bytes that are not what they say
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    AttributeError,
    RecursionError,
)


@dataclass(frozen=True, slots=True)
class _Answer:
    raw: dict[str, Any]
    credential_id: bytes
    user_handle: bytes | None
    transports: list[str]


def _parsed(text: str) -> _Answer:
    """Take the JSON of a credential apart, as far as we look at it ourselves. Raises PasskeyRefusedError."""
    if len(text) > _LONGEST:
        raise PasskeyRefusedError
    try:
        raw = json.loads(text)
        response = raw["response"]
        client = json.loads(base64url_to_bytes(response["clientDataJSON"]))
        handle = response.get("userHandle")
        transports = response.get("transports") or []
        known = [item.value for item in AuthenticatorTransport]
        answer = _Answer(
            raw=raw,
            credential_id=base64url_to_bytes(raw["rawId"]),
            user_handle=base64url_to_bytes(handle) if handle else None,
            transports=[item for item in known if item in transports],
        )
        is_framed = bool(client.get("crossOrigin")) or "topOrigin" in client
    except _REFUSALS as error:
        raise PasskeyRefusedError from error
    # Shown inside another site's frame, so that the person may not know whose page asks (WebAuthn Level 2, 5.8.1).
    if is_framed or len(answer.credential_id) > _LONGEST_ID:
        raise PasskeyRefusedError
    return answer


def _descriptors(user: User) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=bytes(passkey.credential_id),
            transports=[AuthenticatorTransport(item) for item in passkey.transports],
        )
        for passkey in Passkey.objects.filter(user=user, confirmed=True).order_by("pk")
    ]


def _rp_id() -> str:
    """Return the domain that passkeys are bound to: the host of the public address."""
    return urlsplit(settings.PUBLIC_URL).hostname or ""
