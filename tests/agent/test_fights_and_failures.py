"""What was done before decides what is tried again, and when."""

import logging

import pytest

from nodeeni.agent.act import Outcome, tell
from nodeeni.agent.attempts import VALUES, Attempts
from nodeeni.agent.given import GivenNames
from nodeeni.agent.link_plan import Aspect, Change
from nodeeni.agent.links import Link
from nodeeni.agent.netlink import Reply
from nodeeni.logs import Lasting

UP = Change(7, "eth1", up=True)
DONE = Reply(0, "", [])
BUSY = Reply(16, "", [])


def test_setting_up_once_is_no_correction_and_again_is_one() -> None:
    attempts = Attempts()
    assert [attempts.record(UP, [DONE], now) for now in (0.0, 1.0, 2.0)] == [0, 1, 1]
    assert attempts.holds(3.0) == {}


def test_the_sixth_correction_within_a_minute_waits_until_the_first_is_a_minute_old() -> None:
    attempts = Attempts()
    for now in range(6):
        assert attempts.holds(now) == {}
        attempts.record(UP, [DONE], now)
    reason = "another program keeps setting this link down: put right 5 times a minute at most"
    assert attempts.holds(6.0) == {(7, Aspect.UP, "up"): reason}
    assert attempts.next_release(6.0) == 61.0
    assert attempts.holds(61.0) == {}
    attempts.record(UP, [DONE], 61.0)
    assert attempts.next_release(61.0) == 62.0


def test_a_fight_ends_when_the_other_leaves_the_link_as_wanted() -> None:
    attempts = Attempts()
    for now in range(6):
        attempts.record(UP, [DONE], now)
    down, up = Link(7, "eth1"), Link(7, "eth1", up=True)
    attempts.look({7: up}, 5.0)  # as we have just set it: nobody has given in
    assert attempts.next_release(5.0) == 61.0
    attempts.look({7: down}, 6.0)
    assert attempts.next_release(6.0) == 61.0
    attempts.look({7: up}, 7.0)
    assert (attempts.holds(7.0), attempts.next_release(7.0)) == ({}, None)


def test_a_fight_without_end_gets_ever_longer_pauses_up_to_an_hour() -> None:
    """systemd's ActivationPolicy=always-down undoes each of our corrections at once."""
    attempts = Attempts()
    attempts.record(UP, [DONE], 0.0)
    now, times = 0.0, []
    while now < 86_400:
        release = attempts.next_release(now)
        now = now + 1 if release is None else release
        attempts.record(UP, [DONE], now)
        times.append(now)
    assert sum(time < 60 for time in times) == 5
    assert sum(time < 3600 for time in times) <= 40
    assert sum(time >= 82_800 for time in times) <= 6


def test_a_minute_of_peace_ends_the_memory_of_a_fight() -> None:
    attempts = Attempts()
    for now in (0, 1, 2, 3, 4, 5, 61, 62, 63, 64, 65):
        attempts.record(UP, [DONE], now)
    assert attempts.next_release(65.0) == 181.0
    attempts.record(UP, [DONE], 400.0)
    assert attempts.next_release(400.0) is None


def test_a_failed_change_is_tried_again_after_doubling_pauses() -> None:
    attempts = Attempts()
    now = 0.0
    pauses = []
    for _ in range(10):
        attempts.record(UP, [BUSY], now)
        release = attempts.next_release(now)
        assert release is not None
        pauses.append(release - now)
        assert attempts.holds(now) == {(7, Aspect.UP, "up"): "setting it up failed: EBUSY"}
        now = release
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    attempts.record(UP, [DONE], now)
    assert (attempts.holds(now), attempts.next_release(now)) == ({}, None)


def test_one_failing_part_holds_back_that_value_alone() -> None:
    attempts = Attempts()
    change = Change(7, "eth1", "multus", 9001, True)
    attempts.record(change, [DONE, Reply(22, "mtu greater than device maximum", []), DONE], 0.0)
    reason = "mtu 9001 failed: mtu greater than device maximum"
    assert attempts.holds(0.5) == {(7, Aspect.MTU, "9001"): reason}


def test_a_link_that_went_is_forgotten() -> None:
    attempts = Attempts()
    attempts.record(UP, [BUSY], 0.0)
    attempts.forget(7)
    assert attempts.holds(0.0) == {}
    assert attempts.record(UP, [DONE], 1.0) == 0


def test_what_was_set_ten_thousand_values_ago_is_forgotten_and_the_last_ones_are_not() -> None:
    """A spec may name new names and MTUs for years: memory is bounded by the links that exist."""
    attempts = Attempts()
    for number in range(10_000):
        change = Change(7, "eth1", altname=f"name-{number}", mtu=1300 + number)
        assert attempts.record(change, [DONE, BUSY], 0.0) == 0
    assert len(attempts.holds(0.0)) == VALUES  # of the refused MTUs
    assert attempts.record(Change(7, "eth1", altname="name-9999"), [DONE], 1.0) == 1
    assert attempts.record(Change(7, "eth1", altname="name-0"), [DONE], 1.0) == 0


def test_a_given_name_is_forgotten_with_its_link() -> None:
    given = GivenNames()
    for mac in ("02:00:00:00:00:01", "02:00:00:00:00:02"):
        given.record(mac, Change(7, "eth1", altname="multus"), [DONE])
    given.keep({"02:00:00:00:00:02"})
    assert given.by_mac == {"02:00:00:00:00:02": {"multus"}}


def test_what_the_kernel_refuses_of_many_links_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    attempts, refusals = Attempts(), Lasting(logging.getLogger("nodeeni.agent"))
    for index in range(30):
        change = Change(index, f"eth{index}", up=True)
        attempts.record(change, [BUSY], 0.0)
        tell(Outcome(change, [BUSY]), 0, refusals)
    assert caplog.messages == ["the kernel refused a change"]
    assert attempts.refused() == {(Aspect.UP, BUSY.reason)}
    for index in range(30):
        attempts.record(Change(index, f"eth{index}", up=True), [DONE], 1.0)
    assert attempts.refused() == set()
