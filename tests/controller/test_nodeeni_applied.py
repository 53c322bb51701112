"""The main job: a v1.1.0 manifest is applied, and each matching node gets exactly one ENI."""

from nodeeni.sandbox.world import SECURITY_GROUP, SUBNET, SUBNET_NAME

from .conftest import NAME, Stage


async def test_each_matching_node_gets_one_interface_as_the_manifest_says(stage: Stage) -> None:
    first, second = await stage.node(), await stage.node()
    other = await stage.node(matching=False)
    stage.apply()
    async with stage.controller():
        await stage.until_attached(first, second)
        await stage.until(lambda: len(stage.world.kube.objects("networking.k8s.aws", "eninodes")) == 2)
        await stage.until(lambda: stage.condition("Ready").get("status") == "True")
        await stage.until(
            lambda: all(i.attachment.delete_on_termination for i in stage.ours() if i.attachment)
        )

    assert len(stage.ours()) == len(stage.ec2.secondary_interfaces()) == 2
    (interface,) = stage.ours(node=first)
    cluster_id = stage.kube.get("", "namespaces", "kube-system")["metadata"]["uid"]  # type: ignore[index]
    assert interface.tags == {
        "Name": f"nodeeni-{NAME}-{first.name}",
        "NodeENI": NAME,
        "Node": first.name,
        "kubernetes.io/cluster/managed-by": "nodeeni-controller",
        "node.k8s.amazonaws.com/no_manage": "true",
        "nodeeni.networking.k8s.aws/cluster": cluster_id,
        "nodeeni.networking.k8s.aws/uid": stage.world.nodeeni(NAME)["metadata"]["uid"],  # type: ignore[index]
        "nodeeni.networking.k8s.aws/instance": first.instance_id,
    }
    assert (interface.subnet_id, interface.group_ids) == (SUBNET, (SECURITY_GROUP,))
    assert interface.description == "Multus ENI for secondary network interfaces"
    attachment = interface.attachment
    assert attachment is not None
    assert (attachment.instance_id, attachment.device_index) == (first.instance_id, 2)

    status = stage.status()
    assert (status["desired"], status["attached"], status["failed"]) == (2, 2, 0)
    row = stage.row(first)
    assert row["lastUpdated"]
    assert {key: value for key, value in row.items() if key != "lastUpdated"} == {
        "nodeID": first.name,
        "instanceID": first.instance_id,
        "eniID": interface.id,
        "attachmentID": attachment.id,
        "subnetID": SUBNET,
        "subnetCIDR": "10.11.0.0/16",
        "deviceIndex": 2,
        "networkCardIndex": 0,
        "macAddress": interface.mac,
        "privateIPAddress": interface.private_ips[0],
        "status": "attached",
    }
    eninode = stage.world.eninode(first.name)
    assert eninode is not None
    assert eninode["spec"]["interfaces"][0]["macAddress"] == interface.mac
    assert eninode["spec"]["interfaces"][0]["interfaceName"] == NAME
    assert eninode["metadata"]["ownerReferences"][0]["kind"] == "Node"
    assert stage.world.eninode(other.name) is None
    assert stage.has_finalizer()
    assert stage.reasons() == {"ENIAttached"}


async def test_attaching_costs_three_calls_an_interface_and_rest_costs_none(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(5)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 5)
        await stage.until(lambda: stage.condition("Progressing").get("status") == "False")
        writes, calls = stage.kube.requests.copy(), stage.ec2.calls.by_action.copy()
        # A kubelet's heartbeat, which is no reason to do anything.
        stage.kube.patch("", "nodes", nodes[0].name, {"status": {"phase": "beat"}}, subresource="status")
        await stage.stays(
            lambda: stage.kube.requests == writes and stage.ec2.calls.by_action == calls, seconds=1.5
        )
    assert stage.calls() == {
        "CreateNetworkInterface": 5,
        "AttachNetworkInterface": 5,
        "ModifyNetworkInterfaceAttribute": 5,
    }


async def test_subnet_and_groups_by_name_are_resolved_within_the_vpc(stage: Stage) -> None:
    elsewhere = stage.ec2.add_vpc(cidr="192.168.0.0/16")
    stage.ec2.add_subnet(elsewhere, "a", "192.168.0.0/24", name=SUBNET_NAME)
    stage.ec2.add_security_group(elsewhere, group_name="my-security-group")
    node = await stage.node()
    stage.apply(
        subnetID=None, subnetName=SUBNET_NAME, securityGroupNames=["my-security-group"]
    )  # the same group by id and by name is one group
    async with stage.controller():
        await stage.until_attached(node)
    (interface,) = stage.ours()
    assert (interface.subnet_id, interface.group_ids) == (SUBNET, (SECURITY_GROUP,))


async def test_delete_on_termination_false_is_honoured_and_survives(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(deleteOnTermination=False)
    async with stage.controller():
        await stage.until_attached(node)
    (interface,) = stage.ours()
    assert interface.attachment is not None
    assert not interface.attachment.delete_on_termination
    assert stage.world.nodeeni(NAME)["spec"]["deleteOnTermination"] is False  # type: ignore[index]
    assert "ModifyNetworkInterfaceAttribute" not in stage.calls()


async def test_several_nodeenis_give_a_node_several_interfaces(stage: Stage) -> None:
    node = await stage.node(type="c5.4xlarge")
    for index in (1, 2, 3):
        stage.apply(f"eni-{index}", deviceIndex=index, tags={"team": "radio"})
    async with stage.controller():
        for index in (1, 2, 3):
            await stage.until_attached(node, name=f"eni-{index}")
    attached = {
        i.attachment.device_index: i.tags["NodeENI"] for i in stage.ec2.secondary_interfaces() if i.attachment
    }
    assert attached == {1: "eni-1", 2: "eni-2", 3: "eni-3"}
    assert all(i.tags["team"] == "radio" for i in stage.ec2.secondary_interfaces())


async def test_a_node_that_gets_the_label_later_gets_its_interface_then(stage: Stage) -> None:
    node = await stage.node(matching=False)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.condition("Ready").get("reason") == "NoMatchingNodes")
        stage.world.label(node.name, ng="multi-eni")
        await stage.until_attached(node)
    assert len(stage.ours()) == 1


async def test_dpdk_fields_of_v1_3_8_are_accepted_and_reported_as_not_applied(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(enableDPDK=True, dpdkDriver="vfio-pci")
    async with stage.controller():
        await stage.until_attached(node)
        await stage.until(lambda: stage.condition("Degraded").get("status") == "True")
    assert stage.condition("Degraded")["reason"] == "FieldsNotApplied"
    assert "spec.enableDPDK, spec.dpdkDriver" in stage.condition("Degraded")["message"]
