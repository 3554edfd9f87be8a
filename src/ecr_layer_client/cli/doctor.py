"""The command `ecr-layers doctor`, which examines what a check depends on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .exit_codes import ERROR, run

# Typer reads the annotations.
from .options import AllowInsecureEndpoint, EndpointUrl, Profile, Region  # noqa: TC001
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
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines, one for each part.")
    ] = False,
) -> None:
    """Find out whether a check works, and if not, why.

    There is one line for each part that a check depends on, with advice where something is wrong.

    \b
    Examples:
      ecr-layers doctor                         is everything set up, does ECR respond?
      ecr-layers doctor team/app --profile ci   and may you check that repository?

    \b
    The parts:
      versions       this package and the packages that do the work
      configuration  the profile, and the files that AWS tools read
      region         the Region, and where it is set
      credentials    the key id and its source, and whether it expires; never a secret
      endpoint       whether it responds, with which certificates and proxy
      clock          whether it agrees with AWS's
      check          whether you may check REPOSITORY, with one digest that does not exist
      quota          how fast a check may be, and whether ECR throttled this one

    \b
    Exit codes:
      0    everything that was examined is fine
      1    something may become a problem (warn)
      2    something is wrong (fail), or an option is
      130  ended by Ctrl-C; 143 by SIGTERM

    The doctor sends two harmless requests. The second one needs the IAM action
    ecr:BatchCheckLayerAvailability on the repository. The doctor ends within half a minute, even
    if something does not respond.
    """  # noqa: D301 (typer's mark of lines to keep as they are)

    async def examine() -> int:
        from ecr_layer_client._models.config import ClientConfig
        from ecr_layer_client._models.repository import Repository

        from .diagnosis import Examination

        parsed = None if repository is None else Repository.parse(repository)
        config = ClientConfig(allow_insecure_endpoint=allow_insecure_endpoint)
        examination = Examination(parsed, region, profile, endpoint_url, config)

        findings: list[Finding] = []
        with waiting("examining the configuration") as show_step:
            async for finding in examination.findings(show_step):
                findings.append(finding)
                await _show(finding, as_json=as_json)

        statuses = {finding.status for finding in findings}
        return ERROR if "fail" in statuses else _WARNED if "warn" in statuses else _ALL_OK

    run(examine())


async def _show(finding: Finding, *, as_json: bool) -> None:
    output = Output()
    if as_json:
        await output.write(finding.json_line)
    elif sys.stdout is not None and sys.stdout.isatty():
        await output.write(finding.on_terminal())
    else:
        await output.write(finding.row)
    await output.drain()
