"""Markdown to safe HTML: CommonMark with tables and strikethrough, heading ids, and MDX's own constructs left out.

The source is kept as it was written; only the HTML is made. What Markdown lets through as HTML goes through
`content.sanitizing` like everything else. MDX's imports, exports, components and expressions mean something to a
frontend that compiles the source, and nothing to a reader of the HTML.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from content.sanitizing import MARKDOWN, MarkupError, sanitize

MAX_BYTES = 1_000_000  # the longest real document met had 851,167
MAX_HTML_BYTES = 4_000_000
MAX_TAG = 5_000  # characters of one JSX tag
MAX_SEARCH = 500_000  # characters looked at for JSX tags that never end
MAX_NESTED_LINES = 200_000

_PREFIX = re.compile(r"^(?:[ \t]*(?:>|[-+*](?=\s)|[0-9]{1,9}[.)](?=\s)))+", re.MULTILINE)
_ITEM = re.compile(r"[-+*]|[.)]")

_MODULE_LINE = re.compile(
    r"""import\s+(?:[\w*{][^;'"]*\sfrom\s*)?['"]|import\s*\{"""
    r"""|export\s+(?:const|let|var|default|function|async|class|type|\{|\*)"""
)
_JSX_MARK = re.compile(r"[\"'`{}>]")
_COMPONENT = re.compile(r"</?(?:[A-Z][\w.]*|[a-z]\w*\.[\w.]+)(?=[\s/>])|</?(?=>)")


@lru_cache(maxsize=16)
def to_html(source: str) -> str:
    """Return safe HTML of a Markdown source. Raises MarkupError when it is too long or too deeply nested.

    Takes time in proportion to the length: what would make it slower is counted and limited. The last few answers
    are kept, since a save cleans, publishes and indexes the same source, in each locale that falls back to it.
    """
    if len(source) > MAX_BYTES or len(source.encode("utf-8", "replace")) > MAX_BYTES:
        raise MarkupError("too-long", f"At most {MAX_BYTES // 1000:,} KB of Markdown.")
    # Each line is tried against each quote and list that is open: 30 levels before 50,000 lines took twelve seconds.
    depth = max(
        (prefix[0].count(">") + len(_ITEM.findall(prefix[0])) for prefix in _PREFIX.finditer(source)),
        default=0,
    )
    if depth * source.count("\n") > MAX_NESTED_LINES:
        raise MarkupError("too-deep", "Too many lines for quotes and lists that are nested so deeply.")
    return sanitize(_parser.render(source), MARKDOWN, limit=MAX_HTML_BYTES)


class _Renderer(RendererHTML):
    """Writes ids of headings, and the alignment of cells as an attribute that the allow-list knows."""

    def render(self, tokens: Sequence[Token], options: OptionsDict, env: EnvType) -> str:
        # A long title of one reference, used a thousand times, would grow a thousandfold.
        flat = [part for token in tokens for part in (token, *(token.children or ()))]
        if sum(len(str(value)) for part in flat for value in part.attrs.values()) > MAX_HTML_BYTES:
            raise MarkupError("too-long", f"At most {MAX_HTML_BYTES // 1000:,} KB of HTML.")
        used: dict[str, int] = {}
        for position, token in enumerate(tokens):
            if token.type == "heading_open":
                token.attrSet("id", _heading_id(tokens[position + 1], used))
            elif token.type in ("th_open", "td_open"):
                style = str(token.attrs.pop("style", ""))
                if style:
                    token.attrSet("align", style.removeprefix("text-align:"))
        return super().render(tokens, options, env)


def _heading_id(inline: Token, used: dict[str, int]) -> str:
    words = "".join(
        child.content for child in inline.children or () if child.type in ("text", "code_inline", "softbreak")
    )
    words = unicodedata.normalize("NFC", words[:200]).lower()
    base = re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", words)).strip("-")[:80] or "section"
    count = used[base] = used.get(base, 0) + 1
    return base if count == 1 else f"{base}-{count}"


def _module_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001 -- the library's call
    """Skip `import …` and `export …` up to the next blank line, at the outermost level only."""
    if state.level or state.sCount[start] != 0:
        return False
    if not _MODULE_LINE.match(state.src[state.bMarks[start] : state.eMarks[start]][:500]):
        return False
    if silent:
        return True
    line = start + 1
    while line < end and not state.isEmpty(line):
        line += 1
    state.line = line
    return True


def _component_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001 -- same
    """Skip a component's tag that has its lines for itself; what stands between two tags stays Markdown."""
    begin = state.bMarks[start] + state.tShift[start]
    if state.is_code_block(start) or state.src[begin : begin + 1] not in ("<", "{"):
        return False
    after = _component_end(state.src, begin, state.env)
    if after is None:
        return False
    line = start
    while line < end and state.eMarks[line] < after:
        line += 1
    if line >= end or state.src[after : state.eMarks[line]].strip():
        return False
    if not silent:
        state.line = line + 1
    return True


def _component_inline(state: StateInline, silent: bool) -> bool:  # noqa: ARG001, FBT001 -- same
    """Skip a component's tag or a comment `{/* … */}` within a line."""
    if state.src[state.pos] not in ("<", "{"):
        return False
    after = _component_end(state.src, state.pos, state.env)
    if after is None or after > state.posMax:
        return False
    state.pos = after
    return True


def _component_end(source: str, begin: int, env: EnvType) -> int | None:
    """Return where the JSX tag or comment that begins here ends, None when there is none."""
    searched = int(env.get("searched", 0))
    if searched > MAX_SEARCH:
        return None
    limit = min(len(source), begin + MAX_TAG)
    if source.startswith("{/*", begin):
        end = source.find("*/}", begin, limit)
        env["searched"] = searched + (0 if end >= 0 else limit - begin)
        return end + 3 if end >= 0 else None
    name = _COMPONENT.match(source, begin)
    if name is None:
        return None
    depth, quote = 0, ""
    for mark in _JSX_MARK.finditer(source, name.end(), limit):
        character = mark[0]
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'`":
            quote = character
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
        elif depth <= 0:
            return mark.end()
    env["searched"] = searched + limit - begin
    return None


def _make_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": 40}, renderer_cls=_Renderer)
    parser.enable(["table", "strikethrough"])
    parser.block.ruler.before("fence", "module", _module_block)
    parser.block.ruler.before(
        "html_block", "component", _component_block, {"alt": ["paragraph", "reference"]}
    )
    parser.inline.ruler.before("html_inline", "component", _component_inline)
    return parser


_parser = _make_parser()
