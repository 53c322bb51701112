"""Where the docs list what the programs say, they list all of it and nothing else."""

import ast
import re
from enum import StrEnum
from pathlib import Path

import msgspec
import pytest
from tests.cli.looking import Site

from nodeeni.api.reasons import ConditionReason, EventReason, RowReason
from nodeeni.cli.findings import Finding, Mark
from nodeeni.cli.planned import NodePlan, Progress, Refused, Step
from nodeeni.cli.status.lines import Line, NodeState
from nodeeni.plan.rows import State
from nodeeni.sandbox.ec2.actions import ACTIONS

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "nodeeni"
REASONS: tuple[type[StrEnum], ...] = (ConditionReason, RowReason, EventReason)


def section(page: str, title: str) -> str:
    text = (ROOT / page).read_text()
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


def cells(text: str, column: int) -> list[str]:
    """One column of a page's tables, row by row."""
    rows = [line.split("|") for line in text.splitlines() if line.startswith("|")]
    return [row[column] for row in rows if len(row) > column + 1]


def words(text: str) -> set[str]:
    """What stands in `code`."""
    return set(re.findall(r"`([^`]+)`", text))


def test_the_reasons_of_conditions() -> None:
    listed = words("".join(cells(section("docs/concepts.md", "What the status says"), 3)))
    assert listed == set(ConditionReason)


def test_the_reasons_of_rows_that_stay() -> None:
    told = section("docs/concepts.md", "What the status says").partition("In `status.attachments`")[2]
    assert words(told) >= {reason for reason in RowReason if not reason.of_failure}


def test_the_reasons_of_failures() -> None:
    listed = words("".join(cells(section("docs/troubleshooting.md", "An ENI is not created"), 1)))
    assert {reason for reason in RowReason if reason.of_failure} - listed == set()


def test_the_events() -> None:
    listed = words("".join(cells(section("docs/concepts.md", "Events"), 1)))
    assert listed == set(EventReason)


def source() -> dict[Path, str]:
    """Our own, without the sandbox, which is not to know, and the page of reasons itself."""
    files = [path for path in SOURCES.rglob("*.py") if path.parts[-2:] != ("api", "reasons.py")]
    return {path: path.read_text() for path in files if SOURCES / "sandbox" not in path.parents}


def test_no_reason_is_written_out_beside_its_page() -> None:
    reasons = {str(reason) for kind in REASONS for reason in kind}
    for path, text in source().items():
        nodes = ast.walk(ast.parse(text))
        texts = {
            node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert texts & reasons == set(), path


def test_every_reason_of_the_page_is_given_by_somebody() -> None:
    whole = "".join(source().values())
    names = {f"{kind.__name__}.{reason.name}" for kind in REASONS for reason in kind}
    assert {name for name in names if not re.search(rf"\b{re.escape(name)}\b", whole)} == set()


@pytest.mark.parametrize("shape", [Line, NodePlan, Step, Progress, Refused, Finding])
def test_the_fields_of_json(shape: type[msgspec.Struct]) -> None:
    listed = words(section("docs/how-to.md", "In scripts"))
    called = {"subject", "result", "message"} if shape is Finding else set(shape.__struct_encode_fields__)
    assert called - listed == set()
    assert {mark.name.lower() for mark in Mark} - listed == set()


async def test_the_columns_and_states_of_status(site: Site) -> None:
    told = section("docs/troubleshooting.md", "What `nodeeni status` says")
    site.apply()
    entry = {"nodeID": "n1", "status": "attached", "lastUpdated": "2020-01-01T00:00:00Z"}
    site.report(observedGeneration=1, attachments=[entry])
    titles = {word for line in (await site.run("status")).lines if "NODEENI" in line for word in line.split()}
    assert titles - {"NODEENI", "NODE", "ENI"} - words(told) == set()
    assert {state.value for state in State} - words(told) == set()
    assert {f"node {state}" for state in NodeState if state} - words(told) == set()


def test_what_is_simulated_of_ec2() -> None:
    told = (
        section("docs/sandbox.md", "What it is, and is not")
        .partition("is not simulated.")[2]
        .partition("\n\n")[0]
    )
    assert words(told) == set(ACTIONS)
