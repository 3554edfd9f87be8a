"""One request to `/v2/`: its parts, its body, and the operations that it runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from ecr_layer_client.local._protocol import Reply, Request, in_pieces
from ecr_layer_client.local._registry.errors import AwsError
from ecr_layer_client.local._registry.limits import MAX_LAYER

from .auth import host_of
from .errors import API_VERSION, JSON

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ecr_layer_client.local._fault_options import Script
    from ecr_layer_client.local._operations import Operations
    from ecr_layer_client.local._registry.blob_store import Draft
    from ecr_layer_client.local._registry.registry import Registry
    from ecr_layer_client.local._registry.state import Row

    from .route import Route

# Bytes of a body that are written at once.
WRITE_SIZE = 1024 * 1024

_DIGEST = re.compile("sha256:[0-9a-fA-F]{64}|sha512:[0-9a-fA-F]{128}").fullmatch


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request to a repository of `account`, and what its response is made with."""

    request: Request
    route: Route
    scripts: Sequence[Script]
    registry: Registry
    account: str
    operations: Operations

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters in the query."""
        _, _, query = self.request.path.partition("?")
        return dict(parse_qsl(query, keep_blank_values=True))

    def header(self, name: str) -> str:
        """Return a header, or "" if it is absent."""
        return self.request.headers.get(name, "")

    def url(self, path: str, **parameters: str) -> str:
        """Return the URL of a path, at the host that the client used."""
        host = host_of(self.request)
        base = f"http://{host}{path}" if host else path
        return f"{base}?{urlencode(parameters)}" if parameters else base

    def in_repository(self, path: str) -> str:
        """Return the URL of something in the repository."""
        return self.url(f"/v2/{self.route.name}/{path}")

    async def run(self, operation: str, **members: Any) -> Row:
        """Run an operation of ECR in the repository. Raises AwsError."""
        request = {"repositoryName": self.route.name, "registryId": self.account, **members}
        # Only the operation that the request counts as is changed by faults.
        scripts = self.scripts if operation == self.route.operation else ()
        return await self.operations.somewhere(
            operation, self.operations.run, self.registry, operation, request, scripts
        )

    async def read(self, limit: int) -> bytes:
        """Return the body, or its first bytes if it has more than `limit`."""
        body = bytearray()
        async for piece in in_pieces(self.request, WRITE_SIZE):
            body += piece
            if len(body) > limit:
                break
        return bytes(body)

    async def receive(self, limit: int = MAX_LAYER) -> Draft:
        """Return the body in a draft, or its first bytes if it has more than `limit`.

        The caller discards the draft.
        """
        draft = self.registry.store.draft()
        try:
            async for piece in in_pieces(self.request, WRITE_SIZE):
                await self.operations.somewhere("UploadLayerPart", draft.write, piece)
                if len(draft) > limit:
                    break
        except BaseException:
            draft.discard()
            raise
        return draft


def reply(
    status: int, headers: Mapping[str, str] | None = None, body: bytes = b"", kind: str = JSON
) -> Reply:
    """Return a response of `/v2/`. One without a body has no media type."""
    own = {**API_VERSION, "content-type": kind} if body else API_VERSION
    return Reply(status, {**own, **(headers or {})}, body)


def checked_digest(digest: str) -> str:
    """Return a digest in lower case. Raises AwsError InvalidImageDigest for a malformed one."""
    if not _DIGEST(digest):
        code = "InvalidImageDigest"
        raise AwsError(code, f"{digest[:200]!r} is not a valid digest")
    return digest.lower()
