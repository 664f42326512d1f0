"""English as the first locale, and triggers that refuse every change of a version."""

from typing import ClassVar

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

REFUSE = """
CREATE FUNCTION content_version_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A version is never changed.' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER version_is_never_updated BEFORE UPDATE ON content_version
    FOR EACH ROW EXECUTE FUNCTION content_version_is_immutable();
CREATE TRIGGER versions_are_never_truncated BEFORE TRUNCATE ON content_version
    FOR EACH STATEMENT EXECUTE FUNCTION content_version_is_immutable();
"""
ALLOW = """
DROP TRIGGER version_is_never_updated ON content_version;
DROP TRIGGER versions_are_never_truncated ON content_version;
DROP FUNCTION content_version_is_immutable();
"""


def add_english(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Every installation has a default locale; its code can't change, so it starts with the most common one."""
    locales = apps.get_model("content", "Locale").objects.using(editor.connection.alias)
    locales.get_or_create(code="en", defaults={"name": "English", "is_default": True})


class Migration(migrations.Migration):
    """Data and triggers that the tables can't do without."""

    dependencies: ClassVar = [("content", "0001_content")]
    operations: ClassVar = [
        migrations.RunSQL(REFUSE, ALLOW),
        migrations.RunPython(add_english, migrations.RunPython.noop),
    ]
