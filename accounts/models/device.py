"""Second factors: an authenticator app, passkeys, and recovery codes for the day when both are lost."""

import base64
import hmac
import os
import secrets
import time
from collections.abc import Sequence
from typing import ClassVar, Final, cast
from urllib.parse import quote

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django_otp.models import Device, ThrottlingMixin, TimestampMixin
from django_otp.oath import TOTP

from accounts import environments
from accounts.ids import uuid7
from accounts.keyring import key_ring
from accounts.models.role import Strength

STEP_SECONDS = 30
DIGITS = 6


def issuer() -> str:
    """Return the name that authenticators show; each environment has one, so that entries never clash."""
    name = environments.name()
    return "Quillkeep" if name == "production" else f"Quillkeep ({name})"


class OwnedDevice(Device):  # type: ignore[misc]
    """What all of them share: a UUID as id, and how a Django session names it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    strength: ClassVar[Strength]

    class Meta:
        abstract = True

    @property
    def persistent_id(self) -> str:
        """Return how a Django session names the device. django-otp reads the id as a whole number, which a UUID is."""
        return f"{self._meta.label_lower}/{self.id.int}"


class Authenticator(TimestampMixin, ThrottlingMixin, OwnedDevice):  # type: ignore[misc]
    """A TOTP device (RFC 6238: SHA-1, six digits, thirty seconds), after django-otp's own.

    Unlike that one it keeps no readable secret: a stolen database gives no second factors.
    """

    strength = Strength.SECOND_FACTOR

    secret = models.TextField()
    last_step = models.BigIntegerField(default=-1)  # the newest time step that was used: no code works twice

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user"],
                condition=models.Q(confirmed=True),
                name="a person has one confirmed authenticator",
            ),
        ]

    def set_new_secret(self) -> bytes:
        """Put in a new random secret of 160 bits and return it."""
        raw = os.urandom(20)
        self.secret = key_ring().encrypt(raw, context=self.context)
        return raw

    @property
    def raw_secret(self) -> bytes:
        return key_ring().decrypt(self.secret, context=self.context)

    @property
    def secret_base32(self) -> str:
        return base64.b32encode(self.raw_secret).decode()

    @property
    def config_url(self) -> str:
        """The `otpauth://` address that authenticator apps read from a QR code."""
        label = f"{quote(issuer())}:{quote(self.user.email)}"
        return (
            f"otpauth://totp/{label}?secret={self.secret_base32}&issuer={quote(issuer())}"
            f"&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}"
        )

    def verify_token(self, token: str) -> bool:
        """Tell whether a code is right now (one step either way), unused, and not slowed down after failures.

        Call it on a locked row (`django_otp.match_token` does), or two requests could use one code.
        """
        allowed, _ = self.verify_is_allowed()
        if not allowed:
            return False
        if not (len(token) == DIGITS and token.isascii() and token.isdecimal()):
            self.throttle_increment()
            return False
        generator = TOTP(self.raw_secret, step=STEP_SECONDS, digits=DIGITS)
        generator.time = time.time()
        now = cast("int", generator.t())
        for step in (now, now - 1, now + 1):
            generator.drift = step - now
            expected = f"{generator.token():0{DIGITS}d}"
            if step > self.last_step and hmac.compare_digest(expected, token):
                self.last_step = step
                self.throttle_reset(commit=False)
                self.set_last_used_timestamp(commit=False)
                self.save()
                return True
        self.throttle_increment()
        return False

    def get_throttle_factor(self) -> float:
        return cast("float", getattr(settings, "OTP_TOTP_THROTTLE_FACTOR", 1))

    @property
    def context(self) -> str:
        """What the secret is bound to when it is encrypted."""
        return f"accounts.authenticator:{self.id}"


class Passkey(TimestampMixin, OwnedDevice):  # type: ignore[misc]
    """A WebAuthn credential. Only its public half is here, so nothing of this table opens anything."""

    strength = Strength.PHISHING_RESISTANT

    credential_id = models.BinaryField(max_length=1023, unique=True)
    public_key = models.BinaryField()  # COSE (RFC 9052)
    sign_count = models.BigIntegerField(default=0)
    transports = ArrayField(models.CharField(max_length=20), default=list)
    aaguid = models.CharField(max_length=36, blank=True, default="")  # the make of the authenticator
    is_synced = models.BooleanField(
        default=False
    )  # held by an account of its maker, and so on several devices

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(sign_count__gte=0), name="a passkey counts its signatures from nought"
            )
        ]

    def verify_token(self, token: str) -> bool:  # noqa: ARG002 (django-otp's signature)
        """No text that somebody types is a passkey."""
        return False


CODES: Final = 10
_CODE_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: nothing looks like anything else
_CODE_LENGTH: Final = 16  # of 32 kinds: 80 bits
_LOOKALIKES: Final = str.maketrans({"o": "0", "i": "1", "l": "1", "-": "", " ": ""})


class RecoveryCodes(TimestampMixin, ThrottlingMixin, OwnedDevice):  # type: ignore[misc]
    """Ten codes on paper, each good once. Kept as keyed hashes."""

    strength = Strength.SECOND_FACTOR

    macs = ArrayField(models.CharField(max_length=110), default=list)  # "<key id>:<HMAC-SHA-256>"

    class Meta:
        verbose_name_plural = "recovery codes"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user"], name="a person has one set of recovery codes"),
        ]

    def set_new_codes(self) -> Sequence[str]:
        """Put in ten new codes, which ends the old ones, and return them: they are never to be seen again."""
        codes = ["".join(secrets.choice(_CODE_ALPHABET) for _ in range(_CODE_LENGTH)) for _ in range(CODES)]
        self.macs = [":".join(key_ring().mac(self._bytes(code), purpose=self._PURPOSE)) for code in codes]
        return ["-".join(code[start : start + 4] for start in range(0, _CODE_LENGTH, 4)) for code in codes]

    def verify_token(self, token: str) -> bool:
        """Use a code up. Call it on a locked row, or two requests could use the same one."""
        allowed, _ = self.verify_is_allowed()
        if not allowed:
            return False
        code = token.lower().translate(_LOOKALIKES)
        for mac in self.macs:
            key_id, _, value = mac.partition(":")
            if key_ring().verifies(self._bytes(code), value, purpose=self._PURPOSE, key_id=key_id):
                self.macs = [other for other in self.macs if other != mac]
                self.throttle_reset(commit=False)
                self.set_last_used_timestamp(commit=False)
                self.save()
                return True
        self.throttle_increment()
        return False

    def get_throttle_factor(self) -> float:
        return 1.0

    _PURPOSE: ClassVar = "recovery-code"

    def _bytes(self, code: str) -> bytes:
        # With the row's id, so that a hash that is copied to another person's row opens nothing.
        return f"{self.id}:{code}".encode()
