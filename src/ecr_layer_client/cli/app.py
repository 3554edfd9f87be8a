"""The commands by name, and what they share."""

from __future__ import annotations

from typing import Annotated

import typer

from ecr_layer_client._models.version import __version__

from .check import check
from .demo import demo
from .doctor import doctor
from .images import audit, plan, verify
from .serve import serve

app = typer.Typer(
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(short_help="See it at work, without an AWS account.")(demo)
app.command()(check)
app.command(short_help="Say what a push of an image would upload.")(plan)
app.command(short_help="Look whether an image is whole.")(verify)
app.command(short_help="Look whether each image of a repository is whole.")(audit)
app.command(short_help="Find out why a check does not work, or that it will.")(doctor)
app.command(short_help="Serve a local ECR, for any program that speaks to ECR.")(serve)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 (typer's callback)
    if wanted:
        typer.echo(f"ecr-layers {__version__}")
        raise typer.Exit


@app.callback()
def _ecr_layers(
    version: Annotated[  # noqa: FBT002 (the callback answers)
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Ask Amazon ECR which layers a repository already holds.

    \b
    To begin with:
      ecr-layers demo                           see it work, without an account
      ecr-layers doctor team/app                see whether a check will work
      ecr-layers check team/app < digests.txt   check digests, one a line

    Credentials, the Region and the way to AWS are found as every AWS tool finds them.

    \b
    Environment variables:
      AWS_PROFILE, AWS_ACCESS_KEY_ID, ...    whose credentials
      AWS_DEFAULT_REGION                     the Region
      AWS_ENDPOINT_URL_ECR                   where to ask
      HTTPS_PROXY, NO_PROXY, AWS_CA_BUNDLE   the way there, and whom to trust
      NO_COLOR                               print without colours
      ECR_LAYERS_TRACEBACK                   1: show where ecr-layers is at fault
    """  # noqa: D301 (typer's mark of lines to keep as they are)
