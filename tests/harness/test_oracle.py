"""The oracle's own checks, on ranges that are known to be right or wrong."""

import pytest

from harness.oracle import joint_problems


@pytest.mark.parametrize(
    ("ranges", "problems"),
    [
        ([], 0),
        ([(0, 5), (5, 9), (9, 9), (9, 20)], 0),
        ([(3, 5)], 0),
        ([(0, 5), (6, 9)], 1),
        ([(0, 5), (4, 9)], 1),
        ([(0, 5), (5, 4)], 1),
    ],
)
def test_gaps_and_overlaps_are_found(ranges, problems):
    assert len(joint_problems(ranges)) == problems
