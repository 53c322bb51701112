"""What the API server makes of our custom resources: each rule, each limit, each default that was recorded.

Those of a field that came later are tried on both servers by `tests/api`.
"""

from typing import Any

from tests.api.test_what_is_refused import REFUSED
from tests.contract.recorded import recorded_fields
from tests.contract.scenes import ENINODES, NODEENIS, eninode, interface, nodeeni
from tests.contract.transcript import MERGE, Transcript


async def nodeenis_refused(t: Transcript) -> None:
    known = recorded_fields()
    for changes in (changes for changes, _, _ in REFUSED if changes.keys() <= known):
        await t.post(NODEENIS, nodeeni(**changes))
    await t.post(NODEENIS, {key: value for key, value in nodeeni().items() if key != "spec"})


async def nodeenis_accepted(t: Transcript) -> None:
    accepted: list[dict[str, Any]] = [
        {},
        {"subnetID": None, "subnetName": "my-subnet-name"},
        {"subnetIDs": ["subnet-01234567", "subnet-0123456789abcdef0"], "subnetNames": ["n" * 255]},
        {"securityGroupIDs": [f"sg-{n:08x}" for n in range(8)], "securityGroupNames": ["g"] * 8},
        {"deviceIndex": 63, "deviceIndexPolicy": "NextFree", "networkCardIndex": 31},
        {"deleteOnTermination": False, "sourceDestCheck": False, "enableDPDK": True},
        {"mtu": 1280, "description": "d" * 255, "interfaceName": "n" * 127},
        {"mtu": 9001, "description": "", "tags": {f"key-{n}": "v" * 256 for n in range(40)}},
        {"dpdkDriver": "vfio-pci", "dpdkResourceName": "intel.com/x", "dpdkPCIAddress": "0000:00:05.0"},
        {"deviceIndexPolicy": None, "mtu": None},
        {
            "nodeSelector": {},
            "matchExpressions": [
                {"key": "a", "operator": "In", "values": ["x"]},
                {"key": "b", "operator": "NotIn", "values": ["y", "z"]},
                {"key": "c", "operator": "Exists"},
                {"key": "d", "operator": "DoesNotExist", "values": []},
            ],
        },
    ]
    for number, changes in enumerate(accepted):
        await t.post(NODEENIS, nodeeni(f"n{number}", **changes))


async def nulls_take_defaults(t: Transcript) -> None:
    body = nodeeni()
    body["spec"] |= {"deviceIndex": None, "deviceIndexPolicy": None, "deleteOnTermination": None, "mtu": None}
    await t.post(NODEENIS, body)


async def nodeeni_edits(t: Transcript) -> None:
    await t.post(NODEENIS, nodeeni(deleteOnTermination=False))
    await t.merge(f"{NODEENIS}/multus", {"spec": {"mtu": 68}})
    await t.merge(f"{NODEENIS}/multus", {"spec": {"subnetID": None}})
    await t.merge(f"{NODEENIS}/multus", {"spec": {"nodeSelector": None}})
    await t.merge(f"{NODEENIS}/multus", {"spec": {"nodeSelector": {"ng": None}}})
    await t.merge(f"{NODEENIS}/multus", {"spec": {"securityGroupIDs": []}})
    await t.merge(f"{NODEENIS}/multus", {"metadata": {"finalizers": ["example.org/other"]}})


async def nodeeni_statuses(t: Transcript) -> None:
    await t.post(NODEENIS, nodeeni())
    path = f"{NODEENIS}/multus/status"
    ready = {"type": "Ready", "status": "True", "reason": "AllAttached", "message": ""}
    whole = {
        "observedGeneration": 1,
        "desired": 1,
        "attached": 1,
        "failed": 0,
        "conditions": [{**ready, "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}],
        "attachments": [{"nodeID": "n", "eniID": "eni-1", "status": "attached", "deviceIndex": 2}],
    }
    await t.merge(path, {"status": whole})
    await t.merge(path, {"status": {"conditions": [ready, ready]}})
    await t.merge(path, {"status": {"conditions": [{**ready, "status": "Perhaps"}]}})
    late = {**ready, "lastTransitionTime": "yesterday"}
    await t.ask("PATCH", path, {"status": {"conditions": [late]}}, MERGE, only="reason")
    await t.merge(path, {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    await t.merge(path, {"status": {"attachments": [{"eniID": "eni-1"}]}})
    await t.merge(path, {"status": {"observedGeneration": 2**40, "desired": 2**31 - 1}})
    await t.merge(path, {"status": {"attachments": None, "conditions": []}})


async def eninodes(t: Transcript) -> None:
    await t.post(
        ENINODES,
        {"apiVersion": "networking.k8s.aws/v1alpha1", "kind": "ENINode", "metadata": {"name": "bare"}},
    )
    whole = interface(
        1, subnetID="subnet-01234567", subnetCIDR="10.0.0.0/16", privateIPAddresses=["10.0.0.4"], mtu=9001
    )
    await t.post(ENINODES, eninode("n", whole, interface(2, interfaceName="multus")))
    await t.merge(f"{ENINODES}/n", {"spec": {"interfaces": [interface(1), interface(1)]}})
    await t.merge(f"{ENINODES}/n", {"spec": {"interfaces": [{"eniID": "eni-1"}]}})
    await t.merge(f"{ENINODES}/n", {"spec": {"interfaces": [interface(1, deviceIndex="1")]}})
    await t.merge(f"{ENINODES}/n", {"spec": {"interfaces": [interface(1)]}})
    link = {"macAddress": "02:00:00:00:00:01", "linkName": "eth1", "state": "Up", "mtu": 9001}
    stamped = {**link, "lastUpdated": "2026-01-01T00:00:00Z"}
    await t.merge(f"{ENINODES}/n/status", {"status": {"observedGeneration": 1, "interfaces": [stamped]}})
    await t.merge(f"{ENINODES}/n/status", {"status": {"interfaces": [link, link]}})
    await t.merge(f"{ENINODES}/n/status", {"status": {"interfaces": [{**link, "state": "Sideways"}]}})
    await t.merge(f"{ENINODES}/n/status", {"status": {"interfaces": [{"state": "Up"}]}})
    await t.merge(f"{ENINODES}/n/status", {"spec": {"interfaces": []}})
    await t.merge(f"{ENINODES}/nope/status", {"status": {"interfaces": []}})


CUSTOM_SCENES = (
    nodeenis_refused,
    nodeenis_accepted,
    nulls_take_defaults,
    nodeeni_edits,
    nodeeni_statuses,
    eninodes,
)
