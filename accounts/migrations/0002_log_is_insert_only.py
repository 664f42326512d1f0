"""Events and seals can only be inserted, and every inserted event waits for its seal."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION accounts_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The log is insert-only: % of % is refused.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON accounts_event
    FOR EACH ROW EXECUTE FUNCTION accounts_refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON accounts_event
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_refuse_change();
CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON accounts_seal
    FOR EACH ROW EXECUTE FUNCTION accounts_refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON accounts_seal
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_refuse_change();

CREATE FUNCTION accounts_await_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO accounts_unsealed (event_id) VALUES (NEW.id);
    RETURN NULL;
END
$$;

CREATE TRIGGER await_seal AFTER INSERT ON accounts_event
    FOR EACH ROW EXECUTE FUNCTION accounts_await_seal();
"""

BACKWARD = """
DROP TRIGGER await_seal ON accounts_event;
DROP FUNCTION accounts_await_seal();
DROP TRIGGER refuse_truncate ON accounts_seal;
DROP TRIGGER refuse_row_change ON accounts_seal;
DROP TRIGGER refuse_truncate ON accounts_event;
DROP TRIGGER refuse_row_change ON accounts_event;
DROP FUNCTION accounts_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_tables")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
