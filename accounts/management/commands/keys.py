"""`keys list|rotate|retire`: what the operator does with keys on the machine."""

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.access import system
from accounts.errors import DomainError
from accounts.keys.api_keys import DEFAULT_OVERLAP
from accounts.keys.kinds import KeyKind, kinds

COLUMNS = ("public_id", "name", "owner", "state", "expires_at", "last_used_at", "calls", "verdict")


class Command(BaseCommand):
    """Lists keys, gives one a new secret, ends the time of its old one."""

    help = "List keys, rotate one, or retire the old secret of a rotated one. Secrets are printed by `rotate` only."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the three verbs, each with the kind of key that it is about."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|rotate|retire")
        listing = verbs.add_parser("list", help="List keys, without secrets.")
        rotating = verbs.add_parser("rotate", help="Give a key a new secret, and print it this once.")
        retiring = verbs.add_parser("retire", help="End the old secret of a rotated key now.")
        for verb in (rotating, retiring):
            verb.add_argument("key", help="The id or the public id of the key.")
        rotating.add_argument(
            "--overlap-hours",
            type=int,
            default=int(DEFAULT_OVERLAP.total_seconds() // 3600),
            help="For how long the old secret still works: 0 to 720, 24 unless told.",
        )
        rotating.add_argument(
            "--to",
            metavar="FILE",
            help="Write the secret into a new file (mode 0600) instead of printing it.",
        )
        retiring.add_argument(
            "--force", action="store_true", help="Also when calls may still come with the old secret."
        )
        for verb in (listing, rotating, retiring):
            verb.add_argument(
                "--kind", default="api", choices=sorted(kinds()), help="The kind of key: api unless told."
            )
            verb.add_argument(
                "--json", action="store_true", help="Print the result as JSON, in the last line."
            )

    def handle(self, *, verb: str, kind: str, **options: Any) -> None:
        """Do it, or say why not and exit with 1."""
        act = {"list": self._list, "rotate": self._rotate, "retire": self._retire}[verb]
        try:
            act(kinds()[kind], kind, options)
        except DomainError as error:
            reasons = " ".join(problem.detail for problem in error.errors) or error.detail
            raise CommandError(reasons) from error

    def _list(self, keys: KeyKind, kind: str, options: dict[str, Any]) -> None:
        rows = keys.rows()
        if options["json"]:
            self.stdout.write(json.dumps({"kind": kind, "keys": rows}))
            return
        for row in rows:
            shown = [f"{name}={_one_word(row[name])}" for name in COLUMNS if row.get(name) not in (None, "")]
            self.stdout.write("  ".join(shown) + ("  idle" if row.get("idle") else ""))
        if not rows:
            self.stderr.write("There is no key of this kind.")

    def _rotate(self, keys: KeyKind, kind: str, options: dict[str, Any]) -> None:
        # The place for the secret comes first: a key that is rotated into nowhere is lost to its callers.
        target = _new_file(options["to"]) if options["to"] else None
        try:
            overlap = timedelta(hours=options["overlap_hours"])
            rotated = keys.rotate(options["key"], overlap=overlap, by=system("keys rotate"))
        except BaseException:
            if target is not None:
                target.unlink()
            raise
        if target is not None:
            target.write_text(f"{rotated.text}\n", encoding="ascii")
        until = rotated.old_secret_until.isoformat() if rotated.old_secret_until else None
        if options["json"]:
            told = {
                "kind": kind,
                "id": rotated.id,
                "old_secret_until": until,
                "key": None if target else rotated.text,
                "file": str(target) if target else None,
            }
            self.stdout.write(json.dumps(told))
        else:
            # Words go to stderr, so that stdout can be piped to where secrets are kept.
            self.stderr.write(
                f"Rotated. The old secret works until {until}. The new one is shown this once:"
                if target is None
                else f"Rotated. The old secret works until {until}. The new one is in {target}."
            )
            if target is None:
                self.stdout.write(rotated.text)
        self.stdout.flush()

    def _retire(self, keys: KeyKind, kind: str, options: dict[str, Any]) -> None:
        judged = keys.judge(options["key"])
        if judged is not None and not judged.is_safe and not options["force"]:
            raise CommandError(f"{judged.sentence} Nothing was done; --force retires it all the same.")
        keys.retire(options["key"], by=system("keys retire"))
        sentence = judged.sentence if judged else None
        if options["json"]:
            self.stdout.write(
                json.dumps({"kind": kind, "key": options["key"], "retired": True, "verdict": sentence})
            )
        else:
            self.stdout.write("Retired: the old secret no longer works.")


def _one_word(value: object) -> str:
    """Return what people named as text that can neither command a terminal nor look like other columns."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)


def _new_file(name: str) -> Path:
    """Make an empty file that only its owner reads. Raises CommandError where something is already."""
    path = Path(name)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise CommandError(f"{name} can't be made: {error.strerror}.") from error
    return path
