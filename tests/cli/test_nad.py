"""`nodeeni nad`: the definition by which pods join a network, and two pods to try it."""

import yaml
from tests.cli.looking import NAME, Site

ANNOTATION = "k8s.v1.cni.cncf.io/networks"


async def test_a_definition_without_a_spec_and_two_pods_where_the_enis_are(site: Site) -> None:
    site.apply(
        podNetwork={"name": "pods"},
        matchExpressions=[
            {"key": "zone", "operator": "In", "values": ["a", "b"]},
            {"key": "gpu", "operator": "DoesNotExist"},
        ],
    )
    seen = await site.run("nad", NAME, "-n", "team")
    assert seen.status == 0
    definition, *pods = yaml.safe_load_all(seen.out)
    assert definition == {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "pods", "namespace": "team"},
        "spec": {},
    }
    assert [pod["metadata"]["name"] for pod in pods] == ["try-pods-1", "try-pods-2"]
    for pod in pods:
        assert (pod["kind"], pod["metadata"]["namespace"]) == ("Pod", "team")
        assert pod["metadata"]["annotations"] == {ANNOTATION: "pods"}
        assert pod["spec"]["nodeSelector"] == {"ng": "multi-eni"}
        (term,) = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]
        assert term["matchExpressions"] == [
            {"key": "zone", "operator": "In", "values": ["a", "b"]},
            {"key": "gpu", "operator": "DoesNotExist", "values": []},
        ]


async def test_the_pods_are_on_two_nodes_where_there_are_two(site: Site) -> None:
    site.apply(podNetwork={"name": "pods"})
    _, *pods = yaml.safe_load_all((await site.run("nad", NAME)).out)
    for pod in pods:
        (apart,) = pod["spec"]["affinity"]["podAntiAffinity"][
            "preferredDuringSchedulingIgnoredDuringExecution"
        ]
        term = apart["podAffinityTerm"]
        assert term["labelSelector"] == {"matchLabels": pod["metadata"]["labels"]}
        assert term["topologyKey"] == "kubernetes.io/hostname"


async def test_names_of_the_pods_are_such_however_long_the_networks_is(site: Site) -> None:
    site.apply(podNetwork={"name": "a" * 55 + "-" * 7 + "b"})
    _, *pods = yaml.safe_load_all((await site.run("nad", NAME)).out)
    label = "try-" + "a" * 55
    assert [pod["metadata"]["name"] for pod in pods] == [f"{label}-1", f"{label}-2"]
    assert [pod["metadata"]["labels"] for pod in pods] == [{"app": label}] * 2


async def test_the_network_has_the_nodeenis_name_where_it_has_none_of_its_own(site: Site) -> None:
    site.apply(podNetwork={})
    definition, *pods = yaml.safe_load_all((await site.run("nad", NAME)).out)
    assert definition["metadata"] == {"name": NAME, "namespace": "default"}
    for pod in pods:
        assert pod["metadata"]["annotations"] == {ANNOTATION: NAME}
        assert "nodeAffinity" not in pod["spec"]["affinity"]


async def test_one_without_a_network_says_which_field_is_missing(site: Site) -> None:
    site.apply()
    seen = await site.run("nad", NAME)
    assert (seen.status, seen.out) == (1, "")
    assert seen.err == (
        f"nodeeni nad: NodeENI {NAME} has no network for pods: set spec.podNetwork, as in docs/pods.md\n"
    )


async def test_one_that_is_not_there(site: Site) -> None:
    seen = await site.run("nad", "other")
    assert (seen.status, seen.err) == (1, "nodeeni nad: there is no NodeENI other\n")
