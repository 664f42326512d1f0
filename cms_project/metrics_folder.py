"""Where the processes of one web server count together. The library looks for it when it is loaded."""

import contextlib
import logging
import os
import shutil
import socket
from pathlib import Path
from typing import Final

logger = logging.getLogger("quillkeep.metrics")

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"  # the library's name


def share(data_dir: Path) -> None:
    """Let all processes of this web server count together, from before anything is counted on.

    The folder is named after their parent. Those of servers that are gone are deleted. A folder that can't be made
    (a file system that is read only) leaves each process with numbers of its own.
    """
    host = "".join(sign if sign.isalnum() or sign in "-." else "_" for sign in socket.gethostname())[:60]
    parent = data_dir.resolve() / "metrics"
    try:
        folder = parent / f"{host}-{os.getppid()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for other in parent.glob(f"{host}-*"):
            number = other.name.rpartition("-")[2]
            if number.isdecimal() and not _is_running(int(number)):
                shutil.rmtree(other, ignore_errors=True)
    except OSError as error:
        logger.warning("Metrics are counted by each process alone: %s.", type(error).__name__)
        return
    os.environ[FOLDER] = str(folder)


def _is_running(number: int) -> bool:
    with contextlib.suppress(PermissionError):
        try:
            os.kill(number, 0)
        except (ProcessLookupError, OverflowError):
            return False
    return True
