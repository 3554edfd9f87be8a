"""The command `ecr-layers serve`, which runs a local ECR until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import re
import shlex
import signal
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from .exit_codes import TERMINATED, print_line, run, time_limit

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

# LocalECR's messages name its arguments.
_ARGUMENT = re.compile("^(account|burst|host|latency|port|quota|region|registry_host)(?= must )")

# LocalECR's messages advise tests to use `faults`, which the command does not have.
_ADVICE_FOR_TESTS = ": to refuse every request"

_OPEN_TO_OTHERS = (
    "warning: {host} is not a loopback address: every machine that can reach this address "
    "can use the local ECR, because the keys are not secret"
)


_LOGIN = (
    "to push and pull images, log in for 12 hours: docker login --username AWS --password "
    "{password} {host} (with skopeo, podman or buildah in place of docker, add --tls-verify=false)"
)


class _Absent(StrEnum):
    UNAVAILABLE = "unavailable"
    MISSING = "missing"


def serve(  # noqa: PLR0913 (the options)
    *,
    host: Annotated[
        str,
        typer.Option(
            help=(
                "The address to listen on. Other machines can connect, unless it is a loopback "
                "address."
            )
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on. 0 is any free port.")
    ] = 0,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIRECTORY",
            help=(
                "A directory in which the contents are saved for the next time. Only one local "
                "ECR at a time can use a directory."
            ),
            show_default="nothing is saved",
        ),
    ] = None,
    region: Annotated[str, typer.Option(help="The Region to emulate.")] = "us-east-1",
    repository: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=(
                "A repository to create if it does not exist, in ECR Public if it is "
                "public.ecr.aws/local/NAME. You can repeat this option."
            ),
            show_default="none",
        ),
    ] = None,
    registry_host: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="The address of the local ECR for Docker and in the URIs of repositories.",
            show_default="AWS's host",
        ),
    ] = None,
    account: Annotated[
        str,
        typer.Option(help="The registry id for requests without one: 12 digits."),
    ] = "123456789012",
    absent: Annotated[
        _Absent,
        typer.Option(help="The response for an absent layer: as ECR responds, or as emulators do."),
    ] = (_Absent.UNAVAILABLE),
    quota: Annotated[
        float | None,
        typer.Option(
            help="Requests per second for each operation. Further requests are throttled.",
            show_default="none",
        ),
    ] = None,
    burst: Annotated[
        float | None,
        typer.Option(
            help="How many requests of an operation are accepted at once after a pause.",
            show_default="one second's quota",
        ),
    ] = None,
    latency: Annotated[
        float, typer.Option(help="Seconds that the network takes for a request and its response.")
    ] = 0.0,
    auth: Annotated[
        bool, typer.Option("--auth/--no-auth", help="Verify signatures and passwords of requests.")
    ] = True,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Seconds after which the server ends, so that no job leaves it running.",
            show_default="none",
        ),
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", help="Log each request and its result on standard error."),
    ] = False,
) -> None:
    """Serve a local ECR on this machine to any program that uses ECR.

    You need no AWS account.

    When the server is ready, it prints shell commands to standard output and then closes standard
    output. The commands set the environment variables that other programs need to connect. All
    other messages go to standard error, such as the command for docker login.

    \b
    Examples:
      In a separate terminal, from which you copy the variables:
        ecr-layers serve --port 4510
      In this shell, in which eval sets the variables:
        eval "$(ecr-layers serve &)"
        aws ecr create-repository --repository-name team/app
      To save the contents for the next time, and to log each request:
        ecr-layers serve --data ~/ecr --verbose
      With a repository for `docker push localhost:4510/team/app`:
        ecr-layers serve --port 4510 --repository team/app
    """  # noqa: D301 (typer's mark of lines to keep as they are)
    from ecr_layer_client.local import LocalECR

    try:
        ecr = LocalECR(
            data=data,
            region=region,
            account=account,
            absent="missing" if absent is _Absent.MISSING else "unavailable",
            auth=auth,
            host=host,
            port=port,
            quota=quota,
            burst=burst,
            latency=latency,
            registry_host=registry_host,
        )
        for name in repository or []:
            ecr.create_repository(name)
    except (ValueError, OSError) as error:
        message = _ARGUMENT.sub(_option, str(error)).partition(_ADVICE_FOR_TESTS)[0]
        raise typer.BadParameter(message) from None

    _log_to_stderr(logging.DEBUG if verbose else logging.WARNING)
    run(_serve(ecr, host, port, timeout, login_at=None if not auth else registry_host or ""))


def _option(argument: re.Match[str]) -> str:
    """Return the name of the option for an argument of `LocalECR`."""
    return f"--{argument[0].replace('_', '-')}"


async def _serve(
    ecr: LocalECR,
    host: str,
    port: int,
    timeout: float | None,  # noqa: ASYNC109 (it counts from when the local ECR listens)
    *,
    login_at: str | None,
) -> int:
    from ecr_layer_client._models.call_errors import OperationTimeoutError

    ended = asyncio.Event()
    # Windows has no signal handlers in event loops.
    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)

    if not _is_loopback(host):
        print_line(_OPEN_TO_OTHERS.format(host=host))
    await _open(ecr, host, port)

    try:
        print_line(
            f"the local ECR listens at {ecr.endpoint_url}; "
            f"stop it with Ctrl-C or `kill {os.getpid()}`"
        )
        if login_at is not None:
            host = login_at or ecr.endpoint_url.partition("//")[2]
            print_line(_LOGIN.format(password=ecr.login_password(), host=host))
        _print_and_close(_exports(ecr.environment))
        async with time_limit(timeout):
            await ended.wait()
    except OperationTimeoutError:
        return 0
    finally:
        await ecr.aclose()
    return TERMINATED


async def _open(ecr: LocalECR, host: str, port: int) -> None:
    try:
        await ecr.open()
    except OSError as error:
        why = (
            "the port is in use: choose another --port, or end the program that listens there"
            if error.errno == errno.EADDRINUSE
            else error.strerror
        )
        message = f"can't listen on {host}, port {port}: {why}"
        raise OSError(message) from None


def _log_to_stderr(level: int) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("ecr_layer_client.local")
    logger.setLevel(level)
    logger.addHandler(handler)


def _exports(environment: dict[str, str]) -> str:
    """Return the variables as commands for a POSIX shell.

    The commands also unset the profile, because some SDKs prefer a profile to keys.
    """
    lines = [
        "unset AWS_PROFILE AWS_DEFAULT_PROFILE",
        *(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
    ]
    return "\n".join(lines)


def _print_and_close(text: str) -> None:
    """Print on standard output and close it, because a shell's `$(...)` waits for its end."""
    if sys.stdout is None:
        return

    typer.echo(text)
    sys.stdout.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address.

    The only host name known to be one is `localhost`.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
