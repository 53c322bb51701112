"""Tags: those given with a create, and the three actions of their own."""

from collections.abc import Mapping

from nodeeni.sandbox.ec2.account import Account, Resource, check_tags
from nodeeni.sandbox.ec2.errors import EC2Error, invalid_value
from nodeeni.sandbox.ec2.filters import Values
from nodeeni.sandbox.ec2.model import Instance, Interface, SecurityGroup, Subnet, Vpc
from nodeeni.sandbox.ec2.paging import select
from nodeeni.sandbox.ec2.wire import Parameters

from .registry import Request, action

KINDS: dict[type[Resource], str] = {
    Interface: "network-interface",
    Instance: "instance",
    Vpc: "vpc",
    Subnet: "subnet",
    SecurityGroup: "security-group",
}


def tags_for(kind: str, asked: Parameters, beside: tuple[str, ...] = ()) -> dict[str, str]:
    """The tags of the request's TagSpecification for resources of `kind`, checked. `beside`: other kinds that
    the request may give tags to.
    """
    tags: dict[str, str] = {}
    for specification in asked.children("TagSpecification"):
        if specification.required("ResourceType") in beside:
            continue
        if specification.required("ResourceType") != kind:
            raise invalid_value(specification.text("ResourceType"), "resourceType")
        for tag in specification.children("Tag"):
            key = tag.text("Key")
            if key in tags:
                raise EC2Error("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
            tags[key] = tag.text("Value")
    check_tags(tags)
    return tags


def tag_set(tags: Mapping[str, str]) -> list[Mapping[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


@action("CreateTags")
def create_tags(request: Request) -> Mapping[str, object]:
    account, asked = request.account, request.parameters
    new = {tag.text("Key"): tag.text("Value") for tag in asked.children("Tag")}
    resources = [account.resource(each) for each in asked.texts("ResourceId")]
    for resource in resources:
        check_tags(resource.tags | new)
    for resource in resources:
        account.set_tags(resource, resource.tags | new)
    return {"return": True}


@action("DeleteTags")
def delete_tags(request: Request) -> Mapping[str, object]:
    """A tag given with a value goes only if it has that value; no tag at all means all of them."""
    account, asked = request.account, request.parameters
    doomed = asked.children("Tag")
    for resource in [account.resource(each) for each in asked.texts("ResourceId")]:
        kept = {
            key: value
            for key, value in resource.tags.items()
            if key.lower().startswith("aws:")
            or (doomed and not any(_names(tag, key, value) for tag in doomed))
        }
        account.set_tags(resource, kept)
    return {"return": True}


def _names(tag: Parameters, key: str, value: str) -> bool:
    return tag.text("Key") == key and ("Value" not in tag.flat or tag.text("Value") == value)


_TAG_FILTERS: dict[str, Values] = {
    "key": lambda _, row: [row["key"]],
    "resource-id": lambda _, row: [row["resourceId"]],
    "resource-type": lambda _, row: [row["resourceType"]],
    "value": lambda _, row: [row["value"]],
}


@action("DescribeTags")
def describe_tags(request: Request) -> Mapping[str, object]:
    account = request.account
    page, token = select(account, request.parameters, _all_tags(account), _TAG_FILTERS)
    return {"tagSet": page, "nextToken": token}


def _all_tags(account: Account) -> dict[str, Mapping[str, str]]:
    resources: list[Resource] = [
        *account.interfaces.seen_values(),
        *account.instances.seen_values(),
        *account.vpcs.values(),
        *account.subnets.values(),
        *account.groups.values(),
    ]
    return {
        f"{resource.id} {key}": {
            "resourceId": resource.id,
            "resourceType": KINDS[type(resource)],
            "key": key,
            "value": value,
        }
        for resource in resources
        for key, value in resource.tags.items()
    }
