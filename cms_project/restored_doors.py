"""Shutting, after a restore, whatever could open a door that was shut since the backup was made.

What is replaced says what was good last; where it is lost, what can't be shut is told.
"""

import logging
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session as DjangoSession
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from guardian.models import GroupObjectPermission, UserObjectPermission

from accounts.access import Principal
from accounts.audit import epochs, heads
from accounts.errors import ConflictError
from accounts.keys import api_keys
from accounts.log import HeadError, Subject, head_path, read_head, record
from accounts.models import ApiKey, Lockdown, Session, User
from accounts.models.generation import ACCESS, KEYS, Generation
from cms_project import adopting, lockdown
from cms_project.replaced import Doors
from content.backups import postgres
from content.backups.manifest import Manifest
from previews import register, sites
from previews.models import PreviewSite, SigningKey
from previews.models.signing_key import Algorithm
from previews.signing import life
from webhooks import endpoints
from webhooks.incoming import sources
from webhooks.models import Endpoint, Source

logger = logging.getLogger("quillkeep.backup")

RESTORED: Final = "backup.restored"
_AHEAD: Final = 1_000  # versions of a token that could have been given out since the backup was made
_OWNER: Final = postgres.OWNER


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
    roles_taken: list[str] = field(default_factory=list)
    grants_taken: int = 0
    roles_that_differ: list[str] = field(default_factory=list)
    endpoints_paused: list[str] = field(default_factory=list)
    sources_disabled: list[str] = field(default_factory=list)
    signing_keys_ended: int = 0
    sites_to_give_secrets: list[str] = field(
        default_factory=list
    )  # shared secrets that previews are signed with
    sites_disabled: list[str] = field(default_factory=list)  # each needs a new client secret besides
    media_files: int = 0
    seconds: int = 0
    next_steps: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def shut(
    manifest: Manifest, *, before: Doors, after: Doors, known_position: int, report: Report, by: Principal
) -> None:
    """Begin a new epoch of the log, and end whatever may have been ended since the backup was made.

    `before` is what was let in by what is replaced, `after` by what was restored.
    """
    report.log_position = manifest.log_position
    above = max(manifest.log_position, before.last_position, known_position, *_known_heads())
    report.log_goes_on_at = epochs.begin(above=above, backup=report.name, using=_OWNER).first_position
    locked = _lift(by) or before.lockdown
    with transaction.atomic():
        _end_sessions(report, by)
        _end_keys(before, after, report, by)
        if before.is_known:
            _end_people(before, after, report, by)
            _end_grants(before, report)
            _end_sites(before, after, report, by)
            report.roles_that_differ = sorted(
                key for key, what in after.roles.items() if before.roles.get(key) != what
            )
        _end_webhooks(before, report, by)
        Generation.objects.bump(ACCESS, KEYS)
        record(RESTORED, actor=by, subject=Subject("backup", report.name), detail=_detail(report, manifest))
    _end_signing_keys(report, by)
    adopting.adopt(by=by)  # of a backup of another environment; else nothing
    report.next_steps = _next_steps(report, before, is_locked=bool(locked))
    if locked:
        report.next_steps += lockdown.begin(reason=locked, by=by).faults


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


def _lift(by: Principal) -> str:
    """Lift the lockdown that was on when the backup was made, and return its reason: it would refuse the shutting."""
    found = Lockdown.objects.current()
    if found is None:
        return ""
    Lockdown.objects.using(_OWNER).filter(pk=found.pk).update(
        off_at=timezone.now(), off_by=by.label[:320], off_reason="restoring; it goes on anew"
    )
    return found.reason


def _end_sessions(report: Report, by: Principal) -> None:
    """End every session, token, link and preview. What was given out since is of a version that is passed over."""
    now = timezone.now()
    report.sessions_ended = Session.objects.filter(ended_at__isnull=True).update(
        ended_at=now, refresh_jti=None
    )
    DjangoSession.objects.all().delete()
    User.objects.update(token_version=F("token_version") + _AHEAD)
    report.previews_ended = register.end_all(by)[1]


def _end_keys(before: Doors, after: Doors, report: Report, by: Principal) -> None:
    """Switch off API keys that are not known to be still good, just as they are: who revoked one, or let it open less,
    did not do it for us to forget.
    """
    for key in ApiKey.objects.usable().select_related("owner").order_by("pk"):
        pk = str(key.pk)
        if pk in before.api_keys and before.api_keys[pk] == after.api_keys.get(pk):
            report.keys_kept += 1
            continue
        api_keys.disable(key, by=by, because="restored")
        report.keys_disabled.append(
            {"public_id": key.public_id, "name": key.name, "owner": key.owner.name or key.owner.email}
        )


def _end_people(before: Doors, after: Doors, report: Report, by: Principal) -> None:
    """Switch off people who were switched off, are gone, or would get in by what they gave up since: a password that
    was stolen, a phone that was lost, a recovery code that was read over a shoulder. Take roles that were taken.
    """
    for user in User.objects.order_by("email"):
        was, now = before.people.get(str(user.pk)), after.people[str(user.pk)]
        detail: dict[str, object] = {}
        if user.is_active and (
            was is None
            or not was.is_active
            or was.credentials != now.credentials
            or now.factors - was.factors
        ):
            User.objects.filter(pk=user.pk).update(is_active=False)
            report.people_disabled.append(user.name or user.email)
            detail["is_active"] = False
        taken = now.roles - was.roles if was is not None else frozenset()
        if taken:
            user.groups.remove(*Group.objects.filter(pk__in=taken))
            report.roles_taken.append(user.name or user.email)
            detail["roles_taken"] = len(taken)
        if detail:
            record("user.updated", actor=by, subject=Subject("user", str(user.pk)), detail=detail)


def _end_grants(before: Doors, report: Report) -> None:
    """Take grants of single entries that were taken since."""
    for kind, model, whom in (
        ("user", UserObjectPermission, "user_id"),
        ("group", GroupObjectPermission, "group_id"),
    ):
        gone = [
            pk
            for pk, *row in model.objects.values_list("pk", whom, "permission_id", "object_pk")
            if "|".join([kind, *map(str, row)]) not in before.grants
        ]
        report.grants_taken += model.objects.filter(pk__in=gone).delete()[0]


def _end_sites(before: Doors, after: Doors, report: Report, by: Principal) -> None:
    """Switch off preview sites that were changed, switched off or removed since: drafts would go to where they went."""
    for site in PreviewSite.objects.order_by("name"):
        pk = str(site.pk)
        if before.sites.get(pk) == after.sites.get(pk):
            continue
        sites.rotate_secret(site, overlap=timedelta(0), by=by)
        PreviewSite.objects.filter(pk=pk).update(state=PreviewSite.State.DISABLED)
        record(
            "preview-site.updated",
            actor=by,
            subject=Subject("preview-site", pk),
            detail={"name": site.name, "changed": ["state"]},
        )
        report.sites_disabled.append(site.name)


def _end_webhooks(before: Doors, report: Report, by: Principal) -> None:
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
        "roles_taken": len(report.roles_taken),
        "grants_taken": report.grants_taken,
        "endpoints_paused": len(report.endpoints_paused),
        "sources_disabled": len(report.sources_disabled),
        "sites_disabled": len(report.sites_disabled),
    }


def _next_steps(report: Report, before: Doors, *, is_locked: bool) -> list[str]:
    steps = []
    if report.keys_disabled:
        steps.append(
            "API keys are switched off that may have been revoked since. Look at each (admin, API keys): switch on "
            "those that are good, revoke the others."
        )
    if not before.is_known:
        steps.append(
            "Nothing is left to compare with, so this is as on the day of the backup: who is active, passwords, second "
            "factors, recovery codes that were used since, roles and what they may, grants of single entries, "
            "addresses, state and client secrets of preview sites. Change again what was changed since because "
            "somebody had to be kept out."
        )
    if report.people_disabled:
        steps.append(
            "People are switched off who were so, or who changed password, address or second factors since: what they "
            "gave up would let somebody in. Switch each on again with a new password (admin, Users); where no "
            "administrator is left, `manage.py createadmin` makes one."
        )
    if report.roles_taken:
        steps.append("People lost roles again that were taken from them since.")
    if report.roles_that_differ:
        steps.append(
            f"These roles may something else than what was replaced let them: {', '.join(report.roles_that_differ)}. "
            "Look at their policies, of `public` first."
        )
    if report.endpoints_paused:
        steps.append(
            "Webhook endpoints are paused. Tell their receivers, switch each on (admin, Endpoints), then let it "
            "recover what it missed since the backup."
        )
    if report.sources_disabled:
        steps.append("Incoming sources are switched off. Compare their secrets, then switch them on.")
    if report.sites_to_give_secrets:
        steps.append(
            "Preview sites with a shared secret need a new one: `manage.py keys rotate SITE --kind previews "
            "--overlap-hours 0` prints it."
        )
    if report.sites_disabled:
        steps.append(
            "Preview sites are switched off whose addresses, state or client secret were changed since: "
            f"{', '.join(report.sites_disabled)}. Look where each leads, give it a new client secret, and switch it on "
            "(admin, Preview sites)."
        )
    steps.append(
        "What was erased since is back: entries that somebody asked to be forgotten must be erased once more."
    )
    steps.append(
        "Start web, workers and beat, then run `manage.py audit verify` and `manage.py backup create`."
    )
    if is_locked:
        steps.append(
            "The lockdown that was on is on again: `manage.py lockdown off` when all of this is done."
        )
    return steps
