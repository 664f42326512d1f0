"""Passwords: their one spelling, how long they must be, and which are too easily guessed (NIST SP 800-63B-4)."""

import threading
import unicodedata
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.auth.password_validation import CommonPasswordValidator
from zxcvbn import zxcvbn

from accounts.errors import InvalidInputError, Problem, UnavailableError

ALONE: Final = 15  # characters, where the password is all that is asked for
WITH_SECOND_FACTOR: Final = 8
LONGEST: Final = 4096  # bytes; more is refused before anything looks at it
_ESTIMATED: Final = 72  # characters: the estimator takes no more
_GUESSABLE: Final = 2  # of 0 to 4; below it, a patient stranger gets in
_CONTEXT: Final = ("quillkeep", "cms")
_common = CommonPasswordValidator().passwords


def normalized(password: str) -> str:
    """Return the spelling that is hashed: NFKC, so that every keyboard writes the same password."""
    return unicodedata.normalize("NFKC", password)


def length(password: str) -> int:
    """Count as NIST does: code points, after normalization."""
    return len(normalized(password))


def is_long(password: str) -> bool:
    """Tell whether a password is long enough to be all that is asked for."""
    return length(password) >= ALONE


def require_sane_size(password: str) -> None:
    """Raise InvalidInputError for more than anybody types: hashing it would be an easy way to keep us busy."""
    if len(password.encode(errors="replace")) > LONGEST:
        raise InvalidInputError(errors=[Problem.at(["password"], "too-long", "At most 4096 bytes.")])


@dataclass(frozen=True, slots=True)
class Estimate:
    """How hard a password is to guess: 0 (at once) to 4 (not in this life), and what would make it better."""

    score: int
    advice: tuple[str, ...]


def estimate(password: str, *, about: Collection[str] = ()) -> Estimate:
    """Estimate a password; `about` are words that a stranger would try: name, address, place."""
    text = normalized(password)[:_ESTIMATED]
    if not text:
        return Estimate(0, ())
    found = zxcvbn(text, user_inputs=[*_words(about)], max_length=_ESTIMATED)
    feedback = found["feedback"]
    advice = [feedback["warning"], *feedback["suggestions"]]
    return Estimate(int(found["score"]), tuple(line for line in advice if line))


def require_good(password: str, *, least: int, about: Collection[str] = ()) -> None:
    """Raise InvalidInputError, with the reason, for a password that is too short, common, or easily guessed.

    There is no rule about kinds of characters: length and being unknown is what keeps people out.
    """
    require_sane_size(password)
    text = normalized(password)
    problems: list[str] = []
    if len(text) < least:
        problems.append(f"At least {least} characters; this has {len(text)}.")
    elif text.casefold() in _common:
        problems.append("This is one of the passwords that everybody tries first.")
    elif _is_mostly(set(_words(about)), text):
        problems.append("This is mostly words that belong to you or to this place.")
    else:
        found = estimate(password, about=about)
        if found.score < _GUESSABLE:
            why = " ".join(line if line.endswith(".") else f"{line}." for line in found.advice[:2])
            problems.append(f"This is easily guessed. {why}".strip())
    if problems:
        raise InvalidInputError(
            errors=[Problem.at(["password"], "weak-password", problem) for problem in problems]
        )


def _words(about: Collection[str]) -> Iterator[str]:
    """Yield the words of the context, in small letters."""
    host = settings.PUBLIC_URL.partition("//")[2].partition(":")[0]
    for text in (*_CONTEXT, settings.ENVIRONMENT.name, host, *about):
        lowered = normalized(text).casefold()
        yield lowered
        yield from (part for part in lowered.replace("@", " ").replace(".", " ").replace("-", " ").split())


def _is_mostly(words: Collection[str], text: str) -> bool:
    """Tell whether little is left of a password without the words that are known to belong to it, all together."""
    whole = rest = text.casefold()
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= 4:
            rest = rest.replace(word, "")
    return rest != whole and len(rest) <= 4


class PatientArgon2Hasher(Argon2PasswordHasher):
    """Argon2id, one hash at a time in each process: a rush of sign-ins must leave memory and threads to the others."""

    def encode(self, password: str, salt: str) -> str:
        with _turn():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with _turn():
            return super().verify(password, encoded)


_MOST_WAITING: Final = 3  # with the one that hashes, half of the threads of a web process
_hashing = threading.Lock()
_queue = threading.BoundedSemaphore(_MOST_WAITING + 1)


@contextmanager
def _turn() -> Iterator[None]:
    """Wait for the hash before us. Raises UnavailableError where too many wait already."""
    if not _queue.acquire(blocking=False):
        raise UnavailableError("Too many people are signing in at this moment. Try again.", retry_after=2)
    try:
        with _hashing:
            yield
    finally:
        _queue.release()
