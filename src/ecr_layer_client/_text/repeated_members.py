"""Find members that an object in JSON has twice: readers of such JSON disagree on its meaning."""

from __future__ import annotations

import json
from collections import Counter


def repeated_member(data: bytes) -> str | None:
    r"""Return the name of a member that an object has twice, or None. The data is valid JSON.

    Example:
        >>> repeated_member(b'{"a": [{"b": 1, "\\u0062": 2}]}'), repeated_member(b'{"a": 1}')
        ('b', None)
    """
    repeated: list[str] = []

    def note(members: list[tuple[str, object]]) -> None:
        names = [name for name, _ in members]
        if len(set(names)) < len(names):
            repeated.append(Counter(names).most_common(1)[0][0])

    # Numbers stay text, because Python limits the digits of an int that it parses.
    json.loads(data, object_pairs_hook=note, parse_int=str, parse_float=str)
    return repeated[0] if repeated else None
