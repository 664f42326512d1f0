"""Django's SECRET_KEY and its fallbacks as `manage.py keys` knows them.

It signs what sessions of the admin hold, the proof in a session that its person's password is still the same, messages
for the next page, and confirmations of a change of access (ten minutes). Tokens, links, cursors and all that is
encrypted stand on the key ring.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.signing import BadSignature, TimestampSigner
from django.utils import timezone

from accounts.access import Area, Principal
from accounts.errors import ConflictError, NotFoundError
from accounts.keys import kinds
from accounts.keys.kinds import Rotated
from accounts.keys.ring_kind import place
from accounts.keys.usage import Verdict
from accounts.sign_in.session_store import SessionStore

NAME: Final = "secret-key"


class SecretKeys:
    """The present key and former ones, by fingerprint. All of it is the environment's; this tells and counts."""

    columns: Final = ("id", "name", "state", "sessions")
    retired: Final = (
        "take it out of SECRET_KEY_FALLBACKS and restart: what it signed counts until then, and no longer"
    )

    def rows(self) -> list[dict[str, Any]]:
        numbers = live_sessions()
        names = ["SECRET_KEY", *(f"fallback {number}" for number in range(1, len(_keys())))]
        return [
            {
                "id": fingerprint(key),
                "name": name,
                "state": "active" if name == "SECRET_KEY" else "retiring",
                "sessions": numbers[fingerprint(key)],
            }
            for name, key in zip(names, _keys(), strict=True)
        ]

    def rotate(
        self,
        name: str,
        *,
        overlap: timedelta,  # noqa: ARG002 (a former key ends when it is taken out)
        at_once: bool = False,  # noqa: ARG002
        by: Principal,
    ) -> Sequence[Rotated]:
        """Return a new key. Nothing changes before processes start with it."""
        if name != NAME:
            raise ConflictError("There is one of them: name it, `keys rotate secret-key`.")
        by.require_area(Area.KEYS)
        by.require_step_up()
        text = secrets.token_urlsafe(64)
        told = (
            f"Nothing has changed yet. Put the present key first into {place('SECRET_KEY_FALLBACKS')}, this one into"
            f" {place('SECRET_KEY')}, and restart every process. Nobody is signed out. Where hosts restart one after"
            " another, put this one last into SECRET_KEY_FALLBACKS before that, and restart all. When `keys list --kind"
            " secret-key` counts no session of the former one, take it out again (a session lasts 12 hours at most)."
        )
        return [Rotated(fingerprint(text), text, None, name=NAME, former=fingerprint(_keys()[0]), told=told)]

    def judge(self, name: str) -> Verdict | None:
        number = live_sessions()[_known(name)]
        if number:
            return Verdict(
                is_safe=False,
                sentence=f"Not yet: {number} live session{'' if number == 1 else 's'} of the admin"
                " would be signed out; each moves to the present key when its person goes on.",
            )
        return Verdict(is_safe=True, sentence="No live session depends on it.")

    def retire(self, name: str, *, by: Principal) -> None:
        """Say that it can go. It is the operator's to take it out."""
        by.require_area(Area.KEYS)
        if _known(name) == fingerprint(_keys()[0]):
            raise ConflictError("This is the present key: rotate it first.")


def fingerprint(key: str) -> str:
    """Return eight hex digits of a hash of something that is derived from the key; nothing leads back."""
    info = b"quillkeep/v1/fingerprint"
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key.encode())
    return hashlib.sha256(derived).hexdigest()[:8]


def live_sessions() -> dict[str, int]:
    """Return how many live sessions of the admin each key has signed, by fingerprint; each is looked at."""
    signers = {
        fingerprint(key): TimestampSigner(key=key, salt=SessionStore().key_salt, fallback_keys=[])
        for key in _keys()
    }
    found = dict.fromkeys(signers, 0)
    rows = Session.objects.filter(expire_date__gt=timezone.now()).values_list("session_data", flat=True)
    for data in rows.iterator(chunk_size=200):
        for name, signer in signers.items():
            if _signed_by(signer, data):
                found[name] += 1
                break
    return found


def _signed_by(signer: TimestampSigner, data: str) -> bool:
    try:
        signer.unsign(data)
    except BadSignature:
        return False
    return True


def _keys() -> list[str]:
    return [str(settings.SECRET_KEY), *map(str, settings.SECRET_KEY_FALLBACKS)]


def _known(name: str) -> str:
    wanted = name.removeprefix(f"{NAME}:")
    if wanted not in {fingerprint(key) for key in _keys()}:
        raise NotFoundError("There is no such key; `keys list --kind secret-key` shows their fingerprints.")
    return wanted


def register() -> None:
    """Let `manage.py keys` know of them."""
    kinds.register(NAME, SecretKeys())
