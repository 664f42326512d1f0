"""The tables of accounts, one file a noun."""

from accounts.models.alert import Alert, KeyPlace, Severity, Tally
from accounts.models.api_key import ApiKey, ScopeUse
from accounts.models.archive import Archive, DailyHead, Epoch, LogCheck
from accounts.models.credential import Bearer, Credential
from accounts.models.csp_report import CspReport
from accounts.models.device import Authenticator, Passkey, RecoveryCodes
from accounts.models.event import Event, Position, Seal, Unsealed
from accounts.models.generation import Generation
from accounts.models.installation import Installation
from accounts.models.lockdown import Lockdown
from accounts.models.ring_key import RingKey
from accounts.models.role import Policy, Role
from accounts.models.service import ServiceAccount
from accounts.models.session import Session
from accounts.models.user import User

__all__ = [
    "Alert",
    "ApiKey",
    "Archive",
    "Authenticator",
    "Bearer",
    "Credential",
    "CspReport",
    "DailyHead",
    "Epoch",
    "Event",
    "Generation",
    "Installation",
    "KeyPlace",
    "Lockdown",
    "LogCheck",
    "Passkey",
    "Policy",
    "Position",
    "RecoveryCodes",
    "RingKey",
    "Role",
    "ScopeUse",
    "Seal",
    "ServiceAccount",
    "Session",
    "Severity",
    "Tally",
    "Unsealed",
    "User",
]
