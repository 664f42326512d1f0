"""Opening a preview: whose rights it has at this very moment, and the draft as those show it."""

from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import UUID

from django.db import transaction
from django.db.models import F, OuterRef, Subquery
from django.db.models.lookups import IsNull
from django.utils import timezone

from accounts import principals
from accounts.access import Action, FieldSet, Grant, Principal
from accounts.canonical import Json
from accounts.errors import NotFoundError
from accounts.keys import api_keys
from accounts.log import Subject, record
from accounts.models.credential import Bearer, Credential
from accounts.models.session import goes_on
from content import schema
from content.manage.views import DRAFTS
from content.models import Entry
from content.parameters import Parameters
from content.query import Plane, Reader
from content.reading import note_documents
from content.schema import CollectionSpec
from content.shaping import Shaper
from content.writing import Writing, allowed_fields, clauses_for
from previews import state
from previews.models import Preview
from previews.state import Bound
from previews.tokens import InvalidTokenError, PreviewClaims, session_hash


@dataclass(frozen=True, slots=True)
class Opened:
    """A live preview: whose rights it has now, and the generations that were read with them."""

    principal: Principal
    generations: dict[str, int]
    is_first: bool


def bound_to(preview: Preview) -> Bound:
    """Return the session, or the key, that a preview lives as long as."""
    if preview.session_id is not None:
        return Bound("session", preview.session_id)
    return Bound("key", UUID(str(preview.api_key_id)))


def is_bound_to_somebody_live(preview: Preview) -> bool:
    """Tell whether the session, or the key, that asked for a preview still counts, and its person."""
    return _row(preview.pk, bound_to(preview)) is not None


def opened(claims: PreviewClaims, bound: Bound | None) -> Opened:
    """Return whose rights a preview has now. Raises InvalidTokenError when it, or what it hangs on, has ended.

    Everything is asked in one statement: the preview, the session or the key, the person, their roles, the
    generations. `bound` is what Valkey said it is bound to; where it said nothing the register is asked first.
    """
    is_known = bound is not None
    if bound is None:
        found = Preview.objects.live().filter(pk=claims.preview_id).first()
        if found is None:
            raise InvalidTokenError("revoked")
        bound = bound_to(found)
    if claims.session != session_hash(claims.site_id, bound.id):
        raise InvalidTokenError("session")
    row = _row(claims.preview_id, bound, claims)
    if row is None:
        raise InvalidTokenError(_why_not(claims))
    if isinstance(row, Bearer):
        principal = principals.of_bearer(row, using="default")
    else:
        principal = principals.of_credential(row, using="default")
    principal = replace(
        principal, credential="preview", credential_id=str(claims.preview_id), confirmed="", reason=""
    )
    if not is_known:
        state.remember(claims.preview_id, bound, claims.expires_at)
    return Opened(principals.with_object_grants(principal), row.generations, bool(row.is_first))


def _row(preview_id: UUID, bound: Bound, claims: PreviewClaims | None = None) -> Any:
    """Return the row of the session or the key, when it counts and the preview lives; None otherwise."""
    now = timezone.now()
    live = Preview.objects.live(now).filter(pk=preview_id)
    if claims is not None:
        live = live.filter(
            site_id=claims.site_id,
            entry_id=claims.entry_id,
            locale=claims.locale,
            exchanged_at__isnull=False,
        )
    if bound.kind == "session":
        live = live.filter(
            session_id=OuterRef("pk"), user_id=OuterRef("user_id"), token_version=OuterRef("token_version")
        )
        rows: Any = Bearer.objects.filter(pk=bound.id)
    else:
        live = live.filter(api_key_id=OuterRef("pk"), user_id=OuterRef("owner_id"))
        rows = Credential.objects.filter(pk=bound.id)
    # NULL where it does not live: one subquery, since putting each together takes longer than asking it.
    is_first = Subquery(live.values(is_first=IsNull(F("opened_at"), True))[:1])
    row = next(iter(rows.annotate(is_first=is_first)), None)
    if row is None or row.is_first is None:
        return None
    if isinstance(row, Bearer):
        counts = goes_on(row, row.demands, now) and row.user_is_active and not row.user_is_service
        return row if counts else None
    if isinstance(row, Credential):
        return row if not api_keys.refusal(row, now) else None
    return None


def _why_not(claims: PreviewClaims) -> str:
    """Return the word for the log: asked only once it is refused."""
    preview = Preview.objects.select_related("site").filter(pk=claims.preview_id).first()
    if preview is None or preview.revoked_at is not None or not preview.site.is_active:
        return "revoked"
    is_as_minted = (preview.site_id, preview.entry_id, preview.locale) == (
        claims.site_id,
        claims.entry_id,
        claims.locale,
    )
    return "session-ended" if is_as_minted and preview.exchanged_at is not None else "not-as-minted"


# --- The draft ------------------------------------------------------------------------------------------------------


def read_draft(
    principal: Principal, collection: CollectionSpec, claims: PreviewClaims, parameters: Parameters
) -> dict[str, Json]:
    """Return the draft document, as far as the person may both read and preview it now. Raises NotFoundError.

    References to other drafts appear where that person may read them: they are looked at again on every use.
    """
    present = schema.current()
    entry = Entry.objects.filter(pk=claims.entry_id, collection_id=collection.id, trashed_at=None).first()
    if entry is None:
        raise NotFoundError
    writing = Writing(present, collection, principal)
    held = clauses_for(entry, Action.PREVIEW, writing, [claims.locale])
    if not held:
        raise NotFoundError
    shown = frozenset(spec.id for spec in allowed_fields(held, collection))
    reader = _Reader.of(_Drafts.showing(collection, shown), present, principal, claims.locale)
    row, selection = reader.one(collection, str(claims.entry_id), parameters)
    shaper = Shaper(reader, as_published=True)
    document = shaper.document(collection, row, selection)
    note_documents(shaper, collection, [row], is_draft_read=True, where="preview")
    return document


@dataclass(frozen=True, slots=True)
class _Drafts(Plane):
    """Drafts, of one collection with these fields alone. Statements are kept by plane, and so never mixed."""

    collection_id: UUID
    shown: frozenset[UUID]

    @classmethod
    def showing(cls, collection: CollectionSpec, shown: frozenset[UUID]) -> Self:
        return cls(
            DRAFTS.model, DRAFTS.words, DRAFTS.using, DRAFTS.action, DRAFTS.drafts, collection.id, shown
        )


@dataclass
class _Reader(Reader):
    """Reads what may be both read and previewed. A reference that leads back is no way round: it is asked here too."""

    plane: _Drafts

    def grant(self, collection_id: UUID) -> Grant:
        granted = super().grant(collection_id)
        if collection_id != self.plane.collection_id:
            return granted
        return Grant(
            tuple(replace(clause, fields=self._narrowed(clause.fields)) for clause in granted.clauses)
        )

    def _narrowed(self, fields: FieldSet) -> FieldSet:
        known = self.schema.by_id[self.plane.collection_id].fields
        return FieldSet(
            frozenset(spec.id for spec in known if spec.id in self.plane.shown and fields.allows(spec))
        )


def note_first_open(claims: PreviewClaims, by: Principal, agent: str) -> None:
    """Write down that a preview was opened, from where and by what: the first time as an event, later it is counted."""
    with transaction.atomic():
        first = Preview.objects.filter(pk=claims.preview_id, opened_at=None).update(
            opened_at=timezone.now(), opened_from=by.address, opened_agent=agent[:200].replace("\x00", "")
        )
        if first:
            preview = Preview.objects.get(pk=claims.preview_id)
            subject = Subject("preview", str(preview.pk), preview.collection_id)
            record("preview.opened", actor=by, subject=subject, locale=preview.locale, detail={})
