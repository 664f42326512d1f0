"""Passkeys, recovery codes, and what roles ask of sessions."""

import importlib

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import accounts.ids

# A session that gave a code before this kept only the time of it.
STRENGTH = "UPDATE accounts_session SET strength = 1 WHERE verified_at IS NOT NULL"

# Views hold fast the columns that they read, and are made anew when those are done.
_views = importlib.import_module("accounts.migrations.0003_credential_views")
DROP = "DROP VIEW accounts_bearer; DROP VIEW accounts_credential;"
CREDENTIAL = _views.FORWARD.partition("CREATE VIEW accounts_bearer")[0]

# All that says whether a session still counts, in the one row: its own times, and what the roles ask for now.
BEARER = """
CREATE VIEW accounts_bearer WITH (security_barrier) AS
SELECT s.id, s.kind, s.created_at, s.last_seen_at, s.expires_at, s.ended_at, s.strength, s.verified_at,
    s.confirmed_at, s.reason,
    u.id AS user_id, u.email AS user_email, u.name AS user_name, u.is_active AS user_is_active,
    u.is_service AS user_is_service, u.has_long_password AS user_has_long_password, u.token_version,
    r.roles, r.demanded_strength, r.demanded_hours, r.demanded_idle_minutes,
    coalesce((SELECT jsonb_object_agg(g.name, g.value) FROM accounts_generation g), '{}'::jsonb) AS generations
FROM accounts_session s
JOIN accounts_user u ON u.id = s.user_id
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(r.key ORDER BY r.key), '[]'::jsonb) AS roles,
        coalesce(max(r.require_second_factor::int + r.require_phishing_resistant::int), 0) AS demanded_strength,
        min(r.session_hours) AS demanded_hours,
        min(r.idle_minutes) AS demanded_idle_minutes
    FROM accounts_user_groups m JOIN accounts_role r ON r.group_ptr_id = m.group_id
    WHERE m.user_id = u.id
) r;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_built_in_roles"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.RunSQL(DROP, _views.FORWARD),
        migrations.CreateModel(
            name="Passkey",
            fields=[
                (
                    "name",
                    models.CharField(help_text="The human-readable name of this device.", max_length=64),
                ),
                ("confirmed", models.BooleanField(default=True, help_text="Is this device ready for use?")),
                (
                    "created_at",
                    models.DateTimeField(
                        auto_now_add=True,
                        help_text="The date and time when this device was initially created in the system.",
                        null=True,
                    ),
                ),
                (
                    "last_used_at",
                    models.DateTimeField(
                        blank=True, help_text="The most recent date and time this device was used.", null=True
                    ),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("credential_id", models.BinaryField(max_length=1023, unique=True)),
                ("public_key", models.BinaryField()),
                ("sign_count", models.BigIntegerField(default=0)),
                (
                    "transports",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=20), default=list, size=None
                    ),
                ),
                ("aaguid", models.CharField(blank=True, default="", max_length=36)),
                ("is_synced", models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel(
            name="RecoveryCodes",
            fields=[
                (
                    "name",
                    models.CharField(help_text="The human-readable name of this device.", max_length=64),
                ),
                ("confirmed", models.BooleanField(default=True, help_text="Is this device ready for use?")),
                (
                    "throttling_failure_timestamp",
                    models.DateTimeField(
                        blank=True,
                        default=None,
                        help_text="A timestamp of the last failed verification attempt. Null if last attempt succeeded.",
                        null=True,
                    ),
                ),
                (
                    "throttling_failure_count",
                    models.PositiveIntegerField(default=0, help_text="Number of successive failed attempts."),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        auto_now_add=True,
                        help_text="The date and time when this device was initially created in the system.",
                        null=True,
                    ),
                ),
                (
                    "last_used_at",
                    models.DateTimeField(
                        blank=True, help_text="The most recent date and time this device was used.", null=True
                    ),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "macs",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=110), default=list, size=None
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "recovery codes",
            },
        ),
        migrations.AddField(
            model_name="role",
            name="idle_minutes",
            field=models.PositiveSmallIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="role",
            name="require_phishing_resistant",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="role",
            name="session_hours",
            field=models.PositiveSmallIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="session",
            name="confirmed_at",
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AddField(
            model_name="session",
            name="reason",
            field=models.CharField(blank=True, default="", max_length=200),
        ),
        migrations.AddField(
            model_name="session",
            name="strength",
            field=models.PositiveSmallIntegerField(
                choices=[(0, "PASSWORD"), (1, "SECOND_FACTOR"), (2, "PHISHING_RESISTANT")], default=0
            ),
        ),
        migrations.AlterField(
            model_name="user",
            name="email",
            field=models.EmailField(db_collation="C", max_length=254, verbose_name="e-mail address"),
        ),
        migrations.AddField(
            model_name="user",
            name="password_changed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="user",
            name="has_long_password",
            field=models.BooleanField(default=False),
        ),
        migrations.AddConstraint(
            model_name="role",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("require_phishing_resistant", False), ("require_second_factor", True), _connector="OR"
                ),
                name="a phishing-resistant factor is a second factor",
            ),
        ),
        migrations.AddConstraint(
            model_name="role",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("session_hours__isnull", True), ("session_hours__range", (1, 336)), _connector="OR"
                ),
                name="sessions last from an hour to two weeks",
            ),
        ),
        migrations.AddConstraint(
            model_name="role",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("idle_minutes__isnull", True), ("idle_minutes__range", (5, 10080)), _connector="OR"
                ),
                name="idle sessions last from five minutes to a week",
            ),
        ),
        migrations.AddField(
            model_name="passkey",
            name="user",
            field=models.ForeignKey(
                help_text="The user that this device belongs to.",
                on_delete=django.db.models.deletion.CASCADE,
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="recoverycodes",
            name="user",
            field=models.ForeignKey(
                help_text="The user that this device belongs to.",
                on_delete=django.db.models.deletion.CASCADE,
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="passkey",
            constraint=models.CheckConstraint(
                condition=models.Q(("sign_count__gte", 0)), name="a passkey counts its signatures from nought"
            ),
        ),
        migrations.AddConstraint(
            model_name="recoverycodes",
            constraint=models.UniqueConstraint(
                fields=("user",), name="a person has one set of recovery codes"
            ),
        ),
        migrations.RunSQL(STRENGTH, migrations.RunSQL.noop),
        migrations.RunSQL(CREDENTIAL + BEARER, DROP),
    ]
