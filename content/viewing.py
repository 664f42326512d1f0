"""View as: what the API answers to somebody else for one entry, byte for byte, and which rule shows or hides what.

The document comes from the very functions that the API answers with. Whether a field is shown is read off that
document; the rules only explain it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from rest_framework.renderers import JSONRenderer

from accounts import principals
from accounts.access import Action, Area, Clause, DataClass, Operator, Principal, Resource, Rule
from accounts.errors import InvalidInputError, NotAllowedError, NotFoundError, Problem
from accounts.keys import api_keys
from accounts.log import Subject, record
from accounts.models import Credential, Role, User
from accounts.models.role import PUBLIC
from accounts.rights import impact
from accounts.rights.granting import holds
from accounts.rights.sentences import Speaker
from content.delivery.views import PUBLISHED, json_bytes, read_document
from content.fields.base import FieldSpec
from content.manage.views import DRAFTS, draft_document
from content.parameters import Parameters
from content.query import Plane, Reader
from content.rows import clause_rows, compare_field, flag
from content.schema import CollectionSpec, Schema

MASK: Final = "••••"
PlaneName = Literal["published", "draft"]
# The same tables as the delivery plane reads, by the connection that this process has.
_PUBLISHED: Final = replace(PUBLISHED, using="default")
_PLANES: Final[dict[str, Plane]] = {"published": _PUBLISHED, "draft": DRAFTS}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Through whose eyes. `problem` says why nothing at all is answered, "" when something may be."""

    key: str  # "anonymous", "role:editor", "key:<id>"
    name: str
    principal: Principal
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FieldSeen:
    """One field: whether it is in the answer, and why."""

    spec: FieldSpec
    is_shown: bool
    why: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What is answered. Status 200 with `content`, or 401 and 404 without; pages show `pretty` and `raw`."""

    status: int
    content: bytes
    why: str  # why the entry as a whole is there, or is not
    fields: tuple[FieldSeen, ...] = ()
    others: tuple[str, ...] = ()  # rules that are about this collection and do not hold for this entry
    entry_id: UUID | None = None

    @property
    def is_masked(self) -> bool:
        """Whether what pages show of the answer is not all of it."""
        return self._as_shown() != self.content

    @property
    def pretty(self) -> str:
        shown = self._as_shown()
        return json.dumps(json.loads(shown), indent=2, ensure_ascii=False) if shown else ""

    @property
    def raw(self) -> str:
        return self._as_shown().decode()

    def _as_shown(self) -> bytes:
        """Return the answer for a page, which masks personal and secret values as every other one does."""
        keys = {item.spec.key for item in self.fields if item.is_shown and item.spec.is_sensitive}
        document = json.loads(self.content) if keys else {}
        masked = {key: MASK for key in keys if document[key] is not None}
        return json_bytes({**document, **masked}) if masked else self.content


# Through whose eyes


def require_to_look(by: Principal) -> None:
    """Raise NotAllowedError unless `by` looks after roles and policies, and may read everything there is anyway."""
    by.require_area(Area.POLICIES)
    by.require_area(Area.ROLES)
    if not (holds(by, Action.READ, None) and holds(by, Action.READ_DRAFT, None)):
        raise NotAllowedError("Only who may read everything can look through the eyes of others.")


def viewer(key: str, person: str, plane: PlaneName) -> Viewer | None:
    """Return through whose eyes to look, None for what is not there. `person`: the id of somebody with the role."""
    kind, _, name = key.partition(":")
    if kind == "anonymous":
        return _anonymous(key, "Anonymous", plane)
    if kind == "key":
        return _of_key(name, plane)
    role = Role.objects.filter(key=name).first() if kind == "role" else None
    if role is None:
        return None
    if role.key == PUBLIC:
        return _anonymous(key, "everybody", plane)
    if not person:
        return Viewer(key, f"somebody with the role {role.name}", impact.of_role(role.key))
    user_id = _uuid(person)
    user = people_of(role).filter(pk=user_id).first() if user_id else None
    if user is None:
        return None
    return Viewer(key, str(user), _on(principals.of_user(user), plane))


def _anonymous(key: str, name: str, plane: PlaneName) -> Viewer:
    problem = "Drafts are for those who sign in: without a credential every request is answered 401."
    return Viewer(key, name, principals.anonymous()[0], problem if plane == "draft" else "")


def people_of(role: Role) -> Any:
    """Return the active people and service accounts that have a role."""
    return User.objects.filter(groups=role, is_active=True).order_by("is_service", "email")


def _of_key(name: str, plane: PlaneName) -> Viewer | None:
    key_id = _uuid(name)
    row = Credential.objects.filter(pk=key_id).first() if key_id else None
    if row is None:
        return None
    why_dead = api_keys.refusal(row, timezone.now())
    problem = f"{why_dead} Every request with it is answered 401." if why_dead else ""
    principal = principals.with_object_grants(principals.of_credential(row, using="default"))
    return Viewer(f"key:{row.id}", f"the API key {row.name}", _on(principal, plane), problem)


def _on(principal: Principal, plane: PlaneName) -> Principal:
    """Leave grants on single entries out where the API does: they are for drafts."""
    return principal if plane == "draft" else replace(principal, object_grants={})


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# What is seen


@transaction.atomic
def view_as(
    viewer: Viewer,
    *,
    schema: Schema,
    collection: CollectionSpec,
    name: str,
    locale: str,
    plane: PlaneName,
    by: Principal,
) -> Seen:
    """Return what the viewer is answered for an entry (by id or slug), and record that it was looked at so.

    Raises NotAllowedError for `by`, InvalidInputError for an entry that is nowhere.
    """
    require_to_look(by)
    entry_id = _entry_id(schema, collection, name, locale, plane, by)
    record(
        "access.viewed-as",
        actor=by,
        subject=Subject("entry", str(entry_id), collection.id),
        locale=locale,
        detail={"as": viewer.key, "user": _user_of(viewer.principal), "plane": plane},
    )
    if viewer.problem:
        return Seen(401, b"", viewer.problem, entry_id=entry_id)
    content = _content(viewer.principal, schema, collection, str(entry_id), locale, plane)
    explained = _Explained.of(viewer, schema, collection, entry_id, locale, plane)
    if content is None:
        return Seen(404, b"", explained.why_hidden(), others=explained.others(), entry_id=entry_id)
    keys = json.loads(content).keys()
    return Seen(
        200,
        content,
        explained.why_shown(),
        tuple(
            FieldSeen(spec, spec.key in keys, explained.why(spec, is_shown=spec.key in keys))
            for spec in collection.fields
        ),
        explained.others(),
        entry_id,
    )


def _user_of(principal: Principal) -> str:
    return "" if principal.user_id in (None, impact.SOMEBODY) else str(principal.user_id)


def _content(
    principal: Principal,
    schema: Schema,
    collection: CollectionSpec,
    name: str,
    locale: str,
    plane: PlaneName,
) -> bytes | None:
    try:
        reader = Reader.of(_PLANES[plane], schema, principal, locale)
        if plane == "draft":
            found = reader.collection(collection.key)
            *_, body = draft_document(principal, found, name, locale, Parameters(locale=locale))
            return bytes(JSONRenderer().render(body))
        return json_bytes(read_document(reader, collection.key, name, Parameters(locale=locale))[-1])
    except NotFoundError:
        return None


def _entry_id(
    schema: Schema, collection: CollectionSpec, name: str, locale: str, plane: PlaneName, by: Principal
) -> UUID:
    """Return the entry that is meant, by id or by slug, as far as `by` sees it."""
    wanted = _uuid(name)
    documents: list[Any] = []
    for code in (plane, "draft"):
        reader = Reader.of(_PLANES[code], schema, by, locale)
        found = reader.in_any_locale(collection)
        slug = collection.slug_field
        if wanted is None and slug is not None and name and "\x00" not in name:
            found = found.filter(compare_field(slug, Operator.EQ, name))
        elif wanted is None:
            continue
        else:
            found = found.filter(entry_id=wanted)
        documents += found.order_by("entry_id").values_list("entry_id", flat=True)[:1]
    if not documents:
        raise InvalidInputError(
            errors=[Problem.at(["entry"], "unknown-entry", "There is no such entry in this collection.")]
        )
    return UUID(str(documents[0]))


# Why


@dataclass
class _Clause:
    """A rule that is about reading here, as it stands for the viewer."""

    words: str  # its sentence from "may" on
    clause: Clause | None  # None: it names the user, and there is none
    conditions: str
    is_held: bool = False


@dataclass
class _Explained:
    viewer: Viewer
    collection: CollectionSpec
    plane: PlaneName
    speaker: Speaker
    clauses: list[_Clause]
    has_row: bool  # whether the entry stands in this plane and locale at all
    locale: str
    scope_cuts: bool = False
    is_everything: bool = False

    @classmethod
    def of(
        cls,
        viewer: Viewer,
        schema: Schema,
        collection: CollectionSpec,
        entry_id: UUID,
        locale: str,
        plane: PlaneName,
    ) -> "_Explained":
        principal, read = viewer.principal, _PLANES[plane]
        on = collection.resource
        speaker = Speaker()
        scopes = principal.scopes
        clauses = [
            _said(rule, principal, speaker, read.action, on)
            for rule in principal.rules
            if rule.covers(read.action, on)
        ]
        clauses += _of_single_entries(principal, read.action, on)
        documents = read.model.objects.using(read.using).filter(
            collection_id=collection.id, entry_id=entry_id, locale=schema.locale_of(collection, locale)
        )
        askable = [item for item in clauses if item.clause is not None]
        flags: dict[str, Any] = {
            f"_f{number}": flag(clause_rows(item.clause, collection))
            for number, item in enumerate(askable)
            if item.clause is not None
        }
        row = documents.values("pk", **flags).first()
        for number, item in enumerate(askable):
            item.is_held = row is not None and row[f"_f{number}"]
        return cls(
            viewer,
            collection,
            plane,
            speaker,
            clauses,
            row is not None,
            schema.locale_by_code[locale].name,
            scope_cuts=scopes is not None and not scopes.cover(read.action, on),
            is_everything=principal.is_administrator,
        )

    def why_hidden(self) -> str:
        """Return why the entry as a whole is not there: the API answers as if it did not exist."""
        what = "drafts" if self.plane == "draft" else "what is published"
        if self.scope_cuts:
            return f"The scopes of the key don’t cover reading {what} in {self.collection.name}."
        if not self.has_row:
            state = "written" if self.plane == "draft" else "published"
            return f"The entry is not {state} in {self.locale}."
        if not self.clauses and not self.is_everything:
            return f"No policy of {self.viewer.name} lets read {what} in {self.collection.name}."
        nobody = [item for item in self.clauses if item.clause is None]
        if nobody and len(nobody) == len(self.clauses):
            return "Every policy that could show it is about “themselves”, and nobody is signed in."
        return "Policies let read here, and this entry meets the conditions of none of them."

    def why_shown(self) -> str:
        """Return by which rules the entry is there."""
        if self.is_everything:
            return "Administrators read everything."
        held = [item.words for item in self.clauses if item.is_held]
        return " ".join(f"{self.speaker_name} {words}" for words in held)

    @property
    def speaker_name(self) -> str:
        """Return whom the sentences are about: a key has no rules, its scopes only cut those of its owner."""
        is_key = self.viewer.key.startswith("key:")
        name = f"the owner of {self.viewer.name}" if is_key else self.viewer.name
        return name[:1].upper() + name[1:]

    def why(self, spec: FieldSpec, *, is_shown: bool) -> str:
        """Return which rule shows a field, or why none does."""
        if self.is_everything:
            return "Administrators read every field."
        holding = [
            item for item in self.clauses if item.clause is not None and item.clause.fields.allows(spec)
        ]
        held = [item for item in holding if item.is_held]
        if is_shown:
            return " ".join(_by(item, spec) for item in held[:1])
        if holding:
            return f"Only {holding[0].conditions or 'with another policy'}, which this entry does not meet."
        if spec.data_class in (DataClass.PERSONAL, DataClass.SECRET):
            return f"It is {spec.data_class}, so it must be named, and no policy that holds here names it."
        if spec.data_class == DataClass.INTERNAL and any(item.is_held for item in self.clauses):
            return "It is internal: what everybody may read leaves it out, and no other policy that holds names it."
        return "No policy that holds here names it."

    def others(self) -> tuple[str, ...]:
        """Return the rules about this collection that do not hold for this entry, with the condition that fails."""
        found = []
        for item in self.clauses:
            if item.clause is None:
                found.append(f"{self.speaker_name} {item.words} (Nobody is signed in, so it never holds.)")
            elif not item.is_held:
                found.append(f"{self.speaker_name} {item.words}")
        return tuple(found)


def _said(rule: Rule, principal: Principal, speaker: Speaker, action: Action, on: Resource) -> _Clause:
    """Put a rule into words, with its clause as it stands for the principal."""
    words = speaker.rule(rule)
    alone = replace(principal, rules=(rule,), object_grants={}, scopes=None, is_administrator=False)
    clauses = alone.grant(action, on=on).clauses
    return _Clause(words.without_who, clauses[0] if clauses else None, words.rows)


def _of_single_entries(principal: Principal, action: Action, on: Resource) -> list[_Clause]:
    """Return what is granted on single entries."""
    alone = replace(principal, rules=(), scopes=None, is_administrator=False)
    clauses = alone.grant(action, on=on).clauses
    words = "may read it by a right on single entries: every field except personal and secret ones."
    return [_Clause(words, clause, "where the right is on that entry") for clause in clauses]


def _by(item: _Clause, spec: FieldSpec) -> str:
    named = item.clause is not None and spec.id in item.clause.fields.ids
    return f"{'Named' if named else 'Covered'}: {item.words}"


def choices(schema: Schema) -> Iterable[CollectionSpec]:
    """Return the collections that have entries to look at."""
    return [item for item in schema.collections if item.has_entries]
