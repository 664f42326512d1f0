"""Golden reads: documents as the delivery API gives them, by the hash of their bytes; the same before and after.

One that the API fails at is noted as that: it is a fault to mend, and no reason to have no backup.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final
from uuid import UUID

from django.db import DatabaseError, connections, transaction

from accounts.access import system
from accounts.errors import NotFoundError
from content import schema
from content.backups.manifest import Golden
from content.delivery.views import PUBLISHED, json_bytes, read_document
from content.models.published import PublishedDocument
from content.parameters import Parameters
from content.query import Reader

MOST: Final = 200
ALIAS: Final = PUBLISHED.using
GONE: Final = "gone"
UNREADABLE: Final = "unreadable"
logger = logging.getLogger(__name__)


def read(wanted: Sequence[Golden] | None = None, *, snapshot_id: str = "") -> list[Golden]:
    """Read those wanted, or a sample of each collection, in one look at the database; GONE for what is missing."""
    with transaction.atomic(using=ALIAS):
        with connections[ALIAS].cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            if snapshot_id:
                cursor.execute("SET TRANSACTION SNAPSHOT %s", [snapshot_id])
            cursor.execute("SET LOCAL statement_timeout = '120s'")
        present = schema.current(ALIAS)
        if wanted is None:
            wanted = _sample(present)
        return [_read(present, item) for item in wanted]


def _sample(present: schema.Schema) -> list[Golden]:
    """Choose evenly from the collections; by the hash of the id, so that it is not always the oldest."""
    kept = [item for item in present.collections if item.kind in ("many", "single")]
    each = max(1, MOST // max(1, len(kept)))
    found = []
    for item in kept:
        rows = PublishedDocument.objects.using(ALIAS).filter(collection_id=item.id)
        keys = sorted(
            rows.order_by("-entry_id").values_list("entry_id", "locale")[: each * 20],
            key=lambda key: hashlib.sha256(f"{key[0]} {key[1]}".encode()).digest(),
        )
        found += [Golden(str(item.id), str(entry), str(locale), "") for entry, locale in keys[:each]]
    return found[:MOST]


def _read(present: schema.Schema, item: Golden) -> Golden:
    spec = present.by_id.get(UUID(item.collection))
    digest = GONE
    if spec is not None:
        reader = Reader.of(PUBLISHED, present, system("golden reads of a backup"), item.locale)
        try:
            body = read_document(reader, spec.key, item.entry, Parameters(locale=item.locale))[3]
            digest = hashlib.sha256(json_bytes(body)).hexdigest()
        except NotFoundError:
            pass
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever a reader of the API would be answered 500 for)
            logger.error("The API fails at %s (%s): %s.", item.entry, item.locale, type(error).__name__)
            digest = UNREADABLE
    return Golden(**{**asdict(item), "sha256": digest})
