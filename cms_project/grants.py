"""Which database role may do what with which table: an explicit list, applied anew after every migrate.

What is not in the list is refused by PostgreSQL. No sequence is listed: identity columns need no privilege.
"""

from collections.abc import Mapping
from typing import Final

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

APP: Final = "quillkeep_app"
DELIVERY: Final = "quillkeep_delivery"
SCHEMA: Final = "public"

READ: Final = frozenset({"SELECT"})
APPEND: Final = frozenset({"SELECT", "INSERT"})
PURGE: Final = frozenset({"SELECT", "INSERT", "DELETE"})  # immutable rows that may still be erased
UPDATE: Final = frozenset({"SELECT", "UPDATE"})
WRITE: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
NOTHING: Final = frozenset[str]()

# Every table and view of the schema is here: table → (quillkeep_app, quillkeep_delivery).
TABLES: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    # Django and the libraries
    "auth_group": (WRITE, NOTHING),
    "auth_group_permissions": (WRITE, NOTHING),
    "auth_permission": (READ, NOTHING),
    "axes_accessattempt": (WRITE, NOTHING),
    "axes_accessattemptexpiration": (WRITE, NOTHING),
    "axes_accessfailurelog": (WRITE, NOTHING),
    "axes_accesslog": (WRITE, NOTHING),
    "django_admin_log": (APPEND, NOTHING),
    "django_content_type": (READ, NOTHING),
    "django_migrations": (READ, READ),
    "django_session": (WRITE, NOTHING),
    "guardian_groupobjectpermission": (WRITE, NOTHING),
    "guardian_userobjectpermission": (WRITE, NOTHING),
    # accounts
    "accounts_alert": (APPEND | UPDATE, NOTHING),  # acknowledged, never taken away
    "accounts_apikey": (WRITE, NOTHING),
    "accounts_archive": (READ, NOTHING),  # written by the owner alone: it lets rows of the log be deleted
    "accounts_authenticator": (WRITE, NOTHING),
    "accounts_bearer": (READ, READ),
    "accounts_credential": (READ, READ),
    "accounts_cspreport": (WRITE, NOTHING),
    "accounts_dailyhead": (WRITE, NOTHING),
    "accounts_epoch": (READ, NOTHING),  # written by the owner alone: it lets the log skip positions
    "accounts_event": (APPEND, NOTHING),
    "accounts_freshness": (READ, READ),
    "accounts_generation": (WRITE, READ),
    "accounts_installation": (READ, READ),  # written by the owner alone: whose copy this is
    "accounts_keyplace": (WRITE, NOTHING),
    "accounts_lockdown": (APPEND, NOTHING),  # the application may begin one; ending it is the owner's
    "accounts_logcheck": (PURGE, NOTHING),
    "accounts_passkey": (WRITE, NOTHING),
    "accounts_policy": (WRITE, READ),
    "accounts_position": (WRITE, NOTHING),
    "accounts_recoverycodes": (WRITE, NOTHING),
    "accounts_ringkey": (APPEND | UPDATE, NOTHING),  # what was active once is never forgotten
    "accounts_role": (WRITE, READ),
    "accounts_scopeuse": (WRITE, NOTHING),
    "accounts_seal": (APPEND, NOTHING),
    "accounts_session": (WRITE, NOTHING),
    "accounts_tally": (WRITE, NOTHING),
    "accounts_unsealed": (WRITE, NOTHING),
    "accounts_user": (WRITE, NOTHING),
    "accounts_user_groups": (WRITE, NOTHING),
    # content
    "content_backup": (READ, NOTHING),  # written by the keeper of backups, as the owner
    "content_collection": (WRITE, READ),
    "content_datakey": (WRITE, READ),  # wrapped: the key ring is in the environment
    "content_draftdocument": (WRITE, NOTHING),
    "content_draftsearch": (WRITE, NOTHING),
    "content_entry": (WRITE, NOTHING),
    "content_field": (WRITE, READ),
    "content_fieldindex": (WRITE, NOTHING),
    "content_listlayout": (WRITE, NOTHING),
    "content_locale": (WRITE, READ),
    "content_publisheddocument": (WRITE, READ),
    "content_publishedsearch": (WRITE, READ),
    "content_rebuild": (WRITE, NOTHING),
    "content_reference": (WRITE, NOTHING),
    "content_savedview": (WRITE, NOTHING),
    "content_submission": (WRITE, NOTHING),
    "content_uniquevalue": (WRITE, NOTHING),
    "content_version": (PURGE, NOTHING),
    "content_visit": (WRITE, NOTHING),
    # previews
    "previews_handoffurl": (WRITE, NOTHING),
    "previews_preview": (WRITE, NOTHING),
    "previews_previewsite": (WRITE, NOTHING),
    "previews_signingkey": (WRITE, NOTHING),
    # webhooks
    "webhooks_attempt": (PURGE, NOTHING),
    "webhooks_delivery": (WRITE, NOTHING),
    "webhooks_endpoint": (WRITE, NOTHING),
    "webhooks_endpointsecret": (WRITE, NOTHING),
    "webhooks_sight": (PURGE, NOTHING),
    "webhooks_receipt": (WRITE, NOTHING),
    "webhooks_source": (WRITE, NOTHING),
    "webhooks_sourcesecret": (WRITE, NOTHING),
}
ROLES: Final = (APP, DELIVERY)


def apply(connection: BaseDatabaseWrapper) -> None:
    """Take everything from both roles and give back what the list says, in one transaction."""
    quote = connection.ops.quote_name
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        existing = set(connection.introspection.table_names(cursor, include_views=True))
        for number, role in enumerate(ROLES):
            name = quote(role)
            cursor.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA {SCHEMA} FROM {name}")
            cursor.execute(f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {SCHEMA} FROM {name}")
            cursor.execute(f"REVOKE ALL ON SCHEMA {SCHEMA} FROM {name}")
            cursor.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {name}")
            for table, privileges in TABLES.items():
                if privileges[number] and table in existing:
                    cursor.execute(
                        f"GRANT {', '.join(sorted(privileges[number]))} ON {quote(table)} TO {name}"
                    )


def in_force(connection: BaseDatabaseWrapper) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """Return what the catalog says, in the form of TABLES; privileges of PUBLIC count for both roles."""
    found: dict[str, dict[str, set[str]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relname, coalesce(r.rolname, 'PUBLIC'), a.privilege_type
            FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = %s
            LEFT JOIN LATERAL aclexplode(c.relacl) a ON true
            LEFT JOIN pg_roles r ON r.oid = a.grantee
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
            """,
            [SCHEMA],
        )
        for table, role, privilege in cursor.fetchall():
            roles = found.setdefault(table, {})
            for receiver in ROLES if role == "PUBLIC" else (role,):
                if privilege is not None:
                    roles.setdefault(receiver, set()).add(privilege)
    return {
        table: (frozenset(roles.get(APP, ())), frozenset(roles.get(DELIVERY, ())))
        for table, roles in found.items()
    }
