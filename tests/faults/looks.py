"""How often the guards looked, in all processes of a test run: said at its end. A plugin."""

from typing import Any

import pytest
from tests.faults.guard import LOOKS


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker: its looks go to the process that has started it."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["looks"] = dict(LOOKS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    LOOKS.update(getattr(node, "workeroutput", {}).get("looks", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if LOOKS:
        told = ", ".join(f"{count:,} {what}" for what, count in LOOKS.items())
        terminalreporter.line(f"guards of what is told: {told}")
