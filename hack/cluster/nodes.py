"""The nodes: guests with containerd and kubelet, which reach the control plane through their channel and are
reached through it.

No packet leaves a guest: on its loopback stand the addresses of the API server and of AWS, and connections to
them are carried; the API server's own connections, for `kubectl exec` and `logs`, come by an egress proxy.
"""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

from nodeeni.sandbox.machines.channel import Channel
from nodeeni.sandbox.machines.images import Image

IMAGE = Image(
    packages=("containerd", "runc", "containernetworking-plugins", "iptables", "conntrack", "mount", "socat"),
    memory="1280M",
)
API_ADDRESS, API_PORT = "10.96.0.1", 443  # the Service `kubernetes`
AWS_ADDRESS, AWS_PORT = "10.96.0.2", 80
KUBELET_PORT = 10250
PAUSE = "localhost/pause:1"
KUBELET = "/opt/kubelet"

CONTAINERD = f"""\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true
"""
_KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},  # nobody reaches it but through the channel
    "cgroupDriver": "systemd",
    "failSwapOn": False,
    "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
    "resolvConf": "",
    "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    "nodeStatusUpdateFrequency": "10s",
    "nodeStatusReportFrequency": "1m",
    "runtimeRequestTimeout": "4m",
}
_UNIT = f"""\
[Service]
EnvironmentFile=/etc/kubernetes/flags
WorkingDirectory=/etc/kubernetes
ExecStart={KUBELET} --config=kubelet.yaml --kubeconfig=kubeconfig $FLAGS
Restart=always
RestartSec=2
"""
# The archive of an image was plugged in as a disk: a tar is a whole number of sectors.
IMPORT = """\
set -e
for _ in $(seq 300); do [ -b /dev/vdb ] && break; sleep 0.1; done
ctr -n k8s.io images import /dev/vdb >/dev/null
udevadm settle
"""
# All of it may have been done before: a node that was rebooted joins in the same way.
_JOIN = f"""\
set -e
for address in {API_ADDRESS} {AWS_ADDRESS}; do ip addr replace $address/32 dev lo; done
modprobe -a overlay br_netfilter
sysctl -qw net.ipv4.ip_forward=1
systemctl daemon-reload
systemctl start containerd
systemctl restart kubelet
"""


@dataclass
class Node:
    name: str
    instance_id: str
    address: str
    number: int
    channel: Channel
    flags: dict[str, str] = field(default_factory=dict)

    async def join(self, kubeconfig: str, api: tuple[str, int], aws: tuple[str, int]) -> None:
        """`api` and `aws`: where they are served on this machine. RuntimeError with what the guest said."""
        flags = " ".join(f"--{name}={value}" for name, value in self.flags.items())
        files = {
            "/etc/cni/net.d/10-pods.conflist": json.dumps(_pod_network(self.number)),
            "/etc/kubernetes/kubelet.yaml": json.dumps(_KUBELET),
            "/etc/kubernetes/kubeconfig": kubeconfig,
            "/etc/kubernetes/flags": f'FLAGS="{flags}"\n',
            "/etc/systemd/system/kubelet.service": _UNIT,
        }
        for path, text in files.items():
            await self.run(f'mkdir -p "$(dirname {path})"; cat >{path}', text.encode())
        await self.run(_JOIN)
        await self.channel.listen(API_ADDRESS, API_PORT, api)
        await self.channel.listen(AWS_ADDRESS, AWS_PORT, aws)

    async def run(self, script: str, data: bytes = b"") -> str:
        """RuntimeError with what it said where it fails."""
        done = await self.channel.run(["sh", "-c", script], data=data, timeout=300)
        if done.status:
            raise RuntimeError(f"{self.name}: {done.errors.strip() or done.output.strip()}")
        return done.output


def _pod_network(number: int) -> object:
    """Pods of one node reach each other and, by its loopback, the control plane: no more is needed here."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": f"10.88.{number}.0/24"}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipam": ipam}
    return {"cniVersion": "0.4.0", "name": "cluster", "plugins": [bridge]}


class Egress:
    """An HTTP CONNECT proxy on a Unix socket, for the API server's connections to kubelets."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.nodes: dict[str, Node] = {}  # by address
        self._server: asyncio.Server | None = None

    def configuration(self) -> bytes:
        connection = {"proxyProtocol": "HTTPConnect", "transport": {"uds": {"udsName": str(self.socket)}}}
        return msgspec.json.encode(
            {
                "apiVersion": "apiserver.k8s.io/v1beta1",
                "kind": "EgressSelectorConfiguration",
                "egressSelections": [{"name": "cluster", "connection": connection}],
            }
        )

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self.socket)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
        node = self.nodes.get(asked.rpartition(":")[0])
        if node is None:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        relay = node.channel.start(
            ["socat", "-", f"TCP:127.0.0.1:{asked.rpartition(':')[2]}"],
            on_output=lambda fd, data: writer.write(data) if fd == 1 else None,
        )
        giving = asyncio.create_task(self._give(reader, relay.write))
        try:
            await relay.wait()
        finally:
            giving.cancel()
            with contextlib.suppress(OSError):
                writer.close()

    @staticmethod
    async def _give(reader: asyncio.StreamReader, give: object) -> None:
        assert callable(give)
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 15):
                give(data)
            give(b"")
