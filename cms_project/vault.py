"""Secrets from HashiCorp Vault (KV version 2), read once at start by `cms_project.environment`, and by nothing else."""

from collections.abc import Callable
from typing import Any, Final

import hvac
import requests
from hvac import exceptions
from urllib3.exceptions import HTTPError

from cms_project.environment import MAX_FILE_BYTES
from cms_project.environment_values import Fault

TIMEOUT: Final = (3.05, 5.0)  # seconds to connect, and between two pieces of an answer
LARGEST_ANSWER: Final = 1024 * 1024  # bytes


class _Bounded(requests.adapters.HTTPAdapter):
    """Reads no more of an answer than a secret can be long."""

    def send(self, request: Any, **options: Any) -> Any:  # type: ignore[override]  # the session names each
        response = super().send(request, **{**options, "stream": True})
        body = response.raw.read(LARGEST_ANSWER + 1, decode_content=True)
        response.close()
        if len(body) > LARGEST_ANSWER:
            raise requests.exceptions.ContentDecodingError("too large")
        response._content = body  # noqa: SLF001 (what `stream` leaves to be read)
        response._content_consumed = True  # noqa: SLF001
        return response


class Vault:
    """A client that is signed in. Each path is asked once, however many of its keys are named."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._found: dict[tuple[str, str], dict[str, object]] = {}

    def read(self, place: str) -> str:
        """Return the text at `mount/path#key`. Raises Fault, which names neither the value nor the token."""
        path, _, key = place.partition("#")
        mount, _, name = path.partition("/")
        if not (mount and name and key) or any(part in ("", ".", "..") for part in path.split("/")):
            raise Fault("must be mount/path#key")
        if not path.isprintable() or not key.isprintable():
            raise Fault("must be mount/path#key")
        if (mount, name) not in self._found:
            self._found[mount, name] = self._ask(mount, name)
        value = self._found[mount, name].get(key)
        if value is None:
            raise Fault("names a key that is not there")
        if not isinstance(value, str) or not value.strip() or len(value.encode()) > MAX_FILE_BYTES:
            raise Fault("names no text, an empty one, or one that is too large")
        return value.strip()

    def _ask(self, mount: str, name: str) -> dict[str, object]:
        answer = _asked(
            lambda: self._client.secrets.kv.v2.read_secret_version(
                path=name, mount_point=mount, raise_on_deleted_version=True
            )
        )
        try:
            found = answer["data"]["data"]
        except (KeyError, TypeError) as error:
            raise Fault("is no secret of KV version 2") from error
        if not isinstance(found, dict):
            raise Fault("is no secret of KV version 2")
        return found


def opened(
    address: str, *, token: str, role_id: str, secret_id: str, namespace: str, authorities: str
) -> Vault:
    """Return a client of the server at `address`, by a token or an AppRole. Raises Fault.

    `authorities` is a file of certificates, "" for those of the system. Proxies of the environment are not asked, and
    a redirect is not followed: the token would go where it leads.
    """
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", _Bounded(max_retries=0))
    session.mount("http://", _Bounded(max_retries=0))
    client = hvac.Client(
        url=address,
        token=token,  # never None: the client would look for one in the home directory
        namespace=namespace or None,
        verify=authorities or True,
        timeout=TIMEOUT,
        allow_redirects=False,
        session=session,
    )
    session.verify = authorities or True
    if role_id:
        answer = _asked(lambda: client.auth.approle.login(role_id=role_id, secret_id=secret_id))
        try:
            client.token = answer["auth"]["client_token"]
        except (KeyError, TypeError) as error:
            raise Fault("gave no token for VAULT_ROLE_ID") from error
    return Vault(client)


def _asked(ask: Callable[[], Any]) -> Any:
    """Return an answer. Raises Fault: what the server says is never shown, it may repeat what it was sent."""
    try:
        return ask()
    except exceptions.Forbidden as error:
        raise Fault("is refused by Vault (403): the token lacks the right, or is over") from error
    except exceptions.InvalidPath as error:
        raise Fault("is nothing that Vault has (404)") from error
    except exceptions.VaultDown as error:
        raise Fault("can't be read: Vault is sealed or starts (503)") from error
    except exceptions.VaultError as error:
        raise Fault(f"can't be read: Vault answers with an error ({type(error).__name__})") from error
    except (TypeError, KeyError, AttributeError, RecursionError) as error:  # which the client trips over
        raise Fault("can't be read: what answers is not Vault") from error
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        raise Fault(f"can't be read: Vault does not answer ({type(error).__name__})") from error
