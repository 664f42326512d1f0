"""Forgotten passwords and invitations: asking for a mail, and choosing a password by its link."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts.errors import DomainError, NotFoundError, TooManyRequestsError
from accounts.limits import Policy, by_address, hit
from accounts.models.user import User
from accounts.pages.frame import STATUSES, EmailForm, NewPasswordForm, answer, as_json, count, see_other
from accounts.people import least_length
from accounts.sign_in import links, passwords

_LINK_KEY = "accounts_link"
ESTIMATES = Policy("password-estimates", quota=240, fails_open=True)


@never_cache
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def forgotten(request: HttpRequest) -> HttpResponse:
    """Ask for a mail with a link. The answer is the same whether anybody has the address or not."""
    form = EmailForm(request.POST or None)

    def ask() -> HttpResponse:
        links.ask_for_reset(request, form.cleaned_data["email"])
        return see_other(reverse("admin:forgotten-sent"))

    return answer(request, "accounts/forgotten.html", form, ask, {})


@never_cache
@require_http_methods(["GET", "HEAD"])
def forgotten_sent(request: HttpRequest) -> HttpResponse:
    """Say that a mail is on its way, to whomever it concerns."""
    return render(request, "accounts/forgotten_sent.html")


@never_cache
@csrf_protect
@sensitive_post_parameters("token")
@sensitive_variables("token")
@require_http_methods(["GET", "HEAD", "POST"])
def link(request: HttpRequest) -> HttpResponse:
    """Take the secret of a link, which a script reads from behind the `#`, or people paste, into the session."""
    if request.method != "POST":
        return render(request, "accounts/link.html")
    token = request.POST.get("token", "").strip().rpartition("#")[2][:400]
    try:
        count(request)
        links.read(token)
    except NotFoundError:
        return render(request, "accounts/link_gone.html", status=404)
    except DomainError as error:
        context = {"problem": error.detail}
        return render(request, "accounts/link.html", context, status=STATUSES.get(type(error), 400))
    request.session.flush()  # whatever was planted, or whoever is signed in, has no part in this
    request.session[_LINK_KEY] = token
    return see_other(reverse("admin:new-password"))


@never_cache
@csrf_protect
@sensitive_post_parameters("password", "repeated")
@sensitive_variables("form", "token")
@require_http_methods(["GET", "HEAD", "POST"])
def new_password(request: HttpRequest) -> HttpResponse:
    """Choose a password by a link; people sign in with it afterwards, second factor and all."""
    token = request.session.get(_LINK_KEY)
    if token is None:
        return redirect("admin:login")
    try:
        user, purpose = links.read(token)
    except NotFoundError:
        return render(request, "accounts/link_gone.html", status=404)
    form = NewPasswordForm(request.POST or None)

    def choose() -> HttpResponse:
        links.use(request, token, form.cleaned_data["password"])
        request.session.flush()
        messages.success(request, "Your password is kept. Sign in with it.")
        return see_other(reverse("admin:login"))

    context = {"person": user, "purpose": purpose.value, "least": least_length(user)}
    return answer(request, "accounts/new_password.html", form, choose, context)


@never_cache
@csrf_protect
@sensitive_post_parameters("password")
@sensitive_variables("password")
@require_http_methods(["POST"])
def strength(request: HttpRequest) -> HttpResponse:
    """Tell a script how hard a password is to guess, while it is typed. Nothing of it is kept or logged.

    Only for who is about to choose one: estimating takes a while, and nobody else has any use for it.
    """
    user = _whose(request)
    if user is None:
        return as_json({"detail": "There is nobody whose password this would be."}, status=400)
    state = hit(ESTIMATES, by_address(request))
    if state is not None and state.is_exceeded:
        return as_json({"detail": TooManyRequestsError.default_detail}, status=429)
    password = request.POST.get("password", "")[:200]
    found = passwords.estimate(password, about=[user.email, user.name])
    return as_json(
        {
            "score": found.score,
            "advice": list(found.advice),
            "length": passwords.length(password),
            "least": least_length(user),
        }
    )


def _whose(request: HttpRequest) -> User | None:
    if isinstance(request.user, User):
        return request.user
    try:
        return links.read(request.session.get(_LINK_KEY, ""))[0]
    except NotFoundError:
        return None
