"""Counting in Valkey: every window of a request, and notes about it, in one round trip. `limits` on a script of ours.

`limits` asks once for each limit, and once more for what remains: four round trips for a burst and a sustained limit.
The keys and the arithmetic are those of its sliding window counter; `acquire_sliding_window.lua` is the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, floor
from typing import Final, cast

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import RedisStorage
from redis.commands.core import Script

from accounts.valkey import circuit, valkey

# KEYS: the former and the present counter of each window, then a hash for notes.
# ARGV: the number of windows, whether to count, (quota, milliseconds) of each, then (command, field, value) of notes.
_SCRIPT: Final = """
local windows, answer, is_within = tonumber(ARGV[1]), {}, 1
for i = 1, windows do
    local former, present = KEYS[2 * i - 1], KEYS[2 * i]
    local quota, length = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
    local ttl = redis.call('pttl', present)
    if ttl > 0 and ttl < length then
        redis.call('rename', present, former)
        redis.call('set', present, 0, 'PX', ttl + length)
        ttl = ttl + length
    end
    local before = tonumber(redis.call('get', former)) or 0
    local left = math.max(0, redis.call('pttl', former))
    local now = tonumber(redis.call('get', present)) or 0
    if math.floor(before * left / length) + now + 1 > quota then is_within = 0 end
    answer[i] = {before, left, now, math.max(0, ttl)}
end
if is_within == 1 and ARGV[2] == '1' then
    for i = 1, windows do
        local present, length = KEYS[2 * i], tonumber(ARGV[2 * i + 2])
        if answer[i][4] > 0 then
            redis.call('incr', present)
        else
            redis.call('set', present, 1, 'PX', 2 * length)
            answer[i][4] = 2 * length
        end
        answer[i][3] = answer[i][3] + 1
    end
    for i = 2 * windows + 3, #ARGV, 3 do
        redis.call(ARGV[i], KEYS[2 * windows + 1], ARGV[i + 1], ARGV[i + 2])
    end
end
answer[windows + 1] = is_within
return answer
"""


@dataclass(frozen=True, slots=True)
class Window:
    """A bucket: `quota` requests of one caller in so many seconds. Only what is `shown` is told to the caller."""

    name: str
    quota: int
    seconds: int
    caller: str
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Level:
    """How full a bucket is: what remains, and in how many seconds there is room again."""

    window: Window
    remaining: int
    resets_in: int
    is_full: bool


@dataclass(frozen=True, slots=True)
class Notes:
    """What to note in a hash along with the count: `("hset" or "hincrby", field, value)` each."""

    key: str
    lines: tuple[tuple[str, str, str | int], ...]


class Buckets(RedisStorage):
    """The storage of `limits`, with one call for many windows: all of them are counted, or none."""

    def __init__(self) -> None:
        super().__init__("redis://", connection_pool=valkey().connection_pool, key_prefix="quillkeep:limits")
        self._script: Script = valkey().register_script(_SCRIPT)

    def take(
        self, windows: Sequence[Window], *, notes: Notes | None = None, is_counted: bool = True
    ) -> list[Level]:
        """Count one request, or only look. Notes are taken where the request is within all quotas.

        Raises redis.RedisError.
        """
        keys: list[str] = []
        arguments: list[str | int] = [len(windows), int(is_counted)]
        for window in windows:
            key = _item(window.quota, window.seconds).key_for(window.name, window.caller)
            keys += [
                self.prefixed_key(self._previous_window_key(key)),
                self.prefixed_key(self._current_window_key(key)),
            ]
            arguments += [window.quota, window.seconds * 1000]
        if notes is not None:
            keys.append(notes.key)
            for line in notes.lines:
                arguments += line
        *found, is_within = cast("list[list[int]]", circuit.call(lambda: self._script(keys, arguments)))
        return [
            _level(window, *counts, was_let_in=bool(is_within))
            for window, counts in zip(windows, found, strict=True)
        ]


def _level(window: Window, before: int, left: int, now: int, ttl: int, *, was_let_in: bool) -> Level:
    """Turn counters and their milliseconds into what a caller is told."""
    length = window.seconds * 1000
    used = floor(before * left / length) + now
    is_full = not was_let_in and used >= window.quota
    wait = (
        _wait(window.quota, length, before, left, now, ttl) if is_full else (ttl - length if ttl else length)
    )
    resets_in = min(window.seconds, max(1, ceil(wait / 1000)))
    return Level(window, max(0, window.quota - used), resets_in, is_full)


def _wait(quota: int, length: int, before: int, left: int, now: int, ttl: int) -> float:
    """Return after how many milliseconds one request is within the quota again."""
    if now < quota:  # the former window weighs less every moment
        return left - (quota - now) * length / before + 1
    return (
        (ttl - length) + length - quota * length / now + 1
    )  # the present one must become the former one first


@cache
def buckets() -> Buckets:
    """Return the storage of this process."""
    return Buckets()


@cache
def _item(quota: int, seconds: int) -> RateLimitItem:
    return RateLimitItemPerSecond(quota, seconds, namespace="quillkeep")
