"""The pure part: interfaces, links and the folder as it is, to files and to what is told of each network."""

import ipaddress
import json
from pathlib import Path

import pytest

from nodeeni.agent.cni_config import file_text
from nodeeni.agent.cni_files import Directory, OwnFile
from nodeeni.agent.host_local import addresses_in_use
from nodeeni.agent.link_plan import Report, State
from nodeeni.agent.network_plan import Usage, decide, network_report
from nodeeni.agent.network_report import NetworkReport, NetworkState
from nodeeni.agent.spec import PodNetwork, WantedInterface

MAC = "02:00:00:00:00:01"
FIRST, SECOND, SIX = "10.1.2.16/28", "10.1.2.64/28", "2001:db8:1:2:8000::/80"
NETWORK = PodNetwork("pods", "ipvlan", "L2", (FIRST, SECOND))
WANTED = WantedInterface(
    MAC, "eni-1", 9001, "data0", "multus", ("10.1.2.0/24", "2001:db8:1:2::/64"), (FIRST, SECOND), NETWORK
)
OTHER = WANTED._replace(mac="02:00:00:00:00:02", eni_id="eni-2", node_eni="other", interface_name="data1")
UP = Report(MAC, State.UP, "eth1", 9001, usable=True)
TEXT = file_text(WANTED, NETWORK)
OWN = OwnFile(TEXT, "eni-1", (FIRST, SECOND))
THERE = Directory({"pods": OWN})


def decided(link: Report | None = UP, directory: Directory | None = None) -> tuple[str | None, str, str]:
    """(text, state, message) of the one network."""
    (verdict,) = decide([WANTED], [link] if link else [], directory or Directory())
    return verdict.text, verdict.state.value, verdict.message


def test_a_link_that_is_up_under_its_name_has_a_file() -> None:
    assert decided() == (TEXT, "Ready", "")


@pytest.mark.parametrize("directory", [Directory(), THERE])
@pytest.mark.parametrize(
    ("link", "waits"),
    [
        (Report(MAC, State.MISSING, message="the link is gone", usable=False), "the link is gone"),
        (UP._replace(usable=False), "the link has not got its name data0 yet"),
        (
            UP._replace(usable=False, message="interfaceName data0 is a name of link eth7: choose another"),
            "interfaceName data0 is a name of link eth7: choose another",
        ),
    ],
)
def test_a_link_that_went_or_has_not_its_name_has_no_file(
    link: Report, waits: str, directory: Directory
) -> None:
    """Another link may have the name, and pods would get on that."""
    assert decided(link, directory) == (None, "Absent", waits)


@pytest.mark.parametrize(
    "link",
    [
        None,
        Report(MAC, State.MISSING, message="no link with this MAC address yet"),
        Report(MAC, State.MISSING, message="the link was moved into another network namespace"),
        Report(MAC, State.DOWN, "eth1", 9001, usable=True),
    ],
)
def test_a_file_that_is_there_stays_while_a_pod_has_the_link_or_nothing_is_known_of_it(
    link: Report | None,
) -> None:
    assert decided(link, THERE) == (TEXT, "Ready", "")
    text, state, message = decided(link)
    assert (text, state) == (None, "Absent")
    assert message
    # The file of the ENI before says nothing of this one.
    before = Directory({"pods": OWN._replace(eni_id="eni-0")})
    assert decided(link, before) == (text, state, message)


def with_routes(*routes: tuple[str, str]) -> WantedInterface:
    return WANTED._replace(pod_network=NETWORK._replace(routes=routes, prefixes=(FIRST, SIX)))


def test_routes_are_written_as_the_kernel_takes_them() -> None:
    """A destination with bits behind its length is refused by the kernel, at the start of each pod."""
    wanted = with_routes(("10.3.0.1/16", ""), ("fd00::1:2/8", "FD01::0001"), ("0.0.0.0/0", "10.1.2.1"))
    (verdict,) = decide([wanted], [UP], Directory())
    assert json.loads(verdict.text or "")["ipam"]["routes"] == [
        {"dst": "10.3.0.0/16"},
        {"dst": "fd00::/8", "gw": "fd01::1"},
        {"dst": "0.0.0.0/0", "gw": "10.1.2.1"},
    ]


@pytest.mark.parametrize(
    ("route", "why"),
    [
        (
            ("10.0.0.0/8", "999.1.1"),
            "podNetwork.routes: '999.1.1' does not appear to be an IPv4 or IPv6 address",
        ),
        (("10.0.0.0/8", "..."), "podNetwork.routes: '...' does not appear to be an IPv4 or IPv6 address"),
        (("everywhere", ""), "podNetwork.routes: 'everywhere' does not appear to be an IPv4 or IPv6 network"),
        (("10.0.0.0/8", "fd00::1"), "podNetwork.routes: gw fd00::1 is not of the family of dst 10.0.0.0/8"),
    ],
)
def test_a_route_that_no_plugin_reads_is_refused_and_named(route: tuple[str, str], why: str) -> None:
    """With it in the file the start of each pod would fail."""
    (verdict,) = decide([with_routes(route)], [UP], THERE)
    assert (verdict.text, verdict.state) == (None, NetworkState.REFUSED)
    assert verdict.message.startswith(why)


def test_two_interfaces_with_one_name_have_no_file_and_both_are_told_of_the_other() -> None:
    links = [UP, UP._replace(mac=OTHER.mac)]
    verdicts = decide([WANTED, OTHER], links, THERE)
    message = "multus (eni-1) and other (eni-2) have one podNetwork.name on this node, pods: choose another"
    assert [(each.text, each.state) for each in verdicts] == [(None, NetworkState.REFUSED)] * 2
    assert all(each.message.startswith(message) for each in verdicts)


def test_what_stands_in_the_files_place_is_a_refusal_and_what_sorts_first_a_word() -> None:
    taken = Directory(taken={"pods": "90-nodeeni-pods.conf there is not ours: remove it"})
    assert decided(directory=taken) == (None, "Refused", "90-nodeeni-pods.conf there is not ours: remove it")
    text, state, message = decided(directory=Directory(others={"pods": "10-mine.conf"}))
    assert (text, state, message.split(",")[0]) == (TEXT, "Ready", "10-mine.conf there has the name pods too")


def test_interfaces_without_a_pod_network_have_no_verdict() -> None:
    assert decide([WANTED._replace(pod_network=None)], [UP], THERE) == []


def in_use(*addresses: str, network: str = "pods") -> Usage:
    return Usage({network: frozenset(map(ipaddress.ip_address, addresses))})


def told(
    usage: Usage,
    wanted: WantedInterface = WANTED,
    directory: Directory = THERE,
    settling: frozenset[str] = frozenset(),
) -> NetworkReport | None:
    verdict = next(iter(decide([wanted], [UP], directory)), None)
    return network_report(wanted, verdict, directory.own.get("pods"), usage, settling)


def test_used_and_free_are_counted_over_all_prefixes_of_the_file() -> None:
    report = told(in_use("10.1.2.16", "10.1.2.79", "10.1.2.200"))
    assert report == NetworkReport(
        MAC,
        "multus",
        "pods",
        NetworkState.READY,
        held=(FIRST, SECOND),
        used=2,
        free=30,
        in_use=("10.1.2.16", "10.1.2.79"),
    )
    assert report.entry() == {
        "name": "pods",
        "state": "Ready",
        "used": 2,
        "free": 30,
        "prefixes": [FIRST, SECOND],
        "inUse": ["10.1.2.16", "10.1.2.79"],
    }


def test_of_both_families_the_scarcer_says_how_many_pods_more_find_an_address() -> None:
    network = NETWORK._replace(prefixes=(FIRST, SIX))
    wanted = WANTED._replace(pod_network=network, prefixes=(FIRST, SIX))
    directory = Directory({"pods": OwnFile(file_text(wanted, network), "eni-1", (FIRST, SIX))})
    report = told(in_use("10.1.2.17", "2001:db8:1:2:8000::5"), wanted, directory)
    assert report is not None
    assert (report.used, report.free) == (1, 15)
    assert report.in_use == ("10.1.2.17", "2001:db8:1:2:8000::5")


def test_a_prefix_that_left_the_file_is_held_until_no_pod_has_or_may_get_an_address_of_it() -> None:
    network = NETWORK._replace(prefixes=(FIRST,))
    wanted = WANTED._replace(pod_network=network)
    directory = Directory({"pods": OwnFile(file_text(wanted, network), "eni-1", (FIRST,))})
    for usage, settling, held in (
        (in_use("10.1.2.70"), frozenset[str](), (FIRST, SECOND)),
        (in_use("10.1.2.70", network="by-hand"), frozenset[str](), (FIRST, SECOND)),
        (in_use(), frozenset((SECOND,)), (FIRST, SECOND)),
        (in_use("10.1.2.17"), frozenset[str](), (FIRST,)),
    ):
        report = told(usage, wanted, directory, settling)
        assert report is not None
        # Free is what is still given out.
        assert (report.held, report.free) == (held, 15 if usage == in_use("10.1.2.17") else 16)


def test_where_hostlocals_state_cannot_be_read_every_prefix_is_held() -> None:
    report = told(Usage(None, "which addresses pods have is not known, /x: Permission denied"))
    assert report is not None
    assert (report.held, report.used, report.free) == ((FIRST, SECOND), None, None)
    assert report.message.endswith("Permission denied")


def test_a_withdrawn_network_is_told_of_until_no_pod_has_an_address() -> None:
    wanted = WANTED._replace(pod_network=None)
    report = told(in_use("10.1.2.17", network="pods"), wanted, Directory())
    assert report is not None
    assert (report.name, report.state, report.held, report.used) == (
        "pods",
        NetworkState.WITHDRAWN,
        (FIRST,),
        1,
    )
    assert report.in_use == ("10.1.2.17",)
    settling = told(in_use(), wanted, Directory(), frozenset((SECOND,)))
    assert settling is not None
    assert (settling.state, settling.held, settling.used) == (NetworkState.WITHDRAWN, (SECOND,), 0)
    assert told(in_use(), wanted, Directory()) is None


def test_a_status_lists_64_addresses_and_counts_all() -> None:
    network = NETWORK._replace(prefixes=("10.1.2.0/25",))
    wanted = WANTED._replace(pod_network=network, prefixes=network.prefixes)
    directory = Directory({"pods": OwnFile(file_text(wanted, network), "eni-1", network.prefixes)})
    report = told(in_use(*(f"10.1.2.{n}" for n in range(100))), wanted, directory)
    assert report is not None
    entry = report.entry()
    assert (entry["used"], entry["free"], len(entry["inUse"])) == (100, 28, 64)
    assert entry["inUse"][:11] == [f"10.1.2.{n}" for n in range(11)]  # by number, not by text


def test_hostlocals_folder_is_read_as_it_is(tmp_path: Path) -> None:
    """Its files as plugins 1.1 to 1.10 write them, a folder a network."""
    pods, others = tmp_path / "pods", tmp_path / "cbr0"
    for folder in (pods, others, tmp_path / "empty"):
        folder.mkdir()
        (folder / "lock").touch()
    (pods / "last_reserved_ip.0").write_text("10.1.2.17")
    (pods / "10.1.2.17").write_text("d2b6f1\r\nnet1")
    (pods / "2001:db8:1:2:8000::5").write_text("d2b6f1\r\nnet1")
    (others / "10.244.0.9").write_text("d2b6f1\r\neth0")
    (tmp_path / "10.1.2.99").write_text("no network's")
    assert {
        network: sorted(map(str, found)) for network, found in addresses_in_use(str(tmp_path)).items()
    } == {
        "pods": ["10.1.2.17", "2001:db8:1:2:8000::5"],
        "cbr0": ["10.244.0.9"],
    }
    with pytest.raises(FileNotFoundError):
        addresses_in_use(str(tmp_path / "not-mounted"))
