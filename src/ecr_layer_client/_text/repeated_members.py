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
        if len(dict(members)) < len(members):
            [(name, _)] = Counter(name for name, _ in members).most_common(1)
            repeated.append(name)

    # Numbers stay text: parsing them takes time, and a long one may be an error.
    json.loads(data, object_pairs_hook=note, parse_int=str, parse_float=str)
    return repeated[0] if repeated else None
