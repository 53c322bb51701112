"""What a shell completes: commands, flags, values, and names in the cluster, where they are to be had."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.looking import NAME, Site
from tests.needs import program

from nodeeni.cli.commands import COMMANDS
from nodeeni.cli.completion import SCRIPTS

BIN = Path(sys.executable).parent


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}


def completed(line: str) -> list[str]:
    """What bash offers at the end of `line`, by the script that we print."""
    script = f"""
        source <(nodeeni completion bash)
        line={line!r}
        read -ra COMP_WORDS <<<"$line"
        [ "${{line: -1}}" != " " ] || COMP_WORDS+=("")
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        compopt() {{ echo "$@"; }}
        _nodeeni
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", script], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("nodeeni ", list(COMMANDS)),
        ("nodeeni st", ["status"]),
        ("nodeeni status --a", ["--all"]),
        ("nodeeni status -o ", ["table", "json", "yaml", "name"]),
        ("nodeeni status --output=j", ["--output=json"]),
        ("nodeeni completion ", list(SCRIPTS)),
        ("nodeeni plan -f ", ["-o", "default"]),  # bash's own: files
    ],
)
def test_commands_flags_and_values(line: str, offered: list[str]) -> None:
    assert completed(line) == offered


def test_flags_of_the_programs_and_none_that_are_for_tests_alone() -> None:
    assert "--resync-period" in completed("nodeeni controller --")
    assert "--keepalive" not in completed("nodeeni manager --")


def test_nothing_where_there_is_nothing_to_complete_or_no_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert completed("nodeeni nope ") == []
    assert completed("nodeeni status ") == []


async def test_names_in_the_cluster(site: Site) -> None:
    for name in ("n1", "n2"):
        await site.node(name)
    site.apply()
    for line, names in {
        "nodeeni status ": [NAME, "n1", "n2"],
        "nodeeni explain n": ["n1", "n2"],
        "nodeeni plan n1 ": ["n2"],
        "nodeeni plan --cluster-id n1 ": ["n1", "n2"],
        "nodeeni adopt eni-1 ": [NAME],
        "nodeeni nad ": [NAME],
    }.items():
        assert await asyncio.to_thread(completed, line) == names


async def test_kubectl_completes_its_plugin(site: Site) -> None:
    await site.node("n1")
    kubectl = await asyncio.create_subprocess_exec(
        *(program("kubectl"), "__complete", "nodeeni", "plan", ""),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await kubectl.communicate()
    assert out.decode().splitlines() == ["n1\tnode", ":4"]


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_shell_that_is_not_known_is_refused_with_those_that_are(shell: str) -> None:
    done = subprocess.run(
        [BIN / "nodeeni", "completion", f"{shell}x"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert f"invalid choice: '{shell}x'" in done.stderr
    assert shell in done.stderr
