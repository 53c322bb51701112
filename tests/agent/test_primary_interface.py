"""The primary interface is found, and never touched."""

from tests.agent.situation import Node, until

MAC = "02:00:00:00:00:01"
PRIMARY = "02:00:00:00:ff:01"
UP = {"macAddress": MAC, "linkName": "eth1", "state": "Up", "mtu": 1500}
NOT_TOUCHED = "not touched: this is the node's primary interface"


def primary(name: str = "eth0", state: str = "Up", mac: str = PRIMARY) -> dict[str, object]:
    return {"macAddress": mac, "linkName": name, "state": state, "mtu": 1500, "message": NOT_TOUCHED}


async def test_it_is_not_touched_though_an_eninode_lists_it(node: Node) -> None:
    before = node.kernel.links()
    node.list_links({"macAddress": PRIMARY, "mtu": 9001, "interfaceName": "multus"})
    await node.start_agent()
    await node.until_reported(primary())
    assert node.kernel.links() == before
    node.kernel.ip("link set eth0 down")  # its route goes with it, and still it is the primary
    await node.until_reported(primary(state="Down"))
    node.kernel.ip("link set eth0 up")
    await node.until_reported(primary())


async def test_every_default_route_makes_a_primary(node: Node) -> None:
    node.kernel.ip(
        node.kernel.adding("eth9", "02:00:00:00:ff:09"),
        "link set eth9 up",
        "addr add 10.0.9.5/24 dev eth9",
        "route add default via 10.0.9.1 dev eth9 metric 1000",
    )
    before = node.kernel.links()
    node.list_links({"macAddress": PRIMARY, "mtu": 9001}, {"macAddress": "02:00:00:00:ff:09", "mtu": 9001})
    await node.start_agent()
    await node.until_reported(primary(), primary("eth9", mac="02:00:00:00:ff:09"))
    assert node.kernel.links() == before


async def test_two_next_hops_of_one_default_route_are_both_primary(bare_node: Node) -> None:
    node = bare_node
    node.apply_crds()
    node.kernel.add_primary()
    node.kernel.ip(
        node.kernel.adding("eth9", "02:00:00:00:ff:09"),
        "link set eth9 up",
        "addr add 10.0.9.5/24 dev eth9",
        "route replace default nexthop via 10.0.0.1 dev eth0 nexthop via 10.0.9.1 dev eth9",
    )
    agent = await node.start_agent()
    await until(lambda: agent.said("primary interface found, never touched"))
    assert agent.said("primary interface found, never touched")[0]["links"] == ["eth0", "eth9"]


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
    )
    before = node.kernel.links()["eth0"]["flags"]
    node.list_links({"macAddress": PRIMARY, "mtu": 9001})
    await node.start_agent()
    await node.until_reported(primary())
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
    )
    node.list_links({"macAddress": PRIMARY, "mtu": 9001})
    await node.start_agent()
    await node.until_reported(primary())


async def test_given_by_flag_it_is_waited_for_by_any_of_its_names(bare_node: Node) -> None:
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
    await node.until_reported(UP, primary())
    assert node.kernel.state("eth0") == (True, 1500, ["uplink"])
    said = agent.said("waiting for the primary interface, nothing is touched before")
    assert [line["for"] for line in said] == ["link uplink"]


async def test_what_lies_below_a_primary_bridge_is_primary_too(bare_node: Node) -> None:
    node = bare_node
    node.apply_crds()
    node.kernel.ip(
        node.kernel.adding("eth0", PRIMARY),
        "link add br0 type bridge",
        "link set eth0 master br0",
        "link set eth0 up",
        "link set br0 up",
        "addr add 10.0.0.5/24 dev br0",
        "route add default via 10.0.0.1 dev br0",
    )
    node.list_links({"macAddress": PRIMARY, "mtu": 9001})
    await node.start_agent()
    await node.until_reported(primary())
