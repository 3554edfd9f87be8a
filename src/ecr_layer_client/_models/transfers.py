"""How far a transfer has come, and how far it came before it failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class UnfinishedLayer(NamedTuple):
    """A layer that a failed transfer did not complete.

    Attributes:
        digest: Its digest.
        size: Its size in bytes. None if it is not known.
        received: The bytes that the target had received.
    """

    digest: str
    size: int | None
    received: int


class TransferState(NamedTuple):
    """How far a transfer came before it failed: `CallError.transfer`.

    Attributes:
        moved: The digests of the layers that were transferred.
        unfinished: The layers that were not, in the order of the plan.
    """

    moved: tuple[str, ...]
    unfinished: tuple[UnfinishedLayer, ...]


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """How far a transfer has come, in bytes of layers and configs.

    Attributes:
        sent: The bytes given to the socket (of a pull: written to disk). It steps back when a part
            is sent again.
        confirmed: The bytes that the target has acknowledged, those of an earlier run included.
        total: The bytes of all layers to transfer.
        repeated: The bytes that were sent more than once.
        layers_done: The layers that are complete.
        layers: The layers to transfer.
        digest: The layer that this progress is about. None for the first and the last progress.

    Example:
        >>> TransferProgress(sent=5, confirmed=4, total=10, layers=2).confirmed
        4
    """

    sent: int = 0
    confirmed: int = 0
    total: int = 0
    repeated: int = 0
    layers_done: int = 0
    layers: int = 0
    digest: str | None = None
