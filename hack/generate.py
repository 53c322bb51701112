"""Write the generated files and tables, or with --check fail when a committed one is stale."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml
from botocore.session import get_session
from msgspec.structs import FieldInfo
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from nodeeni import metrics
from nodeeni.agent.counters import Counters
from nodeeni.agent.network_report import NetworkReport, NetworkState
from nodeeni.agent.settings import AGENT_SETTINGS
from nodeeni.api.crd import manifests, nodeeni_crd
from nodeeni.api.reasons import ConditionReason, ConditionType, EventReason, Mender, NodeReason, RowReason
from nodeeni.api.v1alpha1 import NodeENISpec
from nodeeni.ec2.addresses import ADDRESS_KINDS
from nodeeni.ec2.attributes import ATTRIBUTES, Attribute
from nodeeni.ec2.errors import AT_ONCE, ErrorClass, RetryRule
from nodeeni.settings import CONTROLLER_SETTINGS

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Generated from src/nodeeni/api/v1alpha1/ by `make generate`. Edit there.\n"

SETTINGS_INTRODUCTION = """\
<!-- Generated from src/nodeeni/settings.py and src/nodeeni/agent/settings.py by `make generate`. -->
# Settings

A flag comes before its variable, a variable before the default. Durations are written as `30s`, `5m` or
`1h30m`; yes as `true`, `t`, `1`, `yes` or the flag alone, no as `false`, `f`, `0` or `no`, in capitals too.
One dash does as well, as in v1.x. A setting that cannot be used ends the process at once with one line that
says what to change, exit status 2.

The AWS SDK's own variables (`AWS_ENDPOINT_URL`, `AWS_CA_BUNDLE`, `AWS_PROFILE`, those of IRSA and EKS Pod
Identity) mean what they mean to the SDK.
"""

METRICS_INTRODUCTION = """\
<!-- Generated from src/nodeeni/metrics.py and src/nodeeni/agent/counters.py by `make generate`. -->
# Metrics

In Prometheus' format. A counter's name ends in `_total`; a histogram has `_bucket`, `_sum` and `_count` after
its name. [How to have them scraped](how-to.md#watch-it), with alerts and a dashboard.
"""

FIELDS_INTRODUCTION = """\
<!-- Generated from src/nodeeni/api/v1alpha1/ and src/nodeeni/ec2/attributes.py by `make generate`. -->
# Fields of a NodeENI

What stands in `spec`. `kubectl explain nodeeni.spec` tells the same of the version that your cluster has.
A new ENI costs three calls of EC2 (CreateNetworkInterface, AttachNetworkInterface, and
ModifyNetworkInterfaceAttribute for `deleteOnTermination`), with every field that the first two can carry. An
edit that is made **in place** takes nothing off a node. One that **replaces** takes away each ENI that does
not fit any more and makes it anew, and one that **moves** detaches and attaches it,
[node after node](how-to.md#changing-a-live-nodeeni). **Since** is the version whose manifests have the field
first. Where an older chart is rolled back over objects with newer fields, the API server drops these from the
objects, and the older controller leaves on the ENIs what they have: apply your manifests again once the newer
one is back, before its controller runs, or it takes a field that is gone for one that you took out.
"""

ATTRIBUTES_INTRODUCTION = """\
## Attributes of an ENI

What is kept as the spec has it on an ENI that stands, also when somebody changed it by hand. Calls are those
of `ModifyNetworkInterfaceAttribute`, which EC2 grants
[at a rate of its own](how-to.md#rates-above-the-documented-ones). A value that EC2 refuses is told on the
NodeENI; what works stays.
"""

ADDRESSES_INTRODUCTION = """\
## Addresses of an ENI

A count that stands in the spec is kept exactly, on new ENIs and on those that stand. Where there are too
few, EC2 chooses the new ones. Where there are too many, the last ones as EC2 lists them are given back,
also those that were assigned by hand: the primary address never. **Absent, a field asks for nothing**: what
is there stays, so that a program of yours (keepalived, a virtual appliance) can assign and move addresses
itself. A field that is taken out of the spec leaves what it gave; set it to 0 first to have it given back.

Of each family one form: addresses or prefixes. Both, and the primary IPv4 address, count against what the
instance type holds an interface (`Ipv4AddressesPerInterface`, `Ipv6AddressesPerInterface` of
DescribeInstanceTypes): a count above it is refused before any call, with `TooManyAddresses`. A prefix needs
a free block in one piece (/28 of IPv4, /80 of IPv6); in a subnet that is used in many places none may be
left (`NoFreePrefix`, and the next candidate is taken): keep blocks with `aws ec2
create-subnet-cidr-reservation --reservation-type prefix`.

An **IPv6-only** subnet has no IPv4 address to give and is never full. A candidate that lacks the family
which the spec counts is left out, and an ENI that stands in it is replaced; where all do, the row says
`AddressFamilyMissing`. A subnet that assigns an IPv6 address on creation does so where `ipv6AddressCount`
and `ipv6PrefixCount` are absent. An ENI of an IPv6-only subnet is made with an address; `ipv6PrefixCount`
costs 1 call more there, since EC2 makes an ENI with addresses or with prefixes.

What is too much of a family is given back before more of it is assigned. Addresses that are not counted
take room as well: `ipv4PrefixCount` in place of `secondaryPrivateIPCount` needs the latter at 0.

After a restart, or a lost answer, an edit of a count waits for up to `--read-lag`, until EC2's reads are
sure to show what was assigned before: nothing is assigned twice.
"""

# What an edit of a field does that is no attribute of an ENI.
EDITS = {
    **dict.fromkeys(("node_selector", "match_expressions"), "nodes gain or lose their ENI"),
    **dict.fromkeys(("subnet_id", "subnet_ids", "subnet_name", "subnet_names", "vpc_id"), "replaces"),
    **dict.fromkeys(("device_index", "device_index_policy", "network_card_index"), "moves the same ENI"),
    **dict.fromkeys(("mtu", "interface_name", "pod_network"), "on the node, by the ENI manager"),
    "tags": "in place, 1 call or 2",
}
# By which call a new interface has what is no attribute.
CALLS = {
    **dict.fromkeys(("subnet_id", "subnet_ids", "subnet_name", "subnet_names", "tags"), "Create"),
    **dict.fromkeys(("device_index", "network_card_index"), "Attach"),
}
# Fields of manifests of aws-multi-eni-controller; the others are of 2.0.0.
FORMER = {
    **dict.fromkeys(("node_selector", "subnet_id", "subnet_ids", "subnet_name", "subnet_names"), "v1.x"),
    **dict.fromkeys(("security_group_ids", "security_group_names", "device_index"), "v1.x"),
    **dict.fromkeys(("delete_on_termination", "description", "mtu"), "v1.x"),
    **dict.fromkeys(("enable_dpdk", "dpdk_driver", "dpdk_resource_name", "dpdk_pci_address"), "v1.3.8"),
}


# What the sandbox simulates, by botocore's name of the service: a new action is named here first.
SIMULATED = {
    "ec2": [
        "AssignIpv6Addresses",
        "AssignPrivateIpAddresses",
        "AssociateSecurityGroupVpc",
        "AttachNetworkInterface",
        "CreateNetworkInterface",
        "CreateTags",
        "DeleteNetworkInterface",
        "DeleteTags",
        "DescribeAvailabilityZones",
        "DescribeInstanceTypes",
        "DescribeInstances",
        "DescribeNetworkInterfaceAttribute",
        "DescribeNetworkInterfaces",
        "DescribeRegions",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeTags",
        "DescribeVpcs",
        "DetachNetworkInterface",
        "DisassociateSecurityGroupVpc",
        "GetSecurityGroupsForVpc",
        "ModifyNetworkInterfaceAttribute",
        "RunInstances",
        "StartInstances",
        "StopInstances",
        "TerminateInstances",
        "UnassignIpv6Addresses",
        "UnassignPrivateIpAddresses",
    ],
    "sts": ["GetCallerIdentity"],
}

# A table within a page stands between these two; in between is what `TABLES` makes of that name.
_TABLE = re.compile(r"(<!-- generated: (?P<name>[^>]+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def generated() -> dict[Path, str]:
    """Every generated file, and every page with generated tables, with what it has to hold."""
    files = {
        ROOT / "deploy" / "crds" / name: HEADER + yaml.safe_dump(manifest, sort_keys=False, width=110)
        for name, manifest in manifests().items()
    }
    files[ROOT / "docs" / "settings.md"] = settings_reference()
    files[ROOT / "docs" / "metrics.md"] = metrics_reference()
    files[ROOT / "src/nodeeni/sandbox/ec2/actions/parameters.json"] = ec2_parameters()
    files[ROOT / "docs" / "reference.md"] = fields_reference()
    tables = {name: "\n".join(table()) for name, table in TABLES.items()}
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text()
        if page not in files and _TABLE.search(text):
            files[page] = _TABLE.sub(lambda found: f"{found[1]}{tables.pop(found['name'])}\n{found[4]}", text)
    assert not tables, f"no page has a place for {', '.join(tables)}"
    return files


def ec2_parameters() -> str:
    """The parameters of the simulated actions, by their names on the wire, as botocore's models have them."""
    models = get_session()
    known = {}
    for service, actions in SIMULATED.items():
        model = models.get_service_model(service)
        for action in actions:
            shape = model.operation_model(action).input_shape
            members = shape.members if shape else {}
            names = {name: _on_the_wire(name, member.serialization) for name, member in members.items()}
            known[action] = {
                "accepted": sorted(names.values()),
                "required": sorted(names[name] for name in (shape.required_members if shape else ())),
            }
    return json.dumps(known, indent=1, sort_keys=True) + "\n"


def _on_the_wire(member: str, serialization: Mapping[str, str]) -> str:
    """EC2's Query protocol: a name of its own, else the location's with a capital, else the member's."""
    location = serialization.get("name", member)
    return serialization.get("queryName", location[:1].upper() + location[1:])


def fields_reference() -> str:
    """Every field of a NodeENI's spec, and what each attribute of an ENI costs."""
    (version,) = nodeeni_crd()["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    fields = {field.encode_name: field for field in msgspec.structs.fields(NodeENISpec)}
    told = {name: _told_of(fields[name]) for name in spec["properties"]}
    lines = [
        "| field | since | type | default | what it is | on create | on an edit |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, schema in spec["properties"].items():
        lines.append(_row(name, schema, *told[name]))
        for member, of_member in schema.get("properties", {}).items():
            lines.append(_row(f"{name}.{member}", of_member, told[name].since, "", ""))
    attributes = [ATTRIBUTES_INTRODUCTION, *_attributes(), ""]
    addresses = [ADDRESSES_INTRODUCTION, *_addresses(), ""]
    return "\n".join([FIELDS_INTRODUCTION, *lines, "", *attributes, *addresses])


class _Told(NamedTuple):
    """Of a field: since which version's manifests, with which call of a create, what an edit does."""

    since: str
    on_create: str
    edit: str


def _told_of(field: FieldInfo) -> _Told:
    since = FORMER.get(field.name, "2.0.0")
    for attribute in ATTRIBUTES:
        if field.name in attribute.fields:
            return _Told(since, _carrier(attribute), _in_place(attribute))
    for kind in ADDRESS_KINDS:
        if field.name == kind.field:
            return _Told(since, "Create", "in place, 1 call")
    return _Told(since, CALLS.get(field.name, ""), EDITS.get(field.name, ""))


def _row(name: str, schema: dict[str, Any], since: str, on_create: str, edit: str) -> str:
    default = f"`{yaml.safe_dump(schema['default']).split()[0]}`" if "default" in schema else ""
    told = schema.get("description", "").replace("|", r"\|")
    return f"| `{name}` | {since} | {_kind(schema)} | {default} | {told} | {on_create} | {edit} |"


def _kind(schema: dict[str, Any]) -> str:
    """Type and limits of a field."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "items" in schema:
        return f"list{_most(schema, 'maxItems')} of {_kind(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map{_most(schema, 'maxProperties')} to {_kind(schema['additionalProperties'])}"
    if "minimum" in schema or "maximum" in schema:
        return f"{schema['type']}, {schema.get('minimum', '')}..{schema.get('maximum', '')}"
    return f"{schema['type']}{_most(schema, 'maxLength')}"


def _most(schema: dict[str, Any], limit: str) -> str:
    return f" (at most {schema[limit]})" if limit in schema else ""


def _attributes() -> list[str]:
    lines = [
        "| attribute | fields | calls on create | on edit | EC2 may refuse it with |",
        "|---|---|---|---|---|",
    ]
    defaults = {field.name: field.default for field in msgspec.structs.fields(NodeENISpec)}
    names = {field.name: field.encode_name for field in msgspec.structs.fields(NodeENISpec)}
    for attribute in ATTRIBUTES:
        fields = ", ".join(f"`{names[field]}`" for field in attribute.fields)
        refused = ", ".join(f"`{code}`" for code in attribute.refused)
        lines.append(f"| {attribute.name} | {fields} | {_on_create(attribute, defaults)} | 1 | {refused} |")
    return lines


def _carrier(attribute: Attribute[Any]) -> str:
    """The call by which a new interface has it."""
    if attribute.create is not None:
        return "Create"
    if attribute.attach is not None:
        return "Attach"
    return f"Modify, where it is not `{attribute.printed(attribute.made_with)}`"


def _in_place(attribute: Attribute[Any]) -> str:
    told = "in place, 1 call"
    if attribute.of_stopped:
        return f"{told} while the instance is stopped"
    if attribute.for_good is None:
        return told
    return f"{told}; away from `{attribute.printed(attribute.for_good)}` replaces"


def _addresses() -> list[str]:
    lines = ["| field | on create | for more | for fewer |", "|---|---|---|---|"]
    return lines + [
        f"| `{kind}` | `{kind.count}`, 0 calls more | 1 `{kind.assign}` | 1 `{kind.unassign}` |"
        for kind in ADDRESS_KINDS
    ]


def _on_create(attribute: Attribute[Any], defaults: dict[str, Any]) -> str:
    if attribute.create is not None or attribute.attach is not None:
        return "0"
    default = defaults[attribute.fields[0]]
    made_with = (
        f"`{attribute.printed(attribute.made_with)}`" if attribute.made_with is not None else "not set"
    )
    return f"0 where it is {made_with}, else 1; {attribute.calls_after_create(default)} by default"


def settings_reference() -> str:
    """Every flag of the two programs, as Markdown tables."""
    controller, manager = (
        [(s.flag, ", ".join(s.environment), s.default, s.help) for s in settings if s.help is not None]
        for settings in (CONTROLLER_SETTINGS, AGENT_SETTINGS)
    )
    return "\n".join(
        [
            SETTINGS_INTRODUCTION,
            *_table("nodeeni controller", controller),
            "",
            *_table("nodeeni manager", manager),
            "",
        ]
    )


def _table(program: str, rows: list[tuple[str, str, str | None, str]]) -> list[str]:
    lines = [f"## `{program}`", "", "| flag | variable | default | meaning |", "|---|---|---|---|"]
    for flag, variables, default, meaning in rows:
        named = ", ".join(f"`{name}`" for name in variables.split(", ") if name)
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{flag}` | {named} | {shown} | {meaning.replace('|', chr(92) + '|')} |")
    return lines


def metrics_reference() -> str:
    """Every metric of the two programs, as Markdown tables."""
    declared = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
    of_controller = [
        (family.name, family.type, metric._labelnames, family.documentation)
        for metric in declared
        for family in metric.describe()
    ]
    of_one_network = Counters()
    of_one_network.networks = (NetworkReport("", "", "", NetworkState.READY, used=0, free=0),)
    of_manager = [
        (family.name, family.type, list(family.samples[0].labels), family.documentation)
        for family in text_string_to_metric_families(of_one_network.text())
    ]
    return "\n".join(
        [
            METRICS_INTRODUCTION,
            *_metrics_table("The controller", of_controller),
            "",
            "Beside them are prometheus_client's own of the process and of Python (`process_`, `python_`).",
            "",
            *_metrics_table("The ENI manager", of_manager),
            "",
        ]
    )


def _metrics_table(title: str, rows: Iterable[tuple[str, str, Sequence[str], str]]) -> list[str]:
    lines = [f"## {title}", "", "| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for name, kind, labels, meaning in rows:
        whole = f"{name}_total" if kind == "counter" else name
        lines.append(f"| `{whole}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {meaning} |")
    return lines


def conditions() -> list[str]:
    lines = ["| condition | is True when |", "|---|---|"]
    return [*lines, *(f"| `{kind}` | {kind.meaning} |" for kind in ConditionType)]


def condition_reasons() -> list[str]:
    """The reasons of each condition; of Degraded those of rows come first."""
    lines = ["| condition | is | reason | when |", "|---|---|---|---|"]
    for kind in ConditionType:
        shown = f"`{kind}`"
        for reason in (reason for reason in ConditionReason if reason.condition is kind):
            holds = "Unknown" if reason.holds is None else reason.holds
            lines.append(f"| {shown} | {holds} | `{reason}` | {reason.meaning} |")
            shown = ""
    return lines


def node_reasons() -> list[str]:
    lines = ["| is | reason | when |", "|---|---|---|"]
    return [*lines, *(f"| {r is NodeReason.ENIS_READY} | `{r}` | {r.meaning} |" for r in NodeReason)]


def row_reasons() -> list[str]:
    """The reasons of failures, and who mends them."""
    lines = ["| reason | passes by itself | then |", "|---|---|---|"]
    for reason in (reason for reason in RowReason if reason.of_failure):
        passes = "it may" if reason.mender is Mender.TIME else "no"
        lines.append(f"| `{reason}` | {passes} | {reason.meaning} |")
    return lines


def event_reasons() -> list[str]:
    lines = ["| event | type | when |", "|---|---|---|"]
    return [*lines, *(f"| `{e}` | {', '.join(e.types)} | {e.meaning} |" for e in EventReason)]


def error_classes() -> list[str]:
    """EC2's codes by class, and how each is handled."""
    lines = ["| reason | tried again after | told | EC2's codes |", "|---|---|---|---|"]
    for each in ErrorClass:
        codes = ", ".join(f"`{code}`" for code in _codes(each))
        told = "at once" if each.reported_after == AT_ONCE else f"after {each.reported_after} times"
        lines.append(f"| `{each.reason}` | {_retry(each.retry)} | {told} | {codes} |")
    return lines


def _codes(of: ErrorClass) -> list[str]:
    """The families as people write them: `*LimitExceeded`."""
    families = of.family.pattern.split("|") if of.family.pattern != "(?!)" else []
    said = [
        f"{code.pattern} ({message.pattern})"
        for code, message in of.said
        if not code.pattern.endswith(r"\w+")
    ]
    shown = [re.sub(r"\\w[*+]", "*", family).replace(r"\d", "?").replace("\\", "") for family in families]
    return [*sorted(of.codes), *shown, *said]


def _retry(rule: RetryRule) -> str:
    first, most = _duration(rule.first), _duration(rule.most)
    return first if first == most else f"{first}, growing to {most}"


def _duration(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"


TABLES: dict[str, Callable[[], list[str]]] = {
    "conditions": conditions,
    "reasons of conditions": condition_reasons,
    "reasons of failures": row_reasons,
    "reasons of NodeENIsReady": node_reasons,
    "events": event_reasons,
    "what EC2 refuses": error_classes,
}


def main() -> int:
    stale = [path for path, text in generated().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run `make generate` and commit it")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(generated()[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
