"""Flags of the commands for people: a mistake is one line and exit status 2, as everywhere."""

import argparse
from typing import NoReturn

from nodeeni.settings import UsageError


class Flags(argparse.ArgumentParser):
    """An ArgumentParser without abbreviations; what cannot be used raises UsageError."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"nodeeni {command}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: write 0 (any) to 65535")
    return int(text)


def count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)
