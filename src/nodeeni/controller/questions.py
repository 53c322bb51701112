"""What plans ask of EC2, each question for itself: one without an answer is a refusal of whom it concerns.

A reconcile waits for an answer once, and not for long. One that is late, or that was refused the time before,
is hardly waited for: the reconcile goes on without it, and the node is reconciled anew when it comes.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Hashable
from typing import Any, TypeVar

from nodeeni.api.reasons import EventReason, RowReason
from nodeeni.ec2.errors import EC2Error
from nodeeni.plan.refusal import Refusal

PATIENCE = 3.0  # seconds: EC2 answers a describe in 0.2 s as a rule; in trouble in 20 s, or never
# Seconds, until every node was planned once: what an earlier process reported stands meanwhile, and
# thousands who ask at once are answered late.
PATIENCE_AT_START = 20.0
_BRIEFLY = 0.1  # seconds: what is known already is there by then
LATE = 10.0  # seconds after which people hear of it: of one slow moment they need not

_T = TypeVar("_T")


class _Question:
    """`task` asks it now; `refusal` is what was said the last time, where that was no answer."""

    def __init__(self) -> None:
        self.task: asyncio.Task[Any] | None = None
        self.refusal: Refusal | None = None
        self.failures = 0  # in a row
        self.since = 0.0  # of the loop's clock: when it was asked
        self.left = False  # the task was not waited for to its end


class Questions:
    """`again(node)` is called when an answer has come that was not waited for; an answer is waited for once,
    for `patience` seconds.
    """

    def __init__(self, again: Callable[[str], None] = lambda _: None, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._again = again
        self._open: dict[str, dict[Hashable, _Question]] = {}  # node → key → question

    def is_open(self, node: str, key: Hashable) -> bool:
        """Whether the node waits for an answer to that, or was refused one."""
        return key in self._open.get(node, ())

    def begin(self, node: str, key: Hashable, question: Callable[[], Awaitable[object]]) -> bool:
        """Ask without waiting: the node is reconciled anew when the answer comes, which `ask` then gives.
        False where it is there already, or was refused before.
        """
        asked = self._open.setdefault(node, {}).setdefault(key, _Question())
        if asked.task is None:
            asked.task = asyncio.create_task(_answered(question))
            asked.since = asyncio.get_running_loop().time()
        self._bring_back(node, asked)
        return not asked.task.done() and asked.refusal is None

    async def ask(
        self, node: str, key: Hashable, about: str, question: Callable[[], Awaitable[_T]]
    ) -> _T | Refusal:
        """The answer, or a refusal that is nobody's yet. `key` is what is asked, `about` tells people, with
        the action.
        """
        asked = self._open.setdefault(node, {}).setdefault(key, _Question())
        task = asked.task
        if task is None:
            task = asked.task = asyncio.create_task(_answered(question))
            asked.since = asyncio.get_running_loop().time()
        await asyncio.wait({task}, timeout=_BRIEFLY if asked.refusal else self.patience)
        if not task.done():
            self._bring_back(node, asked)
            late = _late(about, asyncio.get_running_loop().time() - asked.since)
            asked.refusal = _waited_for(asked.refusal) if asked.failures and asked.refusal else late
            return asked.refusal
        asked.task, asked.left = None, False
        answer: _T | EC2Error = task.result()
        if isinstance(answer, EC2Error):
            asked.failures += 1
            asked.refusal = _refused(answer, asked.failures)
            return asked.refusal
        if asked.failures:
            asked.refusal, asked.failures = None, 0
            self._wake(key)  # what was refused is answered now, and so it is for all that ask the same
        asked.refusal = None
        return answer

    def _bring_back(self, node: str, asked: _Question) -> None:
        if not asked.left and asked.task is not None:
            asked.left = True
            asked.task.add_done_callback(lambda _: self._again(node))

    def ask_again(self) -> None:
        """EC2 answers again: nobody waits for the time of the next try."""
        for node, questions in list(self._open.items()):
            if any(asked.refusal for asked in questions.values()):
                self._again(node)

    def _wake(self, key: Hashable) -> None:
        for node, questions in list(self._open.items()):
            asked = questions.get(key)
            if asked is not None and asked.refusal is not None:
                self._again(node)

    def keep(self, node: str, keys: Collection[Hashable]) -> None:
        """Forget what this node asks no more."""
        kept = {
            key: asked
            for key, asked in self._open.pop(node, {}).items()
            if key in keys and (asked.task or asked.refusal)
        }
        if kept:
            self._open[node] = kept


async def _answered(question: Callable[[], Awaitable[_T]]) -> _T | EC2Error:
    try:
        return await question()
    except EC2Error as error:
        return error


def _refused(error: EC2Error, failures: int) -> Refusal:
    """By the rule of the error's class, as for a call that changes something."""
    return Refusal(
        reason=error.reason,
        message=error.explanation,
        retry_after=error.delay(failures - 1, random.random()),
        event=EventReason.ENI_CREATION_FAILED if failures >= error.error_class.reported_after else None,
    )


def _late(about: str, seconds: float) -> Refusal:
    if seconds < LATE:
        message = f"EC2 has not answered yet what it has of {about}: its answer is waited for"
        return Refusal(reason=RowReason.EC2_ERROR, message=message, retry_after=LATE - seconds)
    message = (
        f"EC2 has not answered for over {LATE:g} s what it has of {about}: its answer is waited for; where "
        "it lasts, see to the way to EC2's endpoint"
    )
    return Refusal(reason=RowReason.EC2_ERROR, message=message, event=EventReason.ENI_CREATION_FAILED)


def _waited_for(refusal: Refusal) -> Refusal:
    """The same, while it is asked again: the answer brings the node back."""
    return Refusal(reason=refusal.reason, message=refusal.message, event=refusal.event)
