"""What is said of a plan: status of a NodeENI, spec of an ENINode. Pure; times come in as text.

Everything is derived from the rows of the present plan. The status that stands in the API server is read
for one thing only: when nothing changed, its `lastUpdated` stays.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from nodeeni.api.conditions import DEGRADED, PROGRESSING, READY, carried_over, condition
from nodeeni.api.v1alpha1 import (
    AttachmentStatus,
    Condition,
    ENINodeInterface,
    ENINodeSpec,
    NodeENI,
    NodeENISpec,
    NodeENIStatus,
)
from nodeeni.plan.actions import Cause, Detach
from nodeeni.plan.policy import Hold, Refused
from nodeeni.plan.rows import NODE_GONE, TO_BE_REPLACED, Row, State

# Of status.attachments: an object in etcd is at most 1.5 MiB. 2,000 entries as a rule are 0.8 MB; with long
# names, or a message that lists subnets, they would be more, and the API server would take no status at all.
ATTACHMENTS_LIMIT = 2000
ATTACHMENTS_BYTES = 1_000_000  # as JSON; the rest is left to the spec, kubectl's copy of it, and conditions

LINK_NOT_AS_ASKED = "LinkNotAsAsked"  # reason of Degraded

_ACTION_STATES = {
    "Create": (State.CREATING,),
    "Attach": (State.ATTACHING,),
    "Detach": (State.DETACHING, State.ATTACHED),
    "Delete": (State.DELETING, State.FAILED),
}

# What a detach that waits means for people, by its cause. No times: each would be a write.
_WAITS = {
    Cause.REPLACED: (TO_BE_REPLACED, "to be replaced as the spec asks: nodes follow one after another"),
    Cause.NODE_GONE: (
        NODE_GONE,
        "its Node is gone or goes: removed after a while, unless the Node comes back",
    ),
}


def with_waiting(rows: Iterable[Row], refused: Iterable[Refused]) -> list[Row]:
    """The rows, where an interface whose detach has to wait is still attached, and says what comes."""
    waiting = {r.action.eni_id: r.action.cause for r in refused if isinstance(r.action, Detach)}
    return [_waiting(row, waiting.get(row.interface.id)) if row.interface else row for row in rows]


def _waiting(row: Row, cause: Cause | None) -> Row:
    attachment = row.interface.attachment if row.interface else None
    if cause is None or attachment is None or attachment.status != "attached":
        return row
    reason, message = _WAITS.get(cause, ("", ""))
    return msgspec.structs.replace(row, state=State.ATTACHED, reason=reason, message=message)


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
    return msgspec.structs.replace(row, state=State.FAILED, reason=hold.reason, message=hold.message)


def eninode_spec(instance_id: str, rows: Iterable[Row]) -> ENINodeSpec:
    """What the node's ENI manager is to know: every interface that exists, from Create to Delete."""
    entries = []
    for row in rows:
        interface = row.interface
        if interface is None:
            continue
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
                private_ip_addresses=interface.private_ips,
                mtu=row.mtu,
                interface_name=row.interface_name,
            )
        )
    return ENINodeSpec(instance_id=instance_id, interfaces=tuple(sorted(entries, key=lambda e: e.eni_id)))


def nodeeni_status(
    nodeeni: NodeENI,
    rows: Mapping[str, Row],
    links_up: int | None,
    notes: Sequence[Condition],
    now: str,
) -> NodeENIStatus:
    """The whole status of one NodeENI. `rows` is by node name; `notes` are what else is Degraded."""
    entries = _attachments(nodeeni.status, rows, now)
    wanted = [row for row in rows.values() if row.wanted]
    attached = sum(1 for row in wanted if _is_attached(row))
    failed = [row for row in rows.values() if row.state is State.FAILED]
    generation = nodeeni.metadata.generation
    return NodeENIStatus(
        observed_generation=generation,
        desired=len(wanted),
        attached=attached,
        failed=len(failed),
        links_up=links_up,
        conditions=carried_over(
            now,
            generation,
            _conditions(nodeeni, len(wanted), attached, links_up, rows, failed, notes),
            nodeeni.status.conditions,
        ),
        attachments=entries,
        attachments_truncated=len(entries) < len(rows),
    )


def _attachments(status: NodeENIStatus, rows: Mapping[str, Row], now: str) -> list[AttachmentStatus]:
    """Failed ones first, as many as an object may hold."""
    before = {entry.node_id: entry for entry in status.attachments}
    in_order = sorted(rows.values(), key=lambda row: (row.state is not State.FAILED, row.node))
    entries: list[AttachmentStatus] = []
    room = ATTACHMENTS_BYTES
    for row in in_order[:ATTACHMENTS_LIMIT]:
        entry = _attachment(row, before.get(row.node), now)
        room -= len(msgspec.json.encode(entry)) + 1  # the comma
        if room < 0:
            break
        entries.append(entry)
    return entries


def _is_attached(row: Row) -> bool:
    """Also one that works and cannot be changed as an edit asks: the row has failed, the node has not."""
    attachment = row.interface.attachment if row.interface else None
    stands = attachment is not None and attachment.status == "attached"
    return row.state is State.ATTACHED or (row.state is State.FAILED and stands)


def _attachment(row: Row, before: AttachmentStatus | None, now: str) -> AttachmentStatus:
    interface = row.interface
    attachment = interface.attachment if interface else None
    entry = AttachmentStatus(
        node_id=row.node,
        instance_id=row.instance_id,
        eni_id=interface.id if interface else "",
        attachment_id=attachment.id if attachment else "",
        subnet_id=interface.subnet_id if interface else "",
        subnet_cidr=row.subnet_cidr,
        device_index=row.device_index,
        network_card_index=row.network_card_index,
        mac_address=interface.mac if interface else "",
        private_ip_address=interface.private_ips[0] if interface and interface.private_ips else "",
        mtu=row.mtu,
        status=row.state.value,
        reason=row.reason,
        message=row.message,
        last_updated=before.last_updated if before else now,
    )
    if before is not None and entry != before:
        entry.last_updated = now
    return entry


def _conditions(
    nodeeni: NodeENI,
    desired: int,
    attached: int,
    links_up: int | None,
    rows: Mapping[str, Row],
    failed: Sequence[Row],
    notes: Sequence[Condition],
) -> list[Condition]:
    moving = sum(1 for row in rows.values() if row.state not in (State.ATTACHED, State.FAILED))
    waiting = sum(1 for row in rows.values() if row.reason == TO_BE_REPLACED)
    deleting = nodeeni.metadata.deleting
    if deleting:
        step = "waiting for EC2 to show twice that no ENI is left"
        if rows:
            step = f"removing the ENIs of {_nodes(len(rows))}"
        ready = condition(READY, False, "Deleting", f"being deleted: {step}")
    elif desired == 0:
        ready = condition(READY, True, "NoMatchingNodes", "no node matches the selector")
    elif waiting and not failed:
        done = f"as spec asks on {desired - waiting - moving} of {_nodes(desired)}"
        ready = condition(READY, False, "Replacing", f"{done}: the others are replaced one after another")
    elif attached == desired and not failed:
        down = "" if links_up is None or links_up >= attached else f", links up on {links_up} of them"
        ready = condition(READY, True, "AllAttached", f"attached on {_nodes(attached)}{down}")
    else:
        reason = "Failing" if failed else "Attaching"
        not_so = f"; not as spec asks on {_nodes(len(failed))}" if failed else ""
        ready = condition(READY, False, reason, f"attached on {attached} of {_nodes(desired)}{not_so}")
    if waiting and failed and not moving:
        to_follow = f"{_nodes(waiting)} to follow, once {_first(failed).node} has what the spec asks for"
        progressing = condition(PROGRESSING, True, "Waiting", to_follow)
    elif moving or waiting:
        to_follow = f", {waiting} to follow" if waiting else ""
        progressing = condition(PROGRESSING, True, "Working", f"{_nodes(moving)} in progress{to_follow}")
    else:
        progressing = condition(PROGRESSING, False, "Settled", "nothing is in progress")
    return [ready, progressing, _degraded(nodeeni.spec, failed, notes)]


def _degraded(spec: NodeENISpec, failed: Sequence[Row], notes: Sequence[Condition]) -> Condition:
    if failed:
        first = _first(failed)
        return condition(DEGRADED, True, first.reason, _of_first(first.node, first.message, len(failed)))
    if notes:
        return notes[0]
    unapplied = not_applied(spec)
    if unapplied:
        return condition(
            DEGRADED,
            True,
            "FieldsNotApplied",
            f"{', '.join(unapplied)}: not yet applied by this version; remove them, or bind the device with "
            "a SR-IOV device plugin of your own",
        )
    return condition(DEGRADED, False, "AsDesired", "nothing is wrong")


def links_note(faults: Mapping[str, str]) -> list[Condition]:
    """What Degraded says of attached links that are not as asked; `faults`: messages, by node."""
    if not faults:
        return []
    node = min(faults)
    return [condition(DEGRADED, True, LINK_NOT_AS_ASKED, _of_first(node, faults[node], len(faults)))]


def _first(failed: Sequence[Row]) -> Row:
    return min(failed, key=lambda row: row.node)


def _of_first(node: str, message: str, count: int) -> str:
    others = f" (and {_nodes(count - 1)} more)" if count > 1 else ""
    return f"{node}: {message}{others}"


def not_applied(spec: NodeENISpec) -> list[str]:
    """Fields that are accepted for v1.3.8's manifests, but that this version does not act on."""
    fields = {
        "spec.enableDPDK": spec.enable_dpdk,
        "spec.dpdkDriver": spec.dpdk_driver,
        "spec.dpdkResourceName": spec.dpdk_resource_name,
        "spec.dpdkPCIAddress": spec.dpdk_pci_address,
    }
    return [name for name, value in fields.items() if value]


def _nodes(count: int) -> str:
    return f"{count} node" if count == 1 else f"{count} nodes"
