"""What a rule is: which events it looks at, when they are too many, what it says and what to do about it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Final

from django.conf import settings

from accounts.access import POWERFUL_AREAS, Area
from accounts.log import Subject
from accounts.models.alert import LONGEST_GROUP, LONGEST_SENTENCE, Severity
from accounts.models.api_key import ApiKey
from accounts.models.event import Event
from accounts.models.role import ADMINISTRATOR, Role
from accounts.models.session import Session
from accounts.models.user import User
from accounts.principals import of_user
from accounts.sign_in.agents import describe

# What alerts themselves write down; no rule listens to it, or one alert would be the cause of the next.
OPENED: Final = "security.alert"
ACKNOWLEDGED, REOPENED = "alert.acknowledged", "alert.reopened"
OWN: Final = frozenset({OPENED, ACKNOWLEDGED, REOPENED})


@dataclass(frozen=True, slots=True)
class Hit:
    """One event counts for one group of a rule, so much; `words` are put into the rule's sentence."""

    group: str
    words: Mapping[str, str] = field(default_factory=dict)
    subject: Subject | None = None
    weight: int = 1
    severity: Severity | None = None  # another one than the rule's


Find = Callable[[Event, "Known"], Iterable[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """`says` may hold `{count}` and the words of a hit. With a threshold it is silent until its window holds it."""

    key: str
    title: str
    severity: Severity
    types: frozenset[str]
    says: str
    advice: str
    find: Find
    threshold: int = 1
    window: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.types & OWN:
            raise ValueError(f"The rule {self.key} listens to alerts: one would be the cause of the next.")
        if self.threshold > 1 and not self.window:
            raise ValueError(f"The rule {self.key} counts, but says not within which time.")

    @property
    def limit(self) -> int:
        """The threshold that is in force: ops may set another one (`SECURITY_ALERT_THRESHOLDS`)."""
        return int(settings.SECURITY_ALERT_THRESHOLDS.get(self.key, self.threshold))

    @property
    def is_off(self) -> bool:
        return self.limit == 0

    @property
    def slice(self) -> int:
        """How many seconds one of the slices is long that its window is counted in."""
        return max(1, int(self.window.total_seconds()) // 15)

    def sentence(self, hit: Hit, count: int) -> str:
        """Return what is said of so many events."""
        words = {name: plain(text) for name, text in hit.words.items()}
        return self.says.format_map(_Words(words, count=f"{count:,}"))[:LONGEST_SENTENCE]


class _Words(dict[str, str]):
    """A word that a hit lacks must not stop all other alerts."""

    def __missing__(self, _name: str) -> str:
        return "…"


def plain(text: str, *, most: int = 160) -> str:
    """Return text of strangers as one line that can't break out of a mail: no controls, no marks, no links."""
    line = "".join(sign for sign in " ".join(text.split()) if sign.isprintable())
    return line.replace("://", ": //")[:most]


def group_of(*parts: object) -> str:
    """Return the key of a group."""
    return ":".join(str(part) for part in parts)[:LONGEST_GROUP]


class Known:
    """What rules look up while one batch of events is read: each of it once."""

    def __init__(self) -> None:
        self._users: dict[str, User | None] = {}
        self._areas: dict[str, bool] = {}
        self._agents: dict[str, str] = {}

    def user(self, user_id: object) -> User | None:
        """Return a user, None for one that is gone or an id that is none."""
        key = str(user_id or "")
        if key not in self._users:
            self._users[key] = User.objects.filter(pk=key).first() if is_id(key) else None
        return self._users[key]

    def name(self, user_id: object) -> str:
        """Return how a user is called in a sentence."""
        user = self.user(user_id)
        return user.email if user is not None and not user.is_service else str(user or "somebody")

    def administers(self, user_id: object) -> bool:
        """Tell whether any area of administration is open to a user."""
        key = str(user_id or "")
        if key not in self._areas:
            user = self.user(key)
            principal = of_user(user) if user is not None else None
            self._areas[key] = principal is not None and any(principal.administers(area) for area in Area)
        return self._areas[key]

    def has_role(self, user_id: object) -> bool:
        user = self.user(user_id)
        return user is not None and bool(user.role_keys)

    def session(self, session_id: str) -> Session | None:
        return Session.objects.filter(pk=session_id).first() if is_id(session_id) else None

    def browser(self, agent: str) -> str:
        """Return the browser and system of an agent in words; the parser takes long, so each once."""
        if agent not in self._agents:
            self._agents[agent] = describe(agent)
        return self._agents[agent]

    def key_name(self, key_id: str) -> str:
        found = (
            ApiKey.objects.filter(pk=key_id).values_list("name", flat=True).first() if is_id(key_id) else ""
        )
        return found or "that is gone"

    @cached_property
    def administering_roles(self) -> dict[str, bool]:
        """The keys of roles that open any area of administration, and whether one could become anything by it."""
        return {
            role.key: role.key == ADMINISTRATOR or not POWERFUL_AREAS.isdisjoint(role.areas)
            for role in Role.objects.all()
            if role.key == ADMINISTRATOR or role.areas
        }


def is_id(text: str) -> bool:
    """Tell whether a text is the id of a row: the log also tells of things whose ids are something else."""
    return len(text) == 36 and text.count("-") == 4 and all(sign in "0123456789abcdef-" for sign in text)
