"""The signed transport: the check's requests built, signed and sent here, on the HTTP session of aiobotocore's client.

What a request of this client looks like is not known here but seen: the first goes by the client
transport, and each later one is like it but for body, date, credentials and signature. So the
endpoint, proxies, TLS and all that the AWS configuration says stay aiobotocore's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import BotoCoreError, NoCredentialsError

from ecr_layer_client._checks.operation import OPERATION
from ecr_layer_client._models.call_errors import CredentialsError, ResponseError

from .client_errors import credentials_error, redacted_cause, without_context
from .client_method import ANSWERED
from .error_responses import ErrorResponse
from .sigv4 import RequestTemplate

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ecr_layer_client._checks.operation import Check

    from .client_method import ClientMethodTransport
    from .operation import Operation

T = TypeVar("T")


class SignedRequestTransport:
    """Takes the check's requests, once it has seen one; the rest goes by the client transport.

    Args:
        ordinary: The client transport; it is closed with this one.
        session: The aiobotocore session, for its credentials.
        http: The HTTP session of the client transport's client; what a hook answers in ECR's place
            never gets there, and teaches nothing.
    """

    def __init__(self, ordinary: ClientMethodTransport, session: Any, http: Any) -> None:
        self.region_name: str = ordinary.region_name
        self.endpoint_url: str = ordinary.endpoint_url
        self.credential_source: Hashable = ordinary.credential_source
        self.ready = ordinary.ready
        self.renew = ordinary.renew
        self.aclose = ordinary.aclose
        self._ordinary = ordinary
        self._session = session
        self._http = http
        self._seen: RequestTemplate | None = None
        self._pattern: RequestTemplate | None = None
        http.on_send = self._learn

    @property
    def generation(self) -> int:
        """Which credentials it signs with."""
        return self._ordinary.generation

    @without_context
    async def ask(self, question: Operation[T]) -> T:
        """Ask once."""
        if question.operation != OPERATION:
            return await self._ordinary.ask(question)
        try:
            pattern = self._pattern or await self._learned()
            answer = (
                None
                if pattern is None
                else await self._send(pattern, cast("Check", question).body())
            )
        except (BotoCoreError, ResponseError) as error:
            raise self._ordinary.failed(question, error) from redacted_cause(error)
        if answer is None:  # outside the try, lest its own error is told twice
            return await self._ordinary.ask(question)
        response, content = answer
        if response.status_code != ANSWERED:
            headers = {name.lower(): value for name, value in response.headers.items()}
            raise self._ordinary.refused(
                question, ErrorResponse.read(response.status_code, headers, content)
            )
        return self._ordinary.read(question, content, response.headers.get("x-amzn-requestid"))

    async def _send(self, pattern: RequestTemplate, body: bytes) -> tuple[Any, bytes]:
        """Send a request, and return the answer and its whole body."""
        headers: Any = pattern.signed(body, await self._keys(), time.time())
        response = await self._http.send(
            AWSPreparedRequest("POST", pattern.url, headers, body, stream_output=False)
        )
        return response, await response.content

    def _learn(self, request: Any) -> None:
        if self._pattern is None:
            self._seen = RequestTemplate.of(OPERATION, request.method, request.url, request.headers)

    async def _learned(self) -> RequestTemplate | None:
        """Take what was seen for the pattern, if it was signed with the keys of the session: a client may have been given others."""
        seen, self._seen = self._seen, None
        if seen is not None and await self._signs_with(seen.access_key):
            self._pattern = seen
        return self._pattern

    async def _signs_with(self, access_key: str) -> bool:
        """Say whether these are the session's keys.

        Where it can't give any, the client transport has others, or says why there are none.
        """
        try:
            return bool((await self._keys()).access_key == access_key)
        except CredentialsError:
            return False

    async def _keys(self) -> Any:
        """Return the session's keys to sign with.

        Raises:
            CredentialsError: There are none.
        """
        try:
            credentials = await self._session.get_credentials()
            keys = None if credentials is None else await credentials.get_frozen_credentials()
        except Exception as error:  # noqa: BLE001 (of a caller's session, they may raise anything)
            raise credentials_error(error) from redacted_cause(error)
        if keys is None:
            raise credentials_error(NoCredentialsError())
        return keys
