"""Restoring a backup: nothing is touched before all of it is verified, nothing is lost before the new is proven, and
whatever could open a door that was shut since the backup was made is shut again.

The schema that is replaced stays beside under another name until the restored one has passed every comparison. A
restore that is cut off is undone by `backup restore --undo`.
"""

import logging
import shutil
import time
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.contrib.sessions.models import Session as DjangoSession
from django.core.management import call_command
from django.db import connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.models import F
from django.utils import timezone
from psycopg import sql

from accounts.access import Principal
from accounts.audit import epochs, heads
from accounts.errors import ConflictError
from accounts.keyring import key_ring
from accounts.keys import api_keys
from accounts.log import HeadError, Subject, head_path, read_head, record, seal_pending
from accounts.models import ApiKey, Epoch, Lockdown, Session, User
from accounts.models.generation import ACCESS, KEYS, Generation
from cms_project import adopting, lockdown
from content.backups import loading, media, postgres, proving, snapshot, verifying
from content.backups.errors import BackupError, RefusedError
from content.backups.manifest import Manifest
from content.backups.progress import Progress, Silent
from content.backups.stores import Store
from content.backups.streams import identities
from previews import register
from previews.models import PreviewSite, SigningKey
from previews.models.signing_key import Algorithm
from previews.signing import life
from webhooks import endpoints
from webhooks.incoming import sources
from webhooks.models import Endpoint, Source

logger = logging.getLogger("quillkeep.backup")

REPLACED: Final = "quillkeep_replaced"
RESTORED: Final = "backup.restored"
WATCHED: Final = timedelta(
    seconds=4
)  # the sealer asks every two seconds, the web server holds on to a connection
_AHEAD: Final = 1_000  # versions of a token that could have been given out since the backup was made
_OWNER: Final = postgres.OWNER


@dataclass(slots=True)
class Before:
    """What is known of the installation that is replaced: who and what was let in last. Empty where it is lost."""

    is_known: bool = False
    last_position: int = 0
    api_keys: set[tuple[str, str]] = field(default_factory=set)  # id, hash of the secret
    people: set[str] = field(default_factory=set)  # ids of those who are active
    sources: set[str] = field(default_factory=set)  # ids of secrets of sources that are on


@dataclass(slots=True)
class Report:
    """What a restore did, for whoever has to go on from there."""

    name: str
    made_at: str
    log_position: int = 0
    log_goes_on_at: int = 0
    sessions_ended: int = 0
    previews_ended: int = 0
    keys_disabled: list[dict[str, str]] = field(default_factory=list)
    keys_kept: int = 0
    people_disabled: list[str] = field(default_factory=list)
    endpoints_paused: list[str] = field(default_factory=list)
    sources_disabled: list[str] = field(default_factory=list)
    signing_keys_ended: int = 0
    sites_to_give_secrets: list[str] = field(default_factory=list)
    media_files: int = 0
    seconds: int = 0
    next_steps: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asked to restore, and what they know."""

    name: str
    replaces: bool = False
    environment: str = ""  # the one that the backup is of, where that is another one than ours
    known_position: int = 0  # the highest position of the log that anybody outside has seen
    keys: tuple[str, ...] = ()  # private keys of age


def restore(place: Store, wish: Wish, *, by: Principal, progress: Progress | None = None) -> Report:
    """Restore a backup into this installation. Raises BackupError and RefusedError with the target unchanged."""
    progress = progress or Silent()
    began = timezone.now()
    opened = identities(wish.keys or settings.BACKUPS.identities)
    manifest = verifying.verify(place, wish.name, progress=progress).require_whole()
    _require_fit(manifest, wish)
    config = postgres.owner_config()
    connections.close_all()  # ours must not count among those that use the database
    staged = media.folder().with_name("media.restoring")
    shutil.rmtree(staged, ignore_errors=True)
    with postgres.connect(config) as connection:
        _require_target(connection, replaces=wish.replaces)
        report = Report(wish.name, manifest.made_at)
        try:
            report.media_files = loading.media_files(place, manifest, opened, into=staged, progress=progress)
            before = _before(connection)
            with _replaced(connection, config):
                loading.database(place, manifest, opened, config=config, progress=progress)
                progress.step("bringing up to date")
                _bring_up_to_date()
                progress.step("comparing answers")
                proving.require_golden(manifest, config)
                progress.step("shutting doors")
                _shut_doors(manifest, before, wish, report, by=by)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        _put_media(staged)
        _drop_replaced(connection)
    report.seconds = round((timezone.now() - began).total_seconds())
    seal_pending()
    return report


# --- Before anything is touched -------------------------------------------------------------------------------------


def _require_fit(manifest: Manifest, wish: Wish) -> None:
    """Refuse a backup of a newer version, of another environment, or whose keys are gone."""
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    newer = [name for name in manifest.migrations if name not in known]
    if newer:
        raise RefusedError(
            f"The backup is from a newer version: this one does not know {newer[0]} and {len(newer) - 1} more "
            "migrations. Install the version that made it, or a newer one, then restore."
        )
    ours = settings.ENVIRONMENT.name
    if manifest.environment != (wish.environment or ours):
        raise RefusedError(
            f"The backup is of {manifest.environment}, and this is {ours}. To bring its content here all the same, "
            f"say --from-environment {manifest.environment}."
        )
    missing = [key_id for key_id in manifest.key_ids if not key_ring().holds(key_id)]
    if missing:
        raise RefusedError(
            f"The key {missing[0]} was in the key ring when the backup was made, and is not now: what it encrypted "
            "could not be read. Put it into QUILLKEEP_KEY_RING behind the others, then restore."
        )


def _require_target(connection: psycopg.Connection[Any], *, replaces: bool) -> None:
    """Refuse a database that is in use, that is not empty, or in which a restore was cut off."""
    if _exists(connection, REPLACED):
        raise BackupError(
            "A restore was cut off here. `backup restore --undo` puts back what it was about to replace."
        )
    has_media = media.folder().is_dir() and any(media.folder().iterdir())
    if not replaces and (not loading.empty(connection) or has_media):
        raise BackupError(
            "The target is not empty: say --replace, and type the name of the backup, to replace all that it holds."
        )
    _require_nobody_else(connection)


def _require_nobody_else(connection: psycopg.Connection[Any]) -> None:
    """Refuse while others use the database. Workers come and go within seconds, so one look is not enough."""
    users = [str(item["USER"]) for item in settings.DATABASES.values()]
    until = time.monotonic() + WATCHED.total_seconds()
    while True:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = ANY(%s)"
            " AND pid <> pg_backend_pid()",
            [users],
        ).fetchone()
        if row and row[0]:
            raise BackupError(
                "Web processes or workers use the database. Stop all of them first (web, workers, beat): what they "
                "write meanwhile would be lost. In development: stop `make run`, start `make servers`."
            )
        if time.monotonic() > until:
            return
        time.sleep(0.05)


def _exists(connection: psycopg.Connection[Any], schema: str) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", [schema]
    ).fetchone()
    return bool(row and row[0])


def _before(connection: psycopg.Connection[Any]) -> Before:
    """Read who and what is let in now. Of another version, or of nothing, nothing is known."""
    found = Before()
    if loading.empty(connection):
        return found
    try:
        found.last_position = snapshot.newest_seal(connection)[0]
        keys = connection.execute(
            "SELECT id::text, secret_hash FROM public.accounts_apikey WHERE state IN ('active', 'retiring')"
        )
        found.api_keys = {(str(pk), str(digest)) for pk, digest in keys.fetchall()}
        people = connection.execute("SELECT id::text FROM public.accounts_user WHERE is_active")
        found.people = {str(pk) for (pk,) in people.fetchall()}
        secrets = connection.execute(
            "SELECT s.id::text FROM public.webhooks_sourcesecret s JOIN public.webhooks_source o ON o.id = s.source_id"
            " WHERE o.state = 'active' AND s.state <> 'retired'"
        )
        found.sources = {str(pk) for (pk,) in secrets.fetchall()}
        found.is_known = True
    except psycopg.Error:
        logger.warning("What is replaced can't be read, so no key is known to be still good.")
    return found


# --- The schema -----------------------------------------------------------------------------------------------------


class _replaced:  # noqa: N801 (used as a statement)
    """Puts the present schema aside and an empty one in its place; brings it back when the block fails."""

    def __init__(self, connection: psycopg.Connection[Any], config: dict[str, Any]) -> None:
        self.connection, self.config = connection, config

    def __enter__(self) -> None:
        with self.connection.transaction():
            self.connection.execute(
                sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(
                    sql.Identifier(snapshot.SCHEMA), sql.Identifier(REPLACED)
                )
            )
            self.connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(snapshot.SCHEMA)))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            connections.close_all()
            undo(self.connection)


def undo(connection: psycopg.Connection[Any]) -> None:
    """Put back what a restore that failed was about to replace. Raises BackupError when there is nothing."""
    if not _exists(connection, REPLACED):
        raise BackupError("No restore was cut off here, so there is nothing to undo.")
    with connection.transaction():
        connection.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(snapshot.SCHEMA))
        )
        connection.execute(
            sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(
                sql.Identifier(REPLACED), sql.Identifier(snapshot.SCHEMA)
            )
        )
    shutil.rmtree(media.folder().with_name("media.restoring"), ignore_errors=True)


def _drop_replaced(connection: psycopg.Connection[Any]) -> None:
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(REPLACED)))


def _put_media(staged: Path) -> None:
    """Put the restored files in the place of those that are there."""
    present, aside = media.folder(), media.folder().with_name("media.replaced")
    shutil.rmtree(aside, ignore_errors=True)
    if present.exists():
        present.rename(aside)
    staged.rename(present)
    shutil.rmtree(aside, ignore_errors=True)


def _bring_up_to_date() -> None:
    """Migrate what an older version made, and give the roles their grants."""
    connections.close_all()
    call_command("migrate", verbosity=0, interactive=False)


# --- Doors ----------------------------------------------------------------------------------------------------------


def _shut_doors(manifest: Manifest, before: Before, wish: Wish, report: Report, *, by: Principal) -> None:
    """Begin a new epoch of the log, and end whatever may have been ended since the backup was made."""
    report.log_position = manifest.log_position
    above = max(manifest.log_position, before.last_position, wish.known_position, *_known_heads())
    epoch: Epoch = epochs.begin(above=above, backup=wish.name, using=_OWNER)
    report.log_goes_on_at = epoch.first_position
    locked = _lift(by)
    with transaction.atomic():
        _end_sessions(report, by)
        _end_keys(before, report, by)
        _end_people(before, report, by)
        _end_webhooks(before, report, by)
        Generation.objects.bump(ACCESS, KEYS)
        record(RESTORED, actor=by, subject=Subject("backup", wish.name), detail=_detail(report, manifest))
    _end_signing_keys(report, by)
    adopting.adopt(by=by)  # of a backup of another environment; else nothing
    if locked is not None:
        lockdown.begin(reason=locked.reason, by=by)
    report.next_steps = _next_steps(report, before, is_locked=locked is not None)


def _known_heads() -> list[int]:
    """Return positions that heads of the log name which lie around: each was told to somebody."""
    places = [*head_path().parent.glob("audit-head*.json"), *heads.folder().glob("*.json")]
    outside = urlsplit(settings.AUDIT_HEAD_TO)
    if outside.scheme == "file":
        path = Path(outside.path)
        places += path.glob("audit-head-*.json") if path.is_dir() else [path]
    found = [0]
    for path in places:
        try:
            found.append(read_head(path).position)
        except HeadError:
            logger.warning("%s can't be read as a head of the log.", path.name)
    return found


def _lift(by: Principal) -> Lockdown | None:
    """Lift the lockdown that was on when the backup was made: it would refuse the shutting of doors, too."""
    found = Lockdown.objects.current()
    if found is not None:
        Lockdown.objects.using(_OWNER).filter(pk=found.pk).update(
            off_at=timezone.now(), off_by=by.label[:320], off_reason="restoring; it goes on anew"
        )
    return found


def _end_sessions(report: Report, by: Principal) -> None:
    """End every session, token, link and preview. What was given out since is of a version that is passed over."""
    now = timezone.now()
    report.sessions_ended = Session.objects.filter(ended_at__isnull=True).update(
        ended_at=now, refresh_jti=None
    )
    DjangoSession.objects.all().delete()
    User.objects.update(token_version=F("token_version") + _AHEAD)
    report.previews_ended = register.end_all(by)[1]


def _end_keys(before: Before, report: Report, by: Principal) -> None:
    """Switch off API keys that are not known to be still good: who revoked one did not do it for us to forget."""
    for key in ApiKey.objects.usable().select_related("owner").order_by("pk"):
        if (str(key.pk), key.secret_hash) in before.api_keys:
            report.keys_kept += 1
            continue
        api_keys.disable(key, by=by, because="restored")
        report.keys_disabled.append(
            {"public_id": key.public_id, "name": key.name, "owner": key.owner.name or key.owner.email}
        )


def _end_people(before: Before, report: Report, by: Principal) -> None:
    """Switch off people who were switched off, or are gone, in what is replaced. Where that is lost, they are told."""
    if not before.is_known:
        return
    gone = User.objects.filter(is_active=True).exclude(pk__in=before.people).order_by("email")
    for user in gone:
        report.people_disabled.append(user.name or user.email)
        record("user.updated", actor=by, subject=Subject("user", str(user.pk)), detail={"is_active": False})
    User.objects.filter(pk__in=[user.pk for user in gone]).update(is_active=False)


def _end_webhooks(before: Before, report: Report, by: Principal) -> None:
    """Pause every endpoint, and switch off sources whose secrets may have been replaced since."""
    for endpoint in Endpoint.objects.filter(state=Endpoint.State.ACTIVE).order_by("name"):
        endpoints.pause(endpoint, by=by)
        report.endpoints_paused.append(endpoint.name)
    for source in Source.objects.filter(state=Source.State.ACTIVE).order_by("key"):
        secrets = source.secrets.exclude(state="retired").values_list("pk", flat=True)
        if not {str(pk) for pk in secrets} <= before.sources:
            sources.switch(source, is_on=False, by=by)
            report.sources_disabled.append(source.key)


def _end_signing_keys(report: Report, by: Principal) -> None:
    """Replace every key that signs previews, those included that waited: a revoked one would verify again."""
    live = (SigningKey.State.PENDING, SigningKey.State.ACTIVE, SigningKey.State.RETIRING)
    before = set(SigningKey.objects.filter(state__in=live).values_list("pk", flat=True))
    for algorithm in life.used_algorithms():
        for _ in range(2):  # the one that waits would sign next
            life.rotate(algorithm, overlap=timedelta(0), at_once=True, by=by)
    for site in PreviewSite.objects.filter(algorithm=Algorithm.HS256).order_by("name"):
        life.rotate_shared(site, overlap=timedelta(0), by=by)
        report.sites_to_give_secrets.append(site.name)
    for key in SigningKey.objects.filter(pk__in=before, state__in=live):
        try:
            life.end(key, by=by)
        except ConflictError:
            logger.exception("A signing key of previews could not be ended.")
    report.signing_keys_ended = len(before) - SigningKey.objects.filter(pk__in=before, state__in=live).count()


def _detail(report: Report, manifest: Manifest) -> dict[str, object]:
    return {
        "made_at": manifest.made_at,
        "log_position": report.log_position,
        "log_goes_on_at": report.log_goes_on_at,
        "sessions": report.sessions_ended,
        "keys_disabled": len(report.keys_disabled),
        "people_disabled": len(report.people_disabled),
        "endpoints_paused": len(report.endpoints_paused),
        "sources_disabled": len(report.sources_disabled),
    }


def _next_steps(report: Report, before: Before, *, is_locked: bool) -> list[str]:
    steps = []
    if report.keys_disabled:
        steps.append(
            "API keys are switched off that may have been revoked since. Look at each (admin, API keys), and enable "
            "those that are good; revoke the others."
        )
    if not before.is_known:
        steps.append("Who left since the backup was made is active again: look at the list of users.")
    if report.endpoints_paused:
        steps.append(
            "Webhook endpoints are paused. Tell their receivers, then resume them (admin, Webhooks), or let them "
            "recover what happened since the backup."
        )
    if report.sources_disabled:
        steps.append("Incoming sources are switched off. Compare their secrets, then switch them on.")
    if report.sites_to_give_secrets:
        steps.append(
            "Preview sites with a shared secret need a new one: `manage.py keys rotate SITE --kind previews "
            "--overlap-hours 0` prints it."
        )
    steps.append(
        "Start web, workers and beat, then run `manage.py audit verify` and `manage.py backup create`."
    )
    if is_locked:
        steps.append("The lockdown that was on when the backup was made is on again.")
    return steps
