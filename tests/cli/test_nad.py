"""`nodeeni nad`: the definition by which pods join a network, and a pod to try it."""

import yaml
from tests.cli.looking import NAME, Site

ANNOTATION = "k8s.v1.cni.cncf.io/networks"


async def test_a_definition_without_a_spec_and_a_pod_where_the_enis_are(site: Site) -> None:
    site.apply(
        podNetwork={"name": "pods"},
        matchExpressions=[
            {"key": "zone", "operator": "In", "values": ["a", "b"]},
            {"key": "gpu", "operator": "DoesNotExist"},
        ],
    )
    seen = await site.run("nad", NAME, "-n", "team")
    assert seen.status == 0
    definition, pod = yaml.safe_load_all(seen.out)
    assert definition == {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "pods", "namespace": "team"},
        "spec": {},
    }
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


async def test_the_network_has_the_nodeenis_name_where_it_has_none_of_its_own(site: Site) -> None:
    site.apply(podNetwork={})
    definition, pod = yaml.safe_load_all((await site.run("nad", NAME)).out)
    assert definition["metadata"] == {"name": NAME, "namespace": "default"}
    assert pod["metadata"]["annotations"] == {ANNOTATION: NAME}
    assert "affinity" not in pod["spec"]


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
