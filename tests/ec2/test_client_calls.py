"""Each call of the client against the sandbox's EC2, and what comes back when it goes wrong."""

from collections.abc import Awaitable, Callable

import pytest

from nodeeni.ec2.attributes import DELETE_ON_TERMINATION, DESCRIPTION, GROUPS, SOURCE_DEST_CHECK
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.errors import EC2Error, ErrorClass
from nodeeni.ec2.types import (
    Action,
    Attachment,
    Instance,
    InstanceSlot,
    InstanceType,
    NetworkCard,
    SecurityGroup,
    Subnet,
)
from nodeeni.sandbox.ec2 import Instance as SandboxInstance

from .conftest import OpenSite, Site, eventually


@pytest.fixture
def instance(site: Site) -> SandboxInstance:
    return site.ec2.add_instance(site.subnet, "m5.xlarge")


async def test_the_life_of_an_interface(site: Site, instance: SandboxInstance) -> None:
    request = site.request("token-1")
    made = await site.client.create_interface(request)
    assert (made.tags, made.group_ids, made.description) == (
        request.tags,
        request.values[GROUPS],
        request.values[DESCRIPTION],
    )
    assert (made.subnet_id, made.vpc_id) == (site.subnet.id, site.vpc.id)
    assert made.attachment is None
    assert made.mac == site.ec2.interface(made.id).mac

    attachment_id = await site.client.attach(made.id, instance.id, 2, 0)
    await site.client.modify(made.id, DELETE_ON_TERMINATION, True, attachment_id)
    await eventually(lambda: _status(site, made.id) == "attached")
    [[seen]] = [page async for page in site.client.describe_interfaces({"network-interface-id": [made.id]})]
    assert seen.attachment == Attachment(attachment_id, instance.id, 2, 0, "attached", True)
    assert seen.mac == made.mac

    await site.client.detach(attachment_id)
    await eventually(lambda: _status(site, made.id) is None)
    await site.client.delete(made.id)
    assert site.ec2.secondary_interfaces() == []
    assert [action for action, error in site.reported if error is None] == [
        Action.CREATE,
        Action.ATTACH,
        Action.MODIFY,
        "DescribeNetworkInterfaces",
        Action.DETACH,
        Action.DELETE,
    ]


async def test_the_fence_is_asked_as_each_change_is_sent(site: Site) -> None:
    may_change = False
    async with EC2Client.connect(
        "us-west-2", endpoint_url=site.ec2.url, may_change=lambda: may_change
    ) as fenced:
        with pytest.raises(EC2Error) as refused:
            await fenced.create_interface(site.request("token-1"))
        assert (refused.value.code, refused.value.error_class) == ("LeaseLost", ErrorClass.NOT_READY)
        assert site.ec2.calls.by_action[Action.CREATE] == 0
        assert await fenced.describe_subnets({"subnet-id": [site.subnet.id]})
        may_change = True
        await fenced.create_interface(site.request("token-1"))
    assert site.ec2.calls.by_action[Action.CREATE] == 1


async def test_attributes_and_tags_are_changed_in_place(site: Site) -> None:
    made = await site.client.create_interface(site.request("token-1"))
    other = site.ec2.add_security_group(site.vpc, group_name="other")
    await site.client.modify(made.id, GROUPS, (other.id,))
    await site.client.modify(made.id, DESCRIPTION, "another")
    await site.client.modify(made.id, SOURCE_DEST_CHECK, False)
    await site.client.create_tags([made.id], {"team": "ran"})
    await site.client.delete_tags([made.id], ["Name"])
    [[seen]] = [page async for page in site.client.describe_interfaces({"tag:team": ["ran"]})]
    assert (seen.group_ids, seen.description, seen.source_dest_check) == ((other.id,), "another", False)
    assert seen.tags == {key: value for key, value in made.tags.items() if key != "Name"} | {"team": "ran"}


async def test_the_same_token_gives_the_same_interface_and_other_parameters_are_refused(site: Site) -> None:
    request = site.request("token-1")
    first = await site.client.create_interface(request)
    again = await site.client.create_interface(request)
    assert first.id == again.id
    with pytest.raises(EC2Error) as refused:
        await site.client.create_interface(site.request("token-1", node="node-2"))
    assert refused.value.error_class is ErrorClass.TOKEN_MISMATCH
    assert len(site.ec2.secondary_interfaces()) == 1


async def test_a_token_that_has_expired_means_to_list_anew_soon(site: Site) -> None:
    """EC2 answers with the code of a wrong reference, which would be asked about again after a minute."""
    for number in range(501):
        site.ec2.plant_interface(site.subnet, tags={"many": "yes", "number": str(number)})
    pages = site.client.describe_interfaces({"tag:many": ["yes"]})
    assert len(await anext(pages)) == 500
    site.ec2.faults.error(
        "DescribeNetworkInterfaces", "InvalidParameterValue", message="Unable to parse pagination token"
    )
    with pytest.raises(EC2Error) as expired:
        await anext(pages)
    assert (expired.value.code, expired.value.known) == ("InvalidNextToken", True)
    assert expired.value.delay(0, 0.99) < 1
    assert site.count("DescribeNetworkInterfaces") == 2
    assert len([page async for page in site.client.describe_interfaces({"tag:many": ["yes"]})]) == 2


async def test_interfaces_come_in_pages_and_long_filters_in_parts(site: Site) -> None:
    planted = [site.ec2.plant_interface(site.subnet, tags={"many": "yes"}) for _ in range(1050)]
    by_tag = [len(page) async for page in site.client.describe_interfaces({"tag:many": ["yes"]})]
    assert by_tag == [500, 500, 50]
    ids = [interface.id for interface in planted]
    by_id = [
        interface.id
        async for page in site.client.describe_interfaces({"network-interface-id": ids})
        for interface in page
    ]
    assert sorted(by_id) == sorted(ids)
    assert len(site.ec2.calls.of("DescribeNetworkInterfaces", "ok")) == 3 + 6  # 200 ids at most in each


async def test_instances_types_subnets_and_groups(site: Site, instance: SandboxInstance) -> None:
    primary = site.ec2.interfaces_of(instance.id)[0]
    assert await site.client.describe_instances([instance.id, "i-0000000000000dead"]) == [
        Instance(
            id=instance.id,
            type="m5.xlarge",
            state="running",
            zone="us-west-2a",
            vpc_id=site.vpc.id,
            subnet_id=site.subnet.id,
            slots=(InstanceSlot(primary.id, 0, 0, "attached", from_launch=True),),
            volumes=1,
            zone_id="usw2-az1",
            owner_id=site.ec2.account.id,
            vcpus=4,
        )
    ]
    assert await site.client.describe_instance_types(["m5.xlarge", "x9.nonsense"]) == [
        InstanceType(
            "m5.xlarge",
            4,
            (4,),
            shared=28,
            addresses={4: 15, 6: 15},
            cards=(NetworkCard(),),
            ena_express=False,
            flexible_queues=False,
        )
    ]
    assert await site.client.describe_subnets({"tag:Name": ["multus"]}) == [
        Subnet(
            *(site.subnet.id, site.vpc.id, "us-west-2a", "10.1.0.0/16", 65530, "multus"),
            zone_id="usw2-az1",
            owner_id=site.ec2.account.id,
            arn=f"arn:aws:ec2:us-west-2:{site.ec2.account.id}:subnet/{site.subnet.id}",
        )
    ]
    assert await site.client.describe_security_groups({"group-name": ["multus-sg"]}) == [
        SecurityGroup(site.group.id, site.vpc.id, "multus-sg")
    ]


async def test_groups_that_can_be_used_in_a_vpc_come_in_pages(site: Site) -> None:
    other = site.ec2.add_vpc(cidr="10.200.0.0/16")
    groups = [site.ec2.add_security_group(site.vpc) for _ in range(250)]
    for group in groups[:-1]:
        site.ec2.associate_security_group(group, other)
    asked = [group.id for group in groups]
    found = await site.client.groups_for_vpc(other.id, asked)
    assert sorted(found) == sorted(asked[:-1])
    # 200 values of a filter are the most.
    assert [call.code for call in site.ec2.calls.of("GetSecurityGroupsForVpc")] == ["ok", "ok"]
    assert [g.vpc_id for g in await site.client.describe_security_groups({"group-id": asked[:1]})] == [
        site.vpc.id
    ]


async def test_a_terminated_instance_is_told_from_one_that_never_was(
    site: Site, instance: SandboxInstance
) -> None:
    site.ec2.terminate(instance.id)
    await eventually(lambda: site.ec2.instance(instance.id).state == "terminated")
    [found] = await site.client.describe_instances([instance.id])
    assert (found.state, found.slots) == ("terminated", ())


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2"])
async def test_the_endpoint_of_the_environment_is_used(
    site: Site, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, site.ec2.url)
    async with EC2Client.connect("us-west-2") as client:
        [found] = await client.describe_subnets({"subnet-id": [site.subnet.id]})
    assert found.id == site.subnet.id


async def test_network_cards_are_counted_one_by_one(site: Site) -> None:
    [found] = await site.client.describe_instance_types(["p4d.24xlarge"])
    assert (len(found.max_interfaces_by_card), sum(found.max_interfaces_by_card)) == (
        4,
        found.max_interfaces,
    )


@pytest.mark.parametrize(
    ("code", "message", "error_class"),
    [
        ("RequestLimitExceeded", "Request limit exceeded.", ErrorClass.THROTTLED),
        ("InternalError", "An internal error has occurred.", ErrorClass.UNKNOWN_OUTCOME),
        ("UnauthorizedOperation", "You are not authorized.", ErrorClass.DENIED),
        ("InsufficientFreeAddressesInSubnet", "", ErrorClass.NO_ADDRESSES),
        ("NetworkInterfaceLimitExceeded", "", ErrorClass.QUOTA),
        ("NeverHeardOfIt", "", ErrorClass.REJECTED),
    ],
)
async def test_a_refused_create_is_sent_once_and_has_its_class(
    site: Site, code: str, message: str, error_class: ErrorClass
) -> None:
    site.ec2.faults.error(Action.CREATE, code, message=message)
    with pytest.raises(EC2Error) as refused:
        await site.client.create_interface(site.request("token-1"))
    assert (refused.value.error_class, refused.value.code) == (error_class, code)
    assert site.reported == [(Action.CREATE, refused.value)]
    assert site.ec2.secondary_interfaces() == []


async def test_a_reply_lost_after_the_work_is_an_unknown_outcome(site: Site) -> None:
    site.ec2.faults.drop(Action.CREATE, "after")
    with pytest.raises(EC2Error) as lost:
        await site.client.create_interface(site.request("token-1"))
    assert (lost.value.error_class, lost.value.known) == (ErrorClass.UNKNOWN_OUTCOME, True)
    assert len(site.ec2.secondary_interfaces()) == 1
    found = await site.client.create_interface(site.request("token-1"))
    assert [interface.id for interface in site.ec2.secondary_interfaces()] == [found.id]


async def test_an_answer_that_does_not_come_is_an_unknown_outcome(site: Site) -> None:
    site.ec2.faults.hang(Action.CREATE, phase="after")
    async with EC2Client.connect("us-west-2", endpoint_url=site.ec2.url, read_timeout=0.2) as client:
        with pytest.raises(EC2Error) as late:
            await client.create_interface(site.request("token-1"))
    assert (late.value.error_class, late.value.known) == (ErrorClass.UNKNOWN_OUTCOME, True)
    assert len(site.ec2.secondary_interfaces()) == 1


async def test_to_ask_for_nothing_is_not_to_ask(site: Site) -> None:
    assert await site.client.describe_instances([]) == []
    assert [page async for page in site.client.describe_interfaces({"tag:many": []})] == []
    assert site.reported == []


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, "<half><an"), (200, ""), (502, "<html>Bad Gateway</html>"), (503, ""), (200, "not xml at all")],
)
async def test_an_answer_that_is_none_is_an_unknown_outcome(site: Site, status: int, body: str) -> None:
    site.ec2.faults.answer(Action.CREATE, status, body)
    with pytest.raises(EC2Error) as garbled:
        await site.client.create_interface(site.request("token-1"))
    assert garbled.value.error_class is ErrorClass.UNKNOWN_OUTCOME


# Well-formed XML, as a proxy that wants a sign-in sends it in place of EC2's answer.
SIGN_IN = (
    '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>Proxy</title></head><body>Sign in</body></html>'
)


async def test_a_page_in_place_of_an_answer_is_no_empty_list_and_no_success(site: Site) -> None:
    """botocore does not look at an answer's root: to it, such a page is an answer with nothing in it."""
    made = await site.client.create_interface(site.request("token-1"))
    site.ec2.faults.answer("*", 200, SIGN_IN, times=None)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "list interfaces": lambda: _all_pages(site, {"network-interface-id": [made.id]}),
        "list instances": lambda: site.client.describe_instances(["i-0123456789abcdef0"]),
        "list subnets": lambda: site.client.describe_subnets({"subnet-id": [site.subnet.id]}),
        "delete": lambda: site.client.delete(made.id),
        "tag": lambda: site.client.create_tags([made.id], {"team": "ran"}),
    }
    told = {}
    for name, call in calls.items():
        with pytest.raises(EC2Error) as page:
            await call()
        told[name] = (page.value.code, page.value.error_class)
    assert told == dict.fromkeys(calls, ("MalformedAnswer", ErrorClass.UNKNOWN_OUTCOME))
    assert [interface.id for interface in site.ec2.secondary_interfaces()] == [made.id]


async def _all_pages(site: Site, filters: dict[str, list[str]]) -> list[object]:
    return [page async for page in site.client.describe_interfaces(filters)]


async def test_an_endpoint_that_nobody_serves_is_an_unknown_outcome() -> None:
    async with EC2Client.connect("us-west-2", endpoint_url="http://127.0.0.1:9") as client:
        with pytest.raises(EC2Error) as refused:
            await client.delete("eni-0123456789abcdef0")
    assert (refused.value.error_class, refused.value.known) == (ErrorClass.UNKNOWN_OUTCOME, True)


async def test_without_credentials_every_call_is_denied(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path_factory.mktemp("none") / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path_factory.mktemp("none") / "config"))
    async with EC2Client.connect("us-west-2", endpoint_url=site.ec2.url) as client:
        with pytest.raises(EC2Error) as denied:
            await client.delete("eni-0123456789abcdef0")
    assert denied.value.error_class is ErrorClass.CREDENTIALS


async def test_a_describe_is_tried_again_after_a_throttle_and_a_lost_connection(site: Site) -> None:
    site.ec2.faults.error("DescribeSubnets", "RequestLimitExceeded")
    site.ec2.faults.drop("DescribeSubnets", "before")
    [found] = await site.client.describe_subnets({"subnet-id": [site.subnet.id]})
    assert found.id == site.subnet.id
    classes = [error.error_class if error else None for _, error in site.reported]
    assert classes == [ErrorClass.THROTTLED, ErrorClass.UNKNOWN_OUTCOME, None]


async def test_a_describe_that_is_denied_is_not_tried_again(site: Site) -> None:
    site.ec2.faults.error("DescribeSubnets", "UnauthorizedOperation", times=None)
    with pytest.raises(EC2Error) as denied:
        await site.client.describe_subnets({"subnet-id": [site.subnet.id]})
    assert denied.value.denial is not None
    assert denied.value.denial.permission == "ec2:DescribeSubnets"
    assert site.count("DescribeSubnets") == 1


async def test_conflicts_at_an_instance_have_their_classes(open_site: OpenSite) -> None:
    site = await open_site()
    instance = site.ec2.add_instance(site.subnet, "t3.small")
    made = [await site.client.create_interface(site.request(f"token-{number}")) for number in range(3)]

    async def refusal(eni_id: str, index: int) -> ErrorClass:
        with pytest.raises(EC2Error) as refused:
            await site.client.attach(eni_id, instance.id, index)
        return refused.value.error_class

    await site.client.attach(made[0].id, instance.id, 1)
    assert await refusal(made[1].id, 1) is ErrorClass.INDEX_TAKEN
    assert await refusal(made[0].id, 2) is ErrorClass.IN_USE
    with pytest.raises(EC2Error) as in_use:
        await site.client.delete(made[0].id)
    assert in_use.value.error_class is ErrorClass.IN_USE
    await site.client.attach(made[1].id, instance.id, 2)
    assert await refusal(made[2].id, 3) is ErrorClass.FULL
    site.ec2.stop_instance(instance.id)
    assert await refusal(made[2].id, 3) is ErrorClass.NOT_READY


async def test_what_is_not_there_is_gone_or_a_bad_reference(site: Site, instance: SandboxInstance) -> None:
    classes: dict[str, ErrorClass] = {}
    made = await site.client.create_interface(site.request("token-1"))
    calls = {
        "interface": site.client.delete("eni-0123456789abcdef0"),
        "attachment": site.client.detach("eni-attach-0123456789abcdef0"),
        "instance": site.client.attach(made.id, "i-0123456789abcdef0", 1),
        "primary": site.client.detach(_attachment_id(site, instance.id)),
        "group": site.client.modify(made.id, GROUPS, ("sg-0123456789abcdef0",)),
    }
    for what, call in calls.items():
        with pytest.raises(EC2Error) as refused:
            await call
        classes[what] = refused.value.error_class
    assert classes == {
        "interface": ErrorClass.GONE,
        "attachment": ErrorClass.GONE,
        "instance": ErrorClass.GONE,
        "primary": ErrorClass.REFUSED,
        "group": ErrorClass.BAD_REFERENCE,
    }


def _status(site: Site, eni_id: str) -> str | None:
    attachment = site.ec2.interface(eni_id).attachment
    return attachment.status if attachment else None


def _attachment_id(site: Site, instance_id: str) -> str:
    attachment = site.ec2.interfaces_of(instance_id)[0].attachment
    assert attachment is not None
    return attachment.id
