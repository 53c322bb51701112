"""What a NodeENI asks of its link in a node's kernel: the node's ENI manager does it. Pure."""

import msgspec

from nodeeni.api.v1alpha1 import NodeENI, NodePodNetwork


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """`mtu` None: left as it is. `pod_network` None: no CNI file; else that file, but for the prefixes, which
    are the interface's.
    """

    mtu: int | None = None
    interface_name: str = ""
    pod_network: NodePodNetwork | None = None


NOTHING = Link()


def link_of(nodeeni: NodeENI) -> Link:
    return Link(mtu=nodeeni.spec.mtu, interface_name=nodeeni.link_name, pod_network=nodeeni.pod_network)
