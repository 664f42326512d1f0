"""The sign-in pages of the admin: password, then code; enrolment of an authenticator; invitations; signing out."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import segno
from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from accounts import invitations, sign_in
from accounts.addresses import client_address
from accounts.errors import DomainError, LockedOutError, NotFoundError, TooManyRequestsError, UnavailableError
from accounts.limits import SIGN_INS, hit
from accounts.models.device import Authenticator
from accounts.models.user import User
from accounts.sign_in import Next

_NEXT: Final = re.compile(r"/admin/(?!/)[A-Za-z0-9/_.~?=&%+:,-]*")
STATUSES: Final[Mapping[type[DomainError], int]] = {
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
        label="Six-digit code",
        max_length=16,
        widget=forms.TextInput(
            attrs={
                "autocomplete": "one-time-code",
                "inputmode": "numeric",
                "autofocus": True,
                "spellcheck": "false",
            }
        ),
    )


class NewPasswordForm(forms.Form):
    """Choosing a password."""

    password = forms.CharField(
        label="New password",
        strip=False,
        max_length=8192,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "autofocus": True}),
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


@never_cache
@csrf_protect
@sensitive_post_parameters("password")
@sensitive_variables("password", "form")
@require_http_methods(["GET", "HEAD", "POST"])
def password_step(request: HttpRequest) -> HttpResponse:
    """Ask for address and password. Those who are signed in already go on."""
    if isinstance(request.user, User) and request.user.is_staff and request.method != "POST":
        return redirect(next_url(request.GET.get("next", "")))
    target = next_url(request.POST.get("next") or request.GET.get("next", ""))
    form = PasswordForm(request.POST or None)

    def sign() -> HttpResponse:
        user = sign_in.check_password(request, form.cleaned_data["email"], form.cleaned_data["password"])
        step = sign_in.what_is_next(user)
        if step is Next.NOTHING:
            sign_in.start_admin_session(request, user, None)
            return _see_other(target)
        sign_in.remember_password_step(request, user, target)
        return _see_other(reverse("admin:login-code" if step is Next.CODE else "admin:login-enrolment"))

    return _answer(request, "accounts/sign_in.html", form, sign, {"next": target})


@never_cache
@csrf_protect
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def code_step(request: HttpRequest) -> HttpResponse:
    """Ask for the code. Only a session whose password step was just right gets here, and it gets nowhere else."""
    pending = sign_in.pending_user(request)
    if pending is None:
        return redirect("admin:login")
    user, target = pending
    if sign_in.what_is_next(user) is not Next.CODE:
        return redirect("admin:login")
    form = CodeForm(request.POST or None)

    def sign() -> HttpResponse:
        device = sign_in.check_code(request, user, form.cleaned_data["code"])
        sign_in.start_admin_session(request, user, device)
        return _see_other(target)

    return _answer(request, "accounts/code.html", form, sign, {})


@never_cache
@csrf_protect
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def enrolment_step(request: HttpRequest) -> HttpResponse:
    """Set up an authenticator, for people whose role asks for one and who have none."""
    pending = sign_in.pending_user(request)
    if pending is None:
        return redirect("admin:login")
    user, target = pending
    if sign_in.what_is_next(user) is not Next.ENROLMENT:
        return redirect("admin:login")
    form = CodeForm(request.POST or None)

    def sign() -> HttpResponse:
        device = sign_in.confirm_authenticator(request, user, form.cleaned_data["code"])
        sign_in.start_admin_session(request, user, device)
        return _see_other(target)

    device = sign_in.new_authenticator(user)
    return _answer(
        request, "accounts/enrolment.html", form, sign, {"qr": qr_code(device), "secret": _grouped(device)}
    )


@never_cache
@csrf_protect
@sensitive_post_parameters("password", "repeated")
@sensitive_variables("form")
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, user_id: str, token: str) -> HttpResponse:
    """Let an invited person choose their password; they sign in with it afterwards."""
    try:
        user = invitations.invited_user(user_id, token)
    except NotFoundError:
        return render(request, "accounts/invitation_gone.html", status=404)
    form = NewPasswordForm(request.POST or None)

    def choose() -> HttpResponse:
        invitations.accept(
            user_id,
            token,
            form.cleaned_data["password"],
            address=client_address(request),
            request_id=str(getattr(request, "request_id", "")),
        )
        return _see_other(reverse("admin:login"))

    return _answer(request, "accounts/invitation.html", form, choose, {"person": user})


@never_cache
@csrf_protect
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End this session."""
    sign_in.end_admin_session(request)
    return _see_other(reverse("admin:login"))


def next_url(text: str) -> str:
    """Return where to go after signing in: a path of the admin, whatever was asked for (CVE-2024-28239)."""
    index = reverse("admin:index")
    return text if _NEXT.fullmatch(text) and "/.." not in text and "//" not in text else index


def qr_code(device: Authenticator) -> str:
    """Return the device's QR code as inline SVG without style or script, dark on light whatever the page's colours."""
    svg = segno.make(device.config_url, micro=False).svg_inline(
        scale=4, border=3, dark="#000", light="#fff", lineclass=None, svgclass="qr-code"
    )
    return mark_safe(svg)  # noqa: S308 (made here, of a secret and an address, by the library)


def _answer(
    request: HttpRequest,
    template: str,
    form: forms.Form,
    act: Callable[[], HttpResponse],
    context: dict[str, Any],
) -> HttpResponse:
    """Show the form; with a valid POST, act, and show what was refused."""
    status = 200
    if request.method == "POST":
        status = 400
        try:
            _count(request)
            if form.is_valid():
                return act()
        except DomainError as error:
            status = STATUSES.get(type(error), 400)
            form.is_valid()
            for problem in error.errors:
                form.add_error(None, problem.detail)
            if not error.errors:
                form.add_error(None, error.detail)
    return render(request, template, {"form": form, **context}, status=status)


def _count(request: HttpRequest) -> None:
    """Count the attempt in the same bucket as those by API. Raises TooManyRequestsError, UnavailableError."""
    state = hit(SIGN_INS, f"address:{client_address(request)}")
    if state is not None and state.is_exceeded:
        raise TooManyRequestsError(retry_after=state.resets_in)


def _see_other(url: str) -> HttpResponse:
    """Redirect with 303, so that no browser sends the password on (RFC 9700, 4.12)."""
    response = HttpResponseRedirect(url)
    response.status_code = 303
    return response


def _grouped(device: Authenticator) -> str:
    text = device.secret_base32
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))
