"""`createadmin EMAIL`: the first administrator, or another one when all others are out of reach."""

import getpass
import json
import secrets
import sys
from typing import Any

import segno
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.access import system
from accounts.errors import DomainError
from accounts.models.role import ADMINISTRATOR
from accounts.people import add_person
from accounts.sign_in.devices import enrol


class Command(BaseCommand):
    """Adds a person with the role `administrator`."""

    help = "Add an administrator. Asks for a password, or makes one with --generate-password."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the address and what may be made along."""
        parser.add_argument("email")
        parser.add_argument("--name", default="")
        parser.add_argument(
            "--generate-password", action="store_true", help="Make a password and print it once."
        )
        parser.add_argument(
            "--totp", action="store_true", help="Enrol an authenticator now and print its secret once."
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON, in the last line.")

    def handle(self, *, email: str, **options: Any) -> None:
        """Add them, or say why not."""
        generated = secrets.token_urlsafe(18) if options["generate_password"] else None
        password = generated or self._ask()
        try:
            with transaction.atomic():
                user = add_person(
                    email,
                    name=options["name"],
                    roles=[ADMINISTRATOR],
                    password=password,
                    by=system("createadmin"),
                )
                device = enrol(user, by=system("createadmin")) if options["totp"] else None
        except DomainError as error:
            reasons = " ".join(problem.detail for problem in error.errors) or error.detail
            raise CommandError(reasons) from error
        result = {
            "id": str(user.pk),
            "email": user.email,
            "password": generated,
            "totp_secret": device.secret_base32 if device else None,
        }
        if options["json"]:
            self.stdout.write(json.dumps(result))
            return
        self.stdout.write(f"{user.email} is an administrator.")
        if generated:
            self.stdout.write(f"Password: {generated}")
        if device is not None:
            self.stdout.write(f"Authenticator secret: {device.secret_base32}")
            if sys.stdout.isatty():
                segno.make(device.config_url, micro=False).terminal(compact=True)
        else:
            self.stdout.write("The second factor is set up at the first sign-in.")

    @staticmethod
    def _ask() -> str:
        if not sys.stdin.isatty():
            password = sys.stdin.readline().rstrip("\n")
            if not password:
                raise CommandError("Give a password on standard input, or use --generate-password.")
            return password
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise CommandError("The two passwords differ.")
        return password
