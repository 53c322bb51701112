"""docs/reliability.md: what the long form found, as tables."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

_HEAD = """\
<!-- Written by `make chaos` from its own run. -->
# Reliability

Nothing leaks, nothing doubles, whatever breaks: this is the last run of the suite that earns the promise.
The controllers in it are real processes, killed with SIGKILL; EC2 and the API server are the sandbox's, with
reads that lag behind writes. What has to be right in the end is worked out anew from what users wrote
(`tests/faults/right.py`): exactly the wanted interfaces, ENINodes and status. At every moment
(`tests/faults/guard.py`) no node may have two interfaces for one NodeENI, no NodeENI may go before its last
interface, and no interface of others may change.

`make chaos MINUTES=30` runs it again, `make chaos SEED=17` replays one seed of the chaos; a short form of
each part is in `make test`.
"""

_ABOUT_KILLS = """\
The controller is killed at one request, and a new one takes over. *Before the work*: EC2 or the API server
has not acted yet; *after the work, not answered*: it has, and nobody was told. A run without a kill shows
first which requests a journey makes, and each is a row; `#2` is the second of its kind. *Right*: in the end
all was as it has to be. *Right; not met again*: in this run that request did not come up (renewals of the
lease, repeated looks and second events depend on timing), so nobody was killed, and the journey ended right
without it.
"""

_ABOUT_TROUBLES = """\
The request of the row meets the fault of the column, once unless the column says otherwise, and the
controller lives on. `-`: no such case (an interface can hang while it is attached or detached alone).
"""

_ABOUT_MUTANTS = """\
Each scenario is judged with the controller as it is, mutant `-`, which has to be right, and with mutants, in
each of which one safeguard is taken out and which have to be found wrong: *found* says by what.
"""


class KillRow(msgspec.Struct, frozen=True):
    journey: str
    point: str
    phase: str
    text: str
    ok: bool


class TroubleRow(msgspec.Struct, frozen=True):
    fault: str
    where: str
    text: str
    ok: bool


class MutantRow(msgspec.Struct, frozen=True):
    """`mutant` is empty for the controller as it is."""

    scenario: str
    mutant: str
    text: str
    ok: bool


class ChaosRow(msgspec.Struct, frozen=True):
    """`wrong` is empty where all was right."""

    seed: int
    steps: int
    killed: int
    made: int
    wrong: str


class Findings(msgspec.Struct):
    """What each part found in its last run. `runs`: by part, its day and commit."""

    runs: dict[str, str] = {}
    kills: list[KillRow] = []
    troubles: list[TroubleRow] = []
    mutants: list[MutantRow] = []
    chaos: list[ChaosRow] = []

    @property
    def ok(self) -> bool:
        rows: list[KillRow | TroubleRow | MutantRow] = [*self.kills, *self.troubles, *self.mutants]
        return not _bad(rows) and not any(row.wrong for row in self.chaos)


def written(findings: Findings) -> str:
    """The whole document."""
    parts = [_HEAD, _summary(findings), _mutants(findings.mutants), _chaos(findings.chaos)]
    return "\n".join([*parts, _kills(findings.kills), _troubles(findings.troubles)])


_SOAK = "## Soak"
_ABOUT_SOAK = """\
`make soak MINUTES=60 SEED=1`, on a real kube-apiserver: 60 nodes, 4 NodeENIs that overlap, two controllers
with a lease, and the steps of the chaos together with what lasts (EC2 that answers 503 for 40 s, throttling
for 15 s, an API server that is away for up to 15 s, NodeENIs made again within a second). The guard compares
EC2 with every status all the time; in the end all has to be right within 60 s of the next resync. Memory and
descriptors are those of the larger controller.
"""


def with_soaks(page: str, before: str) -> str:
    """The page with the runs of `make soak` that the one before it had."""
    runs = _soaks(before)
    if not runs:
        return page
    section = "\n".join([f"{_SOAK}\n\n{_ABOUT_SOAK}", *runs.values()])
    place = page.index("## Killed at every")
    return f"{page[:place]}{section}\n{page[place:]}"


def with_soak(page: str, run: str) -> str:
    """The page with this run, in place of an earlier one of the same title."""
    runs = _soaks(page)
    runs[run.splitlines()[0]] = run
    section = "\n".join([f"{_SOAK}\n\n{_ABOUT_SOAK}", *runs.values()])
    start = page.find(_SOAK)
    place = page.index("## Killed at every")
    return f"{page[: start if start >= 0 else place]}{section}\n{page[place:]}"


def _soaks(page: str) -> dict[str, str]:
    """The runs in the page's section, by title."""
    start = page.find(_SOAK)
    section = page[start : page.index("## Killed at every")] if start >= 0 else ""
    runs = [f"### {part.strip()}\n" for part in section.split("### ")[1:]]
    return {run.splitlines()[0]: run for run in runs}


def _summary(findings: Findings) -> str:
    wrong = [row.wrong for row in findings.chaos if row.wrong]
    controllers = [row for row in findings.mutants if not row.mutant]
    mutants = [row for row in findings.mutants if row.mutant]
    rows = [
        ("kill points, before and after the work", len(findings.kills), _bad(findings.kills)),
        ("faults at a request", len(findings.troubles), _bad(findings.troubles)),
        ("seeds of chaos", len(findings.chaos), len(wrong)),
        ("scenarios", len(controllers), _bad(controllers)),
        ("mutants, to be caught", len(mutants), _bad(mutants)),
    ]
    table = _table("## In all", ("part", "runs", "not as it has to be"), rows)
    return f"{table}\n{_runs(findings.runs)}\n"


def _runs(runs: Mapping[str, str]) -> str:
    """One line where all parts are of one run."""
    if len(set(runs.values())) == 1:
        return f"Run of {next(iter(runs.values()))}."
    return "Runs: " + "; ".join(f"{part}: {run}" for part, run in runs.items()) + "."


def _bad(rows: Iterable[KillRow | TroubleRow | MutantRow]) -> int:
    return sum(not row.ok for row in rows)


def _kills(rows: list[KillRow]) -> str:
    """One line for each request; both phases in columns."""
    texts: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        texts.setdefault((row.journey, row.point), {})[row.phase] = row.text
    lines = [(j, p, t.get("before", ""), t.get("after", "")) for (j, p), t in texts.items()]
    head = ("journey", "killed at", "before the work", "after the work, not answered")
    return _table(f"## Killed at every call and every write\n\n{_ABOUT_KILLS}", head, lines)


def _troubles(rows: list[TroubleRow]) -> str:
    """Requests down, faults across."""
    blocks = []
    for server in ("EC2", "Kubernetes"):
        here = [row for row in rows if row.where.startswith(server)]
        faults = list(dict.fromkeys(row.fault for row in here))
        found = {(row.where, row.fault): row.text for row in here}
        lines = [
            (where, *(found.get((where, fault), "") for fault in faults))
            for where in dict.fromkeys(row.where for row in here)
        ]
        blocks.append(_table(f"### To {server}", ("request", *faults), lines))
    return "\n".join([f"## Each fault at each request\n\n{_ABOUT_TROUBLES}", *blocks])


def _mutants(rows: list[MutantRow]) -> str:
    lines = [(r.scenario.replace("_", " "), r.mutant.replace("_", " ") or "-", r.text) for r in rows]
    return _table(f"## The suite can fail\n\n{_ABOUT_MUTANTS}", ("scenario", "mutant", "found"), lines)


def _chaos(rows: list[ChaosRow]) -> str:
    counts = Counter({"steps": 0, "kills": 0, "interfaces": 0})
    for row in rows:
        counts.update({"steps": row.steps, "kills": row.killed, "interfaces": row.made})
    seeds = sorted(row.seed for row in rows)
    text = (
        f"Seeds {seeds[0]} to {seeds[-1]}, {len(seeds)} of them: {counts['steps']} steps on 30 nodes and 5 "
        f"NodeENIs, {counts['kills']} controllers killed or stopped, {counts['interfaces']} interfaces made."
        if seeds
        else "Not run."
    )
    wrong = [(row.seed, row.wrong) for row in sorted(rows, key=lambda r: r.seed) if row.wrong]
    return f"## Chaos\n\n{text}\n\n" + (
        _table("", ("seed", "wrong"), wrong) if wrong else "All were right.\n"
    )


def _table(title: str, head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    body = "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)
    return f"{title.rstrip()}\n\n{body}\n"


def _cell(value: object) -> str:
    text = str(value).replace("|", "\\|").replace("\n", " ")
    return (text if len(text) <= 200 else f"{text[:200]} ...") or "-"
