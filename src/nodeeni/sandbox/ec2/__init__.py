"""A simulated EC2 that speaks the Query protocol: `EC2Server`, its settings, its faults."""

from .buckets import Rival
from .calls import Call, Calls
from .errors import EC2Error
from .faults import Fault, Faults
from .iam import Policy, Statement
from .imds import Imds
from .lifecycle import NodeKernels
from .model import Attachment, Instance, Interface, LaunchInterface, SecurityGroup, Subnet, Vpc
from .server import EC2Server
from .settings import DOCUMENTED_BUCKETS, Delay, EC2Settings, quick_settings

__all__ = [
    "DOCUMENTED_BUCKETS",
    "Attachment",
    "Call",
    "Calls",
    "Delay",
    "EC2Error",
    "EC2Server",
    "EC2Settings",
    "Fault",
    "Faults",
    "Imds",
    "Instance",
    "Interface",
    "LaunchInterface",
    "NodeKernels",
    "Policy",
    "Rival",
    "SecurityGroup",
    "Statement",
    "Subnet",
    "Vpc",
    "quick_settings",
]
