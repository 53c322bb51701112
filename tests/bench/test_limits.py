"""EC2's limit, as the project's facts about EC2 have it."""

import pytest
from bench.limits import attach_limit, attach_line, median, node_lines, removal_limit


@pytest.mark.parametrize(
    ("count", "seconds"), [(1, 1.6), (50, 1.6), (100, 11.6), (200, 31.6), (500, 91.6), (1000, 191.6)]
)
def test_the_last_of_n_can_be_attached_then(count: int, seconds: float) -> None:
    assert attach_limit(count) == pytest.approx(seconds)
    assert attach_line(count)[-1] == attach_limit(count)


def test_half_of_the_bucket_takes_twice_as_long_after_half_of_the_burst() -> None:
    assert attach_limit(100, share=0.5) == pytest.approx(1.6 + 75 / 2.5)


def test_removal_of_200_waits_for_detaches() -> None:
    assert removal_limit(200) == pytest.approx(2.0 + 30 + 0.3)


def test_nodes_of_three_are_completed_one_after_another() -> None:
    assert node_lines(200, 3) == pytest.approx((1.6, 51.6, 111.6))


def test_the_median_is_one_that_was_measured() -> None:
    assert median([3.0, 1.0, 2.0, 9.0]) == 3.0
