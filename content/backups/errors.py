"""What can go wrong with backups. No request makes or restores one, so these have no status; their text is for ops."""


class BackupError(Exception):
    """Something about a backup failed; the text says what, and what to do next."""


class RefusedError(BackupError):
    """A backup is not one of ours, not whole, or not for this place: nothing of it is used."""


class WrongKeyError(BackupError):
    """The private key opens another backup: that says nothing about this one."""


class OtherVersionError(BackupError):
    """The API answers otherwise than the version that made the backup: another try finds the same."""


class BusyError(BackupError):
    """Another process is at it just now: nothing has failed, and there is nothing to mend."""
