"""What we read from netlink is what pyroute2 reads, and routes are read right."""

import asyncio
import errno
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2 import NetNS
from tests.agent.situation import Kernel

from nodeeni.agent.links import Link, Links, LinkTable, add_altname, configure, look
from nodeeni.agent.netlink import (
    RTM_DELLINK,
    RTM_NEWLINK,
    Message,
    Reply,
    RequestSocket,
    attribute,
    attributes,
)
from nodeeni.agent.routes import DefaultRoute, default_routes


@pytest.fixture
def kernel(namespaces: None) -> Iterator[Kernel]:
    kernel = Kernel()
    yield kernel
    kernel.remove()


def as_pyroute2_sees(name: str) -> dict[int, Link]:
    found = {}
    with NetNS(name) as netns:
        for message in netns.get_links():
            info = message.get_attr("IFLA_LINKINFO")
            properties = message.get_attr("IFLA_PROP_LIST")
            found[message["index"]] = Link(
                ifindex=message["index"],
                name=message.get_attr("IFLA_IFNAME"),
                address=message.get_attr("IFLA_ADDRESS"),
                permanent_address=message.get_attr("IFLA_PERM_ADDRESS") or "",
                up=bool(message["flags"] & 1),
                mtu=message.get_attr("IFLA_MTU"),
                min_mtu=message.get_attr("IFLA_MIN_MTU"),
                max_mtu=message.get_attr("IFLA_MAX_MTU"),
                kind=info.get_attr("IFLA_INFO_KIND") if info else "",
                lower=message.get_attr("IFLA_LINK") or 0,
                master=message.get_attr("IFLA_MASTER") or 0,
                altnames=tuple(properties.get_attrs("IFLA_ALT_IFNAME")) if properties else (),
                loopback=bool(message["flags"] & 8),
            )
    return found


async def test_links_of_every_kind_that_this_kernel_has(kernel: Kernel) -> None:
    kernel.add_primary()
    kernel.ip(
        "link add br0 type bridge",
        "link set eth0 master br0",
        "link property add dev eth0 altname enp0s5 altname a-name-of-more-than-fifteen-characters",
        "link add link br0 name mac0 type macvlan",
        "link add ifb7 type ifb",
    )

    def read() -> dict[int, Link]:
        links = Links()
        requests = RequestSocket()
        links.load(requests)
        requests.close()
        return links.by_index

    ours = await asyncio.to_thread(kernel.inside, read)
    assert ours == await asyncio.to_thread(as_pyroute2_sees, kernel.name)
    assert {link.name: (link.kind, link.altnames) for link in ours.values()} == {
        "lo": ("", ()),
        "eth0": ("veth", ("enp0s5", "a-name-of-more-than-fifteen-characters")),
        "br0": ("bridge", ()),
        "mac0": ("macvlan", ()),
        "ifb7": ("ifb", ()),
    }


def test_where_a_device_sits_is_read_from_the_kernel_where_it_says_so(tmp_path: Path) -> None:
    """Such a message as an ENI's; the kernels of tests have no PCI devices."""
    parts = ((3, b"ens6\0"), (1, bytes.fromhex("060000000006")), (56, b"0000:00:06.0\0"), (57, b"pci\0"))
    data = struct.pack("=BxHiII", 0, 1, 7, 0, 0) + b"".join(attribute(*part) for part in parts)
    links = Links(str(tmp_path))
    assert links.apply([Message(RTM_NEWLINK, 0, 0, data, 0, len(data))]) == {7: None}
    assert links.by_index[7] == Link(7, "ens6", "06:00:00:00:00:06", pci=True, device="0000:00:06.0")
    device = tmp_path / "bus" / "pci" / "devices" / "0000:00:06.0"
    device.mkdir(parents=True)
    (device / "driver").symlink_to("../../drivers/vfio-pci")
    links.apply([Message(RTM_DELLINK, 0, 0, data, 0, len(data))])
    links.departures.look()
    assert links.departures.reasons == {
        "06:00:00:00:00:06": "driver vfio-pci has taken its device 0000:00:06.0"
    }


async def test_only_unicast_default_routes_of_the_main_table_count_the_best_first(kernel: Kernel) -> None:
    kernel.add_primary()
    kernel.ip(
        kernel.adding("eth1", "02:00:00:00:00:01"),
        "link set eth1 up",
        "addr add 10.0.1.5/24 dev eth1",
        "addr add fd00::5/64 dev eth1 nodad",
        "route add default via 10.0.1.1 dev eth1 table 7",
        "route add 10.7.0.0/16 via 10.0.1.1 dev eth1",
        "route add unreachable default metric 4000",
        "route add ::/0 via fd00::1 dev eth1 metric 10",
        "route add default metric 90 nexthop via 10.0.0.9 dev eth0 nexthop via 10.0.1.1 dev eth1",
    )

    def read() -> list[DefaultRoute]:
        requests, links = RequestSocket(), Links()
        links.load(requests)
        found = default_routes(requests, links.by_index)
        requests.close()
        return found

    found = await asyncio.to_thread(kernel.inside, read)
    eth0, eth1 = (kernel.links()[name]["ifindex"] for name in ("eth0", "eth1"))
    assert found == [
        DefaultRoute(frozenset({eth0}), "default via 10.0.0.1 dev eth0"),
        DefaultRoute(
            frozenset({eth0, eth1}), "default via 10.0.0.9 dev eth0 via 10.0.1.1 dev eth1 metric 90"
        ),
        DefaultRoute(frozenset({eth1}), "default via fd00::1 dev eth1 metric 10"),
    ]


async def test_of_many_requests_in_one_datagram_each_has_its_own_answer(kernel: Kernel) -> None:
    kernel.ip(kernel.adding("eth1", "02:00:00:00:00:01"), kernel.adding("eth2", "02:00:00:00:00:02"))
    first, second = (kernel.links()[name]["ifindex"] for name in ("eth1", "eth2"))

    def ask() -> list[Reply]:
        requests = RequestSocket()
        asked = [
            add_altname(first, "multus"),
            add_altname(second, "multus"),
            configure(9999, up=True),
            look(first),
            configure(second, 1400, up=True),
        ]
        replies = requests.batch(asked)
        assert [reply.error for reply in requests.batch([look(9999)])] == [errno.ENODEV]
        requests.close()
        return replies

    replies = await asyncio.to_thread(kernel.inside, ask)
    assert [reply.error for reply in replies] == [0, errno.EEXIST, errno.ENODEV, 0, 0]
    assert [len(reply.messages) for reply in replies] == [0, 0, 0, 1, 0]
    assert kernel.state("eth1") == (False, 1500, ["multus"])
    assert kernel.state("eth2") == (True, 1400, [])


@given(st.lists(st.tuples(st.integers(1, 0x3FFF), st.binary(max_size=40))))
def test_attributes_are_read_as_they_were_written(pairs: list[tuple[int, bytes]]) -> None:
    data = b"".join(attribute(kind, value) for kind, value in pairs)
    assert [(kind, data[a:b]) for kind, a, b in attributes(data, 0, len(data))] == pairs


@given(st.binary(max_size=200))
def test_no_bytes_keep_the_reader_busy_for_ever(data: bytes) -> None:
    assert all(0 <= a <= b for _kind, a, b in attributes(data, 0, len(data)))


INDICES = st.integers(1, 4)
NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.one_of(
    INDICES,
    st.builds(Link, INDICES, NAMES, st.sampled_from(["02::1", "02::2"]), altnames=st.lists(NAMES).map(tuple)),
)


@given(st.lists(STEPS))
def test_the_table_looks_up_what_a_new_table_of_the_same_links_does(steps: list[int | Link]) -> None:
    table = LinkTable()
    for step in steps:
        if isinstance(step, Link):
            table.put(step)
        else:
            table.remove(step)
    fresh = LinkTable(table.by_index.values())
    assert {mac: set(links) for mac, links in table.by_mac.items()} == {
        mac: set(links) for mac, links in fresh.by_mac.items()
    }
    assert all(name in link.names for name, link in table.by_name.items())
    assert all(table.by_index.get(link.ifindex) is link for link in table.by_name.values())
