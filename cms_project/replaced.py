"""What is known of the installation that a restore replaces: who and what was let in last, and by what."""

import logging
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import psycopg

from content.backups import loading

logger = logging.getLogger("quillkeep.backup")

# Read before and after by the very same words, so that what is not the same was changed since the backup was made.
_PEOPLE: Final = """
SELECT u.id::text, u.is_active, md5(concat_ws('|', u.email, extract(epoch FROM u.password_changed_at))),
    ARRAY(SELECT 'app ' || id FROM public.accounts_authenticator WHERE user_id = u.id AND confirmed
        UNION ALL SELECT 'passkey ' || id FROM public.accounts_passkey WHERE user_id = u.id AND confirmed
        UNION ALL SELECT unnest(macs) FROM public.accounts_recoverycodes WHERE user_id = u.id),
    ARRAY(SELECT group_id::text FROM public.accounts_user_groups WHERE user_id = u.id)
FROM public.accounts_user u
"""
_KEYS: Final = """
SELECT id::text, md5(concat_ws('|', secret_hash, previous_secret_hash, extract(epoch FROM previous_valid_until),
    owner_id, scopes, extract(epoch FROM expires_at), allowed_networks, browser))
FROM public.accounts_apikey WHERE state IN ('active', 'retiring')
"""
_SOURCES: Final = """
SELECT s.id::text FROM public.webhooks_sourcesecret s JOIN public.webhooks_source o ON o.id = s.source_id
WHERE o.state = 'active' AND s.state <> 'retired'
"""
_SITES: Final = """
SELECT s.id::text, md5(concat_ws('|', secret_hash, previous_secret_hash, extract(epoch FROM previous_valid_until),
    state, origins, cdn_origin, response_mode, is_embeddable,
    (SELECT string_agg(h::text, ',' ORDER BY h.url, h.id) FROM public.previews_handoffurl h WHERE h.site_id = s.id)))
FROM public.previews_previewsite s
"""
_ROLES: Final = """
SELECT r.key, md5(concat_ws('|', r.areas, r.require_second_factor, r.require_phishing_resistant,
    (SELECT string_agg(p::text, ',' ORDER BY p.id) FROM public.accounts_policy p WHERE p.role_id = r.group_ptr_id)))
FROM public.accounts_role r
"""
_GRANTS: Final = """
SELECT 'user', concat_ws('|', user_id, permission_id, object_pk) FROM public.guardian_userobjectpermission
UNION ALL SELECT 'group', concat_ws('|', group_id, permission_id, object_pk)
FROM public.guardian_groupobjectpermission
"""
_POSITIONS: Final = (
    "SELECT max(position) FROM public.accounts_seal",
    "SELECT max(last_position) FROM public.accounts_archive",
    "SELECT max(first_position) FROM public.accounts_epoch",
)
_LOCKDOWN: Final = "SELECT reason FROM public.accounts_lockdown WHERE off_at IS NULL"


@dataclass(frozen=True, slots=True)
class Person:
    """How somebody gets in, and as what."""

    is_active: bool
    credentials: str  # of address and password: a hash that changes with them
    factors: frozenset[str]  # second factors and passkeys by id, recovery codes that are not used up
    roles: frozenset[str]


@dataclass(slots=True)
class Doors:
    """What lets people and machines in. `is_known` False: it is lost, or of a version that can't be read."""

    is_known: bool = False
    last_position: int = 0  # of the log: the highest that was given away
    lockdown: str = ""  # the reason of the one that is on
    people: dict[str, Person] = field(default_factory=dict)  # by id
    api_keys: dict[str, str] = field(
        default_factory=dict
    )  # id of one that works → hash of what it opens, and how
    sources: set[str] = field(default_factory=set)  # ids of secrets of sources that are on
    sites: dict[str, str] = field(
        default_factory=dict
    )  # id → hash of where drafts go, and of the client secrets
    roles: dict[str, str] = field(default_factory=dict)  # key → hash of what it may
    grants: set[str] = field(default_factory=set)  # of single entries, to people and roles


def doors(connection: psycopg.Connection[Any]) -> Doors:
    """Read what is let in now, by the owner's connection. Of another version, or of nothing, nothing is known."""
    found = Doors()
    if loading.empty(connection):
        return found
    for query in _POSITIONS:
        for (position,) in _asked(connection, query):
            found.last_position = max(found.last_position, position or 0)
    for (reason,) in _asked(connection, _LOCKDOWN):
        found.lockdown = str(reason)
    try:
        _read(connection, found)
    except psycopg.Error:
        logger.warning("What is replaced can't be read, so no key is known to be still good.")
        return Doors(last_position=found.last_position, lockdown=found.lockdown)
    found.is_known = True
    return found


def _asked(connection: psycopg.Connection[Any], query: LiteralString) -> list[tuple[Any, ...]]:
    """Return rows, [] where an older version has no such table."""
    try:
        return connection.execute(query).fetchall()
    except psycopg.Error:
        return []


def _read(connection: psycopg.Connection[Any], found: Doors) -> None:
    for pk, is_active, credentials, factors, roles in connection.execute(_PEOPLE).fetchall():
        found.people[pk] = Person(is_active, credentials, frozenset(factors), frozenset(roles))
    found.api_keys = dict(connection.execute(_KEYS).fetchall())
    found.sources = {str(pk) for (pk,) in connection.execute(_SOURCES).fetchall()}
    found.sites = dict(connection.execute(_SITES).fetchall())
    found.roles = dict(connection.execute(_ROLES).fetchall())
    found.grants = {f"{kind}|{row}" for kind, row in connection.execute(_GRANTS).fetchall()}
