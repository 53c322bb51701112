"""Turns by themselves: what many nodes and odd orders bring, which no short run of a controller shows."""

import pytest

from nodeeni.controller.turns import Turns

A, B = "uid-a", "uid-b"


class Queue(list[str]):
    def again(self, node: str) -> None:
        self.append(node)


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def turns(queue: Queue) -> Turns:
    made = Turns(queue.again)
    made.begin()
    return made


def test_one_node_alone_is_woken_when_the_turn_is_free(turns: Turns, queue: Queue) -> None:
    turns.note("n1", {A}, set())
    for number in range(2, 1000):
        turns.note(f"n{number}", set(), {A})
    assert turns.before("n2") == {A: "n1"}
    turns.note("n1", set(), set())
    assert queue == ["n2"]


def test_one_that_no_longer_needs_its_turn_passes_it_on(turns: Turns, queue: Queue) -> None:
    turns.note("n1", {A}, set())
    turns.note("n2", set(), {A})
    turns.note("n3", set(), {A})
    turns.note("n1", set(), set())
    turns.note("n2", set(), set())
    assert queue == ["n2", "n3"]


def test_what_is_put_off_for_another_reason_keeps_nobody_waiting(turns: Turns, queue: Queue) -> None:
    turns.note("n1", {A}, set())
    turns.note("n2", set(), {A})
    turns.note("n3", set(), {A})
    turns.note("n1", set(), set())
    turns.note("n2", set(), {A})  # EC2 refused its detach: it is held back
    assert queue == ["n2", "n3"]


def test_nodeenis_do_not_wait_for_one_another(turns: Turns, queue: Queue) -> None:
    turns.note("n1", {A}, set())
    assert turns.before("n2") == {A: "n1"}
    assert turns.before("n1") == {}
    turns.note("n2", {B}, {A})
    turns.note("n1", set(), {B})
    assert turns.before("n1") == {B: "n2"}
    assert queue == ["n2"]


def test_before_the_start_is_over_all_wait(queue: Queue) -> None:
    turns = Turns(queue.again)
    turns.note("n1", set(), {A})
    turns.note("n2", {B}, {A})
    turns.note("n3", set(), {B})
    assert queue == []
    turns.begin()
    assert queue == ["n1"]
