"""What the plan of one node asks of EC2: each answer, or the refusal of those that asked."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import replace

from nodeeni.api.v1alpha1 import NodeENI, NodeENISpec
from nodeeni.controller.questions import Questions
from nodeeni.ec2.lookups import Lookups
from nodeeni.ec2.types import Instance, InstanceType, Interface
from nodeeni.plan.network import Network, strangers
from nodeeni.plan.refusal import Refusal

_T = TypeVar("_T")


class Asked:
    """The questions of one plan. `keys` are those that were asked; `waited`: not all answers were at hand."""

    def __init__(self, questions: Questions, lookups: Lookups, node: str) -> None:
        self._questions = questions
        self._lookups = lookups
        self._node = node
        self.keys: set[Hashable] = set()
        self.waited = False

    async def instances(self, ids: Sequence[str]) -> dict[str, Instance | Refusal]:
        """Those that EC2 knows, or cannot be asked for."""
        found = await _all_together(
            [
                self._ask(
                    ("instance", i),
                    f"instance {i} (DescribeInstances)",
                    partial(self._lookups.instance, i),
                    partial(self._lookups.known_instance, i),
                )
                for i in ids
            ]
        )
        return {i: instance for i, instance in zip(ids, found, strict=True) if instance is not None}

    async def networks(
        self, nodeenis: Sequence[NodeENI], instance: Instance | None
    ) -> Mapping[str, Network | Refusal]:
        """By uid, what EC2 has of the subnets and groups that each names."""
        found = await _all_together([self._network(nodeeni, instance) for nodeeni in nodeenis])
        return {nodeeni.metadata.uid: network for nodeeni, network in zip(nodeenis, found, strict=True)}

    async def instance_type(self, name: str) -> InstanceType | Refusal | None:
        about = f"instance type {name} (DescribeInstanceTypes)"
        at_hand = partial(self._lookups.known_type, name)
        return await self._ask(("type", name), about, partial(self._lookups.instance_type, name), at_hand)

    async def launched(self, eni_ids: Sequence[str]) -> Sequence[Interface] | Refusal:
        """What EC2 has of interfaces that may have come with the instance's launch."""
        about = f"{', '.join(eni_ids)} on the instance (DescribeNetworkInterfaces)"
        return await self._ask(("launched", *eni_ids), about, partial(self._lookups.launched, eni_ids))

    async def _network(self, nodeeni: NodeENI, instance: Instance | None) -> Network | Refusal:
        spec = nodeeni.spec
        subnets = tuple(spec.all_subnet_ids), tuple(spec.all_subnet_names)
        groups = tuple(spec.security_group_ids), tuple(spec.security_group_names)

        async def question() -> Network:
            self._lookups.expect_groups(*groups)
            return Network(
                tuple(await self._lookups.subnets(*subnets)), tuple(await self._lookups.groups(*groups))
            )

        key = ("network", nodeeni.metadata.uid, subnets, groups)
        about = "the spec's subnets and security groups (DescribeSubnets, DescribeSecurityGroups)"
        network = await self._ask(
            key, about, question, lambda: known_network(self._lookups, spec, fresh=True)
        )
        if isinstance(network, Refusal) or instance is None:
            return network
        pairs = frozenset(strangers(spec, instance, network.subnets, network.groups))
        if not pairs:
            return network
        about = "the security groups of other VPCs (GetSecurityGroupsForVpc)"
        usable = await self._ask(("usable", pairs), about, partial(self._lookups.usable_groups, pairs))
        return usable if isinstance(usable, Refusal) else replace(network, usable=usable)

    async def _ask(
        self,
        key: Hashable,
        about: str,
        question: Callable[[], Awaitable[_T]],
        at_hand: Callable[[], _T | None] = lambda: None,
    ) -> _T | Refusal:
        """`at_hand` gives what needs no asking, and no turn of the event loop; None: it is to be asked."""
        self.keys.add(key)
        answer = None if self._questions.is_open(self._node, key) else at_hand()
        if answer is not None:
            return answer
        self.waited = True
        return await self._questions.ask(self._node, key, about, question)


async def _all_together(asked: Sequence[Coroutine[Any, Any, _T]]) -> Sequence[_T]:
    """A task for each, but where one is alone."""
    return [await asked[0]] if len(asked) == 1 else await asyncio.gather(*asked)


def known_network(lookups: Lookups, spec: NodeENISpec, *, fresh: bool) -> Network | None:
    subnets = lookups.known_subnets(spec.all_subnet_ids, spec.all_subnet_names, fresh=fresh)
    groups = lookups.known_groups(spec.security_group_ids, spec.security_group_names, fresh=fresh)
    return None if subnets is None or groups is None else Network(tuple(subnets), tuple(groups))
