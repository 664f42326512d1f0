"""What the environment says of backups: where they go, who can read them, how often they are made and kept."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import pyrage

from cms_project.environment_values import Fault, bounded, items

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


def read(
    take: Callable[..., Any], *, database: Callable[[str], dict[str, Any]], strict: bool
) -> BackupSettings:
    """Read the names by the environment's `take`."""
    to = take("BACKUP_TO", lambda text: _place(text, strict=strict), default="")
    every = take("BACKUP_EVERY_HOURS", bounded(1, 168, "hours"), default=24)
    prove_every = take("BACKUP_PROVE_EVERY_DAYS", bounded(1, 90, "days"), default=7)
    return BackupSettings(  # what a fault made None is never used: the process does not start
        to=to or "",
        recipients=take("BACKUP_RECIPIENTS", _recipients, default=... if to else ()) or (),
        identities=take("BACKUP_IDENTITY", _identities, default=()) or (),
        s3_access_key_id=take("BACKUP_S3_ACCESS_KEY_ID", str, default=""),
        s3_secret_access_key=take("BACKUP_S3_SECRET_ACCESS_KEY", str, default=""),
        every_hours=every,
        prove_every_days=prove_every,
        keep=take("BACKUP_KEEP", _keep, default=(7, 4, 12)),
        scratch_database=take("SCRATCH_DATABASE_URL", database, default=None),
        postgresql_bin=take("POSTGRESQL_BIN", _folder, default=None),
    )


def _recipients(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(items(text)))
    for place, item in enumerate(found, start=1):
        if not is_recipient(item):
            raise Fault(f"entry {place} is not a public key of age (age1…)")
    if not found:
        raise Fault("must hold public keys of age, comma separated")
    return found


def _identities(text: str) -> tuple[str, ...]:
    found = tuple(identity_lines(text))
    if not found or not all(is_identity(item) for item in found):
        raise Fault("must hold private keys of age (AGE-SECRET-KEY-…), one a line")
    return found


def _keep(text: str) -> tuple[int, int, int]:
    match = _KEEP.fullmatch(text)
    if match is None or int(match[1]) < 1:
        raise Fault("must be days, weeks and months that one backup each is kept of, such as 7d 4w 12m")
    return int(match[1]), int(match[2]), int(match[3])


def _folder(text: str) -> Path:
    if not Path(text).is_absolute():
        raise Fault("must be the absolute path of a folder")
    return Path(text)


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
    """Parse `file:///folder` or `s3://bucket/prefix?endpoint=https://…&region=…`."""
    parts = urlsplit(text)
    if parts.username or parts.password or parts.fragment:
        raise Fault("must hold no user, password or fragment")
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/") or "%" in parts.path or parts.query:
            raise Fault("must be file:///absolute/path, without escapes")
        return text
    if parts.scheme != "s3" or not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts.netloc):
        raise Fault("must be file:///folder or s3://bucket/prefix?endpoint=https://…")
    options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    if set(options) - _S3_OPTIONS or not re.fullmatch(r"(/[A-Za-z0-9._-]+)*/?", parts.path):
        raise Fault("has a prefix or an option that is not known; options are endpoint and region")
    endpoint = urlsplit(options.get("endpoint", "https://amazon"))
    if endpoint.scheme not in ("http", "https") or not endpoint.hostname or endpoint.username:
        raise Fault("has an endpoint that is no https:// address")
    if strict and endpoint.scheme != "https":
        raise Fault("must have an https endpoint outside development")
    return text
