"""Programs beside ours that attach ENIs or use them: which versions do harm, and where ours cannot work."""

import re
from collections.abc import AsyncIterator, Iterator

import msgspec

from nodeeni.api.core import COMPUTE_TYPE_LABEL
from nodeeni.cli.findings import Finding, note, right, some, wrong
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.permissions import MULTUS, VPC_CNI
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import Forbidden, NotFound
from nodeeni.kube.resources import DAEMONSETS
from nodeeni.plan.desired import matches

Version = tuple[int, int, int]

# Source: the release notes of amazon-vpc-cni-k8s.
RECOUNTS: tuple[Version, Version] = (1, 20, 0), (1, 23, 0)  # from, and mended in
IPV4_ONLY_MENDED, IPV6_ONLY_MENDED = (1, 20, 5), (1, 23, 1)

_VERSION = re.compile(r":v?(\d+)\.(\d+)\.(\d+)")


class _Variable(msgspec.Struct):
    name: str
    value: str = ""


class _Container(msgspec.Struct):
    image: str = ""
    env: list[_Variable] = []


class _HostPath(msgspec.Struct):
    path: str = ""


class _Volume(msgspec.Struct, rename="camel"):
    host_path: _HostPath | None = None


class _PodSpec(msgspec.Struct):
    containers: list[_Container] = []
    volumes: list[_Volume] = []


class _Template(msgspec.Struct):
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


class _DaemonSetSpec(msgspec.Struct):
    template: _Template = msgspec.field(default_factory=_Template)


class _DaemonSet(msgspec.Struct):
    spec: _DaemonSetSpec = msgspec.field(default_factory=_DaemonSetSpec)

    @property
    def pod(self) -> _PodSpec:
        return self.spec.template.spec

    def version(self, image: str) -> tuple[Version | None, str]:
        """By the tag of the container whose image has that in its name, and the image itself."""
        named = [each.image for each in self.pod.containers if image in each.image]
        found = _VERSION.search(named[0]) if named else None
        if found is None:
            return None, named[0] if named else "without such an image"
        major, minor, patch = map(int, found.groups())
        return (major, minor, patch), named[0]


async def findings(client: KubeClient, cluster: Cluster) -> AsyncIterator[Finding]:
    """Raises KubeError."""
    for finding in _auto_mode(cluster):
        yield finding
    for subject, permission, judged in (("VPC CNI", VPC_CNI, _vpc_cni), ("Multus", MULTUS, _multus)):
        place = f"{permission.namespace}/{permission.name}"
        try:
            daemon_set = await client.get(
                DAEMONSETS, permission.name, _DaemonSet, namespace=permission.namespace
            )
        except NotFound:
            yield right(subject, f"there is no DaemonSet {place}")
        except Forbidden as error:
            yield note(subject, f"its version is not known: {error}")
        else:
            for finding in judged(subject, place, daemon_set):
                yield finding
            if subject == "Multus" and _looks_in_the_runtimes(daemon_set) and _pods_are_served(cluster):
                yield note(subject, f"{place}: {_CONF_DIR}")


def _vpc_cni(subject: str, place: str, daemon_set: _DaemonSet) -> Iterator[Finding]:
    version, image = daemon_set.version("amazon-k8s-cni")
    if version is None:
        yield note(subject, f"{place} does not tell its version by a tag: {image}; see docs/limits.md")
        return
    told = _shown(version)
    ipv6 = any(
        variable.name == "ENABLE_IPv6" and variable.value == "true"
        for container in daemon_set.pod.containers
        for variable in container.env
    )
    first, mended = RECOUNTS
    if first <= version < mended:
        yield wrong(
            subject,
            f"{told} ({place}) counts ENIs that are tagged no_manage, as ours are, again at each look, and "
            f"attaches none for pods any more: upgrade it to {_shown(IPV6_ONLY_MENDED)}",
        )
    elif ipv6 and version < IPV6_ONLY_MENDED:
        harms = "ENIs without an IPv4 address" if version >= IPV4_ONLY_MENDED else "ENIs without IPv6"
        yield note(
            subject,
            f"{told} ({place}) with ENABLE_IPv6 does not bear {harms} on a node: upgrade it to "
            f"{_shown(IPV6_ONLY_MENDED)} before a NodeENI has such subnets",
        )
    else:
        yield right(subject, f"{told} ({place}) leaves ENIs alone that are tagged no_manage")


def _multus(subject: str, place: str, daemon_set: _DaemonSet) -> Iterator[Finding]:
    version, image = daemon_set.version("multus")
    told = _shown(version) if version else image
    paths = {volume.host_path.path for volume in daemon_set.pod.volumes if volume.host_path}
    folders = sorted(path for path in paths if "net.d" in path)
    where = f"{told} ({place}), with {some(folders)} of the host" if folders else f"{told} ({place})"
    yield right(subject, where)


# A thick Multus looks networks up in its own container. Upstream's mounts the folder since 4.2.1; EKS'
# manifests do not, and set /etc/cni/net.d, which the ENI manager refuses to write to.
_CONF_DIR = (
    "it mounts no /etc/cni/multus/net.d of the host, so that it finds no CNI file of podNetwork there: set "
    '"confDir": "/hostroot/etc/cni/multus/net.d" in ConfigMap kube-system/multus-daemon-config and restart '
    "it, if that is not done yet"
)


def _looks_in_the_runtimes(daemon_set: _DaemonSet) -> bool:
    """As far as the DaemonSet tells; its configuration stands in a ConfigMap, which we do not read."""
    thick = any("thick" in container.image for container in daemon_set.pod.containers)
    paths = [volume.host_path.path for volume in daemon_set.pod.volumes if volume.host_path]
    return thick and not any(path.rstrip("/").endswith("multus/net.d") for path in paths)


def _pods_are_served(cluster: Cluster) -> bool:
    return any(nodeeni.spec.pod_network is not None for nodeeni in cluster.nodeenis.store.values())


def _auto_mode(cluster: Cluster) -> Iterator[Finding]:
    """Nodes that are to have ENIs and cannot."""
    for nodeeni in cluster.nodeenis.store.values():
        if nodeeni.metadata.deleting:
            continue
        chosen = [
            name
            for name, node in cluster.nodes.store.items()
            if node.auto_mode and matches(nodeeni.spec, node.metadata.labels)
        ]
        if chosen:
            yield wrong(
                f"NodeENI {nodeeni.metadata.name}",
                f"selects nodes of EKS Auto Mode, where nobody can attach an ENI: {some(sorted(chosen))}: "
                f"exclude them by spec.matchExpressions, key {COMPUTE_TYPE_LABEL}, operator NotIn, values "
                "[auto]",
            )


def _shown(version: Version) -> str:
    return ".".join(map(str, version))
