"""Service accounts: the users that can't sign in and own API keys, as a list of their own."""

from typing import ClassVar

from django.db import models

from accounts.models.user import User


class ServiceAccountManager(models.Manager["ServiceAccount"]):
    """Finds service accounts only. Adding and changing them is in `accounts.people`."""

    def get_queryset(self) -> models.QuerySet["ServiceAccount"]:
        return super().get_queryset().filter(is_service=True)


class ServiceAccount(User):  # type: ignore[django-manager-missing]  # django-otp is untyped
    """A user that no door opens to: without password, session or second factor."""

    objects: ClassVar[models.Manager["ServiceAccount"]] = ServiceAccountManager()  # type: ignore[assignment]  # fewer

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = "service account"
