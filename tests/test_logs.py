"""Logs are one JSON object a line; verbosity decides what of our own is in them."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from nodeeni import logs


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("nodeeni")
    before = (root.handlers[:], root.level, ours.level)
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def written(verbosity: int) -> list[dict[str, str]]:
    stream = io.StringIO()
    logs.configure(verbosity, stream=stream)
    log = logging.getLogger("nodeeni.controller.app")
    log.debug("looked at %s", "n1")
    log.info("working on %d nodes", 3, extra={"cluster": "c-1"})
    logging.getLogger("somebody.else").info("chatter")
    logging.getLogger("somebody.else").warning("über die Grenze\nin two lines")
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def told(verbosity: int) -> list[tuple[str, str, str]]:
    return [(line["level"], line["logger"], line["msg"]) for line in written(verbosity)]


WORKING = ("info", "controller.app", "working on 3 nodes")
THEIRS = ("warning", "somebody.else", "über die Grenze\nin two lines")


def test_what_is_told_at_each_verbosity() -> None:
    assert told(0) == [WORKING, THEIRS]
    assert told(4) == [WORKING, THEIRS]
    assert told(5) == [("debug", "controller.app", "looked at n1"), WORKING, THEIRS]


def test_a_line_carries_time_and_extra_fields() -> None:
    (line, _) = written(0)
    assert line.keys() == {"ts", "level", "logger", "msg", "cluster"}
    assert line["cluster"] == "c-1"
    assert line["ts"].endswith("Z")
    assert len(line["ts"]) == len("2026-01-01T00:00:00.000Z")


def test_an_exception_is_in_its_line() -> None:
    stream = io.StringIO()
    logs.configure(0, stream=stream)
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("nodeeni").exception("cannot")
    line = json.loads(stream.getvalue())
    assert (line["level"], line["msg"]) == ("error", "cannot")
    assert line["error"].endswith("ValueError: no")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_at_a_terminal_a_line_is_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    logs.configure(0, stream=stream)
    log = logging.getLogger("nodeeni.controller.app")
    log.info("working on %d nodes", 3, extra={"cluster": "c-1", "why": "a b", "nodes": [1], "none": ""})
    log.warning("slow")
    first, second = stream.getvalue().splitlines()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} info     controller\.app  working on 3 nodes"
        r'  cluster=c-1  why="a b"  nodes=\[1\]  none=""',
        first,
    )
    assert " \x1b[33mwarning\x1b[0m  controller.app  slow" in second


@pytest.mark.parametrize(("log_format", "is_json"), [("json", True), ("text", False), (None, False)])
def test_the_format_that_is_asked_for_wins_over_what_stderr_is(log_format: str | None, is_json: bool) -> None:
    stream = Terminal()
    logs.configure(0, log_format, stream)
    logging.getLogger("nodeeni").info("here")
    assert stream.getvalue().startswith("{") == is_json


def test_text_in_a_file_has_no_colour_and_an_exception_below_its_line() -> None:
    stream = io.StringIO()
    logs.configure(0, "text", stream)
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("nodeeni").exception("cannot")
    head, *below = stream.getvalue().splitlines()
    assert head.endswith(" error    nodeeni  cannot")
    assert below[-1] == "ValueError: no"


def test_what_would_steer_a_terminal_is_shown_and_not_done() -> None:
    stream = Terminal()
    logs.configure(0, stream=stream)
    logging.getLogger("nodeeni").info("two\nlines, \x1b[1m bold", extra={"node": "a\x07b", "pair": "k=v"})
    (line,) = stream.getvalue().splitlines()
    assert line.endswith('two\\nlines, \\u001b[1m bold  node=a\\u0007b  pair="k=v"')


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lasting(clock: Clock) -> logs.Lasting:
    return logs.Lasting(logging.getLogger("nodeeni.lasting"), clock)


def test_what_lasts_is_told_as_it_begins_ever_more_seldom_and_as_it_ends(
    lasting: logs.Lasting, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nodeeni")
    for second in range(1000):
        clock.now = second
        lasting.met("cause", "it is refused", still="7 nodes wait", node="n1")
    lasting.over("cause", "it is granted again")
    lasting.over("cause", "it is granted again")
    assert caplog.messages == [
        "it is refused",
        "still, for 60 s, met 61 times: 7 nodes wait",
        "still, for 3 min, met 181 times: 7 nodes wait",
        "still, for 7 min, met 421 times: 7 nodes wait",
        "still, for 15 min, met 901 times: 7 nodes wait",
        "it is granted again, after 17 min",
    ]
    assert {record.__dict__["node"] for record in caplog.records[:-1]} == {"n1"}


def test_what_comes_and_goes_is_told_as_one(
    lasting: logs.Lasting, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nodeeni")
    for second in range(180):
        clock.now = second
        lasting.met("cause", "it is refused")
        lasting.over("cause", "it is granted")
    assert caplog.messages == [
        "it is refused",
        "it is granted, after 0 s",
        "still, for 60 s, met 61 times: it is refused",
        "it is granted, after 60 s",
    ]
    clock.now = 300
    lasting.met("cause", "it is refused")
    assert caplog.messages[4:] == ["it is refused"]
