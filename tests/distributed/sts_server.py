"""A server that answers AssumeRole as AWS STS does, and keeps what it was asked."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Generator

_KEYS = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<Credentials><AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>{secret_key}</SecretAccessKey>
<SessionToken>a token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleResult></AssumeRoleResponse>"""
_DENIED = """<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>
<Message>not authorized to perform sts:AssumeRole</Message></Error></ErrorResponse>"""


class STSServer(HTTPServer):
    """An STS that gives the same keys for each role.

    Attributes:
        requests: The members of each request, with the key that signed it.
        is_denied: Whether requests are denied.
    """

    def __init__(self, access_key: str, secret_key: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = _KEYS.format(access_key=access_key, secret_key=secret_key).encode()
        self.requests: list[dict[str, str]] = []
        self.is_denied = False

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Answer a request."""
        server = cast("STSServer", self.server)
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        signed_by = self.headers["authorization"].split("Credential=")[1].split("/")
        members = dict(parse_qsl(body)) | {"key": signed_by[0], "region": signed_by[2]}
        server.requests.append(members)
        answer = _DENIED.encode() if server.is_denied else server.answer
        self.send_response(403 if server.is_denied else 200)
        self.send_header("content-type", "text/xml")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as in the base)
        """Log nothing."""


@contextmanager
def sts_server(access_key: str, secret_key: str) -> Generator[STSServer, None, None]:
    """Serve in a thread."""
    with STSServer(access_key, secret_key) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
