"""`previews probe` asks preview sites for drafts as strangers would, and exits 1 unless none gave one away."""

import json
import sys
from contextlib import nullcontext
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from accounts.access import system
from accounts.errors import DomainError
from accounts.models import Lockdown
from previews.models import PreviewSite
from previews.probing.probe import LEAK, OK, UNKNOWN, probe, worst


class Command(BaseCommand):
    """One command about preview sites, so far."""

    help = (
        "Ask preview sites for drafts that were never public, in the ways of strangers, caches and crawlers."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `probe`."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="probe")
        probing = verbs.add_parser("probe", help="Probe a site; exits 1 when it leaks or could not be asked.")
        probing.add_argument("site", nargs="?", help="Its id or its name (default: all sites that are on).")
        probing.add_argument(
            "--json", action="store_true", help="Print the results as JSON, in the last line."
        )

    def handle(self, *, verb: str, site: str | None, **options: Any) -> None:  # noqa: ARG002 (there is one verb)
        """Probe, tell what came of it, and exit by it."""
        if Lockdown.objects.is_on():
            raise CommandError("The system is locked down: nothing is probed.")
        chosen = self._sites(site)
        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        bar = Progress(*columns, console=console, transient=True)
        is_shown = sys.stderr.isatty()
        with bar if is_shown else nullcontext():
            results = [self._probed(item, bar, is_shown=is_shown) for item in chosen]
        for result in results:
            self._tell(result)
        if not results:
            self.stderr.write("There is no preview site that is on.")
        verdicts = {result["verdict"] for result in results}
        if options["json"]:
            told = {"verdict": worst(verdicts), "sites": results}
            self.stdout.write(json.dumps(told, ensure_ascii=False))
        self.stdout.flush()
        if not verdicts.isdisjoint({LEAK, UNKNOWN}):
            raise CommandError(
                "A site gives drafts away." if LEAK in verdicts else "Not every site could be asked."
            )

    @staticmethod
    def _sites(named: str | None) -> list[PreviewSite]:
        if named is None:
            return list(PreviewSite.objects.filter(state=PreviewSite.State.ACTIVE).order_by("name"))
        found = PreviewSite.objects.filter(name=named).first()
        if found is None:
            try:
                found = PreviewSite.objects.filter(pk=UUID(named)).first()
            except ValueError:
                found = None
        if found is None:
            raise CommandError("There is no preview site of this name or id.")
        return [found]

    def _probed(self, site: PreviewSite, bar: Progress, *, is_shown: bool) -> dict[str, Any]:
        task = bar.add_task(site.name, total=None) if is_shown else None

        def progress(name: str) -> None:
            if task is not None:
                bar.update(task, description=f"{site.name}: {name}")

        try:
            done = probe(site, by=system("previews probe"), progress=progress)
        except DomainError as error:
            raise CommandError(error.detail) from error
        finally:
            if task is not None:
                bar.remove_task(task)
        return {"id": str(done.pk), "name": done.name, **(done.probe or {})}

    def _tell(self, result: dict[str, Any]) -> None:
        self.stdout.write(f"{result['name']}: {result['verdict']}. {result['sentence']}")
        for check in result["checks"]:
            if check["verdict"] != OK:
                self.stdout.write(
                    f"  {check['verdict']}  {check['name']}  {check['url']}\n    {check['sentence']}"
                )
