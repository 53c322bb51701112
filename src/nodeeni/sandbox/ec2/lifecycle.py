"""States that change by themselves: attaching, detaching, launching, stopping, terminating.

When an instance has a kernel (`NodeKernels`, in practice `sandbox.hosts`), its links come and go with the
attachments: the link is there a moment before EC2 says `attached`, and gone before it says `available`.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Protocol

import msgspec

from .account import Account
from .errors import EC2Error
from .model import Attachment, Instance, Interface
from .settings import Delay

logger = logging.getLogger(__name__)

Step = Callable[[], Coroutine[None, None, None]]
_replace = msgspec.structs.replace


class NodeKernels(Protocol):
    """What the simulator tells the instances' kernels. Instances without one are ignored by it.

    `cidr` is the interface's subnet.
    """

    async def on_attached(self, instance_id: str, interface: Interface, cidr: str) -> None: ...

    async def on_detached(self, instance_id: str, interface: Interface) -> None: ...


class Lifecycle:
    def __init__(self, account: Account, kernels: NodeKernels | None = None) -> None:
        self.kernels = kernels
        self._account = account
        self._tasks: set[asyncio.Task[None]] = set()
        self._kernel_locks: dict[str, asyncio.Lock] = {}
        self._stuck: set[str] = set()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # Interfaces

    def created(self, interface: Interface, reply: float) -> None:
        """`pending` until a while after the create was answered (`reply` seconds from now)."""
        delay = reply + self._account.settings.pending.draw(self._account.random)
        self._after(delay, lambda: self._settle_created(interface.id))

    def attach(
        self,
        interface: Interface,
        instance: Instance,
        device_index: int,
        card_index: int,
        *,
        stuck: bool,
        **fields: object,
    ) -> Attachment:
        """`attaching` now, `attached` after a while, or never when `stuck`. Checks are the caller's."""
        attachment = self._account.new_attachment(
            instance.id, device_index, card_index, status="attaching", delete_on_termination=False
        )
        attachment = _replace(attachment, **fields)
        self._account.put(_replace(interface, attachment=attachment))
        if instance.state == "stopped":  # a cold attach has nobody to wait for
            self._account.put(_replace(interface, attachment=_replace(attachment, status="attached")))
        elif not stuck:
            self._later(self._account.settings.attaching, lambda: self._settle_attached(attachment.id))
        return attachment

    def detach(self, interface: Interface, attachment: Attachment, *, force: bool, stuck: bool) -> None:
        """`detaching` now, gone after a while; `stuck`: not before a detach with `force`."""
        account = self._account
        if attachment.status != "detaching":
            account.put(_replace(interface, attachment=_replace(attachment, status="detaching")))
        if force and account.settings.force_burns_index and attachment.id in self._stuck:
            slot = (attachment.instance_id, attachment.network_card_index, attachment.device_index)
            account.burnt.add(slot)
        if stuck and not force:
            self._stuck.add(attachment.id)
        elif force or attachment.status != "detaching":
            self._stuck.discard(attachment.id)
            self._later(account.settings.detaching, lambda: self._settle_detached(attachment.id))

    async def _settle_created(self, interface_id: str) -> None:
        interface = self._account.interfaces.get(interface_id)
        if interface is not None:
            self._account.put(_replace(interface, pending=False))

    async def _settle_attached(self, attachment_id: str) -> None:
        found = self._in_state(attachment_id, "attaching")
        if found is None:
            return
        await self._tell_kernel(found, attached=True)
        found = self._in_state(attachment_id, "attaching")
        if found is not None and found.attachment is not None:
            settled = _replace(found.attachment, status="attached")
            self._account.put(_replace(found, attachment=settled, pending=False))

    async def _settle_detached(self, attachment_id: str) -> None:
        found = self._in_state(attachment_id, "detaching")
        if found is None or attachment_id in self._stuck:
            return
        await self._tell_kernel(found, attached=False)
        found = self._in_state(attachment_id, "detaching")
        if found is not None:
            self._account.release(found)

    def _in_state(self, attachment_id: str, status: str) -> Interface | None:
        try:
            interface, attachment = self._account.attached_by(attachment_id)
        except EC2Error:
            return None
        return interface if attachment.status == status else None

    # Instances

    def launched(self, instance: Instance) -> None:
        self._later(self._account.settings.launching, lambda: self._settle(instance.id, "pending", "running"))

    def start(self, instance: Instance) -> None:
        self._account.put(_replace(instance, state="pending"))
        self.launched(instance)

    def stop_instance(self, instance: Instance) -> None:
        self._account.put(_replace(instance, state="stopping"))
        self._later(self._account.settings.stopping, lambda: self._settle(instance.id, "stopping", "stopped"))

    def terminate(self, instance: Instance) -> None:
        self._account.put(_replace(instance, state="shutting-down"))
        self._later(self._account.settings.terminating, lambda: self._settle_terminated(instance.id))

    async def _settle(self, instance_id: str, before: str, after: str) -> None:
        instance = self._account.instances.get(instance_id)
        if instance is None or instance.state != before:
            return
        links = {"running": True, "stopped": False}[after]
        for interface in self._account.interfaces_of(instance_id):
            await self._tell_kernel(interface, attached=links)
        if after == "stopped":
            self._account.burnt = {slot for slot in self._account.burnt if slot[0] != instance_id}
        self._account.put(_replace(instance, state=after))

    async def _settle_terminated(self, instance_id: str) -> None:
        account = self._account
        for interface in account.interfaces_of(instance_id):
            await self._tell_kernel(interface, attached=False)
        instance = account.instances.get(instance_id)
        if instance is None:
            return
        account.put(_replace(instance, state="terminated"))
        for interface in account.interfaces_of(instance_id):
            if interface.attachment is not None and interface.attachment.delete_on_termination:
                account.drop_interface(interface)
            else:
                account.release(interface)
        self._after(account.settings.terminated_kept, lambda: self._forget_instance(instance_id))

    async def _forget_instance(self, instance_id: str) -> None:
        self._account.instances.remove(instance_id)

    # Time and kernels

    async def _tell_kernel(self, interface: Interface, *, attached: bool) -> None:
        """One instance's links change one at a time, in the order asked."""
        if self.kernels is None or interface.attachment is None:
            return
        instance_id = interface.attachment.instance_id
        async with self._kernel_locks.setdefault(instance_id, asyncio.Lock()):
            if attached:
                cidr = self._account.subnets[interface.subnet_id].cidr
                await self.kernels.on_attached(instance_id, interface, cidr)
            else:
                await self.kernels.on_detached(instance_id, interface)

    def _later(self, delay: Delay, step: Step) -> None:
        self._after(delay.draw(self._account.random), step)

    def _after(self, seconds: float, step: Step) -> None:
        task = asyncio.create_task(_wait_and(seconds, step))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _wait_and(seconds: float, step: Step) -> None:
    await asyncio.sleep(seconds)
    try:
        await step()
    except Exception:  # a kernel that refuses a link: the state stays as it is, for all to see
        logger.exception("a state of the simulated EC2 could not change")
