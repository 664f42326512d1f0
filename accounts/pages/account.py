"""One's own account: password, second factors, recovery codes, and where one is signed in."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from accounts import people, places
from accounts.errors import DomainError, NotFoundError
from accounts.models.device import Authenticator, OwnedDevice, Passkey, RecoveryCodes
from accounts.models.session import Session
from accounts.models.user import User
from accounts.pages.frame import (
    AppCodeForm,
    NewPasswordForm,
    count,
    grouped,
    new_authenticator,
    put_problems,
    qr_code,
    see_other,
    show,
)
from accounts.principals import of_request
from accounts.sign_in import agents, devices, passkeys, sessions

P = ParamSpec("P")
Act = Callable[Concatenate[HttpRequest, User, P], None]


def _person(request: HttpRequest) -> User:
    """Return who is signed in; the admin's frame lets nobody else come here."""
    if not isinstance(request.user, User):
        raise Http404
    return User.objects.get(pk=request.user.pk)


def act(done: str) -> Callable[[Act[P]], Callable[Concatenate[HttpRequest, P], HttpResponse]]:
    """Make a POST of one's own account: do it, go back there, and say what was done or refused."""

    def decorate(view: Act[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @require_POST
        @wraps(view)
        def answer(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            try:
                view(request, _person(request), *args, **kwargs)
            except NotFoundError as error:
                raise Http404 from error
            except DomainError as error:
                said = " ".join(problem.detail for problem in error.errors) or error.detail
                messages.error(request, said)
            else:
                messages.success(request, done)
            return see_other(reverse("admin:account"))

        return answer

    return decorate


@require_http_methods(["GET", "HEAD"])
def account(request: HttpRequest) -> HttpResponse:
    """Show how one signs in, and where one is signed in now."""
    user, by = _person(request), of_request(request)
    live = [
        {
            "session": session,
            "device": agents.describe(session.agent) if session.kind == "admin" else "API",
            "agent": session.agent,
            "place": places.country(session.address),
            "is_this": str(session.pk) == by.credential_id,
        }
        for session in Session.objects.live().filter(user=user).order_by("-last_seen_at")
    ]
    context = {
        "title": "Your account",
        "person": user,
        "authenticator": Authenticator.objects.filter(user=user, confirmed=True).first(),
        "passkeys": Passkey.objects.filter(user=user).order_by("pk"),
        "codes": RecoveryCodes.objects.filter(user=user).first(),
        "has_factor": devices.has_factor(user),
        "sessions": live,
        "demands": user.demands,
    }
    return show(request, "accounts/account.html", context)


# --- Password -------------------------------------------------------------------------------------------------


@sensitive_post_parameters("password", "repeated")
@sensitive_variables("form")
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Choose another password. It is asked who one is before anything is typed."""
    user, by = _person(request), of_request(request)
    devices.require_proof(user, by)
    form = NewPasswordForm(request.POST or None)

    context = {"title": "Choose another password", "least": people.least_length(user), "person": user}
    if request.method == "POST":
        try:
            if form.is_valid():
                people.set_password(user, form.cleaned_data["password"], by=by)
                sessions.keep(request, User.objects.get(pk=user.pk))
                messages.success(request, "Your password was changed. You are signed out everywhere else.")
                return see_other(reverse("admin:account"))
        except DomainError as error:
            put_problems(form, error)
    return show(
        request,
        "accounts/password.html",
        {**context, "form": form},
        status=400 if request.method == "POST" else 200,
    )


# --- Second factors -------------------------------------------------------------------------------------------


@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def authenticator(request: HttpRequest) -> HttpResponse:
    """Set up an authenticator app, in the place of a former one."""
    user, by = _person(request), of_request(request)
    devices.require_proof(user, by)
    form = AppCodeForm(request.POST or None)
    is_first = not devices.has_factor(user)
    if request.method == "POST":
        try:
            count(request, user.email)
            if form.is_valid():
                device = devices.confirm_authenticator(user, form.cleaned_data["code"], by=by)
                if device is not None:
                    return _enrolled(request, device, is_first=is_first)
                form.add_error("code", "This code is not right. Does the clock of your phone go right?")
        except DomainError as error:
            put_problems(form, error)
    device = new_authenticator(request, user)
    context = {
        "title": "Set up an authenticator app",
        "form": form,
        "qr": qr_code(device),
        "secret": grouped(device),
    }
    return show(
        request, "accounts/authenticator.html", context, status=400 if request.method == "POST" else 200
    )


@require_http_methods(["GET", "HEAD", "POST"])
def passkey(request: HttpRequest) -> HttpResponse:
    """Add a passkey; the browser asks for it."""
    user, by = _person(request), of_request(request)
    devices.require_proof(user, by)
    is_first = not devices.has_factor(user)
    context: dict[str, Any] = {"title": "Add a passkey", "name": request.POST.get("name", "")[:64]}
    if request.method == "POST":
        try:
            count(request, user.email)
            name = devices.clean_name(request.POST.get("name", ""))
            made = passkeys.finish_registration(request, user, request.POST.get("credential", ""), name=name)
            return _enrolled(request, devices.add_passkey(made, by=by), is_first=is_first)
        except DomainError as error:
            context["problem"] = " ".join(problem.detail for problem in error.errors) or error.detail
    return show(request, "accounts/passkey.html", context, status=400 if request.method == "POST" else 200)


def _enrolled(request: HttpRequest, device: OwnedDevice, *, is_first: bool) -> HttpResponse:
    """Go on in this session, which now has a factor; with the first one come recovery codes."""
    user = User.objects.get(pk=device.user_id)
    by = of_request(request).having_confirmed("factor")
    sessions.strengthen(sessions.of_principal(by), device, by=by)
    sessions.keep(request, user, device=device)
    if is_first:
        codes = devices.make_recovery_codes(user, by=by)
        return _codes(request, codes)
    messages.success(request, f"“{device.name}” was added. You are signed out everywhere else.")
    return see_other(reverse("admin:account"))


@act("It has another name now.")
def rename(request: HttpRequest, _user: User, device_id: UUID) -> None:
    """Give a passkey another name."""
    devices.rename(device_id, request.POST.get("name", ""), by=of_request(request))


@act("It was removed. You are signed out everywhere else.")
def remove(request: HttpRequest, user: User, device_id: UUID) -> None:
    """Remove a passkey, or the authenticator."""
    for kind in (Passkey, Authenticator):
        device = kind.objects.filter(pk=device_id, user=user, confirmed=True).first()
        if device is not None:
            devices.remove(device, by=of_request(request))
            sessions.keep(request, User.objects.get(pk=user.pk))
            return
    raise NotFoundError


@require_POST
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Make new recovery codes and show them, this once."""
    user, by = _person(request), of_request(request)
    if not devices.has_factor(user):
        raise Http404  # there is nothing that they would stand in for
    return _codes(request, devices.make_recovery_codes(user, by=by))


def _codes(request: HttpRequest, codes: Any) -> HttpResponse:
    context = {"title": "Your recovery codes", "codes": codes, "next": reverse("admin:account")}
    return show(request, "accounts/new_codes.html", context)


# --- Sessions -------------------------------------------------------------------------------------------------


@act("The session was ended.")
def end_session(request: HttpRequest, user: User, session_id: UUID) -> None:
    """End one session, wherever it is."""
    session = Session.objects.live().filter(pk=session_id, user=user).first()
    if session is None:
        raise NotFoundError
    sessions.end(session, by=of_request(request))


@act("You are signed out everywhere else.")
def end_other_sessions(request: HttpRequest, user: User) -> None:
    """End every session but this one."""
    sessions.end_all(user, by=of_request(request))
