"""On a node: what kubelet and a container runtime do to pods' networks by CNI, and what is seen of them.

One request a run: a JSON object on standard input, of which `do` names the function and the rest its
arguments; the answer is JSON on standard output. A pod is a network namespace of its name.
"""

import collections
import concurrent.futures
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Answer = dict[str, Any]
Done = subprocess.CompletedProcess[str]

STATE = Path("/var/lib/cni")
NETWORKS = STATE / "networks"
CONF_DIR = Path("/etc/cni/multus/net.d")
KEPT = STATE / "kept"
TRIES = 5
MULTUS = Path("/etc/cni/net.d/00-multus.conf")


def add(pods: list[str], network: str, path: str, multus: bool = True) -> Answer:
    """Per pod its addresses on `net1`, the seconds that CNI took, and what it said where it failed."""
    return {pod: _add(pod, network, path, multus) for pod in pods}


def delete(pods: list[str], network: str, path: str, multus: bool = True, gone: bool = False) -> Answer:
    """`gone`: their namespaces are away already, as after a reboot."""
    return {pod: _delete(pod, network, path, multus, gone) for pod in pods}


def clear() -> Answer:
    """No pod is left, and no state of CNI but host-local's folder, which the chart's mount makes."""
    for pod in _namespaces():
        _run("ip", "netns", "del", pod)
    shutil.rmtree(STATE, ignore_errors=True)
    NETWORKS.mkdir(parents=True)
    return {}


def churn(pods: list[str], width: int, peers: list[str], hands: int, network: str, path: str) -> Answer:
    """Start these pods, each after the end of the oldest where `width` are alive, `hands` at the same time.
    Each pings its peer as soon as CNI has said that it has a network. `alive`: those that are at the end."""
    work = Churn(network, path, peers)
    with concurrent.futures.ThreadPoolExecutor(hands) as pool:
        for done in [pool.submit(work.go, pods[hand::hands], width // hands) for hand in range(hands)]:
            done.result()
    return work.told()


class Churn:
    def __init__(self, network: str, path: str, peers: list[str]) -> None:
        self._network, self._path, self._peers = network, path, peers
        self._lock = threading.Lock()
        self._alive: dict[str, list[str]] = {}  # addresses of each pod until its end begins
        self._added: list[list[str]] = []
        self._deleted = 0
        self._faults: list[str] = []
        self._again: list[str] = []
        self._seconds: dict[str, list[float]] = {"ADD": [], "ping": [], "DEL": []}

    def go(self, pods: list[str], width: int) -> None:
        alive: collections.deque[str] = collections.deque()
        for number, pod in enumerate(pods):
            if len(alive) == width:
                self._end(alive.popleft())
            if self._begin(pod):
                alive.append(pod)
                began = time.monotonic()
                peer = self._peers[number % len(self._peers)]
                answered = _ping(pod, peer, 1)
                self._told("ping", began, "" if answered else f"{pod} {self._alive[pod]}: {peer} is silent")

    def told(self) -> Answer:
        return {
            "alive": self._alive,
            "added": self._added,
            "deleted": self._deleted,
            "faults": self._faults,
            "again": self._again,
            "medians": {what: statistics.median(each) for what, each in self._seconds.items() if each},
        }

    def _begin(self, pod: str) -> bool:
        """As a runtime does it: after an ADD that failed it calls DEL, and tries again."""
        for _ in range(TRIES):
            began = time.monotonic()
            answer = _add(pod, self._network, self._path, multus=False)
            if not answer["error"]:
                break
            with self._lock:
                self._again.append(answer["error"])
            _delete(pod, self._network, self._path, multus=False)
        self._told("ADD", began, answer["error"])
        if answer["error"]:
            return False
        taken = answer["addresses"]
        with self._lock:
            for other, addresses in self._alive.items():
                if set(taken) & set(addresses):
                    self._faults.append(f"{pod} has {taken}, {other} has {addresses}")
            self._added.append(taken)
            self._alive[pod] = taken
        return True

    def _end(self, pod: str) -> None:
        with self._lock:
            del self._alive[pod]  # from now on another pod may get them
        began = time.monotonic()
        answer = _delete(pod, self._network, self._path, multus=False)
        self._deleted += not answer["error"]
        self._told("DEL", began, answer["error"])

    def _told(self, what: str, began: float, fault: str) -> None:
        with self._lock:
            self._seconds[what].append(time.monotonic() - began)
            if fault:
                self._faults.append(fault)


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
    return {"held": held, "live": {a: name for name in _namespaces() for a in _addresses(name)}}


def traced(pods: list[str], network: str, path: str) -> Answer:
    """The families of the sockets that CNI ADD and DEL make, by name of program and family, and how many."""
    found: collections.Counter[str] = collections.Counter()
    for pod in pods:
        _run("ip", "netns", "add", pod)
        for command in ("ADD", "DEL"):
            strace = ["strace", "-f", "-qq", "-e", "trace=socket,connect", "-o", "/run/trace"]
            done = _cni(command, pod, network, path, False, strace)
            if done.returncode:
                raise SystemExit(done.stdout + done.stderr)
            for line in Path("/run/trace").read_text().splitlines():
                call = line.split(maxsplit=1)[1] if line[0].isdigit() else line
                if call.startswith("socket("):
                    found[call[len("socket(") :].split(",")[0]] += 1
                elif call.startswith("connect("):
                    found["connect"] += 1
        _run("ip", "netns", "del", pod)
    return dict(found)


def paired(rounds: int, networks: list[str], path: str) -> Answer:
    """Seconds of ADD by each of two networks, in turns that begin with another each time."""
    seconds: dict[str, list[float]] = {network: [] for network in networks}
    for number in range(rounds):
        for network in networks if number % 2 else networks[::-1]:
            pod = f"t{number}"
            answer = _add(pod, network, path, False)
            if answer["error"]:
                raise SystemExit(answer["error"])
            seconds[network].append(answer["seconds"])
            _delete(pod, network, path, False)
    return seconds


def _add(pod: str, network: str, path: str, multus: bool) -> Answer:
    _run("ip", "netns", "add", pod)
    began = time.monotonic()
    done = _cni("ADD", pod, network, path, multus)
    seconds = time.monotonic() - began
    error = f"ADD {pod}: {done.stdout}{done.stderr}" if done.returncode else ""
    return {"addresses": _addresses(pod), "seconds": seconds, "error": error}


def _delete(pod: str, network: str, path: str, multus: bool, gone: bool = False) -> Answer:
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
    within: Sequence[str] = (),
    gone: bool = False,
) -> Done:
    config = MULTUS.read_text() if multus else _config(command, pod, network)
    name = "multus" if multus else json.loads(config)["type"]
    program = next(p for p in (Path(folder, name) for folder in path.split(":")) if p.exists())
    env = {
        "PATH": os.environ["PATH"], "CNI_COMMAND": command, "CNI_CONTAINERID": pod, "CNI_PATH": path,
        "CNI_NETNS": "" if gone else f"/run/netns/{pod}", "CNI_IFNAME": "eth0" if multus else "net1",
        "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod};"
        f"K8S_POD_INFRA_CONTAINER_ID={pod}",
    }  # fmt: skip
    return subprocess.run(
        [*within, program], env=env, input=config, capture_output=True, text=True, check=False
    )


def _config(command: str, pod: str, network: str) -> str:
    """As Multus does: the first file, by its name, whose `name` is the network's; and what a pod began with
    is kept for its end, when the file may say something else or be away."""
    kept = KEPT / pod
    if command == "DEL":
        text = kept.read_text()
        kept.unlink()
        return text
    for file in sorted(CONF_DIR.glob("*.conf")):
        text = file.read_text()
        if json.loads(text)["name"] == network:
            KEPT.mkdir(parents=True, exist_ok=True)
            kept.write_text(text)
            return text
    raise SystemExit(f"no file of {CONF_DIR} is of {network}")


def _namespaces() -> list[str]:
    return sorted(line.split()[0] for line in _run("ip", "netns", "list").stdout.splitlines())


def _addresses(pod: str) -> list[str]:
    shown = _run("ip", "-n", pod, "-j", "addr", "show", "dev", "net1")
    infos = json.loads(shown.stdout)[0]["addr_info"] if not shown.returncode else []
    return [info["local"] for info in infos if info["scope"] == "global"]


def _ping(pod: str, address: str, count: int, size: int = 56) -> int:
    more = ["-M", "do"] if size > 1400 else []
    # Each answer is waited for long: a guest that is short of the processor is slow, and loses nothing.
    how = ["-q", "-i", "0.2", "-c", str(count), "-W", "20", "-s", str(size)]
    argv = ["nsenter", f"--net=/run/netns/{pod}", "ping", *how]
    summary = _run(*argv, *more, address).stdout
    return next((int(p.split()[0]) for p in summary.split(",") if p.strip().endswith("received")), 0)


def _run(*argv: str) -> Done:
    return subprocess.run(argv, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    request = json.load(sys.stdin)
    print(json.dumps(globals()[request.pop("do")](**request)))
