"""What the environment says of backups: where they go, who can read them, how often they are made and kept."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import pyrage

NAMES: Final = (
    "BACKUP_TO",
    "BACKUP_RECIPIENTS",
    "BACKUP_IDENTITY",
    "BACKUP_S3_ACCESS_KEY_ID",
    "BACKUP_S3_SECRET_ACCESS_KEY",
    "BACKUP_EVERY_HOURS",
    "BACKUP_PROVE_EVERY_DAYS",
    "BACKUP_KEEP",
    "SCRATCH_DATABASE_URL",
    "POSTGRESQL_BIN",
)
_KEEP: Final = re.compile(r"(\d{1,3})d ?(\d{1,3})w ?(\d{1,3})m")
_S3_OPTIONS: Final = frozenset({"endpoint", "region"})


@dataclass(frozen=True, slots=True)
class BackupSettings:
    """Checked values; `to` is "" where no backups are made."""

    to: str
    recipients: tuple[str, ...]
    identities: tuple[str, ...] = field(repr=False)  # private keys: of a process that proves, of no other
    s3_access_key_id: str = field(repr=False)
    s3_secret_access_key: str = field(repr=False)
    every_hours: int
    prove_every_days: int
    keep: tuple[int, int, int]  # days, weeks, months
    scratch_database: dict[str, Any] | None = field(repr=False)
    postgresql_bin: Path | None


class Faults:
    """Parsers of the values; each raises what the environment takes for a fault of one value."""

    def __init__(self, fault: type[Exception], *, strict: bool) -> None:
        self.fault, self.strict = fault, strict

    def place(self, text: str) -> str:
        try:
            return _place(text, strict=self.strict)
        except ValueError as error:
            raise self.fault(str(error)) from error

    def recipients(self, text: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))
        for number, item in enumerate(found, start=1):
            if not is_recipient(item):
                raise self.fault(f"entry {number} is not a public key of age (age1…)")
        if not found:
            raise self.fault("must hold public keys of age, comma separated")
        return found

    def identities(self, text: str) -> tuple[str, ...]:
        found = tuple(identity_lines(text))
        if not found or not all(is_identity(item) for item in found):
            raise self.fault("must hold private keys of age (AGE-SECRET-KEY-…), one a line")
        return found

    def number(self, low: int, high: int, what: str) -> Callable[[str], int]:
        """Return a parser of numbers within bounds."""

        def parse(text: str) -> int:
            if not re.fullmatch(r"[0-9]{1,4}", text) or not low <= int(text) <= high:
                raise self.fault(f"must be a number of {what} from {low} to {high}")
            return int(text)

        return parse

    def keep(self, text: str) -> tuple[int, int, int]:
        match = _KEEP.fullmatch(text)
        if match is None or int(match[1]) < 1:
            raise self.fault(
                "must be days, weeks and months that one backup each is kept of, such as 7d 4w 12m"
            )
        return int(match[1]), int(match[2]), int(match[3])

    def folder(self, text: str) -> Path:
        if not Path(text).is_absolute():
            raise self.fault("must be the absolute path of a folder")
        return Path(text)


def read(
    take: Callable[..., Any],
    fault: type[Exception],
    *,
    database: Callable[[str], dict[str, Any]],
    strict: bool,
) -> BackupSettings:
    """Read the names by the environment's `take`; `fault` is what a wrong value raises."""
    parse = Faults(fault, strict=strict)
    to = take("BACKUP_TO", parse.place, default="")
    every = take("BACKUP_EVERY_HOURS", parse.number(1, 168, "hours"), default=24)
    prove_every = take("BACKUP_PROVE_EVERY_DAYS", parse.number(1, 90, "days"), default=7)
    return BackupSettings(  # what a fault made None is never used: the process does not start
        to=to or "",
        recipients=take("BACKUP_RECIPIENTS", parse.recipients, default=... if to else ()) or (),
        identities=take("BACKUP_IDENTITY", parse.identities, default=()) or (),
        s3_access_key_id=take("BACKUP_S3_ACCESS_KEY_ID", str, default=""),
        s3_secret_access_key=take("BACKUP_S3_SECRET_ACCESS_KEY", str, default=""),
        every_hours=every,
        prove_every_days=prove_every,
        keep=take("BACKUP_KEEP", parse.keep, default=(7, 4, 12)),
        scratch_database=take("SCRATCH_DATABASE_URL", database, default=None),
        postgresql_bin=take("POSTGRESQL_BIN", parse.folder, default=None),
    )


def is_recipient(text: str) -> bool:
    """Tell whether a text is a public key of age, of the kind whose private keys we can prove and restore with."""
    try:
        pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        return False
    return True


def is_identity(text: str) -> bool:
    """Tell whether a text is a private key of age."""
    try:
        pyrage.x25519.Identity.from_str(text)
    except pyrage.IdentityError:
        return False
    return True


def identity_lines(text: str) -> list[str]:
    """Return the keys of an identity file as `age-keygen` writes it: lines that are no comments."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _place(text: str, *, strict: bool) -> str:
    """Check `file:///folder` or `s3://bucket/prefix?endpoint=https://…&region=…`. Raises ValueError."""
    try:
        parts = urlsplit(text)
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        endpoint = urlsplit(options.get("endpoint", "https://amazon"))
    except ValueError as error:  # its words hold a part of the value
        raise ValueError("is not a valid URL") from error
    if parts.username or parts.password or parts.fragment:
        raise ValueError("must hold no user, password or fragment")
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/") or "%" in parts.path or parts.query:
            raise ValueError("must be file:///absolute/path, without escapes")
        return text
    if parts.scheme != "s3" or not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts.netloc):
        raise ValueError("must be file:///folder or s3://bucket/prefix?endpoint=https://…")
    if set(options) - _S3_OPTIONS or not re.fullmatch(r"(/[A-Za-z0-9._-]+)*/?", parts.path):
        raise ValueError("has a prefix or an option that is not known; options are endpoint and region")
    if endpoint.scheme not in ("http", "https") or not endpoint.hostname or endpoint.username:
        raise ValueError("has an endpoint that is no https:// address")
    if strict and endpoint.scheme != "https":
        raise ValueError("must have an https endpoint outside development")
    return text
