"""An API server that is away, for all who use one client; and what it refuses to a writer."""

import pytest

from nodeeni.kube.errors import Away, Forbidden, NotFound, Unavailable
from nodeeni.kube.reach import AWAY, REFUSED, Reach, Refusals


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_after_some_failures_in_a_row_one_request_tries_for_all_ever_more_seldom(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nodeeni")
    reach, sent = Reach(clock), []
    for second in range(180):
        clock.now = float(second)
        for _ in range(100):
            if reach.in_vain() is None:
                sent.append(second)
                reach.heard(Unavailable("list nodes: refused"), clock.now)
    assert sent[:AWAY] == [0] * AWAY
    assert len([at for at in sent[AWAY:] if at < 60]) <= 6
    assert len([at for at in sent if at >= 120]) <= 4
    assert isinstance(reach.in_vain(), Away)
    reach.heard(None, clock.now)
    assert reach.in_vain() is None
    assert reach.returns == 1
    assert caplog.messages == [
        "the API server fails us: list nodes: refused",
        "still, for 73 s, met 8 times: the API server fails us: list nodes: refused",
        "the API server answers again, after 3 min",
    ]


async def test_a_refusal_is_an_answer(clock: Clock) -> None:
    reach = Reach(clock)
    for _ in range(AWAY - 1):
        reach.heard(Unavailable("away"), clock.now)
    reach.heard(NotFound("no such thing"), clock.now)
    reach.heard(Unavailable("away"), clock.now)
    assert reach.in_vain() is None


async def test_an_answer_that_was_under_way_when_it_went_shows_nothing(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nodeeni")
    reach, sent_before = Reach(clock), clock.now
    clock.now = 1.0
    for _ in range(AWAY):
        reach.heard(Unavailable("away"), clock.now)
    reach.heard(None, sent_before)
    assert isinstance(reach.in_vain(), Away)
    assert reach.returns == 0
    clock.now = 3.0
    reach.heard(None, clock.now)
    assert reach.returns == 1
    assert caplog.messages == ["the API server fails us: away", "the API server answers again, after 2 s"]


def test_what_is_refused_to_a_writer_is_tried_by_one_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "nodeeni")
    returns = [0]
    refusals = Refusals("writing ENINodes", lambda error: False, lambda: returns[0])
    for number in range(REFUSED):
        assert refusals.wait() == 0.0
        refusals.failed(Forbidden("no", verb="patch", resource="eninodes"), f"node-{number}")
    assert refusals.wait() > 0.0
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "writing ENINodes fails, of node-0 first"
    ]
    returns[0] += 1  # the server was away, and is back
    assert refusals.wait() == 0.0
    refusals.succeeded()
    assert caplog.messages[1:] == ["writing ENINodes works again, after 0 s"]
