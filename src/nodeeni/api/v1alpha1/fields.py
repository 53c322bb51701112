"""Types of fields that several objects share, and the declarations of the fields of one kind."""

from typing import Annotated

from msgspec import Meta

from nodeeni.api.v1alpha1.schema import Rule, camel_case, schema

SubnetID = Annotated[str, Meta(extra_json_schema={"pattern": "^subnet-[0-9a-f]{8,17}$"})]
VpcID = Annotated[str, Meta(extra_json_schema={"pattern": "^vpc-[0-9a-f]{8,17}$"})]
GroupID = Annotated[str, Meta(extra_json_schema={"pattern": "^sg-[0-9a-f]{8,17}$"})]
TagName = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": 255})]
LabelValue = Annotated[str, Meta(extra_json_schema={"maxLength": 63})]
TagValue = Annotated[str, Meta(extra_json_schema={"maxLength": 256})]

InterfaceName = Annotated[
    str,
    schema(
        "Alternative name (altname) of the link on the node, so that a Multus `master` can be the same on "
        "every instance type and image. Default: the NodeENI's name.",
        minLength=1,
        maxLength=127,
        pattern=r"^[^/\s]+$",
    ),
]


# More than any instance type has today; what a type has is looked at before any call.
MOST_ADDRESSES = 255


def count(of: str, more: str = "") -> Meta:
    description = (
        f"How many {of} each ENI has. What is beyond it is given back, the last ones first, also what was "
        f"assigned by hand.{more} Absent: left as they are."
    )
    return schema(description, minimum=0, maximum=MOST_ADDRESSES)


def at_most_one(one: str, other: str, family: str) -> Rule:
    first, second = camel_case(one), camel_case(other)
    return Rule(
        f"!has(self.{first}) || self.{first} == 0 || !has(self.{second}) || self.{second} == 0",
        f"at most one of {first} and {second} can be above 0: EC2 makes an ENI with one form of {family}",
        second,
        lambda spec: not (getattr(spec, one) and getattr(spec, other)),
    )
