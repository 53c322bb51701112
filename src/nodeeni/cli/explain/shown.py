"""An explanation as text: the answer first, then what it rests on, and last what happened."""

import re
from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from nodeeni.cli import tables
from nodeeni.cli.explain.page import Explanation
from nodeeni.cli.explain.standings import Standing
from nodeeni.cli.explain.subject import Kind
from nodeeni.cli.explain.whose import Ownership
from nodeeni.cli.findings import counted
from nodeeni.cli.plan import print_hold, print_node
from nodeeni.cli.status.lines import natural

MANY = 20  # lines of one kind; more would push the answer off the screen
RECENT = 40  # moments


def show(to: Console, page: Explanation) -> None:
    to.print(page.headline, style="bold", markup=False)
    for note in page.unread:
        tables.print_finding(to, "!", *note.split(": ", 1))
    _standings(to, page)
    _selections(to, page)
    _whose(to, page)
    _plans(to, page)
    _holds(to, page)
    _history(to, page)


def _title(to: Console, title: str) -> None:
    to.print()
    to.print(title, style="bold dim", markup=False)


def _standings(to: Console, page: Explanation) -> None:
    wrong = sorted((s for s in page.standings if not s.is_right), key=_urgency)
    right = [s for s in page.standings if s.is_right]
    if not page.standings:
        return
    _title(to, "What is there")
    causes: dict[tuple[str, ...], list[Standing]] = {}
    for each in wrong:
        causes.setdefault(_cause(each), []).append(each)
    for alike in list(causes.values())[:MANY]:
        first, *others = alike
        more = f" (and so {counted(len(others), 'node')} more)" if others else ""
        tables.print_finding(to, _mark(first), _label(page, first), first.text + more)
    if len(causes) > MANY:
        to.print(f"  and {len(causes) - MANY} more: see -o json")
    if len(right) > MANY:
        tables.print_finding(to, "✓", counted(len(right), "node"), "as asked")
    else:
        for each in sorted(right, key=lambda s: natural(s.node)):
            tables.print_finding(to, "✓", _label(page, each), each.text)


def _selections(to: Console, page: Explanation) -> None:
    if page.selections:
        _title(to, "Labels against selectors")
        chosen = sorted(page.selections, key=lambda each: (not each.selected, each.node_eni))
        for each in chosen[:MANY]:
            met = ", ".join(asked.label for asked in each.asked)
            told = f"selects it by {met}" if each.selected else f"does not select it: {each.because}"
            tables.print_finding(to, "✓" if each.selected else "-", each.node_eni, told)
        if len(chosen) > MANY:
            to.print(f"  and {len(chosen) - MANY} more: see -o json")
    if page.near_misses:
        _title(to, "Nodes that lack one label of the selector")
        for told in page.near_misses[:MANY]:
            to.print(f"- {told}", markup=False)


def _whose(to: Console, page: Explanation) -> None:
    """Where all that is known of an ENI says the same, one line; else all that is said."""
    shown = [each for each in page.enis if page.subject.kind is Kind.ENI or not each.agreed]
    if shown:
        _title(to, "Whose it is" if len(shown) == 1 else "Whose they are")
    for each in shown[:MANY]:
        tables.print_finding(to, "✓" if each.ours else "!", each.eni_id, _verdict(each))
        for witness in each.witnesses:
            to.print(Padding(Text(f"{witness.what}: {witness.says}"), (0, 0, 0, 4), expand=False))
    if len(shown) > MANY:
        to.print(f"  and {len(shown) - MANY} more: see -o json")


def _verdict(whose: Ownership) -> str:
    owner = f"NodeENI {whose.node_eni}" if whose.node_eni else ""
    node = f"node {whose.node}" if whose.node else ""
    return "; ".join(filter(None, (whose.verdict, " on ".join(filter(None, (owner, node))), whose.state)))


def _plans(to: Console, page: Explanation) -> None:
    plans = page.plans
    if not plans:
        return
    _title(to, "What the controller does now, and later")
    for plan in sorted(plans, key=lambda plan: natural(plan.node))[:MANY]:
        print_node(to, plan)
    if len(plans) > MANY:
        to.print(f"  and {counted(len(plans) - MANY, 'more node')}: see -o json")


def _holds(to: Console, page: Explanation) -> None:
    if page.holds:
        _title(to, "Held until a person says so")
    for hold in page.holds:
        print_hold(to, hold)


def _history(to: Console, page: Explanation) -> None:
    if not page.history:
        return
    _title(to, "What happened (UTC)")
    recent = page.history[-RECENT:]
    if len(page.history) > len(recent):
        to.print(f"  {len(page.history) - len(recent)} earlier: see -o json")
    days = {moment.time[:10] for moment in recent}
    for moment in recent:
        time = moment.time[11:19] if len(days) == 1 else f"{moment.time[5:10]} {moment.time[11:19]}"
        tables.print_finding(to, time, moment.by, moment.text)


def _label(page: Explanation, each: Standing) -> str:
    """What the subject does not say already."""
    match page.subject.kind:
        case Kind.NODE:
            return each.node_eni
        case Kind.NODEENI:
            return each.node
        case Kind.ENI:
            return f"{each.node_eni} on {each.node}"


def _urgency(each: Standing) -> tuple[Sequence[object], ...]:
    return ((_ORDER.index(_mark(each)),), natural(each.node))


_ORDER = "✗!…✓"
# What differs from node to node where the cause is the same.
_OWN = re.compile(r"\b(?:i|eni)-[0-9a-f]{8,17}\b|\blink \S+")


def _cause(each: Standing) -> tuple[str, ...]:
    return (_mark(each), each.node_eni, _OWN.sub("", each.text.replace(each.node, "")))


def _mark(each: Standing) -> str:
    if each.is_right:
        return "✓"
    if each.state == "failed" or "failed" in each.reported:
        return "✗"
    return "…" if each.on_its_way else "!"
