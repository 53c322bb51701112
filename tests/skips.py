"""A whole run skips the tests of skips.txt and no others (`--skips-as-listed`, as in `make test`).

Those that the machine's kernel does not permit (to make network namespaces; to be another user in a user's
own namespace) may be left out besides: that is said at the start and at the end.
"""

from collections import Counter
from pathlib import Path

import pytest
from tests.needs import LEFT_OUT, NO_KERNELS, why_no_kernels, why_no_other_user


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
        kernels, users = why_no_kernels(), why_no_other_user()
        return [f"{NO_KERNELS}{kernels}"] * bool(kernels) + [f"{LEFT_OUT}{users}"] * bool(users)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            assert isinstance(report.longrepr, tuple)
            self._skipped[report.nodeid] = report.longrepr[2].removeprefix("Skipped: ")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus > pytest.ExitCode.TESTS_FAILED or session.config.getoption("lf"):
            return  # the run was interrupted, or asked for what failed before: it is not whole
        listed = {line for line in self._file.read_text().splitlines() if line and not line.startswith("#")}
        used = set()
        for test, why in sorted(self._skipped.items()):
            lines = {test.partition("[")[0], test.partition("::")[0]} & listed
            used |= lines
            if not lines and not why.startswith(LEFT_OUT):
                self._wrong.append(f"{test}: skipped, {why}")
        self._wrong += [f"{line}: is listed, nothing of it was skipped" for line in sorted(listed - used)]
        if self._wrong:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        left_out = Counter(why for why in self._skipped.values() if why.startswith(LEFT_OUT))
        for why, tests in left_out.items():
            terminalreporter.line(f"{why} ({tests} tests)")
        if self._wrong:
            terminalreporter.section(f"skipped tests are not those of {self._file.name}", red=True)
            for line in self._wrong:
                terminalreporter.line(line)
