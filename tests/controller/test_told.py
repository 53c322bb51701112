"""What an informer shows after a write of ours: the echo, what is older, what jumped over it, or nothing."""

import asyncio

from nodeeni.controller.told import Told

UID = "u"


class Shown:
    """An object as an informer shows it, and who is to be looked at again."""

    def __init__(self, patience: float = 60.0) -> None:
        self.version, self.value = "1", "old"
        self.again = asyncio.Queue[str]()
        self.told: Told[str] = Told(lambda uid: self.version, self.again.put_nowait, patience)

    def writes(self, value: str, version: str, *, held: str = "") -> None:
        self.told.wrote(UID, value, held or value, version, sent_at=self.version)

    def shows(self, value: str, version: str) -> bool:
        """Whether that is news."""
        self.version, self.value = version, value
        return self.told.shows(UID, value, version)

    def stands(self, wanted: str) -> bool:
        return self.told.stands(UID, wanted, self.value)


async def test_the_echo_of_our_write_is_no_news_and_what_comes_after_is() -> None:
    shown = Shown()
    shown.writes("new", "3")
    assert shown.stands("new"), "though the informer shows the old one"
    assert not shown.shows("older", "2")
    assert shown.stands("new")
    assert not shown.shows("new", "3")
    assert shown.shows("changed", "4")
    assert not shown.stands("new")
    assert shown.told.is_undone(UID, "new")
    assert not shown.told.is_undone(UID, "newer")


async def test_an_echo_that_comes_before_the_answer_is_no_news_either() -> None:
    shown = Shown()
    shown.version, shown.value = "3", "new"
    shown.told.wrote(UID, "new", "new", "3", sent_at="1")
    assert shown.stands("new")
    assert shown.shows("changed", "4")


async def test_what_an_older_crd_dropped_stands_until_there_is_something_else() -> None:
    shown = Shown()
    shown.writes("new and more", "3", held="new")
    assert not shown.shows("new", "3")
    assert shown.stands("new and more")
    assert not shown.stands("newer")
    assert shown.shows("changed", "4")
    assert not shown.stands("new and more")


async def test_a_version_that_an_informer_jumped_over_is_not_waited_for_without_end() -> None:
    shown = Shown(patience=0.05)
    shown.writes("new", "3")
    assert not shown.shows("changed", "4"), "as far as can be known"
    assert await asyncio.wait_for(shown.again.get(), 5) == UID
    assert not shown.stands("new")


async def test_an_informer_that_hears_nothing_is_no_reason_to_write_again() -> None:
    shown = Shown(patience=0.02)
    shown.writes("new", "3")
    await asyncio.sleep(0.2)
    assert shown.again.empty()
    assert shown.stands("new")
