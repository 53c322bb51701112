"""Images of nodes: root file systems from Debian's packages, booted once and kept with a snapshot.

release → base folder → + packages, files and services of who looks after the network → ext4 → boot → snapshot
Everything lands in the cache outside the tree, a folder for each image, named by a digest of what it is made
from.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import guest
from .channel import Channel, ChannelError
from .qemu import COUNTED, SNAPSHOT, Hardware, Machine, MachineError, Software, works_with_kvm

_BOOT = 240.0  # seconds; 15 to 35 under emulation, more on a busy machine
_SETTLED = 90.0
_SIZE = "3G"  # sparse
_SCARCE = 1 << 30  # bytes; with less free the making of any image may have failed for that
DISK = "disk.qcow2"  # in the folder of an image

RELEASES = {"12": "bookworm", "13": "trixie"}
_PACKAGES = (
    "linux-image-amd64", "systemd-sysv", "udev", "dbus", "python3", "iproute2", "kmod", "pciutils", "ethtool",
    "procps", "iputils-ping",
)  # fmt: skip
# No part of a node's network: what makes the image small and its making quick.
_LEFT_OUT = (
    "usr/share/doc", "usr/share/man", "usr/share/locale",
    *(f"{usr}lib/modules/*/kernel/{part}" for usr in ("", "usr/") for part in (
        "sound", "drivers/gpu", "drivers/media", "drivers/infiniband", "drivers/iio", "drivers/net/wireless",
        "drivers/staging", "drivers/isdn", "drivers/usb", "drivers/input", "drivers/hwmon", "drivers/scsi")),
)  # fmt: skip
# All that the way to the root file system needs; before the kernel is installed, and its initrd made.
_LIST_MODULES = (
    'd="$1/etc/initramfs-tools"; mkdir -p "$d/conf.d"; echo MODULES=list >"$d/conf.d/guest";'
    ' printf "virtio_pci\\nvirtio_blk\\next4\\n" >"$d/modules"'
)

_UNIT = """\
[Unit]
Description=Commands and connections for the host
DefaultDependencies=no
After=systemd-udevd.service local-fs.target
Before=sysinit.target

[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/guest.py
Restart=always
StandardOutput=null

[Install]
WantedBy=sysinit.target
"""


class ImageError(Exception):
    """An image cannot be had; the message is one line: why the program failed, and where the disk is full."""


@dataclass(frozen=True)
class Network:
    """Who looks after the network on a node. `files` by path; `units` are enabled, `asleep` are not.

    `dhcp`: it gives the primary interface its address; else that is done by hand, once. `first_boot`: it does
    that at a machine's own first boot, out of the instance's metadata; the making of the image is too early.
    """

    packages: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    units: tuple[str, ...] = ()
    dhcp: bool = True
    first_boot: bool = field(default=False, repr=False)


_CATCH_ALL = {
    "/etc/systemd/network/40-primary.network": (
        "[Match]\nName=ens5 enp5s0 eth0\n\n[Network]\nDHCP=ipv4\n\n[DHCPv4]\nRouteMetric=100\n"
    ),
    "/etc/systemd/network/50-dhcp.network": "[Match]\nType=ether\n\n[Network]\nDHCP=yes\n",
}
_INTERFACES = (
    "auto lo\niface lo inet loopback\n"
    + "".join(f"\nallow-hotplug {name}\niface {name} inet dhcp\n" for name in ("ens5", "eth0"))
    + "".join(f"\nallow-hotplug ens{n}\niface ens{n} inet dhcp\n  metric {1000 + n}\n" for n in range(6, 31))
)
# Debian's list of modules takes a minute under emulation, and they touch no link. `updates` is what users add
# for hot plug.
_CLOUD_CONFIG = """\
datasource_list: [Ec2]
updates: {network: {when: [boot, hotplug]}}
cloud_init_modules: []
cloud_config_modules: []
cloud_final_modules: [install-hotplug]
"""
# On EC2 newer ones hear of hot plug for Amazon's drivers alone (DataSourceEc2, extra_hotplug_udev_rules): the
# guest's stand for them. After 80-net-setup-link.rules, before 90-cloud-init-hook-hotplug.rules.
_AS_ON_EC2 = 'SUBSYSTEM=="net", ENV{ID_NET_DRIVER}=="e1000|e1000e", ENV{ID_NET_DRIVER}="ena"\n'
NETWORKS = {
    "none": Network(dhcp=False),
    "networkd": Network(files=_CATCH_ALL, units=("systemd-networkd",)),
    "ifupdown": Network(
        ("ifupdown", "isc-dhcp-client"), {"/etc/network/interfaces": _INTERFACES}, ("networking",)
    ),
    "NetworkManager": Network(("network-manager",), units=("NetworkManager",)),
    "ec2-net-utils": Network(
        ("amazon-ec2-net-utils", "curl"),
        _CATCH_ALL,
        ("systemd-networkd",),
    ),
    "cloud-init": Network(
        ("cloud-init", "netplan.io", "isc-dhcp-client"),
        {
            "/etc/cloud/cloud.cfg.d/90-node.cfg": _CLOUD_CONFIG,
            "/etc/udev/rules.d/85-as-on-ec2.rules": _AS_ON_EC2,
        },
        ("systemd-networkd",),
        first_boot=True,
    ),
}


@dataclass(frozen=True)
class Image:
    """`arguments` are the kernel's. `packages`: more, for what one test needs. `memory`: as for QEMU.
    `counted`: its clock counts instructions."""

    release: str = "12"
    network: str = "none"
    board: str = "i440fx"
    arguments: str = ""
    packages: tuple[str, ...] = ()
    iommu: bool = False
    # The name has the rest.
    memory: str = field(default="512M", repr=False)
    counted: bool = field(default=False, repr=False)

    @property
    def name(self) -> str:
        parts = [f"debian-{self.release}", self.network, self.board, *self.arguments.split(), *self.packages]
        parts += [self.memory] if self.memory != Image.memory else []
        parts += [COUNTED] if self.counted else []
        return "-".join(part.replace("/", "_") for part in (*parts, *(["iommu"] if self.iommu else [])))


@dataclass(frozen=True)
class Built:
    """What an image's folder holds, and with which accelerator its snapshot was taken."""

    directory: Path
    image: Image
    accelerator: str

    def hardware(self) -> Hardware:
        image = self.image
        return Hardware(image.board, self.accelerator, memory=image.memory, iommu=image.iommu)

    def software(self, disk: Path) -> Software:
        """Of a machine, which goes on from the snapshot."""
        return self._software(disk, self.image.arguments, snapshot=True)

    def making(self, disk: Path) -> Software:
        """Of the boot that the snapshot is taken from: not yet an instance, so cloud-init has to wait."""
        return self._software(disk, f"{self.image.arguments} cloud-init=disabled", snapshot=False)

    def _software(self, disk: Path, arguments: str, *, snapshot: bool) -> Software:
        return Software(self.directory / "vmlinuz", self.directory / "initrd", disk, arguments, snapshot)

    def new_disk(self, disk: Path) -> None:
        """A disk of a machine's own, with the snapshot in it."""
        shutil.copyfile(self.directory / DISK, disk)


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nodeeni-tools" / "machines"


async def built(image: Image, say: Callable[[str], None]) -> Built:
    """The image, made if it is not there: half a minute for the first of a release, then boot and snapshot, a
    minute each under emulation. `say` is told what takes long. ImageError if it cannot be had."""
    place = cache() / f"{image.name}-{await asyncio.to_thread(_digest, image)}"
    with await asyncio.to_thread(_locked, cache() / f"{image.name}.lock"):
        if not (place / DISK).exists():
            for former in cache().glob(f"{image.name}-????????????"):
                shutil.rmtree(former)
            say(f"making the image {image.name} (once) ...")
            await asyncio.to_thread(_make_file_system, image, place)
            try:
                with making(cache(), image.name) as work:
                    made = Built(place, image, await asyncio.to_thread(_accelerator, image, place))
                    await _boot_once(made, work / DISK)
            except BaseException:
                shutil.rmtree(place, ignore_errors=True)  # a gigabyte, perhaps of a disk that is full
                raise
        accelerator = await asyncio.to_thread(_accelerator, image, place)
    return Built(place, image, accelerator)


@contextlib.contextmanager
def making(folder: Path, name: str) -> Iterator[Path]:
    """Where in `folder` it is made, under the lock of that name: what a killed process left there goes first.
    Not the same place again, into which programs of that process may still write. Whatever fails is an
    ImageError, and leaves nothing there."""
    for left in folder.glob(f"making-{name}-????????"):
        shutil.rmtree(left, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(
            dir=folder, prefix=f"making-{name}-", ignore_cleanup_errors=True
        ) as work:
            yield Path(work)
    except (ImageError, MachineError, ChannelError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        free = shutil.disk_usage(folder).free
        if free < _SCARCE:
            way_out = "free some, or set XDG_CACHE_HOME"
            reason = f"{folder} has {free >> 20} MiB free: {way_out} ({reason})"
        raise ImageError(f"{name} was not made: {reason}") from error


def _digest(image: Image) -> str:
    """Of all that an image is made from; QEMU's version too, for snapshots are its own."""
    parts = [image, NETWORKS[image.network], _PACKAGES, _LEFT_OUT, _UNIT, guest_program(), _qemu_version()]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def guest_program() -> str:
    return Path(guest.__file__).read_text()


def _qemu_version() -> str:
    return run("qemu-img", "--version").splitlines()[0]


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _locked(path: Path) -> contextlib.ExitStack:
    """Held when this returns, so that the wait may happen in a thread."""
    held = contextlib.ExitStack()
    held.enter_context(_held(path))
    return held


# The file system


def _make_file_system(image: Image, place: Path) -> None:
    if os.geteuid() != 0:
        raise ImageError("making an image of a node needs root")
    base = _base(RELEASES[image.release])
    with making(cache(), image.name) as work:
        root = work / "root"
        network = NETWORKS[image.network]
        if packages := (*network.packages, *image.packages):
            _debootstrap(
                RELEASES[image.release], root, packages, f'cp -a {base}/. "$1"/', "--skip=check/empty"
            )
        else:
            run("cp", "-a", str(base), str(root))
        _write_files(root, network)
        for unit in network.units:
            run("systemctl", f"--root={root}", "enable", unit)
        new = work / "new"
        new.mkdir()
        (kernel,) = (root / "boot").glob("vmlinuz-*")
        (initrd,) = (root / "boot").glob("initrd.img-*")
        shutil.copyfile(kernel, new / "vmlinuz")
        shutil.copyfile(initrd, new / "initrd")
        disk = new / "root.ext4"
        run("truncate", "-s", _SIZE, str(disk))
        run("mkfs.ext4", "-q", "-F", "-d", str(root), "-E", "lazy_itable_init=1", str(disk))
        new.rename(place)


def _base(release: str) -> Path:
    """The folder that all images of a release start from."""
    digest = hashlib.sha256(repr((_PACKAGES, _LEFT_OUT, _LIST_MODULES)).encode()).hexdigest()[:12]
    place = cache() / f"base-{release}-{digest}"
    with _held(cache() / f"base-{release}.lock"):
        if not place.exists():
            for former in cache().glob(f"base-{release}-????????????"):
                shutil.rmtree(former)
            with making(cache(), f"base-{release}") as work:
                root = work / "root"
                _debootstrap(release, root, _PACKAGES, "", f"--essential-hook={_LIST_MODULES}")
                root.rename(place)
    return place


def _debootstrap(release: str, root: Path, packages: tuple[str, ...], before: str, *options: str) -> None:
    left_out = [f"--dpkgopt=path-exclude=/{path}/*" for path in _LEFT_OUT]
    variant = ["--variant=custom", f"--setup-hook={before}"] if before else ["--variant=minbase"]
    run(
        *("mmdebstrap", "--mode=root", '--aptopt=APT::Install-Recommends "false"', *variant, *left_out),
        *(*options, f"--include={','.join(packages)}", release, str(root)),
    )


def _write_files(root: Path, network: Network) -> None:
    files = {
        "/etc/hostname": "node\n",
        "/etc/hosts": "127.0.0.1 localhost node\n",
        "/etc/fstab": "/dev/vda / ext4 defaults,noatime 0 1\n",
        "/etc/systemd/system/guest.service": _UNIT,
        "/usr/local/lib/guest.py": guest_program(),
        "/etc/machine-id": "",
        **network.files,
    }
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    for path, text in files.items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    run("systemctl", f"--root={root}", "enable", "guest.service")


# The snapshot


def _accelerator(image: Image, place: Path) -> str:
    """Tried once a machine."""
    if image.counted:
        return COUNTED
    known = cache() / "accelerator"
    if not known.exists() or not known.read_text():  # it is empty where the disk was full
        known.write_text("kvm" if works_with_kvm(place / "vmlinuz") else "tcg")
    return known.read_text()


async def _boot_once(built: Built, disk: Path) -> None:
    backing = str(built.directory / "root.ext4")
    await asyncio.to_thread(
        run, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", backing, str(disk)
    )
    async with running(built.hardware(), built.making(disk)) as machine:
        await booted(machine)
        await _settled(machine.channel)
        await machine.monitor(f"savevm {SNAPSHOT}")
    await asyncio.to_thread(disk.rename, built.directory / DISK)


@contextlib.asynccontextmanager
async def running(hardware: Hardware, software: Software) -> AsyncIterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="nodeeni-machine-") as directory:
        machine = Machine(Path(directory), hardware)
        try:
            await machine.start(software)
            yield machine
        finally:
            await machine.stop()


async def booted(machine: Machine) -> None:
    """Until the guest has said so. ImageError with the last words of its console if it does not."""
    try:
        async with asyncio.timeout(_BOOT):
            await machine.channel.hello.wait()
    except TimeoutError as error:
        raise ImageError(f"the machine has not booted: {machine.console()[-500:]}") from error
    await machine.channel.greet(_BOOT)


async def _settled(channel: Channel) -> None:
    """All services have started, and udev is idle; a service that failed is a fault of the image."""
    state = await channel.run(["systemctl", "is-system-running", "--wait"], timeout=_SETTLED)
    if state.status:
        failed = await channel.run(["systemctl", "list-units", "--failed", "--plain", "--no-legend"])
        raise ImageError(f"services have failed on the machine: {failed.output.strip()}")
    await channel.run(["sh", "-c", "udevadm settle; sync; sleep 1"])


def run(*argv: str) -> str:
    """What the program prints. ImageError with the last line of what it said where it fails."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise ImageError(f"the program `{argv[0]}` is not installed") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"exit status {error.returncode}"]
        raise ImageError(f"{argv[0]}: {lines[-1]}") from error
    return done.stdout


__all__ = [
    "DISK",
    "NETWORKS",
    "RELEASES",
    "Built",
    "Image",
    "ImageError",
    "MachineError",
    "booted",
    "built",
    "making",
    "run",
    "running",
]
