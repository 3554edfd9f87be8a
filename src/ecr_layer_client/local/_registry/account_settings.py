"""The settings of an account, and its registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import invalid_parameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .state import Row

BLOB_MOUNTING = "BLOB_MOUNTING"
# AWS documentation: PutAccountSetting, and that blobs are not mounted by default. That the other
# defaults are the first values is assumed.
VALUES = {
    "BASIC_SCAN_TYPE_VERSION": ("AWS_NATIVE",),
    BLOB_MOUNTING: ("DISABLED", "ENABLED"),
    "REGISTRY_POLICY_SCOPE": ("V2", "V1"),
}
DEFAULTS = {name: values[0] for name, values in VALUES.items()}


def checked_setting(request: Mapping[str, Any]) -> Row:
    """Return the name and the value of a request. Raises AwsError for an unknown one (assumed)."""
    name, value = request["name"], request.get("value")
    if name not in VALUES:
        where = "name"
        raise invalid_parameter(where, _one_of(VALUES))
    if value is not None and value not in VALUES[name]:
        where = "value"
        raise invalid_parameter(where, _one_of(VALUES[name]))
    return {"name": name, "value": value}


def _one_of(values: Iterable[str]) -> str:
    return f"Member must satisfy enum value set: [{', '.join(values)}]"
