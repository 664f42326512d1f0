"""Markdown, kept as it was written, delivered as source and as sanitized HTML."""

from dataclasses import dataclass
from typing import Any

from django import forms

from accounts.canonical import Json
from content.fields.base import (
    Context,
    FieldError,
    FieldSpec,
    FieldType,
    FormContext,
    Options,
    ReadContext,
    Schema,
    option,
    register,
)
from content.fields.forms import LinesField, common, length_limits
from content.fields.options import Whole
from content.fields.strings import as_read, text_in
from content.markdown import MAX_BYTES
from content.recent_html import to_html
from content.sanitizing import MarkupError, plain_text


@dataclass(frozen=True, slots=True)
class MarkdownOptions(Options):
    max_length: int | None = option(Whole(1, MAX_BYTES), label="At most", help="Characters.")


@register
class MarkdownField(FieldType[MarkdownOptions]):
    """Canonical is the source, byte for byte; delivered is `{"source", "html"}`."""

    key = "markdown"
    label = "Markdown"
    description = "Text in Markdown (CommonMark with tables); MDX is kept too."
    icon = "file-text"
    family = "Words"
    converts_to = frozenset({"long_text"})
    options_class = MarkdownOptions

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        if value is None:
            return None
        if (
            isinstance(value, dict)
            and isinstance(value.get("source"), str)
            and set(value) <= {"source", "html"}
        ):
            value = value["source"]  # what delivery shows may be sent back
        source = text_in(value, lines=True)
        limit = self.options(field).max_length
        if limit is not None:
            as_read(source, 0, limit, room=MAX_BYTES)
        if not source.strip():
            return None
        try:
            to_html(source)
        except MarkupError as error:
            raise FieldError.at((), error.code, error.detail) from error
        return source

    def resolve(self, value: Json, field: FieldSpec, ctx: Schema) -> Json:
        try:
            return {"source": value, "html": to_html(value)} if isinstance(value, str) else None
        except MarkupError:
            return {"source": value, "html": ""}

    def shape_draft(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        return value

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return plain_text(str(value.get("html", ""))) if isinstance(value, dict) else ""

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                "source": {"type": "string", "contentMediaType": "text/markdown"},
                "html": {"type": "string", "contentMediaType": "text/html"},
            },
            "required": ["source", "html"],
        }

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        attrs: dict[str, Any] = {
            "class": "vLargeTextField",
            "rows": 16,
            "dir": "auto",
            "data-markdown": "true",
        }
        attrs["data-words"] = "true"
        attrs |= length_limits(0, self.options(field).max_length)
        return LinesField(widget=forms.Textarea(attrs=attrs), **common(field))
