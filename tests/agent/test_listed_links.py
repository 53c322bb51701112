"""Links that the ENINode lists: found by MAC address, configured when the kernel shows them, reported."""

from tests.agent.situation import GROUP, NODE, PLURAL, Node, until

MAC = "02:00:00:00:00:01"
OTHER = "02:00:00:00:00:02"
MISSING = {"macAddress": MAC, "state": "Missing", "message": "no link with this MAC address yet"}


def wish(mac: str = MAC, mtu: int | None = 9001, name: str | None = "multus") -> dict[str, object]:
    optional = {"mtu": mtu, "interfaceName": name}
    return {"macAddress": mac, **{key: value for key, value in optional.items() if value is not None}}


def up(
    name: str = "eth1", mac: str = MAC, mtu: int = 9001, given: str | None = "multus", **more: str
) -> dict[str, object]:
    named = {"interfaceName": given} if given else {}
    return {"macAddress": mac, "linkName": name, **named, "state": "Up", "mtu": mtu, **more}


async def test_intent_before_event(node: Node) -> None:
    node.list_links(wish())
    await node.start_agent()
    await node.until_reported(MISSING)
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await until(lambda: node.kernel.state("eth1") == (True, 9001, ["multus"]))
    await node.until_reported(up())
    assert node.status()["observedGeneration"] == 1
    assert node.status_writes() == 2


async def test_event_before_intent(node: Node) -> None:
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await node.start_agent()
    before = node.kernel.links()
    node.list_links(wish())
    await until(lambda: node.kernel.state("eth1") == (True, 9001, ["multus"]))
    await node.until_reported(up())
    assert node.status_writes() == 1
    after = node.kernel.links()
    assert {**after, "eth1": None} == {**before, "eth1": None}


async def test_a_restarted_agent_has_nothing_to_do_and_nothing_to_say(node: Node) -> None:
    node.list_links(wish())
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    first = await node.start_agent()
    await node.until_reported(up())
    await first.stop()
    # The kernel tells of the missing carrier (the other end is down) a moment after the link is up.
    await until(lambda: "NO-CARRIER" in node.kernel.links()["eth1"]["flags"])
    status, links = node.status(), node.kernel.links()
    second = await node.start_agent()
    node.list_links(wish(), wish("02:00:00:00:00:02", None, None))
    await until(lambda: len(node.reported()) == 2)
    assert node.status()["interfaces"][0] == status["interfaces"][0]
    assert node.kernel.links() == links
    assert second.said("link configured") == []


async def test_a_burst_of_fifty(node: Node) -> None:
    macs = [f"02:00:00:00:01:{n:02x}" for n in range(50)]
    node.list_links(*(wish(mac, name=f"multus{n}") for n, mac in enumerate(macs)))
    await node.start_agent()
    await until(lambda: len(node.reported()) == 50)
    node.kernel.ip(*(node.kernel.adding(f"eth{n + 1}", mac) for n, mac in enumerate(macs)))
    await node.until_reported(*(up(f"eth{n + 1}", mac, given=f"multus{n}") for n, mac in enumerate(macs)))
    links = node.kernel.links()
    assert [links[f"eth{n + 1}"]["altnames"] for n in range(50)] == [[f"multus{n}"] for n in range(50)]
    assert node.status_writes() <= 4


async def test_links_renamed_while_they_are_set_up(node: Node) -> None:
    macs = [f"02:00:00:00:01:{n:02x}" for n in range(10)]
    node.list_links(*(wish(mac, name=f"multus{n}") for n, mac in enumerate(macs)))
    await node.start_agent()
    await until(lambda: len(node.reported()) == 10)
    commands = []
    for n, mac in enumerate(macs):
        commands += [node.kernel.adding(f"eth{n + 1}", mac), f"link set eth{n + 1} name ens{n + 5}"]
    node.kernel.ip(*commands)
    await node.until_reported(*(up(f"ens{n + 5}", mac, given=f"multus{n}") for n, mac in enumerate(macs)))
    assert all(node.kernel.state(f"ens{n + 5}") == (True, 9001, [f"multus{n}"]) for n in range(10))


async def test_unplugged_while_they_are_set_up(node: Node) -> None:
    """The kernel's answer is often that there is no such link; the others are done all the same."""
    macs = [f"02:00:00:00:01:{n:02x}" for n in range(20)]
    node.list_links(*(wish(mac, name=f"multus{n}") for n, mac in enumerate(macs)))
    agent = await node.start_agent()
    await until(lambda: len(node.reported()) == 20)
    staying = range(1, 20, 2)
    for _ in range(5):
        adding = [node.kernel.adding(f"eth{n + 1}", mac) for n, mac in enumerate(macs)]
        removing = [f"link del eth{n + 1}" for n in range(0, 20, 2)]
        node.kernel.ip(*adding, *removing)
        await until(
            lambda: all(node.kernel.state(f"eth{n + 1}") == (True, 9001, [f"multus{n}"]) for n in staying)
        )
        node.kernel.ip(*(f"link del eth{n + 1}" for n in staying))
    gone = {"state": "Missing", "message": "the link is gone"}
    await node.until_reported(*({"macAddress": mac, **gone} for mac in macs))
    assert [line for line in agent.log() if line["level"] != "info"] == []


async def test_unplugged_and_plugged_in_again(node: Node) -> None:
    node.list_links(wish())
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await node.start_agent()
    await node.until_reported(up())
    node.kernel.ip("link del eth1")
    await node.until_reported({**MISSING, "message": "the link is gone"})
    node.kernel.ip(node.kernel.adding("eth7", MAC))
    await node.until_reported(up("eth7"))
    assert node.kernel.state("eth7") == (True, 9001, ["multus"])


async def test_moved_into_a_pod_and_back(node: Node) -> None:
    node.list_links(wish())
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    agent = await node.start_agent()
    await node.until_reported(up())
    node.kernel.ip(f"link set eth1 netns {node.kernel.switch}")
    moved = "the link was moved into another network namespace"
    await node.until_reported({**MISSING, "message": moved, "inPod": True})
    node.kernel.on_switch(f"link set eth1 mtu 1500 netns {node.kernel.name}")
    await node.until_reported(up())
    assert node.kernel.state("eth1") == (True, 9001, ["multus"])
    assert [line for line in agent.log() if line["level"] != "info"] == []


async def test_the_spec_changes_and_goes(node: Node) -> None:
    node.list_links(wish(mtu=None, name=None))
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await node.start_agent()
    await node.until_reported(up(mtu=1500, given=None))
    assert node.kernel.state("eth1") == (True, 1500, [])
    node.list_links(wish(mtu=8000))
    await node.until_reported(up(mtu=8000))
    assert node.kernel.state("eth1") == (True, 8000, ["multus"])
    node.list_links()
    await node.until_reported()
    await until(lambda: node.status()["observedGeneration"] == 3)
    node.kube.delete(GROUP, PLURAL, NODE)
    node.list_links(wish(mtu=7000))
    await node.until_reported(up(mtu=7000))


async def test_a_wiped_status_is_written_again(node: Node) -> None:
    node.list_links(wish())
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await node.start_agent()
    await node.until_reported(up())
    node.kube.patch(GROUP, PLURAL, NODE, {"status": None}, subresource="status")
    assert node.reported() == []
    await node.until_reported(up())


async def test_a_name_that_is_taken_is_reported_until_it_is_free(node: Node) -> None:
    node.kernel.ip(
        node.kernel.adding("other", "06:00:00:00:00:09"),
        "link set other up",
        "link property add dev other altname multus",
    )
    node.list_links(wish())
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await node.start_agent()
    await node.until_reported(
        up(given=None, message="interfaceName multus is a name of link other: choose another")
    )
    assert node.kernel.state("eth1") == (True, 9001, [])
    node.kernel.ip("link property del dev other altname multus")
    await node.until_reported(up())
    assert node.kernel.state("eth1") == (True, 9001, ["multus"])


async def test_an_mtu_that_the_link_cannot_have_is_reported_and_the_rest_done(node: Node) -> None:
    node.list_links(wish(mtu=70_000))
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await node.start_agent()
    await node.until_reported(up(mtu=1500, message="mtu 70000 is above what eth1 allows, 65535"))
    assert node.kernel.state("eth1") == (True, 1500, ["multus"])


async def test_links_above_an_eni_are_not_touched(node: Node) -> None:
    """Multus' macvlan in bridge mode bears the ENI's own address."""
    kernel = node.kernel
    kernel.ip(
        kernel.adding("eth1", MAC),
        f"link add link eth1 name net1 address {MAC} type macvlan mode bridge",
        f"link add br1 address {MAC} type bridge",
    )
    await node.start_agent()
    before = kernel.links()
    node.list_links(wish())
    await node.until_reported(up())
    after = kernel.links()
    assert (after["net1"]["mtu"], "UP" in after["net1"]["flags"]) == (1500, False)
    assert after["br1"] == before["br1"]
    kernel.ip("link del eth1")  # takes its macvlan along
    await node.until_reported(
        {**MISSING, "message": "only br1 has this MAC address, a bridge link and no ENI"}
    )
    assert kernel.links()["br1"] == before["br1"]


async def test_a_name_that_is_no_longer_wanted_goes(node: Node) -> None:
    node.list_links(wish(name="first"))
    node.kernel.ip(node.kernel.adding("eth1", MAC), "link property add dev eth1 altname enp0s6")
    await node.start_agent()
    await node.until_reported(up(given="first"))
    node.list_links(wish(name="second"))
    await node.until_reported(up(given="second"))
    assert node.kernel.state("eth1") == (True, 9001, ["enp0s6", "second"])
    node.list_links(wish(name=None))
    await node.until_reported(up(given=None))
    assert node.kernel.state("eth1") == (True, 9001, ["enp0s6"])


async def test_names_of_an_earlier_run_are_known_by_the_status(node: Node) -> None:
    node.list_links(wish(name="first"))
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    first = await node.start_agent()
    await node.until_reported(up(given="first"))
    await first.stop()
    node.kernel.ip("link property add dev eth1 altname enp0s6")
    node.list_links(wish(name="second"))
    await node.start_agent()
    await node.until_reported(up(given="second"))
    assert node.kernel.state("eth1") == (True, 9001, ["enp0s6", "second"])


async def test_a_name_that_someone_else_gave_stays_though_it_was_wanted_once(node: Node) -> None:
    node.kernel.ip(node.kernel.adding("eth1", MAC), "link property add dev eth1 altname enp0s6")
    node.list_links(wish(name="enp0s6"))
    await node.start_agent()
    await node.until_reported(up(given=None))
    node.list_links(wish(name="multus"))
    await node.until_reported(up())
    assert node.kernel.state("eth1") == (True, 9001, ["enp0s6", "multus"])


async def test_a_link_has_its_nodeeni_as_alias_and_keeps_another_one(node: Node) -> None:
    """What selects devices by the alias of their link, such as a claim by `dra.net/alias`, finds them so."""
    node.kernel.ip(node.kernel.adding("eth1", MAC), node.kernel.adding("eth2", OTHER))
    node.kernel.ip("link set eth2 alias rack-7")
    node.list_links(wish(), wish(OTHER, name="other"))
    await node.start_agent()
    await node.until_reported(up(), up("eth2", OTHER, given="other"))
    links = node.kernel.links()
    assert (links["eth1"]["ifalias"], links["eth2"]["ifalias"]) == ("multus", "rack-7")
    for nobodys in ('""', "eth2"):  # its own name: what CNI's host-device left
        node.kernel.ip(f"link set eth2 alias {nobodys}")
        await until(lambda: node.kernel.links()["eth2"].get("ifalias") == "multus")
    node.kernel.ip("link set eth1 alias another")
    await until(lambda: node.kernel.links()["eth1"]["ifalias"] == "another")
    node.list_links(wish(mtu=1400), wish(OTHER, name="other"))
    await until(lambda: node.kernel.state("eth1")[1] == 1400)
    assert node.kernel.links()["eth1"]["ifalias"] == "another"


async def test_two_links_exchange_their_names(node: Node) -> None:
    other = "02:00:00:00:00:02"
    node.kernel.ip(node.kernel.adding("eth1", MAC), node.kernel.adding("eth2", other))
    node.list_links(wish(name="left"), wish(other, name="right"))
    await node.start_agent()
    await node.until_reported(up(given="left"), up("eth2", other, given="right"))
    node.list_links(wish(name="right"), wish(other, name="left"))
    await node.until_reported(up(given="right"), up("eth2", other, given="left"))
    assert node.kernel.state("eth1") == (True, 9001, ["right"])
    assert node.kernel.state("eth2") == (True, 9001, ["left"])


async def test_a_link_keeps_its_name_where_the_new_one_cannot_be_had(node: Node) -> None:
    """What goes by the former name, such as Multus' `master`, goes on until the new one is there."""
    node.list_links(wish(name="first"))
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await node.start_agent()
    await node.until_reported(up(given="first"))
    node.list_links(wish(name="eth0"))
    refused = "interfaceName eth0 is a name of link eth0: choose another"
    await node.until_reported(up(given="first", message=refused))
    assert node.kernel.state("eth1") == (True, 9001, ["first"])
    node.list_links(wish(name="second"))
    await node.until_reported(up(given="second"))
    assert node.kernel.state("eth1") == (True, 9001, ["second"])


async def test_the_kernel_refuses_the_new_name_and_the_former_stays(node: Node) -> None:
    """A name that no link has, and that is longer than the kernel takes."""
    node.list_links(wish(name="first"))
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await node.start_agent()
    await node.until_reported(up(given="first"))
    node.list_links(wish(name="x" * 128))
    await until(lambda: node.reported()[0].get("message"))
    (reported,) = node.reported()
    assert reported["message"].startswith(f"altname {'x' * 128} failed: ")
    assert {**reported, "message": ""} == up(given="first", message="")
    assert node.kernel.state("eth1") == (True, 9001, ["first"])


async def test_names_that_move_on_from_link_to_link(node: Node) -> None:
    """Each waits until the next has let go of the name; none is without one for longer than that takes."""
    macs = [f"02:00:00:00:01:{n:02x}" for n in range(4)]
    node.kernel.ip(*(node.kernel.adding(f"eth{n + 1}", mac) for n, mac in enumerate(macs)))
    node.list_links(*(wish(mac, name=f"name{n}") for n, mac in enumerate(macs)))
    await node.start_agent()
    await node.until_reported(*(up(f"eth{n + 1}", mac, given=f"name{n}") for n, mac in enumerate(macs)))
    node.list_links(*(wish(mac, name=f"name{n + 1}") for n, mac in enumerate(macs)))
    await node.until_reported(*(up(f"eth{n + 1}", mac, given=f"name{n + 1}") for n, mac in enumerate(macs)))
    links = node.kernel.links()
    assert [links[f"eth{n + 1}"]["altnames"] for n in range(4)] == [[f"name{n + 1}"] for n in range(4)]


async def test_three_links_pass_their_names_round(node: Node) -> None:
    macs = [f"02:00:00:00:01:{n:02x}" for n in range(3)]
    node.kernel.ip(*(node.kernel.adding(f"eth{n + 1}", mac) for n, mac in enumerate(macs)))
    node.list_links(*(wish(mac, name=f"name{n}") for n, mac in enumerate(macs)))
    await node.start_agent()
    await node.until_reported(*(up(f"eth{n + 1}", mac, given=f"name{n}") for n, mac in enumerate(macs)))
    after = [(n + 1) % 3 for n in range(3)]
    node.list_links(*(wish(mac, name=f"name{n}") for n, mac in zip(after, macs, strict=True)))
    await node.until_reported(
        *(up(f"eth{n + 1}", mac, given=f"name{after[n]}") for n, mac in enumerate(macs))
    )
    links = node.kernel.links()
    assert [links[f"eth{n + 1}"]["altnames"] for n in range(3)] == [[f"name{n}"] for n in after]
