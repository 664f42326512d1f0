"""The difference between two versions, field by field; words for text."""

import difflib
import re
from collections.abc import Iterable, Mapping

from accounts.canonical import Json
from content import documents, fields
from content.fields.base import Context, FieldSpec

_WORD = re.compile(r"\s+|\w+|[^\w\s]")
MAX_WORDS = (
    20_000  # above that a text is compared by lines, since the comparison is quadratic in the worst case
)


def diff(
    before: Mapping[str, Mapping[str, Json]],
    after: Mapping[str, Mapping[str, Json]],
    *,
    locale: str,
    specs: Iterable[FieldSpec],
    ctx: Context,
) -> list[dict[str, Json]]:
    """Return what differs in one locale: `{"field", "label", "change", "words": [[op, text], …]}` for each field.

    `change` is added, removed or changed; `op` is `=`, `-` or `+`.
    """
    old, new = documents.in_locale(before, locale), documents.in_locale(after, locale)
    found: list[dict[str, Json]] = []
    for spec in specs:
        one, other = old.get(str(spec.id)), new.get(str(spec.id))
        if one == other:
            continue
        change = "added" if one is None else "removed" if other is None else "changed"
        words = compare(text_of(one, spec, ctx), text_of(other, spec, ctx))
        shown: list[Json] = [[op, text] for op, text in words]
        found.append({"field": spec.key, "label": spec.name, "change": change, "words": shown})
    return found


def text_of(value: Json, spec: FieldSpec, ctx: Context) -> str:
    """Return a value in words; entries that the reader can't see today are not named, not even by id."""
    field_type = fields.get(spec.type)
    text = field_type.diff_text(value, spec, ctx)
    for target in field_type.references(value, spec, ctx):
        if ctx.reference_problem(target, frozenset()) is not None:
            text = text.replace(str(target), "(an entry that you can't see)")
    return text


def compare(one: str, other: str) -> list[tuple[str, str]]:
    """Return the runs of words that stayed (`=`), went (`-`) and came (`+`)."""
    a, b = _WORD.findall(one), _WORD.findall(other)
    if len(a) + len(b) > MAX_WORDS:
        a, b = one.splitlines(keepends=True), other.splitlines(keepends=True)
    if len(a) + len(b) > MAX_WORDS:
        return [("-", one), ("+", other)]
    runs: list[tuple[str, str]] = []
    for op, i1, i2, j1, j2 in difflib.SequenceMatcher(
        None, a, b, autojunk=len(a) + len(b) > 4_000
    ).get_opcodes():
        if op == "equal":
            runs.append(("=", "".join(a[i1:i2])))
            continue
        if i2 > i1:
            runs.append(("-", "".join(a[i1:i2])))
        if j2 > j1:
            runs.append(("+", "".join(b[j1:j2])))
    return runs
