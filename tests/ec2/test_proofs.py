"""When two reads at once prove that nothing of a NodeENI is left, and when they must be apart."""

import pytest

from nodeeni.ec2.proofs import Proofs

GAP, LAG = 5.0, 60.0
SETTLED = 100.0


class Story:
    """A NodeENI's removal: what happened, a second after another."""

    def __init__(self) -> None:
        self.proofs = Proofs(GAP)
        self.now = SETTLED

    def do(self, *steps: str) -> None:
        for step in steps:
            self.now += 1.0
            match step:
                case "listed":
                    self.proofs.shown("uid", self.now)
                    self.proofs.read(self.now, "uid")
                case "resync":
                    self.proofs.shown("uid", self.now)
                    self.proofs.read(self.now, None)
                case "deleted":
                    self.proofs.deleted("uid", self.now)
                case "vanished":
                    self.proofs.vanished("uid", self.now)
                case "create unanswered":
                    self.proofs.uncertain("uid", self.now + LAG)
                case "lag passes":
                    self.now += LAG
                case _:
                    raise ValueError(step)

    def reads_at_once(self) -> int:
        """How many of two reads that follow one another count, begun when the last one had gone."""
        since = self.now
        for _ in range(2):
            self.now += 0.1
            self.proofs.read(self.now, "uid")
        return self.proofs.count("uid", since, SETTLED)


@pytest.mark.parametrize(
    ("steps", "counted"),
    [
        (("listed", "deleted"), 2),
        (("resync", "deleted", "deleted"), 2),
        (("deleted",), 1),  # a predecessor may have made another one
        (("deleted", "listed"), 1),  # it was gone before: the listing told nothing of what there had been
        (("listed", "deleted", "vanished"), 1),  # nobody has told us how the last one went
        (("listed", "vanished", "deleted"), 1),
        (("vanished", "listed", "deleted"), 2),
        (("listed", "create unanswered", "deleted", "lag passes"), 1),
        (("create unanswered", "lag passes", "listed", "deleted"), 2),
        ((), 1),
    ],
)
def test_reads_follow_at_once_where_all_is_accounted_for(steps: tuple[str, ...], counted: int) -> None:
    story = Story()
    story.do(*steps)
    assert story.reads_at_once() == counted


def test_what_was_listed_before_reads_showed_all_that_a_predecessor_made_accounts_for_nothing() -> None:
    story = Story()
    story.now = SETTLED - 10
    story.do("listed", "deleted")
    assert story.reads_at_once() == 1


def test_none_counts_while_the_lag_of_a_create_without_an_answer_lasts() -> None:
    story = Story()
    story.do("listed", "deleted", "create unanswered")
    assert story.reads_at_once() == 0
