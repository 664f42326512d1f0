"""What is done with a message: an action as people write it, checked against rights, and as it is kept, by ids."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from accounts.access import Action, Principal
from accounts.errors import InvalidInputError, NotFoundError, Problem
from content import documents, fields, schema
from content.editing import content_locale
from content.fields.base import FieldError, FieldSpec
from content.writing import Writing
from webhooks.incoming import pointers

RECORD: Final = "record"
SAVING: Final = ("create", "update", "create_or_update")
SHOWING: Final = ("publish", "unpublish")
MOST_MAPPED: Final = 100
# What an account needs for it. A save that publishes needs that right too.
NEEDS: Final[Mapping[str, tuple[Action, ...]]] = {
    "create": (Action.CREATE,),
    "update": (Action.UPDATE,),
    "create_or_update": (Action.CREATE, Action.UPDATE),
    "publish": (Action.PUBLISH,),
    "unpublish": (Action.UNPUBLISH,),
}
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    RECORD: frozenset({"do"}),
    "create": frozenset({"do", "collection", "locale", "mapping", "publish"}),
    "update": frozenset({"do", "collection", "locale", "match", "mapping", "publish"}),
    "create_or_update": frozenset({"do", "collection", "locale", "match", "mapping", "publish"}),
    "publish": frozenset({"do", "collection", "locale", "match"}),
    "unpublish": frozenset({"do", "collection", "locale", "match"}),
}


def parse(raw: Mapping[str, Any], *, account: Principal | None) -> dict[str, Any]:
    """Return an action as it is kept. `account` is who will do it. Raises InvalidInputError with each fault."""
    do = raw.get("do")
    if not isinstance(do, str) or do not in _KEYS:
        raise _refused([_problem(["do"], "invalid-choice", f"One of {', '.join(_KEYS)}.")])
    problems = [
        _problem([str(name)[:100]], "unknown-key", f"There is no such key where the action is {do}.")
        for name in raw
        if name not in _KEYS[do]
    ]
    if do == RECORD:
        if problems:
            raise _refused(problems)
        return {"do": RECORD}
    if account is None:
        detail = "Say as which service account this is done."
        raise InvalidInputError(errors=[*problems, Problem.at(["account"], "required", detail)])
    writing = _writing(raw.get("collection"), account)
    found: dict[str, Any] = {"do": do, "collection": str(writing.collection.id)}
    reader = _Reader(raw, do, writing)
    if raw.get("publish") is not None and not isinstance(raw["publish"], bool):
        problems.append(_problem(["publish"], "invalid", "true or false."))
    elif raw.get("publish"):
        found["publish"] = True
    problems += reader.right_problems()
    if raw.get("locale") is not None:
        found["locale"] = raw["locale"]
        problems += reader.locale_problems()
    if "match" in _KEYS[do]:
        found["match"] = reader.match()
    if "mapping" in _KEYS[do]:
        found["mapping"] = reader.mapping()
    if problems or reader.problems:
        raise _refused([*problems, *reader.problems])
    return found


class _Reader:
    """Reads the parts of one action that name fields, and gathers what is wrong with them."""

    def __init__(self, raw: Mapping[str, Any], do: str, writing: Writing) -> None:
        self.raw, self.do, self.writing = raw, do, writing
        self.problems: list[Problem] = []

    def right_problems(self) -> list[Problem]:
        """Return what the account may not do there at all."""
        wanted = [*NEEDS[self.do], *([Action.PUBLISH] if self.raw.get("publish") is True else [])]
        return [
            _problem(["do"], "not-allowed", f"The account has no right to {action.value} in this collection.")
            for action in wanted
            if not self.writing.by.grant(action, on=self.writing.collection.resource)
        ]

    def locale_problems(self) -> list[Problem]:
        locale = self.raw["locale"]
        if not isinstance(locale, str):
            return [_problem(["locale"], "invalid", "The code of a locale.")]
        try:
            content_locale(self.writing, locale)
        except InvalidInputError as error:
            return [_problem(["locale"], item.code, item.detail) for item in error.errors]
        return []

    def match(self) -> dict[str, str]:
        """Return by which field an entry is found, and where its value stands in the payload."""
        raw = self.raw.get("match")
        if not isinstance(raw, Mapping) or raw.keys() != {"field", "pointer"}:
            self._wrong(["match"], "invalid", 'An object: {"field": "slug", "pointer": "/data/slug"}.')
            return {}
        spec = self._field(raw["field"], ["match", "field"], self._seen())
        if not pointers.is_pointer(raw["pointer"]):
            self._wrong(["match", "pointer"], "invalid", "A JSON pointer, such as /data/slug.")
        if spec is None:
            return {}
        if not documents.is_unique(spec):
            self._wrong(["match", "field"], "not-unique", "A slug, or a field whose values are unique.")
        return {"field": str(spec.id), "pointer": str(raw["pointer"])}

    def mapping(self) -> dict[str, Any]:
        """Return what is written into which field."""
        raw = self.raw.get("mapping")
        if not isinstance(raw, Mapping) or not 1 <= len(raw) <= MOST_MAPPED:
            detail = f'An object of 1 to {MOST_MAPPED} fields: {{"title": "/data/title"}}.'
            self._wrong(["mapping"], "invalid", detail)
            return {}
        found: dict[str, Any] = {}
        for key, source in raw.items():
            place = ["mapping", str(key)[:100]]
            spec = self._field(key, place, self._written())
            if isinstance(source, Mapping) and source.keys() == {"value"}:
                if spec is not None:
                    self._try(spec, source["value"], place)
                    found[str(spec.id)] = {"value": source["value"]}
            elif not pointers.is_pointer(source):
                self._wrong(place, "invalid", 'A JSON pointer such as /data/title, or {"value": …}.')
            elif spec is not None:
                found[str(spec.id)] = source
        return found

    def _try(self, spec: FieldSpec, value: Any, place: list[str]) -> None:
        try:
            fields.get(spec.type).clean(value, spec, self.writing)
        except FieldError as error:
            for item in error.problems:
                self._wrong([*place, "value"], item.code, item.detail)

    def _field(self, key: object, place: list[str], allowed: Iterable[FieldSpec]) -> FieldSpec | None:
        """Return a field; what the account may not see is as missing to whoever sets this up."""
        spec = self.writing.collection.by_key.get(key) if isinstance(key, str) else None
        if spec is None or spec not in allowed:
            self._wrong(place, "unknown-field", "There is no such field that the account may use so.")
            return None
        return spec

    def _written(self) -> set[FieldSpec]:
        """Return the fields that the account may write in each of the ways that the action writes."""
        return self._in_all(NEEDS[self.do])

    def _seen(self) -> set[FieldSpec]:
        rights = (*NEEDS[self.do], Action.READ_DRAFT, Action.READ)
        return {spec for right in rights for spec in self._in_all([right])}

    def _in_all(self, rights: Iterable[Action]) -> set[FieldSpec]:
        collection = self.writing.collection
        grants = [self.writing.by.grant(right, on=collection.resource) for right in rights]
        return {spec for spec in collection.fields if all(grant.allows(spec) for grant in grants)}

    def _wrong(self, path: list[str], code: str, detail: str) -> None:
        self.problems.append(_problem(path, code, detail))


def _writing(key: object, account: Principal) -> Writing:
    try:
        if isinstance(key, str):
            return Writing.on(key, by=account)
    except NotFoundError:
        pass
    detail = "There is no such collection that the account may do anything in."
    raise _refused([_problem(["collection"], "unknown-collection", detail)])


def shown(action: Mapping[str, Any]) -> dict[str, Any]:
    """Return a kept action as people write it. What is gone stands there by its id."""
    told = dict(action)
    if "collection" not in action:
        return told
    collection = schema.current().by_id.get(UUID(action["collection"]))
    if collection is None:
        return told
    told["collection"] = collection.key

    def key_of(field_id: str) -> str:
        spec = collection.by_id.get(UUID(field_id))
        return spec.key if spec is not None else field_id

    if "match" in action:
        told["match"] = {**action["match"], "field": key_of(action["match"]["field"])}
    if "mapping" in action:
        told["mapping"] = {key_of(field_id): source for field_id, source in action["mapping"].items()}
    return told


def _refused(problems: Iterable[Problem]) -> InvalidInputError:
    return InvalidInputError(errors=problems)


def _problem(path: list[str], code: str, detail: str) -> Problem:
    return Problem.at(["action", *path], code, detail)
