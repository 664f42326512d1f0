"""Who may do what with the submissions of a form: what a policy on that form says without conditions."""

from accounts.access import Action, DataClass, Grant, Principal
from accounts.errors import NotAllowedError, NotFoundError
from content.fields.base import FieldSpec
from content.models import Collection
from content.schema import CollectionSpec, current


def granted(by: Principal, action: Action, form: CollectionSpec) -> Grant:
    """Answer for a form. A clause with conditions holds no submission: what it compares is encrypted.

    Every field of a form is personal at least, so a policy for all collections or all fields opens none of them. Of a
    form that has no fields (any more) only who may do everything can read what was sent.
    """
    grant = by.grant(action, on=form.resource)
    kept = Grant(tuple(clause for clause in grant.clauses if not clause.rows))
    return kept if _opens(kept, form.fields) else Grant()


def _opens(grant: Grant, specs: tuple[FieldSpec, ...]) -> bool:
    return any(map(grant.allows, specs)) or any(
        DataClass.PERSONAL in clause.fields.classes for clause in grant.clauses
    )


def may(by: Principal, action: Action, form: CollectionSpec) -> bool:
    """Tell whether an action is open on the form's submissions."""
    return bool(granted(by, action, form))


def seen_form(key: str, *, by: Principal) -> CollectionSpec:
    """Return a form of which the principal may read the submissions. Raises NotFoundError, also for what is hidden."""
    found = current().by_key.get(key)
    if found is None or found.kind != Collection.Kind.FORM or not may(by, Action.READ, found):
        raise NotFoundError
    return found


def require(by: Principal, action: Action, form: CollectionSpec) -> Grant:
    """Return the grant, or raise NotAllowedError; LockedDownError while nothing may be changed or taken out."""
    if action is not Action.READ:
        by.require_no_lockdown()
    grant = granted(by, action, form)
    if not grant:
        raise NotAllowedError(f"You may not {action.value} submissions of this form.")
    return grant
