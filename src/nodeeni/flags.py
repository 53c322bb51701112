"""One grammar of flags and variables for all of our programs; what they take is declared beside each of them.

Standard library only: the ENI manager, which is on every node, reads its flags by it too.
"""

import argparse
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
# As Go's strconv.ParseBool, in which v1.x was written; yes and no besides, as people write them.
_TRUTH = {
    **dict.fromkeys(("true", "t", "1", "yes"), True),
    **dict.fromkeys(("false", "f", "0", "no"), False),
}


class UsageError(Exception):
    """A flag or variable that cannot be used: one line that says what to change. Exit status 2."""


# -- values: text → value, or ValueError with the way out --------------------------------------------


def parse_duration(text: str) -> float:
    """`1h30m`, `5m`, `30s`, `500ms` → seconds."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration: write it as 30s, 5m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def positive_duration(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise ValueError(f"{text!r} is not above zero: write it as 30s, 5m or 1h30m")
    return seconds


def duration_or_none(text: str) -> float:
    """A duration; `0`, as Go's durations have it too, for not at all."""
    return 0.0 if text == "0" else parse_duration(text)


def positive_int(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError(f"{text!r} is not a port: write 0 (any) to 65535")
    return int(text)


def address(text: str) -> tuple[str, int]:
    """`:8080`, `127.0.0.1:8080`, `[::1]:8080` → host, "" for all of them, and port."""
    host, colon, number = text.rpartition(":")
    if not colon or not number.isdecimal() or int(number) > 65535:
        raise ValueError(f"{text!r} is not an address: write it as :8080 or 127.0.0.1:8080")
    return host.strip("[]"), int(number)


def truth(text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise ValueError(f"{text!r} is neither true nor false")
    return _TRUTH[text.lower()]


def log_format(text: str) -> str:
    if text not in ("json", "text"):
        raise ValueError(f"{text!r} is neither json nor text")
    return text


def typed(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """One of these for argparse's `type=`, which keeps the message of its own error alone."""

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parsed


# -- declarations, and what reads them ---------------------------------------------------------------


class Setting(NamedTuple):
    """One setting: a flag and the variables that stand in for it, the first that is set counts.

    `default` is written as a user would write it, None: left unset. `help` None: not shown, for tests.
    """

    flag: str
    parse: Callable[[str], Any]
    default: str | None
    help: str | None
    environment: tuple[str, ...] = ()

    @property
    def field(self) -> str:
        return "verbosity" if self.flag == "--v" else self.flag.lstrip("-").replace("-", "_")


LOG_FORMAT = Setting(
    "--log-format", log_format, None,
    "json: an object a line; text: for people. Default: text where stderr is a terminal, else json.",
)  # fmt: skip


class Parsed(Exception):
    """A command came to where it reads its flags, and was to stop there: `by` has them."""

    def __init__(self, by: "Flags") -> None:
        self.by = by


class Flags(argparse.ArgumentParser):
    """An ArgumentParser without abbreviations. What cannot be used raises UsageError, with the flag that was
    meant where one is like it."""

    _stops = False

    @classmethod
    @contextmanager
    def stopped_at_parsing(cls) -> Iterator[None]:
        """In the block a command that comes to its flags raises Parsed: for who wants to know them."""
        cls._stops = True
        try:
            yield
        finally:
            cls._stops = False

    def shown(self) -> list[argparse.Action]:
        return [action for action in self._actions if action.help != argparse.SUPPRESS]

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"nodeeni {command}", description=description, allow_abbrev=False)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> argparse.Namespace:
        if self._stops:
            raise Parsed(self)
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            flag = unknown[0].partition("=")[0]
            shown = (option for action in self.shown() for option in action.option_strings)
            meant = meaning(flag, shown) if flag.startswith("-") else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
        return found

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def read_settings(
    flags: Flags, settings: Sequence[Setting], arguments: Sequence[str], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Values by field: flags before variables before defaults, None what is unset. Raises UsageError, which
    names the flag or variable and the way out."""
    for setting in settings:
        flags.add_argument(setting.flag, **_argument(setting))
    given = vars(flags.parse_args([_two_dashes(argument) for argument in arguments]))
    return {setting.field: _value(setting, given[setting.field], environment) for setting in settings}


def _two_dashes(argument: str) -> str:
    """v1.x is a Go program, whose flags are written with one dash as well. `-h` stays what it is."""
    return f"-{argument}" if re.match(r"-(v\b|[a-z]{2})", argument) else argument


def _argument(setting: Setting) -> dict[str, Any]:
    notes = [f"default {setting.default}"] if setting.default else []
    notes += [f"variable {', '.join(setting.environment)}"] if setting.environment else []
    shown = f"{setting.help} ({'; '.join(notes)})" if notes else setting.help
    argument: dict[str, Any] = {"dest": setting.field, "metavar": "VALUE"}
    argument["help"] = argparse.SUPPRESS if setting.help is None else shown
    if setting.parse is truth:  # `--dry-run` and, as Go's flag package has it, `--dry-run=false`
        argument |= {"nargs": "?", "const": "true"}
    return argument


def _value(setting: Setting, given: str | None, environment: Mapping[str, str]) -> Any:
    sources = [(setting.flag, given)] if given is not None else []
    sources += [(name, environment[name]) for name in setting.environment if environment.get(name)]
    if setting.default is not None:
        sources.append((setting.flag, setting.default))
    for name, text in sources[:1]:
        if not text and setting.default is None:  # as a Go program takes an empty text: not given
            return None
        try:
            return setting.parse(text)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from error
    return None


# -- what was meant ----------------------------------------------------------------------------------


def meaning(word: str, known: Iterable[str]) -> str:
    """`, did you mean --resync-period?` for `--resync` and for `--resynch-period`; "" for none."""
    import difflib  # for those alone who made a mistake

    def likeness(other: str) -> float:
        given, one = word.lstrip("-"), other.lstrip("-")
        whole = difflib.SequenceMatcher(None, given, one).ratio()
        begun = difflib.SequenceMatcher(None, given, one[: len(given) + 1]).ratio()
        return max(whole if whole >= 0.7 else 0.0, 0.9 * begun if begun >= 0.8 and len(given) > 2 else 0.0)

    best = max(known, key=likeness, default="")
    return f", did you mean {best}?" if best and likeness(best) else ""
