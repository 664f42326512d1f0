"""Which tables of previews the admin has, and what can be done with them there at all."""

from accounts.access import Area
from accounts.rights.django_permissions import AREAS


def register() -> None:
    """Put them under the area of previews. One's own part of the register is open to everybody: see the page of it."""
    AREAS.update(
        {
            "previews.previewsite": (Area.PREVIEWS, frozenset({"view", "add", "change"})),
            "previews.signingkey": (Area.PREVIEWS, frozenset({"view", "change"})),
            "previews.preview": (Area.PREVIEWS, frozenset({"view", "change"})),
        }
    )
