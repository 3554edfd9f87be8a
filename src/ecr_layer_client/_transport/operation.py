"""`Operation`: what one request asks, and how its answer is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ecr_layer_client._models.repository import Repository


T_co = TypeVar("T_co", covariant=True)


class Operation(Protocol[T_co]):
    """What one request asks of a repository, and how its answer is read.

    Attributes:
        operation: The API operation, as AWS spells it.
    """

    operation: ClassVar[str]

    @property
    def repository(self) -> Repository:
        """What it is asked of."""
        ...

    @property
    def digests(self) -> Sequence[str]:
        """What it asks for."""
        ...

    def members(self) -> dict[str, Any]:
        """Return the request's members."""
        ...

    def read(self, answer: bytes | Mapping[str, Any]) -> T_co:
        """Read the body of a 200, or its members, where something else parsed them.

        Raises:
            ResponseError: It is no such answer.
        """
        ...
