"""What becomes SQL, messages or code: only where we know of it (threats, L). Values are attacked in the tests of bad input."""

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings

from cms_project.celery import app

ROOMS = ("accounts", "content", "previews", "webhooks", "cms_project")
FOLDER = Path(__file__).parents[2]
# Who writes SQL by hand, and why it is safe. Everything else goes through the ORM.
BY_HAND = {
    "accounts/log.py": "advisory locks; constants",
    "accounts/audit/verifying.py": "one statement over the log; constants",
    "accounts/audit/archiving.py": "an advisory lock, and deleting a range; positions are parameters",
    "accounts/audit/searching.py": "one constant statement over the types, and a time limit that is a parameter",
    "accounts/outages.py": "an advisory lock; a constant",
    "accounts/principals.py": "what is granted on single entries; one constant statement with parameters",
    "accounts/keys/usage.py": "one constant statement with parameters",
    "accounts/models/generation.py": "an upsert; names are parameters",
    "content/writing.py": "advisory locks; numbers are parameters",
    "content/bundles/writing.py": "how a transaction sees the others; a constant",
    "content/modeling.py": "advisory locks; numbers are parameters",
    "content/indexing.py": "index names and expressions made of ids of our own",
    "content/tasks.py": "advisory locks; constants",
    "content/timeline.py": "which fields differ between versions, by one constant statement with parameters",
    "cms_project/grants.py": "roles and tables of our own list",
    "cms_project/frozen.py": "triggers for tables and columns of our own list",
    "cms_project/lockdown.py": "ends what is older than a lockdown; constants, the time is a parameter",
    "cms_project/lockdown_bundle.py": "constants",
    "cms_project/servers.py": "makes the databases of `make run`",
    "cms_project/security_check/database.py": "what our roles are; one constant statement, the schema is a parameter",
    "cms_project/health.py": "SELECT 1",
    "webhooks/clock.py": "the database's clock, and an advisory lock; a number is a parameter",
    "webhooks/rewriting.py": "two constant statements, which update from arrays that are parameters",
    "webhooks/leasing.py": "the lease: one constant statement with parameters, since the ORM has no LATERAL",
    "previews/probing/canaries.py": "which words nothing published has, by one constant statement with parameters",
    "previews/state.py": "an advisory lock; a number is a parameter",
    "previews/signing/life.py": "an advisory lock; a number is a parameter",
    "cms_project/management/commands/migrate.py": "grants after migrating",
    "content/backups/creating.py": "an advisory lock and the size of the database; constants",
    "content/backups/golden.py": "one look at the database, which a process of ours names",
    "content/backups/loading.py": "one constant statement; the schema anew, whose name is a constant",
    "content/backups/media.py": "a table of its own in SQLite, by constants with parameters",
    "content/backups/proving.py": "constants; the mark of the scratch database",
    "content/backups/snapshot.py": "sums over tables whose names the catalog gives, as identifiers",
    "cms_project/restoring.py": "schemas of our own names; constants, a time is a parameter",
    "cms_project/standing.py": "whether a schema of our own name is there; it is a parameter",
    "cms_project/replaced.py": "what is replaced is read by constants",
    "webhooks/health.py": "how endpoints are doing, by two constant statements with parameters",
}
NEVER = {"raw", "extra", "RawSQL"}
HOLDS = {"execute", "executemany", "callproc"}
DANGEROUS = re.compile(
    r"\b(pickle\.|import pickle|import marshal|import shelve|yaml\.load\(|yaml\.unsafe_load|subprocess|os\.system|__import__|extractall|eval\(|exec\()"
)
MAY = {
    "cms_project/frozen.py": "triggers for tables and columns of our own list",
    "cms_project/lockdown.py": "ends what is older than a lockdown; constants, the time is a parameter",
    "cms_project/lockdown_bundle.py": "constants",
    "cms_project/servers.py": "starts PostgreSQL and Valkey of its own by argument lists",
    "cms_project/run.py": "starts our processes by argument lists",
    "content/backups/children.py": "starts manage.py by an argument list",
    "content/backups/creating.py": "starts pg_dump by an argument list",
    "content/backups/loading.py": "starts pg_restore by argument lists",
    "content/backups/postgres.py": "asks PostgreSQL's tools for their version",
}


def sources() -> list[tuple[str, str]]:
    found = [
        (str(file.relative_to(FOLDER)), file.read_text())
        for room in ROOMS
        for file in sorted((FOLDER / room).rglob("*.py"))
    ]
    return [(name, text) for name, text in found if "/migrations/" not in name]


def test_sql_is_written_by_hand_only_where_we_know_of_it() -> None:
    found: dict[str, set[str]] = {}
    for name, text in sources():
        for node in ast.walk(ast.parse(text)):
            called = (
                node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            )
            named = node.id if isinstance(node, ast.Name) and node.id == "RawSQL" else ""
            is_form = (
                called == "raw" and isinstance(node, ast.Call) and not node.args
            )  # a form's own method takes no SQL
            if (called in NEVER and not is_form) or named:
                found.setdefault(name, set()).add(f"never: {called or named}")
            if called in HOLDS and not name.startswith("content/admin"):
                found.setdefault(name, set()).add(called)
    never = {name: what for name, what in found.items() if any(item.startswith("never") for item in what)}
    assert not never
    assert set(found) <= set(BY_HAND), f"SQL by hand needs a reason here: {set(found) - set(BY_HAND)}"


def test_no_statement_is_formatted_with_values() -> None:
    """In the files that write SQL by hand: an f-string only with names that the file makes itself."""
    allowed = {
        "cms_project/frozen.py",
        "cms_project/grants.py",
        "cms_project/lockdown.py",
        "cms_project/servers.py",
        "content/indexing.py",
    }
    for name, text in sources():
        if name not in BY_HAND or name in allowed:
            continue
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in HOLDS
                and node.args
            ):
                assert not isinstance(node.args[0], ast.JoinedStr | ast.BinOp), f"{name}:{node.lineno}"


def test_no_client_text_is_a_keyword_of_the_orm() -> None:
    """`filter(**{…})` and the like with a name from a request lets `__` walk the tables (CVE-2023-47117)."""
    known = {  # where the names are of our own making
        "accounts/api/paging.py": 1,
        "accounts/rights/granting.py": 2,
        "accounts/principals.py": 2,
        "content/backups/keeping.py": 1,
        "content/importing/references.py": 1,
        "content/query.py": 1,
        "accounts/admin": 99,
        "content/admin": 99,
        "previews/admin": 1,
        "webhooks/api/manage.py": 1,
    }
    for name, text in sources():
        count = 0
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if called in ("filter", "exclude", "order_by", "get", "update", "Q") and any(
                    word.arg is None for word in node.keywords
                ):
                    count += 1
        allowed = next((number for start, number in known.items() if name.startswith(start)), 0)
        assert count <= allowed, f"{name}: {count} calls of the ORM with ** keywords"


def test_nothing_dangerous_is_used() -> None:
    for name, text in sources():
        if name in MAY:
            continue
        found = [match for match in DANGEROUS.findall(text) if match]
        assert not found, (name, found)


def test_messages_are_data_and_never_code() -> None:
    assert settings.CELERY_ACCEPT_CONTENT == ["json"]
    assert settings.CELERY_TASK_SERIALIZER == "json"
    assert settings.CELERY_RESULT_BACKEND is None
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_ignore_result
    assert app.conf.result_backend in (None, "disabled://")
    assert ":@" not in settings.CELERY_BROKER_URL
    assert re.search(r"://[^@/]*:[^@/]{16,}@", settings.CELERY_BROKER_URL), "the broker needs a password"
    assert "pickle" not in app.conf.result_accept_content if app.conf.result_accept_content else True


@pytest.mark.parametrize(
    "name", ["DEFAULT_RENDERER_CLASSES", "DEFAULT_PARSER_CLASSES", "DEFAULT_PERMISSION_CLASSES"]
)
def test_the_api_has_one_renderer_one_parser_and_one_permission(name: str) -> None:
    assert len(settings.REST_FRAMEWORK[name]) == 1
