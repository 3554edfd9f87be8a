"""The command `ecr-layers doctor`, which examines what a check depends on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .exit_codes import ERROR, run

# Typer reads the annotations.
from .options import (  # noqa: TC001
    AllowInsecureEndpoint,
    EndpointUrl,
    Profile,
    Quiet,
    Region,
    Timeout,
)
from .progress import waiting
from .stdio import Output

if TYPE_CHECKING:
    from .findings import Finding

_ALL_OK = 0
_WARNED = 1


def doctor(  # noqa: PLR0913 (the options)
    repository: Annotated[
        str | None,
        typer.Argument(
            metavar="REPOSITORY",
            help=(
                "A repository's name (team/app), registry URI or ARN. "
                "Without it, no permission is checked."
            ),
            show_default=False,
        ),
    ] = None,
    *,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    allow_insecure_endpoint: AllowInsecureEndpoint = False,
    timeout: Timeout = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines, one for each part.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Find out whether a check works, and why not if it fails.

    The doctor examines the parts on which a check depends, and prints one line for each. If a part
    has a problem, the line says what to do.

    \b
    Examples:
      ecr-layers doctor                         does ECR respond?
      ecr-layers doctor team/app --profile ci   may you check this repository?

    \b
    The parts:
      versions       this package and the packages that it uses
      configuration  the profile, and the files that AWS tools read
      region         the Region, and where it is set
      credentials    the key id, its source and expiration; never a secret
      endpoint       whether the endpoint responds; the certificates and the proxy
      clock          whether this machine's clock agrees with AWS's clock
      check          whether you may check REPOSITORY: one digest is checked
      quota          the highest request rate, and whether ECR throttled the check

    The doctor sends at most two harmless requests. The second one, which checks REPOSITORY, needs
    the IAM action ecr:BatchCheckLayerAvailability. The doctor ends within half a minute, even if
    a server does not respond.
    """  # noqa: D301 (typer's mark of lines to keep as they are)

    async def examine() -> int:
        from ecr_layer_client._models.config import ClientConfig

        from .diagnosis import Examination
        from .references import private_repository

        parsed = None if repository is None else private_repository(repository, "doctor")
        config = ClientConfig(allow_insecure_endpoint=allow_insecure_endpoint)
        examination = Examination(parsed, region, profile, endpoint_url, config)

        def show_step(text: str) -> None:
            show(text)

        statuses: set[str] = set()
        findings = examination.findings(show_step)
        while True:
            # The spinner is erased before a finding is printed, perhaps on the same terminal.
            with waiting("examining the configuration", quiet=quiet) as show:
                finding = await anext(findings, None)
            if finding is None:
                break
            statuses.add(finding.status)
            await _show(finding, as_json=as_json, quiet=quiet)

        return ERROR if "fail" in statuses else _WARNED if "warn" in statuses else _ALL_OK

    run(examine(), timeout)


async def _show(finding: Finding, *, as_json: bool, quiet: bool) -> None:
    output = Output(quiet=quiet)
    if as_json:
        await output.write(finding.json_line)
    elif sys.stdout is not None and sys.stdout.isatty():
        await output.write(finding.on_terminal())
    else:
        await output.write(finding.row)
    await output.drain()
