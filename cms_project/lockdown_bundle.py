"""What is kept of the moment of a lockdown: the log and who could do what, in files that can't be altered unseen."""

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts.audit import exporting, verifying
from accounts.audit.lines import line_json
from accounts.audit.searching import Sought
from accounts.canonical import canonical_bytes
from accounts.keyring import key_ring
from accounts.log import head_path, seal_pending
from accounts.models import ApiKey, Policy, Role, Seal, User
from accounts.models.device import Authenticator, Passkey
from cms_project import environment
from cms_project.lockdown import Effect, rfc3339

PURPOSE: Final = "lockdown-bundle"
DAYS: Final = 30
MOST_DAYS: Final = 36_500  # more is all of it: a date before the first year must not cost the bundle
_PACKAGES: Final = ("django", "djangorestframework", "celery", "psycopg", "granian", "cryptography")


def write(effect: Effect, *, days: int = DAYS, is_verified: bool = True) -> Path:
    """Write the bundle and return its folder. Raises OSError, DatabaseError; what is half written is removed.

    Each file is listed with its SHA-256 in manifest.json, which is signed with the key ring: `is_genuine`.
    """
    seal_pending()
    now = timezone.now()
    parent = Path(settings.DATA_DIR) / "lockdown"
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = parent / now.strftime("%Y%m%dT%H%M%S%fZ")
    fresh = parent / f".{folder.name}.new"
    fresh.mkdir(mode=0o700)
    try:
        files = {
            "log.jsonl": _lines(_log(days)),
            "lockdown.json": _document(_lockdown(effect)),
            "sessions.json": _document(effect.sessions),
            "people.json": _document(_people()),
            "roles.json": _document(_roles()),
            "keys.json": _document(_keys()),
            "audit.json": _document(verifying.verify().as_json() if is_verified else {"verified": False}),
            "environment.json": _document(_environment()),
        }
        if head_path().exists():
            files["audit-head.json"] = iter([head_path().read_bytes()])
        listed = {name: _write(fresh / name, chunks) for name, chunks in files.items()}
        manifest = {
            "made_at": rfc3339(now),
            "lockdown": str(effect.lockdown.pk),
            "days": days,
            "files": listed,
        }
        key_id, signature = key_ring().mac(canonical_bytes(manifest), purpose=PURPOSE)
        signed = {**manifest, "key_id": key_id, "signature": signature}
        _write(fresh / "manifest.json", _document(signed))
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return folder


def is_genuine(folder: Path) -> bool:
    """Tell whether a bundle is as it was written: the signature, each file, and no other."""
    try:
        raw: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
        key_id, signature = str(raw.pop("key_id")), str(raw.pop("signature"))
        files = dict(raw["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    if not key_ring().verifies(canonical_bytes(raw), signature, purpose=PURPOSE, key_id=key_id):
        return False
    there = {path.name for path in folder.iterdir()} - {"manifest.json"}
    return there == set(files) and all(
        hashlib.sha256((folder / name).read_bytes()).hexdigest() == file["sha256"]
        for name, file in files.items()
    )


def _write(path: Path, chunks: Iterable[bytes]) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return {"sha256": digest.hexdigest(), "bytes": size}


def _document(value: object) -> Iterator[bytes]:
    yield json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"


def _lines(rows: Iterable[object]) -> Iterator[bytes]:
    for row in rows:
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _log(days: int) -> Iterator[dict[str, Any]]:
    since = timezone.now() - timedelta(days=min(days, MOST_DAYS))
    first = Seal.objects.filter(sealed_at__gte=since).order_by("position").values_list("position").first()
    if first:
        yield from map(line_json, exporting.sealed(Sought(), after=first[0] - 1))


def _lockdown(effect: Effect) -> dict[str, Any]:
    found = effect.lockdown
    return {
        "id": str(found.pk),
        "on_at": rfc3339(found.on_at),
        "by": found.on_by,
        "reason": found.reason,
        "keeps_sessions": effect.keeps_sessions,
        "ended": effect.ended,
        "cut_off": effect.cut_off,
        "faults": effect.faults,
    }


def _people() -> list[dict[str, Any]]:
    """Return everybody, without passwords and without secrets of devices."""
    devices: dict[Any, list[str]] = {}
    for kind in (Authenticator, Passkey):
        for user_id in kind.objects.filter(confirmed=True).values_list("user_id", flat=True):
            devices.setdefault(user_id, []).append(kind.__name__.lower())
    return [
        {
            "id": str(user.pk),
            "email": user.email,
            "name": user.name,
            "is_active": user.is_active,
            "is_service": user.is_service,
            "roles": list(user.role_keys),
            "factors": devices.get(user.pk, []),
            "created_at": rfc3339(user.created_at),
            "last_login": rfc3339(user.last_login) if user.last_login else None,
        }
        for user in User.objects.order_by("pk")
    ]


def _roles() -> list[dict[str, Any]]:
    policies: dict[Any, list[dict[str, Any]]] = {}
    for policy in Policy.objects.order_by("pk"):
        policies.setdefault(policy.role_id, []).append(
            {
                "id": str(policy.pk),
                "collection": "*" if policy.every_collection else str(policy.collection_id),
                "actions": list(policy.actions),
                "rows": policy.rows,
                "fields": "*" if policy.every_field else [str(item) for item in policy.field_ids],
            }
        )
    return [
        {"key": role.key, "name": role.name, "policies": policies.get(role.pk, [])}
        for role in Role.objects.order_by("key")
    ]


def _keys() -> list[dict[str, Any]]:
    """Return the API keys, without what they are hashed to."""
    return [
        {
            "public_id": key.public_id,
            "name": key.name,
            "owner": key.owner.email,
            "scopes": key.scopes,
            "state": key.state,
            "created_at": rfc3339(key.created_at),
            "expires_at": rfc3339(key.expires_at),
            "last_used_at": rfc3339(key.last_used_at) if key.last_used_at else None,
            "allowed_networks": key.allowed_networks,
            "browser": key.browser,
        }
        for key in ApiKey.objects.select_related("owner").order_by("pk")
    ]


def _environment() -> dict[str, Any]:
    """Return the names that are set, never a value, and what runs here."""
    names = [
        name for name in environment.NAMES if any(form in os.environ for form in environment.forms_of(name))
    ]
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        postgresql = cursor.fetchone()[0]
        cursor.execute("SELECT app, name FROM django_migrations ORDER BY id")
        migrations = [f"{app}.{name}" for app, name in cursor.fetchall()]
    return {
        "environment": settings.ENVIRONMENT.name,
        "names": names,
        "versions": {
            "python": platform.python_version(),
            "postgresql": postgresql,
            **{package: version(package) for package in _PACKAGES},
        },
        "migrations": migrations,
    }
