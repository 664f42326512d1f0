"""The page that exports what is held about one e-mail address."""

from typing import Any, cast

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from accounts.access import Area
from accounts.errors import InvalidInputError
from accounts.pages.frame import put_problems, show
from accounts.principals import of_request
from accounts.revealing import LONGEST_REASON
from cms_project import person
from content.manage.form_views import streamed


class PersonForm(forms.Form):
    """Whose, and why."""

    email = forms.CharField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "off", "class": "vTextField"}),
    )
    reason = forms.CharField(
        label="Why",
        max_length=LONGEST_REASON,
        help_text="For the log. Leave the address out of it.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "class": "vTextField"}),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Ask whose and why, and deliver the file."""
    by = of_request(request)
    if not by.administers(Area.USERS):
        raise PermissionDenied
    form = PersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        try:
            found = person.export(typed["email"], reason=typed["reason"], by=by)
        except InvalidInputError as error:
            put_problems(form, error)
        else:
            answer = streamed(found.chunks, content_type="application/json", name="person.json")
            return cast("HttpResponse", answer)
    context: dict[str, Any] = {
        "title": "What is held about a person",
        "form": form,
        "not_searched": person.NOT_SEARCHED,
    }
    return show(request, "admin/person.html", context, status=400 if request.method == "POST" else 200)
