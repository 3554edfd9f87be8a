"""How a command ends: one exit code, and one plain line on standard error where something went wrong."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from ecr_layer_client import CallError, ECRLayerError

if TYPE_CHECKING:
    from collections.abc import Coroutine

ALL_AVAILABLE = 0
NOT_ALL_AVAILABLE = 1
ERROR = 2
TERMINATED = 128 + 15  # as shells have it: a signal's number and 128
_INTERRUPTED = 128 + 2
_PIPE_CLOSED = 128 + 13

# The library's messages speak of its own arguments and attributes; longest first.
_OPTION_OF = {
    "ClientConfig(allow_insecure_endpoint=True)": "--allow-insecure-endpoint",
    "region_name=": "--region",
    "profile_name=": "--profile",
    "profile_name": "--profile",
    "endpoint_url=": "--endpoint-url ",
    "endpoint_url": "--endpoint-url",
    "timeout=": "--timeout ",
    "; .partial keeps what was answered": "",  # it is printed
}
_ARGUMENT = re.compile(rf"\b({'|'.join(map(re.escape, _OPTION_OF))})")


def run(command: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a command to its end and exit with its code.

    Raises:
        typer.Exit: Always.
    """
    try:
        code = asyncio.run(command)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has enough
        code = _PIPE_CLOSED
    except ECRLayerError as error:
        say(f"error: {_in_terms_of_options(str(error))}{_unanswered(error)}")
        code = ERROR
    except OSError as error:
        say(f"error: {error}")
        code = ERROR
    raise typer.Exit(code)


def say(text: str) -> None:
    """Print one line on standard error."""
    typer.echo(" ".join(text.splitlines()), err=True)


def _in_terms_of_options(text: str) -> str:
    return _ARGUMENT.sub(lambda found: _OPTION_OF[found[1]], text)


def _unanswered(error: ECRLayerError) -> str:
    if not isinstance(error, CallError) or error.partial is None or not error.partial.unanswered:
        return ""
    return f" (digests read and not answered: {len(error.partial.unanswered)})"
