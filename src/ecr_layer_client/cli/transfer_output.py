"""The output of `push`, `pull` and `copy`, while they run and at their end."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import asdict
from math import inf
from typing import TYPE_CHECKING, Any, Self

from ecr_layer_client._text.byte_sizes import human_bytes
from ecr_layer_client._text.plurals import counted

from .exit_codes import print_line
from .progress import bytes_bar
from .stdio import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecr_layer_client._models.transfers import TransferState
    from ecr_layer_client.images import ImageReport
    from ecr_layer_client.transfers import TransferProgress, TransferResult

_SECONDS_BETWEEN_LINES = 1.0


class TransferReport:
    """Shows a transfer: a bar on a terminal, otherwise a line per layer, or JSON lines.

    Args:
        as_json: Whether to print JSON lines on standard output.
        quiet: Whether to print nothing.
    """

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self._as_json = as_json
        self._quiet = quiet
        self._output = Output(quiet=quiet)
        self._latest: TransferProgress | None = None
        self._line_at = -inf
        self._opened = ExitStack()
        self._draw: Callable[[TransferProgress], None] | None = None

    def __enter__(self) -> Self:
        """Show the bar, if there is to be one."""
        if not (self._as_json or self._quiet):
            self._draw = self._opened.enter_context(bytes_bar())
        return self

    def __exit__(self, *error: object) -> None:
        """Erase the bar."""
        self._opened.close()

    def show(self, progress: TransferProgress) -> None:
        """Show how far the transfer is.

        Raises:
            OSError: Standard output, or the pipe behind it, is closed or full.
        """
        layers_before = 0 if self._latest is None else self._latest.layers_done
        is_layer = progress.layers_done > layers_before
        self._latest = progress

        if self._as_json:
            self._put_json(progress, is_layer=is_layer)
        elif self._draw is not None:
            self._draw(progress)
        elif is_layer and not self._quiet:
            size = f"{human_bytes(progress.confirmed)} of {human_bytes(progress.total)}"
            print_line(
                f"{progress.layers_done}/{progress.layers} layers, {size}: {progress.digest}"
            )

    def _put_json(self, progress: TransferProgress, *, is_layer: bool) -> None:
        now = time.monotonic()
        if is_layer or now - self._line_at >= _SECONDS_BETWEEN_LINES:
            self._line_at = self._line_at if is_layer else now
            event = "layer" if is_layer else "progress"
            self._output.put(json.dumps({"event": event} | asdict(progress)))

    async def end(self, result: TransferResult, verified: list[ImageReport] | None) -> bool:
        """Print the result, and return whether it is fine.

        Args:
            result: What the transfer did.
            verified: The reports of its images. None: they were not checked.

        Raises:
            OSError: As of `show`.
        """
        broken = [report for report in verified or () if not report.deployable]
        if self._as_json:
            is_complete = None if verified is None else not broken
            await self._output.write(json.dumps(_result_members(result, is_complete=is_complete)))
        elif not broken:
            for uri in _uris(result):
                await self._output.write(uri)
        await self._output.drain()

        if not (self._as_json or self._quiet):
            for warning in _warnings(result):
                print_line(f"warning: {warning}")
            print_line(_summary(result))
        for report in broken:
            print_line(f"error: the image is not complete: {report}")
        return not broken

    def fail(self, message: str, exit_code: int, state: TransferState | None) -> None:
        """Print the JSON line of an error, if there are to be JSON lines.

        Args:
            message: The error.
            exit_code: The exit code of the command.
            state: How far the transfer came. None: it had not begun, or it is not known.

        Raises:
            OSError: As of `show`.
        """
        if self._as_json:
            members = {"event": "error", "message": message, "exit_code": exit_code}
            self._output.put(json.dumps(members | _error_members(state)))

    async def drain(self) -> None:
        """Wait until all JSON lines are written.

        Raises:
            OSError: As of `show`.
        """
        await self._output.drain()

    def __str__(self) -> str:
        """Return in a few words how far the transfer has come."""
        latest = self._latest
        if latest is None:
            return "nothing was transferred yet"
        layers = f"{latest.layers_done} of {counted(latest.layers, 'layer')}"
        size = f"{human_bytes(latest.confirmed)} of {human_bytes(latest.total)}"
        return f"{layers} and {size} transferred"

    @property
    def is_without_a_part(self) -> bool:
        """Whether the transfer has begun, and the target has no byte of its layers."""
        return self._latest is not None and not self._latest.confirmed


def _uris(result: TransferResult) -> list[str]:
    return [f"{result.repository}@{image.digest}" for image in result.images]


def _result_members(result: TransferResult, *, is_complete: bool | None) -> dict[str, Any]:
    members: dict[str, Any] = result.model_dump(mode="json", exclude={"plan"})
    own = {
        "repository": str(result.repository),
        "uris": _uris(result),
        "warnings": _warnings(result),
        "complete": is_complete,
    }
    return {"event": "result"} | members | own


def _error_members(state: TransferState | None) -> dict[str, Any]:
    if state is None:
        return {"moved": None, "unfinished": None}
    unfinished = [layer._asdict() for layer in state.unfinished]
    return {"moved": [*state.moved], "unfinished": unfinished}


def _warnings(result: TransferResult) -> list[str]:
    return [] if result.plan is None else [*result.plan.warnings]


def _summary(result: TransferResult) -> str:
    moved = f"{counted(len(result.moved), 'layer')} transferred, {human_bytes(result.bytes_moved)}"
    resumed = f" ({len(result.resumed)} continued)" if result.resumed else ""
    repeated = human_bytes(result.bytes_repeated)
    again = f"; {repeated} transferred again" if result.bytes_repeated else ""
    tags = ", ".join(dict.fromkeys(tag for image in result.images for tag in image.tags))
    # A pull has no plan, and gives no tags.
    none = "no tag" if result.plan is None else "no tag: name one with --tag"
    named = f"tags: {tags}" if tags else none
    present = f"{len(result.present)} present"
    return f"{moved}{resumed}{again}; {present}; {result.seconds:.1f} s; {named}"
