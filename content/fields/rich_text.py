"""Formatted text, kept and delivered as sanitized HTML."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django_prose_editor.widgets import AdminProseEditorWidget

from accounts.canonical import Json
from content.fields.base import (
    Context,
    FieldError,
    FieldSpec,
    FieldType,
    FormContext,
    Options,
    Schema,
    option,
    register,
)
from content.fields.forms import LinesField, common
from content.fields.options import Whole
from content.fields.strings import text_in, unix_lines
from content.sanitizing import MAX_BYTES, MarkupError, plain_text, rich_text_of, sanitize

# What the editor offers is what `content.sanitizing.RICH_TEXT` keeps; each must be named, or the editor doesn't start.
EXTENSIONS: dict[str, Any] = {
    **dict.fromkeys(("Bold", "Italic", "Underline", "Strike", "Subscript", "Superscript", "Code"), True),
    "Heading": {"levels": [2, 3, 4]},
    **dict.fromkeys(
        ("BulletList", "OrderedList", "ListItem", "Blockquote", "HorizontalRule", "HardBreak"), True
    ),
    "CodeBlock": True,
    "Link": {"enableTarget": False, "protocols": ["http", "https", "mailto", "tel"]},
    **dict.fromkeys(("Table", "TableRow", "TableHeader", "TableCell", "HTML", "History"), True),
}


@dataclass(frozen=True, slots=True)
class RichTextOptions(Options):
    max_length: int | None = option(Whole(1, MAX_BYTES))  # of the words, without markup


@register
class RichTextField(FieldType[RichTextOptions]):
    key = "rich_text"
    label = "Rich text"
    description = "Text with headings, links, lists and tables."
    icon = "align-left"
    options_class = RichTextOptions

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        if value is None:
            return None
        try:
            markup = sanitize(unix_lines(text_in(value, lines=True)))
        except MarkupError as error:
            raise FieldError.at((), error.code, error.detail) from error
        words = plain_text(markup)
        limit = self.options(field).max_length
        if limit is not None and len(words) > limit:
            raise FieldError.at((), "too-long", f"At most {limit:,} characters (it has {len(words):,}).")
        return markup if words or "<hr>" in markup else None

    def resolve(self, value: Json, field: FieldSpec, ctx: Schema) -> Json:
        # What was stored by an older release, or by somebody with access to the database, is made safe here too.
        try:
            return sanitize(value) if isinstance(value, str) else None
        except MarkupError:
            return None

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return plain_text(value) if isinstance(value, str) else ""

    def diff_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return plain_text(value) if isinstance(value, str) else ""

    def from_text(self, text: str) -> object:
        return rich_text_of(text)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return {"type": "string", "contentMediaType": "text/html"}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        widget = AdminProseEditorWidget(config={"extensions": EXTENSIONS}, preset="configurable")
        return LinesField(widget=widget, **common(field))
