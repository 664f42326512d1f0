"""Who calls an API: a bearer credential, or nobody. Cookies mean nothing here, so no other site can ride on them."""

from typing import ClassVar, Final
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts import limits, principals
from accounts.access import Principal
from accounts.addresses import client_address
from accounts.buckets import Notes
from accounts.errors import LockedDownError, NotAuthenticatedError, RetiredSecretError
from accounts.keys import api_keys, usage, whereabouts
from accounts.models.credential import Bearer
from accounts.models.session import Session, goes_on
from accounts.sign_in.tokens import AccessToken

Found = tuple[Principal, dict[str, int], Notes | None]  # who, the generations, what to note of a key
LONGEST_HEADER: Final = 8 * 1024


class BearerAuthentication(BaseAuthentication):
    """API key or access token in `Authorization: Bearer …`. Puts the principal on `request.auth`.

    Also sets `request.generations` (name → value), read in the same query as the credential.
    A credential that is bad, expired or revoked raises NotAuthenticatedError; it never becomes anonymous.
    """

    using: ClassVar[str]
    loads_object_grants: ClassVar[bool]

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Principal]:
        header = request.META.get("HTTP_AUTHORIZATION")
        notes = None
        if header is None:
            principal, generations = principals.anonymous(using=self.using)
        else:
            principal, generations, notes = self._of_bearer_header(request, header)
        # Here, so that it comes before rights are asked: also what is refused is counted.
        view = request.parser_context.get("view")
        limits.admit(request._request, principal, view, notes=notes)  # noqa: SLF001 (DRF's wrapper)
        request.generations = generations  # type: ignore[attr-defined]  # documented above
        if self.loads_object_grants:
            principal = principals.with_object_grants(principal)
        return AnonymousUser(), principals.at_request(principal, request._request)  # noqa: SLF001 (DRF's wrapper)

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 (DRF's signature)
        return 'Bearer realm="quillkeep"'

    def _of_bearer_header(self, request: Request, header: str) -> Found:
        """Read the header and count it when it is no good: guessing costs, and soon asks the database nothing."""
        counted = request._request  # noqa: SLF001 (DRF's wrapper)
        limits.require_few_failures(counted, header)
        try:
            found = self._of_header(request, header)
        except NotAuthenticatedError as error:
            notes = None
            if isinstance(error, RetiredSecretError):
                notes = usage.refusal(error.public_id, error.secret_hash)
            limits.count_failure(counted, header, notes=notes)
            raise
        limits.note_good(header)
        return found

    def _of_header(self, request: Request, header: str) -> Found:
        if len(header) > LONGEST_HEADER:
            raise NotAuthenticatedError("The credential is too long.")
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer" or not text.isascii():
            raise NotAuthenticatedError("Send the credential as `Authorization: Bearer …`.")
        if text.startswith(api_keys.PREFIX):
            return self._of_key(request, text)
        return self._of_token(text)

    def _of_key(self, request: Request, text: str) -> Found:
        address = client_address(request._request)  # noqa: SLF001 (DRF's wrapper)
        row, sent = api_keys.check(
            text, using=self.using, address=address, origin=request.META.get("HTTP_ORIGIN", "")
        )
        principal, scopes = principals.of_credential(row, using=self.using), principals.scopes_of(row.scopes)
        if principal.is_locked_down and not scopes.only_read_what_is_published:
            # Whichever key was stolen: one that can do more than sites need is refused whole, reads included.
            raise LockedDownError(
                "The system is locked down: only keys that do no more than read what is published are taken."
            )
        usage.watch(request._request, principal)  # noqa: SLF001 (DRF's wrapper)
        whereabouts.note(row.public_id, address)
        return principal, row.generations, usage.call(row.public_id, sent, address)

    def _of_token(self, text: str) -> Found:
        claims = AccessToken.read(text)
        row = live_bearer(claims.session_id, claims.user_id, claims.token_version, using=self.using)
        return principals.of_bearer(row, using=self.using), row.generations, None


def live_bearer(session_id: UUID, user_id: UUID, token_version: int, *, using: str) -> Bearer:
    """Return the row of an API session whose user may still act, in one query. Raises NotAuthenticatedError.

    A token is only a claim: the user's state is looked at on every use (CVE-2025-4643, CVE-2025-30351).
    """
    row = next(iter(Bearer.objects.using(using).filter(pk=session_id)), None)
    if (
        row is None
        or row.kind != Session.Kind.API
        or not goes_on(row, row.demands, timezone.now())
        or row.user_id != user_id
        or row.token_version != token_version
        or not row.user_is_active
        or row.user_is_service
    ):
        raise NotAuthenticatedError("The session of this token has ended.")
    return row


class DeliveryAuthentication(BearerAuthentication):
    """For published content: one query, through the delivery role, which can't read users or keys themselves."""

    using = "delivery"
    loads_object_grants = False


class ManagementAuthentication(BearerAuthentication):
    """For management and edge: with the grants on single entries."""

    using = "default"
    loads_object_grants = True
