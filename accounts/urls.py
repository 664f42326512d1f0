"""The doors of the admin, before Django's own, which so have no door left; and the pages of one's own account."""

from collections.abc import Callable
from typing import Any

from django.urls import URLPattern, path

from accounts.pages import account, links, sign_in

View = Callable[..., Any]

DOORS = [
    path("login/", sign_in.password_step, name="login"),
    path("login/code/", sign_in.code_step, name="login-code"),
    path("login/enrolment/", sign_in.enrolment_step, name="login-enrolment"),
    path("passkey/", sign_in.passkey_options, name="passkey"),
    path("logout/", sign_in.sign_out, name="logout"),
    path("forgotten/", links.forgotten, name="forgotten"),
    path("forgotten/sent/", links.forgotten_sent, name="forgotten-sent"),
    path("link/", links.link, name="link"),
    path("new-password/", links.new_password, name="new-password"),
    path("password-strength/", links.strength, name="password-strength"),
]
OWN: list[tuple[str, View, str]] = [
    ("", account.account, "account"),
    ("password/", account.password, "account-password"),
    ("authenticator/", account.authenticator, "account-authenticator"),
    ("passkeys/new/", account.passkey, "account-passkey"),
    ("devices/<uuid:device_id>/rename/", account.rename, "account-rename"),
    ("devices/<uuid:device_id>/remove/", account.remove, "account-remove"),
    ("recovery-codes/", account.recovery_codes, "account-recovery-codes"),
    ("sessions/others/end/", account.end_other_sessions, "account-end-others"),
    ("sessions/<uuid:session_id>/end/", account.end_session, "account-end-session"),
]


def urlpatterns(admin_view: Callable[[View], View]) -> list[URLPattern]:
    """Return the doors, which are open, and the pages of an account, which are for who is signed in."""
    return [*DOORS, *(path(f"account/{route}", admin_view(view), name=name) for route, view, name in OWN)]
