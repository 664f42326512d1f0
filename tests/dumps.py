"""What somebody with SQL would see."""

from django.db import connections


def dump() -> dict[str, str]:
    """Return every table as text, and what the planner keeps of their values."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        names = [row[0] for row in cursor.fetchall()]
        dumps = {}
        for name in names:
            cursor.execute(f"SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM {name} t")
            dumps[name] = cursor.fetchone()[0]
        cursor.execute("ANALYZE")
        cursor.execute(
            "SELECT coalesce(string_agg(s::text, E'\\n'), '') FROM pg_stats s WHERE schemaname = 'public'"
        )
        dumps["pg_stats"] = cursor.fetchone()[0]
        cursor.execute("SELECT coalesce(string_agg(s::text, E'\\n'), '') FROM pg_stats_ext_exprs s")
        dumps["pg_stats_ext_exprs"] = cursor.fetchone()[0]
    return dumps
