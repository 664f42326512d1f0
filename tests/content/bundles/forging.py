"""Bundles that are not what they say: rewritten, and signed again by whom we choose."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from content.bundles import form, signing

Edit = Callable[[dict[str, Any]], None]


def split(file: Path) -> tuple[bytes, dict[str, Any], dict[str, Any], bytes]:
    """Return magic, manifest, signature and entries."""
    magic, manifest, signature, rest = file.read_bytes().split(b"\n", 3)
    return magic + b"\n", json.loads(manifest), json.loads(signature), rest


def signed(
    magic: bytes, manifest: dict[str, Any], rest: bytes, *, by: Ed25519PrivateKey | None = None
) -> bytes:
    """Put a bundle together, signed by this house, or by a stranger."""
    front = magic + json.dumps(manifest).encode() + b"\n"
    if by is None:
        key, signature = signing.sign(front)
    else:
        key = signing.PREFIX + signing._encoded(by.public_key().public_bytes_raw())
        signature = signing._encoded(by.sign(front))
    return front + json.dumps({"key": key, "signature": signature}).encode() + b"\n" + rest


def remade(file: Path, to: Path, old: bytes, new: bytes) -> Path:
    """Change the entries, and sign them again with the sums that then are right."""
    _, manifest, _, rest = split(file)
    assert old in rest
    rest = rest.replace(old, new)
    manifest["parts"][0] |= {"bytes": len(rest), "sha256": hashlib.sha256(rest).hexdigest()}
    to.write_bytes(signed(form.MAGIC + b"1\n", manifest, rest))
    return to


def with_manifest(file: Path, to: Path, edit: Edit) -> Path:
    """Change the manifest, and sign it again."""
    magic, manifest, _, rest = split(file)
    edit(manifest)
    to.write_bytes(signed(magic, manifest, rest))
    return to


def with_lines(file: Path, to: Path, lines: list[bytes], **counts: int) -> Path:
    """Put other lines in, and sign them again."""
    magic, manifest, _, _ = split(file)
    rest = b"".join(lines)
    manifest["parts"][0] |= {"bytes": len(rest), "sha256": hashlib.sha256(rest).hexdigest(), **counts}
    to.write_bytes(signed(magic, manifest, rest))
    return to
