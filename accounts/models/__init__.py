"""The tables of accounts, one file a noun."""

from accounts.models.api_key import ApiKey
from accounts.models.archive import Archive, DailyHead, LogCheck
from accounts.models.credential import Bearer, Credential
from accounts.models.device import Authenticator
from accounts.models.event import Event, Position, Seal, Unsealed
from accounts.models.generation import Generation
from accounts.models.role import Policy, Role
from accounts.models.session import Session
from accounts.models.user import User

__all__ = [
    "ApiKey",
    "Archive",
    "Authenticator",
    "Bearer",
    "Credential",
    "DailyHead",
    "Event",
    "Generation",
    "LogCheck",
    "Policy",
    "Position",
    "Role",
    "Seal",
    "Session",
    "Unsealed",
    "User",
]
