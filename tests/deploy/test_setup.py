"""`hack/setup.sh` on machines that lack something: what it says, asks, installs and makes anew.

The Python, apt-get and id that it finds are scripts here, which write down what they are asked for.
"""

import contextlib
import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.deploy.conftest import ROOT

TOOLS = ("bash", "env", "dirname", "cat", "cksum", "rm", "mktemp", "tail", "uname", "cp", "mkdir")
PYTHON = """#!/bin/sh
case "$*" in
*version_info*) echo {version} ;;
*_base_executable*) echo {itself} ;;
*ensurepip*) exit {without_venv} ;;
"-m venv "*)
  echo "python {version} $*" >>{calls}
  mkdir -p "$3/bin" "$3/lib/python{version}"
  cp {itself} "$3/bin/python"
  ;;
*) echo "pip $*" >>{calls}; if [ -e {broken} ]; then exit 1; fi ;;
esac
"""
NEITHER = "python3.12-venv (makes the virtual environment), iproute2 (links of the demo's nodes)"
INSTALL = "apt-get install -y --no-install-recommends python3.12-venv iproute2"


class Machine:
    """A checkout on a machine of which only the most ordinary commands are there."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.checkout, self.calls = folder / "bin", folder / "checkout", folder / "calls"
        self.broken = folder / "broken"
        self.bin.mkdir()
        (self.checkout / "hack").mkdir(parents=True)
        shutil.copy(ROOT / "hack" / "setup.sh", self.checkout / "hack")
        shutil.copytree(ROOT / "requirements", self.checkout / "requirements")
        shutil.copy(ROOT / "pyproject.toml", self.checkout)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (self.bin / tool).symlink_to(found)
        self.program("apt-get", f'echo "apt-get $*" >>{self.calls}')
        self.program("ip", "")
        self.user(0)

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def user(self, number: int) -> None:
        self.program("id", f"echo {number}")

    def python(self, name: str, version: str, *, venv: bool = True) -> None:
        text = PYTHON.format(
            version=version,
            itself=self.bin / name,
            without_venv=0 if venv else 1,
            calls=self.calls,
            broken=self.broken,
        )
        self.program(name, text)

    def set_up(
        self, level: str = "run", before: tuple[str, ...] = (), **environment: str
    ) -> tuple[int, list[str]]:
        """Exit status and what was said. `before`: a program that runs it."""
        done = subprocess.run(
            [*before, self.checkout / "hack" / "setup.sh", level],
            env={"PATH": str(self.bin), **environment},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.stdout == ""
        return done.returncode, done.stderr.splitlines()

    def set_up_at_a_terminal(self, answer: str) -> tuple[int, str]:
        ours, terminal = pty.openpty()
        os.write(ours, f"{answer}\n".encode())
        done = subprocess.run(
            [self.checkout / "hack" / "setup.sh", "run"],
            env={"PATH": str(self.bin)},
            stdin=terminal,
            stderr=terminal,
            check=False,
        )
        os.close(terminal)
        said = b""
        with contextlib.suppress(OSError):  # the end, of a terminal that nobody has open any more
            while more := os.read(ours, 10_000):
                said += more
        os.close(ours)
        return done.returncode, said.decode()

    def done(self) -> list[str]:
        """What was asked of Python, pip and apt-get since the last look."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return [line for line in lines if not line.startswith("pip")] + [
            "pip" for line in lines if line.startswith("pip")
        ][:1]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_what_is_missing_is_installed_as_root_and_said_in_a_line_each(machine: Machine) -> None:
    machine.python("python3", "3.12", venv=False)
    (machine.bin / "ip").unlink()
    assert machine.set_up() == (
        0,
        [
            "setup: apt-get install python3.12-venv (makes the virtual environment) ...",
            "setup: apt-get install iproute2 (links of the demo's nodes) ...",
            "setup: .venv with Python 3.12 (once, about 30 s) ...",
        ],
    )
    assert machine.done() == [
        "apt-get -q update",
        "apt-get -q install -y --no-install-recommends python3.12-venv iproute2",
        "python 3.12 -m venv .venv",
        "pip",
    ]


def test_a_user_gets_one_line_with_the_command_before_anything_else_happens(machine: Machine) -> None:
    machine.python("python3", "3.12", venv=False)
    (machine.bin / "ip").unlink()
    machine.user(1000)
    said = f"setup: missing: {NEITHER}. As root: apt-get update && {INSTALL}"
    assert machine.set_up() == (1, [said])
    assert machine.done() == []
    assert not (machine.checkout / ".venv").exists()


def test_without_ip_the_demo_is_set_up_all_the_same_but_not_the_tests(machine: Machine) -> None:
    machine.python("python3", "3.12")
    machine.program("openssl", "")
    machine.program("jq", "")
    (machine.bin / "ip").unlink()
    machine.user(1000)
    status, said = machine.set_up("run")
    assert (status, len(said)) == (0, 2)
    assert said[0].endswith("As root: apt-get update && apt-get install -y --no-install-recommends iproute2")
    assert machine.done() == ["python 3.12 -m venv .venv", "pip"]
    status, said = machine.set_up("test")
    assert (status, len(said)) == (1, 1)


@pytest.mark.parametrize(
    ("answer", "status", "done"),
    [
        ("", 0, ["apt-get -q update", f"apt-get -q {INSTALL.removeprefix('apt-get ')}"]),
        ("n", 1, []),
    ],
)
def test_at_a_terminal_it_asks_first(machine: Machine, answer: str, status: int, done: list[str]) -> None:
    machine.python("python3", "3.12", venv=False)
    (machine.bin / "ip").unlink()
    ended, said = machine.set_up_at_a_terminal(answer)
    assert ended == status
    assert f"setup: missing: {NEITHER}. Install now with apt-get? [Y/n] " in said
    assert machine.done()[:2] == done
    assert ("By hand, as root: " in said) == (status == 1)


def test_a_system_without_apt_is_told_the_packages(machine: Machine) -> None:
    machine.python("python3", "3.12", venv=False)
    (machine.bin / "apt-get").unlink()
    status, (said,) = machine.set_up()
    assert (status, said) == (
        1,
        (
            "setup: missing: python3.12-venv (makes the virtual environment), by Debian's names; "
            "install them by your system's means"
        ),
    )


def test_packages_that_cannot_be_had_are_named_with_the_command(machine: Machine) -> None:
    machine.python("python3", "3.12", venv=False)
    machine.program("apt-get", "echo no route to host >&2; exit 100")
    status, said = machine.set_up()
    assert status == 1
    assert said[-2:] == [
        "no route to host",
        (
            "setup: apt-get failed; by hand: apt-get update && "
            "apt-get install -y --no-install-recommends python3.12-venv"
        ),
    ]


def test_a_python_that_is_too_old_is_named_before_anything_else_happens(machine: Machine) -> None:
    machine.python("python3", "3.9", venv=False)
    assert machine.set_up() == (
        1,
        [
            (
                "setup: needs Python 3.11 to 3.14; found: python3 is 3.9. "
                "Install one, or name it: make ... PYTHON=/path/to/python3.12"
            )
        ],
    )
    assert machine.done() == []


def test_without_any_python_it_says_so(machine: Machine) -> None:
    status, (said,) = machine.set_up()
    assert status == 1
    assert said.startswith("setup: needs Python 3.11 to 3.14; found: none. Install one, ")


def test_another_python_that_fits_is_found(machine: Machine) -> None:
    machine.python("python3", "3.9")
    machine.python("python3.13", "3.13")
    assert machine.set_up()[0] == 0
    assert machine.done() == ["python 3.13 -m venv .venv", "pip"]


def test_what_is_there_is_not_done_again(machine: Machine) -> None:
    machine.python("python3", "3.12")
    assert machine.set_up()[0] == 0
    machine.done()
    assert machine.set_up() == (0, [])
    assert machine.done() == []


def test_new_requirements_are_installed_into_the_environment_that_is_there(machine: Machine) -> None:
    machine.python("python3", "3.12")
    machine.set_up()
    machine.done()
    with (machine.checkout / "requirements" / "run.txt").open("a") as requirements:
        requirements.write("# another\n")
    assert machine.set_up() == (0, [])
    assert machine.done() == ["pip"]


def test_an_environment_that_was_left_half_made_is_made_anew(machine: Machine) -> None:
    machine.python("python3", "3.12")
    machine.broken.touch()
    assert machine.set_up()[0] != 0
    machine.broken.unlink()
    machine.done()
    assert machine.set_up()[0] == 0
    assert machine.done() == ["python 3.12 -m venv .venv", "pip"]


def test_in_a_folder_of_another_user_one_line_says_so(machine: Machine) -> None:
    """Its environment cannot be made anew: nothing of it is touched."""
    machine.python("python3", "3.12")
    machine.set_up()
    environment = machine.checkout / ".venv"
    (environment / ".run").unlink()
    environment.chmod(0o555)
    no_more_than_others = (str(shutil.which("setpriv")), "--bounding-set=-all")  # root writes anywhere
    status, said = machine.set_up(before=no_more_than_others if os.geteuid() == 0 else ())
    environment.chmod(0o755)
    line = f"setup: {machine.checkout} is another user's: work in a clone of your own"
    assert (status, said) == (1, [line])
    assert (environment / "bin" / "python").exists()


def test_an_environment_of_another_python_is_made_anew(machine: Machine) -> None:
    machine.python("python3", "3.12")
    machine.set_up()
    machine.done()
    machine.python("python3.13", "3.13")
    assert machine.set_up(PYTHON="python3.13")[0] == 0
    assert machine.done() == ["python 3.13 -m venv .venv", "pip"]
    assert machine.set_up() == (0, [])  # and is kept then


def test_an_environment_whose_python_was_upgraded_is_made_anew(machine: Machine) -> None:
    machine.python("python3", "3.11")
    machine.set_up()
    machine.python("python3", "3.13")
    shutil.copy(machine.bin / "python3", machine.checkout / ".venv" / "bin" / "python")
    machine.done()
    assert machine.set_up()[0] == 0
    assert machine.done() == ["python 3.13 -m venv .venv", "pip"]


def test_a_python_that_is_named_and_does_not_fit_is_refused(machine: Machine) -> None:
    machine.python("python3", "3.12")
    machine.python("python3.10", "3.10")
    status, (said,) = machine.set_up(PYTHON="python3.10")
    assert status == 1
    assert "found: python3.10 is 3.10." in said
    status, (said,) = machine.set_up(PYTHON="python3.14")
    assert status == 1
    assert "found: python3.14 does not run." in said
