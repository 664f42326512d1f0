"""Every column that the key ring encrypts: what `keys retire ring:…` moves from one key to another.

A room registers its own in its app's `ready`. A test finds encrypted values in columns that are not here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.db import models, transaction
from django.db.models import Count, F, Func, Value
from django.db.models.functions import Substr

from accounts.keyring import KeyRingError, key_ring

PREFIX: Final = "v1."
_HEAD: Final = len(PREFIX) + 33  # characters that hold the longest key id and the point behind it
_BATCH: Final = 25  # rows under lock at once: a body may have a megabyte

Context = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, by the model."""

    label: str  # app.Model
    column: str

    @property
    def rows(self) -> "models.QuerySet[Any]":
        rows: models.QuerySet[Any] = apps.get_model(self.label)._default_manager.all()  # noqa: SLF001 (Django's name)
        return rows

    @property
    def name(self) -> str:
        """Return table.column, as people and counts name it."""
        return f"{apps.get_model(self.label)._meta.db_table}.{self.column}"  # noqa: SLF001 (the same)


@dataclass(frozen=True, slots=True)
class EncryptedColumn(Column):
    """Text that `KeyRing.encrypt` returned, or "". `context_of` a row is what binds the value."""

    context_of: Context


@dataclass(frozen=True, slots=True)
class SignedColumn(Column):
    """A column that says which key a MAC was made with: it can't be made anew, so its key only ever verifies."""

    is_mac: bool = False  # the column is the MAC itself, `key id:hex`; else it is the id alone
    is_many: bool = False  # of an array of such


@dataclass(slots=True)
class Moved:
    """What one run did: values that are under the active key now, and those that nobody can open."""

    moved: int = 0
    unreadable: int = 0


_encrypted: dict[tuple[str, str], EncryptedColumn] = {}
SIGNED: Final = (
    SignedColumn("accounts.Seal", "key_id"),
    SignedColumn("accounts.Event", "tag", is_mac=True),
    SignedColumn("accounts.Archive", "key_id"),
    SignedColumn("accounts.Epoch", "key_id"),
    SignedColumn("accounts.LogCheck", "key_id"),
    SignedColumn("accounts.RecoveryCodes", "macs", is_mac=True, is_many=True),
)


def register(label: str, column: str, context_of: Context) -> None:
    """Add a column. Twice is once."""
    _encrypted[label, column] = EncryptedColumn(label, column, context_of)


def columns() -> Sequence[EncryptedColumn]:
    """Return every column, in one order."""
    return [_encrypted[key] for key in sorted(_encrypted)]


def counts() -> dict[str, dict[str, int]]:
    """Return how many values each key encrypts: key id → {table.column: number}. One statement a column."""
    found: dict[str, dict[str, int]] = {}
    for column in columns():
        head = Substr(F(column.column), 1, _HEAD)  # of a large value only its beginning is read
        by_key = (
            column.rows.annotate(_value=F(column.column))
            .exclude(_value="")
            .annotate(_key=_part(head, ".", 2))
            .values("_key")
            .order_by()
            .annotate(_number=Count("pk"))
        )
        for key_id, number in by_key.values_list("_key", "_number"):
            found.setdefault(key_id, {})[column.name] = number
    return found


def signed_counts() -> dict[str, dict[str, int]]:
    """Return how many MACs of each key are kept: they can't be made anew, and need it to be verified."""
    found: dict[str, dict[str, int]] = {}
    for column in SIGNED:
        value: Any = F(column.column)
        if column.is_many:
            value = Func(value, function="unnest", output_field=models.TextField())
        rows = column.rows.annotate(_value=value)
        rows = rows.annotate(_key=_part(F("_value"), ":", 1) if column.is_mac else F("_value"))
        by_key = rows.values("_key").order_by().annotate(_number=Count("*"))
        for key_id, number in by_key.values_list("_key", "_number"):
            if key_id:
                found.setdefault(key_id, {})[column.name] = number
    return found


def move(key_id: str, *, goes_on: Callable[[], bool], progress: Callable[[int], None] | None = None) -> Moved:
    """Encrypt with the active key what `key_id` encrypts, in small transactions, until `goes_on` says no.

    Killed anywhere it has lost nothing and goes on where it was: a value says itself under which key it is. Rows that
    somebody else holds are left for the next run.
    """
    done = Moved()
    for column in columns():
        last: Any = None
        while True:
            if not goes_on():
                return done
            batch = _next_batch(column, key_id, last)
            if batch is None:
                break
            last, moved, unreadable = batch
            done.moved += moved
            done.unreadable += unreadable
            if progress is not None:
                progress(moved)
    return done


@transaction.atomic
def _next_batch(column: EncryptedColumn, key_id: str, after: Any) -> tuple[Any, int, int] | None:
    """Move some rows behind a key; return the last one, how many were moved and how many nobody can open."""
    moved = unreadable = 0
    last = after
    for row in _locked(column, key_id, after):
        last = row.pk
        context = column.context_of(row)
        try:
            opened = key_ring().decrypt(getattr(row, column.column), context=context)
        except KeyRingError:
            unreadable += 1
            continue
        setattr(row, column.column, key_ring().encrypt(opened, context=context))
        row.save(update_fields=[column.column])
        moved += 1
    return None if last == after else (last, moved, unreadable)


def _locked(column: EncryptedColumn, key_id: str, after: Any) -> Iterator[Any]:
    prefix = f"{PREFIX}{key_id}."
    rows = column.rows.annotate(_head=Substr(F(column.column), 1, len(prefix)))
    rows = rows.filter(_head=prefix).order_by("pk")
    if after is not None:
        rows = rows.filter(pk__gt=after)
    yield from rows.select_for_update(skip_locked=True, of=("self",))[:_BATCH]


def _part(value: Any, separator: str, number: int) -> Func:
    return Func(
        value, Value(separator), Value(number), function="split_part", output_field=models.TextField()
    )
