"""The OpenAPI schema of everything under `/api/v1/`: what is the same for every endpoint is said here once."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse

from cms_project import api_life

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail", "instance", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The request's id, as in X-Request-ID and the log."},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["code", "detail"],
                "properties": {
                    "pointer": {"type": "string"},
                    "parameter": {"type": "string"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
PROBLEM_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
BEARER = {"type": "http", "scheme": "bearer", "description": "An access JWT, or an API key `qk_…`."}


class Schema(AutoSchema):
    """An endpoint that does not say more takes and answers a JSON object; every one may answer a problem."""

    def get_request_serializer(self) -> Any:
        return OpenApiTypes.OBJECT

    def get_response_serializers(self) -> Any:
        if self.method == "DELETE":
            return {204: OpenApiResponse(description="Done.")}
        return OpenApiTypes.OBJECT

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is not None:
            operation["responses"]["default"] = {
                "description": "Anything that went wrong.",
                "content": PROBLEM_CONTENT,
            }
            if self.method != "GET" and not getattr(self.view, "goes_on_in_lockdown", False):
                operation["responses"]["423"] = {
                    "description": "`locked-down`: nothing can be changed until an operator lifts it. Don’t repeat it.",
                    "content": PROBLEM_CONTENT,
                }
        return operation

    def get_auth(self) -> list[dict[str, list[str]]]:
        needs = getattr(self.view, "needs", None)
        return [{"bearer": []}, {}] if needs is not None and needs.who == "anyone" else [{"bearer": []}]

    def get_operation_id(self) -> str:
        """Name an operation after its path: `manage_roles_list`, `manage_roles_get`, `manage_roles_create`."""
        parts = self.path.removeprefix("/api/v1/").split("/")
        one = self.path.endswith("}")
        verbs = {"GET": "get" if one else "list", "POST": "post", "PATCH": "change", "DELETE": "delete"}
        named = [part.replace("-", "_") for part in parts if not part.startswith("{")]
        return "_".join([*named, verbs.get(self.method, self.method.lower())])

    def get_tags(self) -> list[str]:
        parts = [part for part in self.path.removeprefix("/api/v1/").split("/") if not part.startswith("{")]
        return [parts[1] if parts[0] == "manage" and len(parts) > 1 else parts[0]]


def add_problem(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Put the problem document among the components (a hook of drf-spectacular)."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    components["securitySchemes"] = {"bearer": BEARER}
    return result


def add_life(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Mark every operation as deprecated once the version is, and say until when it works. The last hook of all."""
    words = api_life.sentence()
    if words:
        info = result.setdefault("info", {})
        info["description"] = f"{info.get('description', '')}\n\n{words}".strip()
        for path in result.get("paths", {}).values():
            for operation in path.values():
                if isinstance(operation, dict) and "responses" in operation:
                    operation["deprecated"] = True
    return result
