"""Which registry a request to `/v2/` is for, and whether its password is one for that registry."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from ecr_layer_client.local._protocol import Reply
from ecr_layer_client.local._registry.errors import AwsError

from .errors import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecr_layer_client.local._interceptors import Call
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


class Passwords:
    """Checks the passwords of requests to `/v2/`. An interceptor."""

    def __init__(self, registries: Registries, *, is_on: bool) -> None:
        """Check requests to these registries."""
        self._is_on: Final = is_on
        self._registries: Final = registries

    async def before(self, call: Call) -> Reply | None:
        """Reject a request without a valid password. The service calls this method."""
        if call.route is None or not self._is_on:
            return None

        registry, account = self._registries.of(call.request)
        password = _password(call.request.headers.get("authorization", ""))
        try:
            registry.tokens.check(password, account)
        except AwsError as error:
            if error.code == "UnrecognizedClientException":
                return _challenge(host_of(call.request))
            raise
        return None

    # The signature is that of an interceptor.
    async def after(self, call: Call, reply: Reply) -> Reply:  # noqa: ARG002
        """Return the reply unchanged."""
        return reply


def _password(header: str) -> str:
    """Return the password in an Authorization header, or "" if there is none."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return ""
    return password if user == USER else ""


def _challenge(host: str) -> Reply:
    """Return ECR's response to a request without a valid password.

    The header and the body are quoted in public issues.
    """
    headers = {
        **API_VERSION,
        "content-type": "text/plain; charset=utf-8",
        "www-authenticate": f'Basic realm="http://{host}/",service="ecr.amazonaws.com"',
    }
    return Reply(401, headers, b"Not Authorized\n", "UNAUTHORIZED")
