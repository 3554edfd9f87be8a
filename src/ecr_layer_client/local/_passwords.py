"""The check of passwords, which requests to `/v2/` have in place of signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._registry.errors import AwsError
from ._registry_api.auth import Registries, challenge, password_of

if TYPE_CHECKING:
    from ._interceptors import Call
    from ._protocol import Reply


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
        try:
            registry.tokens.check(password_of(call.request), account)
        except AwsError as error:
            if error.code == "UnrecognizedClientException":
                return challenge(call.request)
            raise
        return None

    # The signature is that of an interceptor.
    async def after(self, call: Call, reply: Reply) -> Reply:  # noqa: ARG002
        """Return the reply unchanged."""
        return reply
