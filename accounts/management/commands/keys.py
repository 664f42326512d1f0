"""`keys list|rotate|retire`: what the operator does with keys on the machine."""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import Progress

from accounts import encrypted, ring
from accounts.access import system
from accounts.errors import DomainError
from accounts.keys.api_keys import DEFAULT_OVERLAP
from accounts.keys.kinds import KeyKind, Rotated, kinds
from accounts.keys.ring_kind import NAME as RING

ALL: Final = "all"


class Command(BaseCommand):
    """Lists keys, gives one a new secret, ends the time of its old one. Other kinds of keys have other names."""

    help = "List keys, rotate one, or retire the old secret of a rotated one. Secrets are printed by `rotate` only."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the three verbs, each with the kind of key that it is about."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|rotate|retire")
        listing = verbs.add_parser("list", help="List keys, without secrets.")
        rotating = verbs.add_parser("rotate", help="Give a key a new secret, and print it this once.")
        retiring = verbs.add_parser("retire", help="End the old secret of a rotated key now.")
        for verb in (rotating, retiring):
            verb.add_argument(
                "key",
                help="The id or the public id of the key, or KIND:KEY, as ring:k1. Of signing keys (previews): to "
                "rotate, an algorithm or the id of a site with a shared secret; to retire, a kid. `rotate previews` "
                "rotates every algorithm. Of webhooks the name or id of an endpoint, of sources the key or id of a "
                "source. `rotate ring` and `rotate secret-key` print what the operator puts in place.",
            )
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
        rotating.add_argument(
            "--now",
            action="store_true",
            help="Also when the next signing key was published so lately that sites may not know it.",
        )
        retiring.add_argument(
            "--force", action="store_true", help="Also when calls may still come with the old secret."
        )
        retiring.add_argument(
            "--wait",
            action="store_true",
            help="Of the ring: move here and now what the key still encrypts, and wait for it.",
        )
        for verb in (listing, rotating, retiring):
            verb.add_argument(
                "--kind",
                choices=[*sorted(kinds()), *([ALL] if verb is listing else [])],
                help="The kind of key: api unless told, or the kind that is named in place of a key.",
            )
            verb.add_argument(
                "--json", action="store_true", help="Print the result as JSON, in the last line."
            )

    def handle(self, *, verb: str, kind: str | None, **options: Any) -> None:
        """Do it, or say why not and exit with 1."""
        kind = kind or _kind_of(options.get("key") or "")
        if kind == ALL:
            self._list_all(options)
            return
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
        self._show(keys, rows)
        if not rows:
            self.stderr.write("There is no key of this kind.")

    def _list_all(self, options: dict[str, Any]) -> None:
        """Show every kind at a glance."""
        if options["json"]:
            found = {kind: keys.rows() for kind, keys in kinds().items()}
            self.stdout.write(json.dumps({"kind": ALL, "kinds": found}))
            return
        for kind, keys in kinds().items():
            rows = keys.rows()
            self.stdout.write(f"{kind}: {len(rows)}")
            self._show(keys, rows, indent="  ")

    def _show(self, keys: KeyKind, rows: list[dict[str, Any]], *, indent: str = "") -> None:
        for row in rows:
            shown = [
                f"{name}={_one_word(row[name])}" for name in keys.columns if row.get(name) not in (None, "")
            ]
            self.stdout.write(indent + "  ".join(shown) + ("  idle" if row.get("idle") else ""))

    def _rotate(self, keys: KeyKind, kind: str, options: dict[str, Any]) -> None:
        # The place for the secret comes first: a key that is rotated into nowhere is lost to its callers.
        target = _new_file(options["to"]) if options["to"] else None
        try:
            overlap = timedelta(hours=options["overlap_hours"])
            by = system("keys rotate")
            done = keys.rotate(options["key"], overlap=overlap, at_once=options["now"], by=by)
        except BaseException:
            if target is not None:
                target.unlink()
            raise
        secrets = [rotated.text for rotated in done if rotated.text]
        if target is not None and secrets:
            target.write_text("".join(f"{text}\n" for text in secrets), encoding="ascii")
        elif target is not None:
            target.unlink()  # the private halves of these keys never leave
            target = None
        if options["json"]:
            told = [_told(rotated, target) for rotated in done]
            one: dict[str, Any] = {"keys": told} if options["key"] == kind else told[0]
            self.stdout.write(json.dumps({"kind": kind, **one}))
        else:
            for rotated in done:
                self._say(rotated, target)
        self.stdout.flush()

    def _say(self, rotated: Rotated, target: Path | None) -> None:
        """Print a secret alone on stdout, and words on stderr, so that it can be piped to where secrets are kept."""
        if not rotated.text:
            until = rotated.old_secret_until
            end = f"verifies until {_at(until)}" if until else "is over"
            former = f"; {rotated.former} {end}" if rotated.former else ""
            self.stdout.write(f"{rotated.name}: {rotated.id} signs{former}")
            return
        if rotated.told:
            words = rotated.told
        elif rotated.signs_at is not None:
            words = f"Made. {rotated.id} ({rotated.name}) is used from {_at(rotated.signs_at)} on."
        else:
            words = f"Rotated. The old secret works until {_at(rotated.old_secret_until)}."
        where = "is shown this once:" if target is None else f"is in {target}."
        self.stderr.write(f"{words} The new one {where}")
        if target is None:
            self.stdout.write(rotated.text)

    def _retire(self, keys: KeyKind, kind: str, options: dict[str, Any]) -> None:
        if options["wait"]:
            self._wait(kind, options["key"])
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
            self.stdout.write(f"Retired: {keys.retired}.")

    def _wait(self, kind: str, name: str) -> None:
        """Move what a key of the ring still encrypts, with a bar on a terminal."""
        if kind != RING:
            raise CommandError("--wait is for keys of the ring.")
        key_id = name.removeprefix(f"{RING}:")
        ring.known(key_id)
        whole = sum(encrypted.counts().get(key_id, {}).values())
        console = Console(stderr=True)
        with Progress(console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task(f"Moving from {key_id}", total=whole)
            done = ring.move(
                key_id, goes_on=lambda: True, progress=lambda number: progress.advance(task, number)
            )
        words = f"{done.moved} of {whole} values are encrypted with the active key now."
        if done.unreadable:
            words += (
                f" {done.unreadable} can't be opened with the key that they name: they were altered or moved."
            )
        self.stderr.write(words)


def _kind_of(key: str) -> str:
    """Return the kind that is named in place of a key, or before one."""
    named = key.partition(":")[0]
    return named if named in kinds() else "api"


def _told(rotated: Rotated, target: Path | None) -> dict[str, Any]:
    """Return a rotation as JSON; the secret is in it unless it is in a file."""
    told: dict[str, Any] = {
        "id": rotated.id,
        "old_secret_until": _at(rotated.old_secret_until),
        "key": rotated.text or None if target is None else None,
        "file": str(target) if target else None,
    }
    if rotated.name:
        told |= {"name": rotated.name, "former": rotated.former, "signs_at": _at(rotated.signs_at)}
    if rotated.told:
        told["next"] = rotated.told
    return told


def _at(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


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
