"""Bodies are read before anything else is done for a request, by more threads than those that then work.

The server hands a request over when its head is there; reading the rest waits for as long as the sender likes, and
nobody can interrupt it. So many threads may wait for bodies, as many as the server has (`run.web_command`), of one
network some of them (behind our proxies: the client's network), and as few as before work at a time. A body that breaks
off is no body: half a form must not be saved. A proxy that buffers requests, as nginx does, sends bodies whole and
never waits here; without one, somebody with many addresses can still occupy every thread.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any, Final

from accounts.addresses import callers_network
from cms_project.proxies import client_of

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

MAX_BYTES: Final = 8 * 1024 * 1024  # no endpoint takes more; the form of an entry takes half of it
MOST_WORKING: Final = 8  # requests that are worked on at a time
MOST_READING_OF_ONE: Final = 48  # bodies of one network that are waited for
STATE: Final = "quillkeep.body"  # no header can be called so
CROWDED, SHORT, LARGE = "crowded", "short", "large"


class Bodies:
    """A WSGI application around another one. What could not be read is said in `environ[STATE]`, with an empty body."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self._turns = threading.BoundedSemaphore(MOST_WORKING)
        self._lock = threading.Lock()
        self._reading: Counter[str] = Counter()  # by network

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Pass the request on once its body is there, or is not going to be."""
        length = environ.get("CONTENT_LENGTH") or "0"
        if length.isdecimal() and int(length) > 0 and "HTTP_TRANSFER_ENCODING" not in environ:
            environ["wsgi.input"] = BytesIO(self._body(environ, int(length)))
        with self._turns:
            return self.application(environ, start_response)

    def _body(self, environ: Environ, length: int) -> bytes:
        if length > MAX_BYTES:
            environ[STATE] = LARGE
            return b""
        network = callers_network(str(client_of(environ) or ""))
        with self._lock:
            if self._reading[network] >= MOST_READING_OF_ONE:
                environ[STATE] = CROWDED
                return b""
            self._reading[network] += 1
        try:
            body = bytes(environ["wsgi.input"].read(length))
        except (OSError, RuntimeError, ValueError):
            body = b""  # the sender has gone
        finally:
            with self._lock:
                self._reading[network] -= 1
                if not self._reading[network]:
                    del self._reading[network]
        if len(body) < length:
            environ[STATE] = SHORT
            return b""
        return body
