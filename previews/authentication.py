"""Who reads a draft: whoever holds a live preview's token, and nobody by any other credential."""

from typing import Final

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts import jws, limits, principals
from accounts.access import Principal
from accounts.environments import OtherEnvironmentError
from accounts.errors import NotAuthenticatedError
from accounts.log import Subject
from previews import opening, refusals, secrets, state, tokens
from previews.signing.life import GENERATION
from previews.tokens import InvalidTokenError, PreviewClaims

_LONGEST: Final = jws.LONGEST + len("Bearer ")


class PreviewAuthentication(BaseAuthentication):
    """A preview token in `Authorization: Bearer …`. Puts the editor's principal on `request.auth`.

    Also sets `request.preview` to the claims. What is no good raises NotAuthenticatedError: one answer for all of it.
    """

    def authenticate(self, request: Request) -> tuple[None, Principal]:
        django_request = request._request  # noqa: SLF001 (DRF's wrapper)
        header = request.META.get("HTTP_AUTHORIZATION", "")
        claims: PreviewClaims | None = None
        try:
            text = _token_in(header)
            claims = tokens.verify(text)
            found = opening.opened(claims, state.known(claims.preview_id))
            # What was read with it is never older than the commit that revoked a key: no process goes by an old table.
            if found.generations.get(GENERATION, 0) > claims.generation:
                claims = tokens.verify(text, at_least=found.generations[GENERATION])
        except InvalidTokenError as error:
            is_ours = claims is not None or error.reason == "expired"  # as its signature says
            # Only now: a site's visitors share its server's address, and what they send may keep no good one out.
            if not is_ours:
                limits.require_few_failures(django_request, header)
            _refuse(request, error, claims)
            if is_ours:
                limits.count_ended(django_request, header, credential=f"preview:{secrets.digest(header)}")
            else:
                limits.count_failure(django_request, header)
            if error.detail:
                raise OtherEnvironmentError(error.detail) from error
            raise NotAuthenticatedError("This preview is not valid, or is over.") from error
        limits.note_good(header)
        principal = principals.at_request(found.principal, django_request)
        notes = state.opened(claims.preview_id, principal.address)
        limits.admit(django_request, principal, request.parser_context.get("view"), notes=notes)
        if found.is_first:
            opening.note_first_open(claims, principal, request.META.get("HTTP_USER_AGENT", ""))
        request.preview = claims  # type: ignore[attr-defined]  # documented above
        return None, principal

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 (DRF's signature)
        return 'Bearer realm="quillkeep preview"'


def _token_in(header: str) -> str:
    scheme, _, text = header.partition(" ")
    if not header:
        raise InvalidTokenError("no-token")
    if scheme.lower() != "bearer" or len(header) > _LONGEST or not text.isascii():
        raise InvalidTokenError("malformed")
    return text


def _refuse(request: Request, error: InvalidTokenError, claims: PreviewClaims | None) -> None:
    """Write the refusal down: of which preview where the signature is ours, and who sent it."""
    somebody = principals.at_request(Principal(kind="anonymous"), request._request)  # noqa: SLF001 (DRF's wrapper)
    subject = Subject("preview", str(claims.preview_id)) if claims is not None else None
    refusals.note(error.reason, by=somebody, subject=subject, detail={"at": "draft"})
