"""Table of contents of the agent: builds every object, starts every thread, and ends them.

ENINode ──watch thread──► mailbox ──► main thread: kernel events, plan, netlink ──► reporter thread ──► status
"""

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable

from nodeeni.agent.api import ENINodeApi
from nodeeni.agent.counters import Counters
from nodeeni.agent.health import Health, listen
from nodeeni.agent.kernel import LinkLoop, Rules
from nodeeni.agent.kubeconfig import Access, KubeconfigError, in_cluster, read_kubeconfig
from nodeeni.agent.link_plan import Policy
from nodeeni.agent.mailbox import Mailbox
from nodeeni.agent.primary import Primary
from nodeeni.agent.reporter import Reporter
from nodeeni.agent.settings import AgentSettings, agent_settings
from nodeeni.agent.spec import JSON, NOTHING_WANTED, NodeSpec, read_spec
from nodeeni.agent.spec_file import keep_spec, load_spec
from nodeeni.agent.status import Found
from nodeeni.agent.watch import Watch
from nodeeni.flags import UsageError
from nodeeni.logs import configure

log = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Run until SIGTERM or SIGINT. Exit status: 0 stopped, 1 failed or refused by the kernel, 2 usage."""
    try:
        settings = agent_settings(argv)
        access = _access(settings)
        if access is None and settings.spec_file is None and _at_a_terminal():
            raise UsageError(_LOST)
    except (UsageError, KubeconfigError) as error:
        print(f"nodeeni manager: {error}", file=sys.stderr)  # noqa: T201
        return 2
    configure(5 if settings.debug else 0, settings.log_format)
    try:
        return _run(settings, access)
    except OSError as error:
        log.error("the ENI manager cannot work here", extra={"error": str(error)})
        return 1


_LOST = (
    "started at a terminal with no kubeconfig, no service account and no spec file, it would only bring up "
    "the physical links of this machine; give --kubeconfig FILE to serve it as a node of a cluster, or "
    "--spec-file FILE to serve it without one"
)


def _at_a_terminal() -> bool:
    """A person started it; in a pod and in a systemd unit none of the three is one."""
    return any(os.isatty(number) for number in (0, 1, 2))


def _access(settings: AgentSettings) -> Access | None:
    if settings.kubeconfig:
        return read_kubeconfig(settings.kubeconfig)
    return in_cluster(os.environ, settings.service_account)


def _run(settings: AgentSettings, access: Access | None) -> int:
    counters, mailbox, stop = Counters(), Mailbox(), threading.Event()
    threads = _Threads(mailbox)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: mailbox.stop())
    if settings.metrics_addr is not None:
        health = Health(listen(settings.metrics_addr), counters, 2 * settings.check_interval + 10)
        threads.start(health.run)
    if settings.spec_file and (kept := load_spec(settings.spec_file)):
        mailbox.put(kept)
    report: Callable[[Found], None] = _no_report
    if access is None:
        log.info("no API server: only physical links are brought up")
    else:
        api = ENINodeApi(access, settings.node_name, settings.keepalive)
        reporter = Reporter(api, counters, stop)
        intake = _Intake(mailbox, reporter, settings.spec_file)
        threads.start(Watch(api, intake.see, counters, stop).run)
        threads.start(reporter.run)
        report = reporter.offer
    if settings.cni_conf_dir is not None:
        report = _pod_networks(settings, counters, threads, report)
    rules = Rules(
        Policy(settings.physical, settings.eni_pattern, settings.ignore_interfaces),
        settings.check_interval,
        settings.udev_timeout,
        settings.sysfs,
    )
    log.info("the ENI manager has started", extra={"node": settings.node_name})
    # The links wait for neither of two things that cost milliseconds: a thread that is writing a status (it
    # gives way after 0.1 ms, not the usual 5), and a garbage collection that looks at all that was imported.
    sys.setswitchinterval(0.0001)
    gc.freeze()
    LinkLoop(rules, Primary(settings.primary_interface), mailbox, counters, report).run()
    stop.set()
    log.info("the ENI manager has stopped")
    return 1 if threads.failed else 0


def _pod_networks(
    settings: AgentSettings, counters: Counters, threads: "_Threads", report: Callable[[Found], None]
) -> Callable[[Found], None]:
    """What is found goes by way of the thread of the CNI files, which adds what it has to say of those. Not
    imported on the many nodes that write none."""
    from nodeeni.agent.pod_networks import Folders, PodNetworks

    assert settings.cni_conf_dir is not None
    folders = Folders(settings.cni_conf_dir, settings.cni_state_dir, settings.cni_bin_dir, settings.cni_files)
    networks = PodNetworks(folders, settings.cni_look, counters, report)
    threads.start(networks.run)
    return networks.offer


class _Intake:
    """What the watch sees goes three ways: to the main thread, to the reporter, to the disk."""

    def __init__(self, mailbox: Mailbox, reporter: Reporter, spec_file: str | None) -> None:
        self._mailbox = mailbox
        self._reporter = reporter
        self._spec_file = spec_file
        self._last: NodeSpec | None = None

    def see(self, eninode: JSON | None) -> None:
        self._reporter.see(eninode)
        spec = NOTHING_WANTED if eninode is None else read_spec(eninode)
        if self._last is not None and spec._replace(given=None) == self._last:
            return
        self._last = spec._replace(given=None)
        self._mailbox.put(spec)
        if self._spec_file:
            keep_spec(self._spec_file, eninode)


class _Threads:
    """May be anywhere when the process ends: nothing that they do needs finishing. One that fails ends the
    process, since an agent that no longer hears or tells is worse than one that is started anew."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self.failed = False

    def start(self, work: Callable[[], None]) -> None:
        threading.Thread(target=self._run, args=(work,), daemon=True).start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            log.exception("a thread failed, the ENI manager ends")
            self.failed = True
            self._mailbox.stop()


def _no_report(_found: Found) -> None:
    """Without an API server there is nobody to tell; the log has it."""
