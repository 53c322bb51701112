"""On a node: what kubelet and a container runtime do to pods' networks by CNI, and what is seen of them.

One request a run: a JSON object on standard input, of which `do` names the function and the rest its
arguments; the answer is JSON on standard output. A pod is a network namespace of its name.
"""

import concurrent.futures
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

Answer = dict[str, Any]
Done = subprocess.CompletedProcess[str]

NETWORKS = Path("/var/lib/cni/networks")
CONF_DIR = Path("/etc/cni/multus/net.d")
MULTUS = Path("/etc/cni/net.d/00-multus.conf")


def add(pods: list[str], network: str, path: str, multus: bool = True) -> Answer:
    """Per pod its addresses on `net1`, the seconds that CNI took, and what it said where it failed."""
    return {pod: _add(pod, network, path, multus) for pod in pods}


def delete(pods: list[str], network: str, path: str, multus: bool = True, gone: bool = False) -> Answer:
    """`gone`: their namespaces are away already, as after a reboot."""
    return {pod: _delete(pod, network, path, multus, gone) for pod in pods}


def ping(pairs: list[list[str]], count: int = 1, size: int = 56) -> Answer:
    """Answers of each `[pod, address]`, as `pod address` → how many of `count`."""
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda pair: _ping(pair[0], pair[1], count, size), pairs))
    return {" ".join(pair): number for pair, number in zip(pairs, answers, strict=True)}


def state(network: str) -> Answer:
    """`held`: host-local's addresses with the pod each is for. `live`: those in the namespaces that are."""
    folder = NETWORKS / network
    held = {}
    for file in folder.iterdir() if folder.exists() else ():
        if file.name != "lock" and not file.name.startswith("last_reserved_ip"):
            held[file.name] = file.read_text().split()[0]
    names = [line.split()[0] for line in _run("ip", "netns", "list").stdout.splitlines()]
    return {"held": held, "live": {a: name for name in sorted(names) for a in _addresses(name)}}


def _add(pod: str, network: str, path: str, multus: bool) -> Answer:
    _run("ip", "netns", "add", pod)
    began = time.monotonic()
    done = _cni("ADD", pod, network, path, multus)
    seconds = time.monotonic() - began
    error = f"ADD {pod}: {done.stdout}{done.stderr}" if done.returncode else ""
    return {"addresses": _addresses(pod), "seconds": seconds, "error": error}


def _delete(pod: str, network: str, path: str, multus: bool, gone: bool) -> Answer:
    done = _cni("DEL", pod, network, path, multus, gone=gone)
    if not gone:
        _run("ip", "netns", "del", pod)
    return {"error": f"DEL {pod}: {done.stdout}{done.stderr}" if done.returncode else ""}


def _cni(
    command: str,
    pod: str,
    network: str,
    path: str,
    multus: bool,
    gone: bool = False,
) -> Done:
    config = MULTUS.read_text() if multus else look_up(network)
    name = "multus" if multus else json.loads(config)["type"]
    program = next(p for p in (Path(folder, name) for folder in path.split(":")) if p.exists())
    env = {
        "PATH": os.environ["PATH"], "CNI_COMMAND": command, "CNI_CONTAINERID": pod, "CNI_PATH": path,
        "CNI_NETNS": "" if gone else f"/run/netns/{pod}", "CNI_IFNAME": "eth0" if multus else "net1",
        "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod};"
        f"K8S_POD_INFRA_CONTAINER_ID={pod}",
    }  # fmt: skip
    return subprocess.run([program], env=env, input=config, capture_output=True, text=True, check=False)


def look_up(network: str) -> str:
    """As Multus does: the first file, by its name, whose `name` is the network's."""
    for file in sorted(CONF_DIR.glob("*.conf")):
        text = file.read_text()
        if json.loads(text)["name"] == network:
            return text
    raise SystemExit(f"no file of {CONF_DIR} is of {network}")


def _addresses(pod: str) -> list[str]:
    shown = _run("ip", "-n", pod, "-j", "addr", "show", "dev", "net1")
    infos = json.loads(shown.stdout)[0]["addr_info"] if not shown.returncode else []
    return [info["local"] for info in infos if info["scope"] == "global"]


def _ping(pod: str, address: str, count: int, size: int = 56) -> int:
    more = ["-M", "do"] if size > 1400 else []
    # Each answer is waited for long: a guest that is short of the processor is slow, and loses nothing.
    how = ["-q", "-i", "0.2", "-c", str(count), "-W", "20", "-s", str(size)]
    argv = ["ip", "netns", "exec", pod, "ping", *how]
    summary = _run(*argv, *more, address).stdout
    return next((int(p.split()[0]) for p in summary.split(",") if p.strip().endswith("received")), 0)


def _run(*argv: str) -> Done:
    return subprocess.run(argv, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    request = json.load(sys.stdin)
    print(json.dumps(globals()[request.pop("do")](**request)))
