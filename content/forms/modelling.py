"""What a form may be made of: fields that hold plain values, in components too, and nothing that leads elsewhere."""

from collections.abc import Iterable, Iterator
from typing import Final
from uuid import UUID

from accounts.access import DataClass
from content.fields.base import FieldSpec, Schema

# No reference: a stranger could try out which entries there are. No markup: somebody would show it. No `json`: its
# shape would be the stranger's. Files come with the media library.
TYPES: Final = frozenset(
    {
        "text", "long_text", "integer", "decimal", "boolean", "date", "datetime", "email", "url", "choice", "choices",
        "tags", "color", "geo_point", "component", "components",
    }
)  # fmt: skip
NEVER: Final = (
    "localized",
    "unique",
    "filterable",
)  # of a form's field: submissions are encrypted as a whole


def at_least_personal(data_class: str) -> str:
    """Return the class of a form's field: whatever visitors send is personal, so a policy's `"*"` never covers it."""
    return DataClass.SECRET.value if data_class == DataClass.SECRET else DataClass.PERSONAL.value


def unfit(specs: Iterable[FieldSpec], ctx: Schema) -> Iterator[FieldSpec]:
    """Yield what can't be in a form, of these fields and of the components below them."""
    seen: set[UUID] = set()
    stack = list(specs)
    while stack:
        spec = stack.pop()
        if spec.id in seen:
            continue
        seen.add(spec.id)
        if spec.type not in TYPES:
            yield spec
            continue
        for component_id in getattr(spec.options, "components", ()) or ():
            component = ctx.component(str(component_id))
            stack.extend(component.fields if component else ())
