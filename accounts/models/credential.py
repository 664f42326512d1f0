"""What checking a credential needs, as views: the delivery role reads these and not the tables beneath."""

from django.db import models


class Credential(models.Model):
    """An API key with its owner, and all generations, in one row."""

    id = models.UUIDField(primary_key=True)
    public_id = models.CharField(max_length=12)
    secret_hash = models.CharField(max_length=64)
    previous_secret_hash = models.CharField(max_length=64)
    previous_valid_until = models.DateTimeField(null=True)
    state = models.CharField(max_length=10)
    expires_at = models.DateTimeField()
    allowed_networks = models.JSONField()
    browser = models.BooleanField()
    rate_limit = models.IntegerField(null=True)
    idle_since = models.DateTimeField()
    scopes = models.JSONField()
    name = models.CharField(max_length=150)
    owner_id = models.UUIDField()
    owner_email = models.CharField(max_length=254)
    owner_is_active = models.BooleanField()
    owner_is_service = models.BooleanField()
    roles = models.JSONField()  # keys
    generations = models.JSONField()

    class Meta:
        managed = False
        db_table = "accounts_credential"


class Bearer(models.Model):
    """A session with its user, and all generations, in one row: what an access token is checked against."""

    id = models.UUIDField(primary_key=True)
    kind = models.CharField(max_length=10)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)
    user_id = models.UUIDField()
    user_email = models.CharField(max_length=254)
    user_name = models.CharField(max_length=150)
    user_is_active = models.BooleanField()
    user_is_service = models.BooleanField()
    token_version = models.IntegerField()
    roles = models.JSONField()  # keys
    generations = models.JSONField()

    class Meta:
        managed = False
        db_table = "accounts_bearer"
