"""Which page of the admin shows what an event is about. Rooms above add the pages of their things."""

from collections.abc import Callable
from typing import Final
from uuid import UUID

from django.core.exceptions import ValidationError
from django.urls import NoReverseMatch, reverse

from accounts.models.role import Role
from accounts.models.user import User

Page = Callable[[str, UUID | None], str | None]


def _row(model: str) -> Page:
    return lambda subject_id, _: reverse(f"admin:accounts_{model}_change", args=[subject_id])


def _role(subject_id: str, _: UUID | None) -> str | None:
    found = Role.objects.filter(key=subject_id).values_list("pk", flat=True).first()
    return reverse("admin:accounts_role_change", args=[found]) if found else None


def _user(subject_id: str, _: UUID | None) -> str | None:
    found = User.objects.filter(pk=subject_id).first()
    return of_user(found) if found else None


def of_user(user: User) -> str:
    """Return the page of a person, or of the account of a program."""
    model = "serviceaccount" if user.is_service else "user"
    return reverse(f"admin:accounts_{model}_change", args=[user.pk])


# The kind of subject → its page, from the subject's id and the id of its collection; None where there is none.
PAGES: Final[dict[str, Page]] = {
    "alert": _row("alert"),
    "api-key": _row("apikey"),
    "policy": _row("policy"),
    "role": _role,
    "session": _row("session"),
    "user": _user,
}


class Links:
    """The pages of subjects, each looked up once for a whole list."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str | None] = {}

    def page(self, kind: str, subject_id: str, collection_id: UUID | None) -> str | None:
        """Return the address of the subject's page; it asks for its own right, and what is gone is missing there."""
        key = (kind, subject_id)
        if key not in self._known:
            try:
                self._known[key] = PAGES[kind](subject_id, collection_id) if kind in PAGES else None
            except (NoReverseMatch, ValueError, ValidationError):  # an id that is none
                self._known[key] = None
        return self._known[key]
