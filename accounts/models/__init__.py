"""The tables of accounts, one file a noun."""

from accounts.models.api_key import ApiKey
from accounts.models.credential import Bearer, Credential
from accounts.models.device import Authenticator, Passkey, RecoveryCodes
from accounts.models.event import Event, Position, Seal, Unsealed
from accounts.models.generation import Generation
from accounts.models.lockdown import Lockdown
from accounts.models.role import Policy, Role
from accounts.models.session import Session
from accounts.models.user import User

__all__ = [
    "ApiKey",
    "Authenticator",
    "Bearer",
    "Credential",
    "Event",
    "Generation",
    "Lockdown",
    "Passkey",
    "Policy",
    "Position",
    "RecoveryCodes",
    "Role",
    "Seal",
    "Session",
    "Unsealed",
    "User",
]
