"""How an interface goes, whatever the reason: claimed, detached, deleted, one step for each plan. Pure."""

from nodeeni.api import names
from nodeeni.ec2.types import Attachment, Interface
from nodeeni.plan.actions import Cause, Delete, Detach, SetTags
from nodeeni.plan.desired import DesiredInterface
from nodeeni.plan.draft import Draft, is_of
from nodeeni.plan.rows import State


class Removal:
    def __init__(self, draft: Draft) -> None:
        self.draft = draft

    def unwanted(self, interface: Interface) -> None:
        self.remove(interface, self._cause(interface), None)

    def remove(
        self, interface: Interface, cause: Cause, wanted: DesiredInterface | None, detail: str = ""
    ) -> None:
        attachment = interface.attachment
        state = State.DETACHING if attachment else State.DELETING
        ours = self.draft.observed.cluster_id
        if ours and interface.tags.get(names.TAG_CLUSTER) != ours:
            self._claim(interface)
        elif attachment is None:
            self._delete(interface, cause)
        elif self._ends(attachment):
            self.draft.vanishing.append(interface.id)  # DeleteOnTermination does the work
        elif attachment.status == "attached":
            self.detach(interface, attachment, cause, detail=detail)
            if cause is Cause.NODE_GONE:
                state = State.ATTACHED  # and working, until the node's grace is over
        else:
            undone = attachment.status == "attaching" and self.draft.attach_hangs(interface)
            if undone or (attachment.status == "detaching" and self.draft.detach_hangs(interface)):
                self.detach(interface, attachment, cause, force=True)
        if wanted is not None:
            self.draft.row(wanted, interface, state)
        elif cause is not Cause.REFUSED:  # whose refusal is a row already
            self.draft.rows.append(self.draft.unwanted_row(interface, state))

    def _cause(self, interface: Interface) -> Cause:
        attachment = interface.attachment
        owner = self.draft.observed.owners.get(self.draft.uids[interface.id])
        if owner is None:
            return Cause.ORPHAN
        if owner.deleting:
            return Cause.NODEENI_DELETED
        if self._is_of_another_instance(interface):
            return Cause.NODE_GONE
        home = attachment.instance_id if attachment else interface.tags.get(names.TAG_INSTANCE, "")
        if self.draft.observed.node_ends or (home and self.draft.observed.ends(home)):
            return Cause.NODE_GONE
        if attachment is None and self.draft.uids[interface.id] in {
            r.uid for r in self.draft.desired.refusals
        }:
            return Cause.REFUSED
        if any(row.wanted and row.uid == self.draft.uids[interface.id] for row in self.draft.rows):
            return Cause.SURPLUS
        return Cause.MOVED if interface.id in self.draft.awaited else Cause.UNMATCHED

    def _is_of_another_instance(self, interface: Interface) -> bool:
        node = self.draft.observed.node
        return node is not None and bool(node.instance_id) and not is_of(interface, node.instance_id)

    def _ends(self, attachment: Attachment) -> bool:
        return self.draft.observed.ends(attachment.instance_id)

    def _claim(self, interface: Interface) -> None:
        """Its cluster tag was taken off, or has an id that a person named: ours comes first, since nothing
        without it is removed."""
        self.draft.actions.append(
            SetTags(
                node=self.draft.observed.name,
                nodeeni=self.draft.owner_name(interface),
                uid=self.draft.uids[interface.id],
                eni_id=interface.id,
                tags={names.TAG_CLUSTER: self.draft.observed.cluster_id},
            )
        )

    def _delete(self, interface: Interface, cause: Cause) -> None:
        if interface.status in ("available", "pending"):
            self.draft.actions.append(
                Delete(
                    node=self.draft.observed.name,
                    nodeeni=self.draft.owner_name(interface),
                    uid=self.draft.uids[interface.id],
                    eni_id=interface.id,
                    cause=cause,
                )
            )

    def detach(
        self,
        interface: Interface,
        attachment: Attachment,
        cause: Cause,
        *,
        force: bool = False,
        detail: str = "",
    ) -> None:
        self.draft.actions.append(
            Detach(
                node=self.draft.observed.name,
                nodeeni=self.draft.owner_name(interface),
                uid=self.draft.uids[interface.id],
                eni_id=interface.id,
                attachment_id=attachment.id,
                instance_id=attachment.instance_id,
                force=force,
                cause=cause,
                detail=detail,
            )
        )
