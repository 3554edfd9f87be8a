"""What the commands that ask ECR share: their options, and the client these make."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ecr_layer_client._client import ECRLayerClient
    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client.protocols import Observer


def _profiles(incomplete: str) -> list[str]:
    """Return the profiles of the AWS configuration that begin so, for a shell's completion.

    Of what can't be read, none.
    """
    from configparser import Error, RawConfigParser

    names: set[str] = set()
    for variable, default in (
        ("AWS_CONFIG_FILE", "~/.aws/config"),
        ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
    ):
        parser = RawConfigParser(strict=False)
        try:
            # As botocore reads it.
            parser.read(os.path.expanduser(os.environ.get(variable, default)), encoding="utf-8")  # noqa: PTH111
        except (Error, ValueError):
            continue
        names |= {
            name.removeprefix("profile ")
            for name in parser.sections()
            if not name.startswith(("sso-session ", "services "))
        }
    return sorted(name for name in names if name.startswith(incomplete))


Region = Annotated[
    str | None,
    typer.Option(help="Default: the repository's own, else as the AWS configuration says."),
]
Profile = Annotated[
    str | None, typer.Option(help="A profile of the AWS configuration.", autocompletion=_profiles)
]
EndpointUrl = Annotated[
    str | None, typer.Option(help="Where to ask, in place of the Region's own endpoint.")
]
AllowInsecureEndpoint = Annotated[
    bool,
    typer.Option(
        "--allow-insecure-endpoint", help="Let --endpoint-url be plain http beyond this machine."
    ),
]
Concurrency = Annotated[int, typer.Option(min=1, help="Requests in flight at once.")]


def client_of(  # noqa: PLR0913 (the options)
    where: Repository | None,
    region: str | None,
    profile: str | None,
    endpoint_url: str | None,
    config: ClientConfig | None = None,
    *,
    observer: Observer | None = None,
) -> ECRLayerClient:
    """Return a client for a repository, or for any.

    Raises:
        InvalidInputError: An option breaks its rule, or the Region is not the repository's.
    """
    from ecr_layer_client._client import ECRLayerClient
    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client._models.errors import InvalidInputError

    of_repository = None if where is None else where.region
    if region is not None and of_repository not in (None, region):
        message = f"--region {region!r} is not the Region of {str(where)!r}: leave it out"
        raise InvalidInputError(message)
    return ECRLayerClient(
        region_name=of_repository if region is None else region,
        profile_name=profile,
        endpoint_url=endpoint_url,
        config=config or ClientConfig(),
        observer=observer,
    )
