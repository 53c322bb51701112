"""Others work on the same links, and a kernel has more to tell than concerns us."""

import asyncio
import signal
import threading
from pathlib import Path

from tests.agent.situation import GROUP, NODE, PLURAL, Node, until

MAC = "02:00:00:00:00:01"
WISH = {"macAddress": MAC, "mtu": 9001, "interfaceName": "multus"}
UP = {"macAddress": MAC, "linkName": "eth1", "interfaceName": "multus", "state": "Up", "mtu": 9001}


async def configured(node: Node) -> None:
    node.list_links(WISH)
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await node.start_agent("--metrics-addr=127.0.0.1:9180")
    await node.until_reported(UP)


def counted(node: Node, metric: str) -> int:
    _, text = node.kernel.fetch(9180, "/metrics")
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(metric))


async def test_what_someone_else_changed_is_put_right_and_counted(node: Node) -> None:
    await configured(node)
    node.kernel.ip("link set eth1 down")
    await until(lambda: node.kernel.state("eth1")[0])
    node.kernel.ip("link set eth1 mtu 1400")
    await until(lambda: node.kernel.state("eth1")[1] == 9001)
    node.kernel.ip("link set eth1 down", "link property del dev eth1 altname multus")
    await until(lambda: node.kernel.state("eth1") == (True, 9001, ["multus"]))
    await until(lambda: counted(node, "nodeeni_agent_link_corrections_total") == 4)
    await until(lambda: len(node.agents[0].said("link put right")) >= 3)  # told once the kernel is quiet


async def test_a_fight_is_slowed_down_and_reported(node: Node) -> None:
    await configured(node)
    for _ in range(5):
        node.kernel.ip("link set eth1 down")
        await until(lambda: node.kernel.state("eth1")[0])
    node.kernel.ip("link set eth1 down")
    message = "another program keeps setting this link down: put right 5 times a minute at most"
    await node.until_reported({**UP, "state": "Down", "message": message})
    assert counted(node, "nodeeni_agent_link_corrections_total") == 5
    node.kernel.ip("link set eth1 up")
    await node.until_reported(UP)


async def test_a_status_that_somebody_wipes_is_told_again_ever_more_slowly(node: Node) -> None:
    await configured(node)

    def wipe() -> None:
        node.kube.patch(GROUP, PLURAL, NODE, {"status": {"interfaces": []}}, subresource="status")

    for _ in range(5):
        wipe()
        await node.until_reported(UP)
    wipe()
    fought = "another program keeps changing our ENINode's status: put right ever more slowly"
    await until(lambda: node.agents[0].said(fought))
    before = node.status_writes()
    wipe()
    await asyncio.sleep(1.0)
    assert (node.status_writes(), node.reported()) == (before, [])
    assert len(node.agents[0].said(fought)) == 1
    node.kernel.ip("link del eth1")  # what is new is told at once
    await until(lambda: [entry["state"] for entry in node.reported()] == ["Missing"])


async def test_ten_thousand_foreign_events_change_nothing(node: Node) -> None:
    await configured(node)
    node.kernel.ip(node.kernel.adding("pod0", "06:00:00:00:00:09"))
    before = node.kernel.links()["pod0"]
    writes = node.status_writes()
    toggles = [f"link set pod0 mtu {1400 + n % 2}" for n in range(10_000)]
    await asyncio.to_thread(node.kernel.ip, *toggles, "link set pod0 mtu 1500")
    node.kernel.ip("link set eth1 down")
    await until(lambda: node.kernel.state("eth1")[0])
    await until(lambda: counted(node, "nodeeni_agent_netlink_messages_total") >= 10_000)
    assert node.kernel.links()["pod0"] == before
    assert node.status_writes() <= writes + 2


async def test_a_link_is_reported_amid_a_storm_that_does_not_end(node: Node) -> None:
    node.list_links(WISH)
    await node.start_agent()
    await until(lambda: len(node.reported()) == 1)
    node.kernel.ip(node.kernel.adding("pod0", "06:00:00:00:00:09"))
    over = threading.Event()

    def storm() -> None:
        while not over.is_set():
            node.kernel.ip(*(f"link set pod0 mtu {1400 + n % 2}" for n in range(1_000)))

    raging = asyncio.create_task(asyncio.to_thread(storm))
    try:
        node.kernel.ip(node.kernel.adding("eth1", MAC))
        await node.until_reported(UP)
    finally:
        over.set()
        await raging


async def test_events_lost_while_the_agent_was_stopped(node: Node) -> None:
    await configured(node)
    agent = node.agents[0].process
    node.kernel.ip(node.kernel.adding("pod0", "06:00:00:00:00:09"))
    agent.send_signal(signal.SIGSTOP)
    toggles = [f"link set pod0 mtu {1400 + n % 2}" for n in range(8_000)]
    await asyncio.to_thread(node.kernel.ip, *toggles, "link del eth1", node.kernel.adding("eth2", MAC))
    agent.send_signal(signal.SIGCONT)
    await node.until_reported({**UP, "linkName": "eth2"})
    assert node.kernel.state("eth2") == (True, 9001, ["multus"])
    assert counted(node, "nodeeni_agent_netlink_overruns_total") == 1


async def test_the_safety_check_finds_what_no_event_told(node: Node) -> None:
    """The kernel is silent about alternative names of a link that is down; here it is the whole reason."""
    node.kernel.ip(
        node.kernel.adding("other", "06:00:00:00:00:09"), "link property add dev other altname multus"
    )
    node.list_links(WISH)
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await node.start_agent("--check-interval=200ms")
    taken = "interfaceName multus is a name of link other: choose another"
    nameless = {key: value for key, value in UP.items() if key != "interfaceName"}
    await node.until_reported({**nameless, "message": taken})
    node.kernel.ip("link property del dev other altname multus")
    await node.until_reported(UP)


def switches(node: Node) -> int:
    """Times that the agent's threads have gone to sleep."""
    tasks = Path(f"/proc/{node.agents[0].process.pid}/task").glob("*/status")
    lines = [line for task in tasks for line in task.read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt"))


async def asleep(node: Node) -> None:
    """Wait until the agent does nothing: its own patch comes back by the watch, IPv6 settles its routes."""

    async def quiet() -> bool:
        before = switches(node)
        await asyncio.sleep(1.5)  # what is awaited is that nothing happens
        return switches(node) == before

    async with asyncio.timeout(10):
        while not await quiet():
            pass


async def test_an_idle_agent_sleeps(node: Node) -> None:
    await configured(node)
    await asleep(node)


async def test_an_agent_sleeps_though_an_older_crd_drops_a_part_of_the_status(node: Node) -> None:
    name = "eninodes.networking.k8s.aws"
    definition = node.kube.get("apiextensions.k8s.io", "customresourcedefinitions", name)
    assert definition is not None
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["status"]["properties"]["interfaces"]["items"]["properties"]["interfaceName"]
    node.kube.apply(definition)
    node.list_links(WISH)
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await node.start_agent()
    await node.until_reported({key: value for key, value in UP.items() if key != "interfaceName"})
    await asleep(node)
