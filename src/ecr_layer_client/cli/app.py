"""The program `ecr-layers`: its commands by name, and the options of the program itself."""

from __future__ import annotations

import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from ecr_layer_client._models.version import __version__

from .check import check
from .demo import demo
from .doctor import doctor
from .exit_codes import ERROR, help_of, print_line
from .images import audit, plan, verify
from .serve import serve
from .transfers import copy, pull, push


class _Program(TyperGroup):
    """The program. An error in its usage is one line, like every error."""

    def main(self, *arguments: Any, **options: Any) -> NoReturn:
        """Run the program and exit."""
        try:
            code = super().main(*arguments, **(options | {"standalone_mode": False}))
        except Exception as error:
            # All errors in the usage have this method.
            if not hasattr(error, "format_message"):
                raise
            code = ERROR
            _print_usage_error(error)
        sys.exit(code or 0)


def _print_usage_error(error: Any) -> None:
    # Without arguments, the help was printed, and the message is empty.
    if message := error.format_message():
        program = "ecr-layers" if error.ctx is None else error.ctx.command_path
        print_line(f"error: {message.rstrip('.')}: `{program} --help` shows the usage")


app: typer.Typer = typer.Typer(
    cls=_Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for _command, _short_help in (
    (demo, "Show how the client works, without an AWS account."),
    (check, "Check which layer digests a repository holds."),
    (plan, "Show what a push of an image would upload."),
    (verify, "Check that an image is complete."),
    (audit, "Check that every image of a repository is complete."),
    (push, "Push an image, and continue an interrupted push."),
    (pull, "Pull an image into an OCI layout."),
    (copy, "Copy an image to another repository, account or Region."),
    (doctor, "Find out whether a check works, and why not if it fails."),
    (serve, "Serve a local ECR to any program that uses ECR."),
):
    app.command(help=help_of(_command), short_help=_short_help)(_command)


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
    """Check which layers an Amazon ECR repository already holds. Push, pull and copy images.

    \b
    Start here:
      ecr-layers demo                           see how it works, without an AWS account
      ecr-layers doctor team/app                find out whether a check will work
      ecr-layers check team/app < digests.txt   check digests, one per line
      ecr-layers push ./layout team/app:1.0     push an image; also: pull and copy

    The credentials, the Region and the endpoint come from the same places as in other AWS tools.

    \b
    Environment variables:
      AWS_PROFILE, AWS_ACCESS_KEY_ID, ...    the credentials
      AWS_DEFAULT_REGION                     the Region
      AWS_ENDPOINT_URL_ECR                   the endpoint
      AWS_ENDPOINT_URL_ECR_PUBLIC            the endpoint of ECR Public
      HTTPS_PROXY, NO_PROXY, AWS_CA_BUNDLE   the proxy, and the certificates to trust
      NO_COLOR                               print without colours
      ECR_LAYERS_TRACEBACK                   if 1, show tracebacks, and the logs of libraries
    """  # noqa: D301 (typer's mark of lines to keep as they are)
