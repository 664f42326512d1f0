"""Epochs: where the log goes on after a restore. Rows are only ever inserted, by the owner."""

from django.db import migrations, models

TRIGGERS = """
CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON accounts_epoch
    FOR EACH ROW EXECUTE FUNCTION accounts_refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON accounts_epoch
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_refuse_change();
"""
NO_TRIGGERS = """
DROP TRIGGER refuse_truncate ON accounts_epoch;
DROP TRIGGER refuse_row_change ON accounts_epoch;
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0011_former_email")]
    operations = [
        migrations.CreateModel(
            name="Epoch",
            fields=[
                ("first_position", models.BigIntegerField(primary_key=True, serialize=False)),
                ("after_position", models.BigIntegerField(unique=True)),
                ("previous_mac", models.CharField(max_length=64)),
                ("backup", models.CharField(max_length=120)),
                ("made_at", models.DateTimeField()),
                ("key_id", models.CharField(max_length=64)),
                ("mac", models.CharField(max_length=64)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("after_position__gte", 0), ("first_position__gt", models.F("after_position"))
                        ),
                        name="an_epoch_begins_later",
                    )
                ],
            },
        ),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
    ]
