"""Structured logs: one schema for all that this process says, Python's and Rust's.

Every event has `timestamp` (RFC 3339, UTC, microseconds), `level` (debug, info, warning, error,
critical), `logger` (a dotted name) and `event` (what happened, lower case); what it is about stands
in further fields. `json` is one object a line, `console` is for people. Fields whose names say that
they hold a secret are masked, whoever logs them.

All goes through the standard library's root handler, so that libraries that log there look alike.
To stdout and stderr a line is written in the caller's thread, by one `write`; to a file by a thread
of its own (`log_file`).
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from decube.kit.errors import Invalid
from decube.kit.log_file import LogFileHandler, Rotation, log_files

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    EventDict = MutableMapping[str, Any]

MASK: Final = "********"

_HEAD: Final = ("timestamp", "level", "logger", "event")
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_SECRET: Final = re.compile(
    r"password|passwd|secret|authorization|private_key|(^|_)token$", re.IGNORECASE
)
# They tell every start and request in their own words; we tell it in ours.
_CHATTY: Final = ("uvicorn", "uvicorn.error", "asyncio", "grpc")
_DEFAULT_ROTATION: Final = Rotation()
_RUST_FIELDS_RESERVED: Final = frozenset({*_HEAD, "exc_info", "exception"})


def configure(
    *, level: str, form: str, output: str, rotation: Rotation = _DEFAULT_ROTATION
) -> None:
    """Send the logs of this process to `output`: `stdout`, `stderr` or the path of a file.

    `form` is `json`, `console`, or `auto` (console on a terminal). A file is rotated. May be called
    again. Raises `Invalid` when the file cannot be written.
    """
    handler = _open(output, rotation)
    on_terminal = isinstance(handler, logging.StreamHandler) and handler.stream.isatty()
    as_json = form == "json" or (form == "auto" and not on_terminal)
    handler.setFormatter(_formatter(as_json=as_json, colors=on_terminal))
    root = logging.getLogger()
    replaced = log_files()
    root.handlers[:] = [handler]
    for old in replaced:
        old.close()
    root.setLevel(_LEVELS[level])
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(_LEVELS[level], logging.WARNING))
    # A log that cannot be written must not take the node down, nor fill stderr.
    logging.raiseExceptions = False
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        cache_logger_on_first_use=False,
    )


def forward(
    wall_s: float, level: str, target: str, event: str, fields: Mapping[str, object]
) -> None:
    """Log an event of the Rust core as it happened, with the time it happened."""
    name = target.replace("::", ".")
    logger = logging.getLogger(name)
    number = _LEVELS[level]
    if not logger.isEnabledFor(number):
        return
    extra = {
        f"{key}_" if key in _RUST_FIELDS_RESERVED else key: value for key, value in fields.items()
    }
    record = logging.LogRecord(name, number, "", 0, event, None, None)
    record.created = wall_s
    record.fields = extra
    logger.handle(record)


def _open(output: str, rotation: Rotation) -> logging.StreamHandler[Any] | LogFileHandler:
    if output in ("stdout", "stderr"):
        return logging.StreamHandler(getattr(sys, output))
    try:
        return LogFileHandler(Path(output), rotation)
    except OSError as error:
        raise Invalid(
            f"cannot write the log file {output}: {error.strerror}",
            field="logging.output",
            hint="its directory must be there; logging.output chooses another file, or stdout",
        ) from error


def _formatter(*, as_json: bool, colors: bool) -> logging.Formatter:
    renderer: structlog.types.Processor
    if as_json:
        renderer = structlog.processors.JSONRenderer(serializer=_to_json)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0)
    exceptions = [structlog.processors.format_exc_info] if as_json else []
    return structlog.stdlib.ProcessorFormatter(
        processors=[
            _take_record,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _mask_secrets,
            *exceptions,
            _in_order,
            renderer,
        ]
    )


def _take_record(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Take time, level and logger from the record, which knows them whoever logged."""
    record: logging.LogRecord = event["_record"]
    moment = datetime.fromtimestamp(record.created, UTC)
    event["timestamp"] = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    event["level"] = record.levelname.lower()
    event["logger"] = record.name
    event.update(getattr(record, "fields", {}))
    if record.exc_info and "exc_info" not in event:
        event["exc_info"] = record.exc_info
    return event


def _mask_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    for key in event:
        if event[key] and _SECRET.search(key):
            event[key] = MASK
    return event


def _in_order(_logger: object, _method: str, event: EventDict) -> EventDict:
    head = {key: event[key] for key in _HEAD if key in event}
    return {**head, **{key: value for key, value in event.items() if key not in head}}


def _to_json(value: object, **_options: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
