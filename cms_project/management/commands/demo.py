"""`demo`: the content of a first start, and people and keys to look around with. Development only."""

import json
import sys
from typing import Any

import segno
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import log
from accounts.alerting import reading
from cms_project.demo import making
from webhooks import fanning


class Command(BaseCommand):
    """Makes the demo once."""

    help = (
        "Make the demo: two locales, articles, authors, pages with blocks, site settings, private notes, a contact form"
        " with two letters, roles, an administrator and an editor with authenticators, two API keys, and a preview"
        " site. Credentials go to quickstart.json in the data folder (mode 0600). A second run changes nothing."
        " Development only."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add how to show what was made."""
        parser.add_argument(
            "--qr", action="store_true", help="Show the QR code although this is no terminal."
        )
        parser.add_argument(
            "--update-url",
            action="store_true",
            help="Let the file name this start's address, when the port is another one than before.",
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON, in the last line.")

    def handle(self, *, qr: bool, update_url: bool, **options: Any) -> None:
        """Make it, or say why there is nothing to do."""
        if not settings.ENVIRONMENT.is_development:
            raise CommandError("The demo is for development only: it writes passwords to a file.")
        file = making.quickstart_file()
        made = None
        if making.is_made():
            self._again(update_url=update_url)
        elif making.is_in_use():
            self.stdout.write("There are people or collections here already, so no demo is made.")
        else:
            made = making.make()
            log.pass_over(reading.CONSUMER, fanning.CONSUMER)
            self.stdout.write("The demo is there: Gull & Lamp, a small press in a lighthouse.")
            self._sign_in(made.admin.user.email, f"password {made.admin.password}")
            can_scan = qr or self.stdout.isatty()
            how = "scan this, or type the secret" if can_scan else "type this secret"
            self.stdout.write(f"Second factor: {how} into an authenticator app:")
            self.stdout.write(made.admin.totp_secret)
            if can_scan:
                segno.make(made.admin.totp_url, micro=False).terminal(out=sys.stdout, compact=True)
            self.stdout.write(f"All of this, and what programs need to sign in with, is in {file}.")
        if options["json"]:
            self.stdout.write(json.dumps({"made": made is not None, "file": str(file)}))

    def _again(self, *, update_url: bool) -> None:
        """Say that nothing was changed."""
        values = making.read_quickstart()
        if values is None:
            self.stdout.write(
                "The demo was made before; its credentials are gone with the file. See `createadmin`."
            )
            return
        if update_url and values.get("url") != settings.PUBLIC_URL:
            making.write_quickstart({**values, "url": settings.PUBLIC_URL})
        self.stdout.write("The demo is there already; nothing was changed.")
        self._sign_in(str(values.get("admin", {}).get("email")), f"password in {making.quickstart_file()}")

    def _sign_in(self, email: str, hint: str) -> None:
        self.stdout.write(f"Sign in at {settings.PUBLIC_URL}/admin/ as {email}, {hint}")
