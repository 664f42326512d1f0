"""Which environment this is. Whatever opens a door carries the name of the one that it was made in."""

from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest

from accounts.errors import NotAuthenticatedError

NAMES: Final = ("development", "staging", "production")


class OtherEnvironmentError(NotAuthenticatedError):
    """A credential of another environment: a copy of the database must not make it good here."""

    code = "other-environment"
    default_detail = "This is for another environment."


def name() -> str:
    """Return the name of this environment."""
    return str(settings.ENVIRONMENT.name)


def refusal(what: str, made_in: object) -> str:
    """Return the sentence that names both environments; "" for what is of this one, or of none that there is.

    `made_in` may be the mere claim of something that is refused in any case: it is shown only where it is one of ours.
    """
    if not isinstance(made_in, str) or made_in not in NAMES or made_in == name():
        return ""
    return f"This {what} is for the environment {made_in}, and this is {name()}."


def require_own(what: str, made_in: object) -> None:
    """Raise OtherEnvironmentError for what says that it is of another environment."""
    sentence = refusal(what, made_in)
    if sentence:
        raise OtherEnvironmentError(sentence)


def shown(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001 (a context processor)
    """Put the name and the colour on every page, so that nobody takes production for a place to try things."""
    return {"environment": name(), "environment_colour": settings.ENVIRONMENT.colour}
