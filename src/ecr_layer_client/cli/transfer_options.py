"""The options and arguments of `push`, `pull` and `copy`, and what they say to a client."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

# At the top, so that the program names the extra where it is not installed.
from platformdirs import user_state_path

from .options import profiles_like, regions_like

if TYPE_CHECKING:
    from pathlib import Path

    from ecr_layer_client._models.config import ClientConfig

_UNITS = {"k": 1000, "m": 1000**2, "g": 1000**3}


def _bytes_per_second(text: str) -> float:
    """Return the number that a text with a unit says.

    Raises:
        typer.BadParameter: It says none.
    """
    unit = _UNITS.get(text[-1:].lower())
    try:
        rate = float(text if unit is None else text[:-1]) * (unit or 1)
    except ValueError:
        rate = 0.0
    if not 0 < rate < sys.maxsize:
        message = f"{text!r} is not a number of bytes above 0: use a form such as 500k or 10M"
        raise typer.BadParameter(message)
    return rate


Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="Another tag. You can repeat this option."),
]
PlatformName = Annotated[
    str | None,
    typer.Option(
        "--platform",
        metavar="OS/ARCH",
        help="The platform whose image is taken from an index, such as linux/arm64.",
        show_default="the index and all its images",
    ),
]
ToRegion = Annotated[
    str | None,
    typer.Option(
        metavar="REGION",
        help="The target's Region. Default: that of its URI, or AWS_DEFAULT_REGION, or that of "
        "--to-profile. Without --to-profile: that of the source. In ECR Public: us-east-1.",
        autocompletion=regions_like,
    ),
]
ToProfile = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="The AWS profile for the target.", autocompletion=profiles_like
    ),
]
JournalDirectory = Annotated[
    # As a str, '' is not the current directory.
    str | None,
    typer.Option(
        "--journal",
        metavar="DIR",
        path_type=str,
        help="A directory that records the state of uploads, so that the next run can continue.",
        show_default="in the user's state directory",
    ),
]
NoResume = Annotated[
    bool, typer.Option("--no-resume", help="Use no journal: start every layer from its beginning.")
]
MaxBandwidth = Annotated[
    float | None,
    typer.Option(
        metavar="BYTES",
        parser=_bytes_per_second,
        help="The most bytes per second on the network, such as 500k or 10M.",
        show_default="no limit",
    ),
]
RetryFor = Annotated[
    float,
    typer.Option(
        metavar="SECONDS", help="The most seconds without progress. After that, the command ends."
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print the plan, and transfer nothing. Whether a tag can be moved is not checked.",
    ),
]
Verify = Annotated[
    bool, typer.Option("--verify", help="At the end, check that the image is complete.")
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print JSON lines: progress, layers, and the result or error."),
]


def check_journal(directory: str | None, *, no_resume: bool) -> None:
    """Refuse a journal that is wanted and not wanted.

    Raises:
        typer.BadParameter: Both options are given.
    """
    if no_resume and directory is not None:
        message = "it can't be used with --no-resume: leave one of them out"
        raise typer.BadParameter(message, param_hint="--journal")


def journal_in(directory: str | None, *, no_resume: bool) -> str | Path | None:
    """Return the directory of the journal. None: there is none."""
    if no_resume or directory is not None:
        return directory
    return user_state_path("ecr-layers", appauthor=False) / "uploads"


def transfer_config(
    max_bandwidth: float | None, retry_for: float, *, allow_http: bool
) -> ClientConfig:
    """Return the options of a client.

    Raises:
        InvalidInputError: One is not valid.
    """
    from ecr_layer_client._models.config import ClientConfig, RetryPolicy

    return ClientConfig(
        max_bandwidth=max_bandwidth,
        retry=RetryPolicy(max_elapsed=retry_for),
        allow_insecure_endpoint=allow_http,
    )
