"""What a role and a key let through in a minute; how keys are used, switched off and rotated; the scopes they used."""

import importlib
from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

_views = importlib.import_module("accounts.migrations.0003_credential_views")

CREDENTIAL = f"""
DROP VIEW accounts_credential;
CREATE VIEW accounts_credential WITH (security_barrier) AS
SELECT k.id, k.public_id, k.secret_hash, k.previous_secret_hash, k.previous_valid_until, k.state, k.expires_at,
    k.allowed_networks, k.browser, k.rate_limit, greatest(k.created_at, k.last_used_at, k.enabled_at) AS idle_since,
    k.scopes, k.name,
    u.id AS owner_id, u.email AS owner_email, u.is_active AS owner_is_active, u.is_service AS owner_is_service,
    {_views.ROLES}, {_views.GENERATIONS}
FROM accounts_apikey k JOIN accounts_user u ON u.id = k.owner_id;
"""  # noqa: S608 (constants, no input)
BEFORE = f"""
DROP VIEW accounts_credential;
CREATE VIEW accounts_credential WITH (security_barrier) AS
SELECT k.id, k.public_id, k.secret_hash, k.previous_secret_hash, k.previous_valid_until, k.state, k.expires_at,
    k.allowed_networks, k.browser, k.scopes, k.name,
    u.id AS owner_id, u.email AS owner_email, u.is_active AS owner_is_active, u.is_service AS owner_is_service,
    {_views.ROLES}, {_views.GENERATIONS}
FROM accounts_apikey k JOIN accounts_user u ON u.id = k.owner_id;
"""  # noqa: S608 (constants, no input)


def number(default: int | None = None) -> "models.Field[Any, Any]":
    """Return a column for a count, or for a number that may be missing."""
    if default is None:
        return models.PositiveIntegerField(blank=True, null=True)
    return models.BigIntegerField(default=default)


def moment() -> "models.Field[Any, Any]":
    """Return a column for a time that may not have come."""
    return models.DateTimeField(blank=True, null=True)


def address() -> "models.Field[Any, Any]":
    """Return a column for an address."""
    return models.CharField(blank=True, default="", max_length=45)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_ready_roles")]
    operations = [
        migrations.AddField("role", "requests_per_minute", number()),
        migrations.AddConstraint(
            "role",
            models.CheckConstraint(
                condition=Q(requests_per_minute__isnull=True) | Q(requests_per_minute__range=(1, 1_000_000)),
                name="a role lets through 1 to 1000000 requests a minute",
            ),
        ),
        migrations.RemoveConstraint("apikey", "keys are active, retiring or revoked"),
        migrations.AlterField(
            "apikey",
            "state",
            models.CharField(
                choices=[
                    ("active", "Active"),
                    ("retiring", "Retiring"),
                    ("disabled", "Disabled"),
                    ("revoked", "Revoked"),
                ],
                default="active",
                max_length=10,
            ),
        ),
        migrations.AddField("apikey", "rate_limit", number()),
        migrations.AddField("apikey", "rotated_at", moment()),
        migrations.AddField("apikey", "disabled_at", moment()),
        migrations.AddField("apikey", "enabled_at", moment()),
        migrations.AddField("apikey", "use_count", number(0)),
        migrations.AddField("apikey", "last_address", address()),
        migrations.AddField("apikey", "new_used_at", moment()),
        migrations.AddField("apikey", "old_use_count", number(0)),
        migrations.AddField("apikey", "old_used_at", moment()),
        migrations.AddField("apikey", "old_address", address()),
        migrations.AddField("apikey", "old_refused_count", number(0)),
        migrations.AddField("apikey", "old_refused_at", moment()),
        migrations.AddConstraint(
            "apikey",
            models.CheckConstraint(
                condition=Q(state__in=["active", "retiring", "disabled", "revoked"]),
                name="keys are active, retiring, disabled or revoked",
            ),
        ),
        migrations.AddConstraint(
            "apikey",
            models.CheckConstraint(
                condition=Q(rate_limit__isnull=True) | Q(rate_limit__range=(1, 1_000_000)),
                name="a key lets through 1 to 1000000 requests a minute",
            ),
        ),
        migrations.CreateModel(
            name="ScopeUse",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("scope", models.CharField(max_length=100)),
                ("last_used_at", models.DateTimeField()),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="scope_uses",
                        to="accounts.apikey",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("key", "scope"), name="a key has one line for each scope it used"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ServiceAccount",
            fields=[],
            options={
                "verbose_name": "service account",
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("accounts.user",),
        ),
        migrations.RunSQL(CREDENTIAL, BEFORE),
    ]
