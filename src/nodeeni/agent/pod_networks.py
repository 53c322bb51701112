"""The thread of the pod networks: keeps the node's CNI files as they are to be, and tells of them.

What the main thread found passes through here on its way to the reporter, so that a status which says that a
spec was seen says too what became of its files.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from nodeeni.agent.cni_config import PLUGINS
from nodeeni.agent.cni_files import CNIFolder, Directory, OwnFile
from nodeeni.agent.counters import Counters
from nodeeni.agent.host_local import addresses_in_use
from nodeeni.agent.network_plan import Usage, Verdict, decide, network_report
from nodeeni.agent.network_report import NetworkReport, NetworkState
from nodeeni.agent.spec import WantedInterface
from nodeeni.agent.status import Found
from nodeeni.logs import Lasting

log = logging.getLogger(__name__)

# Seconds. How often counts alone are told: a status patch for every pod of every node would be more than all
# else.
_CALM = 60.0


class Folders(NamedTuple):
    """`write` False: files of ours are removed, and none is written."""

    conf_dir: str
    state_dir: str
    bin_dir: str | None = None  # None: whether the plugins are there is not looked at
    write: bool = True


class PodNetworks:
    def __init__(
        self, folders: Folders, pause: float, counters: Counters, tell: Callable[[Found], None]
    ) -> None:
        """`pause`: seconds between looks, since pods come and go without a word to us; and as long a prefix
        is held that left its file, since a pod that was starting then may still get an address of it (between
        Multus' reading of the file and host-local's word there are milliseconds). `tell` is called with what
        was found, and what there is of pod networks."""
        self._folders = folders
        self._pause = pause
        self._counters = counters
        self._tell = tell
        self._changed = threading.Condition()
        self._found = Found(0, ())
        self._due = False
        self._own: Mapping[str, OwnFile] = {}
        self._first = True
        self._left: dict[str, float] = {}  # prefixes that left the files, and when by time.monotonic()
        self._told: tuple[NetworkReport, ...] = ()
        self._calm_until = 0.0
        self._generation = 0  # of what was told
        self._troubles = Lasting(log)
        self._troubled: dict[str, str] = {}  # by network

    def offer(self, found: Found) -> None:
        """From the main thread, after every look at the links: cheap when nothing changed."""
        if found == self._found:
            return
        with self._changed:
            self._found = found
            self._due = True
            self._changed.notify()

    def run(self) -> None:
        """For as long as the process lives."""
        rest: float | None = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due, rest)
                self._due = False
                found = self._found
            if found.wanted is not None:
                reports = self._look(found, found.wanted)
                self._counters.networks = reports
                self._log_troubles(reports)
                found = found._replace(networks=self._worth_telling(reports, found.generation))
                rest = self._pause if reports or self._own else None
            self._tell(found)

    def _look(self, found: Found, wanted: tuple[WantedInterface, ...]) -> tuple[NetworkReport, ...]:
        """Put the files right, and see what pods have of the prefixes."""
        before = _prefixes(self._own)
        errors: dict[str, str] = {}
        try:
            with CNIFolder(self._folders.conf_dir) as folder:
                directory = folder.look()
                before |= _prefixes(directory.own)
                verdicts = self._noted(self._decide(found, wanted, folder, directory))
                errors = _carry_out(folder, directory, verdicts)
                self._own = folder.look().own
        except OSError as reason:
            if isinstance(reason, FileNotFoundError):
                self._own = {}
            message = f"{self._folders.conf_dir} cannot be used for CNI files: {reason.strerror}"
            verdicts = _all_refused(wanted, message) if self._folders.write else []
        now = time.monotonic()
        if self._first:  # a former run may have taken them out of the files just now
            self._first = False
            before |= {p for each in wanted if each.pod_network is not None for p in each.prefixes}
        self._left |= dict.fromkeys(before - _prefixes(self._own), now)
        self._left = {prefix: left for prefix, left in self._left.items() if now < left + self._pause}
        usage = self._usage()
        by_mac = {verdict.wanted.mac: verdict for verdict in verdicts}
        own = {file.eni_id: (network, file) for network, file in self._own.items()}
        reports = []
        for interface in wanted:
            network, file = own.get(interface.eni_id, ("", None))
            verdict = by_mac.get(interface.mac)
            error = errors.get(network or (verdict.network.name if verdict else ""), "")
            reports.append(network_report(interface, verdict, file, usage, self._left.keys(), error))
        return tuple(report for report in reports if report is not None)

    def _decide(
        self, found: Found, wanted: tuple[WantedInterface, ...], folder: CNIFolder, directory: Directory
    ) -> list[Verdict]:
        if not self._folders.write:
            return []
        if why := folder.why_the_runtimes(directory):
            return _all_refused(wanted, _RUNTIMES.format(folder=self._folders.conf_dir, why=why))
        return decide(wanted, found.reports, directory)

    def _noted(self, verdicts: list[Verdict]) -> list[Verdict]:
        """A file is written though its plugins are not there: they may come, and the pod's event says it."""
        missing = _missing_plugins(self._folders.bin_dir) if verdicts else []
        if not missing:
            return verdicts
        note = _MISSING[len(missing) - 1].format(" and ".join(missing), folder=self._folders.bin_dir)
        return [each if each.message else each._replace(message=note) for each in verdicts]

    def _usage(self) -> Usage:
        try:
            return Usage(addresses_in_use(self._folders.state_dir))
        except OSError as error:
            where = f"{self._folders.state_dir}: {error.strerror}"
            return Usage(None, f"which addresses pods have is not known, {where}")

    def _worth_telling(
        self, reports: tuple[NetworkReport, ...], generation: int
    ) -> tuple[NetworkReport, ...]:
        """Those of before where counts alone changed since, and that a short while ago."""
        now = time.monotonic()
        same = [_lasting(report) for report in reports] == [_lasting(report) for report in self._told]
        calm = same and generation == self._generation and now < self._calm_until
        if reports != self._told and not calm:
            self._told, self._calm_until = reports, now + _CALM
        self._generation = generation
        return self._told

    def _log_troubles(self, reports: Iterable[NetworkReport]) -> None:
        troubled = {report.name: report.message for report in reports if report.state is NetworkState.REFUSED}
        for network, message in troubled.items():
            self._troubles.met(network, "no CNI file is written", network=network, reason=message)
        for network in self._troubled.keys() - troubled.keys():
            self._troubles.over(network, "the CNI file is refused no more", network=network)
        self._troubled = troubled


def _carry_out(folder: CNIFolder, directory: Directory, verdicts: Iterable[Verdict]) -> dict[str, str]:
    """What could not be done, by network. First what is to go: its prefixes may come under another name."""
    errors = {}
    texts = {verdict.network.name: verdict.text for verdict in verdicts if verdict.text is not None}
    for network in directory.own.keys() - texts.keys():
        try:
            folder.remove(network)
            log.info("CNI file removed", extra={"network": network})
        except OSError as error:
            errors[network] = f"its CNI file cannot be removed: {error.strerror}"
    for network, text in texts.items():
        there = directory.own.get(network)
        if there is not None and there.text == text:
            continue
        try:
            folder.write(network, text)
            log.info("CNI file written", extra={"network": network})
        except OSError as error:
            errors[network] = f"its CNI file cannot be written: {error.strerror}"
    return errors


def _all_refused(wanted: Iterable[WantedInterface], message: str) -> list[Verdict]:
    return [
        Verdict(interface, interface.pod_network, None, NetworkState.REFUSED, message)
        for interface in wanted
        if interface.pod_network is not None
    ]


def _missing_plugins(bin_dir: str | None) -> list[str]:
    if bin_dir is None:
        return []
    return [plugin for plugin in PLUGINS if not os.access(os.path.join(bin_dir, plugin), os.X_OK)]


def _prefixes(own: Mapping[str, OwnFile]) -> set[str]:
    return {prefix for file in own.values() for prefix in file.prefixes}


def _lasting(report: NetworkReport) -> NetworkReport:
    """Without what changes with each pod, but whether there is an address left."""
    return report._replace(used=None, free=None if report.free is None else min(report.free, 1), in_use=())


_MISSING = (
    "CNI plugin {} is not in {folder}: install it on the node",
    "CNI plugins {} are not in {folder}: install them on the node",
)
_RUNTIMES = (
    "{folder} is read by the container runtime ({why}), and a file there can become the network of every "
    "pod: give Multus a folder of its own, by default /etc/cni/multus/net.d, and name that in "
    "--cni-conf-dir. EKS' manifests need this line in ConfigMap kube-system/multus-daemon-config: "
    '"confDir": "/hostroot/etc/cni/multus/net.d"'
)
