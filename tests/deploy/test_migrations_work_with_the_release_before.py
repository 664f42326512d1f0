"""While an upgrade rolls out two releases share a database, so a migration only adds; what takes away says since when."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import migrations, models
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from tests.migration_check import NOTE, check, findings


def found(*operations: Operation) -> list[str]:
    state = ProjectState()
    first = made(
        "0001",
        [
            migrations.CreateModel(
                "Page",
                [
                    ("id", models.UUIDField(primary_key=True)),
                    ("title", models.CharField(max_length=10)),
                    ("note", models.TextField(null=True)),
                ],
            )
        ],
    )
    assert list(findings(first, state)) == []
    return list(findings(made("0002", operations), state))


def made(name: str, operations: Sequence[Operation]) -> Migration:
    kind = type("Migration", (Migration,), {"operations": list(operations)})
    migration: Migration = kind(name, "content")
    return migration


EXPANDING: list[list[Any]] = [
    [migrations.AddField("Page", "more", models.TextField(null=True))],
    [migrations.AddField("Page", "more", models.TextField(db_default=""))],
    [migrations.AddField("Page", "others", models.ManyToManyField("content.Page"))],
    [migrations.AlterField("Page", "title", models.CharField(max_length=20))],
    [migrations.AlterField("Page", "title", models.TextField())],
    [migrations.AlterField("Page", "note", models.TextField(null=True, help_text="A word."))],
    [migrations.AddIndex("Page", models.Index(fields=["title"], name="page_title"))],
    [migrations.RunSQL("CREATE VIEW more AS SELECT 1", "DROP VIEW more")],
    [
        migrations.CreateModel("New", [("id", models.UUIDField(primary_key=True))]),
        migrations.AddField("New", "title", models.TextField(default="")),
        migrations.AddConstraint("New", models.UniqueConstraint(fields=["title"], name="one_title")),
    ],
]
CONTRACTING: list[list[Any]] = [
    [migrations.RemoveField("Page", "title")],
    [migrations.RenameField("Page", "title", "name")],
    [migrations.DeleteModel("Page")],
    [migrations.RenameModel("Page", "Sheet")],
    [migrations.AlterModelTable("Page", "sheets")],
    [migrations.AddField("Page", "more", models.TextField(default=""))],
    [migrations.AlterField("Page", "note", models.TextField(default=""))],
    [migrations.AlterField("Page", "title", models.IntegerField())],
    [migrations.AlterField("Page", "title", models.CharField(max_length=5))],
    [migrations.AlterField("Page", "title", models.CharField(max_length=10, unique=True))],
    [migrations.AddConstraint("Page", models.UniqueConstraint(fields=["title"], name="one_title"))],
    [migrations.RunSQL("alter table pages\n  drop  column title")],
    [migrations.RunSQL([("ALTER TABLE pages RENAME TO sheets", [])])],
    [migrations.SeparateDatabaseAndState([migrations.RunSQL("DROP TABLE pages")], [])],
]


@pytest.mark.parametrize("operations", EXPANDING)
def test_what_only_adds_passes(operations: list[Any]) -> None:
    assert found(*operations) == []


@pytest.mark.parametrize("operations", CONTRACTING)
def test_what_takes_away_or_demands_more_is_found(operations: list[Any]) -> None:
    assert len(found(*operations)) == 1


def test_a_note_says_since_when_it_is_safe_and_why() -> None:
    assert NOTE.search("class Migration:\n    # contract: safe since 0.3: 0.2 stopped reading it\n")
    assert not NOTE.search("# contract: safe\n")
    assert not NOTE.search("# contract: safe since 0.3\n")


def test_all_our_own_work_with_the_release_before() -> None:
    assert check() == []
