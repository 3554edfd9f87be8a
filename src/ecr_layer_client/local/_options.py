"""The options of a `LocalECR`, checked before anything is made of them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ._quotas import check_number

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_PORT = 65_535

_is_account = re.compile("[0-9]{12}").fullmatch  # ECR model: RegistryId
_is_region = re.compile("[a-z]{2,}(-[a-z0-9]+)+").fullmatch


def check_options(*, account: Any, absent: Any, host: Any, port: Any, latency: Any) -> None:
    """Refuse what is none of its kind. Raises ValueError that names the value and the rule.

    >>> check_options(account=123456789012, absent="unavailable", host="127.0.0.1", port=0, latency=0.0)
    Traceback (most recent call last):
    ...
    ValueError: account must be 12 digits, such as '123456789012', not 123456789012
    """
    if not isinstance(account, str) or not _is_account(account):
        _refuse("account", "12 digits, such as '123456789012'", account)
    if not isinstance(absent, str) or absent not in {"unavailable", "missing"}:
        _refuse("absent", "'unavailable' or 'missing'", absent)
    if not isinstance(host, str) or not host.strip():
        _refuse("host", "an address or a name to listen at, such as '127.0.0.1'", host)
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= MAX_PORT:
        _refuse("port", f"a number from 0 (a free one) to {MAX_PORT}", port)
    check_number("latency", latency, at_least=0.0)


def played_regions(region: str, regions: Iterable[str]) -> list[str]:
    """Return the Regions to play, each once. Raises ValueError for what is no Region.

    >>> played_regions("us-east-1", ["eu-west-1", "us-east-1"])
    ['us-east-1', 'eu-west-1']
    """
    if isinstance(regions, str):
        _refuse("regions", f"a list, such as [{regions!r:.200}]", regions)
    played = list(dict.fromkeys([region, *regions]))
    for each in played:
        if not isinstance(each, str) or not _is_region(each):
            _refuse("region", "an AWS Region such as 'eu-west-1'", each)
    return played


def home_of(data: str | os.PathLike[str] | None) -> Path | None:
    """Return the data directory. Raises ValueError for what can't be its path.

    An empty one would be where the process happens to be.
    """
    if data is None:
        return None
    if not isinstance(data, (str, os.PathLike)) or not os.fspath(data) or "\0" in os.fspath(data):
        _refuse("data", "the path of a directory ('.' is the current one), or None", data)
    return Path(data)


def _refuse(name: str, rule: str, value: object) -> NoReturn:
    message = f"{name} must be {rule}, not {value!r:.200}"
    raise ValueError(message)
