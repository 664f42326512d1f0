"""The field types. Adding one is adding a file, and naming it in the list below."""

from content.fields.base import (
    REGISTRY,
    ComponentSpec,
    Context,
    FieldError,
    FieldSpec,
    FieldType,
    FormContext,
    Kind,
    Options,
    ReadContext,
    Schema,
    get,
    moved,
    nullable,
    register,
)

__all__ = [
    "REGISTRY",
    "ComponentSpec",
    "Context",
    "FieldError",
    "FieldSpec",
    "FieldType",
    "FormContext",
    "Kind",
    "Options",
    "ReadContext",
    "Schema",
    "get",
    "moved",
    "nullable",
    "register",
]
