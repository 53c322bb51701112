"""What those who come next are told is there: files, hooks, templates."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from tests.docs.pages import PAGES, ROOT, inline, name

FOLDERS = ("src", "tests", "docs", "hack", "deploy", "bench", "charts", "examples", ".github", ".ci")
ROOMS = ("api", "kube", "ec2", "plan", "controller", "agent", "sandbox", "cli")
WRITTEN_BY_MAKE = {"benchmarks.md", "reliability.md"}  # pages of earlier commits


@pytest.mark.parametrize("page", [p for p in PAGES if p.name not in WRITTEN_BY_MAKE], ids=name)
def test_every_file_named_is_there(page: Path) -> None:
    named = [code.rstrip("/") for code in inline(page) if re.fullmatch(r"[\w.-]+(/[\w.*-]+)+/?", code)]
    missing = {
        path
        for path in named
        if (path.startswith(tuple(f"{folder}/" for folder in FOLDERS)) and not list(ROOT.glob(path)))
        or (
            path.startswith(tuple(f"{room}/" for room in ROOMS))
            and not (ROOT / "src" / "nodeeni" / path).exists()
        )
    }
    assert missing == set()


def test_every_hook_calls_a_tool_of_the_project() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    makefile = (ROOT / "Makefile").read_text()
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    for hook in hooks:
        tool, *arguments = shlex.split(hook["entry"])
        assert tool.startswith(".venv/bin/"), hook
        word = next((a for a in arguments if a.startswith("hack/")), Path(tool).name)
        assert word in makefile.partition("\nverify:")[2].partition("\n\n")[0], hook


def test_issue_forms_and_owners_can_be_read() -> None:
    forms = [yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")]
    assert len([form for form in forms if form.get("body")]) == len(forms) - 1  # and the config
    for line in (ROOT / ".github" / "CODEOWNERS").read_text().splitlines():
        path, *owners = line.split() if not line.startswith("#") else ("*", "@")
        assert owners
        assert path == "*" or (ROOT / path.strip("/")).exists(), path
