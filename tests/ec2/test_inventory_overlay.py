"""What the inventory shows when EC2's reads lag our writes: rules one by one, and properties of all."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from nodeeni.api.names import TAG_CLUSTER, interface_tags
from nodeeni.ec2.attributes import DELETE_ON_TERMINATION, DESCRIPTION, GROUPS, SOURCE_DEST_CHECK
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.types import Attachment, Interface

CLUSTER = "cluster-under-test"
LAG, GAP = 60.0, 5.0
ATTACHING = Attachment("eni-attach-1", "i-1", 2, 0, "attaching")
ATTACHED = replace(ATTACHING, status="attached")
DETACHING = replace(ATTACHING, status="detaching")

# These tests hand reads in themselves: no call is ever made through this client.
NO_CLIENT = EC2Client(None, lambda action, seconds, error: None, lambda item: None)


def an_interface(eni_id: str = "eni-1", **changes: Any) -> Interface:
    tags = interface_tags(cluster_id=CLUSTER, nodeeni="multus", uid="uid-1", node="node-1", instance_id="i-1")
    made = Interface(eni_id, "available", "subnet-1", "vpc-1", "02:00:00:00:00:01", tags=tags)
    return replace(made, **changes)


ENI = an_interface()
IN_USE = an_interface(status="in-use", attachment=ATTACHED)


class Scene:
    """An inventory with a clock, and what its listener heard."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.inventory = Inventory(NO_CLIENT, CLUSTER, lag=LAG, gap=GAP, clock=lambda: self.now)
        self.heard: list[tuple[Interface | None, Interface | None]] = []
        self.inventory.add_listener(lambda before, after: self.heard.append((before, after)))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def read(
        self, *shown: Interface, ago: float = 0.0, asked: list[str] | None = None, uid: str | None = None
    ) -> None:
        self.inventory.observe(shown, self.now - ago, asked_ids=asked, uid=uid)

    @property
    def attachment(self) -> Attachment | None:
        found = self.inventory.get("eni-1")
        assert found is not None
        return found.attachment


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_created_interface_stays_through_reads_that_lack_it(scene: Scene) -> None:
    scene.inventory.note_created(ENI)
    for _ in range(11):
        scene.pass_time(5)
        scene.read()
    assert (scene.inventory.all(), scene.inventory.young("eni-1")) == ([ENI], True)
    scene.pass_time(LAG)
    assert scene.inventory.young("eni-1") is False


def test_one_absence_is_no_proof_and_two_too_close_are_none(scene: Scene) -> None:
    scene.read(ENI)
    scene.pass_time(100)
    scene.read()
    assert (scene.inventory.get("eni-1"), scene.inventory.absent("eni-1")) == (ENI, True)
    scene.pass_time(GAP - 1)
    scene.read()
    assert scene.inventory.get("eni-1") == ENI
    scene.pass_time(1)
    scene.read()
    assert scene.inventory.all() == []
    assert scene.heard == [(None, ENI), (ENI, ENI), (ENI, None)]


def test_a_sighting_between_two_absences_starts_the_count_anew(scene: Scene) -> None:
    scene.read(ENI)
    scene.pass_time(LAG)
    for shown in ((), (ENI,), ()):
        scene.pass_time(10)
        scene.read(*shown)
    assert scene.inventory.all() == [ENI]
    assert scene.heard == [(None, ENI), *[(ENI, ENI)] * 3]  # absent, back, absent again


def test_what_a_predecessor_made_may_be_as_young_as_our_first_sight_of_it(scene: Scene) -> None:
    scene.read(ENI)
    for _ in range(5):  # answered by a replica of EC2 that lags further behind than the first
        scene.pass_time(10)
        scene.read()
    assert scene.inventory.all() == [ENI]
    for _ in range(2):
        scene.pass_time(10)
        scene.read()
    assert scene.inventory.all() == []


def test_the_cluster_tag_taken_off_by_hand_loses_nothing(scene: Scene) -> None:
    scene.read(ENI)
    untagged = replace(ENI, tags={k: v for k, v in ENI.tags.items() if k != TAG_CLUSTER})
    for _ in range(3):
        scene.pass_time(LAG)
        scene.read()  # by the tag it is not found
        scene.read(untagged, asked=["eni-1"])
    assert scene.inventory.all() == [untagged]


def test_one_that_another_cluster_has_claimed_is_no_longer_ours(scene: Scene) -> None:
    scene.read(ENI)
    claimed = replace(ENI, tags={**ENI.tags, TAG_CLUSTER: "another"})
    for _ in range(3):
        scene.pass_time(LAG)
        scene.read(claimed, asked=["eni-1"])
    assert scene.inventory.all() == []


def test_a_read_of_other_interfaces_says_nothing_of_this_one(scene: Scene) -> None:
    scene.read(ENI)
    for _ in range(3):
        scene.pass_time(100)
        scene.read(asked=["eni-2"])
    assert scene.inventory.all() == [ENI]


def test_a_deleted_interface_does_not_rise_from_a_read_that_lags(scene: Scene) -> None:
    scene.read(ENI)
    scene.inventory.note_deleted("eni-1")
    scene.pass_time(LAG - 1)
    scene.read(ENI)
    assert scene.inventory.all() == []
    scene.pass_time(2)
    scene.read(ENI)
    assert scene.inventory.all() == [ENI]


def test_a_create_answered_with_an_interface_that_we_deleted_is_told(scene: Scene) -> None:
    assert scene.inventory.note_created(ENI) is True
    scene.inventory.note_deleted("eni-1")
    assert scene.inventory.note_created(ENI) is False
    assert scene.inventory.all() == []


def test_an_attachment_stays_until_reads_show_it(scene: Scene) -> None:
    scene.read(ENI)
    scene.inventory.note_attaching("eni-1", ATTACHING)
    for _ in range(5):
        scene.pass_time(6)
        scene.read(ENI)
        assert scene.attachment == ATTACHING
    scene.read(IN_USE)
    assert scene.attachment == ATTACHED
    scene.pass_time(1)
    scene.read(ENI)
    assert scene.attachment is None  # it had been shown: somebody detached it


def test_an_attachment_that_never_shows_is_given_up_after_the_lag(scene: Scene) -> None:
    scene.read(ENI)
    scene.inventory.note_attaching("eni-1", ATTACHING)
    scene.pass_time(LAG + 1)
    scene.read(ENI)
    assert scene.attachment is None


def test_a_read_begun_before_a_write_does_not_undo_it(scene: Scene) -> None:
    scene.read(IN_USE)
    scene.pass_time(10)
    scene.inventory.note_detaching("eni-1")
    scene.read(IN_USE, ago=1)
    assert scene.attachment == DETACHING


def test_evidence_from_the_node_outruns_a_read_that_still_says_attaching(scene: Scene) -> None:
    scene.read(ENI)
    scene.inventory.note_attaching("eni-1", ATTACHING)
    scene.inventory.note_attached("eni-1")
    scene.pass_time(1)
    scene.read(an_interface(status="in-use", attachment=ATTACHING))
    assert scene.attachment == ATTACHED
    scene.pass_time(1)
    scene.read(IN_USE)
    assert scene.attachment == ATTACHED


def test_a_detach_soon_after_an_attach_is_not_taken_as_done_by_a_read_from_before_both(scene: Scene) -> None:
    scene.read(ENI)
    scene.inventory.note_attaching("eni-1", ATTACHING)
    scene.pass_time(5)
    scene.inventory.note_detaching("eni-1")
    scene.pass_time(5)
    scene.read(ENI)
    assert scene.attachment == DETACHING
    scene.read(IN_USE)
    assert scene.attachment == DETACHING
    scene.pass_time(5)
    scene.read(ENI)
    assert scene.attachment is None


def test_a_detached_interface_stays_so_while_reads_lag(scene: Scene) -> None:
    scene.read(IN_USE)
    scene.inventory.note_detached("eni-1")
    scene.pass_time(20)
    scene.read(an_interface(status="detaching", attachment=DETACHING))
    assert (scene.inventory.get("eni-1"), scene.attachment) == (ENI, None)


def test_attached_again_elsewhere_by_hand_is_shown_at_once(scene: Scene) -> None:
    moved = Attachment("eni-attach-9", "i-9", 1)
    scene.read(IN_USE)
    scene.pass_time(1)
    scene.inventory.note_detaching("eni-1")
    scene.pass_time(1)
    scene.read(an_interface(status="in-use", attachment=moved))
    assert scene.attachment == moved
    assert [found.id for found in scene.inventory.of_instance("i-9")] == ["eni-1"]
    assert [found.id for found in scene.inventory.of_instance("i-1")] == ["eni-1"]  # by its tag


def test_our_changes_of_attributes_stay_until_shown_then_others_changes_count(scene: Scene) -> None:
    scene.read(IN_USE)
    scene.inventory.note_modified("eni-1", GROUPS, ("sg-2",))
    scene.inventory.note_modified("eni-1", DESCRIPTION, "ours")
    scene.inventory.note_modified("eni-1", SOURCE_DEST_CHECK, False)
    scene.inventory.note_modified("eni-1", DELETE_ON_TERMINATION, True)
    scene.inventory.note_tags("eni-1", {"team": "ran", "Name": None})
    scene.pass_time(1)
    scene.read(IN_USE)
    changed = replace(
        IN_USE,
        group_ids=("sg-2",),
        description="ours",
        source_dest_check=False,
        attachment=replace(ATTACHED, delete_on_termination=True),
        tags={key: value for key, value in IN_USE.tags.items() if key != "Name"} | {"team": "ran"},
    )
    assert scene.inventory.get("eni-1") == changed
    scene.read(changed)
    scene.pass_time(1)
    scene.read(replace(changed, description="by hand"))
    assert scene.inventory.get("eni-1") == replace(changed, description="by hand")


def test_a_change_that_never_shows_is_given_up_after_the_lag(scene: Scene) -> None:
    scene.read(ENI)
    scene.inventory.note_modified("eni-1", DESCRIPTION, "ours")
    scene.pass_time(LAG + 1)
    scene.read(ENI)
    assert scene.inventory.get("eni-1") == ENI


def test_a_read_from_before_two_changes_does_not_confirm_the_second(scene: Scene) -> None:
    scene.read(ENI)
    scene.pass_time(10)
    scene.inventory.note_modified("eni-1", DESCRIPTION, "another")
    scene.pass_time(2)
    scene.inventory.note_modified("eni-1", DESCRIPTION, ENI.description)
    scene.read(ENI, ago=1)  # as it was before both
    scene.pass_time(1)
    scene.read(replace(ENI, description="another"))
    assert scene.inventory.get("eni-1") == ENI


def test_an_attachment_that_was_shown_once_is_known_to_have_been_when_it_is_detached(scene: Scene) -> None:
    scene.read(ENI)
    scene.inventory.note_attaching("eni-1", ATTACHING)
    scene.inventory.note_attached("eni-1")
    scene.pass_time(1)
    scene.read(an_interface(status="in-use", attachment=ATTACHING))
    scene.inventory.note_detaching("eni-1")
    scene.pass_time(1)
    scene.read(ENI)
    assert scene.attachment is None


def test_an_attachment_must_have_shown_by_the_end_of_its_lag(scene: Scene) -> None:
    scene.read(ENI)
    scene.inventory.note_attaching("eni-1", ATTACHING)
    scene.pass_time(LAG - 1)
    scene.inventory.note_detaching("eni-1")
    scene.pass_time(1)
    scene.read(ENI)
    assert scene.attachment == DETACHING
    scene.pass_time(1)
    scene.read(ENI)
    assert scene.attachment is None


def test_an_adopted_interface_is_ours_before_its_tags_show(scene: Scene) -> None:
    foreign = an_interface(tags={"NodeENI": "multus", "Node": "node-1"})
    scene.inventory.note_adopted(foreign, ENI.tags)
    scene.pass_time(1)
    scene.read()
    scene.read(foreign, asked=["eni-1"])
    assert scene.inventory.of_nodeeni("uid-1") == [ENI]


def test_interfaces_of_others_are_not_there(scene: Scene) -> None:
    other_cluster = an_interface("eni-2", tags={**ENI.tags, "nodeeni.networking.k8s.aws/cluster": "other"})
    scene.read(an_interface("eni-3", tags={}), other_cluster)
    assert (scene.inventory.all(), scene.heard) == ([], [])


def test_an_older_read_that_ends_later_changes_nothing(scene: Scene) -> None:
    scene.read(IN_USE)
    scene.read(ENI, ago=5)
    assert scene.attachment == ATTACHED


def test_sightings_count_only_when_apart(scene: Scene) -> None:
    scene.inventory.note_created(ENI)
    counts = [scene.inventory.sightings("eni-1")]
    for pause in (1.0, 1.0, GAP):
        scene.pass_time(pause)
        scene.read(ENI)
        counts.append(scene.inventory.sightings("eni-1"))
    assert counts == [0, 1, 1, 2]


def test_a_nodeeni_is_empty_by_two_reads_apart_begun_after_the_moment_asked_for(scene: Scene) -> None:
    scene.read(ENI)
    scene.inventory.note_deleted("eni-1")
    since = scene.now
    counts = []
    reads: list[tuple[float, tuple[Interface, ...]]] = [(10.0, (ENI,)), (1.0, ()), (1.0, ()), (GAP, ())]
    for pause, shown in reads:
        scene.pass_time(pause)
        scene.read(*shown)
        counts.append(scene.inventory.confirmed_empty("uid-1", since))
    assert counts == [0, 1, 1, 1], "what carries another cluster's id is in none of these"
    scene.pass_time(GAP)
    scene.read(uid="uid-1")
    assert scene.inventory.confirmed_empty("uid-1", since) == 3
    assert scene.inventory.confirmed_empty("uid-1", scene.now) == 0
    assert scene.inventory.confirmed_empty("uid-never-seen", since) == 1


def test_a_create_of_unknown_outcome_makes_reads_within_the_lag_prove_nothing(scene: Scene) -> None:
    scene.inventory.note_uncertain("uid-1")
    since = scene.now
    for _ in range(5):
        scene.pass_time(10)
        scene.read()
    assert scene.inventory.confirmed_empty("uid-1", since) == 0
    for uid in (None, "uid-1"):
        scene.pass_time(LAG)
        scene.read(uid=uid)
    assert scene.inventory.confirmed_empty("uid-1", since) == 2


# What happens next, after so many seconds: a read, or one of the writes that are possible then.
Step = tuple[str, int, float]
_STEPS = st.tuples(
    st.sampled_from(["write", "write", "read", "read by id"]), st.integers(0, 5), st.floats(0, 12)
)


class LaggingEC2:
    """One interface as EC2 has it, with its whole past, of which reads show states up to 30 s late."""

    def __init__(self) -> None:
        self.past: list[tuple[float, Interface | None]] = [(0.0, None)]
        self.attachments = 0
        self._shown = 0

    @property
    def present(self) -> Interface | None:
        return self.past[-1][1]

    def read(self, now: float, choice: int) -> Interface | None:
        """The present, or a state that ended less than 30 s ago, and never older than one shown before."""
        newest = len(self.past) - 1
        oldest = next(i for i in range(newest + 1) if i == newest or self.past[i + 1][0] > now - 30)
        oldest = max(oldest, self._shown)
        self._shown = oldest + choice % (newest - oldest + 1)
        return self.past[self._shown][1]


@settings(max_examples=500, deadline=None)
@given(st.lists(_STEPS, max_size=40))
def test_whatever_the_reads_lag_the_inventory_shows_what_we_did(steps: list[Step]) -> None:
    """With no other writer, the view always equals EC2's present state, at every step."""
    scene, ec2 = Scene(), LaggingEC2()
    for step, choice, pause in steps:
        scene.pass_time(pause)
        if step == "write":
            writes = _possible_writes(ec2)
            if writes:
                writes[choice % len(writes)](scene, ec2)
        else:
            shown = ec2.read(scene.now, choice)
            scene.read(*([shown] if shown else []), asked=["eni-1"] if step == "read by id" else None)
        assert scene.inventory.get("eni-1") == ec2.present
    _indexes_agree(scene)


Act = Callable[[Scene, LaggingEC2], None]


def _possible_writes(ec2: LaggingEC2) -> list[Act]:
    if ec2.present is None:
        return [_create] if len(ec2.past) == 1 else []
    if ec2.present.attachment is None:
        return [_attach, _set_groups, _delete]
    return [_detach, _set_groups]


def _create(scene: Scene, ec2: LaggingEC2) -> None:
    ec2.past.append((scene.now, ENI))
    assert scene.inventory.note_created(ENI)


def _attach(scene: Scene, ec2: LaggingEC2) -> None:
    assert ec2.present is not None
    ec2.attachments += 1
    attachment = replace(ATTACHING, id=f"eni-attach-{ec2.attachments}")
    ec2.past.append((scene.now, replace(ec2.present, status="in-use", attachment=attachment)))
    scene.inventory.note_attaching("eni-1", attachment)


def _detach(scene: Scene, ec2: LaggingEC2) -> None:
    assert ec2.present is not None
    ec2.past.append((scene.now, replace(ec2.present, status="available", attachment=None)))
    scene.inventory.note_detached("eni-1")


def _delete(scene: Scene, ec2: LaggingEC2) -> None:
    ec2.past.append((scene.now, None))
    scene.inventory.note_deleted("eni-1")


def _set_groups(scene: Scene, ec2: LaggingEC2) -> None:
    assert ec2.present is not None
    groups = (f"sg-{len(ec2.past)}",)
    ec2.past.append((scene.now, replace(ec2.present, group_ids=groups)))
    scene.inventory.note_modified("eni-1", GROUPS, groups)


def _indexes_agree(scene: Scene) -> None:
    everything = scene.inventory.all()
    assert scene.inventory.of_node("node-1") == everything
    assert scene.inventory.of_nodeeni("uid-1") == everything
    assert scene.inventory.of_instance("i-1") == everything
