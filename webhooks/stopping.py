"""Whether this worker is asked to end. Celery tells the main process only; its children see it in shared memory."""

import mmap
from typing import Any, Final

from celery.signals import worker_shutting_down

_shared: Final = mmap.mmap(
    -1, 1
)  # made before the fork, so that all processes of the worker have the same byte


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop(**_: Any) -> None:
    _shared[0] = 1


def is_asked() -> bool:
    """Tell whether no new work should begin."""
    return _shared[0] == 1
