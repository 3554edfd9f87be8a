"""`ecr-layers doctor`: what a check rests on, looked at part by part, and what to do where something is wrong."""

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

_ALL_WELL = 0
_WARNED = 1


def doctor(  # noqa: PLR0913 (the options)
    repository: Annotated[
        str | None,
        typer.Argument(
            metavar="REPOSITORY",
            help="A repository's name (team/app), its registry URI or its ARN. None: no permission is looked at.",
            show_default=False,
        ),
    ] = None,
    *,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    allow_insecure_endpoint: AllowInsecureEndpoint = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, one a part.")] = False,
) -> None:
    """Find out why a check does not work, or that it will: a line for each thing it rests on, and what to do.

    \b
    Examples:
      ecr-layers doctor                         what is set up, and whether ECR answers
      ecr-layers doctor team/app --profile ci   and whether it lets that repository be checked

    \b
    What is looked at:
      versions       of what does the work
      configuration  the profile, and the files that AWS's tools read
      region         which, and who says so
      credentials    whose, from where, whether they last; never a secret
      endpoint       whether it answers, by which certificates and proxy
      clock          whether it agrees with AWS's
      check          whether REPOSITORY may be checked: one digest, which nobody has
      quota          how fast a check may go, and whether ECR throttled it

    \b
    Exit codes:
      0    all is well, as far as it was looked at
      1    something may become a trouble (warn)
      2    something is wrong (fail), or an option is
      130  ended by Ctrl-C; 143: by SIGTERM

    Two harmless requests are made, the second of which needs the IAM action
    ecr:BatchCheckLayerAvailability on the repository. It ends within half a minute, whatever does
    not answer.
    """  # noqa: D301 (typer's mark of lines to keep as they are)

    async def look() -> int:
        from ecr_layer_client._models.config import ClientConfig
        from ecr_layer_client._models.repository import Repository

        from .diagnosis import Examination

        where = None if repository is None else Repository.parse(repository)
        config = ClientConfig(allow_insecure_endpoint=allow_insecure_endpoint)
        examination = Examination(where, region, profile, endpoint_url, config)
        found: list[Finding] = []
        with waiting("looking") as told:
            async for finding in examination.findings(told):
                found.append(finding)
                await _show(finding, as_json=as_json)
        statuses = {finding.status for finding in found}
        return ERROR if "fail" in statuses else _WARNED if "warn" in statuses else _ALL_WELL

    run(look())


async def _show(finding: Finding, *, as_json: bool) -> None:
    output = Output()
    if as_json:
        await output.write(finding.json_line)
    elif sys.stdout is not None and sys.stdout.isatty():
        await output.write(finding.on_terminal())
    else:
        await output.write(finding.row)
    await output.drain()
