"""Run a command to its exit code, with at most one plain line on standard error."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import re
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping

ALL_AVAILABLE: Final = 0
NOT_ALL_AVAILABLE: Final = 1
ERROR: Final = 2
NOT_FOUND: Final = 3
RUN_AGAIN: Final = 75  # EX_TEMPFAIL of sysexits.h

# Shells report a process that a signal ended as 128 plus the signal's number.
TERMINATED: Final = 128 + 15
_INTERRUPTED = 128 + 2
_PIPE_CLOSED = 128 + 13

OF_ALL_COMMANDS: Mapping[int, str] = {
    ERROR: "an error occurred: it is one line on standard error",
    _INTERRUPTED: "Ctrl-C ended the command",
    _PIPE_CLOSED: "the reader of standard output closed it, for example `head`",
    TERMINATED: "SIGTERM ended the command: `kill` and container runtimes send it",
}
OF_COMMANDS: Mapping[str, Mapping[int, str]] = {
    "demo": {0: "all layers were checked"},
    "check": {0: "all digests are available", 1: "some digests are not available"},
    "plan": {
        0: "no blob is missing: a push would upload only the manifests",
        1: "a push would upload blobs",
    },
    "verify": {
        0: "the image is complete on every platform",
        1: "a manifest or blob is missing, is archived or has another size",
        3: "the image or its repository does not exist",
    },
    "audit": {0: "all images are complete", 1: "some images are not complete"},
    "push": {
        0: "the repository has the image, or --dry-run printed the plan",
        1: "the image was pushed, but --verify found that it is not complete",
        3: "the repository does not exist",
        RUN_AGAIN: "not finished: run the same command again to continue",
    },
    "pull": {
        0: "the layout has the image",
        3: "the image or its repository does not exist",
        RUN_AGAIN: "not finished: run the same command again to continue",
    },
    "copy": {
        0: "the target has the image, or --dry-run printed the plan",
        1: "the image was copied, but --verify found that it is not complete",
        3: "the image or one of the repositories does not exist",
        RUN_AGAIN: "not finished: run the same command again to continue",
    },
    "doctor": {
        0: "no problem was found",
        1: "a part has the status `warn`",
        2: "a part has the status `fail`, or an option is not valid",
    },
    "serve": {0: "the time of --timeout is over"},
}

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
    "max_elapsed=": "--retry-for ",
    "platform=": "--platform ",
    "path=": "PATH ",
    "journal=": "--journal ",
    "pass another directory, or None": "use --journal with another directory, or --no-resume",
    "pass a directory ('.' is the current one), or None": "leave out --journal to use the default",
    "or another repository or client": "or another repository, --to-region or --to-profile",
    # No option gives an image no tags.
    ", or pass tags=()": "",
    "tags=": "--tag",
    "reference=": "in REPOSITORY:TAG, ",
    "select one of its images: ": "choose one of its images with --image: ",
    "push one of them": "push one of them with --image",
    # The command has printed what was answered.
    "; .partial has the outcomes that were received": "",
    "must be a str that is not empty, or None": "is empty: pass a value, or leave out the option",
}
_OPTION_BESIDE_VALUE = re.compile(r"(--(?:region|profile))(?=['\"])")
_ARGUMENT = re.compile(rf"\b({'|'.join(map(re.escape, _REPLACEMENTS))})")
_WHOLE_SECONDS = re.compile(r"(--timeout \d+)\.0\b")


def help_of(command: Callable[..., None]) -> str:
    """Return the help of a command: its docstring and its exit codes."""
    codes = {**OF_ALL_COMMANDS, **OF_COMMANDS[command.__name__]}
    rows = "".join(f"\n  {code:<3}  {codes[code]}" for code in sorted(codes))
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join([*map(_unwrapped, paragraphs), f"\b\nExit codes:{rows}"])


def _unwrapped(paragraph: str) -> str:
    """Return a paragraph in one line, which the terminal wraps, unless its lines are marked."""
    return paragraph if paragraph.startswith("\b") else paragraph.replace("\n", " ")


def run(command: Coroutine[Any, Any, int], timeout: float | None = None) -> NoReturn:
    """Run a command to its end, for at most `timeout` seconds, and exit with its code.

    Raises:
        typer.Exit: Always.
    """
    from ecr_layer_client._models.errors import ECRLayerError

    try:
        code = asyncio.run(_until_terminated(_within(timeout, command)))
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, closed the pipe.
        discard_output()
        code = _PIPE_CLOSED
    except (ECRLayerError, OSError) as error:
        print_error(error)
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


async def _within(
    timeout: float | None,  # noqa: ASYNC109 (it is an option of the command)
    command: Coroutine[Any, Any, int],
) -> int:
    with contextlib.closing(command):
        async with time_limit(timeout):
            return await command


@contextlib.asynccontextmanager
async def time_limit(seconds: float | None) -> AsyncGenerator[asyncio.Timeout]:
    """Cancel what runs in the block after some seconds. None is no limit.

    Raises:
        InvalidInputError: The number is not a valid timeout.
        OperationTimeoutError: The time is over.
    """
    from ecr_layer_client._models.call_errors import OperationTimeoutError
    from ecr_layer_client._models.errors import InvalidInputError
    from ecr_layer_client._models.timeouts import MAX_TIMEOUT_SECONDS, TIMEOUT_RULE

    if seconds is not None and not 0 < seconds < MAX_TIMEOUT_SECONDS:
        msg = f"timeout={seconds} {TIMEOUT_RULE}"
        raise InvalidInputError(msg)
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield limit
    except TimeoutError:
        if not limit.expired():
            raise
        msg = f"not done within timeout={seconds} s"
        raise OperationTimeoutError(msg) from None


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


def print_error(error: Exception) -> None:
    """Print an error in one line, with the names of the options."""
    print_line(f"error: {message_of(error)}")


def message_of(error: Exception) -> str:
    """Return the message of an error of the library or of the operating system."""
    if isinstance(error, OSError) and error.errno is not None:
        return system_message(error)
    return with_option_names(str(error))


def print_line(text: str) -> None:
    """Print one line on standard error, and ignore a stream that can't be written."""
    with contextlib.suppress(OSError):
        typer.echo(" ".join(text.splitlines()), err=True)


def with_option_names(text: str) -> str:
    """Return a message of the library with its argument names replaced by those of the options."""
    text = _ARGUMENT.sub(lambda found: _REPLACEMENTS[found[1]], text)
    text = _OPTION_BESIDE_VALUE.sub(r"\1 ", text)
    return _WHOLE_SECONDS.sub(r"\1", text)
