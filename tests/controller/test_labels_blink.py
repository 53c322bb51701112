"""Labels that go for a moment: an ENI that works stays, and what really lost its label still goes.

Graces that the tests do not wait out are hours, so that nothing here depends on the pace of the machine.
"""

from .conftest import Stage
from .holding import annotate, annotation, degraded, hold_id, identities, reasons

LONG = "--label-grace=1h"
OFF = "--mass-removal-delay=0"


async def test_a_label_that_blinks_costs_nothing(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(mtu=9000, interfaceName="data0")
    async with stage.controller(LONG):
        await stage.until_attached(node)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 1)
        await stage.until(lambda: stage.world.eninode(node.name) is not None)
        before, calls, eninode = identities(stage), stage.calls(), stage.world.eninode(node.name)
        for _ in range(10):
            stage.world.label(node.name, ng=None)
            await stage.until(lambda: stage.row(node).get("reason") == "LabelGone")
            stage.world.label(node.name, ng="multi-eni")
            await stage.until(lambda: stage.status()["desired"] == 1 and not stage.row(node).get("reason"))
    assert identities(stage) == before
    assert stage.calls() == calls
    assert stage.world.eninode(node.name) == eninode, "the ENI manager has nothing to do either"


async def test_during_the_grace_the_row_says_why_the_interface_is_still_there(stage: Stage) -> None:
    leaving, staying = await stage.node(), await stage.node()
    stage.apply()
    async with stage.controller(LONG, OFF):
        await stage.until_attached(leaving, staying)
        stage.world.label(leaving.name, ng=None)
        await stage.until(lambda: stage.row(leaving).get("reason") == "LabelGone")
        assert stage.row(leaving)["status"] == "attached"
        assert "unless the label comes back" in stage.row(leaving)["message"]
        await stage.until(lambda: (stage.status()["desired"], stage.status()["attached"]) == (1, 1))
        assert stage.condition("Ready")["status"] == "True"
        assert degraded(stage) == "AsDesired"
        assert len(stage.ours()) == 2


async def test_after_its_grace_the_interface_goes(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--label-grace=500ms"):
        await stage.until_attached(node)
        stage.world.label(node.name, ng=None)
        await stage.until(lambda: not stage.ours())


async def test_a_controller_that_starts_within_the_grace_gives_it_anew(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller(LONG):
        await stage.until_attached(node)
        before = identities(stage)
        stage.world.label(node.name, ng=None)
        await stage.until(lambda: stage.row(node).get("reason") == "LabelGone")
    async with stage.controller(LONG):
        await stage.until(lambda: stage.told("ENIAttached") and stage.status()["desired"] == 0)
        stage.world.label(node.name, ng="multi-eni")
        await stage.until(lambda: stage.status()["desired"] == 1)
        await stage.until_attached(node)
    assert identities(stage) == before
    async with stage.controller("--label-grace=300ms"):
        stage.world.label(node.name, ng=None)
        await stage.until(lambda: not stage.ours())


async def test_an_edit_of_the_selector_is_acted_on_at_once(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller(LONG, "--mass-removal-delay=1h"):
        await stage.until_attached(*nodes)
        stage.apply(nodeSelector={"ng": "nobody"})
        await stage.until(lambda: not stage.ours())


async def test_an_edit_of_anything_else_is_no_word_on_labels(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller(LONG):
        await stage.until_attached(node)
        stage.world.label(node.name, ng=None)
        await stage.until(lambda: stage.row(node).get("reason") == "LabelGone")
        stage.apply(description="edited")
        await stage.until(lambda: stage.status()["observedGeneration"] == 2)
        await stage.stays(lambda: len(stage.ours()) == 1, 0.5)


async def test_a_deletion_of_the_nodeeni_is_acted_on_at_once(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller(LONG, "--mass-removal-delay=1h"):
        await stage.until_attached(*nodes)
        for node in nodes:
            stage.world.label(node.name, ng=None)
        await stage.until(lambda: degraded(stage) == "RemovalDelayed")
        stage.delete()
        await stage.until_deleted()
    assert stage.ours() == []


async def test_a_move_to_another_nodeeni_that_waits_for_the_place_is_acted_on_at_once(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    stage.apply("other", nodeSelector={"ng": "other"})
    async with stage.controller(LONG, "--mass-removal-delay=1h"):
        await stage.until_attached(*nodes)
        for node in nodes:
            stage.world.label(node.name, ng="other")
        await stage.until_attached(*nodes, name="other")
        await stage.until(lambda: not stage.ours())
    assert len(stage.ours("other")) == 3


async def test_a_mass_of_labels_that_are_gone_is_only_delayed(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(4)]
    stage.apply()
    async with stage.controller("--label-grace=1s", "--mass-removal-delay=6s"):
        await stage.until_attached(*nodes)
        before = identities(stage)
        for node in nodes:
            stage.world.label(node.name, ng=None)
        await stage.until(lambda: degraded(stage) == "RemovalDelayed")
        assert stage.condition("Degraded")["status"] == "True"
        assert "4 of 4 Nodes" in stage.condition("Degraded")["message"]
        await stage.until(lambda: reasons(stage, nodes) == {"RemovalDelayed"})
        await stage.until(lambda: "RemovalHeld" in stage.reasons())
        assert identities(stage) == before
        await stage.until(lambda: not stage.ours())
        await stage.until(lambda: degraded(stage) == "AsDesired")


async def test_a_mass_of_labels_that_come_back_one_by_one_loses_nothing(stage: Stage) -> None:
    """Also when but two of eight are still away, which are no mass by themselves."""
    nodes = [await stage.node() for _ in range(8)]
    stage.apply()
    async with stage.controller("--label-grace=1s", "--mass-removal-delay=1h"):
        await stage.until_attached(*nodes)
        before = identities(stage)
        for node in nodes:
            stage.world.label(node.name, ng=None)
        await stage.until(lambda: reasons(stage, nodes) == {"RemovalDelayed"})
        for node in nodes[:-1]:
            stage.world.label(node.name, ng="multi-eni")
        await stage.until(lambda: stage.status()["desired"] == 7)
        await stage.stays(lambda: stage.row(nodes[-1]).get("reason") == "RemovalDelayed", 1.5)
        stage.world.label(nodes[-1].name, ng="multi-eni")
        await stage.until(lambda: stage.status()["attached"] == 8 and degraded(stage) == "AsDesired")
    assert identities(stage) == before


async def test_somebody_lets_a_delayed_removal_go_on(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller("--label-grace=200ms", "--mass-removal-delay=1h"):
        await stage.until_attached(*nodes)
        for node in nodes:
            stage.world.label(node.name, ng=None)
        await stage.until(lambda: "3 of 3" in stage.condition("Degraded").get("message", ""))
        annotate(stage, hold_id(stage))
        await stage.until(lambda: not stage.ours())
        await stage.until(lambda: annotation(stage) is None)
        await stage.until(lambda: degraded(stage) == "AsDesired")
        await stage.until(lambda: "Normal" in {kind for kind, _ in stage.told("RemovalHeld")})


async def test_an_id_of_no_removal_lets_nothing_go_and_is_taken_off(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller("--label-grace=200ms", "--mass-removal-delay=1h"):
        await stage.until_attached(*nodes)
        before = identities(stage)
        for node in nodes:
            stage.world.label(node.name, ng=None)
        await stage.until(lambda: reasons(stage, nodes) == {"RemovalDelayed"})
        annotate(stage, "0123456789ab")
        await stage.until(lambda: annotation(stage) is None)
        await stage.until(lambda: any("no removal 0123456789ab" in text for _, text in stage.events()))
    assert identities(stage) == before


async def test_some_of_many_that_lose_their_label_are_believed(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(8)]
    stage.apply()
    async with stage.controller("--label-grace=300ms", "--mass-removal-delay=1h"):
        await stage.until_attached(*nodes)
        for node in nodes[:2]:
            stage.world.label(node.name, ng=None)
        await stage.until(lambda: len(stage.ours()) == 6)
        assert degraded(stage) == "AsDesired"
