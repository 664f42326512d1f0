"""Forms: their options, and what visitors have sent."""

import django.db.models.deletion
from django.db import migrations, models

import accounts.ids


class Migration(migrations.Migration):
    """A form of an earlier release has no options yet: it counts as closed."""

    dependencies = [("content", "0005_sealed_values")]

    operations = [
        migrations.AddField(
            model_name="collection",
            name="form",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddConstraint(
            model_name="collection",
            constraint=models.CheckConstraint(
                condition=models.Q(form__isnull=True) | models.Q(kind="form"),
                name="only_a_form_has_form_options",
            ),
        ),
        migrations.AddConstraint(
            model_name="collection",
            constraint=models.CheckConstraint(
                condition=models.Q(form__isnull=True)
                | models.Q(form__retention_days__gte=1, form__retention_days__lte=3650),
                name="a_form_keeps_submissions_from_a_day_to_ten_years",
            ),
        ),
        migrations.CreateModel(
            name="Submission",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("body", models.TextField()),
                ("size", models.PositiveIntegerField()),
                ("received_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                (
                    "form",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="submissions",
                        to="content.collection",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["form", "expires_at"], include=["size"], name="submission_by_expiry"
                    ),
                    models.Index(fields=["form", "id"], name="submission_by_time"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(expires_at__gt=models.F("received_at")),
                        name="a_submission_is_kept_for_a_while",
                    )
                ],
            },
        ),
    ]
