"""The part of YAML that kubeconfigs are written in: block mappings and sequences, scalars, `{}` and `[]`.

Anchors, tags, multi-line scalars and filled flow collections are refused, with the line.
"""

import json
import re
from typing import Any

_QUOTED = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')"""
_KEY = re.compile(rf"""(?P<key>{_QUOTED}|[^\s"'#\[\]{{}}&*!|>%@`](?:(?!\s\#).)*?):(?:\s+|$)""")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False, "{}": {}, "[]": []}


class YAMLError(Exception):
    """Not YAML, or YAML beyond what is read here; the message names the line."""


class _Lines:
    """Lines that say something, as (number, indent, text)."""

    def __init__(self, text: str) -> None:
        self.left: list[tuple[int, int, str]] = []
        for number, line in enumerate(text.splitlines(), 1):
            content = line.strip(" ")
            if "\t" in line[: len(line) - len(line.lstrip())]:
                raise YAMLError(f"line {number}: indented with a tab")
            if content and not content.startswith("#") and content != "---":
                self.left.append((number, len(line) - len(line.lstrip(" ")), content))
        self.left.reverse()

    def next(self) -> tuple[int, int, str]:
        return self.left[-1] if self.left else (0, -1, "")


def parse_yaml(text: str) -> Any:
    """One document → dicts, lists, str, int, bool and None. YAMLError if it is beyond this reader."""
    lines = _Lines(text)
    value = _block(lines, 0)
    number, _indent, content = lines.next()
    if content:
        raise YAMLError(f"line {number}: {content!r} does not belong here")
    return value


def _block(lines: _Lines, least: int) -> Any:
    """The collection or scalar that starts at the next line, if that is indented by at least `least`."""
    number, indent, content = lines.next()
    if indent < least:
        return None
    if content == "-" or content.startswith("- "):
        return _sequence(lines, indent)
    if _KEY.match(content):
        return _mapping(lines, indent)
    lines.left.pop()
    return _scalar(content, number)


def _sequence(lines: _Lines, indent: int) -> list[Any]:
    items: list[Any] = []
    while True:
        number, at, content = lines.next()
        if at != indent or not (content == "-" or content.startswith("- ")):
            return items
        lines.left.pop()
        rest = content[1:].lstrip(" ")
        if rest:  # the item starts on the dash's line: read it as a line of its own, further in
            lines.left.append((number, indent + len(content) - len(rest), rest))
        items.append(_block(lines, indent + 1))


def _mapping(lines: _Lines, indent: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while True:
        number, at, content = lines.next()
        match = _KEY.match(content)
        if at != indent or match is None or content.startswith("- "):
            return found
        lines.left.pop()
        key, rest = str(_scalar(match["key"], number, bare=True)), content[match.end() :]
        if key in found:
            raise YAMLError(f"line {number}: {key} for the second time")
        if rest and not rest.startswith("#"):
            found[key] = _scalar(rest, number)
            continue
        # A sequence may stand at its key's own indent.
        _number, below, start = lines.next()
        dashed = start == "-" or start.startswith("- ")
        found[key] = _block(lines, indent if dashed and below == indent else indent + 1)


def _scalar(text: str, number: int, bare: bool = False) -> Any:
    text = text.strip()
    if text[:1] in ('"', "'"):
        return _quoted(text, number)
    text = re.split(r"\s#", text, maxsplit=1)[0].rstrip()
    if text in _WORDS and not bare:
        value = _WORDS[text]
        return value.copy() if isinstance(value, dict | list) else value
    if text[:1] in tuple("&*!|>%@`{}[]") or (": " in text and not bare):
        raise YAMLError(
            f"line {number}: {text!r} is YAML that is not read here; write it in block style or as JSON"
        )
    return int(text) if _NUMBER.fullmatch(text) and not bare else text


def _quoted(text: str, number: int) -> str:
    quote = text[0]
    body = re.match(_QUOTED, text)
    if body is None or not re.fullmatch(r"\s*(#.*)?", text[body.end() :]):
        raise YAMLError(f"line {number}: a quoted text that does not end on its line")
    if quote == "'":
        return body[0][1:-1].replace("''", "'")
    try:
        return str(json.loads(body[0]))
    except json.JSONDecodeError as error:
        raise YAMLError(f"line {number}: {error}") from error
