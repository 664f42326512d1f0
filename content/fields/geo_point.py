"""A place on earth."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.templatetags.static import static

from accounts.canonical import Json
from accounts.errors import Problem
from content.fields.base import (
    Context,
    FieldError,
    FieldSpec,
    FieldType,
    FormContext,
    Options,
    Schema,
    register,
)
from content.fields.forms import common

WORLD = "content/admin/maps/world.svg"
PLACES = 7  # a centimetre


@dataclass(frozen=True, slots=True)
class GeoPointOptions(Options):
    """There are none."""


@register
class GeoPointField(FieldType[GeoPointOptions]):
    """Canonical is `{"lat": float, "lng": float}` in degrees (WGS 84), rounded to a centimetre."""

    key = "geo_point"
    label = "Place"
    description = "Latitude and longitude in degrees."
    icon = "map-pin"
    family = "Other"
    options_class = GeoPointOptions

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        if value is None or value == "":
            return None
        if not isinstance(value, Mapping) or set(value) != {"lat", "lng"}:
            raise FieldError.at((), "invalid-type", 'A place is {"lat", "lng"}.')
        problems: list[Problem] = []
        point: dict[str, Json] = {}
        for name, limit in (("lat", 90), ("lng", 180)):
            number = value[name]
            if isinstance(number, bool) or not isinstance(number, (int, float)):
                problems.append(Problem.at((name,), "invalid-type", "A number is expected."))
            elif not -limit <= number <= limit or not math.isfinite(number):
                problems.append(Problem.at((name,), "out-of-range", f"From {-limit} to {limit}."))
            else:
                point[name] = round(float(number), PLACES) + 0.0  # + 0.0 makes -0.0 plain zero
        if problems:
            raise FieldError(problems)
        return point

    def as_text(self, value: Json) -> str:
        return f"{value['lat']}, {value['lng']}" if isinstance(value, dict) else ""

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                "lat": {"type": "number", "minimum": -90, "maximum": 90},
                "lng": {"type": "number", "minimum": -180, "maximum": 180},
            },
            "required": ["lat", "lng"],
        }

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        return PointFormField(**common(field))

    def to_form(self, value: Json, field: FieldSpec, ctx: Schema) -> Any:
        return [value["lat"], value["lng"]] if isinstance(value, dict) else None

    def from_form(self, value: Any, field: FieldSpec, ctx: Schema) -> object:
        if not value or value == ["", ""]:
            return None
        point: dict[str, object] = {}
        for name, text in zip(("lat", "lng"), value, strict=True):
            try:
                point[name] = float(text)
            except ValueError as error:
                raise FieldError.at((name,), "invalid-type", "A number is expected.") from error
        return point


class PointWidget(forms.MultiWidget):
    """Two texts: a number input would drop what it can't read."""

    def __init__(self) -> None:
        super().__init__(
            {
                "lat": forms.TextInput(
                    attrs={
                        "inputmode": "text",
                        "placeholder": "Latitude",
                        "aria-label": "Latitude",
                        "data-map": static(WORLD),
                    }
                ),
                "lng": forms.TextInput(
                    attrs={"inputmode": "text", "placeholder": "Longitude", "aria-label": "Longitude"}
                ),
            }
        )

    def decompress(self, value: Any) -> list[Any]:
        return list(value) if value else [None, None]


class PointFormField(forms.MultiValueField):
    """Gives the two texts as a list; the field type reads them."""

    def __init__(self, **arguments: Any) -> None:
        parts = (
            forms.CharField(required=False, max_length=40),
            forms.CharField(required=False, max_length=40),
        )
        super().__init__(parts, widget=PointWidget(), require_all_fields=False, **arguments)

    def compress(self, data_list: list[str]) -> list[str]:
        return list(data_list)
