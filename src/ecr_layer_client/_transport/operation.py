"""`Operation` and `Transport`: the seam between one API call and the way it takes to ECR."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ecr_layer_client._models.repository import Repository

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@runtime_checkable
class StreamedBody(Protocol):
    """A request body that is produced while it is sent.

    Attributes:
        length: Its length in bytes.
        sha256: Its SHA-256 digest in hexadecimal, which is signed.
    """

    length: int
    sha256: str

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Produce the body from its start, in chunks; each attempt iterates again."""
        ...


class Operation(Protocol[T_co]):
    """One request to ECR, and the way to read its response."""

    name: ClassVar[str]
    """The API operation, as AWS spells it."""

    @property
    def repository(self) -> Repository:
        """The repository that the request is about."""
        ...

    @property
    def count(self) -> int:
        """The number of digests or images that the request asks about. Observers are told."""
        ...

    def request(self) -> bytes | StreamedBody:
        """Return the body of the request: a JSON object."""
        ...

    def parse(self, body: bytes) -> T_co:
        """Read the body of a response with status 200.

        Raises:
            ResponseError: It breaks the contract of the operation.
        """
        ...


class Transport(Protocol):
    """Sends requests to ECR."""

    async def send(self, operation: Operation[T]) -> T:
        """Send one request and return what its response says.

        Raises:
            CallError: No usable response came.
        """
        ...

    async def aclose(self) -> None:
        """Close what this transport opened."""
        ...
