"""Preview sites: how one is set up, changed, given a new secret, switched off and removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from accounts.access import Action, Area, Principal
from accounts.errors import ConflictError, InvalidInputError, Problem
from accounts.log import Subject, record
from accounts.models.generation import Generation
from content import schema
from previews import register, secrets
from previews.addresses import MOST_ORIGINS, AddressError, fields_in, origin_in, origin_of, shown, store
from previews.models import HandoffUrl, PreviewSite, SigningKey
from previews.models.signing_key import Algorithm
from previews.models.site import LONGEST, SHORTEST
from previews.signing import life

SETTINGS: Final = (
    "name",
    "origins",
    "algorithm",
    "ttl_seconds",
    "max_ttl_seconds",
    "response_mode",
    "is_embeddable",
    "cdn_origin",
    "state",
)
OVERLAP: Final = timedelta(hours=24)
LONGEST_OVERLAP: Final = timedelta(days=30)
MOST_URLS: Final = 200
LONGEST_NAME: Final = 100

# collection key → one URL, or locale ("*" for every other) → URL
HandoffUrls = Mapping[str, str | Mapping[str, str]]


@dataclass(frozen=True, slots=True, repr=False)
class Made:
    """A site, and the only time that its secrets exist outside of its own hands. "" where there is no new one."""

    site: PreviewSite
    client_secret: str = ""
    shared_secret: str = ""


@transaction.atomic
def add(values: Mapping[str, Any], handoff_urls: HandoffUrls, *, by: Principal) -> Made:
    """Set up a site. `values` are SETTINGS by name. Raises InvalidInputError with each fault at its place."""
    _require(by)
    text = secrets.new(secrets.CLIENT_SECRET)
    site = PreviewSite(secret_hash=secrets.digest(text), created_by_id=by.user_id)
    urls = _put(site, values, handoff_urls, by)
    site.save(force_insert=True)
    HandoffUrl.objects.bulk_create(urls)
    shared = life.ensure(site, by=by)
    _record("preview-site.created", site, by, {"origins": site.origins, "algorithm": str(site.algorithm)})
    return Made(site, text, shared)


@transaction.atomic
def change(
    site: PreviewSite, values: Mapping[str, Any], handoff_urls: HandoffUrls | None, *, by: Principal
) -> Made:
    """Change what is given. Switched off, its previews are over; with another algorithm their tokens are refused.

    Errors as `add`.
    """
    _require(by)
    site = PreviewSite.objects.select_for_update().get(pk=site.pk)
    before = {name: getattr(site, name) for name in SETTINGS}
    urls = _put(site, values, handoff_urls, by)
    site.save()
    changed = sorted(name for name in SETTINGS if getattr(site, name) != before[name])
    if handoff_urls is not None:
        former = shown_urls(site)
        site.handoff_urls.all().delete()
        HandoffUrl.objects.bulk_create(urls)
        changed += ["handoff_urls"] if shown_urls(site) != former else []
    if not site.is_active:
        register.end_on(site, by=by)
    shared = life.ensure(site, by=by)
    _record("preview-site.updated", site, by, {"changed": changed})
    return Made(site, shared_secret=shared)


@transaction.atomic
def rotate_secret(site: PreviewSite, *, overlap: timedelta = OVERLAP, by: Principal) -> Made:
    """Give a site a new client secret; the former one works until the overlap ends."""
    _require(by)
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise InvalidInputError(
            errors=[Problem.at(["overlap_hours"], "out-of-range", "From 0 to 720 hours.")]
        )
    site = PreviewSite.objects.select_for_update().get(pk=site.pk)
    text, now = secrets.new(secrets.CLIENT_SECRET), timezone.now()
    site.previous_secret_hash = site.secret_hash if overlap else ""
    site.previous_valid_until = now + overlap if overlap else None
    site.secret_hash, site.secret_rotated_at = secrets.digest(text), now
    site.save()
    _record("preview-site.secret-rotated", site, by, {"overlap_seconds": int(overlap.total_seconds())})
    return Made(site, text)


@transaction.atomic
def remove(site: PreviewSite, *, by: Principal) -> None:
    """Remove a site, with its secrets and its part of the register. What is in the log stays."""
    _require(by)
    _record("preview-site.deleted", site, by, {})
    SigningKey.objects.filter(site=site).delete()
    site.delete()


def _require(by: Principal) -> None:
    by.require_area(Area.PREVIEWS)
    by.require_step_up()


def _record(type_: str, site: PreviewSite, by: Principal, detail: Mapping[str, object]) -> None:
    subject = Subject("preview-site", str(site.pk))
    record(type_, actor=by, subject=subject, detail={"name": site.name, **detail})
    Generation.objects.bump(life.GENERATION)


# --- What is given --------------------------------------------------------------------------------------------------


def _put(
    site: PreviewSite, values: Mapping[str, Any], handoff_urls: HandoffUrls | None, by: Principal
) -> list[HandoffUrl]:
    """Put values on a row, unsaved, and return the handoff URLs. Raises InvalidInputError with every fault."""
    problems: list[Problem] = []
    former = [] if site._state.adding else list(site.handoff_urls.all())  # noqa: SLF001 (Django's way)
    former_cdn = site.cdn_origin
    for name in SETTINGS:
        if name in values:
            setattr(site, name, values[name])
    site.name = " ".join(site.name.split())
    if not site.name or len(site.name) > LONGEST_NAME or not site.name.isprintable():
        problems.append(Problem.at(["name"], "invalid-value", "A name of at most 100 printable characters."))
    elif PreviewSite.objects.filter(name=site.name).exclude(pk=site.pk).exists():
        problems.append(Problem.at(["name"], "not-unique", "Another site has this name."))
    problems += _choice_problems(site)
    problems += _life_problems(site)
    problems += _origin_problems(site)
    urls: list[HandoffUrl] = []
    if not problems and handoff_urls is not None:
        urls, problems = _urls(site, handoff_urls)
    elif not problems and "origins" in values:
        problems = _left_behind(site)
    if not problems:
        problems = _hidden_problems(
            former if handoff_urls is None else urls, [] if site.cdn_origin != former_cdn else former, by
        )
    if problems:
        raise InvalidInputError(errors=problems)
    return urls


def _choice_problems(site: PreviewSite) -> list[Problem]:
    choices = {
        "algorithm": Algorithm.values,
        "response_mode": PreviewSite.ResponseMode.values,
        "state": PreviewSite.State.values,
    }
    return [
        Problem.at([name], "invalid-choice", f"One of {', '.join(known)}.")
        for name, known in choices.items()
        if getattr(site, name) not in known
    ]


def _life_problems(site: PreviewSite) -> list[Problem]:
    problems = []
    if not SHORTEST <= site.max_ttl_seconds <= LONGEST:
        problems.append(Problem.at(["max_ttl_seconds"], "out-of-range", "From 60 to 1800 seconds."))
    elif not SHORTEST <= site.ttl_seconds <= site.max_ttl_seconds:
        detail = f"From {SHORTEST} to {site.max_ttl_seconds} seconds."
        problems.append(Problem.at(["ttl_seconds"], "out-of-range", detail))
    return problems


def _origin_problems(site: PreviewSite) -> list[Problem]:
    problems: list[Problem] = []
    found: list[str] = []
    for number, text in enumerate(site.origins):
        try:
            found.append(origin_of(text))
        except AddressError as error:
            problems.append(Problem.at(["origins", number], "invalid-origin", str(error)))
    if not 1 <= len(site.origins) <= MOST_ORIGINS:
        problems.append(Problem.at(["origins"], "out-of-range", f"From 1 to {MOST_ORIGINS} origins."))
    site.origins = list(dict.fromkeys(found))
    if site.cdn_origin:
        try:
            site.cdn_origin = origin_of(site.cdn_origin)
        except AddressError as error:
            problems.append(Problem.at(["cdn_origin"], "invalid-origin", str(error)))
    return problems


def _urls(site: PreviewSite, given: HandoffUrls) -> tuple[list[HandoffUrl], list[Problem]]:
    present = schema.current()
    urls: list[HandoffUrl] = []
    problems: list[Problem] = []
    for key, value in given.items():
        collection = present.by_key.get(key)
        if collection is None or not collection.has_entries:
            problems.append(
                Problem.at(["handoff_urls", key], "unknown-collection", "There is no such collection.")
            )
            continue
        by_locale = {"*": value} if isinstance(value, str) else value
        for locale, url in by_locale.items():
            place: list[str | int] = ["handoff_urls", key, *([] if isinstance(value, str) else [locale])]
            if locale != "*" and locale not in present.locale_by_code:
                problems.append(Problem.at(place, "unknown-locale", "There is no such locale."))
                continue
            try:
                stored = store(url, collection, site.origins)
            except AddressError as error:
                problems.append(Problem.at(place, "invalid-url", str(error)))
                continue
            code = "" if locale == "*" else locale
            urls.append(HandoffUrl(site=site, collection_id=collection.id, locale=code, url=stored))
    if len(urls) > MOST_URLS:
        problems.append(Problem.at(["handoff_urls"], "too-many", f"At most {MOST_URLS}."))
    return urls, problems


def _hidden_problems(urls: list[HandoffUrl], former: list[HandoffUrl], by: Principal) -> list[Problem]:
    """Return a problem for each URL that is not a former one and holds fields of drafts that `by` may not read.

    The leak probe sends such values to the address, so whoever chose it would read them there (a confused deputy).
    """
    present = schema.current()
    known = {(row.collection_id, row.locale, row.url) for row in former}
    problems = []
    for row in urls:
        collection = present.by_id.get(row.collection_id)
        if collection is None or (row.collection_id, row.locale, row.url) in known:
            continue
        clauses = by.grant(Action.READ_DRAFT, on=collection.resource).clauses
        of_every_draft = [clause.fields for clause in clauses if not clause.rows]
        for spec in fields_in(row.url, collection):
            if not any(fields.allows(spec) for fields in of_every_draft):
                place = ["handoff_urls", collection.key, *([row.locale] if row.locale else [])]
                detail = f"You may not read {spec.key!r} in every draft, so you may not send it anywhere. Use {{_id}}."
                problems.append(Problem.at(place, "not-readable", detail))
    return problems


def _left_behind(site: PreviewSite) -> list[Problem]:
    """Return a problem for each handoff URL that is on none of the site's origins any more."""
    collections = schema.current().by_id
    return [
        Problem.at(
            ["handoff_urls", collections[row.collection_id].key, *([row.locale] if row.locale else [])],
            "invalid-url",
            "It must be on one of the site’s origins.",
        )
        for row in site.handoff_urls.all()
        if row.collection_id in collections and origin_in(row.url) not in site.origins
    ]


def shown_urls(site: PreviewSite) -> dict[str, str | dict[str, str]]:
    """Return a site's handoff URLs as people write them: by collection, and by locale where there are several."""
    present = schema.current()
    found: dict[str, dict[str, str]] = {}
    for row in site.handoff_urls.all():
        collection = present.by_id.get(row.collection_id)
        if collection is not None:
            found.setdefault(collection.key, {})[row.locale or "*"] = shown(row.url, collection)
    return {
        key: urls["*"] if urls.keys() == {"*"} else dict(sorted(urls.items()))
        for key, urls in sorted(found.items())
    }


def require_active(site: PreviewSite) -> None:
    """Raise ConflictError for a site that is switched off."""
    if not site.is_active:
        raise ConflictError("This preview site is switched off.")
