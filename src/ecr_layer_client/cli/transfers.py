"""The commands `ecr-layers push`, `pull` and `copy`, which move images."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from .exit_codes import (
    ALL_AVAILABLE,
    ERROR,
    NOT_ALL_AVAILABLE,
    NOT_FOUND,
    RUN_AGAIN,
    message_of,
    print_line,
    run,
    time_limit,
    with_option_names,
)
from .image_output import print_plan
from .options import (
    AllowInsecureEndpoint,
    EndpointUrl,
    ImageName,
    Profile,
    Quiet,
    Region,
    Timeout,
    make_client,
    make_client_of_service,
)
from .progress import waiting
from .references import check_image_source, private_repository, split_reference, split_target
from .stdio import in_thread
from .transfer_options import (
    AsJson,
    DryRun,
    JournalDirectory,
    MaxBandwidth,
    NoResume,
    PlatformName,
    RetryFor,
    Tags,
    ToProfile,
    ToRegion,
    Verify,
    check_journal,
    journal_in,
    transfer_config,
)
from .transfer_output import TransferReport

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from ecr_layer_client._base_client import BaseLayerClient
    from ecr_layer_client._client import ECRLayerClient
    from ecr_layer_client._models.call_errors import CallError
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client.images import ImageReport
    from ecr_layer_client.transfers import TransferResult

# ECR's codes for an image that does not exist, of BatchGetImage and of the other operations.
_NOT_FOUND_CODES = frozenset({"ImageNotFound", "ImageNotFoundException"})
_MIN_SECONDS = 0.001  # of a transfer that has no time left
_CONTINUE = "run the same command again to continue"


def push(  # noqa: PLR0913 (the options)
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="An OCI layout (a directory or a tar archive), or an archive of `docker save`.",
            show_default=False,
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="REPOSITORY[:TAG]",
            help="A repository's name (team/app), registry URI or ARN, and a tag if it has one.",
            show_default=False,
        ),
    ],
    *,
    tag: Tags = None,
    image: ImageName = None,
    platform: PlatformName = None,
    journal: JournalDirectory = None,
    no_resume: NoResume = False,
    max_bandwidth: MaxBandwidth = None,
    retry_for: RetryFor = 120.0,
    timeout: Timeout = None,
    dry_run: DryRun = False,
    verify: Verify = False,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    allow_insecure_endpoint: AllowInsecureEndpoint = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Push an image from files, without Docker: upload the layers that the repository lacks.

    The repository must exist. For a repository of another account, write its whole URI. No login is
    needed, because requests are signed with your AWS credentials. If you name no tag, the image
    gets the tags that it has in the layout or archive. Standard output has the URI of the image
    with its digest. If you name a repository of ECR Public by its ARN, its URI is not known, and
    standard output has the ARN in place of the URI.

    \b
    Examples:
      docker save app:1.0 --output app.tar
      ecr-layers push app.tar team/app:1.0
      ecr-layers push app.tar team/app --tag 1.0 --tag latest
      ecr-layers push app.tar public.ecr.aws/team/app:1.0

    If a push is interrupted, run the same command again to continue it. Exit code 75 means
    that another run may succeed.

    The caller needs the IAM actions ecr:BatchCheckLayerAvailability, ecr:BatchGetImage,
    ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload and ecr:PutImage on the
    repository. To move a tag, also ecr:DescribeRepositories. For ECR Public, IAM actions begin with
    ecr-public in place of ecr, and ecr-public:DescribeImages replaces ecr:BatchGetImage.
    """  # noqa: D301 (typer's mark of lines to keep as they are)
    report = TransferReport(as_json=as_json, quiet=quiet)

    async def pushed(limit: asyncio.Timeout) -> int:
        from ecr_layer_client.images import ImageSource

        repository, tags = split_target(target, tag)
        config = transfer_config(max_bandwidth, retry_for, allow_http=allow_insecure_endpoint)
        client = make_client_of_service(repository, region, profile, endpoint_url, config)
        verifier = _verifier(client, repository) if verify else None

        with waiting("reading the image", quiet=quiet):
            # In a daemon thread, Ctrl-C need not wait for the read.
            source = await in_thread(partial(ImageSource.from_path, path))
        if image is not None or platform is not None:
            source = source.select(image, platform=platform)

        async with client:
            if dry_run:
                planned = await client.plan_push(repository, source)
                await print_plan(planned, as_json=as_json, quiet=quiet)
                return ALL_AVAILABLE

            place = journal_in(journal, no_resume=no_resume)
            with report:
                with _given_to_client(limit) as seconds:
                    result = await client.push(
                        repository,
                        source,
                        tags=tags,
                        journal=place,
                        timeout=seconds,
                        progress=report.show,
                    )
                checked = await _verified(verifier, repository, result) if verifier else None
        return await _printed(report, result, checked)

    check_image_source(path, "PATH")
    check_journal(journal, no_resume=no_resume)
    run(_to_exit_code(pushed, report, timeout))


def pull(  # noqa: PLR0913 (the options)
    image: Annotated[
        str,
        typer.Argument(
            metavar="REPOSITORY:TAG",
            help="An image: team/app:1.0 or team/app@sha256:...",
            show_default=False,
        ),
    ],
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="The directory of a new or existing OCI layout.",
            show_default=False,
        ),
    ],
    *,
    platform: PlatformName = None,
    max_bandwidth: MaxBandwidth = None,
    retry_for: RetryFor = 120.0,
    timeout: Timeout = None,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    allow_insecure_endpoint: AllowInsecureEndpoint = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Pull an image into an OCI layout, without Docker: download the layers that the layout lacks.

    The layout is created, or the image is added to an existing layout. Standard output has the URI
    of the image with its digest.

    \b
    Examples:
      ecr-layers pull team/app:1.0 ./app
      ecr-layers pull team/app:1.0 ./app --platform linux/arm64
      skopeo copy oci:./app docker-daemon:app:1.0

    If a pull is interrupted, run the same command again to continue it. Exit code 75 means
    that another run may succeed.

    The caller needs the IAM actions ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on the
    repository.
    """  # noqa: D301 (typer's mark of lines to keep as they are)
    report = TransferReport(as_json=as_json, quiet=quiet)

    async def pulled(limit: asyncio.Timeout) -> int:
        name, reference = split_reference(image)
        repository = private_repository(name, "pull")
        config = transfer_config(max_bandwidth, retry_for, allow_http=allow_insecure_endpoint)
        async with make_client(repository, region, profile, endpoint_url, config) as client:
            with report, _given_to_client(limit) as seconds:
                result = await client.pull(
                    repository,
                    reference,
                    path,
                    platform=platform,
                    timeout=seconds,
                    progress=report.show,
                )
        return await _printed(report, result, None)

    run(_to_exit_code(pulled, report, timeout))


def copy(  # noqa: PLR0913 (the options)
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="An image: team/app:1.0 or team/app@sha256:...",
            show_default=False,
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A repository's name (team/app), registry URI or ARN, and a tag if it has one.",
            show_default=False,
        ),
    ],
    *,
    tag: Tags = None,
    platform: PlatformName = None,
    to_region: ToRegion = None,
    to_profile: ToProfile = None,
    journal: JournalDirectory = None,
    no_resume: NoResume = False,
    max_bandwidth: MaxBandwidth = None,
    retry_for: RetryFor = 120.0,
    timeout: Timeout = None,
    dry_run: DryRun = False,
    verify: Verify = False,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    allow_insecure_endpoint: AllowInsecureEndpoint = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Copy an image to another repository, account or Region, or to ECR Public.

    The layers go through memory, and are not written to the disk. If you name no tag, the copy gets
    the tag of the source. Within one repository, a copy only adds the tag. Standard output has the
    URI of the copy with its digest, or an ARN as `ecr-layers push --help` says.

    \b
    Examples:
      ecr-layers copy team/app:1.0 team/app:stable
      ecr-layers copy team/app:1.0 team/app --to-region eu-west-1
      ecr-layers copy team/app:1.0 mirror/app --to-profile production
      ecr-layers copy team/app:1.0 public.ecr.aws/team/app

    If a copy is interrupted, run the same command again to continue it. Exit code 75 means
    that another run may succeed. Signatures and attestations of the image are not copied.

    The caller needs the IAM actions ecr:BatchGetImage and ecr:GetDownloadUrlForLayer at the source.
    At the target, the caller needs the IAM actions that `ecr-layers push --help` lists.
    """  # noqa: D301 (typer's mark of lines to keep as they are)
    report = TransferReport(as_json=as_json, quiet=quiet)

    async def copied(limit: asyncio.Timeout) -> int:
        from ecr_layer_client._models.repository import service_of

        name, reference = split_reference(source)
        origin = private_repository(name, "the source of copy")
        goal, tags = split_target(target, tag)
        config = transfer_config(max_bandwidth, retry_for, allow_http=allow_insecure_endpoint)
        client = make_client(origin, region, profile, endpoint_url, config)
        there: BaseLayerClient = client
        wanted = _target_region(goal, to_region)
        is_elsewhere = wanted not in {None, origin.region or region}
        if to_profile is not None or is_elsewhere or service_of(goal) is not service_of(origin):
            its_profile = to_profile or profile
            there = make_client_of_service(goal, wanted, its_profile, endpoint_url, config)
        verifier = _verifier(there, goal) if verify else None

        async with AsyncExitStack() as opened:
            for each in dict.fromkeys((client, there)):
                await opened.enter_async_context(each)
            if dry_run:
                image = await client.get_image(origin, reference, platform=platform)
                planned = await there.plan_push(goal, image)
                await print_plan(planned, as_json=as_json, quiet=quiet, verb="copy")
                return ALL_AVAILABLE

            place = journal_in(journal, no_resume=no_resume)
            with report:
                with _given_to_client(limit) as seconds:
                    result = await client.copy(
                        origin,
                        reference,
                        to=there,
                        to_repository=goal,
                        platform=platform,
                        tags=tags,
                        journal=place,
                        timeout=seconds,
                        progress=report.show,
                    )
                checked = await _verified(verifier, goal, result) if verifier else None
        return await _printed(report, result, checked)

    check_journal(journal, no_resume=no_resume)
    run(_to_exit_code(copied, report, timeout))


def _target_region(goal: Repository, to_region: str | None) -> str | None:
    """Return the Region of a target. None: the arguments name none.

    Raises:
        InvalidInputError: They name two.
    """
    from ecr_layer_client._models.errors import InvalidInputError

    if to_region is None:
        return goal.region
    if goal.region not in {None, to_region}:
        message = (
            f"--to-region {to_region!r} is not the Region of {str(goal)!r}: leave out --to-region"
        )
        raise InvalidInputError(message)
    return to_region


def _verifier(client: BaseLayerClient, repository: Repository) -> ECRLayerClient:
    """Return the client of a target, if it can verify images.

    Raises:
        InvalidInputError: The target is in ECR Public.
    """
    private_repository(str(repository), "--verify")
    return cast("ECRLayerClient", client)


async def _verified(
    client: ECRLayerClient, repository: Repository, result: TransferResult
) -> list[ImageReport]:
    return [await client.verify_image(repository, image.digest) for image in result.images]


async def _printed(
    report: TransferReport, result: TransferResult, checked: list[ImageReport] | None
) -> int:
    return ALL_AVAILABLE if await report.end(result, checked) else NOT_ALL_AVAILABLE


async def _to_exit_code(
    transfer: Callable[[asyncio.Timeout], Coroutine[Any, Any, int]],
    report: TransferReport,
    timeout: float | None,  # noqa: ASYNC109 (the error says how far the transfer came)
) -> int:
    """Run a transfer within a timeout, and return its exit code. Errors say how far it came.

    Raises:
        InvalidInputError: The timeout, or an argument of the transfer, is not valid.
        OSError: A file can't be written, or standard output is closed or full.
    """
    from ecr_layer_client._models.call_errors import CallError
    from ecr_layer_client._models.errors import ECRLayerError

    try:
        async with time_limit(timeout) as limit:
            return await transfer(limit)
    except CallError as error:
        code, message = _code_of(error), _message_of(error, report, timeout)
        print_line(f"error: {message}")
        report.fail(message, code, error.transfer)
        return code
    except (ECRLayerError, OSError) as error:
        report.fail(message_of(error), ERROR, None)
        raise
    except asyncio.CancelledError:
        print_line(f"interrupted; {report}: {_CONTINUE}")
        raise
    finally:
        await report.drain()


@contextmanager
def _given_to_client(limit: asyncio.Timeout) -> Generator[float | None]:
    """Give the seconds that are left to a client, whose error says how far a transfer came."""
    when = limit.when()
    if when is None or limit.expired():
        yield None
        return
    limit.reschedule(None)
    yield max(when - asyncio.get_running_loop().time(), _MIN_SECONDS)
    limit.reschedule(when)


def _message_of(error: CallError, report: TransferReport, seconds: float | None) -> str:
    """Return the message of an error, with what another run would do."""
    from ecr_layer_client._models.call_errors import OperationTimeoutError
    from ecr_layer_client.transfers._progress import NOTHING_KEPT

    if isinstance(error, OperationTimeoutError):
        advice = NOTHING_KEPT if report.is_without_a_part else _CONTINUE
        return f"not done within --timeout {seconds:g} s; {report}: {advice}"
    message = with_option_names(str(error))
    return f"{message}; {report}: {_CONTINUE}" if _code_of(error) == RUN_AGAIN else message


def _code_of(error: CallError) -> int:
    from ecr_layer_client._models.call_errors import RepositoryNotFoundError

    is_unknown = isinstance(error, RepositoryNotFoundError)
    if is_unknown or getattr(error, "code", None) in _NOT_FOUND_CODES:
        return NOT_FOUND
    return RUN_AGAIN if error.retryable else ERROR
