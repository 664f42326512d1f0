"""What the tables of previews have in common in the admin: their styles."""

from typing import TypeVar

from django.db.models import Model

from accounts.admin.base import VerbAdmin

M = TypeVar("M", bound=Model)


class FramedAdmin(VerbAdmin[M]):
    """A table of previews: its list is Django's, its pages are ours."""

    class Media:
        css = {"all": ["accounts/keys.css", "previews/previews.css"]}
