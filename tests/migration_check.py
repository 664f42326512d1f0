"""Finds migrations that the release before could not live with: while an upgrade rolls out, both are at work.

`make check` runs it. A migration only adds (expand). One that takes away what no running release uses any more
(contract) says since when, in a comment: `# contract: safe since 0.3: nothing reads it` (docs/operations/upgrade.md).
"""

import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import django
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from tests.database import ROOMS, ROOT

# The last ones before the first release: nobody runs anything older.
BEFORE_THE_FIRST: Final[Mapping[str, str]] = {
    "accounts": "0014",
    "content": "0006",
    "previews": "0001",
    "webhooks": "0001",
}
NOTE: Final = re.compile(r"^\s*# contract: safe since \d+\.\d+\S*: \S", re.MULTILINE)
DROPPING: Final = re.compile(
    r"\b(DROP\s+(TABLE|COLUMN|VIEW)|RENAME\s+(TO|COLUMN)|SET\s+NOT\s+NULL|ALTER\s+COLUMN\s+\S+\s+(SET\s+DATA\s+)?TYPE)\b",
    re.IGNORECASE,
)


def findings(migration: Migration, state: ProjectState) -> Iterator[str]:
    """Return what is wrong with each operation of a migration, given the state before it. Moves the state on."""
    label = migration.app_label
    made: set[str] = set()  # tables that the release before does not know
    for operation in _flat(migration.operations):
        if isinstance(operation, migrations.CreateModel):
            made.add(operation.name_lower)
        elif problem := _problem(operation, made, state, label):
            yield f"{operation.describe()}: {problem}"
        operation.state_forwards(label, state)


def _problem(operation: Operation, made: set[str], state: ProjectState, label: str) -> str:
    match operation:
        case migrations.DeleteModel() | migrations.RenameModel() | migrations.AlterModelTable():
            return "the release before uses that table."
        case migrations.RemoveField() | migrations.RenameField():
            return "the release before uses that column."
        case migrations.AddField() if operation.model_name_lower not in made and _needs_value(
            operation.field
        ):
            return "the release before inserts rows without it; make it null=True, or give it a db_default."
        case migrations.AddConstraint() if operation.model_name_lower not in made:
            return "the release before may write what it refuses."
        case migrations.AlterField():
            return _altered(
                state.models[label, operation.model_name_lower].fields[operation.name], operation.field
            )
        case migrations.RunSQL() if found := DROPPING.search(_text(operation.sql)):
            return f"the release before may use what {' '.join(found[0].split())} takes."
        case _:
            return ""


def _altered(old: "models.Field[Any, Any]", new: "models.Field[Any, Any]") -> str:
    if old.null and _needs_value(new):
        return "the release before still writes NULL there."
    if new.unique and not old.unique:
        return "the release before may write one value twice."
    before, after = old.db_type(connection), new.db_type(connection)
    is_wider = after == "text" or (old.max_length or 0) < (new.max_length or 0)
    if before != after and not (is_wider and str(before).startswith("varchar")):
        return f"{before} becomes {after}, which the release before may not read."
    return ""


def _needs_value(field: "models.Field[Any, Any]") -> bool:
    return not (
        field.null or field.many_to_many or field.generated or field.has_db_default() or field.primary_key
    )


def _flat(operations: Iterable[Operation]) -> Iterator[Operation]:
    for operation in operations:
        if isinstance(operation, migrations.SeparateDatabaseAndState):
            yield from _flat(operation.database_operations)
            yield from _flat(operation.state_operations)
        else:
            yield operation


def _text(sql: object) -> str:
    """Return the statements of a RunSQL: a text, or a list of texts and of (text, parameters)."""
    if isinstance(sql, str):
        return sql
    items = sql if isinstance(sql, (list, tuple)) else ()
    return "\n".join(str(item[0] if isinstance(item, (list, tuple)) else item) for item in items)


def check() -> list[str]:
    """Return one line for each finding in our own migrations."""
    loader = MigrationLoader(None)
    state = ProjectState()
    wrong: list[str] = []
    for key in loader.graph._generate_plan(loader.graph.leaf_nodes(), at_end=True):
        migration = loader.graph.nodes[key]
        found = list(findings(migration, state))
        if (
            migration.app_label not in ROOMS
            or migration.name <= BEFORE_THE_FIRST.get(migration.app_label, "") + "~"
        ):
            continue
        file = Path(inspect.getfile(type(migration)))
        if not NOTE.search(file.read_text(encoding="utf-8")):
            wrong += [f"{file.relative_to(ROOT)}: {item}" for item in found]
    return wrong


def main() -> int:
    """Say what was found; return 1 when that is anything."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    wrong = check()
    sys.stderr.write("".join(f"{line}\n" for line in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
