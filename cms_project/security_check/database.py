"""Whether PostgreSQL refuses what it should: the roles of this process, and what they may do."""

from collections.abc import Iterator
from typing import Final

from django.db import connections

from accounts.models.alert import Severity
from cms_project import frozen, grants
from cms_project.security_check.check import Check, Found

ALIASES: Final = ("default", "delivery")
_ATTRIBUTES: Final = """
    SELECT r.rolname, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolbypassrls, r.rolreplication,
        (SELECT count(*) FROM pg_class c WHERE c.relowner = r.oid),
        (SELECT string_agg(DISTINCT o.rolname, ', ') FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = %s
            JOIN pg_roles o ON o.oid = c.relowner
            WHERE o.oid <> r.oid AND pg_has_role(r.oid, o.oid, 'MEMBER'))
    FROM pg_roles r WHERE r.rolname = current_user
"""
_POWERS: Final = ("is a superuser", "makes roles", "makes databases", "passes row security", "replicates")


def roles() -> Iterator[Found]:
    """Look at the attributes of the roles that this process connects as."""
    names = []
    for alias in ALIASES:
        with connections[alias].cursor() as cursor:
            cursor.execute(_ATTRIBUTES, [grants.SCHEMA])
            (name, *powers, owned, member_of) = cursor.fetchone()
        names.append(name)
        for power, is_held in zip(_POWERS, powers, strict=True):
            if is_held:
                yield Found(f"The role {name} ({alias}) {power}.")
        if owned:
            yield Found(f"The role {name} ({alias}) owns {owned} tables: it can switch their triggers off.")
        if member_of:
            yield Found(f"The role {name} ({alias}) may act as {member_of}, which owns tables.")
    if len(set(names)) < len(names):
        yield Found("Delivery connects with the same role as the rest.")


def privileges() -> Iterator[Found]:
    """Compare what both roles may do with the list."""
    listed = grants.TABLES
    nothing = (grants.NOTHING, grants.NOTHING)
    for table, found in sorted(grants.in_force(connections["default"]).items()):
        for role, may, should in zip(grants.ROLES, found, listed.get(table, nothing), strict=True):
            if more := may - should:
                yield Found(f"{role} may {', '.join(sorted(more))} {table}.")


def triggers() -> Iterator[Found]:
    """Look at whether a lockdown would close every table."""
    closed = {table for table, _ in frozen.in_force(connections["default"])}
    missing = sorted(set(frozen.frozen()) - closed)
    if missing:
        yield Found(f"A lockdown would leave open: {', '.join(missing[:10])}.")


CHECKS: Final = (
    Check("database-roles", "Database roles have no powers", Severity.CRITICAL,
          "Make the roles as docs/for-ops.md says: LOGIN and nothing else, tables owned by quillkeep_owner.", roles),
    Check("database-grants", "Database rights are those of the list", Severity.CRITICAL,
          "Run manage.py migrate: it applies the list anew. Ask who granted more.", privileges),
    Check("lockdown-triggers", "A lockdown would hold", Severity.CRITICAL,
          "Run manage.py migrate: it puts the triggers back.", triggers),
)  # fmt: skip
