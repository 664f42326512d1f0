"""Roles, and the policies that say what a role may do."""

from typing import ClassVar

from django.contrib.auth.models import Group
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.access import Action, Area
from accounts.ids import uuid7

ADMINISTRATOR = "administrator"
PUBLIC = "public"
BUILT_IN = frozenset({ADMINISTRATOR, PUBLIC})


class Role(Group):
    """A set of policies with a name, and the areas of administration that it opens.

    A Django group beneath, so that object grants can be given to roles. Administrators need no areas: they hold all.
    """

    key = models.CharField(max_length=41, unique=True)
    require_second_factor = models.BooleanField(default=False)
    areas = ArrayField(models.CharField(max_length=20), default=list, blank=True)

    objects: ClassVar[models.Manager["Role"]] = models.Manager()  # type: ignore[assignment]  # a Group finds by name

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(key__regex=r"^[a-z][a-z0-9_]{0,40}$"),
                name="role keys are small letters, digits, underscores",
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
