"""The program `ecr-layers`: its commands by name, and the options of the program itself."""

from __future__ import annotations

from typing import Annotated

import typer

from ecr_layer_client._models.version import __version__

from .check import check
from .demo import demo
from .doctor import doctor
from .images import audit, plan, verify
from .serve import serve

app: typer.Typer = typer.Typer(
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(short_help="Show the client at work, without an AWS account.")(demo)
app.command()(check)
app.command(short_help="Show what a push of an image would upload.")(plan)
app.command(short_help="Check that an image is complete.")(verify)
app.command(short_help="Check that every image of a repository is complete.")(audit)
app.command(short_help="Find out whether a check works, and if not, why.")(doctor)
app.command(short_help="Serve a local ECR to any program that uses ECR.")(serve)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 (typer's callback)
    if wanted:
        typer.echo(f"ecr-layers {__version__}")
        raise typer.Exit


@app.callback()
def _ecr_layers(
    version: Annotated[  # noqa: FBT002 (typer's way to declare a flag)
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Check which layers an Amazon ECR repository already holds.

    \b
    Start here:
      ecr-layers demo                           see the client at work, without an account
      ecr-layers doctor team/app                find out whether a check will work
      ecr-layers check team/app < digests.txt   check digests, one per line

    Credentials, the Region and the endpoint are found as in every AWS tool.

    \b
    Environment variables:
      AWS_PROFILE, AWS_ACCESS_KEY_ID, ...    the credentials
      AWS_DEFAULT_REGION                     the Region
      AWS_ENDPOINT_URL_ECR                   the endpoint
      HTTPS_PROXY, NO_PROXY, AWS_CA_BUNDLE   the proxy, and the certificates to trust
      NO_COLOR                               print without colours
      ECR_LAYERS_TRACEBACK                   1: show tracebacks, and what libraries log
    """  # noqa: D301 (typer's mark of lines to keep as they are)
