"""The page of the admin that locks the system down. There is none that lifts it: that takes the owner's connection."""

import logging
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from accounts.access import Area
from accounts.pages.frame import show
from accounts.principals import of_request
from cms_project import lockdown, lockdown_bundle

logger = logging.getLogger("quillkeep.lockdown")


class LockdownForm(forms.Form):
    """Why, and whether people stay signed in."""

    reason = forms.CharField(
        label="Why",
        max_length=lockdown.LONGEST_REASON,
        help_text="For the log, and for everybody who is signed in and wonders.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    keep_sessions = forms.BooleanField(label="Leave everybody signed in", required=False)


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Show how things are; lock down with a reason and a second factor."""
    by = of_request(request)
    if not by.administers(Area.OPERATIONS):
        raise PermissionDenied
    form = LockdownForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        by.require_step_up()
        keep = form.cleaned_data["keep_sessions"]
        effect = lockdown.begin(reason=form.cleaned_data["reason"], by=by, keep_sessions=keep)
        return _done(request, effect)
    context: dict[str, Any] = {"title": "Lock down", "form": form, "status": lockdown.status()}
    status = 400 if form.is_bound else 200
    return show(request, "admin/lockdown.html", {**context, "refused": lockdown.REFUSED}, status=status)


def _done(request: HttpRequest, effect: lockdown.Effect) -> HttpResponse:
    """Say what was done: the session of who did it has most likely ended with the others."""
    try:
        # Proving a long log takes longer than a request may; the command and `audit verify` do it.
        lockdown_bundle.write(effect, is_verified=False)
    except (OSError, DatabaseError) as error:
        logger.exception("The bundle of the lockdown could not be written.")
        effect.faults.append(f"The bundle could not be written ({type(error).__name__}).")
    response = render(request, "admin/lockdown_done.html", {"effect": effect})
    response.headers["Cache-Control"] = "no-store"
    return response
