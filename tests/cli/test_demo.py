"""The demo from start to end, when it is interrupted, and when something in it fails."""

import os
import re
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.cli.running import Started, children_of, nodeeni, started, until

from nodeeni.cli.demo.summary import physical_limit
from nodeeni.sandbox.ec2 import EC2Settings
from nodeeni.sandbox.hosts import probe

MUTATING = ("Create", "Attach", "Modify", "Detach", "Delete")


def test_everything_comes_up_and_everything_is_gone_again() -> None:
    done = nodeeni("demo", "--fast")

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == "everything came up, and everything is gone again"
    kernels = probe().possible
    assert _result(lines, "ENIs left") == "0"
    assert _result(lines, "ENINodes left") == "0"
    assert _result(lines, "links left") == ("0" if kernels else "not looked at: no kernels")
    assert _result(lines, "finalizer") == "gone"
    assert done.stdout.count(" attached at device index 2") == 3
    assert done.stdout.count(" link eth2 up, MTU 1500") == (3 if kernels else 0)
    # Three to attach, two to remove live, none for the node that died with its ENI.
    assert {action: number for action, number in _calls(lines).items() if action.startswith(MUTATING)} == {
        "CreateNetworkInterface": 3,
        "AttachNetworkInterface": 3,
        "ModifyNetworkInterfaceAttribute": 3,
        "DetachNetworkInterface": 2,
        "DeleteNetworkInterface": 2,
    }


def test_without_kernels_it_says_in_one_line_what_is_left_out(tmp_path: Path) -> None:
    with _demo(tmp_path, "--no-kernels") as demo:
        until(lambda: " created, " in demo.output)
        ours = children_of(demo.process.pid)

        assert demo.end(signal.SIGINT) == 130
        assert set(ours) == {"controller"}
        assert [line for line in demo.output.splitlines() if "left out" in line] == [
            "  left out    agents and the nodes' kernels: as asked"
        ]
        _assert_nothing_runs_or_stays(demo, ours, tmp_path)


def test_without_ip_it_says_at_the_start_and_at_the_end_what_is_left_out_and_what_brings_it(
    tmp_path: Path,
) -> None:
    log, path = tmp_path / "log", {"PATH": str(tmp_path)}
    with started("demo", "--fast", log=log, environment=path) as demo:
        assert demo.process.wait(timeout=60) == 0
        lines = demo.output.splitlines()

    left_out = "agents and the nodes' kernels: no program `ip`; as root: apt-get install iproute2"
    assert [line for line in lines if "left out" in line] == [
        f"  left out    {left_out}",
        f"left out: {left_out}",
    ]
    assert lines[-1] == "everything came up, and everything is gone again"


def test_without_its_extra_one_line_says_what_to_install() -> None:
    hidden = "import sys; sys.modules['cel_expr_python'] = None; from nodeeni.cli.main import main; "
    for command in ("demo", "sandbox"):
        program = f"{hidden}sys.argv = ['nodeeni', '{command}']; sys.exit(main())"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"nodeeni {command}: nodeeni was installed without its extra 'sandbox', which this needs; "
            "in a checkout: pipx install --force '.[sandbox]'\n"
        )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_leaves_nothing_running(number: signal.Signals, tmp_path: Path) -> None:
    with _demo(tmp_path) as demo:
        until(lambda: " created, " in demo.output)
        ours = children_of(demo.process.pid)
        assert "controller" in ours

        assert demo.end(number) == 130
        _assert_nothing_runs_or_stays(demo, ours, tmp_path)


def test_killed_outright_its_processes_end_by_themselves(tmp_path: Path) -> None:
    with _demo(tmp_path) as demo:
        until(lambda: " created, " in demo.output)
        ours = children_of(demo.process.pid)
        demo.end(signal.SIGKILL)
        until(lambda: not any(_runs(pid) for pid in ours.values()))


def test_a_controller_that_dies_fails_the_demo_and_its_log_is_shown(tmp_path: Path) -> None:
    with _demo(tmp_path) as demo:
        until(lambda: " created, " in demo.output)
        os.kill(children_of(demo.process.pid)["controller"], signal.SIGKILL)

        assert demo.process.wait(timeout=30) == 1
        assert re.search(r"^FAILED: controller has ended while waiting for: ", demo.output, re.MULTILINE)
        assert '"logger": "controller.app"' in demo.output
        (directory,) = tmp_path.glob("nodeeni-demo-*")
        assert demo.output.splitlines()[-1] == f"logs: {directory}/*.log"
        assert (directory / "controller.log").exists()


def test_an_unknown_flag_is_one_line_and_status_2() -> None:
    done = nodeeni("demo", "--nope")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "nodeeni demo: unrecognized arguments: --nope; see nodeeni demo --help\n"


@pytest.mark.parametrize(("nodes", "seconds"), [(3, 1.6), (50, 1.6), (100, 11.6), (1000, 191.6)])
def test_the_physical_limit_is_that_of_the_documented_buckets(nodes: int, seconds: float) -> None:
    assert physical_limit(nodes, EC2Settings()) == pytest.approx(seconds)


def _demo(tmp_path: Path, *flags: str) -> AbstractContextManager[Started]:
    return started("demo", *flags, log=tmp_path / "output", environment={"TMPDIR": str(tmp_path)})


def _assert_nothing_runs_or_stays(demo: Started, ours: dict[str, int], tmp_path: Path) -> None:
    assert "stopped; nothing is left running" in demo.output
    assert not any(_runs(pid) for pid in ours.values())
    assert not list(tmp_path.glob("nodeeni-demo-*"))


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _result(lines: list[str], name: str) -> str:
    (line,) = (line for line in lines if line.startswith(name))
    return line.removeprefix(name).strip()


def _calls(lines: list[str]) -> dict[str, int]:
    """Count by action, of the table of EC2 calls; nothing is throttled in it."""
    first = next(number for number, line in enumerate(lines) if line.startswith("EC2 calls"))
    rows = [line.split() for line in lines[first + 1 : lines.index("", first)]]
    assert {throttled for _, _, throttled in rows} == {"0"}
    return {action: int(number) for action, number, _ in rows}
