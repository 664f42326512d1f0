"""From where API keys are used: noted in Valkey with each call, written down each minute, told when a place is new.

For its first week a key is taken at its word. After that a country that is new for it is an event, and so is a network
(a /24 or /48), unless the key is at home in so many that networks say nothing: build machines are anywhere.
"""

import ipaddress
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, cast

import redis
from django.db import transaction
from django.db.models import Min

from accounts.access import system
from accounts.log import Subject, record
from accounts.models.alert import KeyPlace
from accounts.models.api_key import ApiKey
from accounts.places import country
from accounts.valkey import valkey

NEW_PLACE: Final = "api-key.new-place"
LEARNING: Final = timedelta(days=7)
MOST_NETWORKS: Final = 10  # of a key that moves about: from then on only countries are told
MOST_PLACES: Final = 500  # kept of one key
PRIVATE: Final = "private"
_NOTES: Final = "quillkeep:key-places"
_WORKING: Final = "quillkeep:key-places:working"
_NOTE_EVERY: Final = 600.0  # seconds: a busy key costs each process one note in ten minutes for a network
_MOST_NOTED: Final = 10_000
_noted: dict[tuple[str, str], float] = {}


def note(public_id: str, address: str) -> None:
    """Remember from where a key was used. Without Valkey nothing is remembered, and nothing breaks."""
    network = network_of(address)
    now = time.monotonic()
    if not network or now - _noted.get((public_id, network), -_NOTE_EVERY) < _NOTE_EVERY:
        return
    if len(_noted) >= _MOST_NOTED:
        _noted.clear()
    _noted[public_id, network] = now
    try:
        valkey().hset(_NOTES, f"{public_id} {network} {address}", str(int(time.time())))
    except redis.RedisError:
        del _noted[public_id, network]


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Return the /24 or /48 of an address; one word for all private ones; "" for what is no address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if not parsed.is_global:
        return PRIVATE
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))


def flush() -> int:
    """Write the notes down and record what is new; return of how many keys. What a killed worker held comes first."""
    client = valkey()
    if not client.exists(_WORKING):
        try:
            client.rename(_NOTES, _WORKING)
        except redis.ResponseError:  # there is none: no key was used
            return 0
    notes: dict[str, list[tuple[str, str, datetime]]] = {}
    for name, stamp in cast("dict[bytes, bytes]", client.hgetall(_WORKING)).items():
        public_id, network, address = name.decode().split(" ")
        notes.setdefault(public_id, []).append((network, address, datetime.fromtimestamp(int(stamp), UTC)))
    for public_id, found in notes.items():
        _write(public_id, sorted(found, key=lambda item: item[2]))
    client.delete(_WORKING)
    return len(notes)


@transaction.atomic
def _write(public_id: str, found: list[tuple[str, str, datetime]]) -> None:
    key = ApiKey.objects.select_for_update().filter(public_id=public_id).first()
    if key is None:
        return
    known = {place.network: place for place in KeyPlace.objects.filter(key=key)}
    countries = {place.country for place in known.values()}
    began = KeyPlace.objects.filter(key=key).aggregate(at=Min("first_at"))["at"]
    for network, address, at in found:
        if network in known:
            KeyPlace.objects.filter(key=key, network=network, last_at__lt=at).update(last_at=at)
            continue
        if len(known) >= MOST_PLACES:
            return
        place = country(address)
        known[network] = KeyPlace.objects.create(
            key=key, network=network, country=place, first_at=at, last_at=at
        )
        is_abroad = bool(place) and place not in countries
        if began is not None and at - began > LEARNING and (is_abroad or len(known) <= MOST_NETWORKS):
            _record(key, network, place, address, is_abroad=is_abroad)
        countries.add(place)
        began = began or at


def _record(key: ApiKey, network: str, place: str, address: str, *, is_abroad: bool) -> None:
    record(
        NEW_PLACE,
        actor=system("watching keys").at(address=address, request_id=""),
        subject=Subject("api-key", str(key.pk)),
        detail={
            "public_id": key.public_id,
            "name": key.name,
            "network": network,
            "country": place,
            "new_country": is_abroad,
        },
    )
