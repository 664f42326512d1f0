"""A complete environment of random values for tests and checks; nothing in it is ever kept."""

import base64
import os
import secrets

NOWHERE = "postgresql://nobody:nothing@/nowhere?host=/nonexistent"


def values(**given: str) -> dict[str, str]:
    """Return every required name with a fresh value; databases point nowhere unless given."""
    return {
        "QUILLKEEP_ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "QUILLKEEP_KEY_RING": f"k1:{base64.b64encode(os.urandom(32)).decode()}",
        "DATABASE_URL": NOWHERE,
        "DELIVERY_DATABASE_URL": NOWHERE,
        "VALKEY_URL": "unix:///nonexistent?db=0",
        "ALLOWED_HOSTS": "cms.example.com",
        "PUBLIC_URL": "https://cms.example.com",
        **given,
    }
