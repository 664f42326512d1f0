"""A change of access is shown before it is made: tried in a transaction, measured, taken back, and done when confirmed.

The confirmation is signed over who confirms which change from which rights to which: it is good for nothing else, so
neither a changed form nor a role that has moved on in between is saved by it.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

from django.contrib import admin
from django.core.signing import BadSignature, TimestampSigner
from django.db import transaction
from django.db.models import Model
from django.forms.utils import ErrorDict
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.access import Action, Principal, Resource
from accounts.admin.base import ActingForm, VerbAdmin
from accounts.canonical import Json, canonical_bytes
from accounts.directory import Directory, directory
from accounts.rights.impact import LATER, Concerned, Impact, compare

GOOD_FOR: Final = 15 * 60  # seconds
CONFIRMATION: Final = "_confirmation"
BACK: Final = "_edit"  # back to the form, with what was typed
_SALT: Final = "accounts.change-of-access"
_OURS: Final = frozenset({CONFIRMATION, BACK, "csrfmiddlewaretoken"})

T = TypeVar("T")
M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Asked:
    """A change that waits for its confirmation."""

    title: str
    impact: Impact
    concerned: Concerned
    token: str


class NotConfirmedError(Exception):
    """The change was tried and taken back; it must be shown first. No DomainError: nothing was refused."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked.title)
        self.asked = asked


def tried(
    act: Callable[[], T],
    *,
    by: Principal,
    title: str,
    about: Json,
    measure: Callable[[], Principal],
    concerned: Callable[[], Concerned],
    confirmation: str,
    always: bool = False,
) -> T:
    """Do `act` when its confirmation came along, or it changes nobody's access; else raise NotConfirmedError.

    With `always` it is asked for even then.

    `about` says which change it is, in JSON; `measure` returns somebody whom it is about, as of now. Refusals of `act`
    come out as they are.
    """
    known = directory()
    with transaction.atomic():
        before = measure()
        done = act()
        after = measure()
        impact = compare(before, after, known)
        if not impact and not always:
            return done
        digest = _digest(by, about, before, after, known)
        if not _is_confirmed(digest, confirmation):
            raise NotConfirmedError(
                Asked(title, impact, concerned(), TimestampSigner(salt=_SALT).sign(digest))
            )
        return done


class PreviewedForm(ActingForm):
    """A form of the admin whose act is shown before it is done, where it changes somebody's access."""

    confirmation: ClassVar[str] = ""

    def change(self, data: dict[str, Any]) -> Model:
        """Do it and return the row. Raises DomainError."""
        raise NotImplementedError

    def preview(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return what `tried` must know: `title`, `about`, `measure`, `concerned`."""
        raise NotImplementedError

    def act(self, data: dict[str, Any]) -> Model:
        return tried(
            lambda: self.change(data),
            by=self.principal,
            confirmation=self.confirmation,
            **self.preview(data),
        )

    def full_clean(self) -> None:
        """Check nothing on the way back to the form: it is shown as it was typed."""
        if BACK in self.data:
            self._errors, self.cleaned_data = ErrorDict(), {}
        else:
            super().full_clean()

    def is_valid(self) -> bool:
        return BACK not in self.data and super().is_valid()


class PreviewingAdmin(VerbAdmin[M]):
    """Shows what a form's act would change, in place of doing it, until that was confirmed."""

    def get_form(self, request: HttpRequest, obj: M | None = None, *args: Any, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, *args, **kwargs)
        return type(form.__name__, (form,), {"confirmation": request.POST.get(CONFIRMATION, "")})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except NotConfirmedError as error:
            return ask(request, error.asked)


def ask(
    request: HttpRequest, asked: Asked, *, verb: str = "Save", back: str = "", words: str = ""
) -> HttpResponse:
    """Return the page that shows a change, with what was typed in hidden inputs. `back`: an address, or the form."""
    typed = [(name, value) for name, values in request.POST.lists() if name not in _OURS for value in values]
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": asked.title,
        "asked": asked,
        "impact": asked.impact,
        "concerned": asked.concerned,
        "typed": typed,
        "verb": verb,
        "words": words,
        "back": back,
        "confirmation": CONFIRMATION,
    }
    response = TemplateResponse(request, "admin/accounts/access_change.html", context)
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _digest(by: Principal, about: Json, before: Principal, after: Principal, known: Directory) -> str:
    ids = sorted([item.id for item in known.collections()] + [LATER.id])

    def rights(who: Principal) -> list[Json]:
        grants: Iterable[str] = (
            who.grant(action, on=Resource(item)).digest() for item in ids for action in Action
        )
        return [*grants, *sorted(area.value for area in who.areas), who.is_administrator]

    parts: list[Json] = [str(by.user_id), by.credential_id, about, rights(before), rights(after)]
    return hashlib.sha256(canonical_bytes(parts)).hexdigest()


def _is_confirmed(digest: str, confirmation: str) -> bool:
    try:
        return TimestampSigner(salt=_SALT).unsign(confirmation, max_age=GOOD_FOR) == digest
    except BadSignature:
        return False
