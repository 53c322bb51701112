"""The chart: what it renders is what the programs, the API server and v1.1.0's users take."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram
from tests.deploy.conftest import CHART, IMAGE, ROOT, Template, container

from nodeeni import metrics
from nodeeni.agent import counters
from nodeeni.agent.settings import agent_settings
from nodeeni.controller.permissions import kubernetes
from nodeeni.settings import controller_settings

IMAGE_NAMED = ("--set", f"image.repository={IMAGE}")
FULLEST = ("--values", str(Path(__file__).parent / "fullest-values.yaml"))
OF_NAMES = ("serviceAccount.name", "priorityClassName")
DEPLOYMENT, DAEMON_SET = ("Deployment", "eni-controller"), ("DaemonSet", "eni-manager")


@pytest.mark.parametrize("arguments", [IMAGE_NAMED, FULLEST], ids=["least", "fullest"])
def test_helm_finds_nothing_to_complain_of(helm: str, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [helm, "lint", "--strict", str(CHART), *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


def test_derived_files_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "hack" / "render.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [(), FULLEST], ids=["least", "fullest"])
def test_the_programs_take_the_arguments_that_it_renders(
    template: Template, arguments: tuple[str, ...]
) -> None:
    objects = template(arguments=arguments)
    controller = controller_settings(container(objects[DEPLOYMENT])["args"], {})
    agent = agent_settings(container(objects[DAEMON_SET])["args"], {})
    fullest = bool(arguments)
    assert controller.enable_leader_election
    assert controller.metrics_addr == ("", 9090 if fullest else 8080)
    assert (controller.aws_region, controller.cluster_id, controller.resync_period, controller.dry_run) == (
        ("eu-west-1", "111122223333", 5400.0, True) if fullest else (None, None, 300.0, False)
    )
    assert agent.metrics_addr == (("", 9999) if fullest else ("127.0.0.1", 9811))
    assert (agent.physical, agent.check_interval) == ((False, 60.0) if fullest else (True, 30.0))
    assert agent.spec_file is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("controller.settings.resyncPeriod=5", "resyncPeriod"),
        ("controller.settings.resyncPeriod=0s", "resyncPeriod"),
        ("controller.settings.ec2Rate=Foo=1/1", "ec2Rate"),
        ("controller.settings.ec2Rate=AttachNetworkInterface=200", "ec2Rate"),
        ("controller.settings.ec2Rate=AttachNetworkInterface=0.5/5", "ec2Rate"),
        ("controller.settings.ec2Rate=AttachNetworkInterface=200/0", "ec2Rate"),
        ("manager.settings.eniPattern=(", "eniPattern"),
        ("manager.specDirectory=var/lib/nodeeni", "specDirectory"),
        ("manager.specDirectory=/var/../lib", "specDirectory"),
        ("manager.podNetwork.confDir=etc/cni/multus/net.d", "confDir"),
        (
            "manager.podNetwork.confDir=/etc/cni/net.d",
            "manager.podNetwork.confDir: /etc/cni/net.d is read by",
        ),
        ("manager.podNetwork.confDir=/var/lib/rancher/k3s/agent/etc/cni/net.d", "is read by the container"),
        ("manager.podNetwork.files=off", "files"),
        ("manager.podNetwork.stateDir=", "stateDir"),
        ("manager.settings.cniConfDir=/etc/cni/net.d", "cniConfDir"),
        ("manager.healthPort=0", "healthPort"),
        ("controller.settings.resynchPeriod=5m", "resynchPeriod"),
        ("controller.settings.metricsAddr=:9", "metricsAddr"),
        ("manager.settings.manageLinks=all", "manageLinks"),
        ("image.digest=latest", "digest"),
        ("controller.replicas=0", "replicas"),
        ("managers.enabled=false", "managers"),
    ],
)
def test_a_wrong_value_is_refused_by_name(template: Template, value: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        template(value)


def test_without_an_image_nothing_is_rendered_and_the_value_is_named(helm: str) -> None:
    done = subprocess.run(
        [helm, "template", "nodeeni", str(CHART)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "image.repository names no image, and none of nodeeni is published yet" in done.stderr
    assert f"--set image.repository={IMAGE}" in done.stderr


def test_a_release_puts_its_image_where_none_stands() -> None:
    """The two edits of the release workflow meet the lines that they are for."""
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    edits = re.findall(r"sed -i \"s\|(.*?)\|.*?\|\" (\S+)", workflow)
    assert {Path(file).name for _, file in edits} == {"values.yaml", "install.yaml"}
    for pattern, file in edits:
        found = re.findall(pattern, (ROOT / file).read_text(), re.MULTILINE)
        assert len(found) == (1 if file.endswith("values.yaml") else 2), (pattern, file)


@pytest.mark.parametrize("name", ["n", "1000", "1e3", "null"])
def test_names_that_yaml_would_read_as_something_else_stay_names(template: Template, name: str) -> None:
    """YAML 1.1 reads `n` as false: Helm took no release of that name."""
    named = [f"{program}.{field}" for program in ("controller", "manager") for field in OF_NAMES]
    objects = template(
        "monitoring.podMonitor.enabled=true",
        "manager.specDirectory=/var/lib/nodeeni",
        arguments=(
            *("--name-template", name, "--namespace", name, *IMAGE_NAMED),
            *(part for value in named for part in ("--set-string", f"{value}={name}")),
        ),
    )
    texts = {"app.kubernetes.io/instance", "namespace", "name", "serviceAccountName", "priorityClassName"}
    found = [(key, value) for each in objects.values() for key, value in _leaves(each) if key in texts]
    assert {key for key, _ in found} == texts
    assert [(key, value) for key, value in found if not isinstance(value, str)] == []


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each, key)
    else:
        yield key, value


def test_names_and_selectors_are_those_of_v1_1_0(template: Template) -> None:
    objects = template()
    deployment, daemon_set = objects[DEPLOYMENT], objects[DAEMON_SET]
    assert (
        deployment["metadata"]["namespace"] == daemon_set["metadata"]["namespace"] == "eni-controller-system"
    )
    assert deployment["spec"]["selector"] == {"matchLabels": {"app": "eni-controller"}}
    assert daemon_set["spec"]["selector"] == {"matchLabels": {"app": "eni-manager"}}
    assert daemon_set["spec"]["template"]["spec"]["nodeSelector"]["ng"] == "multi-eni"
    assert {("ServiceAccount", "eni-controller"), ("ServiceAccount", "eni-manager")} <= objects.keys()
    assert {("ClusterRole", "eni-controller-role"), ("ClusterRoleBinding", "eni-controller-rolebinding")} <= (
        objects.keys()
    )
    components = [
        {e["name"]: e.get("value") for e in container(objects[key])["env"]}["COMPONENT"]
        for key in (DEPLOYMENT, DAEMON_SET)
    ]
    assert components == ["eni-controller", "eni-manager"]


def test_commands_that_people_start_in_the_pod_know_the_cluster_ids(template: Template) -> None:
    given = template("controller.settings.clusterId=blue", "controller.settings.formerClusterIds=old\\,older")
    variables = {each["name"]: each.get("value") for each in container(given[DEPLOYMENT])["env"]}
    assert (variables["CLUSTER_ID"], variables["FORMER_CLUSTER_IDS"]) == ("blue", "old,older")


READINESS = {"nodeCondition": "true", "startupTaint": "example.com/no-eni-yet"}


@pytest.mark.parametrize(
    "on",
    [(), ("nodeCondition",), ("startupTaint",), ("nodeCondition", "startupTaint")],
    ids=["neither", "condition", "taint", "both"],
)
def test_the_controller_may_do_what_it_does_and_no_more(template: Template, on: tuple[str, ...]) -> None:
    objects = template(*(f"controller.settings.{name}={READINESS[name]}" for name in on))
    granted = set()
    for (kind, name), role in objects.items():
        if kind in ("Role", "ClusterRole") and name.startswith("eni-controller"):
            granted |= _granted(role)
    given = [flag for flag in container(objects[DEPLOYMENT])["args"] if "metrics" not in flag]
    needed = {
        (p.resource.group, p.resource.plural + (f"/{p.subresource}" if p.subresource else ""), verb)
        for p in kubernetes(controller_settings(given, {}))
        for verb in p.verbs
    }
    assert granted == needed
    assert (("ValidatingAdmissionPolicy", "eni-controller-nodes") in objects) == bool(on)


def test_nodes_are_ready_by_the_eni_managers_word_where_it_is_installed(template: Template) -> None:
    """Else a node would be ready before its ENI manager has started."""

    def waits(*values: str) -> bool:
        args = container(template(*values)[DEPLOYMENT])["args"]
        return bool(controller_settings(args, {}).require_link_up)

    told = "controller.settings.nodeCondition=true"
    assert not waits()
    assert waits(told)
    assert not waits(told, "manager.enabled=false")
    assert not waits(told, "controller.settings.requireLinkUp=false")


def test_doctor_in_the_pod_knows_what_is_told_of_nodes(template: Template) -> None:
    given = template(*(f"controller.settings.{name}={value}" for name, value in READINESS.items()))
    variables = {each["name"]: each.get("value", "") for each in container(given[DEPLOYMENT])["env"]}
    settings = controller_settings([], {k: variables[k] for k in ("NODE_CONDITION", "STARTUP_TAINT")})
    assert (settings.node_condition, settings.startup_taint) == (True, "example.com/no-eni-yet")


@pytest.mark.parametrize("name", READINESS)
def test_what_no_policy_could_confine_is_not_installed(template: Template, name: str) -> None:
    with pytest.raises(ValueError, match=r"need Kubernetes 1\.30 or newer"):
        template(
            f"image.repository={IMAGE}",
            f"controller.settings.{name}={READINESS[name]}",
            arguments=("--kube-version", "1.29.9"),
        )


def test_the_eni_manager_may_read_eninodes_and_report(template: Template) -> None:
    assert _granted(template()["ClusterRole", "eni-manager-role"]) == {
        *(("networking.k8s.aws", "eninodes", verb) for verb in ("list", "watch")),
        ("networking.k8s.aws", "eninodes/status", "patch"),
    }


def test_pods_have_no_more_privileges_than_they_use(template: Template) -> None:
    objects = template()
    controller, manager = container(objects[DEPLOYMENT]), container(objects[DAEMON_SET])
    pod = objects[DEPLOYMENT]["spec"]["template"]["spec"]["securityContext"]
    assert (pod["runAsNonRoot"], pod["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    for context in (controller["securityContext"], manager["securityContext"]):
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]
    assert controller["securityContext"]["capabilities"].get("add") is None
    assert manager["securityContext"] == {
        "privileged": False,
        "runAsUser": 0,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
    }
    pod = objects[DAEMON_SET]["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert pod["hostNetwork"] is True
    assert {"hostPID", "hostIPC", "volumes"}.isdisjoint(pod)


def test_the_one_folder_of_the_node_is_for_the_last_spec_and_asked_for(template: Template) -> None:
    pod = template("manager.specDirectory=/var/lib/nodeeni")[DAEMON_SET]["spec"]["template"]["spec"]
    assert [volume["hostPath"]["path"] for volume in pod["volumes"]] == ["/var/lib/nodeeni"]
    assert [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]] == ["/var/lib/nodeeni"]


def test_pod_networks_have_their_folder_and_hostlocals_read_only_and_asked_for(template: Template) -> None:
    values = ("manager.podNetwork.confDir=/etc/cni/multus/net.d", "manager.podNetwork.files=remove")
    pod = template(*values)[DAEMON_SET]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert [volume["hostPath"] for volume in pod["volumes"]] == [
        {"path": "/etc/cni/multus/net.d", "type": "DirectoryOrCreate"},
        {"path": "/var/lib/cni/networks", "type": "DirectoryOrCreate"},
        {"path": "/opt/cni/bin", "type": "DirectoryOrCreate"},
    ]
    assert [(mount["mountPath"], mount.get("readOnly")) for mount in container["volumeMounts"]] == [
        ("/etc/cni/multus/net.d", None),
        ("/var/lib/cni/networks", True),
        ("/opt/cni/bin", True),
    ]
    flags = [argument for argument in container["args"] if argument.startswith("--cni")]
    assert flags == [
        "--cni-conf-dir=/etc/cni/multus/net.d",
        "--cni-files=remove",
        "--cni-state-dir=/var/lib/cni/networks",
        "--cni-bin-dir=/opt/cni/bin",
    ]
    least = template(values[0], "manager.podNetwork.binDir=")[DAEMON_SET]["spec"]["template"]["spec"]
    assert [volume["name"] for volume in least["volumes"]] == ["cni-conf", "cni-state"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("arguments", [(), FULLEST], ids=["least", "fullest"])
def test_the_notes_tell_how_to_look_and_which_label_is_meant(
    helm: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    notes = _notes(helm, tmp_path, arguments or IMAGE_NAMED)
    assert "exec deploy/eni-controller -- nodeeni doctor" in notes
    labels = re.findall(r"kubectl label node NODE (\S+)$", notes, re.MULTILINE)
    assert labels == (["pool=data"] if arguments else ["ng=multi-eni"])
    assert ("carries no IAM role" in notes) == (not arguments)


def test_crds_are_updated_by_upgrades_and_kept_on_uninstall(template: Template) -> None:
    crds = [o for (kind, _), o in template().items() if kind == "CustomResourceDefinition"]
    assert [crd["metadata"]["annotations"]["helm.sh/resource-policy"] for crd in crds] == ["keep", "keep"]
    for crd in crds:
        plural = crd["spec"]["names"]["plural"]
        committed = (ROOT / "deploy" / "crds" / f"networking.k8s.aws_{plural}_crd.yaml").read_text()
        assert crd["spec"] == yaml.safe_load(committed)["spec"]
    assert not any(kind == "CustomResourceDefinition" for kind, _ in template("crds.install=false"))


def test_alerts_and_dashboard_ask_for_metrics_that_exist(template: Template) -> None:
    objects = template(arguments=FULLEST)
    rules = objects["PrometheusRule", "nodeeni"]["spec"]
    dashboard = json.loads(objects["ConfigMap", "nodeeni-dashboard"]["data"]["nodeeni.json"])
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    expressions += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {name for expression in expressions for name in re.findall(r"nodeeni_\w+", expression)}
    assert asked <= _exposed()


def test_the_version_is_one(template: Template) -> None:
    project = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert project is not None
    semantic = re.sub(r"\.dev(\d+)$", r"-dev.\1", project[1])
    assert (chart["version"], chart["appVersion"]) == (semantic, semantic)
    assert container(template()[DEPLOYMENT])["image"].endswith(f":{semantic}")
    pages = "".join((ROOT / "docs" / name).read_text() for name in ("install.md", "upgrade.md"))
    assert set(re.findall(r"/nodeeni:(\d[\w.-]*)", pages)) == {semantic}


def _notes(helm: str, directory: Path, arguments: tuple[str, ...]) -> str:
    """NOTES.txt as `helm install` shows it, which without a cluster comes out only as part of a manifest."""
    chart = directory / "nodeeni"
    shutil.copytree(CHART, chart)
    text = (chart / "templates" / "NOTES.txt").read_text()
    (chart / "templates" / "_notes.tpl").write_text(f'{{{{ define "notes" }}}}{text}{{{{ end }}}}')
    (chart / "templates" / "notes.yaml").write_text('notes: {{ include "notes" . | quote }}\n')
    command = [helm, "template", "nodeeni", str(chart), *arguments, "--show-only", "templates/notes.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return str(yaml.safe_load(done.stdout)["notes"])


def _granted(role: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _exposed() -> set[str]:
    """The names of all series of both programs."""
    collectors = [value for value in vars(metrics).values() if isinstance(value, Counter | Gauge | Histogram)]
    families = [family for collector in collectors for family in collector.describe()]
    names = {f"{family.name}{suffix}" for family in families for suffix in ("", "_total", "_bucket")}
    return names | set(re.findall(r"^# TYPE (\w+)", counters.Counters().text(), re.MULTILINE))
