"""Write what is derived from the chart: its schema and CRDs, and the plain manifests under deploy/.

With --check fail when a committed one is stale. The manifests need helm; without it they are left out, and
the last line says so.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from nodeeni.agent.settings import AGENT_SETTINGS
from nodeeni.api.names import NAMESPACE
from nodeeni.ec2.types import Action
from nodeeni.settings import CONTROLLER_SETTINGS

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "nodeeni"
CRDS = ROOT / "deploy" / "crds"
HEADER = "# Rendered from charts/nodeeni by `make render`. Edit there.\n"
EXAMPLE = "registry.example/nodeeni"  # a name that kustomize's `images:` finds, and that leads nowhere
STARTUP_TAINT = "nodeeni.networking.k8s.aws/not-ready"  # of deploy/readiness.yaml
PLACEHOLDER = "${UNIFIED_IMAGE}"  # v1.1.0's users replace it with sed

Object = dict[str, Any]

# What the chart itself decides is not a value.
CHARTS_OWN = {
    *("--metrics-addr", "--enable-leader-election", "--leader-election-namespace", "--kubeconfig"),
    *("--node-name", "--spec-file", "--sysfs", "--service-account", "--keepalive"),
    *("--cni-conf-dir", "--cni-files", "--cni-state-dir", "--cni-bin-dir"),
    "--cni-look",
}
# Helm's expressions are Go's, without look-ahead.
ABOVE_ZERO = r"([0-9]*[1-9][0-9]*(\.[0-9]+)?|[0-9]+\.[0-9]*[1-9][0-9]*)"
FROM_ONE = r"[0-9]*[1-9][0-9]*(\.[0-9]+)?"
PART = r"([0-9]+(\.[0-9]+)?(ms|s|m|h))"
DURATION = {"type": "string", "pattern": f"^{PART}*{ABOVE_ZERO}(ms|s|m|h){PART}*$"}
METERED = "|".join(action.value for action in Action)
RATE = f"({METERED})={FROM_ONE}/{ABOVE_ZERO}"
TYPES: Mapping[str, Object] = {
    "str": {"type": "string"},  # a number would be rendered as 1.1e+11
    "positive_duration": DURATION,
    "duration_or_none": {"type": "string", "pattern": f"^(0|{PART}+)$"},
    "positive_int": {"type": "integer", "minimum": 1},
    "verbosity": {"anyOf": [{"type": "integer", "minimum": 0}, {"enum": ["info", "debug"]}]},
    "truth": {"type": "boolean"},
    "taint_key": {"type": "string", "pattern": "^[-A-Za-z0-9_./]*$"},
    "physical": {"enum": ["physical", "listed"]},
    "log_format": {"enum": ["json", "text"]},
    "pattern": {"type": "string", "format": "regex"},
    "names": {"type": "string"},
    "cluster_ids": {"type": "string"},
    "ec2_rates": {"type": "string", "pattern": f"^ *{RATE} *(, *{RATE} *)*$"},
}
LABELS = {"app.kubernetes.io/managed-by", "app.kubernetes.io/instance", "helm.sh/chart"}


# -- the schema --------------------------------------------------------------------------------------


def schema() -> Object:
    """The JSON schema of values.yaml: its shape from that file, the settings from the programs."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    whole = _shape(values)
    whole["properties"]["controller"]["properties"]["settings"] = _settings(CONTROLLER_SETTINGS)
    whole["properties"]["manager"]["properties"]["settings"] = _settings(AGENT_SETTINGS)
    image = whole["properties"]["image"]["properties"]
    # Absolute, and as Kubernetes takes it for hostPath and mountPath: without "..", without a colon.
    folder = r"(/\.?[^/:.][^/:]*)"
    manager = whole["properties"]["manager"]["properties"]
    manager["specDirectory"]["pattern"] = f"^{folder}*$"
    pod_network = manager["podNetwork"]["properties"]
    pod_network["confDir"]["pattern"] = f"^{folder}*$"
    pod_network["stateDir"]["pattern"] = f"^{folder}+$"
    pod_network["binDir"]["pattern"] = f"^{folder}*$"
    pod_network["files"]["enum"] = ["write", "remove"]
    image["digest"]["pattern"] = "^(sha256:[0-9a-f]{64})?$"
    image["pullPolicy"]["enum"] = ["Always", "IfNotPresent", "Never"]
    whole["properties"]["controller"]["properties"]["replicas"]["minimum"] = 1
    # Helm hands these to the charts that it includes.
    whole["properties"]["global"] = {"type": "object"}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the nodeeni chart",
        **whole,
    }


def _shape(value: Any, name: str = "") -> Object:
    if isinstance(value, dict):
        # A map that is empty, or whose keys are the user's, is open.
        if not value or name in ("labels", "nodeSelector", "annotations", "resources"):
            return {"type": ["object", "null"]}
        properties = {key: _shape(inner, key) for key, inner in value.items()}
        return {"type": "object", "additionalProperties": False, "properties": properties}
    if isinstance(value, list):
        return {"type": ["array", "null"]}
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        port = {"minimum": 1, "maximum": 65535} if name.endswith("Port") else {}
        return {"type": "integer", **port}
    return {"type": ["string", "integer"] if name == "maxUnavailable" else "string"}


def _settings(settings: Iterable[Any]) -> Object:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {_camel(s.flag): _setting(s) for s in settings if s.flag not in CHARTS_OWN},
    }


def _setting(setting: Any) -> Object:
    described = {**TYPES[setting.parse.__name__.lstrip("_")], "description": setting.help}
    return described if setting.default is None else {**described, "default": _typed(setting.default)}


def _typed(default: str) -> Any:
    return yaml.safe_load(default) if default else ""


def _camel(flag: str) -> str:
    first, *rest = flag.lstrip("-").split("-")
    return first + "".join(word.capitalize() for word in rest)


# -- the manifests -----------------------------------------------------------------------------------


def rendered(*values: str) -> list[Object]:
    """What `helm template` gives for these values, as objects."""
    command = [
        "helm",
        "template",
        "nodeeni",
        str(CHART),
        "--namespace",
        NAMESPACE,
        "--kube-version",
        "1.34.0",
    ]
    for value in values:
        command += ["--set", value]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [_plain(document) for document in yaml.safe_load_all(text) if document]


def _plain(document: Object) -> Object:
    """Without what only Helm understands."""
    metadata = document["metadata"]
    metadata["labels"] = {key: value for key, value in metadata["labels"].items() if key not in LABELS}
    annotations = metadata.get("annotations", {})
    annotations.pop("helm.sh/resource-policy", None)
    if not annotations:
        metadata.pop("annotations", None)
    return document


def manifests() -> dict[Path, str]:
    """deploy/*.yaml, under the names and with the placeholder of v1.1.0, and all of it in one file."""
    namespace: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    ours = rendered(f"image.repository={PLACEHOLDER}", "crds.install=false")
    controller = [namespace, *(o for o in ours if "eni-controller" in o["metadata"]["name"])]
    # v1.1.0's users know of one CRD to apply; the other comes with the controller that needs it.
    controller.insert(1, yaml.safe_load((CRDS / "networking.k8s.aws_eninodes_crd.yaml").read_text()))
    manager = [o for o in ours if "eni-manager" in o["metadata"]["name"]]
    if len(controller) + len(manager) != len(ours) + 2:
        raise SystemExit("an object of the chart belongs to neither file")
    told = rendered(
        f"image.repository={EXAMPLE}",
        "controller.settings.nodeCondition=true",
        f"controller.settings.startupTaint={STARTUP_TAINT}",
    )
    return {
        ROOT / "deploy" / "readiness.yaml": _dump(
            o for o in told if o["metadata"]["name"] == "eni-controller-nodes"
        ),
        ROOT / "deploy" / "deployment.yaml": _dump(controller),
        ROOT / "deploy" / "eni-manager-daemonset.yaml": _dump(manager),
        ROOT / "deploy" / "install.yaml": _dump([namespace, *rendered(f"image.repository={EXAMPLE}")]),
    }


def _dump(documents: Iterable[Object]) -> str:
    return HEADER + yaml.safe_dump_all(documents, sort_keys=False, width=110)


def generated() -> dict[Path, str]:
    """Every derived file with what it has to hold."""
    files = {CHART / "files" / "crds" / path.name: path.read_text() for path in sorted(CRDS.glob("*.yaml"))}
    files[CHART / "values.schema.json"] = json.dumps(schema(), indent=1) + "\n"
    return files


def main() -> int:
    check = "--check" in sys.argv[1:]
    stages: list[Callable[[], dict[Path, str]]] = [generated]
    if shutil.which("helm"):
        stages.append(manifests)  # after the files of the chart, which it reads
    stale = 0
    for stage in stages:
        for path, text in stage().items():
            if path.exists() and path.read_text() == text:
                continue
            stale += 1
            if check:
                print(f"{path.relative_to(ROOT)} is stale: run `make render` and commit it")
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")
    if manifests not in stages:
        print("helm is not installed: deploy/*.yaml are left out")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
