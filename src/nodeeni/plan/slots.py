"""Device indices of one instance: which are taken, by whom, and which is next.

An index is counted on its network card. Our own inventory is fresher than EC2's listing of the instance,
which other programs (the VPC CNI above all) share with us; where both know an interface, ours is believed.
"""

import copy
from collections.abc import Collection, Iterable

from nodeeni.api.names import TAG_NODEENI
from nodeeni.ec2.types import Instance, InstanceType, Interface

LAST_INDEX = 63


class Slots:
    """The occupied indices of one instance, and those that this plan hands out."""

    def __init__(
        self,
        instance: Instance,
        instance_type: InstanceType | None,
        ours: Iterable[Interface],
        *,
        gone: frozenset[str] = frozenset(),
        refused: frozenset[tuple[int, int]] = frozenset(),
    ) -> None:
        self._type = instance_type
        self._volumes = instance.volumes
        self._by_slot: dict[tuple[int, int], str] = dict.fromkeys(refused, "another program")
        self._queues: dict[tuple[int, int], int] = {}  # of ENA, where EC2 tells
        self._apart: frozenset[tuple[int, int]] = frozenset(
            (slot.network_card_index, slot.device_index) for slot in instance.slots if slot.secondary
        )
        ours = list(ours)
        self._owners = {i.id: i.tags.get(TAG_NODEENI, "?") for i in ours}
        known = {interface.id for interface in ours} | gone
        for slot in instance.slots:
            if slot.eni_id not in known:
                self.reserve(slot.network_card_index, slot.device_index, slot.eni_id, slot.queues)
        for interface in ours:
            attachment = interface.attachment
            if attachment and attachment.instance_id == instance.id:
                self.reserve(
                    attachment.network_card_index,
                    attachment.device_index,
                    interface.id,
                    attachment.ena_queues.count,
                )

    def reserve(self, card: int, index: int, holder: str, queues: int = 0) -> None:
        self._by_slot[card, index] = holder
        self._queues[card, index] = queues

    def without(self, leaving: Collection[str]) -> "Slots":
        """As it is going to be when these interfaces have left."""
        result = copy.copy(self)
        result._by_slot = {place: by for place, by in self._by_slot.items() if by not in leaving}
        return result

    def holder(self, card: int, index: int) -> str | None:
        """Who has the index: an interface id, or the name of a reservation."""
        return self._by_slot.get((card, index))

    def described_holder(self, card: int, index: int) -> str:
        """The same for people: whose it is, and how they know it."""
        holder = self._by_slot[card, index]
        if holder in self._owners:
            return f"{holder} of NodeENI {self._owners[holder]}"
        if (card, index) in self._apart:
            return f"the secondary interface {holder}"
        return f"{holder} (not ours)" if holder.startswith("eni-") else holder

    def lowest_free(self, card: int, start: int) -> int | None:
        """The lowest free index at or above `start`, or None."""
        return next((i for i in range(start, LAST_INDEX + 1) if (card, i) not in self._by_slot), None)

    def has_card(self, card: int) -> bool:
        return self._type is None or card < max(1, len(self._type.max_interfaces_by_card))

    def takes_interfaces(self, card: int) -> bool:
        """Whether the card takes an interface that is no EFA."""
        return self._type is None or self._type.card(card).plain

    def has_room(self, card: int) -> bool:
        """Whether the instance type allows one more interface, in all and on that card. Beyond a card's
        maximum are those that fit where there are queues left for them.
        """
        if self._type is None:
            return True
        known = self._type.card(card)
        in_all = self._type.max_interfaces + sum(each.additional for each in self._type.cards)
        fits = len(self._counted()) < in_all and self._on(card) < self._most_on(card) + known.additional
        return fits and not self.volumes_fill()

    def is_beyond(self, card: int) -> bool:
        """Whether one more interface is one beyond the card's maximum."""
        return self._type is not None and self._on(card) >= self._most_on(card)

    def _counted(self) -> set[tuple[int, int]]:
        return self._by_slot.keys() - self._apart

    def _on(self, card: int) -> int:
        return sum(1 for taken_card, _ in self._counted() if taken_card == card)

    def _most_on(self, card: int) -> int:
        assert self._type is not None
        limits = self._type.max_interfaces_by_card
        return limits[card] if card < len(limits) else self._type.max_interfaces

    def queues_left(self, card: int) -> int | None:
        """How many ENA queues the card has for one more interface; None: not known, or not counted."""
        if self._type is None or not self._type.flexible_queues or not self._type.card(card).all_queues:
            return None
        known = self._type.card(card)
        taken = sum(
            self._queues.get(place) or known.default_queues for place in self._counted() if place[0] == card
        )
        return max(0, known.all_queues - taken)

    def volumes_fill(self) -> bool:
        """Whether EBS volumes and interfaces together have taken all attachments of the instance. The primary
        is not counted: AWS does not say whether it is, and a try too many is learnt from.
        """
        shared = self._type.shared if self._type is not None else 0
        return bool(shared) and len(self._counted()) - 1 + self._volumes >= shared
