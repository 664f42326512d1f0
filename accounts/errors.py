"""The errors that apps raise: each names the broken rule. `cms_project.problems` alone turns them into HTTP."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of an input: where it stands (`pointer`, RFC 6901, or `parameter`), a kebab-case code, a sentence."""

    code: str
    detail: str
    pointer: str | None = None
    parameter: str | None = None

    @classmethod
    def at(cls, path: Iterable[str | int], code: str, detail: str) -> "Problem":
        """Build a problem at a path of keys and indexes, e.g. `("fields", "title")` → `/fields/title`."""
        escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
        return cls(code=code, detail=detail, pointer="".join(f"/{part}" for part in escaped))


def placed(problems: Iterable[Problem], *place: str | int) -> list[Problem]:
    """Return problems with a place put in front of where each stands."""
    front = Problem.at(place, "", "").pointer or ""
    return [replace(item, pointer=front + (item.pointer or "")) for item in problems]


class RefusedError(Exception):
    """Base of all refusals. `code` is public and stable; `detail` is for people and holds no secret."""

    code: str = "refused"
    default_detail: ClassVar[str] = "The request was refused."

    def __init__(
        self, detail: str = "", *, errors: Iterable[Problem] = (), code: str = "", **extensions: object
    ) -> None:
        self.code = code or type(self).code
        self.detail = detail or self.default_detail
        self.errors = tuple(errors)
        self.extensions = extensions  # further RFC 9457 members, e.g. `current` of a stale save
        super().__init__(
            self.detail, *(f"{item.pointer or item.parameter}: {item.detail}" for item in self.errors)
        )


class DomainError(RefusedError):
    """A refusal that whoever asks is told where they asked, and can do something about there."""


class StepUpRequiredError(RefusedError):
    """The act is a dangerous one, and the last proof of who acts is over ten minutes old.

    No `DomainError`: no form, list or page may take it for one of its own and turn it into a message. It goes up to the
    site, which asks and lets the act go on.
    """

    code = "step-up-required"
    default_detail = (
        "This needs your second factor again. Send it with a reason to /api/v1/auth/step-up, then repeat."
    )


class NotFoundError(DomainError):
    """What is hidden from the caller and what does not exist look the same, so this carries no detail of its own."""

    code = "not-found"
    default_detail = "There is nothing here that you can see."


class NotAuthenticatedError(DomainError):
    """No credential, or a bad, expired or revoked one (401 with WWW-Authenticate)."""

    code = "not-authenticated"
    default_detail = "A valid credential is needed."


class RetiredSecretError(NotAuthenticatedError):
    """The former secret of a key that was rotated, after its overlap. Whoever sends it has missed the new one."""

    code = "secret-retired"
    default_detail = "This API key was rotated and its former secret has been retired. Use the new one."

    def __init__(self, public_id: str, secret_hash: str) -> None:
        super().__init__()
        self.public_id, self.secret_hash = public_id, secret_hash


class SecondFactorRequiredError(NotAuthenticatedError):
    """The password was right; the account's second factor is still missing."""

    code = "second-factor-required"
    default_detail = "Send the one-time code of your authenticator as `otp`."


class SecondFactorEnrolmentRequiredError(NotAuthenticatedError):
    """The password was right; a role asks for a second factor, and the account has none yet."""

    code = "second-factor-enrolment-required"
    default_detail = "Your role asks for a second factor. Sign in to the admin once to set it up."


class StrongerFactorRequiredError(NotAuthenticatedError):
    """A role asks for a passkey, which only a browser can show."""

    code = "phishing-resistant-factor-required"
    default_detail = "Your role asks for a passkey. Sign in to the admin; programs use an API key."


class LockedOutError(DomainError):
    """Too many failed sign-ins for this account or address; the cool-off is running."""

    code = "locked-out"
    default_detail = "Too many failed attempts. Try again later."


class TooManyRequestsError(DomainError):
    """The caller's quota is used up; `retry_after` in the extensions says for how many seconds."""

    code = "too-many-requests"
    default_detail = "Too many requests. Try again later."


class NotAllowedError(DomainError):
    """The caller may see the thing, but may not do this with it."""

    code = "not-allowed"
    default_detail = "You may not do this."


class LockedDownError(DomainError):
    """The whole system is locked down: nothing is written, by nobody, until an operator lifts it."""

    code = "locked-down"
    default_detail = (
        "The system is locked down: nothing can be changed for now, by nobody. Nothing was saved."
    )


class InvalidInputError(DomainError):
    """The input is wrong; `errors` names each place."""

    code = "invalid-input"
    default_detail = "The input is not valid."


class UnknownParameterError(InvalidInputError):
    """A query parameter, or a name inside it, that is unknown or may not be used by this caller (the same answer)."""

    code = "unknown-parameter"


class ConflictError(DomainError):
    """The state of things forbids it now, e.g. others refer to what would be deleted."""

    code = "conflict"
    default_detail = "This conflicts with the present state."


class ConfirmationRequiredError(ConflictError):
    """The act would lose data; it must be confirmed. `effects` in the extensions says what is lost."""

    code = "confirmation-required"
    default_detail = 'This would lose data. Send "confirm": true to do it all the same.'


class StaleVersionError(DomainError):
    """Somebody saved in between; nothing was overwritten. `current` in the extensions is the present document."""

    code = "stale-version"
    default_detail = "The entry was changed since the version you started from."


class PreconditionRequiredError(DomainError):
    """A change must name the version that it started from (RFC 6585, section 3)."""

    code = "precondition-required"
    default_detail = 'Send If-Match: "<_version>" with the version that you started from.'


class EntryIncompleteError(InvalidInputError):
    """Publishing was asked for, but something is missing; `errors` lists all of it."""

    code = "entry-incomplete"
    default_detail = "The entry is not complete enough to be published."


class UnavailableError(DomainError):
    """Something that is needed does not answer; failing closed."""

    code = "unavailable"
    default_detail = "This is not available at the moment. Try again shortly."
