"""Roles, and the policies that say what a role may do."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import ClassVar, Self

from django.contrib.auth.models import Group
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.access import Action, Area
from accounts.ids import uuid7

ADMINISTRATOR = "administrator"
PUBLIC = "public"
BUILT_IN = frozenset({ADMINISTRATOR, PUBLIC})


class Strength(IntEnum):
    """How surely a session is its person's; each is worth more than the one before."""

    PASSWORD = 0
    SECOND_FACTOR = 1  # an authenticator app, or a recovery code
    PHISHING_RESISTANT = 2  # a passkey, which checks the address of the page by itself


@dataclass(frozen=True, slots=True)
class Demands:
    """What somebody's roles ask of their sessions, all taken together: the strictest of each kind counts."""

    strength: Strength = Strength.PASSWORD
    hours: int | None = None
    idle_minutes: int | None = None

    def life(self, usual: timedelta) -> timedelta:
        return min(usual, timedelta(hours=self.hours)) if self.hours else usual

    def idle(self, usual: timedelta) -> timedelta:
        return min(usual, timedelta(minutes=self.idle_minutes)) if self.idle_minutes else usual

    @classmethod
    def of(cls, roles: Iterable["Role"], *, has_long_password: bool) -> Self:
        found = list(roles)
        return cls(
            max([*(role.strength for role in found), least_strength(has_long_password=has_long_password)]),
            min((role.session_hours for role in found if role.session_hours), default=None),
            min((role.idle_minutes for role in found if role.idle_minutes), default=None),
        )


def least_strength(*, has_long_password: bool) -> Strength:
    """Return what anybody must show: a short password never stands alone."""
    return Strength.PASSWORD if has_long_password else Strength.SECOND_FACTOR


class Role(Group):
    """A set of policies with a name, and the areas of administration that it opens.

    A Django group beneath, so that object grants can be given to roles. Administrators need no areas: they hold all.
    """

    key = models.CharField(max_length=41, unique=True)
    require_second_factor = models.BooleanField(default=False)
    require_phishing_resistant = models.BooleanField(default=False)
    session_hours = models.PositiveSmallIntegerField(null=True, blank=True)
    idle_minutes = models.PositiveSmallIntegerField(null=True, blank=True)
    # None: says nothing of it. The highest number of somebody's roles counts; `public` has that of anonymous readers.
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    areas = ArrayField(models.CharField(max_length=20), default=list, blank=True)

    objects: ClassVar[models.Manager["Role"]] = models.Manager()  # type: ignore[assignment]  # a Group finds by name

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(key__regex=r"^[a-z][a-z0-9_]{0,40}$"),
                name="role keys are small letters, digits, underscores",
            ),
            models.CheckConstraint(
                condition=Q(require_phishing_resistant=False) | Q(require_second_factor=True),
                name="a phishing-resistant factor is a second factor",
            ),
            models.CheckConstraint(
                condition=Q(session_hours__isnull=True) | Q(session_hours__range=(1, 336)),
                name="sessions last from an hour to two weeks",
            ),
            models.CheckConstraint(
                condition=Q(idle_minutes__isnull=True) | Q(idle_minutes__range=(5, 10_080)),
                name="idle sessions last from five minutes to a week",
            ),
            models.CheckConstraint(
                condition=Q(requests_per_minute__isnull=True) | Q(requests_per_minute__range=(1, 1_000_000)),
                name="a role lets through 1 to 1000000 requests a minute",
            ),
            models.CheckConstraint(
                condition=Q(areas__contained_by=[area.value for area in Area]),
                name="a role administers areas that are known",
            ),
            models.CheckConstraint(
                condition=~Q(key__in=[ADMINISTRATOR, PUBLIC]) | Q(areas__len=0),
                name="built-in roles name no areas: all, and none",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def strength(self) -> Strength:
        """How strong a sign-in the role asks for."""
        if self.require_phishing_resistant:
            return Strength.PHISHING_RESISTANT
        return Strength.SECOND_FACTOR if self.require_second_factor else Strength.PASSWORD

    @property
    def is_built_in(self) -> bool:
        """Tell whether the role is part of the house: it can't be removed, nor its key taken by another."""
        return self.key in BUILT_IN


class Policy(models.Model):
    """These actions on those rows and fields of a collection (or of every one), for a role.

    `rows`: `[[field id or system name, operator, value], …]`, all of which must hold.
    `presets`: `{field id: value}` that a new entry starts with.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="policies")
    collection_id = models.UUIDField(null=True, blank=True)
    every_collection = models.BooleanField(default=False)
    actions = ArrayField(models.CharField(max_length=20))
    rows = models.JSONField(default=list, blank=True)
    every_field = models.BooleanField(default=False)
    field_ids = models.JSONField(default=list, blank=True)
    presets = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name_plural = "policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(every_collection=True, collection_id__isnull=True)
                | Q(every_collection=False, collection_id__isnull=False),
                name="a policy is about one collection or about every one",
            ),
            models.CheckConstraint(
                condition=Q(actions__len__gt=0)
                & Q(actions__contained_by=[action.value for action in Action]),
                name="a policy has actions and all are known",
            ),
        ]
        indexes = [models.Index(fields=["collection_id"], name="policy_collection")]

    def __str__(self) -> str:
        return f"{self.role}: {', '.join(action.replace('_', ' ') for action in self.actions)}"
