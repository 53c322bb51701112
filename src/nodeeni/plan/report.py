"""What is said of a plan: status of a NodeENI, spec of an ENINode. Pure; times come in as text.

Everything is derived from the rows of the present plan. The status that stands in the API server is read
for one thing only: when nothing changed, its `lastUpdated` stays.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice

import msgspec

from nodeeni.api.conditions import carried_over
from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import (
    AttachmentStatus,
    ENINodeInterface,
    ENINodeSpec,
    NodeENI,
    NodeENISpec,
    NodeENIStatus,
)
from nodeeni.ec2.addresses import SECONDARY_IPS
from nodeeni.plan.actions import Cause, Detach
from nodeeni.plan.conditions import Standing, conditions, of_first, standing
from nodeeni.plan.draft import is_of
from nodeeni.plan.pod_networks import pod_networks
from nodeeni.plan.policy import Hold, Refused
from nodeeni.plan.refusal import Refusal
from nodeeni.plan.rows import Row, State
from nodeeni.plan.tally import Tally

# Of status.attachments: an object in etcd is at most 1.5 MiB. 2,000 entries as a rule are 0.8 MB; with long
# names, or a message that lists subnets, they would be more, and the API server would take no status at all.
ATTACHMENTS_LIMIT = 2000
ATTACHMENTS_BYTES = 1_000_000  # as JSON; the rest is left to the spec, kubectl's copy of it, and conditions
# While many of more nodes than these move, each write would be of all that stands: then the list is of those
# that changed last, and the counts and conditions tell of the others, as of those beyond the limit anyway.
NEWS = 250
MANY_MOVE = 100
SUBNETS_SHOWN = 3  # in the column of `kubectl get -o wide`

_ACTION_STATES = {
    "Create": (State.CREATING,),
    "Attach": (State.ATTACHING,),
    "Adopt": (State.ATTACHING,),
    "Detach": (State.DETACHING, State.ATTACHED),
    "Delete": (State.DELETING, State.FAILED),
}

# What a detach that waits means for people, by its cause. No times: each would be a write.
_WAITS = {
    Cause.REPLACED: (
        RowReason.TO_BE_REPLACED,
        "to be replaced as the spec asks: nodes follow one after another",
    ),
    Cause.NODE_GONE: (
        RowReason.NODE_GONE,
        "its Node is gone or goes: removed after a while, unless the Node comes back",
    ),
}


def with_waiting(rows: Iterable[Row], refused: Iterable[Refused]) -> list[Row]:
    """The rows, where an interface whose detach has to wait is still attached, and says what comes."""
    waiting = {r.action.eni_id: r for r in refused if isinstance(r.action, Detach)}
    return [_waiting(row, waiting.get(row.interface.id)) if row.interface else row for row in rows]


def without_files(rows: Iterable[Row], leaving: AbstractSet[str]) -> list[Row]:
    """The rows, where no CNI file is to be on the node for interfaces that leave it."""
    return [
        msgspec.structs.replace(row, link=msgspec.structs.replace(row.link, pod_network=None))
        if row.interface is not None and row.interface.id in leaving
        else row
        for row in rows
    ]


def _waiting(row: Row, refused: Refused | None) -> Row:
    attachment = row.interface.attachment if row.interface else None
    if refused is None or attachment is None or attachment.status != "attached":
        return row
    if row.reason is RowReason.NODE_ENDING:
        return msgspec.structs.replace(row, state=State.ATTACHED)
    reason, message = _of_wait(refused)
    return msgspec.structs.replace(row, state=State.ATTACHED, reason=reason, message=message)


def _of_wait(refused: Refused) -> tuple[RowReason | None, str]:
    """Its own words, or those of what it waits to do; a call that failed has words of its own elsewhere."""
    why = refused.why
    if why.reason is not None and not why.reason.of_failure:
        return why.reason, why.message
    assert isinstance(refused.action, Detach)
    return _WAITS.get(refused.action.cause, (None, ""))


def with_failures(rows: Iterable[Row], holds: Iterable[Hold]) -> list[Row]:
    """The rows, where an action that keeps failing makes its row `failed`, with reason and message."""
    reported = [hold for hold in holds if hold.reported]
    return [next((_failed(row, hold) for hold in reported if _concerns(hold, row)), row) for row in rows]


def _concerns(hold: Hold, row: Row) -> bool:
    action = hold.action
    if action.uid != row.uid or row.state not in _ACTION_STATES.get(action.key[0], (row.state,)):
        return False
    return row.interface is None or action.key[0] == "Create" or action.target == row.interface.id


def _failed(row: Row, hold: Hold) -> Row:
    return msgspec.structs.replace(row, state=State.FAILED, reason=hold.why.reason, message=hold.why.message)


def eninode_spec(instance_id: str, rows: Iterable[Row]) -> ENINodeSpec:
    """What the node's ENI manager is to know: every interface that exists, from Create to Delete. Those that
    hang on an instance which had the node's name before can never be there.
    """
    here = [r for r in rows if r.interface and (not instance_id or is_of(r.interface, instance_id))]
    networks = pod_networks(here)
    entries = []
    for row in here:
        interface = row.interface
        assert interface is not None
        attachment = interface.attachment
        index = attachment.device_index if attachment else row.device_index
        card = attachment.network_card_index if attachment else row.network_card_index
        entries.append(
            ENINodeInterface(
                node_eni=row.nodeeni,
                eni_id=interface.id,
                mac_address=interface.mac,
                device_index=index or 0,
                network_card_index=card or 0,
                subnet_id=interface.subnet_id,
                subnet_cidr=row.subnet_cidr,
                subnet_ipv6_cidr=row.subnet_ipv6_cidr,
                private_ip_addresses=interface.private_ips,
                ipv4_prefixes=interface.ipv4_prefixes,
                ipv6_addresses=interface.ipv6_addresses,
                ipv6_prefixes=interface.ipv6_prefixes,
                mtu=row.link.mtu,
                interface_name=row.link.interface_name,
                pod_network=networks.get(interface.id),
            )
        )
    return spec_of(instance_id, entries)


def spec_of(instance_id: str, entries: Iterable[ENINodeInterface]) -> ENINodeSpec:
    """The spec that lists these, in one order and counted."""
    in_order = tuple(sorted(entries, key=lambda entry: entry.eni_id))
    return ENINodeSpec(instance_id=instance_id, enis=len(in_order), interfaces=in_order)


def nodeeni_status(
    nodeeni: NodeENI,
    rows: Tally,
    links_up: int | None,
    notes: Sequence[Refusal],
    now: str,
    has_waited: Callable[[Standing], bool] = lambda at: False,
    *,
    trouble: Refusal | None = None,
    unread: bool = False,
    pace: float = 0.0,
    held: Refusal | None = None,
    before: Mapping[str, AttachmentStatus] | None = None,
) -> NodeENIStatus:
    """The whole status of one NodeENI. `notes` are what else is Degraded, `held` the removal that the brake
    holds. `before` has the entries as they were told last, where that is not all in the status.
    `has_waited` says whether one that stands so waits for a person, and has for long. `trouble` is what every
    NodeENI waits for, `unread`: for so long that the rows tell nothing of now. `pace` is how many ENIs a
    second EC2 lets come or go.
    """
    entries = _attachments(by_node(nodeeni.status) if before is None else before, rows, now)
    at = standing(nodeeni, rows, links_up, notes, trouble=trouble, unread=unread, pace=pace, held=held)
    generation = nodeeni.metadata.generation
    return NodeENIStatus(
        observed_generation=nodeeni.status.observed_generation if at.unseen else generation,
        desired=at.desired,
        attached=at.attached,
        failed=len(at.failed),
        removing=rows.number(_is_removed) or None,
        links_up=links_up,
        subnets=_named_subnets(nodeeni.spec),
        conditions=carried_over(
            now, generation, conditions(at, for_long=has_waited(at)), nodeeni.status.conditions
        ),
        attachments=entries,
        attachments_truncated=len(entries) < len(rows),
    )


def _named_subnets(spec: NodeENISpec) -> str:
    named = [*spec.all_subnet_ids, *spec.all_subnet_names]
    more = [f"+{len(named) - SUBNETS_SHOWN}"] if len(named) > SUBNETS_SHOWN else []
    return ",".join([*named[:SUBNETS_SHOWN], *more])


def _is_removed(row: Row) -> bool:
    return not row.wanted and row.interface is not None and row.state is not State.ATTACHED


def by_node(status: NodeENIStatus) -> dict[str, AttachmentStatus]:
    return {entry.node_id: entry for entry in status.attachments}


def _attachments(before: Mapping[str, AttachmentStatus], rows: Tally, now: str) -> list[AttachmentStatus]:
    """Failed ones first, as many as an object may hold."""
    return fitting(_attachment(row, before.get(row.node), now) for row in _worth_listing(rows))


def fitting(entries: Iterable[AttachmentStatus]) -> list[AttachmentStatus]:
    """The first of them, as many as an object may hold."""
    found: list[AttachmentStatus] = []
    room = ATTACHMENTS_BYTES
    for entry in islice(entries, ATTACHMENTS_LIMIT):
        room -= len(msgspec.json.encode(entry)) + 1  # the comma
        if room < 0:
            break
        found.append(entry)
    return found


def _worth_listing(rows: Tally) -> Iterator[Row]:
    """Failed ones first, then by name. Of a node that waits with nothing yet there is no news."""
    yield from rows.failed
    if len(rows) > ATTACHMENTS_LIMIT and rows.number(_is_on_its_way) > MANY_MOVE:
        has_news = (row for row in rows.newest_first() if row.interface is not None)
        newest = islice(filter(_has_not_failed, has_news), NEWS)
        yield from sorted(newest, key=lambda row: row.node)
    else:
        yield from filter(_has_not_failed, rows.in_order())


def _is_on_its_way(row: Row) -> bool:
    return row.state not in (State.ATTACHED, State.FAILED)


def _has_not_failed(row: Row) -> bool:
    return row.state is not State.FAILED


def _attachment(row: Row, before: AttachmentStatus | None, now: str) -> AttachmentStatus:
    interface = row.interface
    attachment = interface.attachment if interface else None
    entry = AttachmentStatus(
        node_id=row.node,
        instance_id=row.instance_id,
        eni_id=interface.id if interface else "",
        attachment_id=attachment.id if attachment else "",
        subnet_id=interface.subnet_id if interface else "",
        subnet_cidr=row.subnet_cidr or _known_cidr(row, before),
        device_index=row.device_index,
        network_card_index=row.network_card_index,
        mac_address=interface.mac if interface else "",
        private_ip_address=interface.private_ips[0] if interface and interface.private_ips else "",
        secondary_private_ip_addresses=SECONDARY_IPS.on(interface) if interface else (),
        ipv4_prefixes=interface.ipv4_prefixes if interface else (),
        ipv6_addresses=interface.ipv6_addresses if interface else (),
        ipv6_prefixes=interface.ipv6_prefixes if interface else (),
        mtu=row.link.mtu,
        status=row.state.value,
        reason=row.reason or "",
        message=row.message,
    )
    return dated(entry, before, now)


def _known_cidr(row: Row, before: AttachmentStatus | None) -> str:
    """Of what may go, or cannot be had as asked, the subnet is not asked for: an ENI never changes it."""
    known = before is not None and row.interface is not None and before.eni_id == row.interface.id
    return before.subnet_cidr if before is not None and known else ""


def dated(entry: AttachmentStatus, before: AttachmentStatus | None, now: str) -> AttachmentStatus:
    """The entry with its `lastUpdated`: that of before, where it says the same."""
    entry.last_updated = before.last_updated if before is not None else now
    if before is not None and entry != before:
        entry.last_updated = now
    return entry


def links_note(faults: Mapping[str, str]) -> list[Refusal]:
    """What Degraded says of attached links that are not as asked; `faults`: messages, by node."""
    if not faults:
        return []
    node = min(faults)
    message = of_first(node, faults[node], len(faults))
    return [Refusal(reason=RowReason.LINK_NOT_AS_ASKED, message=message)]
