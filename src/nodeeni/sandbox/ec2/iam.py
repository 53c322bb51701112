"""IAM as far as the policies that we ship use it: who signs with which access key may do what to what.

A request concerns one resource or several; each is asked about by itself, and each has to be allowed by some
statement. Which keys a question carries is AWS's table. Source: Service Authorization Reference, "Actions,
resources, and condition keys for Amazon EC2".
"""

import contextlib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from .account import Account, Resource
from .actions.tags import KINDS, tags_for
from .denials import denial
from .errors import EC2Error
from .model import Interface, SecurityGroup, Subnet
from .wire import Parameters

_ON_RESOURCES = frozenset(
    {
        "CreateNetworkInterface",
        "AttachNetworkInterface",
        "DetachNetworkInterface",
        "DeleteNetworkInterface",
        "ModifyNetworkInterfaceAttribute",
        "CreateTags",
        "DeleteTags",
        "AssignPrivateIpAddresses",
        "UnassignPrivateIpAddresses",
        "AssignIpv6Addresses",
        "UnassignIpv6Addresses",
    }
)
_NAMED_BY = ("SubnetId", "NetworkInterfaceId", "InstanceId", "SecurityGroupId", "ResourceId")


class Question(msgspec.Struct, frozen=True):
    """May `action` be done to the resource `arn` (`*`: to none in particular) under these condition keys?"""

    action: str
    arn: str
    keys: tuple[tuple[str, str], ...] = ()


class Statement(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """What is not understood here is refused, not ignored."""

    effect: Literal["Allow"]
    action: str | list[str]
    resource: str | list[str]
    sid: str = ""
    condition: dict[Literal["StringEquals", "ArnEquals", "Null"], dict[str, str]] = {}

    def allows(self, question: Question) -> bool:
        return (
            _matches(self.action, question.action)
            and _matches(self.resource, question.arn)
            and all(
                self._holds(operator, wanted, dict(question.keys))
                for operator, wanted in self.condition.items()
            )
        )

    def _holds(self, operator: str, wanted: dict[str, str], keys: dict[str, str]) -> bool:
        """A key that the request does not carry equals nothing; `Null` asks for just that."""
        if operator == "Null":
            return all((key not in keys) == (value == "true") for key, value in wanted.items())
        return all(
            key in keys
            and (keys[key] == value or (operator == "ArnEquals" and fnmatchcase(keys[key], value)))
            for key, value in wanted.items()
        )


class Policy(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    """All that an identity may do. `asked` keeps every question with its answer."""

    version: Literal["2012-10-17"]
    statement: list[Statement]
    asked: dict[Question, bool] = {}

    @classmethod
    def read(cls, document: str | bytes) -> "Policy":
        return msgspec.json.decode(document, type=cls)

    def allows(self, question: Question) -> bool:
        return any(statement.allows(question) for statement in self.statement)

    def admit(self, account: Account, action: str, parameters: Parameters) -> None:
        """Raises UnauthorizedOperation, in EC2's words, where one resource of the request is not allowed."""
        for question in questions(account, action, parameters):
            self.asked[question] = self.allows(question)
            if not self.asked[question]:
                raise denial("no identity-based policy", account.id, question.action, question.arn)


def questions(account: Account, action: str, parameters: Parameters) -> Iterator[Question]:
    """One for each resource that the request names and that exists; of the others EC2 says so itself."""
    if action not in _ON_RESOURCES:
        yield Question(f"ec2:{action}", "*")
        return
    requested = _requested_tags(action, parameters)
    if action == "CreateNetworkInterface":
        new = f"arn:aws:ec2:{account.region}:{account.id}:network-interface/*"
        yield Question(f"ec2:{action}", new, requested)
        if requested:
            yield Question("ec2:CreateTags", new, (*requested, ("ec2:CreateAction", action)))
    own = requested if action in ("CreateTags", "DeleteTags") else ()
    for resource in _named(account, parameters):
        yield Question(
            f"ec2:{action}",
            _arn(account, KINDS[type(resource)], resource.id, _owner(resource)),
            own + _keys(account, resource),
        )


def _named(account: Account, parameters: Parameters) -> list[Resource]:
    ids = [each for name in _NAMED_BY for each in (parameters.text(name), *parameters.texts(name)) if each]
    attachment = parameters.text("AttachmentId") or parameters.text("Attachment.AttachmentId")
    found: dict[str, Resource] = {}
    with contextlib.suppress(EC2Error):
        if attachment:  # stands for both of its sides
            interface, side = account.attached_by(attachment)
            ids += [interface.id, side.instance_id]
    for each in ids:
        with contextlib.suppress(EC2Error):
            found[each] = account.resource(each)
    return list(found.values())


def _requested_tags(action: str, parameters: Parameters) -> tuple[tuple[str, str], ...]:
    if action == "CreateNetworkInterface":
        tags = tags_for("network-interface", parameters)
    else:
        tags = {tag.text("Key"): tag.text("Value") for tag in parameters.children("Tag")}
    return tuple((f"aws:RequestTag/{key}", value) for key, value in tags.items())


def _keys(account: Account, resource: Resource) -> tuple[tuple[str, str], ...]:
    tags = tuple((f"aws:ResourceTag/{key}", value) for key, value in resource.tags.items())
    if isinstance(resource, Subnet | SecurityGroup | Interface):
        return (*tags, ("ec2:Vpc", _arn(account, "vpc", resource.vpc_id, _owner(resource))))
    return tags


def _owner(resource: Resource) -> str:
    return resource.owner_id if isinstance(resource, Subnet) else ""


def _arn(account: Account, kind: str, resource_id: str, owner_id: str = "") -> str:
    return f"arn:aws:ec2:{account.region}:{owner_id or account.id}:{kind}/{resource_id}"


def _matches(patterns: str | list[str], value: str) -> bool:
    return any(fnmatchcase(value, each) for each in ([patterns] if isinstance(patterns, str) else patterns))
