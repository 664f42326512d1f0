"""The entries of the sidebar by use: each collection to work in, what waits for review, and modelling."""

from typing import Any

from django.http import HttpRequest

from accounts.access import Action, Area
from content import modeling
from content.admin.desk import Desk
from content.admin.pages import address
from content.admin.review import may_review
from content.forms import rights


def sections(request: HttpRequest) -> list[dict[str, Any]]:
    """Return content's sections in the shape of `AdminSite.get_app_list`."""
    desk = Desk.of(request)
    content = []
    for collection in desk.schema.collections:
        if desk.opens(collection):
            reads = desk.may(Action.READ_DRAFT, collection)
            is_many = collection.kind == "many"
            add = address("add", collection.key) if is_many and desk.may(Action.CREATE, collection) else None
            content.append(
                link(
                    collection.key,
                    collection.name,
                    address("list", collection.key) if reads or not is_many else None,
                    add,
                )
            )
    modelling = []
    models_all = modeling.may_create(desk.principal)
    if models_all or any(desk.may(Action.MANAGE_SCHEMA, item) for item in desk.schema.collections):
        modelling.append(
            link(
                "collections",
                "Collections",
                address("collections"),
                address("collection-add") if models_all else None,
            )
        )
    if desk.principal.administers(Area.LOCALES):
        add = None if desk.principal.is_locked_down else address("locale-add")
        modelling.append(link("locales", "Locales", address("locales"), add))
    found = []
    if content:
        found.append(_section("content", "Content", address("home"), content))
    forms = [
        link(item.key, item.name, address("submissions", item.key))
        for item in desk.schema.collections
        if item.form is not None and rights.may(desk.principal, Action.READ, item)
    ]
    if forms:
        found.append(_section("forms", "Forms", str(forms[0]["admin_url"]), forms))
    if may_review(desk):
        waiting = link("review", "To publish", address("review"), None)
        found.append(_section("review", "Review", address("review"), [waiting]))
    if modelling:
        found.append(_section("modeling", "Modelling", address("collections"), modelling))
    return found


def _section(label: str, name: str, url: str, models: list[dict[str, Any]]) -> dict[str, Any]:
    return {"app_label": label, "name": name, "app_url": url, "has_module_perms": True, "models": models}


def link(key: str, name: str, url: str | None, add: str | None = None) -> dict[str, Any]:
    """Return one entry, for a section of content's or of another room."""
    return {
        "name": name,
        "object_name": key,
        "admin_url": url,
        "add_url": add,
        "view_only": False,
        "perms": {
            "view": url is not None,
            "add": add is not None,
            "change": url is not None,
            "delete": False,
        },
    }
