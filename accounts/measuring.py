"""What monitoring asks about the house: a list of measures that each room adds to. No label holds what a user typed."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from django.db import Error as DatabaseFailure
from django.db import connection
from redis import RedisError

logger = logging.getLogger("quillkeep.metrics")

_NAME: Final = re.compile(r"quillkeep_[a-z][a-z_]*[a-z]")
Values = float | Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class Measure:
    """One gauge: its name with its unit, what it says, and how it is read.

    `read` returns the number, None while there is nothing to tell, or with a `label` a number for each of its values,
    which must be words of ours from a fixed list.
    """

    name: str
    help: str
    read: Callable[[], Values]
    label: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a measure said; `values` by label, under "" without one. None: it could not be read."""

    measure: Measure
    values: Mapping[str, float] | None


MEASURES: Final[dict[str, Measure]] = {}


def register(measures: Iterable[Measure]) -> None:
    """Add a room's measures; the same ones again change nothing. Raises ValueError for a wrong or taken name."""
    for measure in measures:
        known = MEASURES.get(measure.name)
        if not _NAME.fullmatch(measure.name) or (known is not None and known is not measure):
            raise ValueError(f"{measure.name} is no name for a measure, or is one already.")
        MEASURES[measure.name] = measure


def readings() -> Iterator[Reading]:
    """Read all of them, each on its own: one whose question fails hides no other.

    Without a database none is asked: each would wait for a connection anew.
    """
    try:
        connection.ensure_connection()
    except DatabaseFailure as error:
        logger.warning("No measure can be read: %s.", type(error).__name__)
        yield from (Reading(measure, None) for measure in MEASURES.values())
        return
    for measure in MEASURES.values():
        try:
            found = measure.read()
        except (DatabaseFailure, RedisError, OSError) as error:
            logger.warning("%s can't be read: %s.", measure.name, type(error).__name__)
            yield Reading(measure, None)
            continue
        if found is None:
            continue
        yield Reading(measure, dict(found) if isinstance(found, Mapping) else {"": float(found)})
