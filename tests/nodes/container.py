"""The image's own root file system as a container on a machine, confined as containerd confines the pod."""

import asyncio
import json
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.nodes.node import Node
from tests.nodes.programs import SECCOMP, program

ROOT = Path(__file__).parents[2]
BUNDLE = "/run/bundle"
NAME = "eni-manager"
_SLOT = 31  # the one that is no network device's
_DISK = f"/dev/disk/by-path/pci-0000:00:{_SLOT:02x}.0"
_CAPABILITIES = ["CAP_NET_ADMIN"]

# In the place of `nodeeni manager`: its flags become the container's.
_RUN = f"""\
import json, os, sys
path = "{BUNDLE}/config.json"
config = json.load(open(path))
flags = [flag for flag in sys.argv[3:] if not flag.startswith("--kubeconfig=")]
config["process"]["args"] += [*flags, "--kubeconfig=/kube/kubeconfig"]
json.dump(config, open(path, "w"))
os.execvp("crun", ["crun", "--cgroup-manager=disabled", "run", "--bundle={BUNDLE}", "{NAME}"])
"""


def disk(directory: Path) -> Path:
    """What the Dockerfile's two scripts lay out, as a file system. Skips where they cannot."""
    release = platform.freedesktop_os_release().get("VERSION_CODENAME")
    if release != "bookworm" or shutil.which("python3.11") is None:
        pytest.skip("the image's scripts need Debian 12 with Python 3.11 and pip")
    root, disk = directory / "root", directory / "image.ext4"
    for script in ("base.sh", "app.sh"):
        subprocess.run([ROOT / "hack/image" / script, root], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    for place in ("proc", "sys", "dev", "kube"):  # an engine makes the places of its mounts
        (root / place).mkdir(exist_ok=True)
    subprocess.run(["mkfs.ext4", "-q", "-d", root, disk, "400M"], check=True)
    return disk


async def bring(node: Node, disk: Path, kube: Path) -> tuple[str, ...]:
    """The container is ready to be run; returns the command that runs it, `nodeeni manager` and its flags to
    follow. `kube`: the folder of the machine where the kubeconfig will be."""
    machine = node.machine
    await machine.qmp(
        "blockdev-add", driver="raw", **{"node-name": "image", "read-only": True},
        file={"driver": "file", "filename": str(disk), "locking": "off"},
    )  # fmt: skip
    await machine.qmp("device_add", driver="virtio-blk-pci", drive="image", id="image", addr=hex(_SLOT))
    seccomp = await asyncio.to_thread(program, SECCOMP)
    await node.put(f"{BUNDLE}/config.json", json.dumps(_config(_profile(seccomp), kube)).encode())
    await node.put("/opt/run.py", _RUN.encode())
    await node.sh(
        f"udevadm settle; for i in $(seq 50); do [ -e {_DISK} ] && break; sleep 0.2; done;"
        f" mkdir -p {BUNDLE}/rootfs && mount -o ro {_DISK} {BUNDLE}/rootfs"
    )
    return ("python3", "/opt/run.py")


def _profile(seccomp: Path) -> dict[str, Any]:
    told = subprocess.run([seccomp, *_CAPABILITIES], check=True, capture_output=True)
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def _config(profile: dict[str, Any], kube: Path) -> dict[str, Any]:
    """By the runtime spec, what the DaemonSet's securityContext becomes; on the node's network."""
    sets = ("bounding", "effective", "permitted")
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/usr/bin/python3.11", "-I", "-m", "nodeeni"],
            "env": ["COMPONENT=eni-manager", "PATH=/usr/bin"],
            "cwd": "/",
            "capabilities": dict.fromkeys(sets, _CAPABILITIES),
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {
                "destination": "/sys", "type": "sysfs", "source": "sysfs",
                "options": ["nosuid", "noexec", "nodev", "ro"],
            },
            {"destination": "/kube", "type": "bind", "source": str(kube), "options": ["bind", "ro"]},
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
            "seccomp": profile,
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
            ],
            "readonlyPaths": [
                "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
            ],
        },
    }  # fmt: skip
