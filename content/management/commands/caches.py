"""`caches run|purge`: tells the caches in front of the delivery plane what has changed, or to forget everything."""

import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models.generation import Generation
from content import kept_answers, purging


class Command(BaseCommand):
    """`run` is a process of its own beside web and workers; `purge` is for an incident."""

    help = "Tell the caches of PURGE_URLS what has changed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `run` and `purge`."""
        commands = parser.add_subparsers(dest="command", required=True)
        commands.add_parser(
            "run", help="Tell them of each change, until SIGTERM. One such process is enough."
        )
        commands.add_parser(
            "purge", help="Let all of them forget everything now. Exits 1 when one does not answer."
        )

    def handle(self, *, command: str, **_: Any) -> None:
        """Run one of them."""
        if not settings.PURGE_URLS:
            raise CommandError(
                "PURGE_URLS names no cache. Set it to http://host:port/ of each, then start this again."
            )
        if command == "run":
            purger = purging.Purger(settings.PURGE_URLS)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: purger.stop())
            purger.run()
            if purger.has_failed:
                raise CommandError("It failed; the log says how. Start it again.")
            return
        Generation.objects.bump(kept_answers.PURGES)
        level = kept_answers.as_of(Generation.objects.current())
        failed = [
            number
            for number, url in enumerate(settings.PURGE_URLS, start=1)
            if not purging.purge(url, [purging.EVERYTHING], level=level)
        ]
        if failed:
            listed = ", ".join(map(str, failed))
            raise CommandError(
                f"Not purged: number {listed} of PURGE_URLS. Restart that Varnish: an empty one has nothing old."
            )
        self.stdout.write(f"Purged: {len(settings.PURGE_URLS)} of {len(settings.PURGE_URLS)}.")
