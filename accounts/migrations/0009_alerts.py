"""Alerts, what their rules count, and from where API keys are used."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import accounts.ids

# Rules look at what happens from now on: nobody wants a thousand alerts about last year.
START = """
INSERT INTO accounts_position (consumer, position)
SELECT name, coalesce((SELECT max(position) FROM accounts_seal), 0)
FROM (VALUES ('alerts'), ('alert-mails')) AS consumers (name)
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_keys_and_limits"),
    ]

    operations = [
        migrations.CreateModel(
            name="Tally",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("rule", models.CharField(max_length=60)),
                ("group", models.CharField(max_length=200)),
                ("slices", models.JSONField(default=dict)),
                ("positions", models.JSONField(default=list)),
                ("first_at", models.DateTimeField()),
                ("last_position", models.BigIntegerField(default=0)),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["expires_at"], name="tally_expires_at")],
                "constraints": [
                    models.UniqueConstraint(fields=("rule", "group"), name="a rule has one tally of a group")
                ],
            },
        ),
        migrations.CreateModel(
            name="Alert",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("rule", models.CharField(max_length=60)),
                ("group", models.CharField(max_length=200)),
                (
                    "severity",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "Notice"), (2, "Warning"), (3, "Critical")]
                    ),
                ),
                ("sentence", models.CharField(max_length=400)),
                ("subject_type", models.CharField(blank=True, default="", max_length=40)),
                ("subject_id", models.CharField(blank=True, default="", max_length=120)),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(blank=True, default="", max_length=320)),
                ("address", models.CharField(blank=True, default="", max_length=45)),
                ("count", models.PositiveBigIntegerField(default=0)),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("last_position", models.BigIntegerField()),
                ("positions", models.JSONField(default=list)),
                ("told_at", models.DateTimeField(null=True)),
                ("told_count", models.PositiveBigIntegerField(default=0)),
                ("told_severity", models.PositiveSmallIntegerField(default=0)),
                ("acknowledged_at", models.DateTimeField(null=True)),
                ("note", models.CharField(blank=True, default="", max_length=500)),
                (
                    "acknowledged_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["rule", "group", "last_position"], name="alert_rule_group"),
                    models.Index(fields=["-last_at"], name="alert_last_at"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("acknowledged_at__isnull", True)),
                        fields=("rule", "group"),
                        name="a rule has one open alert for a group",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("severity__in", [1, 2, 3])), name="an alert has a known severity"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="KeyPlace",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("network", models.CharField(max_length=43)),
                ("country", models.CharField(blank=True, default="", max_length=2)),
                ("first_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("last_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="places",
                        to="accounts.apikey",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("key", "network"), name="a key has a network once")
                ],
            },
        ),
        migrations.RunSQL(START, migrations.RunSQL.noop),
    ]
