"""What `nodeeni status` and `nodeeni doctor` find: one line, with the way out where something is wrong."""

from enum import StrEnum

import msgspec


class Mark(StrEnum):
    """`NOTE` is for people to know; only `WRONG` makes `nodeeni doctor` fail."""

    RIGHT = "✓"
    NOTE = "!"
    WRONG = "✗"


class Finding(msgspec.Struct, frozen=True):
    subject: str
    mark: Mark
    message: str


def right(subject: str, message: str) -> Finding:
    return Finding(subject, Mark.RIGHT, message)


def note(subject: str, message: str) -> Finding:
    return Finding(subject, Mark.NOTE, message)


def wrong(subject: str, message: str) -> Finding:
    return Finding(subject, Mark.WRONG, message)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def some(names: list[str], most: int = 5) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
