"""Values of personal and secret fields are sealed: keys of entries, the name that rows have them by, and the first sealing."""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

ROWS = ("draftdocument", "publisheddocument", "version")
SENSITIVE = ("personal", "secret")


def seal_what_is_there(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Have the worker seal what was written in clear. A component may hold such a field, so all are looked through."""
    using = editor.connection.alias
    fields = apps.get_model("content", "Field").objects.using(using).filter(data_class__in=SENSITIVE)
    collections = apps.get_model("content", "Collection").objects.using(using).exclude(kind="component")
    if not fields.filter(collection__kind="component").exists():
        collections = collections.filter(pk__in=fields.values("collection"))
    entries = apps.get_model("content", "Entry").objects.using(using)
    rebuilds = apps.get_model("content", "Rebuild").objects.using(using)
    for collection in collections:
        total = entries.filter(collection=collection).count()
        if total:
            rebuilds.create(
                collection=collection,
                reason="Personal and secret values are sealed",
                reseals=True,
                total=total,
            )
    fields.update(filterable=False, unique=False)


class Migration(migrations.Migration):
    """The column stays `data`: processes of the release before read it while they run."""

    dependencies: ClassVar = [("content", "0004_backups")]

    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                operation
                for name in ROWS
                for operation in (
                    migrations.RenameField(name, "data", "sealed"),
                    migrations.AlterField(name, "sealed", models.JSONField(db_column="data", default=dict)),
                )
            ],
        ),
        migrations.CreateModel(
            name="DataKey",
            fields=[
                (
                    "entry",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="data_key",
                        serialize=False,
                        to="content.entry",
                    ),
                ),
                ("wrapped", models.TextField()),
            ],
        ),
        migrations.AddField(
            model_name="collection", name="retention", field=models.JSONField(blank=True, null=True)
        ),
        migrations.AddField(
            model_name="field", name="is_sealed", field=models.BooleanField(default=False, db_default=False)
        ),
        migrations.AddField(
            model_name="rebuild", name="reseals", field=models.BooleanField(default=False, db_default=False)
        ),
        migrations.RunPython(seal_what_is_there, migrations.RunPython.noop),
    ]
