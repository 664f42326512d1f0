"""Roles that hold areas of administration, and the roles that a new installation starts with."""

from typing import Any, NamedTuple

import django.contrib.postgres.fields
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from accounts.ids import uuid7

EDITING = ["create", "delete", "preview", "publish", "read", "read_draft", "restore", "unpublish", "update"]
OWN = [["_created_by", "eq", "$user"]]


class Ready(NamedTuple):
    """A role as it is at first; `policies` are (actions, rows), each on every collection and every unnamed field."""

    key: str
    name: str
    second_factor: bool
    policies: tuple[tuple[list[str], list[list[str]]], ...] = ()
    areas: tuple[str, ...] = ()


READY = (
    Ready("administrator", "Administrator", True),
    Ready(
        "content_manager",
        "Content manager",
        True,
        ((sorted([*EDITING, "export", "purge"]), []),),
        ("locales",),
    ),
    Ready("editor", "Editor", True, ((EDITING, []),)),
    Ready(
        "author",
        "Author",
        False,
        ((["create", "read"], []), (["delete", "preview", "read_draft", "restore", "update"], OWN)),
    ),
    Ready("reviewer", "Reviewer", False, ((["preview", "read", "read_draft"], []),)),
    Ready("website", "Website", False, ((["read"], []),)),
    Ready("auditor", "Auditor", True, (), ("audit",)),
    Ready("public", "Public", False),
)


def add(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Add the roles that are missing. One whose key is there stays as it is, with what it may."""
    using = schema_editor.connection.alias
    roles = apps.get_model("accounts", "Role").objects.using(using)
    policies = apps.get_model("accounts", "Policy").objects.using(using)
    groups = apps.get_model("auth", "Group").objects.using(using)
    for ready in READY:
        is_taken = groups.filter(name=ready.name).exists()
        defaults: dict[str, Any] = {
            "name": f"{ready.name} ({ready.key})" if is_taken else ready.name,
            "require_second_factor": ready.second_factor,
            "areas": list(ready.areas),
        }
        role, is_new = roles.get_or_create(key=ready.key, defaults=defaults)
        for actions, rows in ready.policies if is_new else ():
            policies.create(
                id=uuid7(), role=role, every_collection=True, every_field=True, actions=actions, rows=rows
            )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_log_archive")]
    operations = [
        migrations.AddField(
            "role",
            "areas",
            django.contrib.postgres.fields.ArrayField(
                models.CharField(max_length=20), blank=True, default=list, size=None
            ),
        ),
        migrations.AddConstraint(
            "role",
            models.CheckConstraint(
                condition=models.Q(
                    areas__contained_by=[
                        *("users", "roles", "policies", "keys", "audit", "locales", "previews", "webhooks"),
                        "operations",
                    ]
                ),
                name="a role administers areas that are known",
            ),
        ),
        migrations.AddConstraint(
            "role",
            models.CheckConstraint(
                condition=~models.Q(key__in=["administrator", "public"]) | models.Q(areas__len=0),
                name="built-in roles name no areas: all, and none",
            ),
        ),
        migrations.RunPython(add, migrations.RunPython.noop),
    ]
