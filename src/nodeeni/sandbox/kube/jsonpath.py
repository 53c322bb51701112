"""The part of kubectl's JSONPath that printer columns use: fields, indexes, wildcards, equality filters."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Path = Callable[[Any], list[Any]]

_TOKEN = re.compile(
    r"""\.(?P<field>(?:\\.|[^.\[\]])+)
      | \[(?P<index>-?\d+)\]
      | (?P<all>\[\*\])
      | \[['"](?P<quoted>[^'"]+)['"]\]
      | \[\?\(\s*@\.(?P<key>[\w./-]+)\s*(?P<op>==|!=)\s*(?P<value>"[^"]*"|'[^']*'|[\w.-]+)\s*\)\]""",
    re.VERBOSE,
)


@lru_cache(maxsize=256)
def parse(text: str) -> Path:
    """A function from an object to the values at the path. Raises ValueError on other JSONPath."""
    text = text.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    if not text.startswith((".", "[")):
        text = "." + text
    steps: list[Path] = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise ValueError(f"JSONPath not understood at {text[position:]!r}")
        steps.append(_step(found))
        position = found.end()

    def evaluate(value: Any) -> list[Any]:
        values = [value]
        for step in steps:
            values = [below for held in values for below in step(held)]
        return values

    return evaluate


def _step(found: re.Match[str]) -> Path:
    if found["index"] is not None:
        index = int(found["index"])
        return lambda v: v[index : index + 1 or None] if isinstance(v, list) else []
    if found["all"] or found["field"] == "*":
        return lambda v: list(v.values()) if isinstance(v, dict) else (v if isinstance(v, list) else [])
    if found["key"] is not None:
        return _filter(found["key"].split("."), found["op"] == "==", found["value"].strip("\"'"))
    name = found["quoted"] or re.sub(r"\\(.)", r"\1", found["field"])
    return lambda v: [v[name]] if isinstance(v, dict) and name in v else []


def _filter(keys: list[str], wanted: bool, value: str) -> Path:
    def held(item: Any) -> str:
        for key in keys:
            item = item.get(key) if isinstance(item, dict) else None
        return ("true" if item else "false") if isinstance(item, bool) else str(item)

    return lambda v: [i for i in v if (held(i) == value) is wanted] if isinstance(v, list) else []
