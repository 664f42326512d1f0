"""Origins and handoff URLs: what an editor's browser is sent to, built of an entry's fields and nothing loose."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit
from uuid import UUID

from django.conf import settings

from accounts.access import DataClass
from accounts.canonical import Json
from content.fields.base import FieldSpec
from content.schema import CollectionSpec

CODE: Final = "code"  # the parameter that carries the one-time code
LONGEST_URL: Final = 1000
MOST_ORIGINS: Final = 20
SYSTEM_NAMES: Final = frozenset({"_id", "_locale", "_collection"})
# Types whose values are one short word, number or date.
USABLE_TYPES: Final = frozenset({"text", "slug", "integer", "choice", "date", "boolean"})
_HOLE: Final = re.compile(r"\{([^{}]*)\}")
_NAME: Final = re.compile(r"_?[a-z][a-z0-9_]{0,40}")
_ASCII_URL: Final = re.compile(r"[!-~]+")
# What every reader of a URL takes for the same host: no `%2e`, which browsers decode, and no dot at the end.
_HOST: Final = re.compile(
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*|[0-9a-f:]+(\.[0-9.]+)?"
)


class AddressError(ValueError):
    """An origin or a handoff URL can't be used; the text says why."""


class MissingValueError(Exception):
    """The entry has no value for a field that the handoff URL needs."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


def origin_of(text: str) -> str:
    """Return an origin as browsers write it: `https://host[:port]`. Raises AddressError.

    Outside development it is https. No path, user, wildcard; names beyond ASCII in their `xn--` form.
    """
    if not _ASCII_URL.fullmatch(text) or any(sign in text for sign in "*\\{}<>\"'`;,"):
        raise AddressError("An origin such as https://www.example.com.")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError("An origin such as https://www.example.com.") from error
    extra = (
        parts.path.rstrip("/") or parts.query or parts.fragment or "@" in parts.netloc or text.endswith("?")
    )
    if parts.scheme not in ("https", "http") or not host or not _HOST.fullmatch(host) or extra or port == 0:
        raise AddressError("An origin such as https://www.example.com, without a path.")
    if parts.scheme == "http" and not settings.ENVIRONMENT.is_development:
        raise AddressError("Only https:// is possible here.")
    host = f"[{host}]" if ":" in host else host
    standard = 443 if parts.scheme == "https" else 80
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, standard) else "")


def origin_in(url: str) -> str:
    """Return the origin of a handoff URL."""
    parts = urlsplit(url)
    return origin_of(f"{parts.scheme}://{parts.netloc}")


def store(url: str, collection: CollectionSpec, origins: Iterable[str]) -> str:
    """Check a handoff URL as people write it, and return it as it is kept: fields by id. Raises AddressError."""
    if len(url) > LONGEST_URL or not _ASCII_URL.fullmatch(url) or "\\" in url:
        raise AddressError(f"An address of printable ASCII, at most {LONGEST_URL} characters.")
    head, separator, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if not separator or "{" in head or "{" in authority or "@" in authority:
        raise AddressError("An address such as https://www.example.com/api/preview?path=/blog/{slug}.")
    if f"{head}://{authority}" not in set(origins):  # to the letter (RFC 9700, section 2.1)
        raise AddressError("It must be on one of the site’s origins.")
    if "#" in url:
        raise AddressError("What stands behind # never reaches the site’s server.")
    if any(name == CODE for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)):
        raise AddressError("The parameter `code` is added when the preview is opened.")
    if "{" in _HOLE.sub("", url) or "}" in _HOLE.sub("", url):
        raise AddressError("A brace is left open. Fields are written {slug}.")
    return _HOLE.sub(lambda hole: "{" + _stored_name(hole[1], collection) + "}", url)


def _stored_name(name: str, collection: CollectionSpec) -> str:
    if name in SYSTEM_NAMES:
        return name
    spec = collection.by_key.get(name) if _NAME.fullmatch(name) else None
    if spec is None or spec.type not in USABLE_TYPES:
        raise AddressError(f"There is no field {name[:41]!r} here that an address can hold.")
    if spec.data_class not in (DataClass.PUBLIC, DataClass.INTERNAL):
        raise AddressError(f"The field {name!r} is {spec.data_class}: what it says stands in no address.")
    return str(spec.id)


def usable_fields(collection: CollectionSpec) -> list[FieldSpec]:
    """Return the fields that a handoff URL can hold."""
    return [spec for spec in collection.fields if _is_usable(spec)]


def _is_usable(spec: FieldSpec) -> bool:
    return spec.type in USABLE_TYPES and spec.data_class in (DataClass.PUBLIC, DataClass.INTERNAL)


def shown(url: str, collection: CollectionSpec) -> str:
    """Return a stored handoff URL as people read it: fields by key, `{gone}` for one that was removed."""

    def name_of(hole: re.Match[str]) -> str:
        spec = _spec(hole[1], collection)
        return "{" + (spec.key if spec else hole[1] if hole[1] in SYSTEM_NAMES else "gone") + "}"

    return _HOLE.sub(name_of, url)


def fields_in(url: str, collection: CollectionSpec) -> list[FieldSpec]:
    """Return the fields that a stored handoff URL needs."""
    return [spec for name in _HOLE.findall(url) if (spec := _spec(name, collection)) is not None]


def filled(
    url: str, collection: CollectionSpec, values: Mapping[str, Json], system: Mapping[str, str]
) -> str:
    """Return a stored handoff URL with an entry's values in it, each percent-encoded whole (RFC 3986, section 2.1).

    `values` are by field id, `system` by name. Raises MissingValueError.
    """
    return _HOLE.sub(_encoded(collection, values, system), url)


def _encoded(
    collection: CollectionSpec, values: Mapping[str, Json], system: Mapping[str, str]
) -> Callable[[re.Match[str]], str]:
    def encode(hole: re.Match[str]) -> str:
        name = hole[1]
        if name in SYSTEM_NAMES:
            return quote(system[name], safe="")
        spec, value = _spec(name, collection), values.get(name)
        if spec is None or value is None or value == "":
            raise MissingValueError(spec.name if spec else "a field that was removed")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if text in (".", ".."):
            raise MissingValueError(spec.name)  # it would climb out of where it stands
        return quote(text, safe="")

    return encode


def with_code(url: str, code: str) -> str:
    """Return the address that the browser is sent to."""
    return f"{url}{'&' if urlsplit(url).query else '?' if '?' not in url else ''}{CODE}={code}"


def page_of(filled_url: str) -> str | None:
    """Return the page that a filled handoff URL leads to, by its parameter `path`; None when it names none."""
    path = dict(parse_qsl(urlsplit(filled_url).query)).get("path", "")
    is_path = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return origin_in(filled_url) + quote(path, safe="/:@!$&'()*+,;=-._~?%") if is_path else None


def _spec(name: str, collection: CollectionSpec) -> FieldSpec | None:
    try:
        return collection.by_id.get(UUID(name))
    except ValueError:
        return None
