"""`nodeeni plan -f`: what the API server would refuse is refused before anything is planned."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from tests.api.test_what_is_accepted import DATA, LEAST
from tests.api.test_what_is_refused import GOOD, REFUSED
from tests.cli.looking import NAME, Site
from tests.cli.running import ROOT, nodeeni

from nodeeni.cli import plan
from nodeeni.cli.nodeeni_files import read_nodeenis
from nodeeni.cli.strict import faults_of_spec
from nodeeni.flags import UsageError
from nodeeni.sandbox.world import SECURITY_GROUP, SUBNET

EXPLAIN = "`kubectl explain nodeeni.spec"
HEAD = "apiVersion: networking.k8s.aws/v1alpha1\nkind: NodeENI\nmetadata: {name: x}\n"


@pytest.mark.parametrize(
    ("changes", "field", "_says"), REFUSED, ids=[f"{number}-{row[1]}" for number, row in enumerate(REFUSED)]
)
def test_what_the_api_server_refuses_is_a_fault_of_the_same_field(
    changes: dict[str, Any], field: str, _says: str
) -> None:
    spec = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    assert any(field in fault for fault in faults_of_spec(spec))


def test_what_the_api_server_takes_has_no_fault() -> None:
    older = [json.loads((DATA / f"nodeeni-{version}.json").read_text()) for version in ("v1.1.0", "v1.3.8")]
    requirements = [{"key": "a", "operator": "In", "values": ["x"]}, {"key": "b", "operator": "Exists"}]
    selecting = {**LEAST, "nodeSelector": {}, "matchExpressions": requirements}
    specs = [GOOD, LEAST, selecting, *(object["spec"] for object in older)]
    assert [faults_of_spec(spec) for spec in specs] == [[]] * len(specs)


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_each_example_can_be_planned(example: Path) -> None:
    assert read_nodeenis(str(example))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"subnetId": "subnet-1"}, "spec.subnetId is no field: is subnetID meant?"),
        ({"securityGroups": []}, "spec.securityGroups is no field: is securityGroupIDs meant?"),
        ({"replicas": 3}, f"spec.replicas is no field: {EXPLAIN}` lists them"),
        (
            {"matchExpressions": [{"key": "a", "operator": "Exists", "colour": 1}]},
            f"spec.matchExpressions[0].colour is no field: {EXPLAIN}.matchExpressions` lists them",
        ),
        ({"deviceIndex": "two"}, 'spec.deviceIndex has to be a whole number, not "two"'),
        ({"deviceIndex": True}, "spec.deviceIndex has to be a whole number, not true"),
        ({"deviceIndex": 64}, "spec.deviceIndex has to be from 1 to 63, not 64"),
        (
            {"nodeSelector": {"ready": True}},
            "spec.nodeSelector.ready has to be a string, not true: put it in quotes",
        ),
        (
            {"deviceIndexPolicy": "Any"},
            'spec.deviceIndexPolicy has to be one of Exact, NextFree, not "Any"',
        ),
        ({"tags": {1: "a"}}, "spec.tags: its key 1 has to be a string: put it in quotes"),
        ({"subnetIDs": "subnet-1"}, 'spec.subnetIDs has to be a list, not "subnet-1"'),
        ({"interfaceName": ""}, "spec.interfaceName has to have 1 to 127 characters, not 0"),
        (
            {"podNetwork": {"type": "macvlan"}},
            (
                "spec.podNetwork.type: ipvlan alone, not macvlan: a VPC drops frames with another MAC than "
                "the ENI's, which pods of macvlan, bridge and the like send"
            ),
        ),
    ],
)
def test_a_fault_names_the_field_and_the_way_out(changes: dict[str, Any], fault: str) -> None:
    assert faults_of_spec({**GOOD, **changes}) == [fault]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, " cannot be read: "),
        ("kind: [", " cannot be read: "),
        ("", " holds no NodeENI: give a file with an object of kind NodeENI"),
        ("kind: Pod\n---\n- kind: NodeENI\n", " holds no NodeENI: "),
        (HEAD, ": NodeENI x: spec is missing"),
        (
            "kind: NodeENI\n",
            ": NodeENI ?: apiVersion has to be networking.k8s.aws/v1alpha1; metadata.name has ",
        ),
        (HEAD + "specs: {}\nspec: 3\n", ": NodeENI x: specs is no field; spec has to be an object, not 3"),
        (
            HEAD + "spec: {nodeSelector: {a: 2020-01-01}}\n",
            ': NodeENI x: spec.nodeSelector.a has to be a string, not "2020-01-01": put it in quotes',
        ),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: str | None, complaint: str) -> None:
    file = tmp_path / "new.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError) as refusal:
        plan.main(["-f", str(file)])
    assert str(refusal.value).startswith(f"-f {file}{complaint}")
    assert "\n" not in str(refusal.value)


def test_a_typo_is_one_line_and_exit_status_2(tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    spec = {**{key: value for key, value in GOOD.items() if key != "subnetID"}, "subnetId": SUBNET}
    file.write_text(HEAD + f"spec: {json.dumps(spec)}\n")
    done = nodeeni("plan", "-f", str(file))
    line = f"nodeeni plan: -f {file}: NodeENI x: spec.subnetId is no field: is subnetID meant?\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


async def test_standard_input_and_the_list_that_kubectl_writes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.node("n1")
    manifest = site.manifest(deviceIndex=3, mtu=None)
    manifest["status"] = {"desired": 1}
    manifest["metadata"] |= {"labels": {"a": "b"}, "managedFields": []}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"kind": "List", "items": [manifest]})))
    lines = (await site.run("plan", "-f", "-")).lines
    assert lines[1] == f"+ {NAME}: create an ENI in {SUBNET} with {SECURITY_GROUP} for index 3"
