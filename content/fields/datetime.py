"""A moment: date and time, kept in UTC."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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
from content.fields.forms import common, range_in_words
from content.fields.options import Checked

_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?:\.([0-9]{1,9}))?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)

_OFFSET = re.compile(r"[+-][0-9]{2}:[0-9]{2}|[Zz]")
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,40}(?:/[A-Za-z0-9_+-]{1,40}){0,2}")


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


def in_zone(text: str, zone: str) -> str:
    """Return `<day>T<time>` of a place's clocks as RFC 3339; raise FieldError where that is no moment, or two.

    `zone` is a name of the IANA database or an offset. What is no time at all is left for `moment_in` to refuse.
    """
    if _OFFSET.fullmatch(zone) or not _MOMENT.fullmatch(f"{text}Z"):
        return f"{text}{zone}"
    try:
        place = ZoneInfo(zone) if _ZONE.fullmatch(zone) else None
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: `Europe` is a directory
        place = None
    if place is None:
        raise FieldError.at(
            (), "unknown-zone", "There is no such time zone. One is Europe/Berlin, another UTC."
        )
    try:
        local = datetime.fromisoformat(text)
        first, second = (local.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
        exists = first.astimezone(place).replace(tzinfo=None) == local
    except (ValueError, OverflowError) as error:
        raise FieldError.at((), "invalid-date", "There is no such time.") from error
    if not exists:
        raise FieldError.at(
            (), "invalid-date", f"There is no such time in {zone}: the clocks are put forward over it."
        )
    if first != second:
        raise FieldError.at(
            (),
            "ambiguous-time",
            f"This time comes twice in {zone}, as the clocks are put back. Give the time zone as an offset "
            f"such as {_offset(first, local)} (the first time) or {_offset(second, local)}.",
        )
    return first.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _offset(moment: datetime, local: datetime) -> str:
    """Return how far the clocks that show `local` at a moment are ahead of UTC, as `+02:00`."""
    minutes = round((local - moment.replace(tzinfo=None)).total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


@dataclass(frozen=True, slots=True)
class DateTimeOptions(Options):
    min: str | None = option(Checked(moment_in), label="Earliest", help="2027-01-31T09:00:00Z, in UTC.")
    max: str | None = option(Checked(moment_in), label="Latest", help="2027-01-31T09:00:00Z, in UTC.")


@register
class DateTimeField(FieldType[DateTimeOptions]):
    key = "datetime"
    label = "Date and time"
    description = "A moment, kept in UTC."
    icon = "clock"
    family = "Numbers and time"
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
        options = self.options(field)
        low, high = (None if item is None else shown(item) for item in (options.min, options.max))
        return MomentFormField(**common(field, range_in_words(low, high)))

    def to_form(self, value: Json, field: FieldSpec, ctx: Schema) -> Any:
        return shown(value) if isinstance(value, str) else None

    def from_form(self, value: Any, field: FieldSpec, ctx: Schema) -> object:
        day, gap, zone = (value or "").partition(" ")
        return in_zone(day, zone) if gap else value or None


class MomentWidget(forms.MultiWidget):
    """A day, a time and a time zone; the time is text, so that fractions of a second survive.

    What is stored is shown in UTC. Script puts inputs in the person's own zone in front of these.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "day": forms.DateInput(attrs={"type": "date", "class": "vDateField", "aria-label": "Date"}),
                "time": forms.TextInput(
                    attrs={"class": "vTimeField", "placeholder": "14:30", "aria-label": "Time"}
                ),
                "zone": forms.TextInput(
                    attrs={
                        "class": "vTimeField",
                        "placeholder": "Europe/Berlin",
                        "data-moment": "true",
                        "aria-label": "Time zone, such as UTC, Europe/Berlin or +01:00",
                    }
                ),
            }
        )

    def decompress(self, value: Any) -> list[str]:
        day, _, time = str(value or "").removesuffix("Z").partition("T")
        return [day, time.removesuffix(":00") if time.count(":") == 2 else time, "UTC"]


class MomentFormField(forms.MultiValueField):
    """Joins the inputs into RFC 3339 text in UTC, or `<day>T<time> <zone>`; the field type reads them."""

    def __init__(self, **arguments: Any) -> None:
        parts = tuple(forms.CharField(required=False) for _ in range(3))
        super().__init__(parts, widget=MomentWidget(), require_all_fields=False, **arguments)

    def compress(self, data_list: list[str]) -> str:
        day, time, zone = ([str(item or "").strip() for item in data_list] + ["", "", ""])[:3]
        if not day and not time:
            return ""
        whole = f"{day}T{time or '00:00'}"
        return f"{whole} {zone}" if zone not in ("", "UTC", "Z") else f"{whole}Z"

    def has_changed(self, initial: Any, data: Any) -> bool:
        return self.compress(self.widget.decompress(initial)) != self.compress(list(data or []))
