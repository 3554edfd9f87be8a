"""How a command ends: one exit code, and one plain line on standard error where something went wrong."""

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
TERMINATED = 128 + 15  # as shells have it: a signal's number and 128
_INTERRUPTED = 128 + 2
_PIPE_CLOSED = 128 + 13
_TRACEBACK = "ECR_LAYERS_TRACEBACK"

# The library's messages speak of its own arguments and attributes; longest first.
_OPTION_OF = {
    "ClientConfig(allow_insecure_endpoint=True)": "--allow-insecure-endpoint",
    "region_name=": "--region",
    "region_name": "--region",
    "profile_name=": "--profile",
    "profile_name": "--profile",
    "endpoint_url=": "--endpoint-url ",
    "endpoint_url": "--endpoint-url",
    "timeout=": "--timeout ",
    "reference=": "the tag or digest of REPOSITORY:TAG is ",
    "; .partial keeps what was answered": "",  # it is printed
    "a str that is not empty, or None": "it is empty; give it a value, or leave it out",
}
_OPTION_BESIDE_VALUE = re.compile(r"(--(?:region|profile))(?=['\"])")
_ARGUMENT = re.compile(rf"\b({'|'.join(map(re.escape, _OPTION_OF))})")
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
    except BrokenPipeError:  # the reader, such as `head`, has enough
        forget_output()
        code = _PIPE_CLOSED
    except ECRLayerError as error:
        say(f"error: {in_terms_of_options(str(error))}")
        code = ERROR
    except OSError as error:
        say(f"error: {words(error)}")
        code = ERROR
    except Exception as error:  # noqa: BLE001 (whatever it is, one line says it, and what to do)
        if os.environ.get(_TRACEBACK):
            traceback.print_exception(error)
        say(
            f"error: {type(error).__name__}: {error}: this is a fault of ecr-layers; {_TRACEBACK}=1 shows where, for a report"
        )
        code = ERROR
    raise typer.Exit(code)


async def _until_terminated(command: Coroutine[Any, Any, int]) -> int:
    """Run a command; SIGTERM, as `kill` and container runtimes send it, ends it as Ctrl-C does."""
    task = asyncio.current_task()
    is_terminated = False

    def terminate() -> None:
        nonlocal is_terminated
        is_terminated = True
        if task is not None:
            task.cancel()

    with contextlib.suppress(
        NotImplementedError, ValueError
    ):  # Windows has no such signal to wait for, nor has a thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await command
    except asyncio.CancelledError:
        if is_terminated:
            return TERMINATED
        raise


def forget_output() -> None:
    """Let the interpreter's end find nothing left to write to a pipe that is closed."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)


def words(error: OSError) -> str:
    """Return what the system says, without its number."""
    if not error.strerror:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def say(text: str) -> None:
    """Print one line on standard error, where that can be written; the exit code says the rest."""
    with contextlib.suppress(OSError):
        typer.echo(" ".join(text.splitlines()), err=True)


def in_terms_of_options(text: str) -> str:
    """Return a message of the library, which speaks of its own arguments, as a user of the options reads it."""
    text = _OPTION_BESIDE_VALUE.sub(r"\1 ", _ARGUMENT.sub(lambda found: _OPTION_OF[found[1]], text))
    return _WHOLE_SECONDS.sub(r"\1", text)
