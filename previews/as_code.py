"""Preview sites as code, known by their names."""

from collections.abc import Mapping
from typing import Any, Final

from accounts.api.bodies import JsonObjectField
from accounts.api.strict import (
    StrictBooleanField,
    StrictCharField,
    StrictIntegerField,
    StrictListField,
    StrictSerializer,
)
from accounts.as_code import Change, Secret, Work, differences, shape_problems, without_defaults
from accounts.errors import Problem
from previews import sites
from previews.models import PreviewSite
from previews.models.signing_key import Algorithm
from previews.models.site import DEFAULT, LONGEST

DEFAULTS: Final[Mapping[str, Any]] = {
    "handoff_urls": {},
    "algorithm": str(Algorithm.EDDSA),
    "ttl_seconds": DEFAULT,
    "max_ttl_seconds": LONGEST,
    "response_mode": str(PreviewSite.ResponseMode.QUERY),
    "is_embeddable": True,
    "cdn_origin": "",
    "state": str(PreviewSite.State.ACTIVE),
}
ORDER: Final = ("origins", *DEFAULTS)


class _Shape(StrictSerializer):
    origins = StrictListField(child=StrictCharField(max_length=300), max_length=20)
    handoff_urls = JsonObjectField(required=False)
    algorithm = StrictCharField(max_length=5, required=False)
    ttl_seconds = StrictIntegerField(required=False, min_value=0, max_value=86_400)
    max_ttl_seconds = StrictIntegerField(required=False, min_value=0, max_value=86_400)
    response_mode = StrictCharField(max_length=9, required=False)
    is_embeddable = StrictBooleanField(required=False)
    cdn_origin = StrictCharField(max_length=300, required=False, allow_blank=True)
    state = StrictCharField(max_length=8, required=False)


class PreviewSites:
    """Sites without their secrets: a new one gets fresh ones."""

    name = "preview_sites"

    def export(self) -> dict[str, Any]:
        rows = PreviewSite.objects.prefetch_related("handoff_urls")
        return {row.name: _site(row) for row in rows}

    def check(self, given: Any) -> list[Problem]:
        problems = shape_problems(given, _Shape)
        for name, item in given.items() if isinstance(given, Mapping) else ():
            urls = item.get("handoff_urls", {}) if isinstance(item, Mapping) else {}
            for key, url in urls.items() if isinstance(urls, Mapping) else ():
                by_locale = url if isinstance(url, Mapping) else {"*": url}
                if not by_locale or not all(isinstance(value, str) for value in by_locale.values()):
                    detail = "An address, or addresses by locale with * for every other."
                    problems.append(Problem.at((name, "handoff_urls", key), "invalid-type", detail))
        return problems

    def put(self, given: Mapping[str, Any], work: Work) -> None:
        for name, item in given.items():
            with work.at(self.name, name):
                self._put(name, _normal(item), work)

    def _put(self, name: str, wanted: Mapping[str, Any], work: Work) -> None:
        row = PreviewSite.objects.filter(name=name).first()
        whole = {**DEFAULTS, **wanted}
        values = {key: whole[key] for key in ORDER if key != "handoff_urls"}
        if row is None:
            made = sites.add({"name": name, **values}, whole["handoff_urls"], by=work.by)
            self._note(made, work)
            work.changes.append(Change(self.name, "create", name, differences({}, _fresh(made.site))))
            return
        before = _site(row)
        if before == wanted:
            return
        self._note(sites.change(row, values, whole["handoff_urls"], by=work.by), work)
        if lines := differences(before, _fresh(row)):
            work.changes.append(Change(self.name, "change", name, lines))

    def _note(self, made: sites.Made, work: Work) -> None:
        for kind, text in (("client secret", made.client_secret), ("shared secret", made.shared_secret)):
            if text:
                work.secrets.append(Secret(self.name, made.site.name, kind, text))

    def remove(self, given: Mapping[str, Any], work: Work) -> None:
        for row in PreviewSite.objects.exclude(name__in=list(given)).order_by("name"):
            with work.at(self.name):
                name = row.name
                sites.remove(row, by=work.by)
                work.changes.append(
                    Change(
                        self.name,
                        "delete",
                        name,
                        ("with its secrets and its part of the register",),
                        is_final=True,
                    )
                )


def _fresh(row: PreviewSite) -> dict[str, Any]:
    return _site(PreviewSite.objects.get(pk=row.pk))


def _site(row: PreviewSite) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in ORDER if name != "handoff_urls"}
    texts = {name: str(values[name]) for name in ("algorithm", "response_mode", "state", "cdn_origin")}
    return _normal({**values, **texts, "origins": list(row.origins), "handoff_urls": sites.shown_urls(row)})


def _normal(item: Mapping[str, Any]) -> dict[str, Any]:
    values = {**DEFAULTS, **item}
    values["handoff_urls"] = {
        key: url["*"] if isinstance(url, Mapping) and url.keys() == {"*"} else url
        for key, url in sorted(values["handoff_urls"].items())
    }
    return without_defaults({name: values[name] for name in ORDER}, DEFAULTS)
