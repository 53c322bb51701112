"""A whole run skips the tests of skips.txt and no others (`--skips-as-listed`, as in `make test`).

Tests on node kernels may be left out besides, on a machine that permits no network namespaces: that is said
at the start and at the end.
"""

from pathlib import Path

import pytest
from tests.needs import NO_KERNELS, why_no_kernels


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--skips-as-listed", type=Path, metavar="FILE", help="fail if other tests are skipped than FILE lists"
    )


def pytest_configure(config: pytest.Config) -> None:
    file = config.getoption("--skips-as-listed")
    if file is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SkipsAsListed(file))


class SkipsAsListed:
    """A test that stops running for want of a program is noticed, and one that runs again leaves the list."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._skipped: dict[str, str] = {}
        self._wrong: list[str] = []

    def pytest_report_header(self) -> list[str]:
        why = why_no_kernels()
        return [f"left out: tests on node kernels; {why}"] if why else []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            assert isinstance(report.longrepr, tuple)
            self._skipped[report.nodeid] = report.longrepr[2].removeprefix("Skipped: ")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus > pytest.ExitCode.TESTS_FAILED:  # interrupted: the run is not whole
            return
        listed = {line for line in self._file.read_text().splitlines() if line and not line.startswith("#")}
        used = set()
        for test, why in sorted(self._skipped.items()):
            lines = {test.partition("[")[0], test.partition("::")[0]} & listed
            used |= lines
            if not lines and not why.startswith(NO_KERNELS):
                self._wrong.append(f"{test}: skipped, {why}")
        self._wrong += [f"{line}: is listed, nothing of it was skipped" for line in sorted(listed - used)]
        if self._wrong:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        left_out = sum(why.startswith(NO_KERNELS) for why in self._skipped.values())
        if left_out:
            terminalreporter.line(f"left out: {left_out} tests on node kernels; {why_no_kernels()}")
        if self._wrong:
            terminalreporter.section(f"skipped tests are not those of {self._file.name}", red=True)
            for line in self._wrong:
                terminalreporter.line(line)
