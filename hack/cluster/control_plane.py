"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler: processes of one binary, on loopback."""

import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hack.apiserver.processes import Wishes, start, start_program
from hack.apiserver.server import ApiServer
from hack.cluster.nodes import Egress

_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


@dataclass(frozen=True)
class ControlPlane:
    api: ApiServer
    tokens: dict[str, str]  # of the kubelets, by node

    @classmethod
    def start(
        cls, binary: Path, directory: Path, nodes: Sequence[str], egress: Egress, parts: contextlib.ExitStack
    ) -> "ControlPlane":
        """Ready when it returns; it ends with `parts`. StartError if it does not come up."""
        for program in _PROGRAMS:
            (directory / program).symlink_to(binary)
        tokens = {node: secrets.token_hex(16) for node in nodes}
        egress_file = directory / "egress.json"
        egress_file.write_bytes(egress.configuration())
        server = start(
            Wishes(
                binary=str(directory / "kube-apiserver"),
                directory=directory,
                authorization="Node,RBAC",
                users=[f'{token},system:node:{node},{node},"system:nodes"' for node, token in tokens.items()],
                flags=(
                    "--enable-admission-plugins=NodeRestriction",
                    "--kubelet-preferred-address-types=InternalIP",
                    f"--egress-selector-config-file={egress_file}",
                ),
            )
        )
        parts.callback(server.end)
        api = ApiServer(server)
        config = directory / "admin.kubeconfig"
        config.write_text(api.kubeconfig(server.admin))
        common = (f"--kubeconfig={config}", "--leader-elect=false", "--secure-port=0")
        start_program(
            parts,
            directory,
            str(directory / "kube-controller-manager"),
            *common,
            "--use-service-account-credentials",
            f"--service-account-private-key-file={directory / 'service-accounts.key'}",
            f"--root-ca-file={server.certificate}",
        )
        start_program(parts, directory, str(directory / "kube-scheduler"), *common)
        return cls(api, tokens)

    def kubeconfig(self, node: str, url: str) -> str:
        """Of the node's kubelet, which reaches the API server at `url`."""
        return self.api.kubeconfig(self.tokens[node]).replace(self.api.url, url)
