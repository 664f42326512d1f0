"""What is known of backups, for pages, metrics and alerts. The truth lies in the store; this is kept by the keeper."""

from django.db import models


class Backup(models.Model):
    """A backup that the store holds, or held until `removed_at`. Written by the owner's role alone."""

    name = models.CharField(max_length=80, unique=True)
    made_at = models.DateTimeField(db_index=True)
    environment = models.CharField(max_length=20)
    seconds = models.PositiveIntegerField(
        null=True
    )  # that making it took; None for one that was found in the store
    size = models.BigIntegerField()  # bytes of the backup alone
    media_files = models.BigIntegerField()
    media_bytes = models.BigIntegerField()
    new_bytes = models.BigIntegerField(default=0)  # of media files that only it brought into the store
    log_position = models.BigIntegerField()
    verified_at = models.DateTimeField(null=True)
    is_whole = models.BooleanField(null=True)
    proven_at = models.DateTimeField(null=True)  # when it was last proven to restore
    tried_at = models.DateTimeField(null=True)  # when a proof was last tried
    proof_seconds = models.PositiveIntegerField(null=True)
    problem = models.TextField(blank=True, default="")  # what the last look at it found wrong
    removed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-made_at"]

    def __str__(self) -> str:
        return self.name
