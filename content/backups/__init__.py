"""Backups: made in one snapshot, encrypted to keys that are not here, signed, verified, proved, kept and restored."""
