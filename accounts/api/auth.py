"""Signing in and out by API, and seeing and ending one's own sessions."""

from typing import Final
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import Area, Needs, Principal, principal_of
from accounts.api.bodies import LoginBody, RefreshBody, StepUpBody, TokensBody
from accounts.api.paging import PARAMETERS, about_request, page
from accounts.api.shapes import session_json
from accounts.api.strict import StrictSerializer, read_body, read_query
from accounts.authentication import ManagementAuthentication
from accounts.errors import ConflictError, NotFoundError
from accounts.limits import RefreshThrottle, SignInThrottle
from accounts.models.session import Session
from accounts.models.user import User
from accounts.sign_in import sessions, steps
from accounts.sign_in.steps import Tokens

ANYONE = Needs("anyone")
SIGNED_IN = Needs("signed_in")
NOT_ITS_OWN: Final = "No scope of it is about those of its owner."


def _answer(tokens: Tokens) -> Response:
    body = {"access": tokens.access, "refresh": tokens.refresh, "expires_in": tokens.expires_in}
    return Response(body, headers={"Cache-Control": "no-store"})


class LoginView(APIView):
    """Password, and the code of an authenticator where the account has one."""

    needs = ANYONE
    goes_on_in_lockdown = True
    authentication_classes = ()  # what is signed in with is in the body
    throttle_classes = [SignInThrottle]

    @extend_schema(request=LoginBody, responses={200: TokensBody}, auth=[])
    def post(self, request: Request) -> Response:
        body = read_body(LoginBody, request)
        return _answer(
            steps.sign_in_api(request._request, body["email"], body["password"], body.get("otp"))  # noqa: SLF001
        )


class RefreshView(APIView):
    """A new pair for a refresh token, which is then dead."""

    needs = ANYONE
    goes_on_in_lockdown = True
    authentication_classes = ()  # what is signed in with is in the body
    throttle_classes = [RefreshThrottle]

    @extend_schema(request=RefreshBody, responses={200: TokensBody}, auth=[])
    def post(self, request: Request) -> Response:
        body = read_body(RefreshBody, request)
        return _answer(steps.refresh(request._request, body["refresh"]))  # noqa: SLF001


class LogoutView(APIView):
    """Ends the session of the access token that is sent, and every token of it."""

    needs = SIGNED_IN
    goes_on_in_lockdown = True
    authentication_classes = [ManagementAuthentication]

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        read_body(StrictSerializer, request)
        principal = _signed_in(request, "Revoke the key instead.")
        sessions.end(Session.objects.get(pk=principal.credential_id), by=principal)
        return Response(status=204)


class StepUpView(APIView):
    """The second factor once more, and why: for ten minutes after it, dangerous acts are open to this session."""

    needs = SIGNED_IN
    authentication_classes = [ManagementAuthentication]
    throttle_classes = [SignInThrottle]

    @extend_schema(request=StepUpBody, responses={204: None})
    def post(self, request: Request) -> Response:
        body = read_body(StepUpBody, request)
        principal = _signed_in(request, "Its scopes say what it may.")
        session = sessions.of_principal(principal)
        device = steps.check_code(request._request, session.user, body["otp"], by=principal)  # noqa: SLF001
        sessions.confirm(session, strength=device.strength, reason=body["reason"], by=principal)
        return Response(status=204)


class MeView(APIView):
    """Who the credential belongs to, and what it may in outline."""

    needs = SIGNED_IN
    authentication_classes = [ManagementAuthentication]

    @extend_schema(responses={200: OpenApiResponse(description="The caller.")})
    def get(self, request: Request) -> Response:
        read_query(request, ())
        principal = principal_of(request)
        user = User.objects.get(pk=str(principal.user_id))
        return Response(
            {
                "id": str(user.pk),
                "email": user.email,
                "name": user.name,
                "kind": principal.kind,
                "roles": list(principal.roles),
                "is_administrator": principal.is_administrator,
                "areas": [area.value for area in Area if principal.administers(area)],
                "credential": principal.credential,
            }
        )


class SessionsView(APIView):
    """The caller's live sessions, newest first."""

    needs = SIGNED_IN
    authentication_classes = [ManagementAuthentication]

    @extend_schema(responses={200: OpenApiResponse(description="A list of sessions.")})
    def get(self, request: Request) -> Response:
        parameters = read_query(request, PARAMETERS)
        principal = _signed_in(request, NOT_ITS_OWN)
        return page(
            Session.objects.live().filter(user=principal.user_id),
            parameters,
            order="-pk",
            shape=lambda session: session_json(session, current=principal.credential_id),
            about=about_request(request, parameters),
        )


class SessionView(APIView):
    """One session of the caller."""

    needs = SIGNED_IN
    goes_on_in_lockdown = True  # ending one takes something away, and gives nothing
    authentication_classes = [ManagementAuthentication]

    @extend_schema(responses={200: OpenApiResponse(description="The session.")})
    def get(self, request: Request, session_id: UUID) -> Response:
        read_query(request, ())
        principal = _signed_in(request, NOT_ITS_OWN)
        return Response(session_json(_own(session_id, principal), current=principal.credential_id))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, session_id: UUID) -> Response:
        """End it, with every token of it."""
        read_query(request, ())
        principal = _signed_in(request, NOT_ITS_OWN)
        sessions.end(_own(session_id, principal), by=principal)
        return Response(status=204)


def _signed_in(request: Request, instead: str) -> Principal:
    """Return who acts in a session of their own. Raises ConflictError for a key, saying what to do `instead`."""
    principal = principal_of(request)
    if principal.credential != "jwt":
        raise ConflictError(f"An API key has no session. {instead}")
    return principal


def _own(session_id: UUID, principal: Principal) -> Session:
    session = Session.objects.live().filter(pk=session_id, user=principal.user_id).first()
    if session is None:
        raise NotFoundError
    return session
