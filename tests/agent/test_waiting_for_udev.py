"""udev names the links: nobody else touches one before udev has said that it is done with it.

The udevd is a double on the real wire. What it would do with a link the test does by `ip`.
"""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.situation import Node, until
from tests.agent.test_disturbances import asleep, counted, switches
from tests.agent.test_physical_links import sysfs_with_pci
from tests.agent.udevd import Udevd, ports
from tests.needs import another_user

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
WISH = {"macAddress": MAC, "mtu": 9001, "interfaceName": "data0"}
UP = {"macAddress": MAC, "linkName": "ens6", "interfaceName": "data0", "state": "Up", "mtu": 9001}
OTHER_UP = {"macAddress": OTHER, "linkName": "other", "state": "Up", "mtu": 1500}
MISSING = {"macAddress": MAC, "state": "Missing", "message": "no link with this MAC address yet"}
SILENT = "udev has said nothing of this link for --udev-timeout, going on without"
RAW: tuple[bool, int, list[str]] = (False, 1500, [])


@pytest.fixture
def udevd(node: Node) -> Iterator[Udevd]:
    udevd = Udevd(node.kernel)
    yield udevd
    udevd.stop()


async def until_heard(node: Node, udevd: Udevd) -> None:
    """All that was said before has been taken in: a link of which udev speaks now is up."""
    node.kernel.ip(node.kernel.adding("other", OTHER))
    udevd.say("other")
    await until(lambda: node.kernel.state("other")[0])
    node.kernel.ip("link del other")


async def test_nothing_is_done_before_udev_has_renamed_the_link_and_all_after(
    node: Node, udevd: Udevd
) -> None:
    node.list_links(WISH, {"macAddress": OTHER})
    await node.start_agent()
    await until(lambda: len(node.reported()) == 2)
    writes = node.status_writes()
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await until_heard(node, udevd)
    assert node.kernel.state("eth1") == RAW
    node.kernel.ip("link set eth1 name ens6", "link property add dev ens6 altname enp0s6")
    udevd.say("ens6", ID_RENAMING="1")
    await until_heard(node, udevd)
    assert node.kernel.state("ens6") == (False, 1500, ["enp0s6"])
    udevd.say("ens6", "move")
    await until(lambda: node.kernel.state("ens6") == (True, 9001, ["enp0s6", "data0"]))
    gone = {"macAddress": OTHER, "state": "Missing", "message": "the link is gone"}
    await node.until_reported(UP, gone)
    assert (
        node.status_writes() <= writes + 5
    )  # of the other link, which comes and goes twice, and one of this


async def test_a_link_that_keeps_its_name_is_ready_with_the_first_word(node: Node, udevd: Udevd) -> None:
    node.list_links(WISH)
    await node.start_agent()
    await node.until_reported(MISSING)
    node.kernel.ip(node.kernel.adding("ens6", MAC))
    udevd.say("ens6")
    await node.until_reported(UP)
    assert node.kernel.state("ens6") == (True, 9001, ["data0"])


async def test_unlisted_physical_links_wait_as_well(bare_node: Node, tmp_path: Path) -> None:
    node = bare_node
    udevd = Udevd(node.kernel)
    node.kernel.add_primary()
    sysfs = sysfs_with_pci(tmp_path / "sys", "eth0", "ens6", "other")
    await node.start_agent("--sysfs", sysfs, with_api=False)
    node.kernel.ip(node.kernel.adding("ens6", MAC))
    await until_heard(node, udevd)
    assert not node.kernel.state("ens6")[0]
    udevd.say("ens6")
    await until(lambda: node.kernel.state("ens6")[0])
    udevd.stop()


async def test_a_silent_udev_is_waited_for_so_long_and_no_longer(node: Node, udevd: Udevd) -> None:
    node.list_links(WISH)
    agent = await node.start_agent("--udev-timeout=2s", "--metrics-addr=127.0.0.1:9180")
    await node.until_reported(MISSING)
    began = time.monotonic()
    node.kernel.ip(node.kernel.adding("ens6", MAC))
    waiting = "not touched: udev has not said yet that it is done with the link"
    down = {"macAddress": MAC, "linkName": "ens6", "state": "Down", "mtu": 1500, "message": waiting}
    await node.until_reported(down)
    assert node.kernel.state("ens6") == RAW
    await node.until_reported(UP)
    assert time.monotonic() - began >= 2
    assert [(line["link"], line["timeout"]) for line in agent.said(SILENT)] == [("ens6", 2.0)]
    assert counted(node, "nodeeni_agent_udev_timeouts_total") == 1


@pytest.mark.parametrize("sender", ["another user", "past the group", "the kernel's group"])
async def test_only_what_root_says_to_udevs_group_counts(node: Node, udevd: Udevd, sender: str) -> None:
    node.list_links(WISH, {"macAddress": OTHER})
    await node.start_agent()
    await until(lambda: len(node.reported()) == 2)
    node.kernel.ip(node.kernel.adding("ens6", MAC))
    word = udevd.word("ens6")
    if sender == "another user":
        another_user()
        udevd.send(word, uid=1000)
    elif sender == "past the group":
        for port in ports(node.kernel):
            udevd.tell(port, word)
    else:
        udevd.send(word, group=1)
    await until_heard(node, udevd)
    assert node.kernel.state("ens6") == RAW


async def test_words_that_are_not_understood_are_silence_and_said_once(node: Node, udevd: Udevd) -> None:
    node.list_links(WISH)
    agent = await node.start_agent("--udev-timeout=1s")
    await node.until_reported(MISSING)
    node.kernel.ip(node.kernel.adding("ens6", MAC))
    for _ in range(3):
        udevd.say("ens6", magic=0xFEEDBEEF)
    udevd.send(b"libudev\0 and no more")
    await node.until_reported(UP)
    assert len(agent.said("udev speaks in a way that is not known here, its silence is waited for")) == 1
    assert len(agent.said(SILENT)) == 1


async def test_lost_words_are_silence(node: Node, udevd: Udevd) -> None:
    node.list_links(WISH)
    agent = await node.start_agent("--udev-timeout=1s", "--metrics-addr=127.0.0.1:9180")
    await node.until_reported(MISSING)
    node.kernel.ip(node.kernel.adding("pod0", "06:00:00:00:00:09"))
    agent.process.send_signal(signal.SIGSTOP)
    long = udevd.word("pod0", ID_MODEL="x" * 8000)
    for _ in range(4000):
        udevd.send(long)
    node.kernel.ip(node.kernel.adding("ens6", MAC))
    udevd.say("ens6")
    agent.process.send_signal(signal.SIGCONT)
    await node.until_reported(UP)
    assert counted(node, "nodeeni_agent_udev_overruns_total") >= 1
    assert len(agent.said(SILENT)) == 1


async def test_a_link_that_waits_since_before_the_start_waits_on(node: Node, udevd: Udevd) -> None:
    """The manager was started while udev was at work: one link is named already, on the other it works."""
    node.list_links(WISH, {"macAddress": OTHER, "mtu": 9000})
    node.kernel.ip(
        node.kernel.adding("eth1", MAC), node.kernel.adding("eth2", OTHER), "link set eth2 name ens7"
    )
    await node.start_agent()
    await until(lambda: node.kernel.state("ens7") == (True, 9000, []))
    assert node.kernel.state("eth1") == RAW
    node.kernel.ip("link set eth1 name ens6")
    udevd.say("ens6", "move")
    await until(lambda: node.kernel.state("ens6") == (True, 9001, ["data0"]))


async def test_a_link_that_udev_could_not_rename_is_served_late_and_told(node: Node, tmp_path: Path) -> None:
    """As the version before left them: on kernels before 6.2 a link that is up keeps the kernel's name."""
    udevd = Udevd(node.kernel)
    sysfs = sysfs_with_pci(tmp_path / "sys", "eth0", "eth1")
    node.list_links(WISH)
    agent = await node.start_agent("--sysfs", sysfs, "--udev-timeout=1s")
    await node.until_reported(MISSING)
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    udevd.say("eth1", INTERFACE="ens6", ID_RENAMING="1")
    note = (
        "eth1 is the kernel's name: the link was up before udev could rename it; ens6, udev's name for it, "
        "comes with the next reboot of the node, or when the ENI is attached anew"
    )
    await node.until_reported({**UP, "linkName": "eth1", "note": note})
    assert node.kernel.state("eth1") == (True, 9001, ["data0"])
    assert [line["note"] for line in agent.said("the link has another name than udev has for it")] == [note]
    udevd.stop()


async def test_a_link_that_somebody_renamed_has_no_wrong_name(node: Node, tmp_path: Path) -> None:
    """As a CNI plugin does. udev speaks of it a moment after the kernel."""
    udevd = Udevd(node.kernel)
    sysfs = sysfs_with_pci(tmp_path / "sys", "eth0", "ens6", "temp3")
    node.list_links(WISH)
    agent = await node.start_agent("--sysfs", sysfs)
    await node.until_reported(MISSING)
    node.kernel.ip(node.kernel.adding("eth1", MAC), "link set eth1 name ens6")
    udevd.say("ens6", ID_RENAMING="1")
    udevd.say("ens6", "move")
    await node.until_reported(UP)
    node.kernel.ip("link set ens6 name temp3")
    await node.until_reported({**UP, "linkName": "temp3"})
    assert [line for line in agent.log() if line["level"] == "warning"] == []
    udevd.stop()


async def test_a_name_that_came_out_wrong_before_the_start_is_told(node: Node, tmp_path: Path) -> None:
    """What udev said then nobody hears now; sysfs tells whose names the primary and this link have."""
    sysfs = sysfs_with_pci(tmp_path / "sys", "eth0", "eth1", "ens7")
    for name, origin in (("eth0", 4), ("eth1", 1), ("ens7", 4)):
        (Path(sysfs) / "class" / "net" / name / "name_assign_type").write_text(f"{origin}\n")
    node.kernel.ip(node.kernel.adding("eth1", MAC), "link set eth1 up", node.kernel.adding("ens7", OTHER))
    node.list_links(WISH, {"macAddress": OTHER})
    await node.start_agent("--sysfs", sysfs)
    note = (
        "eth1 is the kernel's name: the link was up before udev could rename it; udev's name for it "
        "comes with the next reboot of the node, or when the ENI is attached anew"
    )
    await node.until_reported({**UP, "linkName": "eth1", "note": note}, {**OTHER_UP, "linkName": "ens7"})


async def test_a_link_that_comes_back_is_waited_for_anew(node: Node, udevd: Udevd) -> None:
    """A late word on its former life does not count: udev says last of that that the link went."""
    node.list_links(WISH, {"macAddress": OTHER})
    await node.start_agent()
    await until(lambda: len(node.reported()) == 2)
    node.kernel.ip(node.kernel.adding("ens6", MAC))
    udevd.say("ens6")
    await until(lambda: node.kernel.state("ens6")[0])
    late = udevd.word("ens6"), udevd.word("ens6", ACTION="remove")
    node.kernel.ip(f"link set ens6 netns {node.kernel.switch}")
    node.kernel.on_switch(f"link set ens6 mtu 1500 netns {node.kernel.name}")
    for word in late:
        udevd.send(word)
    began = time.monotonic()
    while time.monotonic() < began + 1.5:  # longer than hands are kept off what comes back
        await until_heard(node, udevd)
    assert not node.kernel.state("ens6")[0]
    udevd.say("ens6")
    await until(lambda: node.kernel.state("ens6")[0])


async def test_a_link_that_comes_after_udev_has_gone_is_not_waited_for(node: Node, udevd: Udevd) -> None:
    node.list_links(WISH, {"macAddress": OTHER})
    agent = await node.start_agent()
    node.kernel.ip(node.kernel.adding("other", OTHER))
    udevd.say("other")
    await until(lambda: node.kernel.state("other")[0])
    udevd.stop()
    node.kernel.ip(node.kernel.adding("ens6", MAC))
    await until(lambda: node.kernel.state("ens6") == (True, 9001, ["data0"]))
    assert not agent.said(SILENT)


async def test_words_on_other_devices_wake_nobody(node: Node, udevd: Udevd) -> None:
    node.list_links(WISH)
    await node.start_agent()
    await node.until_reported(MISSING)
    await asleep(node)
    before = switches(node)
    for _ in range(100):
        udevd.say_of_a_disk()
    assert switches(node) == before


async def test_fifty_links_each_with_its_own_word(node: Node, udevd: Udevd) -> None:
    macs = [f"02:00:00:00:01:{n:02x}" for n in range(50)]
    node.list_links(*({"macAddress": mac, "interfaceName": f"data{n}"} for n, mac in enumerate(macs)))
    await node.start_agent()
    await until(lambda: len(node.reported()) == 50)
    node.kernel.ip(*(node.kernel.adding(f"eth{n + 1}", mac) for n, mac in enumerate(macs)))
    node.kernel.ip(*(f"link set eth{n + 1} name ens{n + 5}" for n in range(50)))
    words = [(udevd.word(f"ens{n + 5}", ID_RENAMING="1"), udevd.word(f"ens{n + 5}")) for n in range(50)]
    for pair in words:
        for word in pair:
            udevd.send(word)
    await until(lambda: all(node.kernel.links()[f"ens{n + 5}"].get("altnames") for n in range(50)))
    links = node.kernel.links()
    assert [links[f"ens{n + 5}"]["altnames"] for n in range(50)] == [[f"data{n}"] for n in range(50)]
    assert all("UP" in links[f"ens{n + 5}"]["flags"] for n in range(50))
