"""docs/rights.md names each right of the shipped manifests with the situation that needs it, and no other."""

import re
from pathlib import Path

import pytest
from hack.apiserver.accounts import CONTROLLER, MANAGER, rights
from tests.contract.test_rights_one_by_one import MANAGER_NEEDS, NEEDED_BY, called

PAGE = Path(__file__).parents[2] / "docs" / "rights.md"
_ROW = re.compile(r"^\| `(?P<verb>\w+)` \| `(?P<resource>[\w./]+)` \|.*\| `(?P<seen>\w+)` \|$", re.MULTILINE)


SEEN_BY = (
    {right: situation.__name__ for right, situation in NEEDED_BY.items()},
    {right: situation.__name__ for right, situation in MANAGER_NEEDS.items()},
)


@pytest.mark.parametrize(("part", "account"), [(0, CONTROLLER), (1, MANAGER)])
def test_the_page_of_rights_is_complete_and_current(part: int, account: str) -> None:
    text = PAGE.read_text().split("## The ENI manager")[part]
    listed = sorted((row["verb"], row["resource"], row["seen"]) for row in _ROW.finditer(text))
    given = (
        (right.verb, f"{right.resource}.{right.group}".strip("."), SEEN_BY[part][called(right)])
        for right in rights(account)
    )
    assert listed == sorted(given)
