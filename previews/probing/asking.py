"""How the leak probe asks a site: few requests, small answers, little time, and no step off the site."""

import re
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin, urlsplit

from accounts import egress
from accounts.egress import EgressError
from previews.addresses import AddressError, origin_in

MOST_BYTES: Final = 2 * 1024 * 1024  # of one answer, packed or unpacked
MOST_REQUESTS: Final = 80  # to one site in one probe
EACH_SECONDS: Final = 5.0
ALL_SECONDS: Final = 60.0
_HOPS: Final = 3
_CHARSETS: Final = frozenset({"utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252"})
_CHARSET: Final = re.compile(r"charset=\"?([A-Za-z0-9-]{1,20})")
_NEXT_COOKIE: Final = re.compile(r",\s*(?=[!#$%&'*+.^_`|~0-9A-Za-z-]+=)")
_META: Final = re.compile(r"<meta\b[^<>]{0,500}>", re.IGNORECASE)
_HIT: Final = re.compile(r"\bhit\b", re.IGNORECASE)
_CACHES_TELL: Final = (
    "x-cache",
    "cf-cache-status",
    "x-vercel-cache",
    "x-nextjs-cache",
    "x-proxy-cache",
    "cache-status",
)


class NoAnswerError(Exception):
    """A question was not asked, or not answered; the text says no more than who chose the address may know."""


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """An answer, read as text."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def may_be_kept(self) -> bool:
        """Whether a shared cache may keep it, or it came out of one (RFC 9111)."""
        directives = {part.strip().split("=")[0] for part in self._header("cache-control").split(",")}
        came_out = "age" in self.headers or any(_HIT.search(self._header(name)) for name in _CACHES_TELL)
        return came_out or "s-maxage" in directives or directives.isdisjoint({"no-store", "private"})

    @property
    def may_be_listed(self) -> bool:
        """Whether search engines may list it: nothing says `noindex`, in the headers or in the page."""
        if "noindex" in self._header("x-robots-tag") or "none" in self._header("x-robots-tag").split(","):
            return False
        tags = (tag.lower() for tag in _META.findall(self.text))
        return not any("robots" in tag and "noindex" in tag for tag in tags)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that it sets, by name; those that it clears are left out."""
        found: dict[str, str] = {}
        for text in _NEXT_COOKIE.split(self.headers.get("set-cookie", "")):
            name, _, rest = text.partition("=")
            value = rest.split(";")[0].strip()
            if name.strip() and value.strip('"') and "max-age=0" not in rest.lower():
                found[name.strip()] = value
        return found

    def _header(self, name: str) -> str:
        return self.headers.get(name, "").lower()


@dataclass(slots=True)
class Asker:
    """Asks one site within the bounds of one probe."""

    ends_at: float = field(default_factory=lambda: time.monotonic() + ALL_SECONDS)
    left: int = MOST_REQUESTS

    @property
    def is_quick(self) -> bool:
        """Whether two thirds of the time are left."""
        return self.ends_at - time.monotonic() > ALL_SECONDS * 2 / 3

    def ask(
        self, url: str, headers: Mapping[str, str] | None = None, *, form: bytes | None = None
    ) -> list[Reply]:
        """Return the answer, and those that it redirects to on the same origin, with the cookies set on the way.

        Raises NoAnswerError.
        """
        origin, replies, sent = origin_in(url), list[Reply](), dict(headers or {})
        for _ in range(_HOPS):
            reply = self._once(url, sent, form)
            replies.append(reply)
            location = reply.headers.get("location")
            if not 300 <= reply.status < 400 or not location:
                break
            cookies = "; ".join(f"{name}={value}" for name, value in reply.cookies.items())
            if cookies:
                sent["Cookie"] = "; ".join(filter(None, [sent.get("Cookie"), cookies]))
            try:
                url, form = urljoin(url, location.strip()).partition("#")[0], None
                if origin_in(url) != origin or not urlsplit(url).path:
                    break
            except (AddressError, ValueError):
                break
        return replies

    def _once(self, url: str, headers: Mapping[str, str], form: bytes | None) -> Reply:
        seconds = min(EACH_SECONDS, self.ends_at - time.monotonic())
        if seconds <= 0 or self.left <= 0:
            raise NoAnswerError("There was no time left to ask.")
        self.left -= 1
        # How long a probe takes, and when its next request comes, would tell what lies at an address that fails.
        try:
            if form is None:
                answer = egress.get(
                    url, headers=headers, deadline=seconds, max_bytes=MOST_BYTES, patient=True
                )
            else:
                kind = {"Content-Type": "application/x-www-form-urlencoded"}
                answer = egress.post(
                    url,
                    form,
                    headers={**headers, **kind},
                    deadline=seconds,
                    max_bytes=MOST_BYTES,
                    patient=True,
                )
        except EgressError as error:
            raise NoAnswerError(str(error)) from error
        return Reply(answer.status, answer.headers, _text(answer.body, answer.headers))


def _text(body: bytes, headers: Mapping[str, str]) -> str:
    """Read a body as text, whatever bytes it holds. Raises NoAnswerError for one packed in a way of its own."""
    packed = headers.get("content-encoding", "identity").strip().lower()
    if packed in ("gzip", "x-gzip", "deflate"):
        unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, by its head
        try:
            body = unpacker.decompress(body, MOST_BYTES)
        except zlib.error as error:
            raise NoAnswerError("The answer could not be read.") from error
        if unpacker.unconsumed_tail:
            raise NoAnswerError("The answer could not be read: it is too large.")
    elif packed not in ("identity", ""):
        raise NoAnswerError("The answer could not be read: it is packed although none was asked to be.")
    named = _CHARSET.search(headers.get("content-type", ""))
    charset = named[1].lower() if named and named[1].lower() in _CHARSETS else "utf-8"
    return body.decode(charset, errors="replace")
