"""The registry that a request to `/v2/` is for, its password, and the response without one."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from ecr_layer_client.local._protocol import Reply

from .errors import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecr_layer_client.local._protocol import Request
    from ecr_layer_client.local._registry.registry import Registry

USER = "AWS"  # AWS documentation of registry authentication

_AWS_HOST = re.compile(r"([0-9]{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?(?::\d+)?")


_HOST = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]+)?|\[[0-9a-fA-F:]+\](?::[0-9]+)?")


def host_of(request: Request) -> str:
    """Return the host that a client used, or "" if its header is absent or malformed."""
    found = _HOST.fullmatch(request.headers.get("host", ""))
    return found[0] if found is not None else ""


class Registries:
    """The registries of a local ECR, by the host of a request.

    A host of AWS names the account and the Region. Any other host, and one of a Region that is not
    served, means the default account in the first Region.
    """

    def __init__(self, registries: Mapping[str, Registry]) -> None:
        """Find these registries, by Region. The first one is the default."""
        self._by_region: Final = registries
        self._default: Final = next(iter(registries.values()))

    def of(self, request: Request) -> tuple[Registry, str]:
        """Return the registry of a request's Region, and the id of its account."""
        found = _AWS_HOST.fullmatch(host_of(request))
        if found is None or found[2] not in self._by_region:
            return self._default, self._default.account
        return self._by_region[found[2]], found[1]


def password_of(request: Request) -> str:
    """Return the password in the Authorization header, or "" if there is none."""
    scheme, _, encoded = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return ""
    return password if user == USER else ""


def challenge(request: Request) -> Reply:
    """Return ECR's response to a request without a valid password.

    The header and the body are quoted in public issues.
    """
    headers = {
        **API_VERSION,
        "content-type": "text/plain; charset=utf-8",
        "www-authenticate": f'Basic realm="http://{host_of(request)}/",service="ecr.amazonaws.com"',
    }
    return Reply(401, headers, b"Not Authorized\n", "UNAUTHORIZED")
