"""The locales that content is written in."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access import Area
from accounts.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from content import locales as verbs
from content.admin.desk import Desk
from content.admin.pages import address, page, query, see, show
from content.models import Locale


class LocaleForm(forms.Form):
    """A locale; the verbs judge what is typed."""

    code = forms.CharField(
        max_length=24, help_text="A BCP 47 language tag such as de or pt-BR. It can’t be changed later.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
    )  # fmt: skip
    name = forms.CharField(max_length=80, help_text="What people call it, e.g. Deutsch.")
    fallback = forms.CharField(
        required=False,
        max_length=300,
        help_text="Codes of the locales that stand in where nothing is published in this one, in order: pt, en.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
    )
    direction = forms.ChoiceField(
        choices=Locale.Direction.choices, help_text="Arabic, Hebrew and others run right to left."
    )

    def raw(self) -> dict[str, Any]:
        """Return the locale's JSON."""
        data = self.cleaned_data
        fallback = [item.strip() for item in data["fallback"].split(",") if item.strip()]
        return {
            "code": data["code"],
            "name": data["name"],
            "fallback": fallback,
            "direction": data["direction"],
        }

    def add(self, problems: tuple[Problem, ...]) -> None:
        """Put the verbs' problems at their inputs."""
        for problem in problems:
            first = (problem.pointer or "").strip("/").split("/")[0]
            self.add_error(first if first in self.fields else None, problem.detail)


@page
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """List the locales."""
    query(request)
    desk = Desk.of(request)
    desk.principal.require_area(Area.LOCALES)
    context = {"title": "Locales", "locales": desk.schema.locales}
    return show(request, "admin/content/locales.html", context)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Add a locale."""
    query(request)
    desk = Desk.of(request)
    desk.principal.require_area(Area.LOCALES)
    form = LocaleForm(request.POST if request.method == "POST" else None, use_required_attribute=False)
    if request.method == "POST" and form.is_valid():
        try:
            locale = verbs.create_locale(form.raw(), by=desk.principal)
        except InvalidInputError as error:
            form.add(error.errors)
        else:
            return see(request, f"The locale {locale.name} is there.", address("locales"))
    return _show(request, form, None)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, code: str) -> HttpResponse:
    """Change a locale's name, fallback or direction."""
    query(request)
    desk = Desk.of(request)
    desk.principal.require_area(Area.LOCALES)
    if code not in desk.schema.locale_by_code:
        raise NotFoundError
    locale = Locale.objects.get(pk=code)
    initial = {
        "code": code,
        "name": locale.name,
        "fallback": ", ".join(locale.fallback),
        "direction": locale.direction,
    }
    form = LocaleForm(
        request.POST if request.method == "POST" else None, initial=initial, use_required_attribute=False
    )
    form.fields["code"].disabled = True
    if request.method == "POST" and form.is_valid():
        try:
            verbs.change_locale(code, form.raw(), by=desk.principal)
        except InvalidInputError as error:
            form.add(error.errors)
        else:
            return see(request, "The locale is changed.", address("locales"))
    return _show(request, form, locale)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, code: str) -> HttpResponse:
    """Delete a locale that nothing is written in."""
    query(request)
    desk = Desk.of(request)
    desk.principal.require_area(Area.LOCALES)
    if code not in desk.schema.locale_by_code:
        raise NotFoundError
    locale = Locale.objects.get(pk=code)
    fault = ""
    if request.method == "POST":
        try:
            verbs.delete_locale(code, by=desk.principal)
        except ConflictError as error:
            fault = error.detail
        else:
            return see(request, f"The locale {locale.name} is deleted.", address("locales"))
    context = {"title": f"Delete {locale.name}", "locale": locale, "fault": fault}
    return show(request, "admin/content/locale_delete.html", context, status=400 if fault else 200)


def _show(request: HttpRequest, form: LocaleForm, locale: Locale | None) -> HttpResponse:
    context = {"title": locale.name if locale else "New locale", "form": form, "locale": locale}
    return show(request, "admin/content/locale.html", context, status=400 if form.errors else 200)
