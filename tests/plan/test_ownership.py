"""Whose an interface is: a row of evidence each, and that no single thing decides."""

from collections.abc import Collection

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plan.build import attachment, interface

from nodeeni.api.names import (
    TAG_CLUSTER,
    TAG_INSTANCE,
    TAG_NAME,
    TAG_NODE,
    TAG_NODEENI,
    TAG_UID,
    interface_tags,
)
from nodeeni.ec2.types import Interface
from nodeeni.plan.observed import Owner
from nodeeni.plan.ownership import UNTOLD, Told, Verdict, is_doubtful, is_orphan, node_of, owner_of, verdict

A, B = Owner("a", deleting=False), Owner("a-b", deleting=False)
OWNERS = {"uid-a": A, "uid-b": B}
TAGS = interface_tags(cluster_id="c", nodeeni="a", uid="uid-a", node="n1", instance_id="i-1")


def tagged(**changed: str | None) -> Interface:
    merged = {**TAGS, **{_KEYS[key]: value for key, value in changed.items()}}
    kept = {key: value for key, value in merged.items() if value is not None}
    return msgspec.structs.replace(interface("eni-1"), tags=kept)


_KEYS = {
    "cluster": TAG_CLUSTER,
    "uid": TAG_UID,
    "nodeeni": TAG_NODEENI,
    "name": TAG_NAME,
    "node": TAG_NODE,
    "instance": TAG_INSTANCE,
}


@pytest.mark.parametrize(
    ("found", "told", "owner", "orphan"),
    [
        (tagged(), "", "uid-a", False),
        (tagged(uid=None), "", "uid-a", False),
        (tagged(uid="uid-b"), "", "uid-a", False),
        (tagged(nodeeni="a-b"), "", "uid-a", False),
        (tagged(name="nodeeni-a-b-n1"), "", "uid-a", False),
        (tagged(uid=None, nodeeni=None), "", "uid-a", False),
        (tagged(uid="uid-b", nodeeni="a-b"), "uid-a", "uid-a", False),
        (tagged(uid="uid-b", nodeeni="a-b", name="nodeeni-a-b-n1"), "uid-a", "uid-b", False),
        (tagged(uid="", nodeeni="", name=""), "uid-a", "uid-a", False),
        # Made anew: the uid lives no more, the name does.
        (tagged(uid="uid-gone"), "", "uid-a", False),
        # Gone: nothing names one that is there.
        (tagged(uid="uid-gone", nodeeni="gone", name="nodeeni-gone-n1"), "", "uid-gone", True),
        # Nobody knows whose: never an orphan.
        (tagged(uid=None, nodeeni="gone", name="nodeeni-gone-n1"), "", "", False),
        (tagged(uid="", nodeeni="gone", name="nodeeni-gone-n1"), "", "", False),
    ],
)
def test_the_most_votes_have_it(found: Interface, told: str, owner: str, orphan: bool) -> None:
    evidence = Told(told) if told else UNTOLD
    assert (owner_of(found, OWNERS, evidence), is_orphan(found, OWNERS, evidence)) == (owner, orphan)


def test_the_longest_name_that_fits_is_meant_where_the_node_is_not_known() -> None:
    found = tagged(uid=None, nodeeni=None, node=None, name="nodeeni-a-b-n1")
    assert owner_of(found, OWNERS) == "uid-b"


ANY = st.sampled_from(
    [None, "", "x", "uid-a", "uid-b", "uid-gone", "a", "a-b", "nodeeni-a-n1", "nodeeni-a-b-n1"]
)
ANY_TAGS = st.fixed_dictionaries(dict.fromkeys([key for key in _KEYS if key != "cluster"], ANY))


@given(changed=ANY_TAGS, told=st.sampled_from(["", "uid-a", "uid-b", "uid-gone"]))
def test_an_orphan_has_a_uid_of_nobody_and_nothing_that_names_one_who_is_there(
    changed: dict[str, str | None], told: str
) -> None:
    found = tagged(**changed)
    if is_orphan(found, OWNERS, Told(told)):
        assert found.tags[TAG_UID] not in {"", *OWNERS}
        assert found.tags.get(TAG_NODEENI) not in ("a", "a-b")
        assert told not in OWNERS
    assert owner_of(found, OWNERS, Told(told)) in {"", *OWNERS, found.tags.get(TAG_UID)}


@given(key=st.sampled_from(list(_KEYS)), value=ANY)
def test_no_tag_by_itself_changes_the_owner(key: str, value: str | None) -> None:
    assert owner_of(tagged(**{key: value}), OWNERS) == "uid-a"


@given(keys=st.sets(st.sampled_from(list(_KEYS)), min_size=2, max_size=2), values=st.tuples(ANY, ANY))
def test_no_two_tags_change_it_while_the_status_stands(
    keys: set[str], values: tuple[str | None, ...]
) -> None:
    found = tagged(**dict(zip(sorted(keys), values, strict=True)))
    assert owner_of(found, OWNERS, Told("uid-a", "n1")) == "uid-a"


def test_one_whose_tags_agree_is_not_doubtful() -> None:
    assert not is_doubtful(tagged(), OWNERS)
    assert all(is_doubtful(tagged(**{key: "x"}), OWNERS) for key in ("uid", "nodeeni", "name"))


IDS = ("c", "c-former")
NODEENI_HERE, NOBODY = "uid-a", "uid-in-another-cluster"


@pytest.mark.parametrize(
    ("cluster", "uid", "listed", "known", "here", "found"),
    [
        ("c", NODEENI_HERE, False, True, True, Verdict.OURS),
        ("c", NOBODY, False, False, False, Verdict.OURS),
        ("c-former", NODEENI_HERE, False, False, True, Verdict.OURS),
        (None, NODEENI_HERE, False, False, False, Verdict.BEREFT),
        ("", NODEENI_HERE, False, False, False, Verdict.BEREFT),
        ("", NOBODY, False, True, False, Verdict.BEREFT),
        (None, NOBODY, False, False, True, Verdict.NOT_OURS),
        (None, None, True, False, True, Verdict.NOT_OURS),  # looks like one of v1.x
        ("another", NODEENI_HERE, False, False, False, Verdict.OF_OTHER_ID),
        ("another", NOBODY, True, False, True, Verdict.OF_OTHER_ID),
        ("another", None, True, True, True, Verdict.OF_OTHER_ID),
        ("another", NOBODY, True, True, False, Verdict.NOT_OURS),  # it left with its node
        ("another", NOBODY, False, True, True, Verdict.NOT_OURS),
        ("another", None, False, False, True, Verdict.NOT_OURS),
    ],
)
def test_the_cluster_id_and_what_speaks_for_it(
    cluster: str | None, uid: str | None, listed: bool, known: bool, here: bool, found: Verdict
) -> None:
    told = Told(NODEENI_HERE, "n1") if listed else UNTOLD
    tags = {"cluster": cluster, "uid": uid}
    assert verdict(tagged(**tags), IDS, OWNERS, told, known=known, here=here) is found


ANY_ID = st.sampled_from([None, "", "c", "c-former", "another"])


@given(
    changed=ANY_TAGS,
    cluster=ANY_ID,
    told=st.sampled_from(["", "uid-a", "uid-b", "uid-gone"]),
    known=st.booleans(),
    here=st.booleans(),
)
def test_what_may_be_swept_is_ours_by_its_id_and_of_a_uid_that_is_gone(
    changed: dict[str, str | None], cluster: str | None, told: str, known: bool, here: bool
) -> None:
    """All that is deleted without a person's word: and the API server is asked a second time."""
    found, evidence = tagged(**changed, cluster=cluster), Told(told)
    ours = verdict(found, IDS, OWNERS, evidence, known=known, here=here) is Verdict.OURS
    assert ours == (cluster in IDS), "nothing else makes it ours"
    if ours and is_orphan(found, OWNERS, evidence):
        assert found.tags[TAG_UID] not in {"", *OWNERS}


def attached(instance_id: str, **tags: str | None) -> Interface:
    place = attachment(instance_id=instance_id)
    return msgspec.structs.replace(tagged(**tags), attachment=place)


@pytest.mark.parametrize(
    ("found", "nodes", "told", "node"),
    [
        (attached("i-1"), {"i-1": ("n1",)}, "", "n1"),
        (attached("i-1"), {"i-1": ("renamed",)}, "", "renamed"),
        (attached("i-1", node="x"), {"i-1": ("n1",)}, "", "n1"),
        (attached("i-1", node="n2"), {"i-1": ("n1",), "i-2": ("n2",)}, "", "n1"),
        (attached("i-1", instance="i-2"), {"i-1": ("n1",), "i-2": ("n2",)}, "", "n1"),
        (attached("i-1", instance="i-2", node="n2"), {"i-1": ("n1",), "i-2": ("n2",)}, "n1", "n1"),
        # Moved by hand: made for n1, and attached to the instance of n2.
        (attached("i-2"), {"i-1": ("n1",), "i-2": ("n2",)}, "n1", "n1"),
        (attached("i-2"), {"i-1": ("n1",), "i-2": ("n2",)}, "", "n1"),
        (attached("i-9"), {"i-1": ("n1",)}, "", "n1"),
        # Two Nodes of one instance: the tag says which had it.
        (attached("i-1"), {"i-1": ("n0", "n1")}, "", "n1"),
        (attached("i-1", node="x"), {"i-1": ("n0", "n1")}, "", "n0"),
        # No Node has the instance.
        (attached("i-1"), {"i-2": ("n1",)}, "", "n1"),
        (attached("i-1", node=None), {}, "", ""),
        (tagged(), {"i-1": ("renamed",)}, "", "renamed"),
        (tagged(instance=None), {"i-1": ("n1",)}, "", "n1"),
        (tagged(instance="i-2"), {"i-1": ("n1",)}, "", "n1"),
    ],
)
def test_the_instance_tells_the_node(
    found: Interface, nodes: dict[str, Collection[str]], told: str, node: str
) -> None:
    assert node_of(found, lambda instance_id: nodes.get(instance_id, ()), Told("uid-a", told)) == node
