"""What the tables of previews have in common in the admin: their styles, and the marks of their states."""

from typing import TypeVar

from django.db.models import Model
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.base import VerbAdmin

M = TypeVar("M", bound=Model)
Mark = tuple[str, str, str]  # the class of a mark, the mark, the word


def pill(mark: Mark) -> SafeString:
    """Return a state as a mark and a word."""
    return format_html('<span class="qk-pill {}"><span aria-hidden="true">{}</span> {}</span>', *mark)


class FramedAdmin(VerbAdmin[M]):
    """A table of previews: its list is Django's, its pages are ours."""

    class Media:
        css = {"all": ["accounts/keys.css", "previews/previews.css"]}
