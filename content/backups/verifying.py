"""Verifying a backup: the signature, then every byte that lies in the store. No private key is needed."""

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO

from content.backups import media
from content.backups.errors import RefusedError
from content.backups.manifest import Manifest, Part, read
from content.backups.progress import Progress, Silent
from content.backups.stores import MANIFEST, PARTS, Store, object_key
from content.backups.streams import Counted, copy


@dataclass(slots=True)
class Verified:
    """What verifying found; `findings` are sentences that name the file, [] for a backup that is whole."""

    name: str
    manifest: Manifest | None = None
    files: int = 0
    bytes: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return self.manifest is not None and not self.findings

    def require_whole(self) -> Manifest:
        """Return the manifest. Raises RefusedError with the findings."""
        if self.manifest is None or self.findings:
            more = f" And {len(self.findings) - 3} more." if len(self.findings) > 3 else ""
            raise RefusedError(" ".join(self.findings[:3]) + more)
        return self.manifest


def verify(place: Store, name: str, *, progress: Progress | None = None) -> Verified:
    """Check every byte of a backup. Never raises for what is wrong with the backup: that is a finding."""
    progress = progress or Silent()
    result = Verified(name)
    try:
        manifest = result.manifest = read(place, name)
    except RefusedError as error:
        result.findings.append(str(error))
        return result
    known = {f"{name}/{item}" for item in (MANIFEST, *PARTS)}
    for key in sorted(set(place.keys(name)) - known)[:20]:
        result.findings.append(f"{key!r} is not in the manifest: somebody put it there.")
    progress.step("verifying", manifest.size)
    for part in manifest.parts:
        _check(result, place, f"{name}/{part.name}", part.size, part.sha256, progress)
    if not result.findings:
        progress.step("verifying media")
        for item in stored(place, manifest):
            _check(result, place, object_key(item.name), item.size, item.sha256, progress)
    return result


def stored(place: Store, manifest: Manifest) -> Iterator[media.Stored]:
    """Yield what lies in the store for a backup, from its list. Raises RefusedError for a list that is another one."""
    part = manifest.part("objects.jsonl")
    with tempfile.TemporaryFile() as aside:
        copy_part(place, manifest, part, aside)
        aside.seek(0)
        yield from media.stored_lines(aside)


def copy_part(place: Store, manifest: Manifest, part: Part, target: IO[bytes]) -> None:
    """Copy a part as it lies there. Raises RefusedError when it is not the one of the manifest."""
    with place.read(f"{manifest.name}/{part.name}") as stream:
        out = Counted(target, most=part.size)
        copy(stream, out)
    if (out.size, out.sha256) != (part.size, part.sha256):
        raise RefusedError(f"{part.name} is not the file that was written: it is damaged or another one.")


def seen(
    place: Store, key: str, *, most: int | None = None, told: Callable[[int], None] | None = None
) -> tuple[int, str]:
    """Read a file to its end, or to so many bytes; return its length and SHA-256. Raises RefusedError."""
    with place.read(key) as stream, open(os.devnull, "wb") as nowhere:  # noqa: PTH123 (a device)
        out = Counted(nowhere, most=most, told=told)
        copy(stream, out)
    return out.size, out.sha256


def _check(result: Verified, place: Store, key: str, size: int, sha256: str, progress: Progress) -> None:
    try:
        length = place.size(key)
        if length is not None and length != size:
            # Before a byte is read: somebody could have put a file without end there.
            result.findings.append(f"{key} has {length} bytes instead of {size}.")
            return
        found = seen(place, key, most=size, told=progress.advance)
    except RefusedError as error:
        result.findings.append(str(error))
        return
    except OSError as error:  # a bad disk: what can't be read is as good as gone
        result.findings.append(f"{key} can't be read to its end ({error.strerror}).")
        return
    result.files += 1
    result.bytes += size
    if found != (size, sha256):
        result.findings.append(f"{key} is not the file that was written: it is damaged or another one.")
