"""Users: people who sign in, and service accounts that own API keys."""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, ClassVar, cast

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string

from accounts.addresses import canonical_email
from accounts.ids import uuid7
from accounts.models.role import PUBLIC, Demands, Role, Strength
from accounts.sign_in.passwords import is_long, normalized


class UserManager(BaseUserManager["User"]):
    """Finds users by the canonical form of their address. Adding and changing them is in `accounts.people`."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user with this address. Raises User.DoesNotExist, also for look-alike spellings."""
        return self.get(email=canonical_email(username or "") or "")


class User(AbstractBaseUser):  # type: ignore[django-manager-missing]  # django-otp is untyped
    """Somebody who acts. There is no superuser: rights come from roles and object grants alone."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Compared by bytes, whatever the database's own collation takes for the same letter (CVE-2024-27295).
    email = models.EmailField("e-mail address", max_length=254, db_collation="C")
    # The one before a change, until its mailbox has been told: whoever takes an account over changes the address first.
    former_email = models.EmailField(max_length=254, blank=True, default="", editable=False)
    name = models.CharField(max_length=150, blank=True)
    is_active = models.BooleanField(default=True)
    is_service = models.BooleanField(default=False)
    token_version = models.PositiveIntegerField(default=0)
    password_changed_at = models.DateTimeField(null=True, blank=True)
    has_long_password = models.BooleanField(default=False)  # long enough to stand alone (NIST 800-63B-4)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    groups: "models.ManyToManyField[Group, Any]" = models.ManyToManyField(
        Group, blank=True, related_name="user_set", related_query_name="user"
    )

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["email"], name="no two users have the same e-mail address"),
            models.CheckConstraint(
                condition=Q(is_service=False) | Q(password__startswith="!"),  # noqa: S106 (a mark, not a password)
                name="service accounts have no password",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        canonical = canonical_email(self.email)
        if canonical is None:
            raise ValueError("This e-mail address can't be kept: it has no canonical form.")
        self.email = canonical
        super().save(*args, **kwargs)

    @property
    def is_superuser(self) -> bool:
        """Django asks; nobody is."""
        return False

    @property
    def is_staff(self) -> bool:
        """Tell whether the admin is open: to active people with a role of their own."""
        return self.is_active and not self.is_service and bool(self.role_keys)

    @cached_property
    def role_keys(self) -> tuple[str, ...]:
        """The keys of the roles, sorted; `public` is everybody's and not listed."""
        keys = Role.objects.filter(user=self).exclude(key=PUBLIC).order_by("key")
        return tuple(keys.values_list("key", flat=True))

    @cached_property
    def demands(self) -> Demands:
        """What the roles ask of this person's sessions."""
        return Demands.of(Role.objects.filter(user=self), has_long_password=self.has_long_password)

    @property
    def must_have_second_factor(self) -> bool:
        """Tell whether a password alone does not let this person in: for their roles, or as it is a short one."""
        return self.demands.strength > Strength.PASSWORD

    def set_password(self, raw_password: str | None) -> None:
        """Keep the hash of a password in its one spelling: a keyboard may compose letters, or not (NFKC)."""
        super().set_password(raw_password and normalized(raw_password))
        self.has_long_password = raw_password is not None and is_long(raw_password)
        self.password_changed_at = timezone.now()

    def check_password(self, raw_password: str | None) -> bool:
        return raw_password is not None and super().check_password(normalized(raw_password))

    def get_session_auth_hash(self) -> str:
        """Bind Django sessions to the password and to the token version, so that moving either ends them all."""
        return self._session_hash(None)

    def get_session_auth_fallback_hash(self) -> Iterable[str]:
        """Let sessions go on that a former secret key has signed, as long as it is among the fallbacks."""
        for key in settings.SECRET_KEY_FALLBACKS:
            yield self._session_hash(key)

    def _session_hash(self, secret: str | None) -> str:
        value = f"{self.id}:{self.token_version}:{self.password}"
        return salted_hmac("accounts.User.session", value, secret=secret, algorithm="sha256").hexdigest()

    def has_perm(self, perm: str, obj: models.Model | None = None) -> bool:
        """Answer Django's question with the one of the house: see `accounts.rights.django_permissions`."""
        return bool(_answers("allows")(self, perm, obj))

    def has_perms(self, perm_list: Iterable[str], obj: models.Model | None = None) -> bool:
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        return bool(_answers("allows_module")(self, app_label))


def _answers(name: str) -> Callable[..., bool]:
    # Looked up when asked: the answers stand above this table, and need it.
    return cast("Callable[..., bool]", import_string(f"accounts.rights.django_permissions.{name}"))
