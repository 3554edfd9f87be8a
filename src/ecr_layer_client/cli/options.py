"""The options that several commands share, and the client that they configure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ecr_layer_client._base_client import BaseLayerClient
    from ecr_layer_client._client import ECRLayerClient
    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client.protocols import Observer


def profiles_like(incomplete: str) -> list[str]:
    """Return the AWS profiles whose names begin with a text, for shell completion.

    A file that can't be read has no profiles.
    """
    from configparser import Error, RawConfigParser

    names: set[str] = set()
    for variable, default in (
        ("AWS_CONFIG_FILE", "~/.aws/config"),
        ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
    ):
        parser = RawConfigParser(strict=False)
        try:
            # botocore expands and reads the files in the same way.
            path = os.path.expanduser(os.environ.get(variable, default))  # noqa: PTH111
            parser.read(path, encoding="utf-8")
        except (Error, ValueError):
            continue

        names |= {
            name.removeprefix("profile ")
            for name in parser.sections()
            if not name.startswith(("sso-session ", "services "))
        }
    return sorted(name for name in names if name.startswith(incomplete))


def regions_like(incomplete: str) -> list[str]:
    """Return the AWS Regions that botocore knows and that begin with a text, for completion."""
    from botocore.loaders import create_loader

    from ecr_layer_client._transport.regions import known_regions

    return sorted(name for name in known_regions(create_loader()) if name.startswith(incomplete))


Region = Annotated[
    str | None,
    typer.Option(
        metavar="REGION",
        help="The Region. Default: the Region in the repository's URI or the AWS configuration.",
        autocompletion=regions_like,
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="A profile of the AWS configuration.", autocompletion=profiles_like
    ),
]
EndpointUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The endpoint to use instead of the Region's own."),
]
AllowInsecureEndpoint = Annotated[
    bool,
    typer.Option(
        "--allow-insecure-endpoint", help="Allow plain http to an endpoint on another machine."
    ),
]
ImageName = Annotated[
    str | None,
    typer.Option(
        "--image",
        metavar="REFERENCE",
        help="The tag or digest of one image of the layout or archive.",
        show_default="all its images",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", help="The most seconds for the whole command.", show_default="no limit"
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print only errors. The exit code is the result."),
]
Concurrency = Annotated[
    int,
    typer.Option(
        min=1, metavar="N", help="The most requests that wait for a response at the same time."
    ),
]


def make_client(  # noqa: PLR0913 (the options)
    repository: Repository | None,
    region: str | None,
    profile: str | None,
    endpoint_url: str | None,
    config: ClientConfig | None = None,
    *,
    observer: Observer | None = None,
) -> ECRLayerClient:
    """Return a client for one repository, or for any repository if that is None.

    Raises:
        InvalidInputError: An option is not valid, or the Region is not the repository's.
    """
    from ecr_layer_client._client import ECRLayerClient
    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client._models.errors import InvalidInputError

    own_region = None if repository is None else repository.region
    if region is not None and own_region not in (None, region):
        message = (
            f"--region {region!r} is not the Region of {str(repository)!r}: leave out --region"
        )
        raise InvalidInputError(message)

    return ECRLayerClient(
        region_name=own_region if region is None else region,
        profile_name=profile,
        endpoint_url=endpoint_url,
        config=config or ClientConfig(),
        observer=observer,
    )


def make_client_of_service(
    repository: Repository,
    region: str | None,
    profile: str | None,
    endpoint_url: str | None,
    config: ClientConfig,
) -> BaseLayerClient:
    """Return a client for one repository of private ECR or of ECR Public.

    Raises:
        InvalidInputError: As of `make_client`.
    """
    from ecr_layer_client._models.repository import service_of
    from ecr_layer_client._models.services import ECR
    from ecr_layer_client._public_client import ECRPublicLayerClient

    if service_of(repository) is ECR:
        return make_client(repository, region, profile, endpoint_url, config)
    return ECRPublicLayerClient(
        region_name=region,
        profile_name=profile,
        endpoint_url=endpoint_url,
        config=config,
    )
