"""`progress=`: nothing, a bar, or a caller's own function."""

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
    progress: bool | Callable[[Progress], None],  # noqa: FBT001
    # As the caller gave it.
) -> AbstractContextManager[Callable[[Progress], None] | None]:
    """Return a context that gives what is to be told of progress, if anything is.

    Raises:
        InvalidInputError: It is neither True, False nor a plain function.
    """
    if not isinstance(progress, bool):
        if not callable(progress) or iscoroutinefunction(progress):
            msg = f"progress={quoted(progress)}: True, False, or a plain function that takes a Progress"
            raise InvalidInputError(msg)
        return nullcontext(progress)
    if not progress:
        return nullcontext()
    # Only progress=True needs it.
    from ecr_layer_client.display._bar import progress_bar  # noqa: PLC0415

    return progress_bar()
