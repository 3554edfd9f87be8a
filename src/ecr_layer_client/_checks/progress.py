"""The argument `progress=`: nothing, a bar, or the caller's own function."""

from __future__ import annotations

from contextlib import nullcontext
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ecr_layer_client._models.progress import Progress


def shown(
    progress: bool | Callable[[Progress], None],  # noqa: FBT001 (as the caller passed it)
) -> AbstractContextManager[Callable[[Progress], None] | None]:
    """Return a context whose value is a function to call with each progress, or None.

    Raises:
        InvalidInputError: `progress` is neither True, False nor a plain function.
    """
    if not isinstance(progress, bool):
        if not callable(progress) or iscoroutinefunction(progress):
            msg = (
                f"progress={quoted(progress)} must be True, False, "
                "or a plain function that takes a Progress"
            )
            raise InvalidInputError(msg)
        return nullcontext(progress)
    if not progress:
        return nullcontext()

    # Only progress=True needs tqdm.
    from ecr_layer_client.display._bar import progress_bar  # noqa: PLC0415

    return progress_bar()
