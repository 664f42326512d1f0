"""The difference between two versions, field by field; words for text."""

import difflib
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from accounts.canonical import Json, canonical_bytes
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

    A personal or secret field has `"changed": true` instead of words. `change` is added, removed or changed; `op` is
    `=`, `-` or `+`.
    """
    old, new = documents.in_locale(before, locale), documents.in_locale(after, locale)
    found: list[dict[str, Json]] = []
    for spec in specs:
        one, other = old.get(str(spec.id)), new.get(str(spec.id))
        if one == other:
            continue
        change = "added" if one is None else "removed" if other is None else "changed"
        if spec.is_sensitive:  # what changed is said, never from what to what
            found.append({"field": spec.key, "label": spec.name, "change": change, "changed": True})
            continue
        words = compare(text_of(one, spec, ctx), text_of(other, spec, ctx))
        shown: list[Json] = [[op, text] for op, text in words]
        found.append({"field": spec.key, "label": spec.name, "change": change, "words": shown})
    return found


@dataclass(frozen=True)
class Part:
    """How one part of a list of blocks fares between two versions; places count from 1, None where it is not there."""

    component: str
    change: (
        str  # same, changed, moved, added or removed; a part may have moved and changed: then it is "changed"
    )
    before: int | None
    after: int | None
    words: list[tuple[str, str]]

    @property
    def is_moved(self) -> bool:
        return self.before is not None and self.after is not None and self.change == "moved"


def parts(one: Json, other: Json, spec: FieldSpec, ctx: Context) -> list[Part]:
    """Return what became of each part of a list of blocks, in the order of the newer one, removed parts at the end.

    Parts have no names of their own: equal ones are the same, then those of one component, in order.
    """
    old, new = (list(value) if isinstance(value, list) else [] for value in (one, other))
    pairs: dict[int, int] = {}  # place in the newer → place in the older
    for same in (_whole, _component):
        waiting: dict[str, list[int]] = {}
        for index, part in enumerate(old):
            if index not in pairs.values():
                waiting.setdefault(same(part), []).append(index)
        for index, part in enumerate(new):
            if index not in pairs and waiting.get(same(part)):
                pairs[index] = waiting[same(part)].pop(0)
    stayed = _longest_rising([pairs[index] for index in sorted(pairs)])
    found = []
    for index, part in enumerate(new):
        place = pairs.get(index)
        if place is None:
            change = "added"
        elif _whole(old[place]) != _whole(part):
            change = "changed"
        else:
            change = "same" if place in stayed else "moved"
        words = compare(
            _part_text(old[place] if place is not None else None, spec, ctx), _part_text(part, spec, ctx)
        )
        found.append(Part(_name(part, ctx), change, None if place is None else place + 1, index + 1, words))
    gone = [index for index in range(len(old)) if index not in pairs.values()]
    return found + [
        Part(
            _name(old[index], ctx), "removed", index + 1, None, compare(_part_text(old[index], spec, ctx), "")
        )
        for index in gone
    ]


def _whole(part: Json) -> str:
    return canonical_bytes(part).decode()


def _component(part: Json) -> str:
    return str(part.get("_component")) if isinstance(part, dict) else ""


def _name(part: Json, ctx: Context) -> str:
    component = ctx.component(_component(part))
    return component.name if component is not None else "A component that is gone"


def _part_text(part: Json, spec: FieldSpec, ctx: Context) -> str:
    text = text_of([part], spec, ctx) if part is not None else ""
    return "\n".join(line.removeprefix("  ") for line in text.split("\n")[1:])


def _longest_rising(places: list[int]) -> set[int]:
    """Return the places of a longest run that kept its order: the others have moved (patience sorting)."""
    tops: list[int] = []
    before: dict[int, int | None] = {}
    for place in places:
        at = bisect_left(tops, place)
        before[place] = tops[at - 1] if at else None
        tops[at : at + 1] = [place]
    found: set[int] = set()
    place_or_none = tops[-1] if tops else None
    while place_or_none is not None:
        found.add(place_or_none)
        place_or_none = before[place_or_none]
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
