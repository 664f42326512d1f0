"""Formatted text, kept and delivered as sanitized HTML."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.templatetags.static import static
from django_prose_editor.widgets import AdminProseEditorWidget, importmap
from js_asset import Media

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
from content.fields.options import Named, Whole
from content.fields.strings import as_read, text_in, unix_lines
from content.sanitizing import MAX_BYTES, MarkupError, plain_text, rich_text_of, sanitize

# What the editor offers is what `content.sanitizing.RICH_TEXT` keeps; each must be named, or the editor doesn't start.
EXTENSIONS: dict[str, Any] = {
    **dict.fromkeys(("Bold", "Italic", "Underline", "Strike", "Subscript", "Superscript", "Code"), True),
    "Heading": {"levels": [2, 3, 4]},
    **dict.fromkeys(
        ("BulletList", "OrderedList", "ListItem", "Blockquote", "HorizontalRule", "HardBreak"), True
    ),
    "CodeBlock": True,
    "Link": {"enableTarget": False, "protocols": ["http", "https", "mailto", "tel", "quillkeep"]},
    **dict.fromkeys(("Table", "TableRow", "TableHeader", "TableCell", "HTML", "History"), True),
}
PRESET = "configurable"
OUR_EXTENSIONS = "content/admin/js/rich-extensions.js"  # CleanPaste and EntryLink

# As the sanitizer writes them: links don't nest, and attributes stand in double quotation marks.
_ENTRY_LINK = re.compile(r'<a((?: [a-z]+="[^"]*")*)>(.*?)</a>', re.DOTALL)
_ENTRY_HREF = re.compile(r' href="quillkeep:entry/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})[^"]*"')


class RichTextWidget(AdminProseEditorWidget):  # type: ignore[misc]  # the library has no types
    """The editor with what we add to it: pasted text is tidied, and entries of some collections can be linked to."""

    def __init__(self, collections: list[str]) -> None:
        self.collections = collections
        super().__init__(config={"extensions": EXTENSIONS}, preset=PRESET)

    @property
    def media(self) -> forms.Media:
        """Return the styles, and by which names scripts know the editor: `rich.js` loads it when it is needed."""
        names = ("material-icons", "editor", "overrides")
        media: forms.Media = Media(
            importmap=importmap, css={"all": [f"django_prose_editor/{name}.css" for name in names]}
        )
        return media

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Give the settings a name of ours: under its own the library would start every editor at once."""
        context: dict[str, Any] = super().get_context(name, value, attrs)
        given = context["widget"]["attrs"]
        given["data-rich"] = given.pop(f"data-django-prose-editor-{PRESET}")
        return context

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().get_config()
        config["js_modules"] = [*(config.get("js_modules") or ()), static(OUR_EXTENSIONS)]
        config["extensions"] = {**config["extensions"], "CleanPaste": True}
        if self.collections:
            config["extensions"]["EntryLink"] = {"collections": self.collections}
        return config


@dataclass(frozen=True, slots=True)
class RichTextOptions(Options):
    max_length: int | None = option(
        Whole(1, MAX_BYTES), label="At most", help="Characters of its words, without markup."
    )
    collections: tuple[UUID, ...] = option(
        Named(components=False), (), label="Links to", help="Whose entries can be linked to."
    )


@register
class RichTextField(FieldType[RichTextOptions]):
    key = "rich_text"
    label = "Rich text"
    description = "Text with headings, links, lists and tables."
    icon = "align-left"
    family = "Words"
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
        if limit is not None:
            as_read(words, 0, limit, room=MAX_BYTES)
        return markup if words or "<hr>" in markup else None

    def resolve(self, value: Json, field: FieldSpec, ctx: Schema) -> Json:
        # What was stored by an older release, or by somebody with access to the database, is made safe here too.
        try:
            return sanitize(value) if isinstance(value, str) else None
        except MarkupError:
            return None

    def named_collections(self, options: RichTextOptions) -> frozenset[UUID]:
        return frozenset(options.collections)

    def references(self, value: Json, field: FieldSpec, ctx: Schema) -> Iterator[UUID]:
        if isinstance(value, str) and "quillkeep:entry/" in value:
            yield from dict.fromkeys(UUID(found) for found in _ENTRY_HREF.findall(value))

    def shape(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        """Return the HTML; a link to an entry that the reader can't see is only its words."""
        if not isinstance(value, str) or "quillkeep:entry/" not in value:
            return value

        def shown(link: re.Match[str]) -> str:
            href = _ENTRY_HREF.search(link[1])
            if href is None:
                return link[0]
            target = ctx.reference(UUID(href[1]))
            key = target.get("_collection") if isinstance(target, dict) else None
            return f'<a{link[1]} data-collection="{key}">{link[2]}</a>' if key else link[2]

        return _ENTRY_LINK.sub(shown, value)

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return plain_text(value) if isinstance(value, str) else ""

    def diff_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return plain_text(value) if isinstance(value, str) else ""

    def from_text(self, text: str) -> object:
        return rich_text_of(text)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return {"type": "string", "contentMediaType": "text/html"}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        keys = (ctx.collection_key(item) for item in self.options(field).collections)
        widget = RichTextWidget([key for key in keys if key])
        widget.attrs |= {"dir": "auto", **length_limits(0, self.options(field).max_length)}
        return LinesField(widget=widget, **common(field))
