"""Logs: one JSON object a line on stderr, at a terminal a line of text; edges only (what changed), never a
line per look."""

import datetime
import json
import logging
import os
import sys
from typing import Any, TextIO

_RED, _YELLOW = 31, 33  # of the terminal
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JSONFormatter(logging.Formatter):
    """`{"ts": RFC 3339, "level": ..., "logger": ..., "msg": ..., <extra fields>}`."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "ts": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": _logger(record),
            "msg": record.getMessage(),
        }
        line.update(_extra(record))
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """`08:55:26.123 warning  controller.app  message  key=value`, in local time."""

    def __init__(self, coloured: bool) -> None:
        super().__init__()
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created).time().isoformat("milliseconds")
        level = f"{record.levelname.lower():<7}"
        if self._coloured and record.levelno >= logging.WARNING:
            level = f"\x1b[{_RED if record.levelno >= logging.ERROR else _YELLOW}m{level}\x1b[0m"
        fields = "".join(f"  {key}={_shown(value)}" for key, value in _extra(record).items())
        line = f"{moment} {level}  {_logger(record)}  {_printable(record.getMessage())}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _printable(text: str) -> str:
    """Names and messages come from elsewhere: what would steer a terminal, or begin a line, is shown as JSON
    has it.
    """
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    if text and not any(c.isspace() or c in '="' for c in text):
        return _printable(text)
    return _printable(json.dumps(text, ensure_ascii=False))


def _logger(record: logging.LogRecord) -> str:
    return record.name.removeprefix("nodeeni.")


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def configure(verbosity: int, log_format: str | None = None, stream: TextIO | None = None) -> None:
    """Send the program's log to `stream` (stderr by default) as `json` or `text`; None: text for a terminal.

    Verbosity 5 and above is debug, as klog's.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    at_terminal = stream.isatty()
    as_text = at_terminal if log_format is None else log_format == "text"
    coloured = at_terminal and not os.environ.get("NO_COLOR")
    handler.setFormatter(TextFormatter(coloured) if as_text else JSONFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("nodeeni").setLevel(logging.DEBUG if verbosity >= 5 else logging.INFO)
