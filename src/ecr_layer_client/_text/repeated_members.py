"""Find members that an object in JSON has twice: readers of such JSON disagree on its meaning."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, NoReturn


def repeated_member(data: bytes) -> str | None:
    r"""Return the name of a member that an object has twice, or None. The data was parsed before.

    Example:
        >>> repeated_member(b'{"a": [{"b": 1, "\\u0062": 2}]}'), repeated_member(b'{"a": 1}')
        ('b', None)

    Raises:
        ValueError: The data has NaN or Infinity, which only some parsers accept.
    """
    repeated: list[str] = []

    def note(members: list[tuple[str, object]]) -> None:
        if len(dict(members)) < len(members):
            [(name, _)] = Counter(name for name, _ in members).most_common(1)
            repeated.append(name)

    # Numbers stay text: parsing them takes time, and a long one may be an error.
    numbers: dict[str, Any] = {"parse_int": str, "parse_float": str, "parse_constant": _refuse}
    json.loads(data, object_pairs_hook=note, **numbers)
    return repeated[0] if repeated else None


def _refuse(constant: str) -> NoReturn:
    msg = f"it has {constant}, which is not JSON"
    raise ValueError(msg)
