"""Showing once more who one is, before a dangerous act: the act waits, and nothing that was typed is lost.

The page that asks holds the form that was sent. What is given goes along with it to the same address, so that one
answer both confirms and acts.
"""

from typing import Final

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from accounts.errors import DomainError, NotAuthenticatedError, StepUpRequiredError
from accounts.models.device import Passkey
from accounts.models.role import Strength
from accounts.models.user import User
from accounts.pages.frame import STATUSES, count, see_other
from accounts.principals import forget, of_request
from accounts.sign_in import devices, passkeys, sessions, steps
from accounts.sign_in.passkeys import Ceremony

# Names of inputs. `then` says "get" where there is no form to go on with, or one whose secrets must be typed anew.
CODE, PASSKEY, PASSWORD, REASON, THEN = (
    f"step-up-{name}" for name in ("code", "credential", "password", "reason", "then")
)
FIELDS: Final = frozenset({CODE, PASSKEY, PASSWORD, REASON, THEN})
OWN_ACCOUNT: Final = "A change of my own account"  # reason enough
# Typed again rather than sent to and fro in a page.
SECRETS: Final = frozenset({"password", "repeated", "credential", "code", "token", "csrfmiddlewaretoken"})


def is_answer(request: HttpRequest) -> bool:
    """Tell whether somebody answers the page of this module."""
    return request.method == "POST" and not FIELDS.isdisjoint(request.POST)


def confirm(request: HttpRequest) -> HttpResponse | None:
    """Take what was given out of the form and check it; None lets the request go on. Raises DomainError."""
    given = {name: request.POST.get(name, "") for name in FIELDS}
    request.step_up_given = given  # type: ignore[attr-defined]  # for `ask`, when it was wrong
    request.POST = _without(request.POST, FIELDS)  # type: ignore[assignment]  # as Django's own parsing does
    user, by = request.user, of_request(request)
    if not isinstance(user, User):
        raise NotAuthenticatedError
    count(request, user.email)
    session = sessions.of_principal(by)
    if given[PASSKEY]:
        try:
            passkey = passkeys.finish_assertion(request, Ceremony.STEP_UP, user, given[PASSKEY])
        except passkeys.PasskeyRefusedError:
            steps.count_failure(request, user, by=by)
            raise
        strength = passkey.strength
    elif given[CODE]:
        strength = steps.check_code(request, user, given[CODE], by=by).strength
    elif given[PASSWORD] and not devices.has_factor(user):
        if steps.check_password(request, user.email, given[PASSWORD], by=by).pk != user.pk:
            raise NotAuthenticatedError
        strength = Strength.PASSWORD
    else:
        raise NotAuthenticatedError("Give your second factor.")
    request.live_session = sessions.confirm(  # type: ignore[attr-defined]  # read by accounts.principals
        session, strength=strength, reason=given[REASON], by=by
    )
    request.session.cycle_key()
    forget(request)
    return see_other(request.get_full_path()) if given[THEN] == "get" else None


def ask(request: HttpRequest, error: StepUpRequiredError, problem: DomainError | None = None) -> HttpResponse:
    """Show the page, with what the form held in it."""
    user = request.user
    if not isinstance(user, User):
        raise NotAuthenticatedError
    has_factor = devices.has_factor(user)
    given = getattr(request, "step_up_given", {})
    is_whole = request.method == "POST" and SECRETS.isdisjoint({*request.POST} - {"csrfmiddlewaretoken"})
    context = {
        **admin.site.each_context(request),
        "title": "Confirm that it’s you",
        "address": request.get_full_path(),
        "sent": _sent(request) if is_whole else [],
        "then": given.get(THEN) or ("" if is_whole else "get"),
        "has_passkey": Passkey.objects.filter(user=user).exists(),
        "has_codes": user.demands.strength < Strength.PHISHING_RESISTANT and devices.has_codes(user),
        "has_factor": has_factor,
        "with_password": not has_factor
        and bool(error.extensions.get("password_is_enough") or given.get(PASSWORD)),
        "is_own": bool(error.extensions.get("own_account")) or given.get(REASON) == OWN_ACCOUNT,
        "own_account": OWN_ACCOUNT,
        "problem": (" ".join(item.detail for item in problem.errors) or problem.detail) if problem else "",
        "reason": given.get(REASON, ""),
    }
    status = STATUSES.get(type(problem), 400) if problem else 403
    response = render(request, "accounts/step_up.html", context, status=status)
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _sent(request: HttpRequest) -> list[tuple[str, str]]:
    hidden = FIELDS | SECRETS
    return [
        (name, str(value)) for name, values in request.POST.lists() if name not in hidden for value in values
    ]


def _without(form: QueryDict, names: frozenset[str]) -> QueryDict:
    rest = form.copy()
    for name in names:
        rest.pop(name, None)
    rest._mutable = False  # noqa: SLF001 (as Django's own parsing leaves it)
    return rest
