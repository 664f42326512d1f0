"""The handoff: an editor asks for a preview, the browser carries a code for a minute, the site gets a token for it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import environments, jws, limits
from accounts.access import Action, Principal
from accounts.errors import (
    ConflictError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    Problem,
    TooManyRequestsError,
)
from accounts.limits import Policy
from accounts.log import Subject, record
from accounts.models import ApiKey, Session
from content import schema
from content.fields.base import FieldSpec
from content.models import DraftDocument, Entry
from content.schema import CollectionSpec, Schema
from content.writing import Writing, allowed_fields, clauses_for, require_rows
from previews import secrets, state, tokens
from previews.addresses import MissingValueError, fields_in, filled, with_code
from previews.models import HandoffUrl, Preview, PreviewSite, SigningKey
from previews.models.site import SHORTEST
from previews.opening import bound_to, is_bound_to_somebody_live
from previews.register import end
from previews.signing.table import signing_key

CODE_LIFE: Final = timedelta(seconds=60)
# Of one person, or one key: each is a row for ninety days and an event for good, also by the admin, which has no quota.
MINTS: Final = Policy("preview-mints", quota=120, fails_open=True)
DOUBLE_SUBMIT: Final = timedelta(seconds=5)  # a code that comes again so soon was sent twice, not stolen


@dataclass(frozen=True, slots=True, repr=False)
class Minted:
    """A preview, and the only time that its code exists outside of the browser. `url` holds the code."""

    preview: Preview
    code: str
    url: str  # where the browser goes; with `form_post` without the code
    clean_url: str


@dataclass(frozen=True, slots=True, repr=False)
class Exchanged:
    """A preview, and its token."""

    preview: Preview
    token: str


class RefusedCodeError(NotAuthenticatedError):
    """A code or a client secret is no good. Which of them, and why, stands in the log; the answer never tells."""

    code = "invalid-code"
    default_detail = "The code is not valid (any more), or the client secret is not the one of its site."

    def __init__(self, reason: str, preview: Preview | None = None, *, detail: str = "") -> None:
        super().__init__(detail)
        self.reason, self.preview = reason, preview


# --- Minting --------------------------------------------------------------------------------------------------------


def mint(entry_id: UUID, *, site: PreviewSite, locale: str | None, ttl: int | None, by: Principal) -> Minted:
    """Hand out a preview of an entry's working state in one locale. The rights are those of `by`, then and at use.

    Raises NotFoundError for an entry that `by` can't see, NotAllowedError without the right to preview it,
    InvalidInputError with each fault, UnavailableError when no key can sign, TooManyRequestsError.
    """
    present = schema.current()
    if (
        locale is not None and locale not in present.locale_by_code
    ):  # before the entry, or it would tell of one
        raise InvalidInputError(errors=[Problem.at(["locale"], "unknown-locale", "There is no such locale.")])
    entry, collection, writing = _entry(entry_id, present, by)
    locale = _locale(entry, collection, writing, locale)
    held = require_rows(entry, Action.PREVIEW, writing, [locale])
    readable = clauses_for(entry, Action.READ_DRAFT, writing, [locale])
    if not readable:
        raise NotFoundError
    if entry.trashed_at is not None:
        raise ConflictError("The entry is in the trash. Restore it first.")
    row = _url_of(site, collection, locale)
    seconds = _seconds(site, ttl)
    signing_key(site)
    allowed = allowed_fields(held, collection) & allowed_fields(readable, collection)
    clean = _address(row, entry, collection, locale, allowed)
    _require_few(by)
    code, now = secrets.new(secrets.CODE), timezone.now()
    with transaction.atomic():
        preview = Preview(
            site=site,
            entry=entry,
            collection_id=collection.id,
            locale=locale,
            token_version=0,
            created_at=now,
            expires_at=now + timedelta(seconds=seconds),
            code_hash=secrets.digest(code),
            code_expires_at=now + CODE_LIFE,
        )
        _bind(preview, by)
        preview.save(force_insert=True)
        detail = {"entry": str(entry.pk), "site": site.name, "seconds": seconds}
        _record("preview.minted", preview, by, detail)
    is_in_url = site.response_mode == PreviewSite.ResponseMode.QUERY
    return Minted(preview, code, with_code(clean, code) if is_in_url else clean, clean)


def _require_few(by: Principal) -> None:
    who = by.credential_id if by.credential == "api-key" else by.user_id
    state = limits.hit(MINTS, f"{by.kind}:{who}")
    if state is not None and state.is_exceeded:
        raise TooManyRequestsError(retry_after=state.resets_in)


def sites_for(collection_id: UUID, locale: str) -> list[PreviewSite]:
    """Return the sites that show entries of a collection in a locale, by name."""
    found = PreviewSite.objects.filter(
        state=PreviewSite.State.ACTIVE,
        handoff_urls__collection_id=collection_id,
        handoff_urls__locale__in=("", locale),
    )
    return list(found.distinct().order_by("name"))


def _entry(entry_id: UUID, present: Schema, by: Principal) -> tuple[Entry, CollectionSpec, Writing]:
    entry = Entry.objects.filter(pk=entry_id).first()
    collection = present.by_id.get(entry.collection_id) if entry is not None else None
    if entry is None or collection is None or not collection.has_entries:
        raise NotFoundError
    return entry, collection, Writing(present, collection, by)


def _locale(entry: Entry, collection: CollectionSpec, writing: Writing, locale: str | None) -> str:
    """Return the locale under which the draft is kept: the one asked for, or the default one, or the first there is."""
    present = writing.schema
    wanted = present.locale_of(collection, locale or present.default_locale.code)
    drafts = DraftDocument.objects.filter(entry=entry).order_by("locale").values_list("locale", flat=True)
    there = list(drafts)
    if wanted in there:
        return wanted
    if not clauses_for(entry, Action.READ_DRAFT, writing, []):
        raise NotFoundError
    if locale is None and there:
        return there[0]
    raise InvalidInputError(
        errors=[Problem.at(["locale"], "no-content", "The entry has nothing in this locale yet.")]
    )


def _url_of(site: PreviewSite, collection: CollectionSpec, locale: str) -> HandoffUrl:
    rows = site.handoff_urls.filter(collection_id=collection.id, locale__in=("", locale))
    row = rows.order_by("-locale").first()  # the one of the locale before the one of all others
    if row is None or not site.is_active:
        detail = f"The site does not show {collection.name} in this locale, or is switched off."
        raise InvalidInputError(errors=[Problem.at(["site_id"], "not-shown-there", detail)])
    return row


def _seconds(site: PreviewSite, ttl: int | None) -> int:
    if ttl is None:
        return site.ttl_seconds
    if not SHORTEST <= ttl <= site.max_ttl_seconds:
        detail = f"From {SHORTEST} to {site.max_ttl_seconds} seconds on this site."
        raise InvalidInputError(errors=[Problem.at(["ttl_seconds"], "out-of-range", detail)])
    return ttl


def _address(
    row: HandoffUrl, entry: Entry, collection: CollectionSpec, locale: str, allowed: set[FieldSpec]
) -> str:
    """Fill the handoff URL; only with fields that whoever asks may read."""
    draft = DraftDocument.objects.get(entry=entry, locale=locale)
    readable = {str(spec.id) for spec in fields_in(row.url, collection) if spec in allowed}
    values = {key: value for key, value in draft.data.items() if key in readable}
    system = {"_id": str(entry.pk), "_locale": locale, "_collection": collection.key}
    try:
        return filled(row.url, collection, values, system)
    except MissingValueError as error:
        detail = f"The address on the site needs a value for {error.name}, and the entry has none that you can read."
        raise InvalidInputError(errors=[Problem.at(["entry_id"], "no-address", detail)]) from error


def _bind(preview: Preview, by: Principal) -> None:
    """Bind a preview to the session or the key of who asks, and end it with that. Raises NotAuthenticatedError."""
    if by.credential in ("session", "jwt"):
        session = Session.objects.live().select_related("user").filter(pk=by.credential_id).first()
        if session is None:
            raise NotAuthenticatedError("The session has ended.")
        preview.session, preview.user = session, session.user
        preview.expires_at = min(preview.expires_at, session.expires_at)
    elif by.credential == "api-key":
        key = ApiKey.objects.usable().select_related("owner").filter(public_id=by.credential_id).first()
        if key is None:
            raise NotAuthenticatedError
        preview.api_key, preview.user = key, key.owner
        preview.expires_at = min(preview.expires_at, key.expires_at)
    else:
        raise NotAuthenticatedError("A preview belongs to somebody who is signed in.")
    preview.token_version = preview.user.token_version


# --- Exchanging -----------------------------------------------------------------------------------------------------


def exchange(code: str, client_secret: str, *, by: Principal) -> Exchanged:
    """Return the token of a code, to the site that it was made for, once. `by` is who sends it: nobody, from somewhere.

    Raises RefusedCodeError, the same whatever is wrong, and UnavailableError when no key can sign: the code still
    works then.
    """
    for what, text in (("code", code), ("client secret", client_secret)):
        sentence = environments.refusal(what, secrets.made_in(text))
        if sentence:
            raise RefusedCodeError("other-environment", detail=sentence)
    if not secrets.is_one(code, secrets.CODE):
        raise RefusedCodeError("unknown-code")
    with transaction.atomic():
        rows = Preview.objects.select_for_update(of=("self",)).select_related("site", "user")
        preview = rows.filter(code_hash=secrets.digest(code)).first()
        _require_secret(preview, client_secret)
        if preview is None:
            raise RefusedCodeError("unknown-code")
        refused = _why_refused(preview)
        if refused == "code-used" and preview.revoked_at is None and _is_stolen(preview):
            end(preview, by=by, because="code-used")
        elif not refused:
            token = tokens.sign(preview)
            preview.exchanged_at, preview.exchanged_from = timezone.now(), by.address
            preview.save(update_fields=["exchanged_at", "exchanged_from"])
            _note_use(preview.site, jws.header_of(token).kid)
            _record("preview.exchanged", preview, by, {"site": preview.site.name})
            transaction.on_commit(lambda: state.remember(preview.pk, bound_to(preview), preview.expires_at))
            return Exchanged(preview, token)
    raise RefusedCodeError(refused, preview)


def is_waiting(code: str) -> bool:
    """Tell whether a text is a code that nobody has exchanged yet. It says nothing of the secret."""
    if not secrets.is_one(code, secrets.CODE):
        return False
    waiting = Preview.objects.live().filter(exchanged_at=None, code_expires_at__gt=timezone.now())
    return waiting.filter(code_hash=secrets.digest(code)).exists()


def _require_secret(preview: Preview | None, client_secret: str) -> None:
    """Raise unless the secret is the site's own. Compared also without a preview, so that time tells nothing."""
    given = secrets.digest(client_secret)
    site = preview.site if preview is not None else None
    is_current = secrets.same(site.secret_hash if site else "-" * 64, given)
    is_previous = secrets.same((site.previous_secret_hash if site else "") or "-" * 64, given)
    if site is None:
        return
    overlaps = site.previous_valid_until is not None and timezone.now() < site.previous_valid_until
    if is_current or (is_previous and overlaps):
        return
    others = PreviewSite.objects.filter(secret_hash=given).exclude(pk=site.pk)
    raise RefusedCodeError("other-site" if others.exists() else "wrong-secret", preview)


def _why_refused(preview: Preview) -> str:
    """Return why the code of this preview gets no token, "" when it does."""
    now = timezone.now()
    if preview.exchanged_at is not None:
        return "code-used"
    if not preview.site.is_active:
        return "site-off"
    if preview.revoked_at is not None:
        return "revoked"
    if now >= preview.code_expires_at or now >= preview.expires_at:
        return "code-expired"
    return "" if is_bound_to_somebody_live(preview) else "session-ended"


def _is_stolen(preview: Preview) -> bool:
    """Tell whether a code that comes again was taken: not just sent twice by one browser (RFC 6749, section 4.1.2)."""
    return preview.exchanged_at is not None and timezone.now() - preview.exchanged_at > DOUBLE_SUBMIT


def _note_use(site: PreviewSite, key_id: str) -> None:
    """Note on the site and on its key that they are used, once a minute at most: rows that everybody waits for."""
    now = timezone.now()
    is_due = Q(last_used_at=None) | Q(last_used_at__lt=now - timedelta(minutes=1))
    PreviewSite.objects.filter(is_due, pk=site.pk).update(last_used_at=now)
    SigningKey.objects.filter(is_due, pk=key_id).update(last_used_at=now)


def _record(type_: str, preview: Preview, by: Principal, detail: dict[str, object]) -> None:
    subject = Subject("preview", str(preview.pk), preview.collection_id)
    record(type_, actor=by, subject=subject, locale=preview.locale, detail=detail)
