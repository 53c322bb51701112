"""EC2's limit, as the project's facts about EC2 have it."""

import pytest
from bench.limits import attach_limit, attach_line, attached_at, median, node_lines, removal_limit


@pytest.mark.parametrize(
    ("count", "seconds"), [(1, 1.6), (50, 1.6), (100, 11.6), (200, 31.6), (500, 91.6), (1000, 191.6)]
)
def test_the_last_of_n_can_be_attached_then(count: int, seconds: float) -> None:
    assert attach_limit(count) == pytest.approx(seconds)
    assert attach_line(count)[-1] == attach_limit(count)


def test_half_of_the_bucket_takes_twice_as_long_after_half_of_the_burst() -> None:
    assert attach_limit(100, share=0.5) == pytest.approx(1.6 + 75 / 2.5)


def test_nodes_that_come_one_after_another_wait_for_their_own_create_and_for_the_bucket() -> None:
    assert attached_at([0.0]) == pytest.approx([1.6])
    assert attached_at([0.0] * 60) == pytest.approx(attach_line(60))
    of_200 = attached_at([number / 20 for number in range(200)])
    assert of_200[:50] == pytest.approx([number / 20 + 1.6 for number in range(50)])
    # What has flowed in while they came: 5 a second since the first Attach.
    assert of_200[-1] == pytest.approx(1.6 + (200 - 50) / 5)


def test_removal_of_200_waits_for_detaches() -> None:
    assert removal_limit(200) == pytest.approx(2.0 + 30 + 0.3)


def test_nodes_of_three_are_completed_one_after_another() -> None:
    assert node_lines(200, 3) == pytest.approx((1.6, 51.6, 111.6))


def test_the_median_is_one_that_was_measured() -> None:
    assert median([3.0, 1.0, 2.0, 9.0]) == 3.0
