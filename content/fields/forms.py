"""Form fields and widgets of the admin's generated forms. No inline script or style: the policy forbids both."""

from typing import Any

from content.fields.base import FieldSpec


def common(field: FieldSpec) -> dict[str, Any]:
    """Return the arguments that every form field takes from its FieldSpec. Never required: drafts may be incomplete."""
    return {"label": field.name, "help_text": field.help, "required": False}
