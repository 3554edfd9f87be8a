"""Validation of the options of a `LocalECR`, before anything is created from them."""

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
    """Raise ValueError for an invalid option, with the value and the rule.

    >>> check_options(account=12, absent="unavailable", host="127.0.0.1", port=0, latency=0.0)
    Traceback (most recent call last):
    ...
    ValueError: account must be 12 digits, such as '123456789012', not 12
    """
    if not isinstance(account, str) or not _is_account(account):
        _reject("account", "12 digits, such as '123456789012'", account)
    if not isinstance(absent, str) or absent not in {"unavailable", "missing"}:
        _reject("absent", "'unavailable' or 'missing'", absent)
    if not isinstance(host, str) or not host.strip():
        _reject("host", "an address or a host name to listen at, such as '127.0.0.1'", host)
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= MAX_PORT:
        _reject("port", f"a number from 0 (a free port) to {MAX_PORT}", port)
    check_number("latency", latency, at_least=0.0)


def served_regions(region: str, regions: Iterable[str]) -> list[str]:
    """Return the Regions to serve, each once. Raises ValueError for an invalid Region.

    >>> served_regions("us-east-1", ["eu-west-1", "us-east-1"])
    ['us-east-1', 'eu-west-1']
    """
    if isinstance(regions, str):
        _reject("regions", f"a list, such as [{regions!r:.200}]", regions)

    served = list(dict.fromkeys([region, *regions]))
    for each in served:
        if not isinstance(each, str) or not _is_region(each):
            _reject("region", "an AWS Region such as 'eu-west-1'", each)
    return served


def data_directory(data: str | os.PathLike[str] | None) -> Path | None:
    """Return the path of the data directory. Raises ValueError for an invalid path.

    An empty path is invalid because it would mean the current directory of the process.
    """
    if data is None:
        return None
    if not isinstance(data, (str, os.PathLike)) or not os.fspath(data) or "\0" in os.fspath(data):
        _reject("data", "the path of a directory ('.' is the current one), or None", data)
    return Path(data)


def _reject(name: str, rule: str, value: object) -> NoReturn:
    message = f"{name} must be {rule}, not {value!r:.200}"
    raise ValueError(message)
