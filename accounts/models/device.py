"""Second factors: a TOTP authenticator whose secret is encrypted with the key ring."""

import base64
import hmac
import os
import time
from typing import ClassVar, cast
from urllib.parse import quote

from django.conf import settings
from django.db import models
from django_otp.models import Device, ThrottlingMixin, TimestampMixin
from django_otp.oath import TOTP

from accounts.ids import uuid7
from accounts.keyring import key_ring

STEP_SECONDS = 30
DIGITS = 6


class Authenticator(TimestampMixin, ThrottlingMixin, Device):  # type: ignore[misc]
    """A TOTP device (RFC 6238: SHA-1, six digits, thirty seconds), after django-otp's own.

    Unlike that one it keeps no readable secret: a stolen database gives no second factors.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
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

    @property
    def persistent_id(self) -> str:
        """Return how a Django session names the device. django-otp reads the id as a whole number, which a UUID is."""
        return f"{self._meta.label_lower}/{self.id.int}"

    def set_new_secret(self) -> bytes:
        """Put in a new random secret of 160 bits and return it."""
        raw = os.urandom(20)
        self.secret = key_ring().encrypt(raw, context=self._context)
        return raw

    @property
    def raw_secret(self) -> bytes:
        return key_ring().decrypt(self.secret, context=self._context)

    @property
    def secret_base32(self) -> str:
        return base64.b32encode(self.raw_secret).decode()

    @property
    def config_url(self) -> str:
        """The `otpauth://` address that authenticator apps read from a QR code."""
        issuer = "Quillkeep"
        label = quote(f"{issuer}:{self.user.email}")
        return (
            f"otpauth://totp/{label}?secret={self.secret_base32}&issuer={issuer}"
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
    def _context(self) -> str:
        return f"accounts.authenticator:{self.id}"
