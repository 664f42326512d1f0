"""Tells whether anything was written: what a refusal must never do."""

from django.db import connections


def row_versions() -> dict[str, str]:
    """Return a text for every table that is another one after any write to it, even of what was there already."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT name, version FROM baseline.versions()")
        return dict(cursor.fetchall())
