"""Each attribute that is declared: what is sent is what EC2 takes, and what EC2 shows is what is compared."""

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel, StructureShape
from msgspec.structs import replace

from nodeeni.api.v1alpha1 import ConnectionTracking, EnaExpress, NodeENISpec
from nodeeni.ec2.attributes import (
    ATTRIBUTES,
    CONNECTION_TRACKING,
    ENA_EXPRESS,
    ENA_QUEUES,
    GROUPS,
    Attribute,
    TrackingOfType,
)
from nodeeni.ec2.errors import classify
from nodeeni.ec2.types import Attachment, EnaQueues, Interface

ENI = Interface("eni-1", "in-use", "subnet-1", "vpc-1", "02:00:00:00:00:01")
ATTACHED = Interface(
    **{field: getattr(ENI, field) for field in ENI.__struct_fields__ if field != "attachment"},
    attachment=Attachment("eni-attach-1", "i-1", 2),
)

# Values to send, where what EC2 shows of the interface above is none.
SENT: Mapping[Attribute[Any], Any] = {
    CONNECTION_TRACKING: TrackingOfType(tcp_established_timeout=600, udp_stream_timeout=60, udp_timeout=60),
    ENA_EXPRESS: EnaExpress(enabled=True, udp=True),
    ENA_QUEUES: EnaQueues(8),
}


@pytest.fixture(scope="module")
def whole() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("ec2", "service-2"), "ec2")


def shown(attribute: Attribute[Any]) -> Any:
    return attribute.shown(ATTACHED)


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=repr)
def test_what_is_sent_is_known_to_ec2(attribute: Attribute[Any], whole: ServiceModel) -> None:
    value = SENT.get(attribute, shown(attribute))
    modify = whole.operation_model("ModifyNetworkInterfaceAttribute").input_shape
    _is_in(modify, attribute.modify(value, "eni-attach-1"))
    if attribute.create is not None:
        create = whole.operation_model("CreateNetworkInterface").input_shape
        _is_in(create, attribute.create(value))
    if attribute.attach is not None:
        attach = whole.operation_model("AttachNetworkInterface").input_shape
        _is_in(attach, attribute.attach(value))


def _is_in(shape: StructureShape, sent: Mapping[str, Any]) -> None:
    for name, value in sent.items():
        assert name in shape.members, f"{shape.name} has no {name}"
        if isinstance(value, dict):
            _is_in(shape.members[name], value)


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=repr)
def test_what_is_written_is_what_is_shown_then(attribute: Attribute[Any]) -> None:
    other: dict[type, Any] = {
        bool: not shown(attribute),
        int: 9,
        str: "another",
        tuple: ("sg-9",),
        ConnectionTracking: TrackingOfType(udp_timeout=60),
        EnaExpress: EnaExpress(enabled=True),
        EnaQueues: EnaQueues(8),
    }
    wanted = other[type(shown(attribute))]
    assert attribute.differs(ATTACHED, wanted)
    assert not attribute.differs(attribute.written(ATTACHED, wanted), wanted)
    assert attribute.differs(ENI, wanted) is not attribute.of_attachment, (
        "nothing to put right where it is not"
    )
    assert not attribute.differs(ATTACHED, None), "None asks for nothing"


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=repr)
def test_it_stands_on_fields_that_there_are(attribute: Attribute[Any]) -> None:
    assert set(attribute.fields) <= set(NodeENISpec.__struct_fields__)
    unknown = [code for code in attribute.refused if classify(code) is None]
    assert unknown == [], "the table of errors says how each refusal is handled"


def test_the_order_of_groups_is_nothing_to_put_right() -> None:
    assert not GROUPS.differs(GROUPS.written(ENI, ("sg-1", "sg-2")), ("sg-2", "sg-1"))


NITRO_V6 = ConnectionTracking(tcp_established_timeout=350, udp_stream_timeout=180, udp_timeout=30)
A_MINUTE = ConnectionTracking(udp_stream_timeout=60)


@pytest.mark.parametrize(
    ("asked", "shown_by_ec2", "sent"),
    [
        ({}, ConnectionTracking(), None),
        ({}, NITRO_V6, None),
        ({"tcp_established_timeout": 350}, ConnectionTracking(), None),
        ({}, A_MINUTE, (350, 180, 30)),
        ({"udp_stream_timeout": 60}, A_MINUTE, None),
        ({"tcp_established_timeout": 600}, A_MINUTE, (600, 180, 30)),
    ],
    ids=str,
)
def test_timeouts_that_are_not_asked_for_are_those_of_the_type(
    asked: dict[str, int], shown_by_ec2: ConnectionTracking, sent: tuple[int, int, int] | None
) -> None:
    wanted = TrackingOfType(**asked, default=NITRO_V6)
    eni = replace(ENI, connection_tracking=shown_by_ec2)
    assert CONNECTION_TRACKING.differs(eni, wanted) is (sent is not None)
    if sent is not None:
        parameters = CONNECTION_TRACKING.modify(wanted, "")["ConnectionTrackingSpecification"]
        assert parameters == dict(
            zip(("TcpEstablishedTimeout", "UdpStreamTimeout", "UdpTimeout"), sent, strict=True)
        )


def test_while_the_type_is_not_known_what_is_not_asked_for_stays() -> None:
    eni = replace(ENI, connection_tracking=A_MINUTE)
    assert not CONNECTION_TRACKING.differs(eni, TrackingOfType())
    assert not CONNECTION_TRACKING.differs(eni, TrackingOfType(udp_stream_timeout=60))
    more = TrackingOfType(udp_timeout=60)
    assert CONNECTION_TRACKING.differs(eni, more)
    assert CONNECTION_TRACKING.modify(more, "") == {"ConnectionTrackingSpecification": {"UdpTimeout": 60}}
