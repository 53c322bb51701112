"""What nodes start from: their machine's image with kubelet and container images in it, and a snapshot.

Importing the images takes a guest without KVM a minute and more; it is done once for each state of the tree.
"""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from hack.cluster.nodes import CONTAINERD, IMAGE, KUBELET

from nodeeni.sandbox.machines.channel import Channel
from nodeeni.sandbox.machines.images import DISK, Built, ImageError, built, making, run, running
from nodeeni.sandbox.machines.qemu import SNAPSHOT

_GREETED = 60.0  # seconds
_IMPORTED = 900.0  # a minute or two under emulation, on a machine with nothing else to do
_FILL = f"""\
set -e
for _ in $(seq 300); do [ -b /dev/vdb ] && break; sleep 0.1; done
mount -o ro /dev/vdb /mnt
mkdir -p $(dirname {KUBELET}) /etc/containerd /opt/cni/bin
cp /mnt/kubelet {KUBELET}
cp -al /usr/lib/cni/. /opt/cni/bin/  # where clusters have them, and manifests of others look
cat >/etc/containerd/config.toml
systemctl restart containerd
for archive in /mnt/*.tar; do ctr -n k8s.io images import "$archive" >/dev/null; done
umount /mnt
udevadm settle
sync
"""


async def node_image(binary: Path, images: Path, cache: Path, say: Callable[[str], None]) -> Built:
    """`binary`: of Kubernetes; `images`: a folder of archives. ImageError where it cannot be had."""
    machine = await built(IMAGE, say)
    parts = [machine.directory.name, images.name, binary.name, CONTAINERD, _FILL]
    place = cache / f"node-{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"
    made = Built(place, IMAGE, machine.accelerator)
    if not await asyncio.to_thread(place.exists):
        say("making the image of the nodes (once for each state of the tree) ...")
        with making(cache, "node") as work:
            new = Built(work / "made", IMAGE, machine.accelerator)
            await asyncio.to_thread(_lay_out, machine, new, cache)
            given = await asyncio.to_thread(_given, binary, images, work)
            async with running(new.hardware(), new.software(new.directory / DISK)) as guest:
                await guest.channel.greet(_GREETED)
                await guest.plug_disk(given)
                await _filled(guest.channel)
                await guest.unplug_disk()
                await guest.monitor(f"savevm {SNAPSHOT}")  # instead of the former one
            new.directory.rename(place)
    return made


def _lay_out(machine: Built, new: Built, cache: Path) -> None:
    """The former one is not kept: it is a gigabyte."""
    for former in cache.glob("node-*"):
        shutil.rmtree(former)
    new.directory.mkdir()
    for name in ("vmlinuz", "initrd"):
        shutil.copyfile(machine.directory / name, new.directory / name)
    machine.new_disk(new.directory / DISK)


def _given(binary: Path, images: Path, work: Path) -> Path:
    """Kubelet and archives as a file system."""
    folder, disk = work / "folder", work / "disk.ext4"
    folder.mkdir()
    for archive in images.glob("*.tar"):
        os.link(archive, folder / archive.name)
    shutil.copy(binary, folder / "kubelet")
    run("truncate", "-s", "512M", str(disk))
    run("mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", str(folder), str(disk))
    return disk


async def _filled(channel: Channel) -> None:
    done = await channel.run(["sh", "-c", _FILL], data=CONTAINERD.encode(), timeout=_IMPORTED)
    if done.status:
        raise ImageError(done.errors.strip() or done.output.strip())
