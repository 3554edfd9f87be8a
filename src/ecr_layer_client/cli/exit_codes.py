"""Run a command to its exit code, with at most one plain line on standard error."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Coroutine

ALL_AVAILABLE = 0
NOT_ALL_AVAILABLE = 1
ERROR = 2

# Shells report a process that a signal ended as 128 plus the signal's number.
TERMINATED = 128 + 15
_INTERRUPTED = 128 + 2
_PIPE_CLOSED = 128 + 13

_TRACEBACK_VARIABLE = "ECR_LAYERS_TRACEBACK"

# The library's messages name its own arguments and attributes. The longest come first.
_REPLACEMENTS = {
    "ClientConfig(allow_insecure_endpoint=True)": "--allow-insecure-endpoint",
    "region_name=": "--region",
    "region_name": "--region",
    "profile_name=": "--profile",
    "profile_name": "--profile",
    "endpoint_url=": "--endpoint-url ",
    "endpoint_url": "--endpoint-url",
    "timeout=": "--timeout ",
    "reference=": "in REPOSITORY:TAG, ",
    # The command has printed what was answered.
    "; .partial keeps what was answered": "",
    "must be a str that is not empty, or None": "is empty; give it a value, or leave it out",
}
_OPTION_BESIDE_VALUE = re.compile(r"(--(?:region|profile))(?=['\"])")
_ARGUMENT = re.compile(rf"\b({'|'.join(map(re.escape, _REPLACEMENTS))})")
_WHOLE_SECONDS = re.compile(r"(--timeout \d+)\.0\b")


def run(command: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a command to its end and exit with its code.

    Raises:
        typer.Exit: Always.
    """
    from ecr_layer_client._models.errors import ECRLayerError

    try:
        code = asyncio.run(_until_terminated(command))
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, closed the pipe.
        discard_output()
        code = _PIPE_CLOSED
    except ECRLayerError as error:
        print_line(f"error: {with_option_names(str(error))}")
        code = ERROR
    except OSError as error:
        print_line(f"error: {system_message(error)}")
        code = ERROR
    except Exception as error:  # noqa: BLE001 (users get one line, and how to see the traceback)
        if os.environ.get(_TRACEBACK_VARIABLE):
            traceback.print_exception(error)
        print_line(
            f"error: {type(error).__name__}: {error}: this is a bug in ecr-layers; please report "
            f"it with the traceback that {_TRACEBACK_VARIABLE}=1 shows"
        )
        code = ERROR
    raise typer.Exit(code)


async def _until_terminated(command: Coroutine[Any, Any, int]) -> int:
    """Run a command, and let SIGTERM end it as Ctrl-C does.

    `kill` and container runtimes send SIGTERM.
    """
    task = asyncio.current_task()
    is_terminated = False

    def terminate() -> None:
        nonlocal is_terminated
        is_terminated = True
        if task is not None:
            task.cancel()

    # Windows has no signal handlers in event loops, and threads have none anywhere.
    with contextlib.suppress(NotImplementedError, ValueError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)

    try:
        return await command
    except asyncio.CancelledError:
        if is_terminated:
            return TERMINATED
        raise


def discard_output() -> None:
    """Point standard output at the null device, so that the final flush can't fail."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)


def system_message(error: OSError) -> str:
    """Return the operating system's message, without the error number."""
    if not error.strerror:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def print_line(text: str) -> None:
    """Print one line on standard error, and ignore a stream that can't be written."""
    with contextlib.suppress(OSError):
        typer.echo(" ".join(text.splitlines()), err=True)


def with_option_names(text: str) -> str:
    """Return a message of the library with its argument names replaced by those of the options."""
    text = _ARGUMENT.sub(lambda found: _REPLACEMENTS[found[1]], text)
    text = _OPTION_BESIDE_VALUE.sub(r"\1 ", text)
    return _WHOLE_SECONDS.sub(r"\1", text)
