"""Pages of a response, sorted by key.

A token stays valid when rows appear or disappear between two pages.
"""

from __future__ import annotations

import base64
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import invalid_parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")

# AWS documentation: DescribeRepositories, ListImages and DescribeImages without maxResults.
DEFAULT_PAGE_SIZE = 100


def page_of(
    rows: Mapping[str, T], request: Mapping[str, Any], default_size: int = DEFAULT_PAGE_SIZE
) -> tuple[list[T], dict[str, str]]:
    """Return the page that a request asks for, and the `nextToken` of the response, if any.

    Raises AwsError for a token that no page returned.

    >>> page_of({"b": 2, "a": 1}, {"maxResults": 1})
    ([1], {'nextToken': 'YQ=='})
    >>> page_of({"b": 2, "a": 1}, {"maxResults": 1, "nextToken": "YQ=="})
    ([2], {})
    """
    return page_from(lambda _: sorted(rows.items(), key=itemgetter(0)), request, default_size)


def page_from(
    rows_from: Callable[[str], Iterable[tuple[str, T]]],
    request: Mapping[str, Any],
    default_size: int = DEFAULT_PAGE_SIZE,
) -> tuple[list[T], dict[str, str]]:
    """Return a page as `page_of` does, without looking at the rows of other pages.

    `rows_from` returns keys and rows, sorted by key, and may leave out rows before the given key.
    """
    after = _key(request.get("nextToken"))
    size: int = request.get("maxResults", default_size)
    rows = (row for row in rows_from(after) if row[0] > after)
    # One more row than the page has, to learn whether there is another page.
    found = list(islice(rows, size + 1))

    page = [row for _, row in found[:size]]
    if len(found) <= size:
        return page, {}
    token = base64.urlsafe_b64encode(found[size - 1][0].encode()).decode()
    return page, {"nextToken": token}


def _key(token: str | None) -> str:
    """Return the key after which a page starts. No key sorts before the empty one."""
    if token is None:
        return ""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:
        where = "nextToken"
        raise invalid_parameter(where, "must be a token that an earlier page returned") from None
