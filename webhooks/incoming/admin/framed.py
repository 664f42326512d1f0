"""What the tables of incoming webhooks have in common in the admin: their styles."""

from typing import TypeVar

from django.db.models import Model

from accounts.admin.base import VerbAdmin

M = TypeVar("M", bound=Model)


class FramedAdmin(VerbAdmin[M]):
    """A table of incoming webhooks: its list is Django's, its pages are ours."""

    class Media:
        css = {"all": ["accounts/keys.css", "webhooks/incoming.css"]}
