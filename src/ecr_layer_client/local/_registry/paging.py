"""Pages of an answer: sorted by key, so that a token still fits when rows come and go between two pages."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import invalid_parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

DEFAULT_PAGE = (
    100  # AWS documentation: DescribeRepositories, ListImages and DescribeImages without maxResults
)


def page_of(rows: Mapping[str, T], request: Mapping[str, Any]) -> tuple[list[T], dict[str, str]]:
    """Return the page that a request asks for, and the `nextToken` to answer beside it.

    Raises AwsError for a made-up token.

    >>> page_of({"b": 2, "a": 1}, {"maxResults": 1})
    ([1], {'nextToken': 'YQ=='})
    >>> page_of({"b": 2, "a": 1}, {"maxResults": 1, "nextToken": "YQ=="})
    ([2], {})
    """
    after = _key(request.get("nextToken"))
    size = request.get("maxResults", DEFAULT_PAGE)
    keys = sorted(key for key in rows if after is None or key > after)
    page = keys[:size]
    more = (
        {"nextToken": base64.urlsafe_b64encode(page[-1].encode()).decode()}
        if len(keys) > size
        else {}
    )
    return [rows[key] for key in page], more


def _key(token: str | None) -> str | None:
    try:
        return (
            None
            if token is None
            else base64.b64decode(token, altchars=b"-_", validate=True).decode()
        )
    except ValueError:
        where = "nextToken"
        raise invalid_parameter(where, "must be a token that an earlier page returned") from None
