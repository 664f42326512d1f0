"""`migrate` as the owner of the tables; afterwards the grants of the other two roles, and what lockdowns close."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import connections

from cms_project import frozen, grants, standing


class Command(migrate.Command):
    """Django's migrate with another default database."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add nothing; `--database` is `owner` unless said otherwise."""
        super().add_arguments(parser)
        parser.set_defaults(database="owner")

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, then apply cms_project.grants and cms_project.frozen, each in one transaction."""
        if options["database"] not in settings.DATABASES:
            raise CommandError("Migrating needs the role that owns the tables: set OWNER_DATABASE_URL.")
        super().handle(*args, **options)
        if options.get("plan") or options.get("check_unapplied"):
            return
        grants.apply(connections[options["database"]])
        frozen.apply(connections[options["database"]])
        standing.stamp(using=options["database"])
        if options["verbosity"] >= 1:
            self.stdout.write("Grants applied.")
