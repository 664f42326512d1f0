"""A web address."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django import forms

from accounts.canonical import Json
from content.fields.base import (
    Context,
    FieldError,
    FieldSpec,
    FieldType,
    FormContext,
    Kind,
    Options,
    Schema,
    option,
    register,
)
from content.fields.forms import common
from content.fields.options import Flag
from content.fields.strings import normalised, one_line, within

MAX_URL = 500  # it can be filtered; longer ones are tracking

# Nothing that a header, a shell, a template or a lenient parser could read differently (CVE-2026-53878).
_FORBIDDEN = re.compile(
    r"""[\s"'<>\\^`{|}\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]"""
)
_HOST = re.compile(r"[^\W_](?:[\w.-]{0,252}\w)?\.?|\[[0-9a-fA-F:.]{2,45}\]")


def url_in(value: object, *, relative: bool) -> str | None:
    """Return an http(s) address, its scheme and host in small letters, or `/path` where allowed.

    Credentials, other schemes, protocol-relative addresses, white space and control characters are refused.
    """
    if isinstance(value, str) and (found := _FORBIDDEN.search(value.strip(" "))):
        detail = "Spaces are not allowed." if found[0] == " " else "Some characters must be percent-encoded."
        raise FieldError.at((), "invalid-url", detail)
    text = one_line(value, high=MAX_URL)
    if text is None:
        return None
    if text.startswith("/"):
        if relative and not text.startswith("//"):
            return text
        raise FieldError.at((), "invalid-url", "A whole address such as https://example.com/ is expected.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise FieldError.at(
            (), "invalid-url", "An address such as https://example.com/ is expected."
        ) from error
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not text[len(parts.scheme) :].startswith("://"):
        raise FieldError.at((), "invalid-url", "Only addresses that start with http:// or https://.")
    if "@" in parts.netloc:
        raise FieldError.at((), "invalid-url", "A user name or password in an address is not allowed.")
    bracketed = f"[{host}]" if ":" in host else host
    if not _HOST.fullmatch(bracketed) or ".." in host or port == 0:
        raise FieldError.at((), "invalid-url", "The name of the host is not valid.")
    netloc = bracketed if port is None else f"{bracketed}:{port}"
    return normalised(SplitResult(parts.scheme, netloc, parts.path, parts.query, parts.fragment).geturl())


@dataclass(frozen=True, slots=True)
class UrlOptions(Options):
    allow_relative: bool = option(
        Flag(), False, label="Paths too", help="Addresses such as /about, of the site itself."
    )


@register
class UrlField(FieldType[UrlOptions]):
    key = "url"
    label = "Web address"
    description = "An address that starts with http:// or https://."
    icon = "globe"
    family = "Links"
    kind = Kind.TEXT
    sortable = True
    can_be_unique = True
    converts_to = frozenset({"text", "long_text"})
    options_class = UrlOptions

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        url = url_in(value, relative=self.options(field).allow_relative)
        return url if url is None else within(url, 0, MAX_URL)

    def filter_value(self, raw: str) -> str | Decimal:
        return one_line(raw) or ""

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return self.as_text(value)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return {"type": "string", "format": "iri-reference" if self.options(field).allow_relative else "iri"}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        attrs = {
            "class": "vURLField",
            "inputmode": "url",
            "spellcheck": "false",
            "dir": "ltr",
            "data-opens": "",
        }
        widget = forms.TextInput(attrs=attrs)
        return forms.CharField(strip=False, widget=widget, **common(field))
