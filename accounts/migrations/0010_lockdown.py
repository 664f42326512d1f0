"""Lockdowns, the function that refuses writes while one is on, and its place in the credential views."""

import django.utils.timezone
from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.lookups import IsNull

import accounts.ids

# `cms_project.frozen` puts triggers with this function on every table that the application may write.
# Transactions that began before the row was there are waited for, or ended, by `lockdown on`.
#
# As a trigger on a row, its arguments are the columns that may change all the same: what signing in keeps.
REFUSAL = """
CREATE FUNCTION accounts_refuse_while_locked_down() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM public.accounts_lockdown WHERE off_at IS NULL) THEN
        RETURN NEW;
    END IF;
    IF TG_LEVEL = 'ROW' AND TG_OP = 'UPDATE' THEN
        IF (to_jsonb(OLD) - TG_ARGV) = (to_jsonb(NEW) - TG_ARGV) THEN
            RETURN NEW;
        END IF;
    END IF;
    -- Migrating and restoring are the owner's, who could switch this off anyway.
    IF current_user = (SELECT relowner::regrole::name FROM pg_catalog.pg_class WHERE oid = TG_RELID) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'Locked down: % of % is refused.', TG_OP, TG_TABLE_NAME USING ERRCODE = 'QK423';
END
$$;

-- The past of lockdowns stays: they can be added and ended, and ending is the owner's (cms_project.grants).
CREATE FUNCTION accounts_keep_lockdown() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.off_at IS NULL
       AND (to_jsonb(OLD) - ARRAY['off_at', 'off_by', 'off_reason'])
         = (to_jsonb(NEW) - ARRAY['off_at', 'off_by', 'off_reason']) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'A lockdown is kept: % is refused.', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER keep_lockdown BEFORE UPDATE OR DELETE ON accounts_lockdown
    FOR EACH ROW EXECUTE FUNCTION accounts_keep_lockdown();
CREATE TRIGGER keep_lockdowns BEFORE TRUNCATE ON accounts_lockdown
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_keep_lockdown();

-- The generations, with a lockdown that is on among them: whoever reads these learns of it by the same query.
CREATE VIEW accounts_freshness AS
SELECT name, value FROM accounts_generation
UNION ALL
SELECT 'lockdown', (extract(epoch FROM on_at) * 1000000)::bigint FROM accounts_lockdown WHERE off_at IS NULL;
"""
NO_REFUSAL = """
DROP VIEW accounts_freshness;
DROP TRIGGER keep_lockdowns ON accounts_lockdown;
DROP TRIGGER keep_lockdown ON accounts_lockdown;
DROP FUNCTION accounts_keep_lockdown();
DROP FUNCTION accounts_refuse_while_locked_down() CASCADE;
"""

# Both views as they are, with another source of the generations: whatever columns they have by now stay.
SOURCE = """
DO $$
DECLARE view text; definition text;
BEGIN
    FOREACH view IN ARRAY ARRAY['accounts_bearer', 'accounts_credential'] LOOP
        definition := pg_get_viewdef(view::regclass);
        IF position('{before} ' IN definition) = 0 THEN
            RAISE EXCEPTION 'The view % does not read its generations from {before}.', view;
        END IF;
        EXECUTE format(
            'CREATE OR REPLACE VIEW %I WITH (security_barrier) AS %s',
            view, replace(definition, '{before} ', '{after} ')
        );
    END LOOP;
END $$
"""
FORWARD = SOURCE.format(before="accounts_generation", after="accounts_freshness")
BACKWARD = SOURCE.format(before="accounts_freshness", after="accounts_generation")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0009_alerts")]

    operations = [
        migrations.CreateModel(
            name="Lockdown",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("on_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("on_by", models.CharField(max_length=320)),
                ("reason", models.CharField(max_length=500)),
                ("off_at", models.DateTimeField(null=True)),
                ("off_by", models.CharField(blank=True, default="", max_length=320)),
                ("off_reason", models.CharField(blank=True, default="", max_length=500)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        IsNull(F("off_at"), True),
                        condition=Q(off_at__isnull=True),
                        name="at most one lockdown is on",
                    ),
                    models.CheckConstraint(condition=~Q(reason=""), name="a lockdown has a reason"),
                    models.CheckConstraint(
                        condition=Q(off_at__isnull=True, off_by="", off_reason="")
                        | (Q(off_at__isnull=False) & ~Q(off_by="") & ~Q(off_reason="")),
                        name="who ends a lockdown says so and why",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Freshness",
            fields=[
                ("name", models.CharField(max_length=80, primary_key=True, serialize=False)),
                ("value", models.BigIntegerField()),
            ],
            options={"db_table": "accounts_freshness", "managed": False},
        ),
        migrations.RunSQL(REFUSAL, NO_REFUSAL),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
