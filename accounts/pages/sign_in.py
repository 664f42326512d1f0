"""The doors of the admin: password or passkey, second factor, enrolment of what a role asks for, and signing out."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import Principal
from accounts.addresses import canonical_email
from accounts.errors import DomainError, NotAuthenticatedError, StrongerFactorRequiredError
from accounts.models.device import OwnedDevice, Passkey, RecoveryCodes
from accounts.models.role import Strength
from accounts.models.user import User
from accounts.pages.frame import (
    STATUSES,
    AppCodeForm,
    CodeForm,
    PasswordForm,
    answer,
    as_json,
    count,
    grouped,
    new_authenticator,
    next_url,
    qr_code,
    see_other,
)
from accounts.principals import at_request, of_user
from accounts.sign_in import browsers, devices, passkeys, session_store, sessions, steps
from accounts.sign_in.passkeys import Ceremony
from accounts.sign_in.steps import Next, Pending

_FEW = 3  # recovery codes, from where on people are told to make new ones


@never_cache
@csrf_protect
@sensitive_post_parameters("password", "credential")
@sensitive_variables("password", "form")
@require_http_methods(["GET", "HEAD", "POST"])
def password_step(request: HttpRequest) -> HttpResponse:
    """Ask for address and password, or for a passkey. Those who are signed in already go on."""
    if isinstance(request.user, User) and request.user.is_staff and request.method != "POST":
        return redirect(next_url(request.GET.get("next", "")))
    target = next_url(request.POST.get("next") or request.GET.get("next", ""))
    form = PasswordForm(request.POST or None)

    def by_password() -> HttpResponse:
        user = steps.check_password(request, form.cleaned_data["email"], form.cleaned_data["password"])
        step = steps.what_is_next(user)
        if step is Next.NOTHING:
            return _finish(request, user, None, target)
        steps.remember_step(request, user, target)
        return see_other(reverse("admin:login-code" if step is Next.CODE else "admin:login-enrolment"))

    def by_passkey(credential: str) -> HttpResponse:
        passkey = _accepted(request, Ceremony.SIGN_IN, None, credential)
        return _finish(request, passkey.user, passkey, target)

    email = canonical_email(request.POST.get("email", "")) or ""
    context = {"next": target, "elsewhere": session_store.elsewhere(request)}
    return answer(
        request, "accounts/sign_in.html", form, by_password, context, passkey=by_passkey, email=email
    )


@never_cache
@csrf_protect
@sensitive_post_parameters("code", "credential")
@require_http_methods(["GET", "HEAD", "POST"])
def code_step(request: HttpRequest) -> HttpResponse:
    """Ask for the second factor. Only a session whose password step was just right gets here, and nowhere else."""
    pending = steps.pending(request)
    if pending is None or steps.what_is_next(pending.user) is not Next.CODE:
        return redirect("admin:login")
    user = pending.user
    form = CodeForm(request.POST or None)

    def by_code() -> HttpResponse:
        device = steps.check_code(request, user, form.cleaned_data["code"])
        return _go_on(request, user, device, pending.next_url)

    def by_passkey(credential: str) -> HttpResponse:
        passkey = _accepted(request, Ceremony.SECOND_FACTOR, user, credential)
        return _go_on(request, user, passkey, pending.next_url)

    context = {
        "has_passkey": Passkey.objects.filter(user=user).exists(),
        "has_codes": devices.has_codes(user),
    }
    return answer(request, "accounts/code.html", form, by_code, context, passkey=by_passkey, email=user.email)


@never_cache
@csrf_protect
@sensitive_post_parameters("code", "credential")
@require_http_methods(["GET", "HEAD", "POST"])
def enrolment_step(request: HttpRequest) -> HttpResponse:
    """Set up what a role asks for: whoever lacks it gets here, and nowhere else."""
    pending = steps.pending(request)
    if pending is None or not _may_enrol(pending):
        return redirect("admin:login")
    user, by = pending.user, _proven(request, pending)
    form = AppCodeForm(request.POST or None)
    needs_passkey = user.demands.strength is Strength.PHISHING_RESISTANT

    def by_code() -> HttpResponse:
        if needs_passkey:
            raise NotAuthenticatedError("Your role asks for a passkey.")
        device = devices.confirm_authenticator(user, form.cleaned_data["code"], by=by)
        if device is None:
            steps.fail(request, user)
        return _enrolled(request, user, device, pending)

    def by_passkey(credential: str) -> HttpResponse:
        name = devices.clean_name(request.POST.get("name") or "Passkey")
        passkey = passkeys.finish_registration(request, user, credential, name=name)
        return _enrolled(request, user, devices.add_passkey(passkey, by=by), pending)

    context: dict[str, object] = {
        "needs_passkey": needs_passkey,
        "short_password": not user.has_long_password,
    }
    if not needs_passkey:
        device = new_authenticator(request, user)
        context |= {"qr": qr_code(device), "secret": grouped(device)}
    return answer(request, "accounts/enrolment.html", form, by_code, context, passkey=by_passkey)


@never_cache
@csrf_protect
@require_POST
def passkey_options(request: HttpRequest) -> HttpResponse:
    """Answer a script with a fresh challenge, and what the browser needs besides, for one ceremony."""
    try:
        pending = steps.pending(request)
        count(request, pending.user.email if pending else getattr(request.user, "email", ""))
        return as_json(_options(request, request.POST.get("for", "")))
    except DomainError as error:
        return as_json({"detail": error.detail}, status=STATUSES.get(type(error), 400))


def _options(request: HttpRequest, ceremony: str) -> dict[str, object]:
    pending = steps.pending(request)
    signed_in = request.user if isinstance(request.user, User) else None
    if ceremony == Ceremony.SIGN_IN:
        return passkeys.begin_assertion(request, Ceremony.SIGN_IN, None)
    if ceremony == Ceremony.SECOND_FACTOR and pending is not None:
        return passkeys.begin_assertion(request, Ceremony.SECOND_FACTOR, pending.user)
    if ceremony == Ceremony.STEP_UP and signed_in is not None:
        return passkeys.begin_assertion(request, Ceremony.STEP_UP, signed_in)
    if ceremony == Ceremony.ENROLMENT and signed_in is not None:
        return passkeys.begin_registration(request, signed_in)
    if ceremony == Ceremony.ENROLMENT and pending is not None and _may_enrol(pending):
        return passkeys.begin_registration(request, pending.user)
    raise NotAuthenticatedError("Sign in first.")


@never_cache
@csrf_protect
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End this session, and let the browser forget what it kept of our pages."""
    sessions.end_in_admin(request)
    response = see_other(reverse("admin:login"))
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


def _may_enrol(pending: Pending) -> bool:
    """Tell whether something is missing that the person must have, and all that they have was given."""
    if steps.is_strong_enough(pending.user, pending.given):
        return False
    return pending.given > Strength.PASSWORD or steps.what_is_next(pending.user) is Next.ENROLMENT


def _proven(request: HttpRequest, pending: Pending) -> Principal:
    """Return the person between the steps, who has shown all that there is to show so far."""
    by = at_request(of_user(pending.user), request)
    return by.having_confirmed("factor" if pending.given > Strength.PASSWORD else "password")


def _accepted(request: HttpRequest, ceremony: Ceremony, user: User | None, credential: str) -> Passkey:
    """Check a passkey; one that is refused counts as a failed attempt."""
    try:
        return passkeys.finish_assertion(request, ceremony, user, credential)
    except passkeys.PasskeyRefusedError:
        steps.count_failure(request, user)
        raise


def _go_on(request: HttpRequest, user: User, device: OwnedDevice, target: str) -> HttpResponse:
    """Let in whoever gave enough, and send the others to enrol what their role asks for.

    Raises StrongerFactorRequiredError for who has it: a phished code shall lead to no passkey of the phisher's.
    """
    if steps.is_strong_enough(user, device.strength):
        return _finish(request, user, device, target)
    if Passkey.objects.filter(user=user).exists() and not isinstance(device, RecoveryCodes):
        steps.count_failure(request, user)
        raise StrongerFactorRequiredError(
            "Your role asks for your passkey. If you lost it, give a recovery code."
        )
    steps.remember_step(request, user, target, given=device.strength)
    return see_other(reverse("admin:login-enrolment"))


def _enrolled(request: HttpRequest, user: User, device: OwnedDevice, pending: Pending) -> HttpResponse:
    """Let in whoever has just enrolled; with their first factor they get recovery codes, shown this once."""
    user = User.objects.get(pk=user.pk)  # what sessions are bound to has changed with the device
    by = _proven(request, pending).having_confirmed("factor")
    is_first = pending.given is Strength.PASSWORD
    codes = devices.make_recovery_codes(user, by=by) if is_first else []
    response = _finish(request, user, device, pending.next_url)
    if not codes:
        return response
    shown = render(request, "accounts/recovery_codes.html", {"codes": codes, "next": pending.next_url})
    shown.headers["Cache-Control"] = "no-store"
    shown.cookies.update(response.cookies)
    return shown


def _finish(request: HttpRequest, user: User, device: OwnedDevice | None, target: str) -> HttpResponse:
    sessions.start_in_admin(request, user, device)
    if isinstance(device, RecoveryCodes) and len(device.macs) <= _FEW:
        left = len(device.macs)
        messages.warning(request, f"{left or 'No'} recovery codes are left. Make new ones in your account.")
    response = see_other(target)
    browsers.remember(response, user.email)
    return response
