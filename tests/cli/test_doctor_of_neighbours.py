"""`nodeeni doctor` on programs of others, in versions that do harm beside ours and in others."""

from typing import Any

import pytest
from tests.cli.looking import NAME, Seen, Site
from tests.neighbours import CNI_IMAGE, MULTUS_IMAGE, daemon_set

AUTO = {"eks.amazonaws.com/compute-type": "auto"}


def told_of(seen: Seen, check: str) -> tuple[str, str]:
    (found,) = [(entry["result"], entry["message"]) for entry in seen.json if entry["check"] == check]
    return found


HARM = "counts ENIs that are tagged no_manage, as ours are, again at each look"
IPV4_ONLY, IPV6_ONLY = "does not bear ENIs without IPv6", "does not bear ENIs without an IPv4 address"
FINE = "leaves ENIs alone that are tagged no_manage"
IPV6: dict[str, str] = {"ENABLE_IPv6": "true"}


@pytest.mark.parametrize(
    ("tag", "env", "result", "says"),
    [
        ("v1.19.6-eksbuild.1", {}, "right", FINE),
        ("v1.20.0", {}, "wrong", HARM),
        ("v1.20.4-eksbuild.2", {}, "wrong", HARM),
        ("v1.22.4-eksbuild.1", {}, "wrong", HARM),
        ("v1.23.0", {}, "right", FINE),
        ("v1.19.6", IPV6, "note", IPV4_ONLY),
        ("v1.22.4", IPV6, "wrong", HARM),
        ("v1.23.0", IPV6, "note", IPV6_ONLY),
        ("v1.23.1", IPV6, "right", FINE),
        ("v1.23.1", {"ENABLE_IPv6": "false"}, "right", FINE),
        ("latest", {}, "note", "does not tell its version by a tag"),
    ],
)
async def test_the_vpc_cni_by_its_version(
    site: Site, tag: str, env: dict[str, str], result: str, says: str
) -> None:
    site.world.kube.create(daemon_set("aws-node", f"{CNI_IMAGE}:{tag}", **env))
    seen = await site.run("doctor", "-o", "json")
    found, message = told_of(seen, "VPC CNI")
    assert (found, seen.status) == (result, 1 if result == "wrong" else 0)
    assert says in message
    if result == "wrong":
        assert "upgrade it to 1.23.1" in message


async def test_an_image_by_digest_alone_is_told_as_not_known(site: Site) -> None:
    image = f"{CNI_IMAGE}@sha256:{'ab' * 32}"
    site.world.kube.create(daemon_set("aws-node", image))
    assert told_of(await site.run("doctor", "-o", "json"), "VPC CNI") == (
        "note",
        f"kube-system/aws-node does not tell its version by a tag: {image}; see docs/limits.md",
    )


async def test_multus_with_its_version_and_the_folder_of_the_host(site: Site) -> None:
    image = f"{MULTUS_IMAGE}:v4.1.4-eksbuild.1_thick"
    site.world.kube.create(daemon_set("kube-multus-ds", image, "/etc/cni/net.d", "/opt/cni/bin"))
    seen = await site.run("doctor", "-o", "json")
    assert told_of(seen, "Multus") == (
        "right",
        "4.1.4 (kube-system/kube-multus-ds), with /etc/cni/net.d of the host",
    )


async def test_nodes_of_auto_mode_that_a_nodeeni_selects(site: Site) -> None:
    await site.node("n1")
    auto = await site.node("n2")
    site.world.label(auto.name, **AUTO)
    site.apply()
    seen = await site.run("doctor", "-o", "json")
    result, message = told_of(seen, f"NodeENI {NAME}")
    assert (seen.status, result) == (1, "wrong")
    assert message.startswith("selects nodes of EKS Auto Mode, where nobody can attach an ENI: n2: ")
    without: list[dict[str, Any]] = [{"key": next(iter(AUTO)), "operator": "NotIn", "values": ["auto"]}]
    site.apply(matchExpressions=without)
    seen = await site.run("doctor", "-o", "json")
    assert (seen.status, [e for e in seen.json if e["check"] == f"NodeENI {NAME}"]) == (0, [])


async def test_a_user_without_the_right_is_told_which_it_is(site: Site) -> None:
    site.world.kube.faults.fail(403, resource="daemonsets", times=9, reason="Forbidden")
    result, message = told_of(await site.run("doctor", "-o", "json"), "VPC CNI")
    assert result == "note"
    assert 'grant the verb "get" on "daemonsets.apps"' in message


@pytest.mark.parametrize(
    ("image", "paths", "told"),
    [
        (f"{MULTUS_IMAGE}:v4.1.4-eksbuild.3_thick", ["/etc/cni/net.d", "/"], True),
        (f"{MULTUS_IMAGE}:v4.2.1-thick", ["/etc/cni/net.d", "/", "/etc/cni/multus/net.d"], False),
        (f"{MULTUS_IMAGE}:v4.2.1", ["/etc/cni/net.d", "/opt/cni/bin"], False),
    ],
)
async def test_a_multus_that_would_not_find_the_files_of_pod_networks(
    site: Site, image: str, paths: list[str], told: bool
) -> None:
    """Where somebody asks for such a network. A thin one reads on the host, by default the right folder."""
    site.world.kube.create(daemon_set("kube-multus-ds", image, *paths))
    site.apply()
    seen = await site.run("doctor", "-o", "json")
    assert [e["result"] for e in seen.json if e["check"] == "Multus"] == ["right"]
    site.apply(podNetwork={})
    seen = await site.run("doctor", "-o", "json")
    notes = [e["message"] for e in seen.json if (e["check"], e["result"]) == ("Multus", "note")]
    assert (len(notes), seen.status) == (int(told), 0)
    assert all('"confDir": "/hostroot/etc/cni/multus/net.d"' in message for message in notes)
