"""The control plane's messages on standard error: text for people, JSON for collectors.

What belongs to a message besides its words goes into `extra={…}` and comes out as fields.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

# What every record has; everything else came in through `extra`.
_STANDARD = set(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}


def set_up_logging(level: str, style: Literal["auto", "text", "json"]) -> None:
    """Send everything from `level` on to standard error; again at each reload."""
    as_text = sys.stderr.isatty() if style == "auto" else style == "text"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Its start and stop lines repeat ours.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, fields, and a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        entry = {
            "time": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(entry, default=str).decode()


class TextFormatter(logging.Formatter):
    """`12:00:00 INFO message field=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        time = _time(record).astimezone().strftime("%H:%M:%S")
        text = f"{time} {record.levelname:<7} {record.getMessage()}{fields}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}
