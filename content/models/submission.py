"""What visitors have sent to a form: encrypted as a whole, and erased when its time is over."""

from typing import ClassVar, Self

from django.db import models
from django.utils import timezone

from accounts.ids import uuid7
from content.models.schema import Collection


class SubmissionQuerySet(models.QuerySet["Submission"]):
    """Which submissions."""

    def live(self) -> Self:
        """Return those whose time is not over; the others are gone for everybody before they are erased."""
        return self.filter(expires_at__gt=timezone.now())

    def over(self) -> Self:
        return self.filter(expires_at__lte=timezone.now())


class Submission(models.Model):
    """One filled in form. `body` is JSON, encrypted with the key ring for this very row; see `content.forms.bodies`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    form = models.ForeignKey(
        Collection,
        on_delete=models.PROTECT,
        related_name="submissions",
        db_index=False,  # the indexes below begin with it
    )
    body = models.TextField()
    size = models.PositiveIntegerField()  # bytes as they were sent
    received_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    objects = SubmissionQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["form", "expires_at"], include=["size"], name="submission_by_expiry"),
            models.Index(fields=["form", "id"], name="submission_by_time"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("received_at")),
                name="a_submission_is_kept_for_a_while",
            ),
        ]

    def __str__(self) -> str:
        return f"submission …{str(self.pk)[-6:]}"

    @property
    def context(self) -> str:
        """Return what its encrypted body is bound to."""
        return f"content_submission:{self.pk}:{self.form_id}:body"
