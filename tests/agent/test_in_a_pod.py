"""In the cluster: a service account's files, renewed under a running agent; and client certificates outside.

Under `make apitest` a real API server, and the rights that the shipped manifests give and no others.
"""

import base64
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
from hack.apiserver import accounts
from hack.apiserver.accounts import MANAGER
from tests.agent.situation import NODE, Agent, Node, a_node, until
from tests.agent.test_api_server_troubles import AWAY, MAC, UP, WISH, make_certificate
from tests.contract.processes import real_is_wanted
from tests.contract.real import RealKube

from nodeeni.sandbox.kube import KubeServer

REFUSED = "the API server refuses the token, links are served meanwhile"


class Pod:
    """A node whose agent runs as a pod of the DaemonSet does: no kubeconfig, but a service account."""

    def __init__(self, node: Node, directory: Path) -> None:
        self.node = node
        self._directory = directory
        self._token = ""

    async def start_agent(self) -> Agent:
        environment = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self.node.kube.port),
        }
        flag = f"--service-account={self._directory}"
        return await self.node.start_agent(flag, with_api=False, environment=environment)

    def token(self) -> str:
        """A token that the API server takes. The sandbox's is new, and it takes no other from now on."""
        if real_is_wanted():
            self._token = self._token or accounts.token(cast("RealKube", self.node.kube), MANAGER, NODE)
            return self._token
        tokens = self.node.kube.tokens
        token = f"token-{len(self.node.agents)}"
        tokens.add(token)
        tokens.intersection_update({token})
        return token

    def renew(self, name: str, text: str) -> None:
        """As the kubelet does: the new file takes the old one's place at once."""
        file = self._directory / name
        file.with_suffix(".new").write_text(text)
        os.replace(file.with_suffix(".new"), file)

    def renew_authority(self, certificate: str) -> None:
        self.renew("ca.crt", Path(certificate).read_text())


@pytest.fixture
async def pod(namespaces: None, tmp_path: Path) -> AsyncIterator[Pod]:
    directory = tmp_path / "serviceaccount"
    directory.mkdir()
    if real_is_wanted():
        real = RealKube(troubled=True)
        accounts.install(real)
        kube, authority = cast("KubeServer", real), real.authority
    else:
        authority, key = make_certificate(tmp_path, "IP:127.0.0.1")
        kube = KubeServer(tokens=["not the agent's"], certfile=authority, keyfile=key)
    async with a_node(kube, tmp_path) as node:
        node.kernel.add_primary()
        node.apply_crds()
        pod = Pod(node, directory)
        pod.renew("token", pod.token())
        pod.renew_authority(authority)
        yield pod


async def test_with_its_service_account_alone(pod: Pod) -> None:
    pod.node.list_links(WISH)
    pod.node.kernel.ip(pod.node.kernel.adding("eth1", MAC))
    await pod.start_agent()
    await pod.node.until_reported(UP)


async def test_a_token_that_expired_is_read_again(pod: Pod) -> None:
    node = pod.node
    node.list_links(WISH)
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    agent = await pod.start_agent()
    await node.until_reported(UP)
    pod.renew("token", "expired")
    await node.relay.cut()
    await node.relay.open()
    await until(lambda: agent.said(REFUSED))
    pod.renew("token", pod.token())
    node.list_links({**WISH, "mtu": 8000})
    await node.until_reported({**UP, "mtu": 8000})


@pytest.mark.skipif(real_is_wanted(), reason="a real API server takes a minute to see its new certificate")
async def test_an_authority_that_was_renewed_is_read_again(pod: Pod, tmp_path: Path) -> None:
    node = pod.node
    node.list_links(WISH)
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    agent = await pod.start_agent()
    await node.until_reported(UP)
    authority, _key = make_certificate(tmp_path, "IP:127.0.0.1")  # in the place of the first
    node.kube.refuse_connections()
    await node.kube.listen()
    await until(lambda: agent.said(AWAY))
    assert "CERTIFICATE_VERIFY_FAILED" in agent.said(AWAY)[0]["error"]
    pod.renew_authority(authority)
    node.list_links({**WISH, "mtu": 8000})
    await node.until_reported({**UP, "mtu": 8000})


@pytest.mark.parametrize("embedded", [True, False])
async def test_a_client_certificate_of_a_kubeconfig(namespaces: None, tmp_path: Path, embedded: bool) -> None:
    """The server speaks to nobody without one."""
    client = tmp_path / "client"
    client.mkdir()
    shown, its_key = make_certificate(client, "DNS:client")
    certificate, key = make_certificate(tmp_path, "IP:127.0.0.1")
    kube = KubeServer(certfile=certificate, keyfile=key, client_authority=shown)
    async with a_node(kube, tmp_path) as node:
        node.kernel.add_primary()
        node.apply_crds()
        node.list_links(WISH)
        node.kernel.ip(node.kernel.adding("eth1", MAC))
        kubeconfig = with_client_certificate(
            tmp_path / "admin", kube.kubeconfig(), (shown, its_key), embedded
        )
        await node.start_agent(kubeconfig=kubeconfig)
        await node.until_reported(UP)


def with_client_certificate(path: Path, text: str, files: tuple[str, str], embedded: bool) -> str:
    """As kubectl writes it."""
    path.write_text(text)
    certificate, key = files
    flags = [
        f"--client-certificate={certificate}",
        f"--client-key={key}",
        f"--embed-certs={str(embedded).lower()}",
    ]
    for arguments in (["set-credentials", "me", *flags], ["set-context", "--current", "--user=me"]):
        command = ["kubectl", f"--kubeconfig={path}", "config", *arguments]
        subprocess.run(command, check=True, capture_output=True)
    written = path.read_text()
    assert (base64.b64encode(Path(certificate).read_bytes()).decode() in written) == embedded
    return written
