"""What the types of events mean, in words: "Ada *published an entry*"."""

from typing import Final

# What somebody did, to follow their name. A type that is not here is shown by its own words.
SAID: Final = {
    "api-key.created": "made an API key",
    "api-key.expired": "let an API key end",
    "api-key.revoked": "revoked an API key",
    "api-key.rotated": "gave an API key a new secret",
    "collection.changed": "changed a collection",
    "device.enrolled": "enrolled an authenticator",
    "device.removed": "removed an authenticator",
    "draft.read": "read drafts",
    "entry-grant.given": "gave a right on an entry",
    "entry-grant.withdrawn": "withdrew a right on an entry",
    "entry.created": "created an entry",
    "entry.deleted": "erased an entry",
    "entry.published": "published an entry",
    "entry.restored": "took an entry out of the trash",
    "entry.trashed": "moved an entry to the trash",
    "entry.unpublished": "took an entry back from the public",
    "entry.updated": "changed an entry",
    "locale.changed": "changed a locale",
    "log.archived": "archived a range of the log",
    "log.exported": "exported the log",
    "log.head-not-sent": "could not send the head of the log",
    "log.verification-failed": "found the log not intact",
    "policy.created": "made a policy",
    "policy.deleted": "removed a policy",
    "policy.updated": "changed a policy",
    "role.created": "made a role",
    "role.deleted": "removed a role",
    "role.updated": "changed a role",
    "sensitive.read": "read personal or secret fields",
    "session.refresh-reused": "sent a refresh token that was used already",
    "session.ended": "ended a session",
    "session.started": "signed in",
    "sign-in.failed": "failed to sign in",
    "sign-in.locked-out": "was locked out",
    "user.created": "added a user",
    "user.invited": "invited a user",
    "user.password-changed": "changed a password",
    "user.updated": "changed a user",
}
# What an auditor must not overlook.
LOUD: Final = frozenset(
    {"session.refresh-reused", "log.verification-failed", "log.head-not-sent", "log.exported", "log.archived"}
)


def said(type: str) -> str:  # noqa: A002 (the word that the contract uses)
    """Return what somebody did."""
    known = SAID.get(type)
    if known is not None:
        return known
    thing, _, happened = type.rpartition(".")
    return f"{thing.replace('-', ' ').replace('.', ' ')}: {happened.replace('-', ' ')}".strip(": ")
