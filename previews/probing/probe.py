"""The leak probe: asks a site for a draft as strangers, caches and crawlers would, and tells whether it gives it away.

Of the draft nothing is kept or told but the keys of its fields: not its words, nor its address.
"""

import secrets as random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.access import Area, Principal
from accounts.errors import ConflictError, UnavailableError
from accounts.log import Subject, record
from previews import secrets, sites, tokens
from previews.addresses import CODE, origin_in, with_code
from previews.api.edge import COOKIE
from previews.models import PreviewSite
from previews.probing.asking import Asker, NoAnswerError, Reply
from previews.probing.canaries import Canary, canaries_of, told_by

OK, LEAK, WARNING, UNKNOWN = "ok", "leak", "warning", "unknown"
_WORST_FIRST: Final = (LEAK, UNKNOWN, WARNING, OK)
# Names under which others let requests pass their checks (CVE-2025-29927).
_SUBREQUESTS: Final = ("middleware", "src/middleware")
_OLD_FORMS: Final = ("preview=true", "draft=1", "secret=secret", "token=preview")
_WHOLE: Final = {
    LEAK: "The site gives drafts away.",
    UNKNOWN: "Not everything could be asked.",
    WARNING: "No draft was given away, but something should be put right.",
    OK: "No draft was given away.",
}

Progress = Callable[[str], None]
_running: Final = threading.Lock()


@dataclass(frozen=True, slots=True, repr=False)
class Question:
    """One way to ask for the draft. `how` begins the sentence about it; `shown` is its address as it may be told."""

    name: str
    how: str
    url: str
    shown: str
    headers: Mapping[str, str]
    form: bytes | None = None
    cookies_open: str = ""  # the page that the cookies are tried on that the answer sets


@dataclass(frozen=True, slots=True)
class Check:
    """What came of a question."""

    name: str
    url: str
    verdict: str
    sentence: str
    status: int | None = None
    found: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "url": self.url,
            "status": self.status,
            "found": list(self.found),
            "verdict": self.verdict,
            "sentence": self.sentence,
        }


def probe(site: PreviewSite, *, by: Principal, progress: Progress | None = None) -> PreviewSite:
    """Ask a site for drafts that were never public, and return it with the result on it, written down and told.

    It takes a minute at most. Raises ConflictError for a site that is off, or while this process probes already.
    """
    by.require_area(Area.PREVIEWS)
    by.require_no_lockdown()
    sites.require_active(site)
    if not _running.acquire(blocking=False):
        raise ConflictError("A probe is running already. Try again in a minute.")
    try:
        result = _asked(site, progress or (lambda _name: None))
    finally:
        _running.release()
    return _kept(site, result, by)


def _kept(site: PreviewSite, result: dict[str, Any], by: Principal) -> PreviewSite:
    """Write the result on the site's row and into the log."""
    site.probe, site.probed_at = result, timezone.now()
    leaks = [check for check in result["checks"] if check["verdict"] == LEAK]
    about: dict[str, object] = {"name": site.name, "verdict": result["verdict"]}
    subject = Subject("preview-site", str(site.pk))
    with transaction.atomic():
        PreviewSite.objects.filter(pk=site.pk).update(probe=site.probe, probed_at=site.probed_at)
        record(
            "preview-site.probed",
            actor=by,
            subject=subject,
            detail={**about, "checks": len(result["checks"])},
        )
        if leaks:
            told = {"checks": [check["name"] for check in leaks], "fields": _fields(leaks)}
            record("preview-site.leaks", actor=by, subject=subject, detail={**about, **told})
    return site


def _fields(leaks: list[dict[str, Any]]) -> list[str]:
    return sorted({key for check in leaks for key in check["found"]})


def _asked(site: PreviewSite, progress: Progress) -> dict[str, Any]:
    """Ask everything, and return what is kept of it."""
    canaries, reason = canaries_of(site)
    if not canaries:
        return {"verdict": UNKNOWN, "sentence": reason, "checks": []}
    asker, checks = Asker(), list[Check]()
    for canary in canaries:
        if not checks or asker.is_quick:  # a slow site is asked for one draft, and that one in every way
            checks += _checks(asker, site, canary, progress)
    verdict = worst(check.verdict for check in checks)
    told = [check.sentence for check in checks if check.verdict == verdict]
    sentence = f"{_WHOLE[verdict]} {told[0]}" if verdict != OK else _WHOLE[verdict]
    return {"verdict": verdict, "sentence": sentence, "checks": [check.as_json() for check in checks]}


def worst(verdicts: Iterable[str]) -> str:
    """Return the verdict that counts; of none, that nothing was asked."""
    return min(verdicts, key=_WORST_FIRST.index, default=UNKNOWN)


def _checks(asker: Asker, site: PreviewSite, canary: Canary, progress: Progress) -> Iterator[Check]:
    """Ask for one draft in every way. What a page says that isn't there tells what pages of the site say anyway."""
    progress("control")
    nowhere = f"{origin_in(canary.page)}/quillkeep-probe-{random.token_hex(6)}"
    try:
        control = asker.ask(nowhere)[-1]
    except NoAnswerError as error:
        sentence = f"The site could not be asked: {_lower(str(error))}"
        yield Check("control", origin_in(canary.page), UNKNOWN, sentence)
        return
    words = canary.without(control.text)
    if not any(words.values()):
        sentence = "Every page of the site says the few words of this draft. Write a longer draft."
        yield Check("control", origin_in(canary.page), UNKNOWN, sentence, control.status)
        return
    for question in _questions(site, canary):
        progress(question.name)
        yield _check(asker, question, words)


def _check(asker: Asker, question: Question, words: Mapping[str, tuple[str, ...]]) -> Check:
    if not question.url:
        sentence = f"{question.how}: no key can sign, so no token could be made for it."
        return Check(question.name, question.shown, UNKNOWN, sentence)
    try:
        replies = asker.ask(question.url, question.headers, form=question.form)
        gained = {name: value for reply in replies for name, value in reply.cookies.items()}
        if question.cookies_open and gained:
            cookie = "; ".join(f"{name}={value}" for name, value in gained.items())
            replies += asker.ask(question.cookies_open, {"Cookie": cookie})
    except NoAnswerError as error:
        return Check(question.name, question.shown, UNKNOWN, f"{question.how}: {_lower(str(error))}")
    leaking = [(reply, found) for reply in replies if (found := told_by(reply.text, words))]
    if leaking:
        return _leak(question, leaking)
    return _no_leak(question, replies[-1])


def _leak(question: Question, leaking: list[tuple[Reply, list[str]]]) -> Check:
    found = tuple(sorted({key for _, keys in leaking for key in keys}))
    worse = ""
    if any(reply.may_be_kept for reply, _ in leaking):
        worse += (
            " Caches may keep the answer: it lacks `Cache-Control: private, no-store`, or came out of one."
        )
    if any(reply.may_be_listed for reply, _ in leaking):
        worse += " Search engines may list it: it lacks `noindex`."
    sentence = f"{question.how} the site shows words of the draft ({', '.join(found)}).{worse}"
    return Check(question.name, question.shown, LEAK, sentence, leaking[0][0].status, found)


def _no_leak(question: Question, reply: Reply) -> Check:
    """Judge an answer without the draft. A page that is not there and answers 200 is one for caches and crawlers."""
    if reply.status >= 500:
        sentence = (
            f"{question.how} the site fails with {reply.status}: whether it would show the draft is open."
        )
        return Check(question.name, question.shown, UNKNOWN, sentence, reply.status)
    sentence = f"{question.how} the site answers {reply.status}, without the draft."
    if reply.status == 200 and question.name == "no-cookie" and reply.may_be_kept and reply.may_be_listed:
        sentence += (
            " A page that is not published should answer 404: caches and search engines keep this one."
        )
        return Check(question.name, question.shown, WARNING, sentence, reply.status)
    return Check(question.name, question.shown, OK, sentence, reply.status)


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


# --- The ways to ask ------------------------------------------------------------------------------------------------


def _questions(site: PreviewSite, canary: Canary) -> Iterator[Question]:
    page, shown = canary.page, canary.shown_page
    yield Question("no-cookie", "Without a cookie", page, shown, {})
    try:
        made = tokens.samples_for_a_probe(site, canary.entry_id, canary.locale)
    except UnavailableError:
        made = {}
    for name, how in (
        ("expired", "With the cookie of a preview that is over"),
        ("forged", "With a token that somebody else signed"),
        ("unsigned", "With a token that nobody signed"),
    ):
        headers = {"Cookie": f"{COOKIE}={made.get(name, '')}"}
        yield Question(f"{name}-cookie", how, page if made else "", shown, headers)
    yield from _spoofed(site, canary)
    if site.cdn_origin:
        cdn, shown_cdn = (site.cdn_origin + text.removeprefix(origin_in(page)) for text in (page, shown))
        yield Question("cdn", "Through the CDN's address", cdn, shown_cdn, {})
        if made:
            headers = {"Cookie": f"{COOKIE}={made['expired']}"}
            how = "Through the CDN's address, with the cookie of a preview that is over,"
            yield Question("cdn-expired-cookie", how, cdn, shown_cdn, headers)
    yield from _at_the_handoff(site, canary)
    for form in (*_OLD_FORMS, f"nocache={random.token_hex(4)}"):
        name = form.partition("=")[0]
        yield Question(
            f"query-{name}", f"With ?{name}= in the address", _with(page, form), _with(shown, form), {}
        )


def _spoofed(site: PreviewSite, canary: Canary) -> Iterator[Question]:
    page, shown = canary.page, canary.shown_page
    for name in _SUBREQUESTS:
        headers = {"X-Middleware-Subrequest": ":".join([name] * 5)}
        how = "With a header that made middleware elsewhere be skipped (CVE-2025-29927)"
        yield Question(f"subrequest-{name.replace('/', '-')}", how, page, shown, headers)
    headers = {
        "X-Draft-Mode": "1",
        "X-Draft-Id": str(canary.entry_id),
        "X-Preview": "true",
        "X-Preview-Token": random.token_urlsafe(16),
    }
    yield Question("draft-headers", "With headers that say that it is a preview", page, shown, headers)
    host = urlsplit(site.cdn_origin or settings.PUBLIC_URL).netloc
    headers = {"X-Forwarded-Host": host, "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"}
    yield Question("forwarded-host", "With headers that say that it comes from within", page, shown, headers)


def _at_the_handoff(site: PreviewSite, canary: Canary) -> Iterator[Question]:
    url, shown = canary.handoff, canary.shown_handoff
    code = secrets.new(secrets.CODE)
    how = "With a code that nobody made"
    opened = with_code(url, code), with_code(shown, "…")
    yield Question("made-up-code", how, *opened, {}, cookies_open=canary.page)
    if site.response_mode == PreviewSite.ResponseMode.FORM_POST:
        form = f"{CODE}={code}".encode()
        yield Question("made-up-code-in-a-form", how, url, shown, {}, form, cookies_open=canary.page)
    how = "With a secret in the address instead of a code"
    old = _with(url, "secret=secret"), _with(shown, "secret=secret")
    yield Question("handoff-secret", how, *old, {}, cookies_open=canary.page)


def _with(url: str, parameter: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{parameter}"
