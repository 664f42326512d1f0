"""The log: one line an event, JSON outside development, with the request's id and no credentials."""

import json
import logging
import logging.config
import re
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

from accounts.masking import MASK, SENSITIVE_NAMES, scrub

request_id: ContextVar[str] = ContextVar("request_id", default="")

MAX_MESSAGE: Final = 20_000
_SECRET_NAME: Final = re.compile(rf"(?i)(?:^|_|-)(?:{SENSITIVE_NAMES})$")
# C0, DEL, C1, line and paragraph separators, bidirectional overrides: all that could forge or hide a line.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "request",
}


def flatten(text: str) -> str:
    """Return the text with every control character shown as an escape, so that one event stays one line."""
    return _CONTROL.sub(
        lambda match: f"\\x{ord(match[0]):02x}" if ord(match[0]) < 256 else f"\\u{ord(match[0]):04x}", text
    )


def _clean(value: object, *, name: str = "") -> Any:
    """Return a JSON value of what somebody logged, scrubbed at each level."""
    if name and _SECRET_NAME.search(name):
        return MASK
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {flatten(scrub(str(key))): _clean(item, name=str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item) for item in value]
    return flatten(scrub(str(value))[:MAX_MESSAGE])


class _Formatter(logging.Formatter):
    """What both forms share: the message, the extra values and the traceback, scrubbed."""

    def message(self, record: logging.LogRecord) -> str:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)  # a wrong format string must not lose the event
        return flatten(scrub(text)[:MAX_MESSAGE])

    def extras(self, record: logging.LogRecord) -> dict[str, Any]:
        return {
            name: _clean(value, name=name)
            for name, value in record.__dict__.items()
            if name not in _STANDARD and not name.startswith("_")
        }

    def trace(self, record: logging.LogRecord) -> list[str]:
        if not record.exc_info or record.exc_info[1] is None:
            return []
        text = scrub("".join(traceback.format_exception(record.exc_info[1])))
        return [flatten(line) for line in text[-MAX_MESSAGE:].splitlines()]


class JSONFormatter(_Formatter):
    """One JSON object a line: at, level, logger, event, request_id, the extra values, trace."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        event: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": self.message(record),
        }
        if request_id.get():
            event["request_id"] = request_id.get()
        event.update({name: value for name, value in self.extras(record).items() if name not in event})
        if trace := self.trace(record):
            event["trace"] = trace
        return json.dumps(event, ensure_ascii=True, default=str)


class ReadableFormatter(_Formatter):
    """For a developer's terminal: time, level, logger, message, extras; a traceback on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback indented below it."""
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        extra = " ".join(f"{name}={value}" for name, value in self.extras(record).items())
        line = f"{at} {record.levelname:<7} {record.name}: {self.message(record)} {extra}".rstrip()
        return "\n".join([line, *(f"    | {part}" for part in self.trace(record))])


def config(*, readable: bool) -> dict[str, Any]:
    """Return the logging configuration: everything to stderr, in one of the two forms."""
    formatter = ReadableFormatter if readable else JSONFormatter
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"ours": {"()": formatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "ours"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # Each request is logged once, by our middleware, without its query string.
            "django.request": {"level": "ERROR"},
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            # It writes whole addresses, with what receivers keep secret in them.
            "httpx": {"level": "WARNING"},
            # It writes who was typed at a sign-in, and people type their password there; our own log has the rest.
            "axes": {"level": "ERROR"},
            "celery.beat": {"level": "WARNING"},  # what is due every two seconds is no news
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
        },
    }


def configure(logging_config: dict[str, Any]) -> None:
    """Apply the configuration, and let warnings come through it too."""
    logging.config.dictConfig(logging_config)
    logging.captureWarnings(capture=True)
