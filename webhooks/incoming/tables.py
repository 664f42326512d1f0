"""Which tables of incoming webhooks the admin has, and what can be done with them there at all."""

from accounts.access import Area
from accounts.rights.django_permissions import AREAS


def register() -> None:
    """Put them under the area of webhooks."""
    AREAS.update(
        {
            "webhooks.source": (Area.WEBHOOKS, frozenset({"view", "add", "change"})),
            "webhooks.receipt": (Area.WEBHOOKS, frozenset({"view", "change"})),
        }
    )
