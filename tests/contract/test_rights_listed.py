"""docs/rights.md names each right of the shipped manifests, and no other."""

import re
from pathlib import Path

from hack.apiserver.accounts import CONTROLLER, MANAGER, rights

PAGE = Path(__file__).parents[2] / "docs" / "rights.md"
_ROW = re.compile(r"^\| `(?P<verb>\w+)` \| `(?P<resource>[\w./]+)` \|", re.MULTILINE)


def test_the_page_of_rights_is_complete_and_current() -> None:
    controller, manager = PAGE.read_text().split("## The ENI manager")
    for account, text in ((CONTROLLER, controller), (MANAGER, manager)):
        listed = sorted((row["verb"], row["resource"]) for row in _ROW.finditer(text))
        given = ((right.verb, f"{right.resource}.{right.group}".strip(".")) for right in rights(account))
        assert listed == sorted(given)
