"""`Tally`: how far each layer of a transfer has come, and the progress that follows from it."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

from ecr_layer_client._models.transfers import TransferProgress, TransferState, UnfinishedLayer
from ecr_layer_client._text.byte_sizes import human_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ecr_layer_client.images._descriptor import Descriptor

NOTHING_KEPT = "nothing was kept: allow more time than one part of a layer needs, usually 10 MiB"
_SECONDS_BETWEEN_REPORTS = 0.1  # unless a part or a layer ends


class Tally:
    """Counts the bytes of a transfer by layer.

    Args:
        layers: The layers to transfer.
        show: Called with each progress. None: nobody is interested.

    Attributes:
        repeated: The bytes that were sent more than once.
        moved: The layers that are complete, by digest.
        resumed: Those of them that continued an earlier upload.
        raced: Those of them that another push completed first.
    """

    def __init__(
        self, layers: Iterable[Descriptor], show: Callable[[TransferProgress], None] | None
    ) -> None:
        self._layers: dict[str, Descriptor] = {}
        self._show = show
        self._sent: dict[str, int] = {}
        self._confirmed: dict[str, int] = {}
        # The sums of all layers, so that a report costs the same for any number of them.
        self._total = self._total_sent = self._total_confirmed = 0
        self._began: dict[str, int] = {}
        self._shown_at = -inf
        self.repeated: int = 0
        self.moved: dict[str, None] = {}
        self.resumed: set[str] = set()
        self.raced: set[str] = set()
        self.add(layers)

    def add(self, layers: Iterable[Descriptor]) -> None:
        """Add layers to transfer. Those that were complete are not complete any more."""
        for layer in layers:
            if layer.digest not in self._layers:
                self._total += layer.size or 0
            self._layers[layer.digest] = layer
            self.moved.pop(layer.digest, None)
            self._confirm(layer.digest, 0)
        self._report(None)

    def began(self, digest: str, position: int) -> None:
        """Note from which position on a layer is transferred."""
        self._began[digest] = position
        self.confirmed(digest, position)

    def sent(self, digest: str, position: int) -> None:
        """Note that the socket has taken a layer up to a position."""
        self._send(digest, position)
        now = asyncio.get_running_loop().time()
        if now - self._shown_at >= _SECONDS_BETWEEN_REPORTS:
            self._shown_at = now
            self._report(digest)

    def confirmed(self, digest: str, position: int) -> None:
        """Note that the target has acknowledged a layer up to a position.

        What it acknowledged before, behind that position, has to be sent again.
        """
        self._confirm(digest, position)
        self._report(digest)

    def _confirm(self, digest: str, position: int) -> None:
        step = position - self._confirmed.get(digest, 0)
        self.repeated += max(0, -step)
        self._total_confirmed += step
        self._confirmed[digest] = position
        self._send(digest, position)

    def _send(self, digest: str, position: int) -> None:
        self._total_sent += position - self._sent.get(digest, 0)
        self._sent[digest] = position

    def done(self, digest: str) -> None:
        """Note that a layer is complete."""
        self.moved[digest] = None
        self.confirmed(digest, self._layers[digest].size or 0)

    def end(self) -> None:
        """Report the progress once more, at the end."""
        self._report(None)

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers to transfer."""
        return tuple(self._layers.values())

    @property
    def bytes_moved(self) -> int:
        """The bytes that were transferred, each once."""
        return sum(self._confirmed[digest] - began for digest, began in self._began.items())

    def __str__(self) -> str:
        """Return the bytes that the target has, of how many."""
        return f"{human_bytes(self._total_confirmed)} of {human_bytes(self._total)}"

    @property
    def state(self) -> TransferState:
        """How far the transfer has come."""
        unfinished = tuple(
            UnfinishedLayer(digest, layer.size, self._confirmed[digest])
            for digest, layer in self._layers.items()
            if digest not in self.moved
        )
        return TransferState(tuple(self.moved), unfinished)

    def _report(self, digest: str | None) -> None:
        if self._show is not None:
            self._show(
                TransferProgress(
                    sent=self._total_sent,
                    confirmed=self._total_confirmed,
                    total=self._total,
                    repeated=self.repeated,
                    layers_done=len(self.moved),
                    layers=len(self._layers),
                    digest=digest,
                )
            )
