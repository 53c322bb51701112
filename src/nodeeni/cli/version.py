"""`nodeeni version`: what a report of a fault begins with."""

import platform
from collections.abc import Sequence
from importlib import metadata

from nodeeni.flags import Flags


def main(arguments: Sequence[str]) -> int:
    Flags("version", "Tell the version, and that of Python.").parse_args(list(arguments))
    print(f"nodeeni {metadata.version('nodeeni')} (Python {platform.python_version()}, {platform.machine()})")
    return 0
