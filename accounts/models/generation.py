"""Generations: counters that tell caches, by one cheap read, whether what they hold is still true."""

from django.db import connection, models

ACCESS = "access"  # roles, policies, who has which role
KEYS = "keys"  # API keys, sessions, users' state
KEY_USE = "key-use"  # moves whenever the notes of which keys were used are written down


class GenerationManager(models.Manager["Generation"]):
    """Bumps and reads generations."""

    def bump(self, *names: str) -> None:
        """Move generations on. Call it last in the transaction of the change: the rows stay locked until commit.

        A value is never used twice, not even after rows were lost or restored from a backup: it follows the clock.
        """
        with connection.cursor() as cursor:
            for name in sorted(
                set(names)
            ):  # always in one order, so that two transactions can't wait for each other
                cursor.execute(
                    "INSERT INTO accounts_generation AS present (name, value)"
                    " VALUES (%s, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"
                    " ON CONFLICT (name) DO UPDATE SET value ="
                    " greatest(present.value + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)",
                    [name],
                )

    def current(self) -> dict[str, int]:
        """Return every generation by name, and `lockdown` while one is on; a name that is missing counts as 0."""
        return dict(Freshness.objects.values_list("name", "value"))


class Generation(models.Model):
    """One counter: `access`, `keys`, `key-use`, `schema`, `content:<collection id>`, `previews`, `caches`, `purges`."""

    name = models.CharField(primary_key=True, max_length=80)
    value = models.BigIntegerField(default=0)

    objects = GenerationManager()


class Freshness(models.Model):
    """The generations as a view, with `lockdown` among them while one is on: one query tells both."""

    name = models.CharField(primary_key=True, max_length=80)
    value = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "accounts_freshness"
