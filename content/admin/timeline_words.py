"""The words of an entry's time line: who did what on which day, each name kept apart from the rest."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.access import Action
from accounts.models import Role, User
from content import timeline
from content.admin.desk import OpenEntry, state_of
from content.admin.rights import SHORT
from content.documents import SHARED
from content.timeline import Line

MOST_FIELDS: Final = 8  # that are named at one version
MOST_LOCALES: Final = 4  # that are named in a mark
GONE: Final = "somebody who is gone"
_STATES: Final = {
    timeline.PUBLISHED: "published",
    timeline.UNPUBLISHED: "draft",
    timeline.TRASHED: "trashed",
    timeline.RESTORED: "draft",
}


@dataclass(frozen=True)
class Item:
    """One line as the page shows it."""

    at: datetime
    who: str
    initials: str
    said: SafeString
    number: int | None = None
    message: str = ""
    touched: SafeString | None = None
    state: str = ""
    public_in: SafeString | None = None  # "" where there is but one locale, None where it is not public
    is_latest: bool = False

    @property
    def before(self) -> int:
        return (self.number or 1) - 1


@dataclass(frozen=True)
class Day:
    """The lines of one day."""

    on: date
    name: str
    items: list[Item]


def days(lines: Iterable[Line], entry: OpenEntry) -> list[Day]:
    """Return the lines day by day, newest first."""
    listed = list(lines)
    words = _Words(entry, _receivers(listed))
    found: list[Day] = []
    for line in listed:
        on = timezone.localtime(line.at).date()
        if not found or found[-1].on != on:
            found.append(Day(on, _name_of(on), []))
        found[-1].items.append(words.item(line))
    return found


@dataclass(frozen=True)
class Present:
    """How an entry stands now in some locales."""

    status: str
    number: int | None  # the version that readers see
    names: SafeString


def present(entry: OpenEntry) -> list[Present]:
    """Return how an entry stands, the locales in which it stands alike together."""
    alike: dict[tuple[str, int | None], list[str]] = {}
    for draft in entry.drafts:
        name = name_of_locale(entry, draft.locale)
        alike.setdefault((state_of(draft), draft.published_number), []).append(name)
    return [Present(status, number, named(names)) for (status, number), names in alike.items()]


def name_of_locale(entry: OpenEntry, code: str) -> str:
    """Return what people call a locale; one that was removed since has only its code."""
    found = entry.writing.schema.locale_by_code.get(code)
    return found.name if found else code


def named(names: Iterable[str]) -> SafeString:
    """Return names as a list in words: `A, B and C`, each apart from the direction of the writing around it."""
    marked = [format_html("<bdi>{}</bdi>", name) for name in names]
    if len(marked) < 2:
        return marked[0] if marked else SafeString("")
    return format_html(
        "{} and {}", format_html_join(", ", "{}", ((name,) for name in marked[:-1])), marked[-1]
    )


def initials_of(label: str) -> str:
    """Return one or two letters for somebody: of `ada.lovelace@example.com` they are AL."""
    words = re.findall(r"\w+", label.partition("@")[0].replace("_", " "))
    letters = [word[0] for word in words if word[0].isalpha()]
    return "".join(letters[:1] + letters[1:][-1:]).upper() or "?"


@dataclass(frozen=True)
class _Words:
    entry: OpenEntry
    receivers: Mapping[str, str]

    @property
    def has_locales(self) -> bool:
        writing = self.entry.writing
        return writing.collection.localized and len(writing.schema.locales) > 1

    def item(self, line: Line) -> Item:
        if line.version is None:
            return Item(
                line.at, line.who, initials_of(line.who), self._said(line), state=_STATES.get(line.kind, "")
            )
        number = line.version.number
        public = [draft.locale for draft in self.entry.drafts if draft.published_number == number]
        return Item(
            line.at,
            line.who,
            initials_of(line.who),
            SafeString("wrote it") if number == 1 else format_html("saved version {}", number),
            number=number,
            message=line.version.message,
            touched=self._touched(line),
            public_in=self._in(public, most=MOST_LOCALES) if public else None,
            is_latest=number == self.entry.latest.number,
        )

    def _said(self, line: Line) -> SafeString:
        number = line.detail.get("version")
        match line.kind:
            case timeline.PUBLISHED:
                return format_html("published version {}{}", number, self._in(line.locales))
            case timeline.UNPUBLISHED:
                return format_html("took it back from the public{}", self._in(line.locales))
            case timeline.TRASHED:
                return SafeString("moved it to the trash")
            case timeline.RESTORED:
                return SafeString("took it out of the trash")
        actions = line.detail.get("actions")
        rights = named(_right(item) for item in actions) if isinstance(actions, list) else ""
        to = format_html("<bdi>{}</bdi>", self.receivers.get(str(line.detail.get("to")), GONE))
        if line.kind == timeline.GIVEN:
            return format_html("gave rights on it to {}: {}", to, rights)
        return format_html("withdrew rights on it from {}: {}", to, rights)

    def _in(self, locales: Iterable[str], *, most: int = 99) -> SafeString:
        """Return ` in English and German`, ` in 15 locales` for more than `most`, "" where there is but one locale."""
        if not self.has_locales:
            return SafeString("")
        codes = list(locales)
        if len(codes) > most:
            return format_html(" in {} locales", len(codes))
        names = named(name_of_locale(self.entry, code) for code in codes)
        return format_html(" in {}", names) if names else SafeString("")

    def _touched(self, line: Line) -> SafeString:
        """Say which fields differ from the version before, as far as they may be read."""
        specs = [spec for spec in self.entry.writing.collection.fields if spec in line.touched]
        if not specs:
            return SafeString("Nothing that you can see here has changed.")
        alike: dict[frozenset[str], list[str]] = {}
        for spec in specs[:MOST_FIELDS]:
            alike.setdefault(frozenset(line.touched[spec]), []).append(spec.name)
        told = [
            format_html("{}{}", named(names), self._in(sorted(places - {SHARED})))
            for places, names in alike.items()
        ]
        more = len(specs) - MOST_FIELDS
        if more > 0:
            told.append(format_html("{} more {}", more, "field" if more == 1 else "fields"))
        verb = "Filled in" if line.version is not None and line.version.number == 1 else "Changed"
        return format_html("{} {}", verb, format_html_join("; ", "{}", ((part,) for part in told)))


def _right(name: object) -> str:
    try:
        return SHORT.get(Action(str(name)), str(name))
    except ValueError:
        return str(name)


def _receivers(lines: Iterable[Line]) -> dict[str, str]:
    """Return the names of those who got or lost rights, by `user:<id>` and `role:<key>`; no query without any."""
    wanted = {str(line.detail["to"]) for line in lines if "to" in line.detail}
    users = [UUID(key) for kind, _, key in (name.partition(":") for name in wanted) if kind == "user"]
    roles = [key for kind, _, key in (name.partition(":") for name in wanted) if kind == "role"]
    found: dict[str, str] = {}
    if users:
        found |= {f"user:{user.pk}": str(user) for user in User.objects.filter(pk__in=users)}
    if roles:
        found |= {
            f"role:{role.key}": f"everybody with the role {role}"
            for role in Role.objects.filter(key__in=roles)
        }
    return found


def _name_of(on: date) -> str:
    today = timezone.localdate()
    if on == today:
        return "Today"
    if on == today - timedelta(days=1):
        return "Yesterday"
    return f"{on:%A}, {on.day} {on:%B %Y}"
