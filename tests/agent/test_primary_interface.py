"""The primary interface is decided once, said, and never touched."""

from pathlib import Path

from tests.agent.situation import Node, until
from tests.agent.test_physical_links import sysfs_with_pci

MAC = "02:00:00:00:00:01"
PRIMARY = "02:00:00:00:ff:01"
OTHER = "02:00:00:00:ff:09"
UP = {"macAddress": MAC, "linkName": "eth1", "state": "Up", "mtu": 1500}
DECIDED = "primary interface decided, it is never touched; --primary-interface would name another"


def told(by: str, name: str = "eth0", mac: str = PRIMARY) -> dict[str, str]:
    """`status.primary`."""
    return {"linkName": name, "macAddress": mac, "decidedBy": by}


async def until_told(node: Node, by: str, name: str = "eth0", mac: str = PRIMARY) -> None:
    try:
        await until(lambda: node.status().get("primary") == told(by, name, mac))
    except TimeoutError:
        assert node.status().get("primary") == told(by, name, mac)


def add_second_route(node: Node, metric: int) -> None:
    """`eth9`, which got a default route of its own by DHCP."""
    node.kernel.ip(
        node.kernel.adding("eth9", OTHER),
        "link set eth9 up",
        "addr add 10.0.9.5/24 dev eth9",
        f"route add default via 10.0.9.1 dev eth9 metric {metric}",
    )


async def test_it_is_said_and_not_touched_though_somebody_sets_it_down(node: Node, tmp_path: Path) -> None:
    """An unlisted PCI device like others, which would be brought up."""
    sysfs = sysfs_with_pci(tmp_path / "sys", "eth0", "ens6")
    node.kernel.ip(node.kernel.adding("ens6", "06:00:00:00:00:06"))
    node.list_links({"macAddress": MAC})
    agent = await node.start_agent("--sysfs", sysfs)
    await until_told(node, "default via 10.0.0.1 dev eth0")
    assert [(line["links"], line["by"]) for line in agent.said(DECIDED)] == [
        (["eth0"], "default via 10.0.0.1 dev eth0")
    ]
    node.kernel.ip("link set eth0 down", "link set ens6 down")  # the default route goes with it
    await until(lambda: node.kernel.state("ens6")[0])
    assert not node.kernel.state("eth0")[0]
    await until_told(node, "default via 10.0.0.1 dev eth0")


async def test_a_driver_that_is_loaded_anew_brings_the_same_primary(node: Node, tmp_path: Path) -> None:
    sysfs = sysfs_with_pci(tmp_path / "sys", "eth0", "ens6")
    node.kernel.ip(node.kernel.adding("ens6", "06:00:00:00:00:06"))
    await node.start_agent("--sysfs", sysfs)
    await until(lambda: node.kernel.state("ens6")[0])
    node.kernel.ip("link del eth0", node.kernel.adding("eth0", PRIMARY))
    node.kernel.ip("link del ens6", node.kernel.adding("ens6", "06:00:00:00:00:06"))
    await until(lambda: node.kernel.state("ens6")[0])
    assert not node.kernel.state("eth0")[0]


async def test_the_best_metric_decides_and_a_listed_link_is_served_whatever_routes_it_has(node: Node) -> None:
    add_second_route(node, 1024)
    node.kernel.ip("route replace default via 10.0.0.1 dev eth0 metric 100", "route del default metric 0")
    before = node.kernel.links()["eth0"]
    node.list_links({"macAddress": OTHER, "mtu": 9001, "interfaceName": "data0"})
    await node.start_agent()
    await until_told(node, "default via 10.0.0.1 dev eth0 metric 100")
    await until(lambda: node.kernel.state("eth9") == (True, 9001, ["data0"]))
    node.kernel.ip("link set eth9 down", "link set eth9 mtu 1500")
    await until(lambda: node.kernel.state("eth9") == (True, 9001, ["data0"]))
    assert node.kernel.links()["eth0"] == before


async def test_an_eni_that_gets_a_better_default_route_later_is_none(node: Node) -> None:
    node.list_links({"macAddress": OTHER, "mtu": 9001})
    agent = await node.start_agent()
    await until_told(node, "default via 10.0.0.1 dev eth0")
    node.kernel.ip("route replace default via 10.0.0.1 dev eth0 metric 100", "route del default metric 0")
    add_second_route(node, 50)
    await until(lambda: node.kernel.state("eth9")[1] == 9001)
    node.kernel.ip("link set eth9 mtu 1500")
    await until(lambda: node.kernel.state("eth9")[1] == 9001)
    assert len(agent.said(DECIDED)) == 1
    assert node.status()["primary"]["linkName"] == "eth0"


async def test_what_was_held_to_be_primary_and_then_is_listed_is_an_eni(node: Node) -> None:
    """The manager was there before its ENINode, and an ENI's DHCP gave the better metric."""
    add_second_route(node, 50)
    node.kernel.ip("route replace default via 10.0.0.1 dev eth0 metric 100", "route del default metric 0")
    agent = await node.start_agent()
    await until(lambda: [line["links"] for line in agent.said(DECIDED)] == [["eth9"]])
    node.list_links({"macAddress": OTHER, "mtu": 9001})
    await until(lambda: node.kernel.state("eth9")[1] == 9001)
    await until_told(node, "default via 10.0.0.1 dev eth0 metric 100")
    overthrown = "what was held to be the primary interface is a listed ENI, deciding anew"
    assert [line["by"] for line in agent.said(overthrown)] == ["default via 10.0.9.1 dev eth9 metric 50"]


async def test_nothing_is_touched_where_only_listed_links_have_a_default_route(node: Node) -> None:
    before = node.kernel.links()
    node.list_links({"macAddress": PRIMARY, "mtu": 9001, "interfaceName": "multus"})
    agent = await node.start_agent()
    message = (
        "not touched: only listed ENIs have a default route, so the primary is not known: "
        "use --primary-interface"
    )
    await node.until_reported(
        {"macAddress": PRIMARY, "linkName": "eth0", "state": "Up", "mtu": 1500, "message": message}
    )
    assert node.kernel.links() == before
    said = agent.said("waiting for the primary interface, nothing is touched before")
    assert [line["for"] for line in said][-1:] == ["a default route of a link that is not listed"]
    assert "primary" not in node.status()


async def test_two_next_hops_of_one_default_route_are_both_primary(bare_node: Node) -> None:
    node = bare_node
    node.apply_crds()
    node.kernel.add_primary()
    node.kernel.ip(
        node.kernel.adding("eth9", OTHER),
        "link set eth9 up",
        "addr add 10.0.9.5/24 dev eth9",
        "route replace default nexthop via 10.0.0.1 dev eth0 nexthop via 10.0.9.1 dev eth9",
    )
    agent = await node.start_agent()
    await until(lambda: agent.said(DECIDED))
    (said,) = agent.said(DECIDED)
    by = "default via 10.0.0.1 dev eth0 via 10.0.9.1 dev eth9"
    assert (said["links"], said["by"]) == (["eth0", "eth9"], by)


async def test_none_yet_waits_and_says_so(bare_node: Node) -> None:
    node = bare_node
    node.apply_crds()
    node.list_links({"macAddress": MAC})
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    agent = await node.start_agent()
    waiting = "not touched: no default route yet, so the primary is not known"
    await node.until_reported({**UP, "state": "Down", "message": waiting})
    said = agent.said("waiting for the primary interface, nothing is touched before")
    assert [line["for"] for line in said] == ["a default route"]
    node.kernel.add_primary()
    await node.until_reported(UP)


async def test_an_ipv6_default_route_counts_where_there_is_no_ipv4(bare_node: Node) -> None:
    node = bare_node
    node.apply_crds()
    node.kernel.ip(
        node.kernel.adding("eth0", PRIMARY),
        "link set eth0 up",
        "addr add fd00::5/64 dev eth0 nodad",
        "route add ::/0 via fd00::1 dev eth0",
        node.kernel.adding("eth1", MAC),
    )
    before = node.kernel.links()["eth0"]["flags"]
    node.list_links({"macAddress": MAC})
    await node.start_agent()
    await node.until_reported(UP)
    await until_told(node, "default via fd00::1 dev eth0 metric 1024")
    assert node.kernel.links()["eth0"]["flags"] == before


async def test_the_ip_command_finds_a_default_route_that_a_rule_leads_to(bare_node: Node) -> None:
    node = bare_node
    node.apply_crds()
    node.kernel.ip(
        node.kernel.adding("eth0", PRIMARY),
        "link set eth0 up",
        "addr add 10.0.0.5/24 dev eth0",
        "route add default via 10.0.0.1 dev eth0 table 77",
        "rule add lookup 77",
        node.kernel.adding("eth1", MAC),
    )
    node.list_links({"macAddress": MAC})
    await node.start_agent()
    await node.until_reported(UP)
    await until_told(node, "ip route get 192.0.2.1: dev eth0")


async def test_given_by_flag_it_is_waited_for_by_any_of_its_names_and_wins_over_a_list(
    bare_node: Node,
) -> None:
    node = bare_node
    node.apply_crds()
    node.list_links({"macAddress": MAC}, {"macAddress": PRIMARY, "mtu": 9001})
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    agent = await node.start_agent("--primary-interface=uplink")
    await until(lambda: len(node.reported()) == 2)
    assert not node.kernel.state("eth1")[0]
    node.kernel.ip(
        node.kernel.adding("eth0", PRIMARY), "link property add dev eth0 altname uplink", "link set eth0 up"
    )
    touched = "not touched: this is the node's primary interface"
    await node.until_reported(
        UP, {"macAddress": PRIMARY, "linkName": "eth0", "state": "Up", "mtu": 1500, "message": touched}
    )
    assert node.kernel.state("eth0") == (True, 1500, ["uplink"])
    await until_told(node, "--primary-interface")
    said = agent.said("waiting for the primary interface, nothing is touched before")
    assert [line["for"] for line in said] == ["link uplink"]


async def test_what_lies_below_a_primary_bridge_is_primary_too(bare_node: Node, tmp_path: Path) -> None:
    node = bare_node
    node.apply_crds()
    sysfs = sysfs_with_pci(tmp_path / "sys", "eth0", "ens6")
    node.kernel.ip(
        node.kernel.adding("eth0", PRIMARY),
        "link add br0 type bridge",
        "link set eth0 master br0",
        "link set br0 up",
        "addr add 10.0.0.5/24 dev br0",
        "route add default via 10.0.0.1 dev br0",
        node.kernel.adding("ens6", "06:00:00:00:00:06"),
    )
    await node.start_agent("--sysfs", sysfs)
    await until(lambda: node.kernel.state("ens6")[0])
    assert not node.kernel.state("eth0")[0]
