"""A run that has to skip what is listed: another skipped test fails it, and so does a listed one that ran."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.deploy.conftest import ROOT

TESTS = """
import pytest
from tests.needs import NO_KERNELS

@pytest.mark.parametrize("number", [1, 2])
def test_of_a_server(number):
    pytest.skip("for a real API server")

def test_of_kernels():
    pytest.skip(NO_KERNELS + "a reason")

def test_that_runs():
    pass
"""


def run(folder: Path, *listed: str) -> tuple[int, str]:
    (folder / "test_some.py").write_text(TESTS)
    (folder / "skips.txt").write_text("\n".join(["# Why", *listed]))
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT}\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.skips", "--skips-as-listed", "skips.txt"]
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("line", ["test_some.py::test_of_a_server", "test_some.py"])
def test_as_listed_it_passes_and_the_tests_on_kernels_are_counted(line: str, tmp_path: Path) -> None:
    status, shown = run(tmp_path, line)
    assert status == 0
    assert "left out here: nodes have no kernels, a reason (1 tests)" in shown.splitlines()
    assert "1 passed, 3 skipped" in shown


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ((), "test_some.py::test_of_a_server[1]: skipped, for a real API server"),
        (
            ("test_some.py::test_of_a_server", "test_some.py::test_that_runs"),
            "test_some.py::test_that_runs: is listed, nothing of it was skipped",
        ),
    ],
)
def test_any_other_set_fails_the_run_and_names_the_test(
    listed: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    status, shown = run(tmp_path, *listed)
    assert status == 1
    assert said in shown.splitlines()


def test_the_list_names_tests_that_exist() -> None:
    for line in (ROOT / "tests" / "skips.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            file, _, name = line.partition("::")
            assert f"def {name}" in (ROOT / file).read_text()
