"""A plan as people read it: a tree on a terminal, plain lines elsewhere."""

from collections.abc import Iterator
from typing import Final

from rich.markup import escape
from rich.tree import Tree

from accounts.as_code import Change
from accounts.terminal import printable
from cms_project.schema_code.planning import Plan

SIGNS: Final = {"create": "+", "change": "~", "delete": "-"}
COLOURS: Final = {"create": "green", "change": "yellow", "delete": "red"}
TITLES: Final = {
    "locales": "Locales",
    "collections": "Collections",
    "roles": "Roles",
    "policies": "Policies",
    "webhook_endpoints": "Webhook endpoints",
    "webhook_sources": "Incoming sources",
    "preview_sites": "Preview sites",
}


def lines(plan: Plan) -> Iterator[str]:
    """Yield the plan in plain lines."""
    section = ""
    for change in plan.changes:
        if change.section != section:
            section = change.section
            yield f"{TITLES[section]}:"
        yield f"  {SIGNS[change.act]} {printable(change.name)}{_weight(change)}"
        for line in change.lines:
            yield f"      {printable(line)}"
    yield summary(plan)


def tree(plan: Plan) -> Tree:
    """Return the plan as a tree."""
    root = Tree("Plan", hide_root=True)
    branches: dict[str, Tree] = {}
    for change in plan.changes:
        if change.section not in branches:
            branches[change.section] = root.add(f"[bold]{TITLES[change.section]}[/bold]")
        branch = branches[change.section]
        colour = COLOURS[change.act]
        weight = f" [bold red]{escape(_weight(change).strip())}[/bold red]" if _weight(change) else ""
        node = branch.add(
            f"[{colour}]{SIGNS[change.act]} {escape(printable(change.name))}[/{colour}]{weight}"
        )
        for line in change.lines:
            node.add(escape(printable(line)))
    root.add(summary(plan))
    return root


def summary(plan: Plan) -> str:
    """Return the plan in one line."""
    if not plan.changes:
        return "No difference."
    counts = {act: sum(change.act == act for change in plan.changes) for act in SIGNS}
    told = ", ".join(f"{counts[act]} to {act}" for act in ("create", "change", "delete") if counts[act])
    loss = (
        f" {plan.lost} entries lose data." if plan.lost > 1 else " 1 entry loses data." if plan.lost else ""
    )
    final = sum(change.is_final for change in plan.changes)
    gone = f" {final} of them can't be brought back by a file." if final else ""
    return f"{told}.{loss}{gone} Plan {plan.digest}"


def _weight(change: Change) -> str:
    if change.lost:
        return f"  (data loss: {change.lost} of {change.affected} entries)"
    return f"  ({change.affected} entries affected)" if change.affected else ""
