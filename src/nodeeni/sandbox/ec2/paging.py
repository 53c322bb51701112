"""Pages of a describe: MaxResults, NextToken, and what EC2 refuses about them.

A token holds the last id served, so that objects made or deleted between two pages shift nothing.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from . import filters
from .account import Account
from .errors import EC2Error, invalid_value, not_found
from .tables import Table
from .wire import Parameters

Row = TypeVar("Row")

_LEAST = 5


def unfiltered(action: str, parameters: Parameters) -> bool:
    """A describe that asks for everything at once: it is metered more strictly."""
    if not action.startswith("Describe"):
        return False
    return all(name in ("Action", "Version", "DryRun", "NextToken") for name in parameters.names())


def select(
    account: Account,
    parameters: Parameters,
    rows: Table[Row] | Mapping[str, Row],
    known: Mapping[str, filters.Values],
    *,
    ids: Sequence[str] = (),
    stem: str = "",
    most: int = 1000,
) -> tuple[list[Row], str | None]:
    """The rows that one describe shows and the token of the next page.

    `ids` are those asked for by id; one that does not exist refuses the whole call with `stem`.NotFound.
    """
    accepts = filters.compile_filters(filters.parse(parameters), known)
    read: Callable[[str], Row | None] = rows.seen if isinstance(rows, Table) else rows.get
    size = _page_size(parameters, ids, most)
    if ids:
        missing = [each for each in ids if read(each) is None]
        if missing:
            raise not_found(stem, missing)
        keys: Sequence[str] = sorted(set(ids))
    else:
        keys = rows.seen_keys() if isinstance(rows, Table) else sorted(rows)
    after = _after(parameters)
    page: list[Row] = []
    last = ""
    limit = size or account.settings.unpaginated_limit
    for key in keys:
        if key <= after:
            continue
        row = read(key)
        if row is None or not accepts(account, row):
            continue
        if len(page) == limit:
            if size is None and not ids:
                raise EC2Error(
                    "OperationNotPermitted",
                    f"The request would return more than {limit} results. Use MaxResults and NextToken.",
                )
            return page, _token(parameters, last)
        page.append(row)
        last = key
    return page, None


def _page_size(parameters: Parameters, ids: Sequence[str], most: int) -> int | None:
    if "MaxResults" not in parameters.flat:
        return None
    if ids:
        raise EC2Error(
            "InvalidParameterCombination", "The parameter maxResults cannot be used with a list of ids"
        )
    size = parameters.integer("MaxResults")
    if size < _LEAST:
        raise invalid_value(f" {size} ", "maxResults", f"Expecting a value greater than {_LEAST}.")
    if size > most:
        raise invalid_value(f" {size} ", "maxResults", f"Expecting a value less than or equal to {most}.")
    return size


def _question(parameters: Parameters) -> list[tuple[str, str]]:
    """What must be the same from page to page."""
    return sorted((key, value) for key, value in parameters.flat.items() if key.startswith("Filter."))


def _token(parameters: Parameters, last: str) -> str:
    content: Any = [parameters.text("Action"), _question(parameters), last]
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def _after(parameters: Parameters) -> str:
    token = parameters.text("NextToken")
    if not token:
        return ""
    invalid = EC2Error("InvalidParameterValue", "Unable to parse pagination token")
    try:
        action, question, last = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error):
        raise invalid from None
    if action != parameters.text("Action") or [tuple(each) for each in question] != _question(parameters):
        raise invalid
    return str(last)
