"""The last 24 hours as a picture: what succeeded stands on the line, what failed hangs below it, an hour a bar."""

from collections.abc import Iterable, Sequence
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from webhooks.health import Health, Hour

_LEAST: Final = 2.0  # of a bar that is there at all, in the picture's units
_STEP, _BAR, _HEIGHT = 20, 14, 100.0
_SMALL_STEP, _SMALL_BAR, _SMALL_HEIGHT = 4, 3, 22.0


def picture(health: Health) -> SafeString:
    """Return the large picture; the table beside it says the same in words."""
    return _drawn(health, "qk-hook-day", _STEP, _BAR, _HEIGHT, is_told=True)


def sparkline(health: Health) -> SafeString:
    """Return the small picture of a list."""
    words = f"{health.succeeded} succeeded, {health.failed} failed in 24 hours"
    drawn = _drawn(health, "qk-hook-spark", _SMALL_STEP, _SMALL_BAR, _SMALL_HEIGHT, is_told=False)
    return format_html('{}<span class="visually-hidden">{}</span>', drawn, words)


def hour_words(hour: Hour) -> str:
    """Return what came of an hour."""
    return f"{hour.at:%H}:00 to {hour.at:%H}:59 UTC: {hour.succeeded} succeeded, {hour.failed} failed"


def _drawn(health: Health, name: str, step: int, bar: int, height: float, *, is_told: bool) -> SafeString:
    hours = health.hours
    up, down = _highest(hours)
    scale = (height - 1) / ((up + down) or 1)
    least_up, least_down = (min(_LEAST, height / 4) if number else 0.0 for number in (up, down))
    line = max(min(up * scale, height - 1 - least_down), least_up)
    bars = format_html_join(
        "",
        "<g>{}{}{}{}</g>",
        (
            (
                format_html("<title>{}</title>", hour_words(hour)) if is_told else "",
                # The whole height answers to the pointer, or an hour with one attempt could hardly be met.
                format_html(
                    '<rect x="{}" y="0" width="{}" height="{}" class="qk-hook-hit"/>',
                    number * step,
                    step,
                    height,
                )
                if is_told
                else "",
                *_bars(hour, number * step + (step - bar) / 2, bar, line, height, scale),
            )
            for number, hour in enumerate(hours)
            if is_told or hour.succeeded or hour.failed
        ),
    )
    return format_html(
        '<svg class="{0}" viewBox="0 0 {1} {2}" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '{3}<line x1="0" y1="{4}" x2="{1}" y2="{4}"/></svg>',
        name, step * len(hours), _rounded(height), bars, _rounded(line),
    )  # fmt: skip


def _bars(
    hour: Hour, left: float, width: float, line: float, height: float, scale: float
) -> Iterable[SafeString | str]:
    for number, is_up in ((hour.succeeded, True), (hour.failed, False)):
        if not number:
            yield ""
            continue
        room = line if is_up else height - line
        size = min(max(number * scale, _LEAST), room)
        yield format_html(
            '<rect x="{}" y="{}" width="{}" height="{}" class="{}"/>',
            _rounded(left), _rounded(line - size if is_up else line), _rounded(width), _rounded(size),
            "qk-hook-up" if is_up else "qk-hook-down",
        )  # fmt: skip


def _highest(hours: Sequence[Hour]) -> tuple[int, int]:
    return max(hour.succeeded for hour in hours), max(hour.failed for hour in hours)


def _rounded(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
