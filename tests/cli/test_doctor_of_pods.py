"""`nodeeni doctor` on networks of pods: what the ENI managers report of CNI files and addresses."""

from typing import Any

from tests.cli.looking import Seen, Site
from tests.cli.reported import a_node

PREFIX, OTHER = "10.11.0.16/28", "10.11.0.32/28"


def eninode(
    site: Site,
    name: str,
    told: dict[str, Any] | None,
    current: bool = True,
    link_name: str = "data0",
    subnet: str = "",
    to: str = "",
) -> None:
    """A node that is to have the network `pods`, and what its ENI manager says of it."""
    mac = f"02:00:00:00:00:{name[-1]:0>2}"
    network = {"type": "ipvlan", "mode": "L2", "name": "pods", "prefixes": [PREFIX]} | (
        {"routes": [{"dst": to}]} if to else {}
    )
    interface = {
        "nodeENI": "data",
        "eniID": f"eni-{name}",
        "macAddress": mac,
        "deviceIndex": 2,
        "networkCardIndex": 0,
        "interfaceName": link_name,
        "podNetwork": network,
        "subnetCIDR": subnet,
    }
    link = {"macAddress": mac, "state": "Up"} | ({"podNetwork": told} if told else {})
    site.world.kube.apply(
        {
            "apiVersion": "networking.k8s.aws/v1alpha1",
            "kind": "ENINode",
            "metadata": {"name": name},
            "spec": {"instanceID": f"i-{name}", "interfaces": [interface]},
        }
    )
    site.world.kube.patch(
        "networking.k8s.aws",
        "eninodes",
        name,
        {"status": {"observedGeneration": int(current), "interfaces": [link]}},
        subresource="status",
    )


def told_of(seen: Seen) -> list[tuple[str, str]]:
    return [(each["result"], each["message"]) for each in seen.json if each["check"] == "pod networks"]


def ready(prefix: str, **more: Any) -> dict[str, Any]:
    return {"name": "pods", "state": "Ready", "prefixes": [prefix], "used": 2, "free": 14, **more}


async def test_all_have_their_files(site: Site) -> None:
    eninode(site, "n1", ready(PREFIX))
    eninode(site, "n2", ready(OTHER))
    assert told_of(await site.run("doctor", "-o", "json")) == [("right", "2 CNI files of 2")]


async def test_an_eni_manager_without_the_folder(site: Site) -> None:
    """And of one that has not looked at its spec yet nothing is said."""
    eninode(site, "n1", None)
    eninode(site, "n2", None, current=False)
    seen = await site.run("doctor", "-o", "json")
    ((result, message),) = told_of(seen)
    assert (result, seen.status) == ("wrong", 1)
    assert message.startswith("pods on n1: the ENI manager writes no CNI files: name Multus' folder in")


async def test_a_node_without_an_eni_manager_is_told_and_counted(site: Site) -> None:
    eninode(site, "n1", ready(PREFIX))
    eninode(site, "n2", None, current=False)
    nothing = {"status": {"observedGeneration": 0, "interfaces": []}}
    site.world.kube.patch("networking.k8s.aws", "eninodes", "n2", nothing, subresource="status")
    (silent, right) = told_of(await site.run("doctor", "-o", "json"))
    assert silent[0] == "note"
    assert silent[1].startswith("pods on n2: no ENI manager has reported there yet: ")
    assert right == ("right", "1 CNI file of 2")


async def test_refusals_and_notes_are_one_line_a_cause(site: Site) -> None:
    refused = {"name": "pods", "state": "Refused", "message": "90-nodeeni-pods.conf there is not ours"}
    eninode(site, "n1", refused)
    eninode(site, "n2", refused)
    eninode(site, "n3", ready(OTHER, message="10-mine.conf there has the name pods too"))
    eninode(site, "n4", {"name": "pods", "state": "Absent", "message": "the link is gone"})
    assert told_of(await site.run("doctor", "-o", "json")) == [
        ("wrong", "pods on n1, pods on n2: 90-nodeeni-pods.conf there is not ours"),
        ("note", "pods on n4: the link is gone"),
        ("note", "pods on n3: 10-mine.conf there has the name pods too"),
        ("right", "1 CNI file of 4"),
    ]


async def test_a_link_name_that_older_plugins_have_no_room_for_is_told_once(site: Site) -> None:
    eninode(site, "n1", ready(PREFIX), link_name="exactly-fifteen")
    for name, prefix in (("n2", OTHER), ("n3", "10.11.0.48/28")):
        eninode(site, name, ready(prefix), link_name="multus-eni-config")
    seen = await site.run("doctor", "-o", "json")
    (result, message), _ = told_of(seen)
    assert (result, seen.status) == ("note", 0)
    assert message.startswith(
        "multus-eni-config: CNI plugins before 1.6.0 find no link by a name of more than"
    )


async def test_a_node_that_has_no_address_left(site: Site) -> None:
    eninode(site, "n1", ready(PREFIX) | {"used": 16, "free": 0})
    seen = await site.run("doctor", "-o", "json")
    found = told_of(seen)
    assert found[0][0] == "note"
    assert found[0][1].startswith(
        "pods on n1: no address is left for pods; raise the NodeENI's ipv4PrefixCount"
    )
    assert seen.status == 0


async def test_one_prefix_on_two_nodes(site: Site) -> None:
    eninode(site, "n1", ready(PREFIX))
    eninode(site, "n2", ready(PREFIX))
    seen = await site.run("doctor", "-o", "json")
    assert told_of(seen)[0] == (
        "wrong",
        f"{PREFIX} is held on n1, n2, and EC2 delivers to one: delete the pods of that network on the others",
    )


async def test_pods_whose_answers_to_their_kubelet_would_leave_by_the_eni(site: Site) -> None:
    """n1's ENI is in the subnet of its primary interface, n2's pods have a route to all of the VPC; n3's have
    networks of their own."""
    for number in (1, 2, 3):
        a_node(site, f"n{number}", address=f"10.1.0.{number}")
    eninode(site, "n1", ready(PREFIX), subnet="10.1.0.0/16")
    eninode(site, "n2", ready(OTHER), subnet="10.11.0.0/16", to="10.0.0.0/8")
    eninode(site, "n3", ready("10.11.0.48/28"), subnet="10.11.0.0/16", to="10.12.0.0/16")
    seen = await site.run("doctor", "-o", "json")
    why = "by the ENI, and the node's own address lies in it: "
    assert [(result, message.partition(why)[:2]) for result, message in told_of(seen)] == [
        ("right", ("3 CNI files of 3", "")),
        ("note", ("pods on n1: pods reach 10.1.0.0/16 ", why)),
        ("note", ("pods on n2: pods reach 10.0.0.0/8 ", why)),
    ]
