"""The scopes of a key as a table of boxes, by collection and action; only what whoever makes the key holds itself."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from accounts.access import Action, Area, Principal, Resource
from accounts.directory import directory
from accounts.keys.scopes import NO_COLLECTION

Group = tuple[str, list[tuple[str, str]]]


class ScopesInput(forms.CheckboxSelectMultiple):
    """Boxes in rows, one for each collection. Works without script."""

    def render(
        self,
        name: str,
        value: Any,
        attrs: dict[str, Any] | None = None,
        renderer: Any = None,  # noqa: ARG002 (Django's signature; ours is a template of the house)
    ) -> SafeString:
        return render_to_string("accounts/scopes_input.html", self.get_context(name, value, attrs))


class ScopesField(forms.MultipleChoiceField):
    """Texts such as `articles:read`; what is not offered can't be chosen."""

    widget = ScopesInput

    def offer(self, principal: Principal) -> None:
        """Offer what this principal may hand out."""
        self.choices = offered(principal)


def offered(by: Principal) -> Sequence[Group]:
    """Return the boxes by row: every collection, then each, then the areas of administration."""
    rows = [("Every collection, also those made later", "*", NO_COLLECTION)]
    rows += [(item.name, item.key, item.id) for item in directory().collections()]
    found: list[Group] = [
        (
            name,
            [
                (f"{key}:{action.value}", action.value.replace("_", " "))
                for action in Action
                if by.grant(action, on=Resource(pk))
            ],
        )
        for name, key, pk in rows
    ]
    found.append(
        (
            "Administration",
            [(f"admin:{area.value}", area.value) for area in Area if by.administers(area)],
        )
    )
    return [(name, boxes) for name, boxes in found if boxes]
