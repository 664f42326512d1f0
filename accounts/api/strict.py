"""Serializers that take what they declare and nothing else: no unknown keys, no guessing of types."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from accounts.errors import InvalidInputError, Problem, UnknownParameterError

S = TypeVar("S", bound=serializers.BaseSerializer[Any])
_UUID: Final = re.compile(r"(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class StrictCharField(serializers.CharField):
    """Text that came as a JSON string, without NUL."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictUUIDField(serializers.UUIDField):
    """An id as a JSON string in its usual form: a number is none, nor is one in braces."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or not _UUID.fullmatch(data):
            self.fail("invalid", value=data)
        return UUID(data)


class StrictBooleanField(serializers.BooleanField):
    """`true` or `false`, not "yes" nor 1."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictIntegerField(serializers.IntegerField):
    """A JSON number without fraction; `true` is not 1."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictDateTimeField(serializers.DateTimeField):
    """RFC 3339 with an offset, so that no zone is guessed."""

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str):
            self.fail("invalid", format="RFC 3339")
        moment = super().to_internal_value(value)
        if not value.endswith(("Z", "z")) and not any(sign in value[10:] for sign in "+-"):
            self.fail("invalid", format="RFC 3339, with an offset or Z")
        return moment


class StrictListField(serializers.ListField):
    """A JSON array."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            self.fail("not_a_list", input_type=type(data).__name__)
        return super().to_internal_value(data)


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses keys that it does not declare, read-only ones included: nothing is quietly ignored (CVE-2023-39345)."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise ValidationError(
                {"non_field_errors": [ErrorDetail("This must be an object.", code="not-an-object")]}
            )
        writable = {name for name, field in self.fields.items() if not field.read_only}
        unknown = {
            str(key): [ErrorDetail("There is no such key here.", code="unknown-key")]
            for key in data
            if key not in writable
        }
        try:
            value = super().to_internal_value(data)
        except ValidationError as error:
            known = error.detail if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
            raise ValidationError({**known, **unknown}) from error
        if unknown:
            raise ValidationError(unknown)
        return value


def read_body(
    serializer: type[S], request: Request, *, partial: bool = False, **context: Any
) -> dict[str, Any]:
    """Return the validated body. Raises InvalidInputError with a JSON pointer (RFC 6901) for each fault.

    With `partial` no key is required, and only those that came are in the answer.
    """
    reader = serializer(data=request.data, partial=partial, context={"request": request, **context})
    if not reader.is_valid():
        raise InvalidInputError(errors=problems_of(reader.errors))
    return dict(reader.validated_data)


def problems_of(details: Any) -> list[Problem]:
    """Turn DRF's nested error details into problems."""
    return list(_flatten(details, ()))


def read_query(request: Request, allowed: Sequence[str]) -> dict[str, str]:
    """Return the query parameters. Raises UnknownParameterError for one that is unknown or comes twice."""
    parameters = request.query_params
    problems = (
        [
            Problem("unknown-parameter", "There is no such parameter.", parameter=name)
            for name in parameters
            if name not in allowed
        ]
        + [
            Problem("repeated-parameter", "This parameter stands here twice.", parameter=name)
            for name in parameters
            if name in allowed and len(parameters.getlist(name)) > 1
        ]
        + [
            Problem("invalid-value", "A value may not hold the character NUL.", parameter=name)
            for name in parameters
            if name in allowed and "\x00" in parameters[name]
        ]
    )
    if problems:
        raise UnknownParameterError(errors=problems)
    return {name: parameters[name] for name in parameters}


def _flatten(details: Any, path: tuple[str | int, ...]) -> Iterator[Problem]:
    if isinstance(details, Mapping):
        for key, value in details.items():
            yield from _flatten(value, path if key == "non_field_errors" else (*path, key))
    elif isinstance(details, list | tuple):
        are_messages = all(isinstance(item, str) for item in details)
        for number, item in enumerate(details):
            yield from _flatten(item, path if are_messages else (*path, number))
    elif details:
        code = str(getattr(details, "code", "") or "invalid").replace("_", "-")
        yield Problem.at(path, code, str(details))
