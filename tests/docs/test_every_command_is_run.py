"""Every shell block of the docs is run by a test, or it is said here why it cannot be run here."""

import ast
import re
from pathlib import Path

import pytest
from tests.docs.pages import PAGES, ROOT, Block, blocks, inline, name

TESTS = ROOT / "tests"
IN_THE_SANDBOX = "tests/docs/test_in_the_sandbox.py"
UNINSTALL, UPGRADE = "tests/deploy/test_uninstall.py", "tests/deploy/test_on_a_real_api_server.py"

# Page and section → the test file that takes its lines from there.
RUN = {
    ("docs/sandbox.md", "The controller"): IN_THE_SANDBOX,
    ("docs/sandbox.md", "A NodeENI comes, a label goes"): IN_THE_SANDBOX,
    ("docs/sandbox.md", "When EC2 fails"): IN_THE_SANDBOX,
    ("docs/gitops.md", "Wait with kubectl"): IN_THE_SANDBOX,
    ("docs/how-to.md", "Changing a live NodeENI"): IN_THE_SANDBOX,
    ("docs/how-to.md", "Pods wait for their network"): IN_THE_SANDBOX,
    ("docs/troubleshooting.md", "The controller does not start, or does nothing"): IN_THE_SANDBOX,
    ("docs/troubleshooting.md", "A link stays down"): IN_THE_SANDBOX,
    ("docs/upgrade.md", "Look first"): IN_THE_SANDBOX,
    ("docs/pods.md", "From nothing to two pods that ping"): IN_THE_SANDBOX,
    ("docs/upgrade.md", "Check"): IN_THE_SANDBOX,
    ("docs/uninstall.md", "When the cluster is already gone"): IN_THE_SANDBOX,
    ("docs/concepts.md", "What stays for a while"): IN_THE_SANDBOX,
    ("docs/disaster-recovery.md", "What the brake does"): IN_THE_SANDBOX,
    ("docs/install.md", "4. Check, label, apply"): IN_THE_SANDBOX,
    ("docs/install.md", "3. One command"): UNINSTALL,
    ("docs/uninstall.md", "First the NodeENIs"): UNINSTALL,
    ("docs/uninstall.md", "Then: installed by Helm"): UNINSTALL,
    ("docs/uninstall.md", "Then: installed by deploy/install.yaml"): UNINSTALL,
    ("docs/uninstall.md", "Then: installed by v1.1.0's three files"): UNINSTALL,
    ("docs/uninstall.md", "The other way round"): UNINSTALL,
    ("docs/upgrade.md", "Go"): UPGRADE,
}

# Beginnings of commands that no test of ours can run, and why.
NOT_HERE = {
    "make ": "the project's own targets: this suite is one of them, and .ci/run runs the others",
    ". .venv/bin/activate": "the tests run in that environment",
    "nodeeni sandbox": "runs until Ctrl-C: test_in_the_sandbox.py types into what it prints",
    "kubectl -n eni-controller-system exec ": "there is no kubelet, so there are no pods",
    "kubectl -n eni-controller-system logs ": "there is no kubelet, so there are no pods",
    "kubectl -n eni-controller-system rollout status ": "there is no kubelet, so there are no pods",
    "kubectl -n eni-controller-system scale ": "there is no controller of Deployments, so no pod would go",
    "aws cloudformation ": "AWS itself; tests/deploy/test_iam.py reads the template",
    "docker ": "there is no container engine; make image-check does what the Dockerfile does",
    "NODEENI_AWS_TESTS=1 ": "AWS itself",
    "helm install nodeeni charts/nodeeni ": "run as docs/install.md has it; its values are rendered in "
    "test_every_helm_command_and_values_file_shown_renders",
    "pipx install ": "make package-check does, out of the wheel and the sdist",
    "uv tool install ": "make package-check does, out of the wheel and the sdist",
    "pre-commit ": "a program of the developer's; tests/docs/test_contributing.py looks at what it would run",
}


def all_blocks() -> list[Block]:
    return [block for page in PAGES for block in blocks(page, "bash")]


def test_every_fenced_block_says_what_it_is() -> None:
    """So that no command hides in one that is not looked at."""
    known = {"bash", "text", "yaml", "json", "mermaid", "python"}
    assert {
        (b.page, b.title, b.language) for p in PAGES for b in blocks(p) if b.language not in known
    } == set()


def test_every_command_is_run_or_it_is_said_why_not() -> None:
    left = {
        (block.page, block.title, line)
        for block in all_blocks()
        if (block.page, block.title) not in RUN
        for line in block.lines
        if not line.startswith(tuple(NOT_HERE))
    }
    assert left == set()


def test_what_is_listed_is_there() -> None:
    shown = {(block.page, block.title) for block in all_blocks()}
    assert RUN.keys() - shown == set()
    lines = [line for block in all_blocks() for line in block.lines]
    unused = {start for start in NOT_HERE if not any(line.startswith(start) for line in lines)}
    assert unused == set()


@pytest.mark.parametrize("file", sorted(set(RUN.values())))
def test_the_test_takes_its_lines_from_the_page(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {
        (page, title) for (page, title), by in RUN.items() if by == file and {page, title} - said
    } == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_target_named_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([\w./-]+):", makefile, re.MULTILINE))
    shown = [line for block in blocks(page, "bash") for line in block.lines] + inline(page)
    named = {
        word
        for line in shown
        if line.startswith("make ")
        for word in line.split()[1:]
        if "=" not in word and not word.startswith("-")
    }
    assert named - targets == set()
