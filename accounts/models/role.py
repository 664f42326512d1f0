"""Roles, and the policies that say what a role may do."""

from typing import ClassVar

from django.contrib.auth.models import Group
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.access import Action
from accounts.ids import uuid7

ADMINISTRATOR = "administrator"
PUBLIC = "public"
BUILT_IN = frozenset({ADMINISTRATOR, PUBLIC})


class Role(Group):
    """A set of policies with a name. A Django group beneath, so that object grants can be given to roles."""

    key = models.CharField(max_length=41, unique=True)
    require_second_factor = models.BooleanField(default=False)
    # None: says nothing of it. The highest number of somebody's roles counts; `public` has that of anonymous readers.
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)

    objects: ClassVar[models.Manager["Role"]] = models.Manager()  # type: ignore[assignment]  # a Group finds by name

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(key__regex=r"^[a-z][a-z0-9_]{0,40}$"),
                name="role keys are small letters, digits, underscores",
            ),
            models.CheckConstraint(
                condition=Q(requests_per_minute__isnull=True) | Q(requests_per_minute__range=(1, 1_000_000)),
                name="a role lets through 1 to 1000000 requests a minute",
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
