"""What the daemon says of itself: one event a line, with keys; the libraries' own lines go through the same chain."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

    from komodod.redaction import Redactor

QUIET: Final = ("aiohttp", "apscheduler", "asyncio", "uvicorn")
"""Libraries that tell too much of what went well; they are shown from `warning` on."""

PRIORITIES: Final = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""syslog's number for each level."""

_FIRST: Final = ("timestamp", "level", "event", "op_id")


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that configuring again takes away nobody else's."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Drop what cannot be written: there is no other place to tell of it. Faults of the chain are shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def configure(
    stream: TextIO,
    redactor: Redactor,
    *,
    level: str = "info",
    style: str = "auto",
    environ: Mapping[str, str] = os.environ,
) -> FilteringBoundLogger:
    """Make structlog and the standard library's logging write to `stream`, and return the daemon's logger.

    `style` is `console`, `json`, or `auto`: console on a terminal. Each line starts with syslog's `<N>` where journald
    reads the stream. It may be called again; loggers that exist follow.
    """
    rendering = ("console" if stream.isatty() else "json") if style == "auto" else style
    handler = _Handler(stream)
    handler.setFormatter(_formatter(stream, redactor, rendering, environ))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_opening(), ProcessorFormatter.wrap_for_formatter],
        # The level is the root logger's to decide, so that a reload changes it for loggers that exist.
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    logger: FilteringBoundLogger = structlog.get_logger("komodod")
    return logger


def read_by_journald(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether journald is at the other end of the stream: it says so with the device and inode of what it opened."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _opening() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _formatter(stream: TextIO, redactor: Redactor, rendering: str, environ: Mapping[str, str]) -> ProcessorFormatter:
    renderer = _console(stream, environ) if rendering == "console" else _json(stream)
    return ProcessorFormatter(
        foreign_pre_chain=[*_opening(), structlog.stdlib.add_logger_name],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redaction(redactor),
            _prefixed(renderer) if read_by_journald(stream, environ) else renderer,
        ],
    )


def _console(stream: TextIO, environ: Mapping[str, str]) -> Processor:
    colors = stream.isatty() and not environ.get("NO_COLOR")
    # The default formatter shows the local variables of every frame, secrets too.
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _json(stream: TextIO) -> Processor:
    readable = (stream.encoding or "").lower().replace("-", "") == "utf8"
    render = structlog.processors.JSONRenderer(ensure_ascii=not readable)

    def ordered(logger: WrappedLogger, method: str, event: EventDict) -> str | bytes:
        return render(logger, method, {key: event.pop(key, None) for key in _FIRST} | dict(event))

    return ordered


def _redaction(redactor: Redactor) -> Processor:
    def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        masked: EventDict = redactor.value(_plain(event))
        return masked

    return redact


def _plain(value: Any) -> Any:
    """Return the value in JSON's terms, so that nothing is left that a renderer would spell by itself."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    try:
        return str(value) if isinstance(value, BaseException | os.PathLike) else repr(value)
    except Exception:  # noqa: BLE001  somebody else's __repr__ must not cost us the line
        return f"<a {type(value).__name__} that cannot be shown>"


def _prefixed(renderer: Processor) -> Processor:
    def prefix(logger: WrappedLogger, method: str, event: EventDict) -> str:
        priority = PRIORITIES.get(str(event.get("level")), PRIORITIES["info"])
        lines = str(renderer(logger, method, event)).splitlines()
        return "\n".join(f"<{priority}>{line}" for line in lines)

    return prefix
