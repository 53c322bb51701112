"""Where the docs list what the programs say, they list all of it and nothing else."""

import ast
import re
from pathlib import Path

import msgspec
import pytest
from tests.cli.looking import Site

from nodeeni.cli.findings import Finding, Mark
from nodeeni.cli.planned import NodePlan, Progress, Refused, Step
from nodeeni.cli.status.lines import Line, NodeState
from nodeeni.controller.reporter import paused_note
from nodeeni.plan import report
from nodeeni.plan.rows import NODE_GONE, TO_BE_REPLACED, State
from nodeeni.sandbox.ec2.actions import ACTIONS

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "nodeeni"
DECIDING = ("adopting", "desired", "draft", "places", "wanted")  # the files of plan/ that refuse
# Words of theirs that are no reasons: of the API, and an action's.
OTHER_WORDS = {"In", "NotIn", "Exists", "DoesNotExist", "NextFree", "Attach"}


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


def constants(path: Path, *functions: str) -> set[str]:
    """The words in CamelCase of a source file, or of these of its functions."""
    tree = ast.parse(path.read_text())
    found: list[ast.AST] = [tree]
    if functions:
        found = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name in functions]
    nodes = [node for part in found for node in ast.walk(part)]
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {word for word in texts if re.fullmatch(r"[A-Z][a-z]+([A-Z][a-z0-9]+)*|EC2Error", word)}


def test_the_reasons_of_conditions() -> None:
    listed = words("".join(cells(section("docs/concepts.md", "What the status says"), 3)))
    given = constants(SOURCES / "plan" / "report.py", "_conditions", "_degraded")
    assert listed == given | {report.LINK_NOT_AS_ASKED, paused_note("").reason}


def test_the_reasons_of_rows_that_stay() -> None:
    told = section("docs/concepts.md", "What the status says").partition("In `status.attachments`")[2]
    assert words(told) >= {TO_BE_REPLACED, NODE_GONE}


def test_the_reasons_of_failures() -> None:
    listed = words("".join(cells(section("docs/troubleshooting.md", "An ENI is not created"), 1)))
    files = [SOURCES / "plan" / f"{name}.py" for name in DECIDING]
    given = set[str]().union(*map(constants, files)) | constants(SOURCES / "controller" / "memory.py")
    assert given - OTHER_WORDS - listed == set()


def test_the_events() -> None:
    listed = words("".join(cells(section("docs/concepts.md", "Events"), 1)))
    files = [*(SOURCES / "controller").glob("*.py"), *(SOURCES / "plan").glob("*.py")]
    given = {word for path in files for word in re.findall(r'"(ENI[A-Z][a-z]+\w*)"', path.read_text())}
    assert listed == given - {"ENINode"}


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
    told = section("README.md", "Play by hand").partition("is not simulated.")[2].partition("\n\n")[0]
    assert words(told) == set(ACTIONS)
