"""Validation of the options of a `LocalECR`, before anything is created from them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ._quotas import check_number
from ._registry.limits import MAX_PART_SIZE, MIN_PART_SIZE, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_PORT = 65_535

_is_account = re.compile("[0-9]{12}").fullmatch  # ECR model: RegistryId
_is_alias = re.compile("(?=.{2,50}$)[a-z][a-z0-9]+(?:[._-][a-z0-9]+)*").fullmatch
_is_registry_host = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?").fullmatch
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
    if not _is_integer(port) or not 0 <= port <= MAX_PORT:
        _reject("port", f"a number from 0 (a free port) to {MAX_PORT}", port)
    check_number("latency", latency, at_least=0.0)


def check_limits(
    *, intake: Any, max_part_size: Any, max_layers_per_image: Any, restore_time: Any
) -> Limits:
    """Return the limits. Raises ValueError for an invalid option, with the value and the rule.

    >>> part_size = 10 * 1024 * 1024
    >>> check_limits(
    ...     intake=None, max_part_size=part_size, max_layers_per_image=None, restore_time=60
    ... )
    Limits(part_size=10485760, layers_per_image=None, restore_time=60, parts=4200,
    layer=54525952000)
    """
    check_number("restore_time", restore_time, at_least=0.0)
    if intake is not None:
        check_number("intake", intake, at_least=1.0)
    if max_part_size is None:
        max_part_size = MAX_PART_SIZE
    if not _is_integer(max_part_size) or not MIN_PART_SIZE <= max_part_size <= MAX_PART_SIZE:
        rule = f"None, or a number of bytes from {MIN_PART_SIZE} to {MAX_PART_SIZE}"
        _reject("max_part_size", rule, max_part_size)
    if max_layers_per_image is not None and (
        not _is_integer(max_layers_per_image) or max_layers_per_image < 1
    ):
        _reject("max_layers_per_image", "None, or a number of at least 1", max_layers_per_image)
    return Limits(max_part_size, max_layers_per_image, restore_time)


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


def check_registry_host(host: Any) -> None:
    """Raise ValueError unless this is None or a host with an optional port.

    >>> check_registry_host("http://localhost:4510")
    Traceback (most recent call last):
    ...
    ValueError: registry_host must be a host with its port, such as 'localhost:4510', not \
'http://localhost:4510'
    """
    if host is not None and (not isinstance(host, str) or not _is_registry_host(host)):
        _reject("registry_host", "a host with its port, such as 'localhost:4510'", host)


def check_public_alias(alias: Any) -> None:
    """Raise ValueError unless this is an alias of a registry of ECR Public.

    >>> check_public_alias("Team")
    Traceback (most recent call last):
    ...
    ValueError: public_alias must be an alias of 2 to 50 characters, such as 'team', not 'Team'
    """
    if not isinstance(alias, str) or not _is_alias(alias):
        _reject("public_alias", "an alias of 2 to 50 characters, such as 'team'", alias)


def data_directory(data: str | os.PathLike[str] | None) -> Path | None:
    """Return the path of the data directory. Raises ValueError for an invalid path.

    An empty path is invalid because it would mean the current directory of the process.
    """
    if data is None:
        return None
    if not isinstance(data, (str, os.PathLike)) or not os.fspath(data) or "\0" in os.fspath(data):
        _reject("data", "the path of a directory ('.' is the current one), or None", data)
    return Path(data)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _reject(name: str, rule: str, value: object) -> NoReturn:
    message = f"{name} must be {rule}, not {value!r:.200}"
    raise ValueError(message)
