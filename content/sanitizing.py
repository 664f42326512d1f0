"""HTML from people, made safe: one allow-list, three passes, one result however often it is applied.

1. `_tidied`, a lexer of our own, rewrites any input into balanced markup of allowed elements, in one linear walk.
   It is no protection; it keeps hostile syntax away from the parsers behind it, which have quadratic corners
   (attributes by the thousand, endless entities, formatting elements reopened in each paragraph) and no depth limit.
2. bleach, in pieces, since its time grows with the square of a document. Its last release gets no more security
   fixes, therefore
3. nh3 has the last word.

All three ask the same `Policy`. The result is a fixed point: markup that `_tidied` and nh3 leave as it is needs no
more, and nothing else is ever returned. Sanitizing again when a document is published is therefore cheap.
"""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import bleach
import nh3

MAX_BYTES = 500_000
MAX_DEPTH = 100
MAX_ROUNDS = 6
PIECE = 4_000
REL = "noopener noreferrer"


class MarkupError(Exception):
    """The markup was refused whole: `code` is `too-long`, `too-deep` or `unstable-markup`."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(detail)


# Addresses

# Control characters, every white space, and what makes people or parsers read another address than is there.
_CONFUSING = re.compile(r"[\s\\\x00-\x20\x7f-\xa0\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_ABSOLUTE = re.compile(r"https?://[^/?#@]+(?:[/?#].*)?", re.IGNORECASE)
_MAIL_OR_PHONE = re.compile(r"mailto:[^:/]+|tel:[+0-9().;=a-z-]+", re.IGNORECASE)
_ENTRY = re.compile(r"quillkeep:entry/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:[?#].*)?")
_ROOT_PATH = re.compile(r"/(?!/).*")
_RELATIVE_PATH = re.compile(r"(?:\.{1,2}/|[\w.~%@+-]+(?:/|$|(?=[?#])))[^:&;]*(?:[?#].*)?")

SCHEMES = frozenset({"http", "https", "mailto", "tel", "quillkeep"})


def safe_link(value: str, *, relative: bool = False) -> str | None:
    """Return the address when a reader may follow it, None when not.

    Allowed: http, https, mailto, tel, `quillkeep:entry/<id>`, `/path`, `#fragment`, and with `relative` also `page`
    and `../page`. Refused: every other scheme, `//host`, a name before the host (`https://bank@evil.example`), white
    space and control characters anywhere, backslashes.
    """
    value = value.strip(" \t\n\r\f")
    if not value or len(value) > 2000 or _CONFUSING.search(value):
        return None
    allowed = [_ABSOLUTE, _MAIL_OR_PHONE, _ENTRY, _ROOT_PATH]
    if value.startswith("#") or any(pattern.fullmatch(value) for pattern in allowed):
        return value
    return value if relative and (value.startswith("?") or _RELATIVE_PATH.fullmatch(value)) else None


def _image_source(value: str) -> str | None:
    address = safe_link(value, relative=True)
    return (
        address
        if address and not re.match(r"mailto:|tel:|quillkeep:|#|\?|http:", address, re.IGNORECASE)
        else None
    )


# The allow-list

Check = Callable[[str], str | None]


def _like(pattern: str) -> Check:
    compiled = re.compile(pattern)
    return lambda value: value if compiled.fullmatch(value) else None


def _short(value: str) -> str | None:
    return value if len(value) <= 1000 else None


_NUMBER = _like(r"[1-9][0-9]{0,2}")
_LANGUAGE = _like(r"language-[A-Za-z0-9_+#.-]{1,40}")
_CELL: dict[str, Check] = {"colspan": _NUMBER, "rowspan": _NUMBER, "align": _like("left|center|right")}
_HEADING: dict[str, Check] = {"id": _like(r"[\w-]{1,120}")}


@dataclass(frozen=True, eq=False)
class Policy:
    """Which elements, which attributes of them, and for each attribute a function that keeps or drops a value."""

    attributes: Mapping[str, Mapping[str, Check]]
    renamed: Mapping[str, str] = field(default_factory=dict)

    def keep(self, tag: str, name: str, value: str) -> str | None:
        """Return the attribute's value, or None when it must go."""
        if (tag, name) == ("a", "rel"):
            return REL
        check = self.attributes.get(tag, {}).get(name)
        return check(value) if check is not None else None


def _bare(*names: str) -> dict[str, Mapping[str, Check]]:
    return {name: {} for name in names}


_RICH_ATTRIBUTES: dict[str, Mapping[str, Check]] = {
    **_bare("p", "br", "hr", "h2", "h3", "h4", "blockquote", "ul", "li"),
    **_bare("strong", "em", "u", "s", "sub", "sup", "figure", "figcaption"),
    **_bare("table", "thead", "tbody", "tr"),
    "a": {"href": safe_link, "title": _short},
    "code": {"class": _LANGUAGE},
    "pre": {"class": _LANGUAGE},
    "ol": {"start": _like(r"[0-9]{1,6}")},
    "td": _CELL,
    "th": {**_CELL, "scope": _like("row|col|rowgroup|colgroup")},
}
_RENAMED = {"b": "strong", "i": "em", "strike": "s", "del": "s"}

RICH_TEXT = Policy(_RICH_ATTRIBUTES, {**_RENAMED, "h1": "h2", "h5": "h4", "h6": "h4"})

# Markdown has headings of six levels that can be linked to, images, and what people put in by hand.
MARKDOWN = Policy(
    {
        **_RICH_ATTRIBUTES,
        **{f"h{level}": _HEADING for level in range(1, 7)},
        **_bare("kbd", "details", "summary", "dl", "dt", "dd"),
        "a": {"href": lambda value: safe_link(value, relative=True), "title": _short},
        "img": {
            "src": _image_source,
            "alt": _short,
            "title": _short,
            "width": _like("[1-9][0-9]{0,3}"),
            "height": _like("[1-9][0-9]{0,3}"),
        },
    },
    _RENAMED,
)


# The passes


def sanitize(markup: str, policy: Policy = RICH_TEXT, *, limit: int = MAX_BYTES) -> str:
    """Return safe HTML; `sanitize(sanitize(x)) == sanitize(x)`.

    Takes time in proportion to the length. Raises MarkupError for more than `limit` bytes, in or out, and for more
    than MAX_DEPTH levels.
    """
    _within(markup, limit)
    last_pass = _last_pass(policy)
    pieces = _tidied(markup, policy)
    text = "".join(piece.markup for piece in pieces)
    _within(text, limit)
    if text == markup and last_pass.clean(text) == text:
        return text
    text = last_pass.clean("".join(_bleached(piece, policy) for piece in pieces))
    for _ in range(MAX_ROUNDS):
        tidy = "".join(piece.markup for piece in _tidied(text, policy))
        if tidy == text and last_pass.clean(text) == text:
            _within(text, limit)
            return text
        text = last_pass.clean(tidy)
    raise MarkupError("unstable-markup", "This markup cannot be read in one way only. Please simplify it.")


def _within(markup: str, limit: int) -> None:
    if len(markup) > limit or len(markup.encode("utf-8", "replace")) > limit:
        raise MarkupError("too-long", f"At most {limit // 1000:,} KB of markup.")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the document, and the elements that are open where it begins and where it ends."""

    markup: str
    before: tuple[str, ...]
    after: tuple[str, ...]


def _bleached(piece: _Piece, policy: Policy) -> str:
    def keep(tag: str, name: str, value: str) -> bool:
        return policy.keep(tag, name, html.unescape(value)) is not None

    opening = "".join(f"<{tag}>" for tag in piece.before)
    closing = "".join(f"</{tag}>" for tag in reversed(piece.after))
    cleaner = bleach.Cleaner(tags=policy.attributes.keys(), attributes=keep, protocols=SCHEMES, strip=True)
    text = str(cleaner.clean(f"{opening}{piece.markup}{closing}"))
    if not (text.startswith(opening) and text.endswith(closing)):
        raise MarkupError(
            "unstable-markup", "This markup cannot be read in one way only. Please simplify it."
        )
    return text[len(opening) : len(text) - len(closing)]


def _last_pass(policy: Policy) -> nh3.Cleaner:
    if policy not in _CLEANERS:
        _CLEANERS[policy] = nh3.Cleaner(
            tags=set(policy.attributes),
            attributes={tag: set(names) for tag, names in policy.attributes.items() if names},
            attribute_filter=policy.keep,
            url_schemes=set(SCHEMES),
            link_rel=REL,
        )
    return _CLEANERS[policy]


_CLEANERS: dict[Policy, nh3.Cleaner] = {}

_NAME = re.compile(r"[a-zA-Z][^\s/>]*")
_ATTRIBUTE = re.compile(r"""[\s/]*([^\s/>=][^\s/>=]*)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>]*))?""")
_TAG_END = re.compile(r"[\s/]*>")
_LONG_REFERENCE = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")

_VOID = frozenset({"br", "hr", "img"})
_BLOCKS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "pre", "blockquote", "table", "hr"}
) | {"figure", "figcaption", "details", "summary", "dl", "dt", "dd"}
_HEADINGS = frozenset(f"h{level}" for level in range(1, 7))
_FRAME = frozenset({"table", "thead", "tbody", "tr"})
_WALLS = frozenset({"table", "td", "th"})  # end tags inside do not reach out
_TABLE_PARTS: dict[str, frozenset[str]] = {
    "thead": frozenset({"table"}),
    "tbody": frozenset({"table"}),
    "tr": frozenset({"table", "thead", "tbody"}),
    "td": frozenset({"tr"}),
    "th": frozenset({"tr"}),
}
_SIBLINGS: dict[
    str, tuple[frozenset[str], frozenset[str]]
] = {  # what a start tag closes, and where the search ends
    "li": (frozenset({"li"}), frozenset({"ul", "ol"})),
    "dt": (frozenset({"dt", "dd"}), frozenset({"dl"})),
    "dd": (frozenset({"dt", "dd"}), frozenset({"dl"})),
}
# Their content is no content: it goes with them.
_DROPPED_WHOLE = {
    name: re.compile(rf"</{name}(?=[\s/>])[^>]*>?", re.IGNORECASE)
    for name in (
        *("script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "noscript"),
        *("template", "svg", "math", "object", "select"),
    )
}


def _tidied(markup: str, policy: Policy) -> list[_Piece]:
    """Return balanced markup of allowed elements and attributes, spelled as nh3 spells it, in pieces."""
    writer = _Writer(policy)
    position, end = 0, len(markup)
    while position < end:
        start = markup.find("<", position)
        if start < 0:
            writer.text(markup[position:])
            break
        writer.text(markup[position:start])
        position = _markup_at(markup, start, writer)
    return writer.finish()


def _markup_at(markup: str, start: int, writer: "_Writer") -> int:
    """Write what begins with the `<` at `start`, and return the position after it."""
    if markup.startswith("<!--", start):
        return _after(markup, "-->", start + 2)
    closing = markup.startswith("</", start)
    name = _NAME.match(markup, start + 1 + closing)
    if name is None:
        if closing or markup.startswith(("<!", "<?"), start):
            return _after(markup, ">", start)
        writer.text("<")
        return start + 1
    tag = name[0].lower()
    position = name.end()
    values: dict[str, str] = {}
    while (tag_end := _TAG_END.match(markup, position)) is None:
        attribute = _ATTRIBUTE.match(markup, position)
        if attribute is None:
            return len(markup)  # the input ends within a tag
        position = attribute.end()
        attribute_name = attribute[1].lower()
        if len(values) < 20 and attribute_name not in values:
            value = attribute[2] or ""
            values[attribute_name] = (
                value[1:-1] if value[:1] in ('"', "'") and value[-1:] == value[:1] else value
            )
    position = tag_end.end()
    if not closing and tag in _DROPPED_WHOLE:
        dropped = _DROPPED_WHOLE[tag].search(markup, position)
        return dropped.end() if dropped is not None else len(markup)
    if closing:
        writer.end(tag)
    else:
        writer.start(tag, values)
    return position


def _after(markup: str, what: str, start: int) -> int:
    found = markup.find(what, start)
    return found + len(what) if found >= 0 else len(markup)


def _unescaped(text: str) -> str:
    return (
        html.unescape(_LONG_REFERENCE.sub("\ufffd", text)).replace("\x00", "\ufffd") if "&" in text else text
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("\xa0", "&nbsp;").replace("<", "&lt;").replace(">", "&gt;")


class _Writer:
    """Writes start and end tags so that they are balanced and a parser has nothing to move, add or reopen."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.open: list[str] = []
        self.pieces: list[_Piece] = []
        self._parts: list[str] = []
        self._size = 0
        self._before: tuple[str, ...] = ()
        self._after_pre = False

    def text(self, raw: str) -> None:
        text = _unescaped(raw)
        if self._after_pre:
            text = text.lstrip("\n")  # parsers drop the first line break each time they read it
        if self._in_table_frame() and text.strip():
            self._make_cell()
        for start in range(0, len(text), PIECE):
            self._write(_escaped(text[start : start + PIECE]))

    def start(self, tag: str, values: Mapping[str, str]) -> None:
        tag = self.policy.renamed.get(tag, tag)
        if tag not in self.policy.attributes or not self._make_room(tag):
            return
        kept = []
        for name, raw in values.items():
            value = self.policy.keep(tag, name, _unescaped(raw))
            if value is not None and name != "rel":
                kept.append(f' {name}="{_escaped(value).replace(chr(34), "&quot;")}"')
        if tag == "a":
            kept.append(f' rel="{REL}"')
        if tag not in _VOID and len(self.open) >= MAX_DEPTH:
            raise MarkupError("too-deep", f"Elements may be nested {MAX_DEPTH} deep at most.")
        self._write(f"<{tag}{''.join(kept)}>")
        if tag not in _VOID:
            self.open.append(tag)
        self._after_pre = tag == "pre"

    def end(self, tag: str) -> None:
        tag = self.policy.renamed.get(tag, tag)
        depth = self._depth_of({tag}, until=frozenset({"table"}) if tag in _TABLE_PARTS else _WALLS - {tag})
        if depth is not None:
            self._close(depth)

    def finish(self) -> list[_Piece]:
        self._close(0)
        self._cut()
        return self.pieces

    def _write(self, part: str) -> None:
        self._after_pre = False
        if self._size >= PIECE and not part.startswith(
            "\n"
        ):  # after <pre>, parsers would drop the line break
            self._cut()
        self._parts.append(part)
        self._size += len(part)

    def _cut(self) -> None:
        after = tuple(self.open)
        self.pieces.append(_Piece("".join(self._parts), self._before, after))
        self._parts, self._size, self._before = [], 0, after

    def _in_table_frame(self) -> bool:
        return bool(self.open) and self.open[-1] in _FRAME

    def _make_cell(self) -> None:
        """Open a cell for what stands in a table outside of one; parsers would move it in front of the table."""
        if self.open[-1] != "tr":
            self.start("tr", {})
        self.start("td", {})

    def _make_room(self, tag: str) -> bool:
        """Close or open what must be around a new element; False when the element may not stand here."""
        if tag in _TABLE_PARTS:
            depth = self._depth_of(_TABLE_PARTS[tag], until=frozenset({"table"}) - _TABLE_PARTS[tag])
            if depth is None and tag in ("td", "th"):
                depth = self._depth_of(_FRAME, until=frozenset())
                if depth is not None:
                    self._close(depth + 1)
                    self.start("tr", {})
                    return True
            if depth is None:
                return False
            self._close(depth + 1)
            if tag == "tr" and self.open[-1] == "table":
                self.start("tbody", {})
            return True
        if self._in_table_frame():
            self._make_cell()
        if tag in _BLOCKS:
            self._close_at(self._depth_of({"p"}, until=_WALLS))
        if tag in _SIBLINGS:
            closed, until = _SIBLINGS[tag]
            self._close_at(self._depth_of(closed, until=until | _WALLS))
        elif tag in _HEADINGS:
            self._close_at(self._depth_of(_HEADINGS, until=_WALLS))
        elif tag == "a":
            self._close_at(self._depth_of({"a"}, until=frozenset()))
        if self._in_table_frame():
            self._make_cell()
        return True

    def _depth_of(self, tags: frozenset[str] | set[str], *, until: frozenset[str]) -> int | None:
        for depth in range(len(self.open) - 1, -1, -1):
            if self.open[depth] in tags:
                return depth
            if self.open[depth] in until:
                return None
        return None

    def _close_at(self, depth: int | None) -> None:
        if depth is not None:
            self._close(depth)

    def _close(self, depth: int) -> None:
        while len(self.open) > depth:
            self._write(f"</{self.open[-1]}>")
            self.open.pop()


# Plain words

_BREAKING = re.compile(r"<(?:/(?:p|h[1-6]|li|pre|blockquote|tr|figcaption|table|ul|ol)|br|hr)\b[^>]*>")
_CELLS = re.compile(r"</t[dh]>")
_TAGS = re.compile(r"</?[a-z][^<>]*>")


def plain_text(safe_markup: str) -> str:
    """Return the words of sanitized HTML, one block a line, for search and for a diff by words."""
    text = _CELLS.sub("\t", _BREAKING.sub("\n", safe_markup))
    lines = html.unescape(_TAGS.sub("", text)).split("\n")
    return "\n".join(line.strip() for line in lines if line.strip())


def rich_text_of(text: str) -> str:
    """Return plain text as rich text: a paragraph for each run of lines, nothing interpreted."""
    paragraphs = re.split(r"\n[ \t]*\n\s*", text.strip("\n"))
    return "".join(f"<p>{_escaped(item).replace(chr(10), '<br>')}</p>" for item in paragraphs if item.strip())
