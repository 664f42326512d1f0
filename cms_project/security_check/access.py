"""What is open to whom: the public role, personal fields, rights that are wide."""

from collections.abc import Iterator
from typing import Final

from accounts.access import Action, DataClass
from accounts.models.alert import Severity
from accounts.models.role import ADMINISTRATOR, PUBLIC, Policy
from accounts.rights import warnings
from cms_project.security_check.check import Check, Found
from content.models import Collection, Field

READS: Final = frozenset({Action.READ.value, Action.READ_DRAFT.value, Action.EXPORT.value})


def public_role() -> Iterator[Found]:
    """Look at what everybody on the internet may do."""
    policies = list(Policy.objects.filter(role__key=PUBLIC).select_related("role").order_by("pk"))
    for warning in (*warnings.public_writes(policies), *warnings.public_reads_sensitive(policies)):
        yield Found(warning.text, Severity.CRITICAL)
    for policy in policies:
        if policy.every_collection:
            yield Found("Everybody may read every collection, also those that are made later.")


def personal_fields() -> Iterator[Found]:
    """List the roles that read personal and secret fields, so that somebody looks at the list now and then."""
    classes = (DataClass.PERSONAL.value, DataClass.SECRET.value)
    listed = Field.objects.filter(data_class__in=classes).values_list("pk", "collection_id")
    sensitive = {str(field_id): collection_id for field_id, collection_id in listed}
    names = dict(Collection.objects.values_list("pk", "name"))
    for policy in Policy.objects.select_related("role").exclude(role__key__in=(PUBLIC, ADMINISTRATOR)):
        named = [text for item in policy.field_ids if (text := str(item)) in sensitive]
        if named and READS & set(policy.actions):
            where = ", ".join(sorted({str(names.get(sensitive[field_id], "?")) for field_id in named}))
            is_wide = not policy.rows
            what = (
                f"{policy.role} reads {len(named)} personal or secret field{'' if len(named) == 1 else 's'}"
            )
            yield Found(f"{what} of {'all' if is_wide else 'some'} entries of {where}.")


def wide_rights() -> Iterator[Found]:
    """Look for roles beside Administrator that can do almost anything."""
    for warning in warnings.powerful_roles():
        yield Found(warning.text)
    for warning in warnings.wide_writes(Policy.objects.select_related("role").order_by("pk")):
        yield Found(warning.text, Severity.NOTICE)


CHECKS: Final = (
    Check("public-role", "Everybody reads what is meant for everybody", Severity.WARNING,
          "Give the role Public one policy a collection, with the fields that a site shows.", public_role,
          page="accounts_policy_changelist"),
    Check("personal-fields", "Few read personal fields", Severity.NOTICE,
          "Take the field out of a policy whose people don't need it.", personal_fields,
          page="accounts_policy_changelist"),
    Check("wide-rights", "Roles are narrow", Severity.WARNING,
          "Split the role, or give it to fewer people.", wide_rights, page="accounts_role_changelist"),
)  # fmt: skip
