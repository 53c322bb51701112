"""Which device indices are taken, and whether one more interface fits."""

from tests.plan.build import PRIMARY, TYPE, attachment, instance, interface, other

from nodeeni.ec2.types import InstanceSlot, InstanceType, NetworkCard
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


FLEXIBLE = InstanceType(
    "c6in.huge",
    3,
    (3,),
    cards=(NetworkCard(default_queues=16, most_queues=32, all_queues=48, additional=1),),
    flexible_queues=True,
)


def with_queues(index: int, queues: int) -> InstanceSlot:
    return InstanceSlot(f"eni-other-{index}", index, 0, "attached", queues)


def test_one_beyond_the_maximum_fits_where_queues_are_left() -> None:
    by_default = Slots(instance(slots=(PRIMARY, other(1), other(2))), FLEXIBLE, [])
    assert (by_default.has_room(0), by_default.is_beyond(0), by_default.queues_left(0)) == (True, True, 0)
    fewer = Slots(instance(slots=(PRIMARY, with_queues(1, 8), with_queues(2, 8))), FLEXIBLE, [])
    assert (fewer.has_room(0), fewer.queues_left(0)) == (True, 16)
    fewer.reserve(0, 3, "NodeENI ada", 4)
    assert (fewer.has_room(0), fewer.queues_left(0)) == (False, 12)
    assert fewer.without({"eni-other-1"}).queues_left(0) == 20


def test_queues_of_a_type_that_tells_nothing_are_not_counted() -> None:
    assert Slots(instance(), TYPE, []).queues_left(0) is None
    assert Slots(instance(), None, []).queues_left(0) is None


def test_a_secondary_interface_has_its_index_and_no_room() -> None:
    secondary = [InstanceSlot(f"si-{n}", n, 0, "attached", secondary=True) for n in (1, 2, 3)]
    slots = Slots(instance(slots=(PRIMARY, *secondary)), TYPE, [])
    assert (slots.lowest_free(0, 1), slots.has_room(0)) == (4, True)
    assert slots.described_holder(0, 2) == "the secondary interface si-2"


def test_a_card_that_takes_efa_alone() -> None:
    efa = InstanceType("p9", 4, (2, 2), cards=(NetworkCard(), NetworkCard(plain=False)))
    slots = Slots(instance(), efa, [])
    assert (slots.takes_interfaces(0), slots.takes_interfaces(1)) == (True, False)
    assert Slots(instance(), TYPE, []).takes_interfaces(0), "where EC2 does not tell, it decides"
