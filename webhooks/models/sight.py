"""What owners of endpoints could see at the moment when it was taken away."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from webhooks.models.endpoint import Endpoint


class Sight(models.Model):
    """An owner could see a thing when it was unpublished or erased, so its endpoint may hear of that."""

    class Kind(models.TextChoices):
        UNPUBLISHED = "unpublished"  # as readers see it, when it was taken back from them
        PUBLIC = "public"  # as readers see it, when it was erased
        DRAFT = "draft"  # as editors see it, when it was erased

    subject_id = models.UUIDField()
    locale = models.CharField(max_length=24, blank=True, default="")
    kind = models.CharField(max_length=11, choices=Kind)
    shows_slug = models.BooleanField(default=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subject_id", "locale", "kind", "endpoint"], name="a_sight_is_noted_once"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["at"], name="sight_by_time")]

    def __str__(self) -> str:
        return f"sight of {self.subject_id}"
