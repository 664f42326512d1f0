"""What keeps the log small and proves it whole: archived ranges, epochs, results of checks, the heads of each day."""

from django.db import models


class Archive(models.Model):
    """A range of the log that is in a file now. Insert-only; its MAC is made with the key ring, not with SQL.

    Triggers let events and seals be deleted at positions that a row of this table covers, and no others.
    """

    first_position = models.BigIntegerField(primary_key=True)
    last_position = models.BigIntegerField(unique=True)
    previous_mac = models.CharField(max_length=64)  # of the seal before the range: ranges are a chain as well
    last_mac = models.CharField(max_length=64)
    file = models.CharField(max_length=120)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    made_at = models.DateTimeField()
    key_id = models.CharField(max_length=64)
    mac = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(first_position__gte=1, last_position__gte=models.F("first_position")),
                name="an_archive_is_a_range",
            )
        ]

    @property
    def count(self) -> int:
        """How many events are in it: positions have no gaps."""
        return self.last_position - self.first_position + 1


class Epoch(models.Model):
    """Where the log goes on after a restore: positions between were given away once, and nothing may have them again.

    Insert-only, by the owner alone; its MAC is made with the key ring, not with SQL.
    """

    first_position = models.BigIntegerField(primary_key=True)
    after_position = models.BigIntegerField(unique=True)  # the newest one that was restored
    previous_mac = models.CharField(max_length=64)  # of the seal there: the chain goes on behind the gap
    backup = models.CharField(max_length=120)
    made_at = models.DateTimeField()
    key_id = models.CharField(max_length=64)
    mac = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(after_position__gte=0, first_position__gt=models.F("after_position")),
                name="an_epoch_begins_later",
            )
        ]


class LogCheck(models.Model):
    """The result of one verification of the log. Signed, so that nobody with SQL alone can hang up a green badge."""

    at = models.DateTimeField(db_index=True)
    by = models.CharField(max_length=20)  # "schedule" or "command"
    is_intact = models.BooleanField()
    result = models.JSONField()
    key_id = models.CharField(max_length=64)
    mac = models.CharField(max_length=64)


class DailyHead(models.Model):
    """The signed head of one day, and whether it reached the place that ops chose."""

    day = models.DateField(primary_key=True)
    head = models.JSONField()
    sent_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=200, blank=True, default="")
