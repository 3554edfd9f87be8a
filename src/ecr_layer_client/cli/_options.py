"""What the commands that ask ECR share: their options, and the client these make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ecr_layer_client import ClientConfig, ECRLayerClient, Repository

Region = Annotated[str | None, typer.Option(help="Default: the repository's own, else as the AWS configuration says.")]
Profile = Annotated[str | None, typer.Option(help="A profile of the AWS configuration.")]
EndpointUrl = Annotated[str | None, typer.Option(help="Where to ask, in place of the Region's own endpoint.")]
AllowInsecureEndpoint = Annotated[
    bool, typer.Option("--allow-insecure-endpoint", help="Let --endpoint-url be plain http beyond this machine.")
]
Concurrency = Annotated[int, typer.Option(min=1, help="Requests in flight at once.")]


def client_of(
    where: Repository,
    region: str | None,
    profile: str | None,
    endpoint_url: str | None,
    config: ClientConfig | None = None,
) -> ECRLayerClient:
    """Return a client for a repository.

    Raises:
        InvalidInputError: An option breaks its rule, or the Region is not the repository's.
    """
    from ecr_layer_client import ClientConfig, ECRLayerClient, InvalidInputError

    if region is not None and where.region not in (None, region):
        message = f"--region {region!r} is not the Region of {str(where)!r}: leave it out"
        raise InvalidInputError(message)
    return ECRLayerClient(
        region_name=region or where.region, profile_name=profile, endpoint_url=endpoint_url, config=config or ClientConfig()
    )
