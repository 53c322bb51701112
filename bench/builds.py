"""The build that this one is measured beside: its `src`, out of git, kept in a cache outside the tree.

Both builds run with the same interpreter and the same libraries, against the same sandbox, which is this
tree's: what differs is the controller alone.
"""

import io
import os
import subprocess
import tarfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from bench.limits import median
from bench.result import Compared

BEFORE = "bdbda0d"  # the last commit before the scenarios that compare
ROOT = Path(__file__).parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nodeeni-tools" / "builds"

Figures = Mapping[str, float]


def source(commit: str = BEFORE, repository: Path = ROOT, cache: Path = CACHE) -> Path:
    """The folder that holds the package as it was at `commit`. RuntimeError where git does not have it."""
    kept = cache / commit
    if not kept.is_dir():
        packed = subprocess.run(
            ["git", "-C", str(repository), "archive", commit, "src"], capture_output=True, check=False
        )
        if packed.returncode:
            said = packed.stderr.decode().strip().splitlines()
            raise RuntimeError(
                f"the build before, commit {commit}, is not in this clone ({said[-1] if said else 'git'}): "
                "git fetch --unshallow, or measure another scenario"
            )
        unpacked = kept.with_name(f"{commit}.{os.getpid()}")
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(unpacked, filter="data")
        unpacked.rename(kept)
    return kept / "src"


async def side_by_side(
    measure: Callable[[Path | None], Awaitable[Figures]], pairs: int, other: Path | None = None
) -> list[Compared]:
    """`measure` of the build before and of this one (None), by turns, who is first too: a machine's other
    work meets both. Of each figure the medians, and the ratio of each pair.
    """
    old, before, now = other or source(), list[Figures](), list[Figures]()
    for pair in range(pairs):
        turns = [(old, before), (None, now)]
        for build, found in turns if pair % 2 == 0 else reversed(turns):
            found.append(await measure(build))
    return compared(before, now)


def compared(before: Sequence[Figures], now: Sequence[Figures]) -> list[Compared]:
    """By pairs; a figure that was 0 before has no ratio."""
    return [
        Compared(
            what,
            median([each[what] for each in before]),
            median([each[what] for each in now]),
            [round(b[what] / a[what], 3) for a, b in zip(before, now, strict=True) if a[what]],
        )
        for what in now[0]
    ]
