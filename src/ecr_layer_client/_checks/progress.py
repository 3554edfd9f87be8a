"""The argument `progress=`: nothing, a bar, or the caller's own function."""

from __future__ import annotations

from contextlib import nullcontext
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

P = TypeVar("P")


def shown(
    progress: bool | Callable[[P], None],  # noqa: FBT001 (as the caller passed it)
    *,
    in_bytes: bool = False,
) -> AbstractContextManager[Callable[[P], None] | None]:
    """Return a context whose value is a function to call with each progress, or None.

    Args:
        progress: The argument `progress=`.
        in_bytes: Whether it is the progress of a transfer. Default False: of a check.

    Raises:
        InvalidInputError: `progress` is neither True, False nor a plain function.
    """
    if not isinstance(progress, bool):
        if not callable(progress) or iscoroutinefunction(progress):
            taken = "TransferProgress" if in_bytes else "Progress"
            msg = (
                f"progress={quoted(progress)} must be True, False, "
                f"or a function (not async) that takes a {taken}"
            )
            raise InvalidInputError(msg)
        return nullcontext(progress)
    if not progress:
        return nullcontext()

    # Only progress=True needs tqdm.
    from ecr_layer_client.display._bar import byte_bar, progress_bar  # noqa: PLC0415

    made: Any = byte_bar() if in_bytes else progress_bar()
    bar: AbstractContextManager[Callable[[P], None] | None] = made
    return bar
