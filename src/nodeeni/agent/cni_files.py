"""The one door to the node's CNI files: ours are written whole or not at all, others are never touched.

Multus reads every file of that folder whenever a pod starts, in the order of their names, and a broken one
fails the look-up of all behind it. So a file is written under a name that Multus passes over, and renamed. A
folder that the container runtime reads is none for us: the first file there is the network of every pod.
"""

import json
import os
import re
import stat
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from nodeeni.agent.cni_config import MARK, file_name

_OURS = re.compile(r"90-nodeeni-([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)\.conf")
_TEMPORARY = ".tmp"  # Multus passes over what does not end as a CNI file does
_CNI_FILE = (".conf", ".conflist", ".json")
_LARGEST = 1 << 20  # bytes; a CNI file has some hundred

# Plugins that are the network of a whole cluster, or choose it: what is in one folder with those, the
# container runtime reads too.
_OF_THE_CLUSTER = frozenset(
    (
        *("aws-cni", "multus", "multus-shim", "cilium-cni", "calico", "flannel", "weave-net", "antrea"),
        *("kube-router", "ovn-k8s-cni-overlay"),
    )
)


class OwnFile(NamedTuple):
    """A file of ours, as it is there."""

    text: str
    eni_id: str
    prefixes: tuple[str, ...]


class Directory(NamedTuple):
    """What is in the folder. A network's name is that of the JSON, which Multus looks for."""

    own: Mapping[str, OwnFile] = {}  # by network
    taken: Mapping[str, str] = {}  # by network: what stands where our file would be, and is not ours
    others: Mapping[str, str] = {}  # by network: somebody else's file that has this name
    broken: tuple[str, ...] = ()  # somebody else's files that are no JSON
    of_the_cluster: str = ""  # a file by which the container runtime gives pods their network

    def trouble(self, network: str) -> str:
        """What keeps Multus from finding our file, for people; empty: nothing."""
        ours = file_name(network)
        if (other := self.others.get(network)) and other < ours:
            return (
                f"{other} there has the name {network} too, and Multus takes the first: rename that network"
            )
        before = [name for name in self.broken if name < ours]
        if before:
            return f"{before[0]} there is no JSON, and Multus finds nothing behind it: remove or mend it"
        return ""


class CNIFolder:
    """One open folder: what was judged is what is written to, whatever happens to its path meanwhile. All
    methods raise OSError."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._fd)

    def look(self) -> Directory:
        """What is there. What a killed run left half written is taken away first."""
        own: dict[str, OwnFile] = {}
        taken: dict[str, str] = {}
        others: dict[str, str] = {}
        broken: list[str] = []
        of_the_cluster = ""
        for name in sorted(os.listdir(self._fd)):
            if name.endswith(_TEMPORARY) and _OURS.fullmatch(name.removesuffix(_TEMPORARY)):
                self._unlink(name)
            if not name.endswith(_CNI_FILE):
                continue
            ours = _OURS.fullmatch(name)
            try:
                text, kind = self._read(name)
            except FileNotFoundError:
                continue
            config = _parsed(text)
            if ours and (mark := _mark(config)):
                own[ours[1]] = OwnFile(text, mark[0], mark[1])
            elif ours:
                what = kind or "not ours"
                taken[ours[1]] = f"{name} there is {what}: remove it, or choose another podNetwork.name"
            elif config is None:
                broken += [] if kind else [name]
            else:
                others.setdefault(str(config.get("name")), name)
                if _plugins(config) & _OF_THE_CLUSTER:
                    of_the_cluster = of_the_cluster or name
        return Directory(own, taken, others, tuple(broken), of_the_cluster)

    def why_the_runtimes(self, directory: Directory) -> str:
        """By what the container runtime reads this folder, for people; empty: it does not."""
        for path in self._places():
            if path.split("/")[-2:] == ["cni", "net.d"]:
                return f"it is {path}"
        return f"{directory.of_the_cluster} is in it" if directory.of_the_cluster else ""

    def write(self, network: str, text: str) -> None:
        """Whole or not at all, also when the power goes."""
        name = file_name(network)
        temporary = name + _TEMPORARY
        self._unlink(temporary)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(temporary, flags, 0o644, dir_fd=self._fd), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        os.fsync(self._fd)

    def remove(self, network: str) -> None:
        """A file of ours; none is right too."""
        self._unlink(file_name(network))
        os.fsync(self._fd)

    def _unlink(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._fd)
        except FileNotFoundError:
            pass

    def _read(self, name: str) -> tuple[str, str]:
        """(text, what it is instead of a file; empty: a file)."""
        kind = os.lstat(name, dir_fd=self._fd).st_mode
        if not stat.S_ISREG(kind):
            what = (
                "a symbolic link" if stat.S_ISLNK(kind) else "a folder" if stat.S_ISDIR(kind) else "no file"
            )
            return "", what
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        fd = os.open(name, flags, dir_fd=self._fd)
        with open(fd, "rb") as file:
            return file.read(_LARGEST).decode(errors="replace"), ""

    def _places(self) -> list[str]:
        """Where this folder is: as it was named, with symbolic links followed, and on the node, where a
        mount has it from: the kernel tells of which folder of its disk a mount shows."""
        shown = os.readlink(f"/proc/self/fd/{self._fd}")
        return [os.path.normpath(self._path), shown, *_origins(self._fd, shown)]


def _origins(fd: int, shown: str) -> list[str]:
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
        ids = [line.split()[1] for line in file if line.startswith("mnt_id:")]
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        mounts = [line.split() for line in file]
    found = []
    for mount in mounts:
        root, point = _unescaped(mount[3]), _unescaped(mount[4])
        if mount[0] in ids and (shown == point or shown.startswith(point.rstrip("/") + "/")):
            found.append(os.path.normpath(root + "/" + shown[len(point.rstrip("/")) :]))
    return found


def _unescaped(path: str) -> str:
    """mountinfo writes blanks and the like as \\040."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return config if isinstance(config, dict) else None


def _mark(config: dict[str, Any] | None) -> tuple[str, tuple[str, ...]] | None:
    mark = (config or {}).get(MARK)
    if not isinstance(mark, dict) or not isinstance(mark.get("prefixes"), list):
        return None
    return str(mark.get("eniID")), tuple(map(str, mark["prefixes"]))


def _plugins(config: dict[str, Any]) -> set[str]:
    plugins = config.get("plugins")
    entries = [config, *(plugins if isinstance(plugins, list) else ())]
    return {str(entry.get("type")) for entry in entries if isinstance(entry, dict)}
