"""The two roles that every installation has."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

BUILT_IN = [("administrator", "Administrator", True), ("public", "Public", False)]


def add(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Add them where they are missing."""
    roles = apps.get_model("accounts", "Role").objects.using(schema_editor.connection.alias)
    for key, name, second_factor in BUILT_IN:
        roles.get_or_create(key=key, defaults={"name": name, "require_second_factor": second_factor})


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_credential_views")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
