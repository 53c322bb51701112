"""Whose time passes between udev's word and UP, from a trace of the guest's kernel."""

from bench.agent.machine import Parts, parts, result, steps

PID = 393
# As Debian 12's kernel writes it: heard, asked how the link is, asked for UP, slept, preempted.
TRACE = """\
# tracer: nop
       python3-393 [000] d..2. 39.9000: sched_switch: prev_comm=python3 prev_pid=393 prev_prio=120 prev_state=S ==> next_comm=swapper/0 next_pid=0 next_prio=120
 (udev-worker)-429 [000] dN.6. 40.0040: sched_wakeup: comm=python3 pid=393 prio=120 target_cpu=000
 (udev-worker)-429 [000] d..2. 40.0050: sched_switch: prev_comm=x prev_pid=429 prev_prio=120 prev_state=R+ ==> next_comm=python3 next_pid=393 next_prio=120
       python3-393 [000] ...1. 40.0060: sys_sendto(fd: 4, buff: 7f, len: 28, flags: 0, addr: 0, addr_len: 0)
       python3-393 [000] ...1. 40.0061: sys_sendto -> 0x28
       python3-393 [000] ...1. 40.0080: sys_sendto(fd: 4, buff: 7f, len: 20, flags: 0, addr: 0, addr_len: 0)
       python3-393 [000] d..2. 40.0090: sched_switch: prev_comm=python3 prev_pid=393 prev_prio=120 prev_state=D ==> next_comm=swapper/0 next_pid=0 next_prio=120
          <idle>-0 [000] dNs4. 40.0200: sched_wakeup: comm=python3 pid=393 prio=120 target_cpu=000
          <idle>-0 [000] d..2. 40.0210: sched_switch: prev_comm=swapper/0 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=python3 next_pid=393 next_prio=120
       python3-393 [000] d..2. 40.0220: sched_switch: prev_comm=python3 prev_pid=393 prev_prio=120 prev_state=R+ ==> next_comm=systemd next_pid=1 next_prio=120
         systemd-1 [000] d..2. 40.0300: sched_switch: prev_comm=systemd prev_pid=1 prev_prio=120 prev_state=S ==> next_comm=python3 next_pid=393 next_prio=120
       python3-393 [000] ...1. 40.0350: sys_sendto -> 0x20
"""  # noqa: E501


def test_each_millisecond_is_somebodys() -> None:
    found = parts(steps(TRACE, PID), word=40.0000, up=40.0320)
    assert {name: round(value, 1) for name, value in found._asdict().items()} == {
        "whole": 32.0,
        "ours": 3.0,  # from running to the last request, what was asked before it included
        "driver": 1.0 + 1.0 + 2.0,
        "asleep": 11.0,
        "others": 4.0 + 1.0 + 1.0 + 8.0,  # of it the first before the thread was woken
    }


def test_the_promise_is_of_the_whole_whoever_took_it() -> None:
    quick, slow = Parts(1.5, 0.5, 0.7, 0.0, 0.3), Parts(9.5, 0.5, 0.7, 8.0, 0.3)
    kept, broken = result("12", "UP alone", [quick] * 30), result("12", "UP alone", [quick] * 29 + [slow])
    assert (kept.kept, broken.kept) == (True, False)
    assert broken.figures == {
        "links": 30,
        "from udev's word to up: p50 / p99 / max (ms)": "1.50 / 7.18 / 9.50",
        "of it the ENI manager's own instructions": "0.50 / 0.50 / 0.50",
        "the kernel's, setting the link up": "0.70 / 0.70 / 0.70",
        "the driver asleep, while the device takes the MTU": "0.00 / 5.68 / 8.00",
        "the processor was another program's": "0.30 / 0.30 / 0.30",
    }
