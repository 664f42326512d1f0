"""What checking a credential needs, as views: the delivery role reads these and not the tables beneath."""

from django.db import models

from accounts.models.role import Demands, Strength, least_strength


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
    created_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    strength = models.IntegerField()
    verified_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField()
    reason = models.CharField(max_length=200)
    user_id = models.UUIDField()
    user_email = models.CharField(max_length=254)
    user_name = models.CharField(max_length=150)
    user_is_active = models.BooleanField()
    user_is_service = models.BooleanField()
    user_has_long_password = models.BooleanField()
    token_version = models.IntegerField()
    roles = models.JSONField()  # keys
    demanded_strength = models.IntegerField()
    demanded_hours = models.IntegerField(null=True)
    demanded_idle_minutes = models.IntegerField(null=True)
    generations = models.JSONField()

    class Meta:
        managed = False
        db_table = "accounts_bearer"

    @property
    def demands(self) -> Demands:
        """What the roles of the user ask of their sessions."""
        least = least_strength(has_long_password=self.user_has_long_password)
        strength = max(Strength(self.demanded_strength), least)
        return Demands(strength, self.demanded_hours, self.demanded_idle_minutes)
