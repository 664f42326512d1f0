"""Reads the environment once and checks all of it; every fault is named at once, no value is shown."""

import base64
import binascii
import ipaddress
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast
from urllib.parse import parse_qs, urlsplit

import environ

from cms_project import environment_backups
from cms_project.environment_backups import BackupSettings
from cms_project.environment_values import Fault, bounded, items

if TYPE_CHECKING:
    from cms_project.vault import Vault

Name = Literal["development", "staging", "production"]
Plane = Literal["management", "edge", "delivery"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")

NAMES: Final = (
    "QUILLKEEP_ENVIRONMENT",
    "ENVIRONMENT_COLOUR",
    "QUILLKEEP_PLANE",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "QUILLKEEP_KEY_RING",
    "VAULT_ADDR",
    "VAULT_TOKEN",
    "VAULT_ROLE_ID",
    "VAULT_SECRET_ID",
    "VAULT_NAMESPACE",
    "VAULT_CACERT",
    "OWNER_DATABASE_URL",
    "DATABASE_URL",
    "DELIVERY_DATABASE_URL",
    "VALKEY_URL",
    "CELERY_BROKER_URL",
    "ALLOWED_HOSTS",
    "CORS_ALLOWED_ORIGINS",
    "TRUSTED_PROXIES",
    "PUBLIC_URL",
    "PORT",
    "DATA_DIR",
    "EMAIL_URL",
    "IDLE_KEYS_DISABLED_AFTER_DAYS",
    "PREVIEW_KEY_ROTATION_DAYS",
    "AUDIT_RETENTION_DAYS",
    "AUDIT_HEAD_TO",
    "EGRESS_ALLOWED_NETWORKS",
    "EGRESS_ALLOWED_HOSTS",
    "EGRESS_ALLOWED_PORTS",
    "PURGE_URLS",
    "STATIC_DIR",
    "SECURITY_ALERT_TO",
    "SECURITY_ALERT_THRESHOLDS",
    *environment_backups.NAMES,
    "METRICS_ALLOWED_NETWORKS",
    "AUDIT_STREAM_TO",
    "API_V1_DEPRECATED_ON",
    "API_V1_SUNSET_ON",
    "API_V1_SUCCESSOR",
    "API_V1_DEPRECATION_INFO",
)
ENVIRONMENTS: Final[tuple[Name, ...]] = ("development", "staging", "production")
Colour = Literal["red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "grey"]
# Names and no numbers: each has a text that is read on it in light and dark, and a test that says so.
COLOURS: Final[tuple[Colour, ...]] = (
    "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "grey",
)  # fmt: skip
COLOUR_OF: Final[Mapping[str, Colour]] = {"development": "blue", "staging": "orange", "production": "red"}
PLANES: Final[tuple[Plane, ...]] = ("management", "edge", "delivery")
VAULT_NAMES: Final = tuple(name for name in NAMES if name.startswith("VAULT_"))
STATUS_OF_FAULTS: Final = 2
MOST_FALLBACKS: Final = 5
LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")
MAX_FILE_BYTES: Final = 64 * 1024
MOST_CACHES: Final = 16


class EnvironmentFaultsError(Exception):
    """The environment can't be used. `faults` are (name, sentence) pairs; no sentence holds a value."""

    def __init__(self, faults: Iterable[tuple[str, str]]) -> None:
        self.faults = tuple(faults)
        lines = [f"  {name}: {sentence}" for name, sentence in self.faults]
        number = f"{len(lines)} fault" if len(lines) == 1 else f"{len(lines)} faults"
        super().__init__("\n".join([f"Quillkeep can't start: {number} in the environment.", *lines]))


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """Where events go as they are sealed: `stdout`, or a syslog receiver. `authority` is a file of certificates."""

    kind: Literal["stdout", "udp", "tcp", "tls"]
    host: str = ""
    port: int = 0
    authority: str = ""


@dataclass(frozen=True, slots=True)
class ApiLife:
    """That a version of the API ends: days in UTC, beginning at midnight (RFC 9745, RFC 8594)."""

    deprecated_on: date
    sunset_on: date | None
    successor: str
    info: str


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything that the process was told, checked. Secrets stay out of the representation."""

    name: Name
    colour: Colour
    plane: Plane | None
    secret_key: str = field(repr=False)
    secret_key_fallbacks: tuple[str, ...] = field(repr=False)  # former ones, which still verify
    key_ring: tuple[tuple[str, bytes], ...] = field(repr=False)
    owner_database: dict[str, Any] | None = field(repr=False)
    database: dict[str, Any] = field(repr=False)
    delivery_database: dict[str, Any] = field(repr=False)
    valkey_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    allowed_hosts: tuple[str, ...]
    cors_allowed_origins: tuple[str, ...]
    trusted_proxies: tuple[Network, ...]
    public_url: str
    port: int
    data_dir: Path
    email: dict[str, Any] = field(repr=False)
    idle_keys_disabled_after_days: int  # 0: never
    preview_key_rotation_days: int
    audit_retention_days: int | None
    audit_head_to: str = field(repr=False)  # may hold a token of the receiver
    egress_allowed_networks: tuple[Network, ...]
    egress_allowed_hosts: tuple[str, ...]  # empty: every public one
    egress_allowed_ports: frozenset[int]  # empty: those of https
    purge_urls: tuple[str, ...]  # of the caches in front; empty: there is none that is told what changed
    static_dir: Path | None
    security_alert_to: tuple[str, ...] = field(repr=False)
    security_alert_thresholds: dict[str, int]
    backups: BackupSettings
    places: Mapping[str, str]  # name → where its value comes from, of those that are a file or in Vault
    metrics_allowed_networks: tuple[Network, ...]
    audit_stream_to: StreamTarget | None
    api_v1_life: ApiLife | None  # None: the version is current

    @property
    def is_development(self) -> bool:
        """Whether this is a developer's machine; staging is treated like production."""
        return self.name == "development"

    def serves(self, plane: Plane) -> bool:
        """Whether the URLs of a plane exist in this process."""
        return self.plane in (None, plane)


def read(source: Mapping[str, str]) -> Environment:
    """Parse and check `source`. Raises EnvironmentFaultsError with every fault found."""
    reader = _Reader(source)
    name = reader.take("QUILLKEEP_ENVIRONMENT", _one_of(ENVIRONMENTS), default="production")
    strict = name != "development"
    plane = reader.take("QUILLKEEP_PLANE", _one_of(PLANES), default=None)
    delivery_database = reader.take("DELIVERY_DATABASE_URL", _database)
    # A process that serves only published content needs no other role, and better has none.
    database = reader.take(
        "DATABASE_URL", _database, default=delivery_database if plane == "delivery" else ...
    )
    valkey_url = reader.take("VALKEY_URL", _valkey)
    read_values = {
        "name": name,
        "colour": reader.take("ENVIRONMENT_COLOUR", _one_of(COLOURS), default=COLOUR_OF.get(name or "")),
        "plane": plane,
        "secret_key": reader.take("SECRET_KEY", _secret_key),
        "secret_key_fallbacks": reader.take("SECRET_KEY_FALLBACKS", _secret_keys, default=()),
        "key_ring": reader.take("QUILLKEEP_KEY_RING", _key_ring),
        "owner_database": reader.take("OWNER_DATABASE_URL", _database, default=None),
        "database": database,
        "delivery_database": delivery_database,
        "valkey_url": valkey_url,
        "broker_url": reader.take("CELERY_BROKER_URL", _broker, default=_broker_of(valkey_url or "")),
        "allowed_hosts": reader.take(
            "ALLOWED_HOSTS", lambda text: _hosts(text, strict=strict), default=... if strict else LOCAL_HOSTS
        ),
        "cors_allowed_origins": reader.take(
            "CORS_ALLOWED_ORIGINS", lambda text: _origins(text, strict=strict), default=()
        ),
        "trusted_proxies": reader.take("TRUSTED_PROXIES", _networks, default=()),
        "port": reader.take("PORT", bounded(1, 65535), default=8000),
        "public_url": reader.take(
            "PUBLIC_URL", lambda text: _origin(text, strict=strict), default=... if strict else ""
        ),
        "data_dir": reader.take("DATA_DIR", Path, default=Path("var")),
        "email": reader.take("EMAIL_URL", _email, default=_email("consolemail://")),
        "idle_keys_disabled_after_days": reader.take(
            "IDLE_KEYS_DISABLED_AFTER_DAYS", bounded(0, 3650, "days"), default=90
        ),
        "preview_key_rotation_days": reader.take(
            "PREVIEW_KEY_ROTATION_DAYS", bounded(1, 90, "days"), default=30
        ),
        "audit_retention_days": reader.take("AUDIT_RETENTION_DAYS", _retention, default=None),
        "audit_head_to": reader.take("AUDIT_HEAD_TO", lambda text: _head_to(text, strict=strict), default=""),
        "egress_allowed_networks": reader.take("EGRESS_ALLOWED_NETWORKS", _reachable, default=()),
        "egress_allowed_hosts": reader.take("EGRESS_ALLOWED_HOSTS", _receivers, default=()),
        "egress_allowed_ports": reader.take("EGRESS_ALLOWED_PORTS", _ports, default=frozenset()),
        "purge_urls": reader.take("PURGE_URLS", _caches, default=()),
        "static_dir": reader.take("STATIC_DIR", Path, default=None),
        "security_alert_to": reader.take("SECURITY_ALERT_TO", _mailboxes, default=()),
        "security_alert_thresholds": reader.take("SECURITY_ALERT_THRESHOLDS", _thresholds, default={}),
        "backups": environment_backups.read(reader.take, database=_database, strict=strict),
        "metrics_allowed_networks": reader.take("METRICS_ALLOWED_NETWORKS", _networks, default=LOOPBACK),
        "audit_stream_to": reader.take("AUDIT_STREAM_TO", _stream_target, default=None),
        "api_v1_life": _api_life(reader, "API_V1"),
    }
    if read_values["secret_key"] in cast("tuple[str, ...]", read_values["secret_key_fallbacks"] or ()):
        reader.faults.append(("SECRET_KEY_FALLBACKS", "must hold former keys only, not the present one"))
    if reader.faults:
        raise EnvironmentFaultsError(reader.faults)
    read_values["places"] = reader.places
    read_values["public_url"] = read_values["public_url"] or f"http://localhost:{read_values['port']}"
    return Environment(**cast("dict[str, Any]", read_values))


@cache
def current() -> Environment:
    """Return this process's environment, read once."""
    return read(os.environ)


def current_or_exit(*, as_web: bool = False) -> Environment:
    """Return it, or end the process with status 2 and every fault on stderr: there is no use in a traceback.

    `as_web`: a web process holds no role that owns the tables; a hole in a view would then own the database.
    """
    faults: list[tuple[str, str]] = []
    if as_web and has(os.environ, "OWNER_DATABASE_URL"):
        faults.append(("OWNER_DATABASE_URL", "must not be set in a web process; unset it and start again"))
    try:
        found = current()
    except EnvironmentFaultsError as error:
        found, faults = None, [*error.faults, *faults]
    if found is None or faults:
        print(EnvironmentFaultsError(faults), file=sys.stderr)  # noqa: T201 (there is no log yet)
        sys.exit(STATUS_OF_FAULTS)
    return found


def forms_of(name: str) -> tuple[str, ...]:
    """Return every variable by which a value may be given: itself, a file, a place in Vault."""
    if name in VAULT_NAMES:
        return (name, f"{name}_FILE")
    return (name, f"{name}_FILE", f"{name}_VAULT")


def has(source: Mapping[str, str], name: str) -> bool:
    """Tell whether a value is given, in whichever form."""
    return any(source.get(form) for form in forms_of(name))


def load_file(path: Path, into: Mapping[str, str] | None = None) -> list[str]:
    """Set the names that are unset from a file's lines `NAME=value`; return them ([] without a file)."""
    target = os.environ if into is None else cast("dict[str, str]", into)
    if not path.is_file():
        return []
    taken = []
    for line in path.read_text(encoding="utf-8").splitlines():
        name, separator, value = line.partition("=")
        if separator and name in NAMES and not any(form in target for form in forms_of(name)):
            target[name] = value
            taken.append(name)
    return taken


class _Reader:
    """Takes names one by one and collects what is wrong with them."""

    def __init__(self, source: Mapping[str, str]) -> None:
        self.source = source
        self.faults: list[tuple[str, str]] = []
        self.places: dict[str, str] = {}
        self._vault: Vault | None = None

    def take(self, name: str, parse: Callable[[str], T], *, default: object = ...) -> T | None:
        """Return the parsed value, the default when unset (`...` means required), or None after a fault."""
        try:
            text = self._text(name)
            if text is not None:
                return parse(text)
            if default is ...:
                raise Fault("is missing")
        except Fault as fault:
            self.faults.append((name, str(fault)))
            return None
        except (ValueError, TypeError):  # of `urlsplit` and the like, whose words hold the value
            self.faults.append((name, "is not valid"))
            return None
        return cast("T | None", default)

    def _text(self, name: str) -> str | None:
        """Return NAME's value, of the file that NAME_FILE names, or of NAME_VAULT; empty counts as unset."""
        given = [form for form in forms_of(name) if self.source.get(form)]
        if len(given) > 1:
            raise Fault(f"is given twice, also as {given[1]}")
        if not given:
            return None
        form, value = given[0], self.source[given[0]]
        if form == name:
            return value.strip() or None
        self.places[name] = form
        return _in_file(form, value) if form.endswith("_FILE") else self._in_vault(form, value.strip())

    def _in_vault(self, form: str, place: str) -> str:
        """Return what stands at `mount/path#key`. Only who names a place needs the package, and asks the server."""
        vault = self._open_vault()
        if vault is None:
            raise Fault(f"{form} can't be read: Vault can't be asked, see VAULT_ADDR")
        try:
            return vault.read(place)
        except Fault as fault:
            raise Fault(f"{form} {fault}") from fault

    def _open_vault(self) -> "Vault | None":
        """Return the client, signed in; None after a fault, which is listed once."""
        if self._vault is not None or any(name in VAULT_NAMES for name, _ in self.faults):
            return self._vault
        name = self.source.get("QUILLKEEP_ENVIRONMENT", "").strip()
        address = self.take("VAULT_ADDR", lambda text: _origin(text, strict=name != "development"))
        token = self.take("VAULT_TOKEN", str, default="")
        role_id = self.take("VAULT_ROLE_ID", str, default="")
        secret_id = self.take("VAULT_SECRET_ID", str, default="")
        namespace = self.take("VAULT_NAMESPACE", str, default="")
        authorities = self.take("VAULT_CACERT", _readable_file, default="")
        if bool(token) == bool(role_id):
            self.faults.append(
                ("VAULT_TOKEN", "or VAULT_ROLE_ID with VAULT_SECRET_ID is needed, one of them")
            )
        elif role_id and not secret_id:
            self.faults.append(("VAULT_SECRET_ID", "is missing, and VAULT_ROLE_ID is given"))
        if any(name in VAULT_NAMES for name, _ in self.faults):
            return None
        try:
            self._vault = import_module("cms_project.vault").opened(
                address, token=token, role_id=role_id, secret_id=secret_id,
                namespace=namespace, authorities=authorities,
            )  # fmt: skip
        except ImportError:
            self.faults.append(("VAULT_ADDR", "needs the package hvac: install quillkeep[vault]"))
        except Fault as fault:
            self.faults.append(("VAULT_ROLE_ID", str(fault)))
        return self._vault


def _in_file(form: str, name: str) -> str:
    try:
        with Path(name).open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
        text = raw.decode("utf-8").strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise Fault(f"{form} can't be read ({type(error).__name__})") from error
    if len(raw) > MAX_FILE_BYTES or not text:
        raise Fault(f"{form} is empty or too large")
    return text


def _readable_file(text: str) -> str:
    try:
        with Path(text).open("rb"):
            return text
    except (OSError, ValueError) as error:
        raise Fault(f"can't be read ({type(error).__name__})") from error


def _one_of(choices: tuple[T, ...]) -> Callable[[str], T]:
    def parse(text: str) -> T:
        for choice in choices:
            if choice == text:
                return choice
        raise Fault(f"must be one of {', '.join(map(str, choices))}")

    return parse


def _secret_key(text: str) -> str:
    lowered = text.lower()
    if "django-insecure" in lowered or "changeme" in lowered:
        raise Fault("is a placeholder; make a random one")
    if len(text) < 50 or len(set(text)) < 10:
        raise Fault("is too weak; at least 50 random characters are needed")
    return text


def _secret_keys(text: str) -> tuple[str, ...]:
    """Parse former secret keys, comma separated, the last one first."""
    keys = tuple(items(text))
    if len(keys) > MOST_FALLBACKS or len(set(keys)) != len(keys):
        raise Fault(f"must be at most {MOST_FALLBACKS} different keys, comma separated")
    for number, key in enumerate(keys, start=1):
        try:
            _secret_key(key)
        except Fault as fault:
            raise Fault(f"entry {number} {fault}") from fault
    return keys


def _key_ring(text: str) -> tuple[tuple[str, bytes], ...]:
    """Parse `id:base64 of 32 bytes`, comma separated; the first entry is the active key."""
    ring: dict[str, bytes] = {}
    for number, entry in enumerate(items(text), start=1):
        key_id, _, encoded = entry.partition(":")
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", key_id):
            raise Fault(f"entry {number} has no id of the form [a-z0-9_-]; each entry is id:base64")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Fault(f"entry {number} is not base64") from error
        if len(key) != 32:
            raise Fault(f"entry {number} must be 32 bytes long")
        if len(set(key)) < 8:
            raise Fault(f"entry {number} is not random")
        if key_id in ring or key in ring.values():
            raise Fault(f"entry {number} repeats an id or a key")
        ring[key_id] = key
    if not ring:
        raise Fault("holds no key")
    return tuple(ring.items())


def _database(text: str) -> dict[str, Any]:
    """Parse a PostgreSQL URL; a socket's folder as in libpq: postgresql://user:password@/name?host=/folder."""
    if urlsplit(text).scheme not in ("postgres", "postgresql"):
        raise Fault("must be a postgresql:// URL; there is no other database")
    config: dict[str, Any] = environ.Env.db_url_config(text)
    options = config.setdefault("OPTIONS", {})
    if "host" in options:
        config["HOST"] = options.pop("host")
    if not config["NAME"] or not config["USER"]:
        raise Fault("must name a user and a database")
    return config


def _valkey(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise Fault("must be a redis://, rediss:// or unix:// URL")
    if parts.scheme == "unix" and not parts.path.startswith("/"):
        raise Fault("must name the path of a socket")
    if parts.port == 0:
        raise Fault("must name a port from 1 to 65535")
    return text


def _broker(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("redis", "rediss", "redis+socket") or parts.port == 0:
        raise Fault("must be a redis://, rediss:// or redis+socket:// URL")
    return text


def _broker_of(valkey_url: str) -> str:
    """Return the same server in Celery's spelling; queues have their own key prefix, so they may share it."""
    parts = urlsplit(valkey_url)
    if parts.scheme != "unix":
        return valkey_url
    number = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={number}"


def _hosts(text: str, *, strict: bool) -> tuple[str, ...]:
    hosts = tuple(items(text))
    if strict and any("*" in host for host in hosts):
        raise Fault("must not hold a wildcard")
    if any("/" in host or " " in host for host in hosts) or not hosts:
        raise Fault("must be host names, comma separated")
    return hosts


def _origins(text: str, *, strict: bool) -> tuple[str, ...]:
    return tuple(_origin(item, strict=strict) for item in items(text))


def _origin(text: str, *, strict: bool) -> str:
    """Parse `scheme://host[:port]`, without path, user or wildcard; https outside development."""
    if "*" in text:
        raise Fault("must not hold a wildcard")
    try:
        parts = urlsplit(text)
        has_port_fault = parts.port == 0
    except ValueError as error:
        raise Fault("is not an origin of the form https://host") from error
    extra = parts.path.rstrip("/") or parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme not in ("http", "https") or not parts.hostname or extra or has_port_fault:
        raise Fault("is not an origin of the form https://host")
    if strict and parts.scheme != "https":
        raise Fault("must be https outside development")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _networks(text: str) -> tuple[Network, ...]:
    try:
        networks = tuple(ipaddress.ip_network(item) for item in items(text))
    except ValueError as error:
        raise Fault("must be addresses or networks, comma separated") from error
    if any(network.prefixlen == 0 for network in networks):
        raise Fault("must not trust every address")
    return networks


def _reachable(text: str) -> tuple[Network, ...]:
    """Parse networks that outgoing requests may reach; not those that carry IPv4 addresses inside of their own."""
    networks = _networks(text)
    carriers = [ipaddress.ip_network(item) for item in ("64:ff9b::/32", "2002::/16", "2001::/32", "::/96")]
    carriers.append(ipaddress.ip_network("::ffff:0:0/96"))
    if any(item.version == 6 and item.overlaps(carrier) for item in networks for carrier in carriers):
        raise Fault("must not hold networks that stand for IPv4 addresses; name those")
    return networks


def _receivers(text: str) -> tuple[str, ...]:
    """Parse names, `*.name` for all below one, and IP addresses; in the spelling that they are compared in."""
    found = []
    for number, entry in enumerate(items(text), start=1):
        name = entry.lower()
        try:
            found.append(str(ipaddress.ip_address(name.strip("[]"))))
            continue
        except ValueError:
            labels = name.removeprefix("*.").split(".")
        # What ends in a number is an address in a form of its own, to those who read it as one.
        if not all(re.fullmatch(r"(?!-)[a-z0-9-]{1,63}(?<!-)", label) for label in labels) or re.fullmatch(
            r"[0-9]+|0x[0-9a-f]*", labels[-1]
        ):
            raise Fault(f"entry {number} is not a name, *.name or an IP address")
        found.append(name)
    if not found:
        raise Fault("must hold names, *.name or IP addresses, comma separated")
    return tuple(dict.fromkeys(found))


def _ports(text: str) -> frozenset[int]:
    ports = frozenset(map(bounded(1, 65535), items(text)))
    if not ports:
        raise Fault("must hold numbers from 1 to 65535, comma separated")
    return ports


def _caches(text: str) -> tuple[str, ...]:
    """Parse `http(s)://host:port/`, comma separated. http is fine: what is sent holds no secret."""
    found = tuple(dict.fromkeys(_origin(item, strict=False) + "/" for item in items(text)))
    if not found or len(found) > MOST_CACHES:
        raise Fault(f"must hold 1 to {MOST_CACHES} addresses of the form http://host:port/, comma separated")
    return found


def _retention(text: str) -> int:
    """Parse days; fewer than 90 would take an incident's traces before anybody looked for them."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) < 90:
        raise Fault("must be a number of days, 90 or more; leave it out to keep everything")
    return int(text)


def _head_to(text: str, *, strict: bool) -> str:
    """Parse where the signed head goes each day: file:///folder-or-file, or https://…"""
    parts = urlsplit(text)
    if parts.username or parts.password or parts.fragment or parts.port == 0:
        raise Fault("must hold no user, password or fragment")
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/") or "%" in parts.path or parts.query:
            raise Fault("must be file:///absolute/path, without escapes")
        return text
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Fault("must be a file:/// or https:// URL")
    if strict and parts.scheme != "https":
        raise Fault("must be https outside development")
    return text


def _stream_target(text: str) -> StreamTarget:
    """Parse stdout:, syslog+udp://host:port, syslog+tcp://… or syslog+tls://host:port?ca=/file."""
    if text == "stdout:":
        return StreamTarget("stdout")
    parts = urlsplit(text)
    port, query = parts.port, parse_qs(parts.query, strict_parsing=bool(parts.query))
    scheme, _, kind = parts.scheme.partition("+")
    if scheme != "syslog" or kind not in ("udp", "tcp", "tls"):
        raise Fault("must be stdout:, syslog+udp://, syslog+tcp:// or syslog+tls://host:port")
    if parts.username or parts.password or parts.fragment or parts.path.strip("/"):
        raise Fault("must hold no user, password, path or fragment")
    if not parts.hostname or not re.fullmatch(r"[0-9a-zA-Z.:-]{1,253}", parts.hostname) or port == 0:
        raise Fault("must name a host and a port from 1 to 65535")
    if set(query) - ({"ca"} if kind == "tls" else set()) or len(query.get("ca", [])) > 1:
        raise Fault("takes no parameter but ?ca=/file, with syslog+tls://")
    (authority,) = query.get("ca", [""])
    if authority and not Path(authority).is_absolute():
        raise Fault("must name the certificates of ?ca= by an absolute path")
    standard = {"udp": 514, "tcp": 601, "tls": 6514}[kind]
    return StreamTarget(
        cast("Literal['udp', 'tcp', 'tls']", kind), parts.hostname, port or standard, authority
    )


def _api_life(reader: _Reader, prefix: str) -> ApiLife | None:
    """Take the four names of a version's life; what means nothing without the others is a fault."""
    deprecated = reader.take(f"{prefix}_DEPRECATED_ON", _date, default=None)
    sunset = reader.take(f"{prefix}_SUNSET_ON", _date, default=None)
    successor = reader.take(f"{prefix}_SUCCESSOR", _link, default="")
    info = reader.take(f"{prefix}_DEPRECATION_INFO", _link, default="")
    named = {"SUNSET_ON": sunset, "SUCCESSOR": successor, "DEPRECATION_INFO": info}
    if deprecated is None:
        if not any(name == f"{prefix}_DEPRECATED_ON" for name, _ in reader.faults):
            reader.faults += [
                (f"{prefix}_{name}", f"means nothing without {prefix}_DEPRECATED_ON")
                for name, value in named.items()
                if value
            ]
        return None
    if sunset is not None and sunset < deprecated:
        reader.faults.append((f"{prefix}_SUNSET_ON", f"must not be before {prefix}_DEPRECATED_ON"))
    return ApiLife(deprecated, sunset, successor or "", info or "")


def _date(text: str) -> date:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise Fault("must be a day of the form 2027-01-31")
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise Fault("is no day of the calendar") from error
    if not 2000 <= found.year <= 2999:
        raise Fault("is not a day of our time")
    return found


def _link(text: str) -> str:
    """Parse an https:// address that goes into a header, so without anything that could end it."""
    if not re.fullmatch(r"https://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[!-;=?-~]*)?", text) or len(text) > 500:
        raise Fault("must be an https:// address in plain ASCII, without < and >")
    return text


def _email(text: str) -> dict[str, Any]:
    scheme = urlsplit(text).scheme
    if scheme not in environ.Env.EMAIL_SCHEMES:
        raise Fault("must be a smtp+tls://, smtp+ssl:// or consolemail:// URL")
    config: dict[str, Any] = environ.Env.email_url_config(text)
    return config


def _mailboxes(text: str) -> tuple[str, ...]:
    """Parse plain e-mail addresses, comma separated."""
    boxes = tuple(dict.fromkeys(items(text)))
    if not boxes or not all(
        re.fullmatch(r"[^@\s<>\",;:\\]{1,64}@[A-Za-z0-9.-]{1,189}", box) for box in boxes
    ):
        raise Fault("must be e-mail addresses without names, comma separated")
    return boxes


def _thresholds(text: str) -> dict[str, int]:
    """Parse `rule=number`, comma separated; 0 switches a rule off."""
    found: dict[str, int] = {}
    for number, entry in enumerate(items(text), start=1):
        key, _, value = entry.partition("=")
        if (
            not re.fullmatch(r"[a-z][a-z.-]{0,59}", key)
            or not re.fullmatch(r"[0-9]{1,7}", value)
            or key in found
        ):
            raise Fault(f"entry {number} is not rule=number, or repeats a rule")
        found[key] = int(value)
    return found
