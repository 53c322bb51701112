"""What a check answers: one line, with the way out where something is wrong."""

from enum import StrEnum

import msgspec


class Mark(StrEnum):
    """`NOTE` is for people to know; only `WRONG` makes the command fail."""

    RIGHT = "✓"
    NOTE = "!"
    WRONG = "✗"


class Finding(msgspec.Struct, frozen=True):
    check: str
    mark: Mark
    message: str


def right(check: str, message: str) -> Finding:
    return Finding(check, Mark.RIGHT, message)


def note(check: str, message: str) -> Finding:
    return Finding(check, Mark.NOTE, message)


def wrong(check: str, message: str) -> Finding:
    return Finding(check, Mark.WRONG, message)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def some(names: list[str], most: int = 5) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
