"""Names in the front matter become references: found among the entries that the importer may see, or made."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from django.db.models import Q

from accounts.access import Action, Principal
from accounts.errors import DomainError, InvalidInputError, Problem
from content import editing, publishing
from content.fields.base import FieldSpec
from content.importing.front_matter import Value
from content.importing.values import name_and_handle, names_in
from content.models import DraftDocument
from content.rows import rows_of
from content.writing import Writing

HANDLES = "handles"


class Names:
    """Looks names up in the collections that a reference field allows, each name once in a run.

    With `create` a missing one is made in the first collection of the field, and published when `publish` is set.
    """

    def __init__(
        self,
        *,
        by: Principal,
        known: frozenset[str],
        handles: Mapping[str, list[str]],
        create: bool,
        publish: bool,
    ) -> None:
        self.by = by
        self.known = known
        self.handles = handles
        self.create = create
        self.publish = publish
        self._found: dict[tuple[UUID, str], str | None] = {}
        self._writings: dict[UUID, Writing] = {}

    def prepare(self, spec: FieldSpec, value: Value, writing: Writing) -> None:
        """Look up, or make, what a value names. Call it before the savepoint of the document that needs it.

        Otherwise the rollback of one bad document would take an author away that later ones rely on.
        """
        for name in names_in(value, self.known):
            self._find(spec, name, writing)

    def input_for(self, spec: FieldSpec, value: Value) -> object:
        """Return the ids that a prepared value names. Raises InvalidInputError for a name that nobody has."""
        ids: list[str] = []
        problems: list[Problem] = []
        targets: Iterable[UUID] = getattr(spec.options, "collections", ())
        for name in names_in(value, self.known):
            bare, _ = name_and_handle(name)
            found = next((i for t in targets if (i := self._found.get((t, bare)))), None)
            if found is None:
                problems.append(Problem.at((spec.key,), "unknown-name", f"Nothing is called {bare[:80]!r}."))
            elif found not in ids:
                ids.append(found)
        if problems:
            raise InvalidInputError(errors=problems)
        if spec.type == "reference":
            if len(ids) > 1:
                problem = Problem.at((spec.key,), "too-many", f"The field takes one; these are {len(ids)}.")
                raise InvalidInputError(errors=[problem])
            return ids[0] if ids else None
        return ids

    def _find(self, spec: FieldSpec, name: str, writing: Writing) -> None:
        bare, _ = name_and_handle(name)
        targets: tuple[UUID, ...] = tuple(getattr(spec.options, "collections", ()))
        for target in targets:
            if (target, bare) not in self._found:
                self._found[target, bare] = self._look_up(self._writing(target, writing), bare)
            if self._found[target, bare] is not None:
                return
        if self.create and targets:
            self._found[targets[0], bare] = self._make(self._writing(targets[0], writing), bare)

    def _writing(self, collection_id: UUID, writing: Writing) -> Writing:
        if collection_id not in self._writings:
            key = writing.schema.by_id[collection_id].key
            self._writings[collection_id] = Writing.on(key, by=self.by)
        return self._writings[collection_id]

    def _look_up(self, writing: Writing, name: str) -> str | None:
        target = writing.collection
        visible = rows_of(self.by.grant(Action.READ_DRAFT, on=target.resource), target)
        same = Q(title=name)
        if target.slug_field is not None:
            same |= Q(**{f"sealed__{target.slug_field.id}": name})
        rows = DraftDocument.objects.filter(visible & same, collection_id=target.id, trashed=False)
        found = rows.order_by("entry_id").values_list("entry_id", flat=True).first()
        return str(found) if found else None

    def _make(self, writing: Writing, name: str) -> str | None:
        title = writing.collection.title_field
        if title is None or title.type != "text":
            return None
        values: dict[str, object] = {title.key: name}
        taken = writing.collection.by_key.get(HANDLES)
        if taken is not None and taken.type == "tags" and (handles := self.handles.get(name)):
            values[HANDLES] = handles
        try:
            entry = editing.create(values, writing=writing, message="Named by an imported document")
            if self.publish:
                publishing.publish(entry.pk, writing=writing)
        except DomainError:
            return (
                None  # no right to make one, the name is no title, or the collection wants more than a name
            )
        return str(entry.pk)
