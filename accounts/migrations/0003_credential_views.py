"""What checking a credential needs, in one row each: read by the delivery role, which can't read the tables beneath."""

from django.db import migrations

ROLES = """
coalesce((
    SELECT jsonb_agg(r.key ORDER BY r.key)
    FROM accounts_user_groups m JOIN accounts_role r ON r.group_ptr_id = m.group_id
    WHERE m.user_id = u.id
), '[]'::jsonb) AS roles
"""
GENERATIONS = "coalesce((SELECT jsonb_object_agg(g.name, g.value) FROM accounts_generation g), '{}'::jsonb) AS generations"

FORWARD = f"""
CREATE VIEW accounts_credential WITH (security_barrier) AS
SELECT k.id, k.public_id, k.secret_hash, k.previous_secret_hash, k.previous_valid_until, k.state, k.expires_at,
    k.allowed_networks, k.browser, k.scopes, k.name,
    u.id AS owner_id, u.email AS owner_email, u.is_active AS owner_is_active, u.is_service AS owner_is_service,
    {ROLES}, {GENERATIONS}
FROM accounts_apikey k JOIN accounts_user u ON u.id = k.owner_id;

CREATE VIEW accounts_bearer WITH (security_barrier) AS
SELECT s.id, s.kind, s.expires_at, s.ended_at, s.verified_at,
    u.id AS user_id, u.email AS user_email, u.name AS user_name, u.is_active AS user_is_active,
    u.is_service AS user_is_service, u.token_version, {ROLES}, {GENERATIONS}
FROM accounts_session s JOIN accounts_user u ON u.id = s.user_id;
"""  # noqa: S608 (constants above, no input)

BACKWARD = "DROP VIEW accounts_bearer; DROP VIEW accounts_credential;"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_log_is_insert_only")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
