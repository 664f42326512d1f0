"""Archived ranges of the log, results of its checks, heads of each day; and the indexes that its search needs."""

import django.contrib.postgres.indexes
import django.db.models.functions.text
from django.db import migrations, models

import accounts.models.event

# A range may be deleted once an archive covers it. Nothing else may, by nobody; and no row is ever changed.
FORWARD = """
CREATE FUNCTION accounts_address(value text) RETURNS inet
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN nullif(split_part(value, '%', 1), '')::inet;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION accounts_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    covered boolean := false;
BEGIN
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'accounts_event' THEN
        SELECT EXISTS (
            SELECT FROM public.accounts_seal s
            JOIN public.accounts_archive a ON s.position BETWEEN a.first_position AND a.last_position
            WHERE s.event_id = OLD.id
        ) INTO covered;
    ELSIF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'accounts_seal' THEN
        SELECT EXISTS (
            SELECT FROM public.accounts_archive a
            WHERE OLD.position BETWEEN a.first_position AND a.last_position
        ) INTO covered;
    END IF;
    IF covered THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'The log is insert-only: % of % is refused.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
"""
TRIGGERS = """
CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON accounts_archive
    FOR EACH ROW EXECUTE FUNCTION accounts_refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON accounts_archive
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_refuse_change();
"""
NO_TRIGGERS = """
DROP TRIGGER refuse_truncate ON accounts_archive;
DROP TRIGGER refuse_row_change ON accounts_archive;
"""
BACKWARD = """
CREATE OR REPLACE FUNCTION accounts_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The log is insert-only: % of % is refused.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
DROP FUNCTION accounts_address(text);
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_sign_in")]
    operations = [
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.CreateModel(
            name="Archive",
            fields=[
                ("first_position", models.BigIntegerField(primary_key=True, serialize=False)),
                ("last_position", models.BigIntegerField(unique=True)),
                ("previous_mac", models.CharField(max_length=64)),
                ("last_mac", models.CharField(max_length=64)),
                ("file", models.CharField(max_length=120)),
                ("sha256", models.CharField(max_length=64)),
                ("size", models.BigIntegerField()),
                ("made_at", models.DateTimeField()),
                ("key_id", models.CharField(max_length=64)),
                ("mac", models.CharField(max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name="DailyHead",
            fields=[
                ("day", models.DateField(primary_key=True, serialize=False)),
                ("head", models.JSONField()),
                ("sent_at", models.DateTimeField(null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(null=True)),
                ("problem", models.CharField(blank=True, default="", max_length=200)),
            ],
        ),
        migrations.CreateModel(
            name="LogCheck",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(db_index=True)),
                ("by", models.CharField(max_length=20)),
                ("is_intact", models.BooleanField()),
                ("result", models.JSONField()),
                ("key_id", models.CharField(max_length=64)),
                ("mac", models.CharField(max_length=64)),
            ],
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Upper("actor_label"), name="text_pattern_ops"
                ),
                models.F("at"),
                name="event_label_at",
            ),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                condition=models.Q(("credential", ""), _negated=True),
                fields=["credential", "at"],
                name="event_credential_at",
            ),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(accounts.models.event.AddressOf("address"), name="event_address"),
        ),
        migrations.AddConstraint(
            model_name="archive",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("first_position__gte", 1), ("last_position__gte", models.F("first_position"))
                ),
                name="an_archive_is_a_range",
            ),
        ),
        migrations.AlterModelOptions(name="event", options={"verbose_name_plural": "log"}),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
    ]
