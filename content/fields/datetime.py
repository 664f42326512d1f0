"""A moment: date and time, kept in UTC."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django import forms

from accounts.canonical import Json
from accounts.errors import Problem
from content.fields.base import (
    Context,
    FieldError,
    FieldSpec,
    FieldType,
    FormContext,
    Kind,
    Options,
    ReadContext,
    Schema,
    option,
    register,
)
from content.fields.forms import common
from content.fields.options import Checked

_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?:\.([0-9]{1,9}))?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


def moment_in(value: object) -> str | None:
    """Return `YYYY-MM-DDTHH:MM:SS.ffffffZ`, of one width so that it sorts as text; None for nothing.

    Input is RFC 3339 with an offset; a time without one means different moments in different places, so it is
    refused. Raises FieldError.
    """
    if value is None or value == "":
        return None
    match = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if match is None or (match[4] and not match[3]):
        raise FieldError.at((), "invalid-type", "A time such as 2026-01-31T14:30:00Z is expected.")
    day, minute, second, fraction, offset = match.groups()
    if offset is None:
        raise FieldError.at(
            (), "no-offset", "Say which time zone: end with Z (UTC) or an offset such as +01:00."
        )
    text = (
        f"{day}T{minute}{second or ':00'}.{(fraction or '0')[:6]:0<6}{'+00:00' if offset in 'Zz' else offset}"
    )
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise FieldError.at((), "invalid-date", "There is no such time.") from error
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def shown(moment: str) -> str:
    """Return a canonical moment without needless zeros."""
    return moment.removesuffix("Z").rstrip("0").rstrip(".") + "Z" if "." in moment else moment


@dataclass(frozen=True, slots=True)
class DateTimeOptions(Options):
    min: str | None = option(Checked(moment_in))
    max: str | None = option(Checked(moment_in))


@register
class DateTimeField(FieldType[DateTimeOptions]):
    key = "datetime"
    label = "Date and time"
    description = "A moment, kept in UTC."
    icon = "clock"
    kind = Kind.TEXT
    sortable = True
    can_be_unique = True
    converts_to = frozenset({"text", "long_text", "date"})
    options_class = DateTimeOptions

    def option_problems(self, options: DateTimeOptions, ctx: Schema) -> Iterator[Problem]:
        if options.min is not None and options.max is not None and options.min > options.max:
            yield Problem.at(("min",), "out-of-range", "The minimum is after the maximum.")

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        moment = moment_in(value)
        options = self.options(field)
        if moment is not None and options.min is not None and moment < options.min:
            raise FieldError.at((), "too-early", f"Not before {shown(options.min)}.")
        if moment is not None and options.max is not None and moment > options.max:
            raise FieldError.at((), "too-late", f"Not after {shown(options.max)}.")
        return moment

    def shape(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        return shown(value) if isinstance(value, str) else None

    def shape_draft(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        return self.shape(value, field, ctx)

    def as_text(self, value: Json) -> str:
        return shown(value) if isinstance(value, str) else ""

    def filter_value(self, raw: str) -> str | Decimal:
        return moment_in(raw) or ""

    def convert(self, value: Json, to: FieldType[Any], field: FieldSpec, ctx: Context) -> Json:
        if to.key == "date" and isinstance(value, str):
            if not value.endswith("T00:00:00.000000Z"):
                raise FieldError.at((), "would-lose-data", "The time of day would be lost.")
            return to.clean(value[:10], field, ctx)
        return super().convert(value, to, field, ctx)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        arguments = common(field)
        arguments["help_text"] = f"{field.help} Time in UTC.".strip()
        return MomentFormField(**arguments)

    def to_form(self, value: Json, field: FieldSpec, ctx: Schema) -> Any:
        return shown(value) if isinstance(value, str) else None

    def from_form(self, value: Any, field: FieldSpec, ctx: Schema) -> object:
        return value or None


class MomentWidget(forms.MultiWidget):
    """A day and a time side by side; the time is text, so that fractions of a second survive."""

    def __init__(self) -> None:
        super().__init__(
            {
                "day": forms.DateInput(attrs={"type": "date", "class": "vDateField", "aria-label": "Date"}),
                "time": forms.TextInput(
                    attrs={"class": "vTimeField", "placeholder": "14:30", "aria-label": "Time, UTC"}
                ),
            }
        )

    def decompress(self, value: Any) -> list[str]:
        day, _, time = str(value or "").removesuffix("Z").partition("T")
        return [day, time.removesuffix(":00") if time.count(":") == 2 else time]


class MomentFormField(forms.MultiValueField):
    """Joins the two inputs into RFC 3339 text in UTC; the field type decides whether there is such a time."""

    def __init__(self, **arguments: Any) -> None:
        parts = (forms.CharField(required=False), forms.CharField(required=False))
        super().__init__(parts, widget=MomentWidget(), require_all_fields=False, **arguments)

    def compress(self, data_list: list[str]) -> str:
        day, time = ([*data_list, "", ""])[:2]
        if not day and not time:
            return ""
        return f"{day}T{time or '00:00'}Z"
