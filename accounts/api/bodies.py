"""What the endpoints of accounts take and give: shapes only, no rules."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.access import Action, Area
from accounts.api.strict import (
    StrictBooleanField,
    StrictCharField,
    StrictDateTimeField,
    StrictIntegerField,
    StrictListField,
    StrictSerializer,
)

KEY = r"^[a-z][a-z0-9_]{0,40}$"


class KeyField(serializers.RegexField):
    """A key of the house."""

    default_error_messages: ClassVar = {
        "invalid": "Small letters, digits and _, with a letter first; 41 at most."
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(KEY, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"oneOf": [{"const": "*"}, {"type": "array", "items": {"type": "string"}}]})
class FieldNames(serializers.Field[Any, Any, Any, Any]):
    """`"*"`, or a list of keys (which may hold `"*"` too)."""

    def to_internal_value(self, data: Any) -> Any:
        is_list = isinstance(data, list) and all(isinstance(item, str) for item in data)
        if data != "*" and not is_list:
            raise serializers.ValidationError('A list of field keys, or "*".', code="invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field({"type": "object"})
class JsonObjectField(serializers.Field[Any, Any, Any, Any]):
    """A JSON object, looked at by the rule that uses it."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("This must be an object.", code="not-an-object")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class AreasField(StrictListField):
    """Areas of administration."""

    def __init__(self, **options: Any) -> None:
        child = serializers.ChoiceField(choices=[area.value for area in Area])
        super().__init__(child=child, max_length=len(Area), **options)

    def to_internal_value(self, data: Any) -> list[Area]:
        return [Area(name) for name in super().to_internal_value(data)]


class LoginBody(StrictSerializer):
    email = StrictCharField(max_length=320)
    password = StrictCharField(trim_whitespace=False, max_length=8192)
    otp = StrictCharField(required=False, max_length=32)


class StepUpBody(StrictSerializer):
    otp = StrictCharField(max_length=32)
    reason = StrictCharField(max_length=200)


class RefreshBody(StrictSerializer):
    refresh = StrictCharField(max_length=4096)


class TokensBody(StrictSerializer):
    access = StrictCharField()
    refresh = StrictCharField()
    expires_in = StrictIntegerField()


class RoleSettings(StrictSerializer):
    require_second_factor = StrictBooleanField(required=False)
    require_phishing_resistant = StrictBooleanField(required=False)
    session_hours = StrictIntegerField(required=False, allow_null=True)
    idle_minutes = StrictIntegerField(required=False, allow_null=True)
    requests_per_minute = StrictIntegerField(
        required=False, allow_null=True, min_value=1, max_value=1_000_000
    )
    areas = AreasField(required=False)


class RoleBody(RoleSettings):
    key = KeyField()
    name = StrictCharField(max_length=150)


class RoleChange(RoleSettings):
    name = StrictCharField(max_length=150, required=False)


class PolicyBody(StrictSerializer):
    role = StrictCharField(max_length=41)
    collection = StrictCharField(max_length=41)
    actions = StrictListField(
        child=serializers.ChoiceField(choices=[action.value for action in Action]), max_length=20
    )
    filter = JsonObjectField(required=False)
    fields = FieldNames(required=False)  # type: ignore[assignment]  # put in place below
    presets = JsonObjectField(required=False)
    dry_run = StrictBooleanField(required=False)


class UserBody(StrictSerializer):
    email = StrictCharField(max_length=254, required=False)
    name = StrictCharField(max_length=150, required=False, allow_blank=True)
    roles = StrictListField(child=StrictCharField(max_length=41), required=False, max_length=100)
    is_active = StrictBooleanField(required=False)
    is_service = StrictBooleanField(required=False)


class UserChange(StrictSerializer):
    email = StrictCharField(max_length=254, required=False)
    name = StrictCharField(max_length=150, required=False, allow_blank=True)
    roles = StrictListField(child=StrictCharField(max_length=41), required=False, max_length=100)
    is_active = StrictBooleanField(required=False)


class ApiKeyBody(StrictSerializer):
    name = StrictCharField(max_length=150)
    role = StrictCharField(max_length=41, required=False)
    owner = serializers.UUIDField(required=False)
    scopes = StrictListField(child=StrictCharField(max_length=100), max_length=500)
    expires_at = StrictDateTimeField(required=False)
    allowed_networks = StrictListField(child=StrictCharField(max_length=50), required=False, max_length=100)
    browser = StrictBooleanField(required=False)
    rate_limit = StrictIntegerField(required=False, allow_null=True, min_value=1, max_value=1_000_000)


class RotateBody(StrictSerializer):
    overlap_hours = StrictIntegerField(required=False, min_value=0, max_value=720)
