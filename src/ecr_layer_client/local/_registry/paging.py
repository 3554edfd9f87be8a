"""Pages of a response, sorted by key.

A token stays valid when rows appear or disappear between two pages.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import invalid_parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

# AWS documentation: DescribeRepositories, ListImages and DescribeImages without maxResults.
DEFAULT_PAGE_SIZE = 100


def page_of(rows: Mapping[str, T], request: Mapping[str, Any]) -> tuple[list[T], dict[str, str]]:
    """Return the page that a request asks for, and the `nextToken` of the response, if any.

    Raises AwsError for a token that no page returned.

    >>> page_of({"b": 2, "a": 1}, {"maxResults": 1})
    ([1], {'nextToken': 'YQ=='})
    >>> page_of({"b": 2, "a": 1}, {"maxResults": 1, "nextToken": "YQ=="})
    ([2], {})
    """
    after = _key(request.get("nextToken"))
    size: int = request.get("maxResults", DEFAULT_PAGE_SIZE)
    keys = sorted(key for key in rows if after is None or key > after)
    page = [rows[key] for key in keys[:size]]

    if len(keys) <= size:
        return page, {}
    token = base64.urlsafe_b64encode(keys[size - 1].encode()).decode()
    return page, {"nextToken": token}


def _key(token: str | None) -> str | None:
    if token is None:
        return None
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:
        where = "nextToken"
        raise invalid_parameter(where, "must be a token that an earlier page returned") from None
