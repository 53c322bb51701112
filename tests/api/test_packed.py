"""Mappings that share their keys: like dicts, but for the memory."""

import gc

from nodeeni.api import packed
from nodeeni.api.packed import NO_ITEMS, Packed

LABELS = {"zone": "a", "group": "blue"}


def test_it_is_a_mapping() -> None:
    found = Packed(LABELS)
    assert dict(found) == LABELS
    assert (found["zone"], found.get("none"), "zone" in found, "none" in found) == ("a", None, True, False)
    assert (found.get("zone"), found.get("none", "b")) == ("a", "b")
    assert (len(found), sorted(found), bool(NO_ITEMS)) == (2, ["group", "zone"], False)


def test_it_equals_what_has_the_same_items() -> None:
    found = Packed(LABELS)
    assert found == Packed(dict(reversed(LABELS.items())))
    assert found == LABELS
    assert found == LABELS
    assert found != Packed({**LABELS, "zone": "b"})
    assert found != Packed({"zone": "a", "colour": "blue"})
    assert found != {"zone": "a"}


def test_keys_and_texts_that_are_the_same_stand_once() -> None:
    one, other = (Packed({"key": text.lower()}) for text in ("VALUE", "VAlue"))
    assert one["key"] is other["key"]
    assert one._keys is other._keys


def test_keys_that_nobody_has_any_more_are_gone() -> None:
    found = Packed({"only-here": "a"})
    assert ("only-here",) in packed._KEYS
    del found
    gc.collect()
    assert ("only-here",) not in packed._KEYS
