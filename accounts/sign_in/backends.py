"""The password backend: it authenticates, and grants nothing. Rights are asked of `accounts.access` alone."""

from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import HttpRequest

from accounts.models.user import User


class PasswordBackend:
    """Checks an address and a password; takes the same time whether the account exists or not."""

    def authenticate(
        self,
        request: HttpRequest | None,  # noqa: ARG002 (Django's signature)
        username: str | None = None,
        password: str | None = None,
    ) -> User | None:
        """Return the user, None for a wrong address or password, and for people who are switched off."""
        if username is None or password is None:
            return None
        try:
            user = User.objects.get_by_natural_key(username)
        except User.DoesNotExist:
            User().set_password(password)  # the same work as for an account that exists
            return None
        is_right = user.check_password(password)
        return user if is_right and user.is_active and not user.is_service else None

    def get_user(self, user_id: str | UUID) -> User | None:
        """Return the user of a Django session while they are active."""
        try:
            return User.objects.filter(pk=user_id, is_active=True, is_service=False).first()
        except ValidationError:
            return None
