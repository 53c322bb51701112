"""Work that one call does for many: who is among them, who left before, and what they hear."""

import asyncio
from collections.abc import Collection

import pytest

from nodeeni.controller.together import MOST, Together


class Door:
    """Where calls go out, once `opened`; `refused` is what they come to."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.opened = asyncio.Event()
        self.refused: Exception | None = None
        self.together = Together[str](self._ready, self._send)

    async def _ready(self) -> None:
        await self.opened.wait()

    async def _send(self, work: Collection[str]) -> None:
        self.sent.append(list(work))
        if self.refused is not None:
            raise self.refused

    def join(self, key: str, *work: str) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.together.join(key, each)) for each in work]


async def test_those_of_one_key_share_a_call_and_others_have_their_own() -> None:
    door = Door()
    waiting = [*door.join("a", "1", "2"), *door.join("b", "3"), *door.join("a", "4")]
    door.opened.set()
    await asyncio.gather(*waiting)
    assert sorted(door.sent) == [["1", "2", "4"], ["3"]]


async def test_who_leaves_before_the_call_is_not_among_them() -> None:
    door = Door()
    first, second = door.join("a", "1", "2")
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    door.opened.set()
    await second
    assert door.sent == [["2"]]


async def test_what_the_call_comes_to_all_of_them_hear() -> None:
    door = Door()
    door.refused = ValueError("no")
    waiting = door.join("a", "1", "2")
    door.opened.set()
    assert [str(each) for each in await asyncio.gather(*waiting, return_exceptions=True)] == ["no", "no"]


async def test_who_comes_after_a_call_or_beyond_its_size_has_the_next_one() -> None:
    door = Door()
    door.opened.set()
    await asyncio.gather(*door.join("a", "1"))
    many = [str(number) for number in range(MOST + 1)]
    await asyncio.gather(*door.join("a", *many))
    assert [len(work) for work in door.sent] == [1, MOST, 1]


async def test_at_the_end_nobody_waits_on() -> None:
    door = Door()
    (waiting,) = door.join("a", "1")
    await asyncio.sleep(0)
    await door.together.close()
    async with asyncio.timeout(30):
        await asyncio.gather(waiting, return_exceptions=True)
    assert door.sent == []


@pytest.mark.parametrize("moment", ["while it is sent", "before"])
async def test_who_is_cancelled_leaves_the_others_their_answer(moment: str) -> None:
    door = Door()
    first, second = door.join("a", "1", "2")
    if moment == "while it is sent":
        door.opened.set()
    await asyncio.sleep(0)
    first.cancel()
    door.opened.set()
    await second
