"""`-o`: for programs the same in JSON and in YAML, names as kubectl takes them; colours only where wanted."""

import pty
import subprocess
import sys
from os import environ, read

import pytest
import yaml
from tests.cli.looking import NAME, Site

from nodeeni.flags import UsageError


@pytest.mark.parametrize("command", [("status",), ("plan",), ("doctor",), ("explain", "n1")], ids=" ".join)
async def test_yaml_says_what_json_says(site: Site, command: tuple[str, ...]) -> None:
    await site.node("n1")
    await site.node("n2", zone="b")
    site.apply()
    in_json = (await site.run(*command, "-o", "json")).json
    assert in_json
    assert yaml.safe_load((await site.run(*command, "-o", "yaml")).out) == in_json


async def test_names_are_as_kubectl_takes_them(site: Site) -> None:
    await site.node("n1")
    await site.node("n2", zone="b")
    await site.world.add_node("n3", labels={})
    site.apply()
    site.apply("other", nodeSelector={"a": "b"})
    assert (await site.run("status", "-o", "name")).lines == [
        f"nodeeni.networking.k8s.aws/{name}" for name in (NAME, "other")
    ]
    assert (await site.run("plan", "-o", "name")).lines == ["node/n1", "node/n2"]


async def test_what_is_watched_is_for_people(site: Site) -> None:
    with pytest.raises(UsageError, match="--watch is for people: without -o name"):
        await site.run("status", "--watch", "-o", "name")


@pytest.mark.parametrize("wanted", [True, False], ids=["colours", "NO_COLOR"])
def test_a_terminal_has_colours_unless_they_are_not_wanted(wanted: bool) -> None:
    """Of doctor, which without a cluster says so in red."""
    seen = at_a_terminal({} if wanted else {"NO_COLOR": "1"})
    assert "kubeconfig" in seen
    assert ("\x1b[1;31m" in seen) == wanted


def at_a_terminal(more: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in environ.items() if k != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "nodeeni.cli.main", "doctor"],
        env={**environment, "TERM": "xterm-256color", "KUBECONFIG": "/nowhere/none", **more},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        close_fds=True,
    )
    process.wait(60)
    return read(ours, 65536).decode()
