"""What is remembered of each key of the ring that was ever active: when, and whether anything still needs it."""

from django.db import models
from django.utils import timezone


class RingKey(models.Model):
    """One key id of `QUILLKEEP_KEY_RING`. The key itself is in no row; the fingerprint tells two of one name apart."""

    class State(models.TextChoices):
        ACTIVE = "active"
        RETIRING = "retiring", "retiring: what it encrypts moves to the active one"
        RETIRED = "retired", "retired: it encrypts nothing any more, and verifies what it signed"

    id = models.CharField(primary_key=True, max_length=32)
    fingerprint = models.CharField(max_length=16, blank=True, default="")  # "" of one that was never seen
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    active_at = models.DateTimeField(default=timezone.now)
    retiring_at = models.DateTimeField(null=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=models.Q(state="active"), name="one_key_of_the_ring_is_active"
            ),
        ]
