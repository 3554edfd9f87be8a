"""Responses with the bytes of a blob, or with a range of them."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from ._protocol import Reply
from ._registry.blob_store import CHUNK, part_of
from ._registry.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from ._registry.blob_store import Blob

# A position that is larger than the size of any layer.
BEYOND = 10**18

# S3 accepts a single range. The unit may be in either case (RFC 9110).
_RANGE = re.compile("bytes=([0-9]*)-([0-9]*)", re.IGNORECASE).fullmatch


async def in_chunks(body: Blob) -> AsyncIterator[bytes]:
    """Yield a body in the chunks that are sent."""
    for start in range(0, len(body), CHUNK):
        yield body[start : start + CHUNK]


def ranged_reply(blob: Blob, headers: Mapping[str, str], range_header: str) -> Reply:
    """Return the response with a blob, or with a range of it. Raises AwsError InvalidRange."""
    headers = {**headers, "accept-ranges": "bytes"}
    size = len(blob)

    wanted = _wanted(range_header, size)
    if wanted is None:
        return Reply(HTTPStatus.OK, headers, blob, stream=in_chunks)

    start, stop = wanted
    headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    return Reply(HTTPStatus.PARTIAL_CONTENT, headers, part_of(blob, start, stop), stream=in_chunks)


def _wanted(range_header: str, size: int) -> tuple[int, int] | None:
    """Return the start and the end of a range.

    None means the complete layer, which S3 also sends for a range that it cannot parse.
    """
    found = _RANGE(range_header.strip())
    if found is None or not any(found.groups()):
        return None

    first, last = map(_number, found.groups())
    if first is None:
        start, stop = max(0, size - (last or 0)), size
    else:
        start, stop = first, size if last is None else min(size, last + 1)
        if last is not None and last < first:
            return None

    if start >= size:
        code = "InvalidRange"
        members = {"RangeRequested": range_header, "ActualObjectSize": size}
        raise AwsError(code, "The requested range is not satisfiable", 416, **members)
    return start, stop


def _number(digits: str) -> int | None:
    """Return the position of a byte.

    A number that is too long for Python to parse lies beyond every end (RFC 9110, section 14.1.2).
    """
    if not digits:
        return None
    return int(digits) if len(digits := digits.lstrip("0") or "0") < len(str(BEYOND)) else BEYOND
