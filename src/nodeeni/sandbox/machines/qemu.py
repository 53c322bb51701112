"""One machine under QEMU: its process, QMP, and the PCI slots that devices are plugged into."""

import asyncio
import contextlib
import ctypes
import itertools
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .channel import LINE, Channel
from .guest import PORT_NAME

PROGRAM = "qemu-system-x86_64"
SNAPSHOT = "ready"
PRIMARY_SLOT = 5
"""Where Nitro has the primary interface too: predictable names call it `ens5`."""

_SLOTS = 26  # of bus 0 from the primary's on: 5 to 30
_DISK_SLOT = 31  # after those of network devices
_EJECT_AGAIN = 6.0  # seconds; a guest that is busy with another device can miss the request
_QUIT = 10.0
# The routers of its wires are QEMU itself, and would lead to where QEMU is.
_WITHOUT_NETWORK = ("unshare", "--net", "--")
_UUID = "ec2e1916-9099-7caf-fd21-012345abcdef"
_LIBC = ctypes.CDLL(None)  # loaded before any fork
_PR_SET_PDEATHSIG = 1

COUNTED = "counted"
"""Emulation in which the guest's clock counts instructions, a nanosecond each, and goes on while it idles: it
is that of a slow processor, and has nothing of who emulates it on how busy a machine."""
_ACCELERATORS = {
    "kvm": ("-accel", "kvm", "-cpu", "host"),
    "tcg": ("-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"),
    COUNTED: ("-accel", "tcg,thread=single,tb-size=256", "-cpu", "max", "-icount", "shift=0"),
}

Message = dict[str, Any]


class MachineError(Exception):
    """QEMU refused something, or ended; the message is its own."""


@dataclass(frozen=True)
class Board:
    """`nic`: the network device that its slots take."""

    machine: str
    nic: str
    ports: tuple[str, ...] = ()

    def place(self, slot: int) -> dict[str, str]:
        if self.ports:
            return {"bus": self.ports[slot - PRIMARY_SLOT]}
        return {"bus": "pci.0", "addr": hex(slot)}

    def device(self, nic: "Nic", slot: int) -> Message:
        """For QMP's device_add. `romfile`: nobody boots from it, and its ROM is another package."""
        wire = {"netdev": f"wire-{nic.name}", "romfile": ""}
        return {"driver": self.nic, "id": nic.name, "mac": nic.mac, **wire, **self.place(slot)}


_PORTS = tuple(f"port{number}" for number in range(PRIMARY_SLOT, PRIMARY_SLOT + _SLOTS))
BOARDS = {
    "i440fx": Board("pc", "e1000"),  # ACPI hot plug onto bus 0, as Nitro does it
    "q35": Board("q35", "e1000e", _PORTS),  # PCI Express hot plug into root ports
    "virtio": Board("pc", "virtio-net-pci"),  # whose driver takes an MTU at once, and no reset of the device
}


@dataclass(frozen=True)
class Hardware:
    """`iommu`: an emulated one, for vfio-pci; on q35 alone. `accelerator`: kvm, tcg, or `COUNTED`."""

    board: str = "i440fx"
    accelerator: str = "tcg"
    processors: int = 1
    memory: str = "512M"
    iommu: bool = False


@dataclass(frozen=True)
class Software:
    """`disk` is written to. `snapshot`: go on from that one of the disk's, instead of booting."""

    kernel: Path
    initrd: Path
    disk: Path
    arguments: str = ""
    snapshot: bool = False


@dataclass(frozen=True)
class Wire:
    """Unix sockets that carry a device's frames, a datagram each: QEMU's, and that of the other end."""

    qemus: Path
    ours: Path


@dataclass(frozen=True)
class Nic:
    """A network device; what it sends goes over `wire`. Without one it has a router and DHCP for `address`,
    and nothing where `cidr` is empty."""

    name: str
    mac: str
    cidr: str = ""
    address: str = ""
    gateway: str = ""
    wire: Wire | None = None

    def netdev(self) -> Message:
        if self.wire is not None:
            ends = {"local": self.wire.qemus, "remote": self.wire.ours}
            sockets = {end: {"type": "unix", "path": str(path)} for end, path in ends.items()}
            return {"type": "dgram", **sockets}
        if not self.cidr:
            return {"type": "hubport", "hubid": 1 + int(self.mac.replace(":", "")[-6:], 16)}
        return {
            "type": "user", "ipv6": False, "net": self.cidr, "host": self.gateway,
            "dhcpstart": self.address, "dns": _resolver(self.cidr),
        }  # fmt: skip


def _resolver(cidr: str) -> str:
    import ipaddress

    return str(ipaddress.IPv4Network(cidr)[2])


@dataclass
class Machine:
    """`directory` holds its sockets, `console.log` and `qemu.log`, and has to exist."""

    directory: Path
    hardware: Hardware
    channel: Channel = field(default_factory=Channel)

    def __post_init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._slots: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Message]] = {}
        self._deleted: dict[str, asyncio.Event] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self, software: Software) -> None:
        """Returns when QEMU runs; the guest boots."""
        command = _command(self.hardware, software, self.directory)
        with (self.directory / "qemu.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        reader, self._writer = await self._connect("qmp")
        await reader.readline()  # its greeting
        self._reading = asyncio.create_task(self._read(reader))
        await self.qmp("qmp_capabilities")
        self.channel.open(*await self._connect("channel"))

    async def stop(self) -> None:
        await self.channel.close()
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(MachineError, TimeoutError):
                await asyncio.wait_for(self.qmp("quit"), _QUIT)
            try:
                await asyncio.wait_for(process.wait(), _QUIT)
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._writer is not None:
            self._writer.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def reset(self) -> None:
        """As the reset button does it. Returns at once; `channel.hello` tells of the boot."""
        self.channel.hello.clear()
        await self.qmp("system_reset")

    def console(self) -> str:
        return (self.directory / "console.log").read_text(errors="replace")

    # Hot plug

    async def plug(self, nic: Nic, slot: int | None = None) -> None:
        """MachineError where no slot is free."""
        slot = self._take(nic.name, slot)
        await self.qmp("netdev_add", id=f"wire-{nic.name}", **nic.netdev())
        await self.qmp("device_add", **BOARDS[self.hardware.board].device(nic, slot))

    async def unplug(self, name: str, timeout: float = 60.0) -> None:
        """Ask the guest to let go of it, until it has. TimeoutError if it does not."""
        await self._let_go(name, timeout)
        await self.qmp("netdev_del", id=f"wire-{name}")
        del self._slots[name]

    async def plug_disk(self, image: Path) -> None:
        """One disk more, to be read alone: /dev/vdb."""
        file = {"driver": "file", "filename": str(image), "read-only": True}
        await self.qmp("blockdev-add", driver="raw", file=file, **{"node-name": "more", "read-only": True})
        place = BOARDS[self.hardware.board].place(_DISK_SLOT)
        await self.qmp("device_add", driver="virtio-blk-pci", drive="more", id="more", **place)

    async def unplug_disk(self, timeout: float = 60.0) -> None:
        """Nothing of it may be mounted. TimeoutError if the guest does not let go of it."""
        await self._let_go("more", timeout)
        await self.qmp("blockdev-del", **{"node-name": "more"})

    async def _let_go(self, name: str, timeout: float) -> None:
        gone = self._deleted[name] = asyncio.Event()
        async with asyncio.timeout(timeout):
            while not gone.is_set():
                with contextlib.suppress(MachineError):  # an eject is pending already
                    await self.qmp("device_del", id=name)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(gone.wait(), _EJECT_AGAIN)
        del self._deleted[name]

    def slot(self, name: str) -> int:
        return self._slots[name]

    def _take(self, name: str, slot: int | None) -> int:
        free = [
            number
            for number in range(PRIMARY_SLOT, PRIMARY_SLOT + _SLOTS)
            if number not in self._slots.values()
        ]
        if slot is None:
            after_primary = [number for number in free if number != PRIMARY_SLOT]
            if not after_primary:
                raise MachineError("no PCI slot is free")
            slot = after_primary[0]
        self._slots[name] = slot
        return slot

    # QMP

    async def monitor(self, line: str) -> None:
        """A command of QEMU's own monitor; these tell a failure by saying anything at all."""
        if said := await self.qmp("human-monitor-command", **{"command-line": line}):
            raise MachineError(f"{line}: {said}")

    async def qmp(self, execute: str, **arguments: Any) -> Any:
        if self._writer is None or self._reading is None:
            raise MachineError("QEMU has not started")
        if self._reading.done():
            raise MachineError("QEMU has ended")
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._writer.write(
            json.dumps({"execute": execute, "arguments": arguments, "id": number}).encode() + b"\n"
        )
        message = await answer
        if "error" in message:
            raise MachineError(f"{execute}: {message['error']['desc']}")
        return message["return"]

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                message = json.loads(line)
                if answer := self._answers.pop(message.get("id", 0), None):
                    answer.set_result(message)
                elif message.get("event") == "DEVICE_DELETED" and "device" in message["data"]:
                    self._deleted.setdefault(message["data"]["device"], asyncio.Event()).set()
                elif message.get("event") == "BLOCK_IO_ERROR" and message["data"]["action"] == "stop":
                    self._end_stopped(message["data"]["reason"])
        for answer in self._answers.values():
            answer.set_result({"error": {"desc": "QEMU has ended"}})
        self._answers.clear()

    def _end_stopped(self, reason: str) -> None:
        """Its disk lies where no space is left: QEMU keeps such a guest waiting for good."""
        assert self._process is not None
        self.channel.gone = f"the machine has gone: writing its disk: {reason}"
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _connect(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert self._process is not None
        while self._process.returncode is None:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):  # it is starting
                return await asyncio.open_unix_connection(self.directory / name, limit=LINE)
            await asyncio.sleep(0.02)
        raise MachineError((self.directory / "qemu.log").read_text(errors="replace").strip())


def _command(hardware: Hardware, software: Software, directory: Path) -> list[str]:
    board = BOARDS[hardware.board]
    kvm = hardware.accelerator == "kvm"
    devices = [
        f"virtio-blk-pci,drive=disk{_address(board, 2)}",
        f"virtio-rng-pci{_address(board, 3)}",
        f"virtio-serial-pci{_address(board, 4)}",
        f"virtserialport,chardev=channel,name={PORT_NAME}",
        *(f"pcie-root-port,id={name},chassis={n},slot={n}" for n, name in enumerate(board.ports, 1)),
    ]
    if hardware.iommu:  # before the devices that it is to translate for
        devices.insert(0, "intel-iommu,intremap=on,device-iotlb=on")
    split = ",kernel-irqchip=split" if hardware.iommu and kvm else ""
    arguments = "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=0 panic=-1"
    return [
        *_WITHOUT_NETWORK, PROGRAM, "-nodefaults", "-no-user-config", "-display", "none",
        *("-machine", board.machine + split),
        *_ACCELERATORS[hardware.accelerator],
        *("-m", hardware.memory, "-smp", str(hardware.processors)),
        *("-kernel", str(software.kernel), "-initrd", str(software.initrd)),
        *("-append", f"{arguments} {software.arguments}"),
        # What an instance of EC2 is known by; cloud-init and others look at it.
        *("-smbios", f"type=1,manufacturer=Amazon EC2,uuid={_UUID},serial={_UUID}"),
        *("-serial", f"file:{directory}/console.log"),
        *("-qmp", f"unix:{directory}/qmp,server=on,wait=off"),
        *("-chardev", f"socket,id=channel,path={directory}/channel,server=on,wait=off"),
        *("-drive", f"file={software.disk},if=none,id=disk,format=qcow2,cache=unsafe"),
        *(part for device in devices for part in ("-device", device)),
        *(("-loadvm", SNAPSHOT) if software.snapshot else ()),
    ]  # fmt: skip


def _address(board: Board, slot: int) -> str:
    return f",addr={slot:#x}"


def works_with_kvm(kernel: Path) -> bool:
    """Whether a stock kernel runs under it, tried with one that has no root file system and so ends soon.
    Where machines are nested /dev/kvm may be there and of no use."""
    if not Path("/dev/kvm").exists():
        return False
    command = [
        PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-accel", "kvm",
        "-cpu", "host", "-m", "256M", "-no-reboot", "-kernel", str(kernel), "-append", "panic=-1 quiet",
    ]  # fmt: skip
    try:
        return subprocess.run(command, capture_output=True, timeout=8, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def missing_program() -> str:
    """The first program that is missing for machines, "" if none is."""
    programs = (PROGRAM, "qemu-img", "mmdebstrap", "mkfs.ext4")
    return next((name for name in programs if shutil.which(name) is None), "")


def _end_with_parent() -> None:
    """In the child: no machine outlives the program that made it."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
