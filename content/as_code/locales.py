"""Locales as code, known by their codes."""

from collections.abc import Mapping
from typing import Any, Final

from accounts.api.strict import StrictCharField, StrictListField, StrictSerializer
from accounts.as_code import (
    Change,
    Work,
    differences,
    not_in_file,
    shape_problems,
    without_defaults,
)
from accounts.errors import Problem
from content.locales import change_locale, create_locale, delete_locale
from content.models import Locale

LOCALE_DEFAULTS: Final[Mapping[str, Any]] = {"fallback": [], "direction": "ltr", "default": False}


class _LocaleShape(StrictSerializer):
    name = StrictCharField(max_length=80)
    fallback = StrictListField(child=StrictCharField(max_length=24), required=False)
    direction = StrictCharField(max_length=3, required=False)
    # `default` is a word of DRF's serializers, so it is read beside it


class Locales:
    """Locales and where they fall back to."""

    name = "locales"

    def export(self) -> dict[str, Any]:
        return {row.code: _locale(row) for row in Locale.objects.all()}

    def check(self, given: Any) -> list[Problem]:
        if not isinstance(given, Mapping):
            return [Problem.at((), "invalid-type", "Codes of locales, each with its name.")]
        problems: list[Problem] = []
        plain: dict[str, Any] = {}
        for code, item in given.items():
            plain[code] = item
            if isinstance(item, Mapping):
                plain[code] = {name: value for name, value in item.items() if name != "default"}
                if not isinstance(item.get("default", False), bool):
                    problems.append(Problem.at((code, "default"), "invalid-type", "True or false."))
        return problems + shape_problems(plain, _LocaleShape)

    def put(self, given: Mapping[str, Any], work: Work) -> None:
        known = {row.code: row for row in Locale.objects.all()}
        wanted = {code: {**LOCALE_DEFAULTS, **item} for code, item in given.items()}
        for code, item in wanted.items():
            is_default = code in known and known[code].is_default
            if item["default"] is not is_default:
                detail = (
                    "The default locale of a house can't be changed."
                    if item["default"]
                    else (
                        "This is the default locale of this house, which can't be changed: write `default: true`."
                    )
                )
                work.problems.append(Problem.at((self.name, code, "default"), "not-possible", detail))
        for code in [code for code in wanted if code not in known]:
            with work.at(self.name, code):
                # What it falls back to may come behind it in the file.
                create_locale(_raw(code, {**wanted[code], "fallback": []}), by=work.by)
        for code, item in wanted.items():
            with work.at(self.name, code):
                self._change(code, item, known.get(code), work)

    def _change(self, code: str, item: Mapping[str, Any], former: Locale | None, work: Work) -> None:
        row = Locale.objects.filter(pk=code).first()
        if row is None:
            return  # refused a moment ago
        if without_defaults({**item, "default": row.is_default}, LOCALE_DEFAULTS) != _locale(row):
            row = change_locale(code, _raw(code, item), by=work.by)
        before = _locale(former) if former is not None else {}
        lines = differences(before, _locale(row))
        if lines or former is None:
            work.changes.append(Change(self.name, "create" if former is None else "change", code, lines))

    def remove(self, given: Mapping[str, Any], work: Work) -> None:
        for code in Locale.objects.exclude(pk__in=list(given)).order_by("pk").values_list("pk", flat=True):
            with work.at(self.name), not_in_file(f"locale {code}"):
                delete_locale(code, by=work.by)
                work.changes.append(Change(self.name, "delete", code))


def _locale(row: Locale) -> dict[str, Any]:
    values = {
        "name": row.name,
        "fallback": list(row.fallback),
        "direction": str(row.direction),
        "default": row.is_default,
    }
    return without_defaults(values, LOCALE_DEFAULTS)


def _raw(code: str, item: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": code, **{name: item[name] for name in ("name", "fallback", "direction")}}
