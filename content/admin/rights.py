"""Rights on one entry: who may do something with it beyond what the policies say; giving and withdrawing."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from accounts.access import Action, Area, Principal
from accounts.errors import DomainError
from accounts.models import Role, User
from accounts.models.role import ADMINISTRATOR, PUBLIC
from accounts.rights.granting import ENTRY_ACTIONS, entry_grants, grant_entry, withdraw_entry
from content.admin.desk import Desk, isolated, open_entry
from content.admin.pages import address, page, query, see, show

WORDS: Final = {
    Action.READ_DRAFT: "See it, with its drafts and history",
    Action.UPDATE: "Change it",
    Action.PUBLISH: "Publish it",
    Action.UNPUBLISH: "Take it back from the public",
    Action.DELETE: "Move it to the trash",
    Action.RESTORE: "Restore it from the trash, and old versions",
    Action.PREVIEW: "Show previews of it",
}
SHORT: Final = {
    Action.READ_DRAFT: "see",
    Action.UPDATE: "change",
    Action.PUBLISH: "publish",
    Action.UNPUBLISH: "unpublish",
    Action.DELETE: "move to trash",
    Action.RESTORE: "restore",
    Action.PREVIEW: "preview",
}
_EVERYTHING: Final = "everything"


@page
@require_http_methods(["GET", "HEAD", "POST"])
def rights(request: HttpRequest, key: str, name: UUID) -> HttpResponse:
    """Show the grants on one entry; give one, or withdraw one."""
    desk = Desk.of(request)
    query(request)
    entry = open_entry(desk, key, name, None)
    desk.principal.require_area(Area.POLICIES)
    fault, chosen, ticked = "", "", [Action.READ_DRAFT]
    if request.method == "POST":
        chosen, ticked = request.POST.get("to", ""), _actions(request.POST.getlist("actions"))
        try:
            if "withdraw" in request.POST:
                said = _withdraw(request.POST["withdraw"], entry.row, desk.principal)
            else:
                said = _give(chosen, ticked, entry.row, desk.principal)
        except (_Unclear, DomainError) as error:
            fault = error.detail
        else:
            level = messages.SUCCESS if said else messages.WARNING
            return see(
                request, said or "That was withdrawn already.", address("rights", key, name), level=level
            )
    grants = entry_grants(entry.row)
    context = {
        "title": f"Rights on {isolated(entry.title)}",
        "entry": entry,
        "collection": entry.writing.collection,
        "lines": [
            {
                "to": _key_of(grant.to),
                "name": str(grant.to),
                "kind": _kind_of(grant.to),
                "actions": [
                    (action.value, SHORT[action])
                    for action in SHORT
                    if action in grant.actions & ENTRY_ACTIONS
                ],
            }
            for grant in grants
        ],
        "groups": _receivers(desk.principal),
        "chosen": chosen,
        "actions": [(action.value, words, action in ticked) for action, words in WORDS.items()],
        "fault": fault,
    }
    return show(request, "admin/content/rights.html", context, status=400 if fault else 200)


class _Unclear(Exception):  # noqa: N818 (it asks for more, nothing is broken)
    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def _give(to: str, actions: list[Action], entry: Any, by: Principal) -> str:
    receiver = _receiver(to)
    if receiver is None:
        raise _Unclear("Choose who gets the rights.")
    if not actions:
        raise _Unclear("Tick what they may do.")
    grant_entry(receiver, actions, entry, by=by)
    return f"Given to {receiver}: {_listed(actions)}."


def _withdraw(what: str, entry: Any, by: Principal) -> str:
    """Withdraw `user:<id> <action>`, or everything from somebody; "" when there was nothing (any more)."""
    to, _, wanted = what.partition(" ")
    held = next((grant for grant in entry_grants(entry) if _key_of(grant.to) == to), None)
    if held is None:
        return ""
    actions = [action for action in SHORT if action in held.actions and wanted in (action.value, _EVERYTHING)]
    if not actions:
        return ""
    withdraw_entry(held.to, actions, entry, by=by)
    return f"Withdrawn from {held.to}: {_listed(actions)}."


def _actions(names: Iterable[str]) -> list[Action]:
    given = set(names)
    return [action for action in WORDS if action.value in given]


def _listed(actions: Iterable[Action]) -> str:
    return ", ".join(SHORT[action] for action in actions)


def _receivers(principal: Principal) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return who can be given something, by kind: not the giver, and nobody who may do everything already."""
    users = User.objects.filter(is_active=True).exclude(email=principal.email).order_by("email")
    others = users.exclude(groups__role__key=ADMINISTRATOR)
    people = [user for user in others if not user.is_service]
    services = [user for user in others if user.is_service]
    roles = Role.objects.exclude(key__in=(PUBLIC, ADMINISTRATOR)).order_by("name")
    groups = [
        ("Everybody with the role", [(_key_of(role), role.name) for role in roles]),
        (
            "People",
            [(_key_of(user), f"{user.name} ({user.email})" if user.name else user.email) for user in people],
        ),
        ("Service accounts", [(_key_of(user), str(user)) for user in services]),
    ]
    return [group for group in groups if group[1]]


def _receiver(key: str) -> User | Role | None:
    kind, _, name = key.partition(":")
    if kind == "role":
        return Role.objects.filter(key=name).first()
    try:
        return User.objects.filter(pk=UUID(name), is_active=True).first() if kind == "user" else None
    except ValueError:
        return None


def _key_of(receiver: User | Role) -> str:
    return f"role:{receiver.key}" if isinstance(receiver, Role) else f"user:{receiver.pk}"


def _kind_of(receiver: User | Role) -> str:
    if isinstance(receiver, Role):
        return "everybody with this role"
    kind = "service account" if receiver.is_service else receiver.email
    return kind if receiver.is_active else f"{kind}, not active"
