"""A client of `/v2/` for tests: one request at a time, with the password of a login."""

from __future__ import annotations

import base64
import io
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from ecr_layer_client.local import LocalECR

MIB = 1024 * 1024


def basic(password: str, user: str = "AWS") -> str:
    """Return an Authorization header."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The JSON in the body."""
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str, str]:
        """The status, the code and the message of an error response."""
        (error,) = self.json["errors"]
        return self.status, error["code"], error["message"]


@dataclass(frozen=True)
class Docker:
    """A client of one local ECR. It sends requests to paths and to URLs."""

    ecr: LocalECR
    session: aiohttp.ClientSession
    authorization: str

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterator[bytes] | None = None,
        **headers: str,
    ) -> Answer:
        """Send a request. Underscores in the names of headers become hyphens."""
        url = path if path.startswith("http") else f"{self.ecr.endpoint_url}{path}"
        sent = {"Authorization": self.authorization}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = io.BytesIO(body) if isinstance(body, bytes) else body
        async with self.session.request(
            method, url, data=data, headers={name: sent[name] for name in sent if sent[name]}
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def upload(self, data: bytes, digest: str, name: str = "app") -> Answer:
        """Upload a blob with POST and PUT."""
        started = await self.send("POST", f"/v2/{name}/blobs/uploads/")
        return await self.send("PUT", f"{started.headers['location']}?digest={digest}", data)

    async def put(self, reference: str, manifest: bytes, kind: str, name: str = "app") -> Answer:
        """Put a manifest."""
        path = f"/v2/{name}/manifests/{reference}"
        return await self.send("PUT", path, manifest, Content_Type=kind)


@asynccontextmanager
async def docker(ecr: LocalECR, password: str | None = None) -> AsyncGenerator[Docker]:
    """Provide a client that is logged in."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield Docker(ecr, session, basic(password or ecr.login_password()))
