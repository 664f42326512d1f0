"""What the types of events mean, in words: "Ada *published an entry*"."""

from typing import Final

# What somebody did, to follow their name. A type that is not here is shown by its own words.
SAID: Final = {
    "access.viewed-as": "looked at an entry as somebody else",
    "alert.acknowledged": "acknowledged an alert",
    "alert.reopened": "opened an alert again",
    "api-key.created": "made an API key",
    "api-key.disabled": "switched off an API key",
    "api-key.enabled": "switched on an API key",
    "api-key.expired": "let an API key end",
    "api-key.new-place": "saw an API key in a new place",
    "api-key.old-secret-refused": "refused a retired secret of an API key",
    "api-key.old-secret-retired": "retired the old secret of an API key",
    "api-key.revoked": "revoked an API key",
    "api-key.rotated": "gave an API key a new secret",
    "clock.skewed": "found a clock that is wrong",
    "collection.changed": "changed a collection",
    "device.enrolled": "enrolled a second factor",
    "device.removed": "removed a second factor",
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
    "limits.available": "can count limits again",
    "limits.unavailable": "can't count limits",
    "locale.changed": "changed a locale",
    "lockdown.off": "lifted a lockdown",
    "lockdown.on": "locked everything down",
    "log.archived": "archived a range of the log",
    "log.exported": "exported the log",
    "log.head-not-sent": "could not send the head of the log",
    "log.verification-failed": "found the log not intact",
    "mail.refused": "could not send a mail",
    "mail.sent": "sent a mail",
    "policy.created": "made a policy",
    "policy.deleted": "removed a policy",
    "policy.updated": "changed a policy",
    "preview.exchanged": "exchanged the code of a preview for its token",
    "preview.minted": "handed out a preview",
    "preview.opened": "opened a preview",
    "preview.refused": "was refused a preview",
    "preview.revoked": "revoked a preview",
    "preview-site.created": "set up a preview site",
    "preview-site.deleted": "removed a preview site",
    "preview-site.leaks": "saw a preview site give drafts away",
    "preview-site.probed": "probed a preview site for leaks",
    "preview-site.secret-rotated": "gave a preview site a new client secret",
    "preview-site.updated": "changed a preview site",
    "recovery-code.used": "used a recovery code",
    "recovery-codes.made": "made recovery codes",
    "role.created": "made a role",
    "role.deleted": "removed a role",
    "role.updated": "changed a role",
    "security.alert": "raised an alert",
    "sensitive.read": "read personal or secret fields",
    "session.refresh-reused": "sent a refresh token that was used already",
    "session.ended": "ended a session",
    "session.started": "signed in",
    "session.stepped-up": "showed again who they are",
    "session.strengthened": "added a factor to a session",
    "sign-in.failed": "failed to sign in",
    "sign-in.lock-lifted": "lifted a lock",
    "sign-in.locked-out": "was locked out",
    "signing-key.activated": "let a signing key sign",
    "signing-key.created": "made a signing key",
    "signing-key.retired": "retired a signing key",
    "signing-key.retiring": "let a signing key go",
    "signing-key.revoked": "revoked a signing key",
    "step-up.failed": "failed to show again who they are",
    "user.created": "added a user",
    "user.invited": "invited a user",
    "user.password-changed": "changed a password",
    "user.reset-asked": "asked for a new password",
    "user.updated": "changed a user",
}
# What an auditor must not overlook.
LOUD: Final = frozenset(
    {
        "lockdown.off",
        "lockdown.on",
        "log.archived",
        "log.exported",
        "log.head-not-sent",
        "log.verification-failed",
        "preview-site.leaks",
        "recovery-code.used",
        "security.alert",
        "session.refresh-reused",
    }
)


def said(type: str) -> str:  # noqa: A002 (the word that the contract uses)
    """Return what somebody did."""
    known = SAID.get(type)
    if known is not None:
        return known
    thing, _, happened = type.rpartition(".")
    return f"{thing.replace('-', ' ').replace('.', ' ')}: {happened.replace('-', ' ')}".strip(": ")
