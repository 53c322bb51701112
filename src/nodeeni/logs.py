"""Logs: one JSON object a line on stderr, at a terminal a line of text; edges only (what changed), never a
line per look. What goes wrong and lasts is told by `Lasting`."""

import datetime
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Hashable
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


class Lasting:
    """What goes wrong and lasts, in the log: a line when it begins, one as it lasts, ever more seldom, and
    one when it ends, however often it is met and by however many. What begins again soon after its end is the
    same again, and told as such.

    A cause is any value. `clock` is in seconds. Of causes that are over, the newest `KEPT` are remembered.
    """

    FIRST, MOST = 60.0, 960.0  # seconds to the first line while it lasts; between two of them in the end
    SOON = 60.0  # seconds
    KEPT = 500

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._open: dict[Hashable, _Trouble] = {}
        self._over: dict[Hashable, _Trouble] = {}

    def met(
        self,
        cause: Hashable,
        text: str,
        *,
        still: str = "",
        level: int = logging.WARNING,
        ends: bool = True,
        **extra: Any,
    ) -> None:
        """It goes wrong. `text` says what, `still` what there is to say as it lasts; without `ends` its end
        is told only if it lasted.
        """
        now, trouble = self._clock(), self._open.get(cause)
        if trouble is None:
            trouble = self._over.pop(cause, None)
            if trouble is not None and now - trouble.ended > self.SOON:
                trouble = None
            if trouble is None:
                trouble = _Trouble(now, self.FIRST, ends)
                self._log.log(level, "%s", text, extra=extra)
            self._open[cause] = trouble
        trouble.times += 1
        if now >= trouble.line_at:
            trouble.pause = min(2 * trouble.pause, self.MOST)
            trouble.line_at, trouble.untold_end = now + trouble.pause, True
            lasts = f"for {_span(now - trouble.since)}, met {trouble.times} times"
            self._log.log(level, "still, %s: %s", lasts, still or text, extra=extra)

    def over(self, cause: Hashable, text: str, level: int = logging.INFO, **extra: Any) -> None:
        """It goes right again: `text` says what. Nothing, where it never went wrong."""
        trouble = self._open.pop(cause, None)
        if trouble is None:
            return
        trouble.ended = self._clock()
        if trouble.untold_end:
            trouble.untold_end = False
            span = _span(trouble.ended - trouble.since)
            self._log.log(level, "%s, after %s", text, span, extra=extra)
        self._over[cause] = trouble
        if len(self._over) > self.KEPT:
            del self._over[next(iter(self._over))]

    def forget(self, cause: Hashable) -> None:
        """Nobody asks any more whether it goes wrong."""
        self._open.pop(cause, None)

    def lasts(self, cause: Hashable) -> bool:
        return cause in self._open


class _Trouble:
    def __init__(self, since: float, pause: float, ends: bool) -> None:
        self.since = since
        self.line_at = since + pause  # of the next line while it lasts
        self.pause = pause
        self.ended = 0.0
        self.times = 0
        self.untold_end = ends  # its end is to be told


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
