"""`SignedRequestTransport`: requests built, signed and sent here.

The first request goes through the method of aiobotocore's client. Each later one is a copy of it
with its own operation, body, date, credentials and signature, sent by the client's HTTP session.
So the endpoint, proxies, TLS and everything else in the AWS configuration stay aiobotocore's.
"""

from __future__ import annotations

import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import NoCredentialsError

from ecr_layer_client._models.call_errors import CredentialsError

from .client_errors import credentials_error, redacted_cause
from .responses import Response
from .sigv4 import RequestTemplate
from .streamed_body import SentBody

if TYPE_CHECKING:
    from .client_method import ClientMethodTransport
    from .operation import Operation
    from .responses import ResponseReader

T = TypeVar("T")


class SignedRequestTransport:
    """Sends copies of the first request that went through a client's method.

    Args:
        client_method: Sends requests that there is no template for. Closed with this one.
        reader: Reads the responses.
        session: The aiobotocore session, for its credentials.
        http: The HTTP session of the client. It sees no request that a hook answers.
    """

    def __init__(
        self, client_method: ClientMethodTransport, reader: ResponseReader, session: Any, http: Any
    ) -> None:
        self._client_method = client_method
        self._reader = reader
        self._session = session
        self._http = http
        self._seen: RequestTemplate | None = None
        self._template: RequestTemplate | None = None
        self.aclose = client_method.aclose
        http.on_send = self._see

    async def send(self, operation: Operation[T]) -> T:
        """Send one request and return what its response says."""
        try:
            response = await self._exchange(operation)
        except Exception as error:  # noqa: BLE001 (hooks and bodies may raise anything)
            failed = self._reader.failed(operation, error)
            raise failed from failed.__cause__
        return self._reader.read(operation, response)

    async def _exchange(self, operation: Operation[Any]) -> Response:
        """Send one request and return its response."""
        template = self._template or await self._learn()
        if template is None:
            return await self._client_method.exchange(operation)

        keys, body = await self._keys(), operation.request()
        data: Any = body if isinstance(body, bytes) else SentBody(body)
        digest = sha256(body).hexdigest() if isinstance(body, bytes) else body.sha256
        headers: Any = template.sign(operation.name, digest, keys, time.time())
        if not isinstance(body, bytes):
            headers["content-length"] = str(body.length)

        request = AWSPreparedRequest("POST", template.url, headers, data, stream_output=False)
        try:
            response = await self._http.send(request)
        except Exception:
            if isinstance(data, SentBody) and data.failure is not None:
                raise data.failure from None
            raise
        return Response(response.status_code, response.headers, await response.content)

    def _see(self, request: Any) -> None:
        self._seen = RequestTemplate.of(request.method, request.url, request.headers)

    async def _learn(self) -> RequestTemplate | None:
        """Use what was seen, if the session's keys signed it: a client may have its own keys."""
        seen, self._seen = self._seen, None
        if seen is None:
            return None
        try:
            keys = await self._keys()
        except CredentialsError:
            # The client's method has others, or says why there are none.
            return None

        if keys.access_key == seen.access_key:
            self._template, self._http.on_send = seen, None
        return self._template

    async def _keys(self) -> Any:
        """Return the session's keys; raise CredentialsError if it has none."""
        try:
            credentials = await self._session.get_credentials()
            keys = None if credentials is None else await credentials.get_frozen_credentials()
        except Exception as error:  # noqa: BLE001 (a caller's session may raise anything)
            raise CredentialsError(str(credentials_error(error))) from redacted_cause(error)

        if keys is None:
            raise credentials_error(NoCredentialsError())
        return keys
