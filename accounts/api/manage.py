"""Users, roles, policies and API keys, for those who administer them."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import people
from accounts.access import Area, Needs, Principal, principal_of
from accounts.api.bodies import (
    ApiKeyBody,
    PolicyBody,
    RoleBody,
    RoleChange,
    RotateBody,
    UserBody,
    UserChange,
)
from accounts.api.paging import PARAMETERS, about_request, page
from accounts.api.shapes import (
    effects_json,
    key_details_json,
    key_json,
    policy_json,
    policy_terms,
    role_json,
    user_json,
)
from accounts.api.strict import StrictSerializer, read_body, read_query
from accounts.authentication import ManagementAuthentication
from accounts.errors import InvalidInputError, NotFoundError, Problem
from accounts.keys import api_keys
from accounts.keys.scopes import parse_scopes
from accounts.models.api_key import ApiKey
from accounts.models.role import Policy, Role
from accounts.models.user import User
from accounts.rights import granting
from accounts.rights.impact import try_out

NO_STORE = {"Cache-Control": "no-store"}
LIST = OpenApiResponse(description="A page: `data` and `meta`.")
ONE = OpenApiResponse(description="The thing.")
EFFECTS = OpenApiResponse(description="What a dry run would do: `effects`.")


class ManagementView(APIView):
    """Base of these views; each names the area that it needs."""

    authentication_classes = [ManagementAuthentication]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let no write take parameters; those that read name theirs."""
        super().initial(request, *args, **kwargs)
        if request.method == "DELETE":
            read_query(request, ())

    def handle_list(self, request: Request, rows: QuerySet[Any], shape: Any, *, order: str) -> Response:
        parameters = read_query(request, PARAMETERS)
        return page(rows, parameters, order=order, shape=shape, about=about_request(request, parameters))


# --- Roles ----------------------------------------------------------------------------------------------------------


class RolesView(ManagementView):
    """All roles."""

    needs = Needs("area", Area.ROLES)

    @extend_schema(responses={200: LIST})
    def get(self, request: Request) -> Response:
        return self.handle_list(request, Role.objects.all(), role_json, order="key")

    @extend_schema(request=RoleBody, responses={201: ONE})
    def post(self, request: Request) -> Response:
        """Add a role."""
        body = read_body(RoleBody, request)
        role = granting.add_role(**body, by=principal_of(request))
        return Response(role_json(role), status=201)


class RoleView(ManagementView):
    """One role, by key."""

    needs = Needs("area", Area.ROLES)

    @extend_schema(responses={200: ONE})
    def get(self, request: Request, key: str) -> Response:
        read_query(request, ())
        return Response(role_json(_role(key)))

    @extend_schema(request=RoleChange, responses={200: ONE})
    def patch(self, request: Request, key: str) -> Response:
        """Change what is given."""
        body = read_body(RoleChange, request)
        return Response(role_json(granting.change_role(_role(key), **body, by=principal_of(request))))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, key: str) -> Response:
        """Remove a role with its policies. Those of every installation stay, and those that somebody has."""
        granting.remove_role(_role(key), by=principal_of(request))
        return Response(status=204)


def _role(key: str) -> Role:
    role = Role.objects.filter(key=key).first()
    if role is None:
        raise NotFoundError
    return role


# --- Policies -------------------------------------------------------------------------------------------------------


class PoliciesView(ManagementView):
    """All policies."""

    needs = Needs("area", Area.POLICIES)

    @extend_schema(responses={200: LIST})
    def get(self, request: Request) -> Response:
        return self.handle_list(request, Policy.objects.select_related("role"), policy_json, order="pk")

    @extend_schema(request=PolicyBody, responses={200: EFFECTS, 201: ONE})
    def post(self, request: Request) -> Response:
        """Add one; with `"dry_run": true` it is tried and taken back, and the answer says what it would do."""
        body = read_body(PolicyBody, request)
        role = Role.objects.filter(key=body["role"]).first()
        if role is None:
            raise InvalidInputError(errors=[Problem.at(["role"], "unknown-role", "There is no such role.")])
        terms, by = policy_terms(body), principal_of(request)
        if body.get("dry_run", False):
            found = try_out(lambda: granting.add_policy(role, terms, by=by), role.key)
            return Response({"effects": effects_json(found)})
        return Response(policy_json(granting.add_policy(role, terms, by=by)), status=201)


class PolicyView(ManagementView):
    """One policy."""

    needs = Needs("area", Area.POLICIES)

    @extend_schema(responses={200: ONE})
    def get(self, request: Request, policy_id: UUID) -> Response:
        read_query(request, ())
        return Response(policy_json(_policy(policy_id)))

    @extend_schema(request=PolicyBody, responses={200: ONE})
    def patch(self, request: Request, policy_id: UUID) -> Response:
        """Change what is given, checked as a whole; `"dry_run": true` as for a new one."""
        body = read_body(PolicyBody, request, partial=True)
        policy = _policy(policy_id)
        present = policy_json(policy)
        if body.pop("role", present["role"]) != present["role"]:
            raise InvalidInputError(
                errors=[Problem.at(["role"], "not-possible", "A policy stays with its role. Make a new one.")]
            )
        merged = {
            name: present[name] for name in ("collection", "actions", "filter", "fields", "presets")
        } | body
        terms, by = policy_terms(merged), principal_of(request)
        if body.get("dry_run", False):
            found = try_out(lambda: granting.change_policy(policy, terms, by=by), policy.role.key)
            return Response({"effects": effects_json(found)})
        return Response(policy_json(granting.change_policy(policy, terms, by=by)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, policy_id: UUID) -> Response:
        """Remove a policy."""
        granting.remove_policy(_policy(policy_id), by=principal_of(request))
        return Response(status=204)


def _policy(policy_id: UUID) -> Policy:
    policy = Policy.objects.select_related("role").filter(pk=policy_id).first()
    if policy is None:
        raise NotFoundError
    return policy


# --- Users ----------------------------------------------------------------------------------------------------------


class UsersView(ManagementView):
    """People and service accounts."""

    needs = Needs("area", Area.USERS)

    @extend_schema(responses={200: LIST})
    def get(self, request: Request) -> Response:
        return self.handle_list(request, User.objects.prefetch_related("groups__role"), user_json, order="pk")

    @extend_schema(request=UserBody, responses={201: ONE})
    def post(self, request: Request) -> Response:
        """Invite a person by mail, or add a service account, which has no address."""
        body = read_body(UserBody, request)
        by = principal_of(request)
        roles = body.get("roles", [])
        if body.get("is_service", False):
            if "email" in body or not body.get("name") or not body.get("is_active", True):
                raise InvalidInputError("A service account has a name, no `email`, and is active at first.")
            user = people.add_service(body["name"], roles=roles, by=by)
        elif "email" not in body:
            raise InvalidInputError(errors=[Problem.at(["email"], "required", "This field is required.")])
        else:
            user = people.add_person(
                body["email"],
                name=body.get("name", ""),
                roles=roles,
                is_active=body.get("is_active", True),
                by=by,
            )
        return Response(user_json(user), status=201)


class UserView(ManagementView):
    """One user; they are switched off, not deleted: what they did stays theirs."""

    needs = Needs("area", Area.USERS)

    @extend_schema(responses={200: ONE})
    def get(self, request: Request, user_id: UUID) -> Response:
        read_query(request, ())
        return Response(user_json(_user(user_id)))

    @extend_schema(request=UserChange, responses={200: ONE})
    def patch(self, request: Request, user_id: UUID) -> Response:
        """Change what is given; `roles` as a whole."""
        body = read_body(UserChange, request)
        return Response(user_json(people.change_user(_user(user_id), **body, by=principal_of(request))))


def _user(user_id: UUID) -> User:
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        raise NotFoundError
    return user


# --- API keys -------------------------------------------------------------------------------------------------------


class ApiKeysView(ManagementView):
    """All API keys, without their secrets."""

    needs = Needs("area", Area.KEYS)

    @extend_schema(responses={200: LIST})
    def get(self, request: Request) -> Response:
        return self.handle_list(request, ApiKey.objects.all(), key_json, order="pk")

    @extend_schema(request=ApiKeyBody, responses={201: ONE})
    def post(self, request: Request) -> Response:
        """Make a key, for an `owner` or for a new service account with a `role`. `key` is in this answer only."""
        body = read_body(ApiKeyBody, request)
        scopes = parse_scopes(body["scopes"])
        options: dict[str, Any] = {
            name: body[name]
            for name in ("expires_at", "allowed_networks", "browser", "rate_limit")
            if name in body
        }
        by = principal_of(request)
        minted = _mint(body, scopes, options, by)
        return Response(key_json(minted.key) | {"key": minted.text}, status=201, headers=NO_STORE)


def _mint(body: dict[str, Any], scopes: Any, options: dict[str, Any], by: Principal) -> api_keys.Minted:
    if ("role" in body) == ("owner" in body):
        raise InvalidInputError("Name either the `owner` of the key, or a `role` for a new service account.")
    if "role" in body:
        return api_keys.mint_for_role(body["role"], name=body["name"], scopes=scopes, by=by, **options)
    owner = User.objects.filter(pk=body["owner"]).first()
    if owner is None:
        raise InvalidInputError(errors=[Problem.at(["owner"], "unknown-user", "There is no such user.")])
    return api_keys.mint(owner, name=body["name"], scopes=scopes, by=by, **options)


class ApiKeyView(ManagementView):
    """One API key."""

    needs = Needs("area", Area.KEYS)

    @extend_schema(responses={200: ONE})
    def get(self, request: Request, key_id: UUID) -> Response:
        read_query(request, ())
        return Response(key_details_json(_key(key_id)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, key_id: UUID) -> Response:
        """Revoke a key for good."""
        api_keys.revoke(_key(key_id), by=principal_of(request))
        return Response(status=204)


class ApiKeyRotationView(ManagementView):
    """A new secret for a key; the old one works until the overlap ends."""

    needs = Needs("area", Area.KEYS)

    @extend_schema(request=RotateBody, responses={200: ONE})
    def post(self, request: Request, key_id: UUID) -> Response:
        body = read_body(RotateBody, request)
        overlap = (
            timedelta(hours=body["overlap_hours"]) if "overlap_hours" in body else api_keys.DEFAULT_OVERLAP
        )
        minted = api_keys.rotate(_key(key_id), overlap=overlap, by=principal_of(request))
        return Response(key_json(minted.key) | {"key": minted.text}, headers=NO_STORE)


class ApiKeyVerbView(ManagementView):
    """Base of what is done with a key and takes nothing else."""

    needs = Needs("area", Area.KEYS)

    def act(self, key: ApiKey, by: Principal) -> ApiKey:
        raise NotImplementedError

    @extend_schema(request=None, responses={200: ONE})
    def post(self, request: Request, key_id: UUID) -> Response:
        read_body(StrictSerializer, request)
        return Response(key_details_json(self.act(_key(key_id), principal_of(request))))


class ApiKeyRetirementView(ApiKeyVerbView):
    """Ends the overlap of a rotation: the former secret is dead at once."""

    def act(self, key: ApiKey, by: Principal) -> ApiKey:
        return api_keys.retire(key, by=by)


class ApiKeyDisablingView(ApiKeyVerbView):
    """Switches a key off until it is enabled."""

    def act(self, key: ApiKey, by: Principal) -> ApiKey:
        return api_keys.disable(key, by=by)


class ApiKeyEnablingView(ApiKeyVerbView):
    """Switches a key on again."""

    def act(self, key: ApiKey, by: Principal) -> ApiKey:
        return api_keys.enable(key, by=by)


def _key(key_id: UUID) -> ApiKey:
    key = ApiKey.objects.select_related("owner").filter(pk=key_id).first()
    if key is None:
        raise NotFoundError
    return key
