"""What these pages share: forms that say what was refused, redirects that forget bodies, and counting of attempts."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import segno
from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import mark_safe

from accounts.errors import (
    DomainError,
    LockedDownError,
    LockedOutError,
    TooManyRequestsError,
    UnavailableError,
)
from accounts.limits import SIGN_INS, by_address, hit, known_callers
from accounts.models.device import Authenticator
from accounts.models.user import User
from accounts.sign_in import browsers, devices

_NEXT: Final = re.compile(r"/admin/(?!/)[A-Za-z0-9/_.~?=&%+:,-]*")
_SHOWN_KEY: Final = "accounts_new_authenticator"
STATUSES: Final[Mapping[type[DomainError], int]] = {
    LockedDownError: 423,
    LockedOutError: 429,
    TooManyRequestsError: 429,
    UnavailableError: 503,
}


class PasswordForm(forms.Form):
    """The first step."""

    email = forms.CharField(
        label="E-mail address",
        max_length=320,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        strip=False, max_length=8192, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )


class CodeForm(forms.Form):
    """The second step. The password is not carried over to it in any form (CVE-2020-15105)."""

    code = forms.CharField(
        label="Code",
        max_length=40,
        help_text="Six digits from your authenticator app, or a recovery code.",
        widget=forms.TextInput(
            attrs={
                "autocomplete": "one-time-code",
                "autocapitalize": "none",
                "autofocus": True,
                "spellcheck": "false",
            }
        ),
    )


class AppCodeForm(forms.Form):
    """The first code of a new authenticator."""

    code = forms.CharField(
        label="Six-digit code",
        max_length=16,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "spellcheck": "false"}
        ),
    )


class EmailForm(forms.Form):
    """Who forgot their password."""

    email = forms.CharField(
        label="E-mail address",
        max_length=320,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
    )


class NewPasswordForm(forms.Form):
    """Choosing a password."""

    password = forms.CharField(
        label="New password",
        strip=False,
        max_length=8192,
        widget=forms.PasswordInput(
            attrs={"autocomplete": "new-password", "autofocus": True, "data-strength": True}
        ),
    )
    repeated = forms.CharField(
        label="The same again",
        strip=False,
        max_length=8192,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("password") != data.get("repeated"):
            self.add_error("repeated", "The two passwords differ.")
        return data


def answer(
    request: HttpRequest,
    template: str,
    form: forms.Form,
    act: Callable[[], HttpResponse],
    context: Mapping[str, Any],
    *,
    passkey: Callable[[str], HttpResponse] | None = None,
    email: str = "",
) -> HttpResponse:
    """Show the form; with a valid POST, act, and show what was refused at its place.

    `email` is the account that is tried, as for `count`.
    `passkey` is called instead, with what the browser's authenticator sent, when that came.
    """
    status = 200
    if request.method == "POST":
        status = 400
        credential = request.POST.get("credential", "")
        try:
            count(request, email)
            if credential and passkey is not None:
                form = type(form)()  # nothing was typed, so nothing of it is missing
                return passkey(credential)
            if form.is_valid():
                return act()
        except DomainError as error:
            status = STATUSES.get(type(error), 400)
            form = _with_problems(form, error)
    response = render(request, template, {"form": form, **context}, status=status)
    response.headers["Cache-Control"] = "no-store"
    return response


def _with_problems(form: forms.Form, error: DomainError) -> forms.Form:
    """Put what was refused into the form: at its field where it names one."""
    if not form.is_bound:
        form = type(form)({})
        form._errors = forms.utils.ErrorDict()  # type: ignore[attr-defined]  # noqa: SLF001 (no complaint that fields are empty)
        form.cleaned_data = {}
    put_problems(form, error)
    return form


def put_problems(form: forms.Form, error: DomainError) -> None:
    """Say in a form that was read what was refused: at its field where the refusal names one."""
    for problem in error.errors:
        place = (problem.pointer or "").strip("/")
        form.add_error(place if place in form.fields else None, problem.detail)
    if not error.errors:
        form.add_error(None, error.detail)


def show(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render a page in the frame of the admin."""
    whole = {**admin.site.each_context(request), **context}
    response = render(request, template, whole, status=status)
    response.headers["Cache-Control"] = "private, no-store"
    return response


def count(request: HttpRequest, email: str = "") -> None:
    """Count the attempt in the same bucket as those by API. Raises TooManyRequestsError, UnavailableError.

    `email` is the account that it is about, where that is known: the ceiling over all is for strangers to it. Ten
    addresses reach it, and who floods it must not keep people from signing in, stepping up and locking down.
    """
    is_own = isinstance(request.user, User) and request.user.email == email
    is_known = bool(email) and (is_own or bool(browsers.known(request, email)))
    state = hit(known_callers(SIGN_INS) if is_known else SIGN_INS, by_address(request))
    if state is not None and state.is_exceeded:
        raise TooManyRequestsError(retry_after=state.resets_in)


def see_other(url: str) -> HttpResponse:
    """Redirect with 303, so that no browser sends the password on (RFC 9700, 4.12)."""
    response = HttpResponseRedirect(url)
    response.status_code = 303
    return response


def as_json(body: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """Answer a script of ours."""
    response = JsonResponse(dict(body), status=status)
    response.headers["Cache-Control"] = "no-store"
    return response


def next_url(text: str) -> str:
    """Return where to go after signing in: a path of the admin, whatever was asked for (CVE-2024-28239)."""
    index = reverse("admin:index")
    return text if _NEXT.fullmatch(text) and "/.." not in text and "//" not in text else index


def new_authenticator(request: HttpRequest, user: User) -> Authenticator:
    """Return the authenticator to set up in this browser, the same one until it is confirmed."""
    device = devices.new_authenticator(user, shown=request.session.get(_SHOWN_KEY, ""))
    request.session[_SHOWN_KEY] = str(device.pk)
    return device


def qr_code(device: Authenticator) -> str:
    """Return the device's QR code as inline SVG without style or script, dark on light whatever the page's colours."""
    svg = segno.make(device.config_url, micro=False).svg_inline(
        scale=4, border=3, dark="#000", light="#fff", lineclass=None, svgclass="qr-code"
    )
    return mark_safe(svg)  # noqa: S308 (made here, of a secret and an address, by the library)


def grouped(device: Authenticator) -> str:
    """Return the device's secret as people type it."""
    text = device.secret_base32
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))
