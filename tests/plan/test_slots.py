"""Which device indices are taken, and whether one more interface fits."""

from tests.plan.build import PRIMARY, TYPE, attachment, instance, interface, other

from nodeeni.ec2.types import InstanceSlot, InstanceType
from nodeeni.plan.slots import Slots


def test_the_holder_of_an_index_is_known() -> None:
    ours = interface(attached=attachment(2))
    slots = Slots(instance(slots=(PRIMARY, other(1))), TYPE, [ours])
    assert [slots.holder(0, index) for index in range(4)] == ["eni-primary", "eni-other-1", "eni-1", None]
    assert slots.lowest_free(0, 1) == 3


def test_an_index_belongs_to_its_card() -> None:
    slots = Slots(instance(slots=(PRIMARY, other(1, card=1))), TYPE, [])
    assert (slots.holder(0, 1), slots.holder(1, 1)) == (None, "eni-other-1")


def test_our_inventory_is_believed_over_a_listing_that_lags() -> None:
    """EC2 still lists ours at 2 where it was; we know that it left, and that another of ours is at 3."""
    stale = (PRIMARY, InstanceSlot("eni-1", 2, 0, "attached"), InstanceSlot("eni-gone", 4, 0, "attached"))
    ours = [interface("eni-1"), interface("eni-2", attached=attachment(3))]
    slots = Slots(instance(slots=stale), TYPE, ours, gone=frozenset({"eni-gone"}))
    assert [slots.holder(0, index) for index in (2, 3, 4)] == [None, "eni-2", None]


def test_ours_on_another_instance_takes_no_index_here() -> None:
    ours = interface(attached=attachment(2, instance_id="i-2"))
    assert Slots(instance(), TYPE, [ours]).holder(0, 2) is None


def test_what_ec2_refused_lately_counts_as_taken() -> None:
    slots = Slots(instance(), TYPE, [], refused=frozenset({(0, 2)}))
    assert (slots.holder(0, 2), slots.lowest_free(0, 2)) == ("another program", 3)


def test_a_reservation_counts() -> None:
    slots = Slots(instance(), TYPE, [])
    slots.reserve(0, 1, "NodeENI ada")
    assert (slots.holder(0, 1), slots.lowest_free(0, 1)) == ("NodeENI ada", 2)


def test_without_what_is_leaving() -> None:
    slots = Slots(instance(), TYPE, [interface(attached=attachment(2))])
    assert slots.without({"eni-1"}).holder(0, 2) is None
    assert slots.holder(0, 2) == "eni-1", "the slots themselves are as before"


def test_no_index_is_free() -> None:
    slots = Slots(instance(slots=tuple(other(index) for index in range(62, 64))), None, [])
    assert slots.lowest_free(0, 62) is None


def test_room_by_the_instance_type_in_all_and_by_card() -> None:
    two_cards = InstanceType("big", 5, (3, 3))
    slots = Slots(instance(slots=(PRIMARY, other(1), other(2))), two_cards, [])
    assert (slots.has_room(0), slots.has_room(1)) == (False, True)
    for index in (1, 2):
        slots.reserve(1, index, "x")
    assert slots.has_room(1) is False, "five in all"
    assert (slots.has_card(1), slots.has_card(2)) == (True, False)


def test_an_unknown_type_limits_nothing() -> None:
    slots = Slots(instance(slots=tuple(other(index) for index in range(1, 20))), None, [])
    assert (slots.has_room(0), slots.has_card(9)) == (True, True)
