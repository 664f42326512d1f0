"""What of an entry goes into a bundle: its fields in the form that the API gives and takes, step by step."""

from collections.abc import Iterable, Iterator
from typing import Final

from accounts.access import DataClass
from content import documents
from content.bundles.form import Line
from content.documents import VersionData
from content.fields.base import FieldSpec
from content.manage.old_versions import shape_values
from content.models import DraftDocument, Entry
from content.schema import CollectionSpec
from content.sealing import with_keys
from content.writing import Writing

EVERYWHERE: Final = "*"  # the locale of what is not localized: each house has a default of its own


def is_sensitive(spec: FieldSpec) -> bool:
    """Tell whether a field stays at home unless it is asked for."""
    return spec.data_class in (DataClass.PERSONAL, DataClass.SECRET)


def chosen(collection: CollectionSpec, *, with_sensitive: bool) -> list[FieldSpec]:
    """Return the fields that go into a bundle."""
    return [spec for spec in collection.fields if with_sensitive or not is_sensitive(spec)]


def lines_of(entry: Entry, writing: Writing, specs: Iterable[FieldSpec]) -> Iterator[Line]:
    """Yield an entry's lines: each version that is public in some locale, then the newest one.

    `writing` is of who may see everything that the entry refers to.
    """
    listed = list(specs)
    live = dict(
        DraftDocument.objects.filter(entry=entry, published_number__isnull=False).values_list(
            "locale", "published_number"
        )
    )
    numbers = sorted({*(number or 0 for number in live.values()), entry.latest_number})
    data = {row.number: row.data for row in with_keys(entry.versions.filter(number__in=numbers))}
    for step, number in enumerate(numbers):
        placed = documents.placed(writing.collection, data[number], writing.schema)
        public = {locale for locale, shown in live.items() if shown == number}
        for locale in documents.locales_of(placed):
            if number != entry.latest_number and locale not in public:
                continue
            yield _line(entry, writing, listed, placed, step=step, locale=locale, public=locale in public)


def newest_of(entry: Entry, writing: Writing, specs: Iterable[FieldSpec]) -> dict[str, Line]:
    """Return the lines of the newest version, by locale."""
    listed = list(specs)
    data = entry.versions.get(number=entry.latest_number).data
    placed = documents.placed(writing.collection, data, writing.schema)
    lines = (
        _line(entry, writing, listed, placed, step=0, locale=locale, public=False)
        for locale in documents.locales_of(placed)
    )
    return {line.locale: line for line in lines}


def _line(
    entry: Entry,
    writing: Writing,
    specs: list[FieldSpec],
    data: VersionData,
    *,
    step: int,
    locale: str,
    public: bool,
) -> Line:
    values = shape_values(writing, data, locale, specs)
    # A slug that is missing is made again of its source.
    fields = {
        spec.key: values[spec.key] for spec in specs if spec.type != "slug" or values[spec.key] is not None
    }
    shown = locale if writing.collection.localized else EVERYWHERE
    return Line(entry.pk, writing.collection.key, step, shown, public, fields)
