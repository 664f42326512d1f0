"""Files that only their owner may read."""

import os
from pathlib import Path


def write_new(path: Path, content: bytes) -> None:
    """Write a new file of mode 0600 to the disk, whole or not at all. Raises OSError, also where something is."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        path.unlink()
        raise
