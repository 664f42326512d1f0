"""The addresses of a site as rows of plain inputs; a script offers the fields of a collection, and examples."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from accounts.access import Principal
from accounts.errors import Problem
from content import schema
from content.schema import CollectionSpec
from previews.addresses import SYSTEM_NAMES, AddressError, usable_fields
from previews.admin.samples import Sample, example, samples, shown_values
from previews.models import PreviewSite
from previews.sites import MOST_URLS, shown_urls

EVERY_OTHER: Final = "*"  # as the API writes it
SPARE: Final = 3  # empty rows, for who has no script
_NAME: Final = re.compile(r"(\d{1,4})-(collection|locale|url)")
_LONGEST: Final = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """One address as it is typed."""

    collection: str = ""
    locale: str = ""
    url: str = ""

    @property
    def is_blank(self) -> bool:
        return not self.collection and not self.url


class HandoffInput(forms.Widget):
    """Rows of inputs. `offer` must have been called, and `problems` says what is wrong with the row of a number."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.collections: list[CollectionSpec] = []
        self.locales: list[tuple[str, str]] = []
        self.samples: Mapping[str, Sample] = {}
        self.origins: list[str] = []
        self.problems: dict[int, list[str]] = {}

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> list[Row]:  # noqa: ARG002 (Django's)
        """Return the rows that hold anything, in the order of their numbers, as they were typed."""
        found: dict[int, dict[str, str]] = {}
        for key in data:
            match = _NAME.fullmatch(key.removeprefix(f"{name}-")) if key.startswith(f"{name}-") else None
            if match:
                found.setdefault(int(match[1]), {})[match[2]] = str(data[key]).strip()[:_LONGEST]
        rows = [Row(**parts) for _, parts in sorted(found.items())]
        return [row for row in rows if not row.is_blank][: MOST_URLS + 1]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:  # noqa: ARG002 (Django's signature)
        return False

    def id_for_label(self, id_: str) -> str:  # noqa: ARG002 (Django's signature)
        """Return nothing: the label is of a group, not of one input."""
        return ""

    def render(
        self,
        name: str,
        value: Any,
        attrs: dict[str, Any] | None = None,
        renderer: Any = None,  # noqa: ARG002 (Django's signature; ours is a template of the house)
    ) -> SafeString:
        rows = value if isinstance(value, list) else []
        spare = [Row()] * max(1, min(SPARE, MOST_URLS - len(rows)))
        context = {
            "name": name,
            "id": (attrs or {}).get("id", name),
            "rows": [self._drawn(number, row) for number, row in enumerate([*rows, *spare])],
            "empty": self._drawn(None, Row()),
            "many_locales": len(self.locales) > 1 or any(row.locale for row in rows),
            "collections": [(item, usable_fields(item)) for item in self.collections],
            "system": sorted(SYSTEM_NAMES),
            "known": {
                item.key: {
                    "fields": [[spec.key, spec.name] for spec in usable_fields(item)],
                    "sample": shown_values(item, self.samples.get(item.key)),
                }
                for item in self.collections
            },
        }
        return render_to_string("admin/previews/handoff_input.html", context)

    def _drawn(self, number: int | None, row: Row) -> dict[str, Any]:
        collections = [(item.key, item.name) for item in self.collections]
        if row.collection and row.collection not in {key for key, _ in collections}:
            collections.append((row.collection, f"{row.collection} (not there)"))
        locales = self.locales
        if row.locale and row.locale not in {code for code, _ in locales}:
            locales = [*locales, (row.locale, f"{row.locale} (not there)")]
        problems = self.problems.get(number, []) if number is not None else []
        return {
            "number": "__number__" if number is None else number,
            "shown": "" if number is None else number + 1,
            "row": row,
            "is_spare": number is None or row.is_blank,
            "collections": collections,
            "locales": locales,
            "problems": problems,
            "example": "" if problems else self._example(row),
        }

    def _example(self, row: Row) -> str:
        found = next((item for item in self.collections if item.key == row.collection), None)
        if found is None or not row.url:
            return ""
        try:
            return example(row.url, found, self.samples.get(found.key), self.origins)
        except AddressError:
            return ""


class HandoffField(forms.Field):
    """A list of rows."""

    widget = HandoffInput

    def offer(self, by: Principal, site: PreviewSite | None) -> None:
        """Offer every collection that has entries, every language, and drafts that may be read as examples."""
        present = schema.current()
        widget = self.widget
        widget.collections = [item for item in present.collections if item.has_entries]
        widget.locales = [(locale.code, locale.name) for locale in present.locales]
        widget.samples = samples(by)
        widget.problems = {}  # Django's copy of a widget shares what is mutable
        widget.origins = list(site.origins) if site is not None else []


def rows_of(site: PreviewSite) -> list[Row]:
    """Return the addresses of a site as rows."""
    return [
        Row(key, "" if locale == EVERY_OTHER else locale, url)
        for key, urls in shown_urls(site).items()
        for locale, url in ({EVERY_OTHER: urls} if isinstance(urls, str) else urls).items()
    ]


def urls_of(rows: list[Row]) -> tuple[dict[str, dict[str, str]], list[tuple[int, str]]]:
    """Return the addresses by collection and language as the verb takes them, and what is wrong with which row."""
    urls: dict[str, dict[str, str]] = {}
    problems = []
    for number, row in enumerate(rows):
        locale = row.locale or EVERY_OTHER
        if not row.collection:
            problems.append((number, "Choose the collection whose entries are shown there."))
        elif not row.url:
            problems.append((number, "Write the address, or take the row away."))
        elif locale in urls.get(row.collection, {}):
            problems.append((number, "There is an address for this collection and language already."))
        else:
            urls.setdefault(row.collection, {})[locale] = row.url
    return urls, problems


def row_of(problem: Problem, rows: list[Row]) -> int | None:
    """Return the number of the row that a problem of the verb is about."""
    place = (problem.pointer or "").strip("/").split("/")
    for number, row in enumerate(rows):
        if place[0] == "handoff_urls" and place[1:] in (
            [_escaped(row.collection)],
            [_escaped(row.collection), _escaped(row.locale or EVERY_OTHER)],
        ):
            return number
    return None


def _escaped(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")
