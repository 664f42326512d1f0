"""Pages of ours within the frame of a ModelAdmin, and the marks that all of them use."""

from typing import Any, TypeVar

from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
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

    def page(
        self, request: HttpRequest, template: str, title: str, context: dict[str, Any], *, status: int = 200
    ) -> HttpResponse:
        """Return a page that no cache keeps."""
        frame = {**self.admin_site.each_context(request), "title": title, "opts": self.opts}
        response = TemplateResponse(request, template, {**frame, **context}, status=status)
        response.headers["Cache-Control"] = "no-store"
        return response
