"""Making, changing and deleting locales."""

import re
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts.access import Area, Principal
from accounts.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from accounts.log import Subject, record
from accounts.models import Generation
from content import schema
from content.models import DraftDocument, Locale
from content.models.schema import LOCALE_PATTERN
from content.rebuilding import rebuild_later

KEYS = frozenset({"code", "name", "fallback", "direction"})
MAX_LOCALES = 100


@transaction.atomic
def create_locale(raw: Mapping[str, Any], *, by: Principal) -> Locale:
    """Create a locale from its JSON; raise with every fault."""
    by.require_area(Area.LOCALES)
    known = set(Locale.objects.select_for_update().values_list("code", flat=True))
    problems = _problems(raw, known)
    code = raw.get("code")
    if not isinstance(code, str) or not re.fullmatch(LOCALE_PATTERN, code):
        problems.append(Problem.at(("code",), "invalid-value", "A BCP 47 language tag such as de or pt-BR."))
    elif code in known:
        problems.append(Problem.at(("code",), "not-unique", "There is such a locale already."))
    if "name" not in raw:
        problems.append(Problem.at(("name",), "required", "This is required."))
    if len(known) >= MAX_LOCALES:
        problems.append(Problem.at(("code",), "too-many", f"At most {MAX_LOCALES} locales."))
    if problems:
        raise InvalidInputError(errors=problems)
    values = {key: raw[key] for key in KEYS if key in raw}
    locale = Locale.objects.create(**values)
    _finish(locale, by, "created")
    return locale


@transaction.atomic
def change_locale(code: str, raw: Mapping[str, Any], *, by: Principal) -> Locale:
    """Change the name, fallback or direction of a locale."""
    by.require_area(Area.LOCALES)
    known = set(Locale.objects.select_for_update().values_list("code", flat=True))
    if code not in known:
        raise NotFoundError
    problems = _problems(raw, known)
    if raw.get("code", code) != code:
        problems.append(Problem.at(("code",), "immutable", "The code of a locale can't be changed."))
    if code in (raw.get("fallback") or ()):
        problems.append(Problem.at(("fallback",), "circular", "A locale can't fall back to itself."))
    if problems:
        raise InvalidInputError(errors=problems)
    locale = Locale.objects.get(pk=code)
    for key in KEYS - {"code"}:
        if key in raw:
            setattr(locale, key, raw[key])
    locale.save()
    _finish(locale, by, "changed")
    return locale


@transaction.atomic
def delete_locale(code: str, *, by: Principal) -> None:
    """Delete a locale that nothing is written in and that is not the default."""
    by.require_area(Area.LOCALES)
    locale = Locale.objects.select_for_update().filter(pk=code).first()
    if locale is None:
        raise NotFoundError
    if locale.is_default:
        raise ConflictError("This is the default locale.")
    count = DraftDocument.objects.filter(locale=code).count()
    if count:
        raise ConflictError(f"{count} entries have content in this locale. Remove that first.")
    for other in Locale.objects.exclude(pk=code):
        if code in other.fallback:
            other.fallback = [item for item in other.fallback if item != code]
            other.save(update_fields=["fallback"])
    _finish(locale, by, "deleted")
    locale.delete()


def _problems(raw: Mapping[str, Any], known: set[str]) -> list[Problem]:
    problems = [
        Problem.at((str(key)[:80],), "unknown-key", "There is no such member of a locale.")
        for key in raw
        if key not in KEYS
    ]
    name = raw.get("name", "-")
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > 80:
        problems.append(Problem.at(("name",), "invalid-value", "A printable text of 1 to 80 characters."))
    fallback = raw.get("fallback", [])
    if (
        not isinstance(fallback, list)
        or not all(isinstance(item, str) for item in fallback)
        or len(fallback) > 10
    ):
        problems.append(Problem.at(("fallback",), "invalid-type", "A list of at most 10 locale codes."))
    else:
        problems += [
            Problem.at(("fallback", index), "unknown-locale", "There is no such locale.")
            for index, item in enumerate(fallback)
            if item not in known
        ]
    if raw.get("direction", "ltr") not in Locale.Direction.values:
        problems.append(Problem.at(("direction",), "invalid-choice", "ltr or rtl."))
    return problems


def _finish(locale: Locale, by: Principal, change: str) -> None:
    record("locale.changed", actor=by, subject=Subject("locale", locale.code), detail={"change": change})
    for collection in schema.read().collections:
        if collection.localized and collection.has_entries:
            rebuild_later(collection.id, f"The locale {locale.code} was {change}")
    Generation.objects.bump(schema.GENERATION)
