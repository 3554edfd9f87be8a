"""The commands `ecr-layers plan`, `verify` and `audit`, which examine images."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ecr_layer_client._text.plurals import counted

from .exit_codes import (
    ALL_AVAILABLE,
    NOT_ALL_AVAILABLE,
    NOT_FOUND,
    print_error,
    print_line,
    run,
    time_limit,
)
from .image_output import (
    COLUMNS,
    defect_rows,
    image_name,
    image_rows,
    print_lines,
    print_plan,
    report_json,
)
from .options import (
    AllowInsecureEndpoint,
    Concurrency,
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
from .references import check_image_source, private_repository, split_reference
from .stdio import Output, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client.images import ImageReport

_REPOSITORY = typer.Argument(
    metavar="REPOSITORY",
    help="A repository's name (team/app), registry URI or ARN.",
    show_default=False,
)
_AS_JSON = typer.Option("--json", help="Print JSON, one object per line, instead of a table.")


def plan(  # noqa: PLR0913 (the options)
    image_source: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE_SOURCE",
            help=(
                "An OCI layout (a directory or a tar archive), an archive of docker save, or a "
                "manifest's JSON. Archives may be gzipped."
            ),
            show_default=False,
        ),
    ],
    repository: Annotated[str, _REPOSITORY],
    *,
    image: ImageName = None,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    allow_insecure_endpoint: AllowInsecureEndpoint = False,
    timeout: Timeout = None,
    as_json: Annotated[bool, _AS_JSON] = False,
    quiet: Quiet = False,
    concurrency: Concurrency = 10,
) -> None:
    """Show what a push of an image would upload. Nothing is uploaded.

    \b
    Examples:
      ecr-layers plan ./layout team/app
      ecr-layers plan ./layout public.ecr.aws/team/app
      docker save app:1 | gzip > app.tar.gz
      ecr-layers plan app.tar.gz team/app --json

    \b
    Each blob (a layer or a config) is printed with one word:
      upload   the repository does not have the blob; a note says if only archived
               images have it, or if ECR gave no clear answer
      present  the repository has the blob: a push skips it
      skip     a foreign layer, which registries do not store

    The command does not check whether the repository has the manifests. To check that an image
    exists, use ecr-layers verify.

    The caller needs the IAM action ecr:BatchCheckLayerAvailability on the repository. For ECR
    Public, IAM actions begin with ecr-public in place of ecr.
    """  # noqa: D301 (typer's mark of lines to keep as they are)

    async def make_plan() -> int:
        from ecr_layer_client._models.public_repository import any_repository
        from ecr_layer_client.images import ImageSource

        parsed = any_repository(repository)
        config = _config(concurrency, allow_http=allow_insecure_endpoint)
        client = make_client_of_service(parsed, region, profile, endpoint_url, config)

        with waiting("reading the image", quiet=quiet) as show_step:
            # In a daemon thread, Ctrl-C need not wait for the read.
            source = await in_thread(partial(ImageSource.from_path, image_source))
            if image is not None:
                source = source.select(image)
            show_step("checking its blobs")
            async with client:
                planned = await client.plan_push(parsed, source)

        await print_plan(planned, as_json=as_json, quiet=quiet)
        return ALL_AVAILABLE if planned.all_blobs_present else NOT_ALL_AVAILABLE

    check_image_source(image_source, "IMAGE_SOURCE")
    run(make_plan(), timeout)


def verify(  # noqa: PLR0913 (the options)
    image: Annotated[
        str,
        typer.Argument(
            metavar="REPOSITORY:TAG",
            help=(
                "An image: team/app:1.0 or team/app@sha256:... "
                "If you pass both, the tag is ignored."
            ),
            show_default=False,
        ),
    ],
    *,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    allow_insecure_endpoint: AllowInsecureEndpoint = False,
    timeout: Timeout = None,
    as_json: Annotated[bool, _AS_JSON] = False,
    quiet: Quiet = False,
    concurrency: Concurrency = 10,
) -> None:
    """Check that an image is complete. Nothing is downloaded.

    In a complete image, every manifest exists, and every blob is available and has the right size.

    \b
    Examples:
      ecr-layers verify team/app:1.0 && deploy
      ecr-layers verify team/app@sha256:4f4f...b1 --region eu-west-1 --json

    The caller needs the IAM actions ecr:BatchGetImage and ecr:BatchCheckLayerAvailability on the
    repository.
    """  # noqa: D301 (typer's mark of lines to keep as they are)

    async def verify_one() -> int:
        from ecr_layer_client._models.call_errors import RepositoryNotFoundError
        from ecr_layer_client.images._report_builder import NO_SUCH_IMAGE

        name, reference = split_reference(image)
        parsed = private_repository(name, "verify")
        config = _config(concurrency, allow_http=allow_insecure_endpoint)
        async with make_client(parsed, region, profile, endpoint_url, config) as client:
            try:
                with waiting("checking the image", quiet=quiet):
                    report = await client.verify_image(parsed, reference)
            except RepositoryNotFoundError as error:
                print_error(error)
                return NOT_FOUND

        if as_json:
            await print_lines([report_json(report)], quiet=quiet)
        elif report.problem == NO_SUCH_IMAGE:
            print_line(
                f"error: repository {str(parsed)!r} has no image {reference!r}: "
                "check the tag or the digest, or push the image"
            )
        else:
            await print_lines([COLUMNS, *image_rows(report), str(report)], quiet=quiet)

        if report.problem == NO_SUCH_IMAGE:
            return NOT_FOUND
        return ALL_AVAILABLE if report.deployable else NOT_ALL_AVAILABLE

    run(verify_one(), timeout)


def audit(  # noqa: PLR0913 (the options)
    repository: Annotated[str, _REPOSITORY],
    *,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    allow_insecure_endpoint: AllowInsecureEndpoint = False,
    timeout: Timeout = None,
    as_json: Annotated[bool, _AS_JSON] = False,
    quiet: Quiet = False,
    concurrency: Concurrency = 10,
) -> None:
    """Check that every image of a repository is complete, and print those that are not.

    Archived images are skipped.

    \b
    Examples:
      ecr-layers audit team/app
      ecr-layers audit team/app --json |
        jq -r 'select(.deployable | not) | .digest'

    With --json, one line is printed for each image, as soon as its result is known. An image that
    is deleted during the audit is skipped.

    If the command ends early, it first prints what it has found.

    The caller needs the IAM actions ecr:ListImages, ecr:BatchGetImage and
    ecr:BatchCheckLayerAvailability on the repository.
    """  # noqa: D301 (typer's mark of lines to keep as they are)

    async def audit_all() -> int:
        parsed = private_repository(repository, "audit")
        printer = _AuditPrinter(as_json=as_json, quiet=quiet)
        config = _config(concurrency, allow_http=allow_insecure_endpoint)
        async with make_client(parsed, region, profile, endpoint_url, config) as client:
            await printer.print_all(client.audit(parsed), timeout)
        return NOT_ALL_AVAILABLE if printer.broken else ALL_AVAILABLE

    run(audit_all())


class _AuditPrinter:
    """Prints the reports of an audit.

    JSON lines are printed for all images, as they come. Rows for people are printed at the end,
    for the broken images only, even if the audit ends early.
    """

    def __init__(self, *, as_json: bool, quiet: bool = False) -> None:
        self.broken = 0
        self._complete = 0
        self._as_json = as_json
        self._quiet = quiet
        self._output = Output(quiet=quiet)
        self._rows: list[str] = []

    async def print_all(
        self,
        reports: AsyncIterator[ImageReport],
        timeout: float | None = None,  # noqa: ASYNC109 (the error says what was found until then)
    ) -> None:
        from ecr_layer_client._models.errors import ECRLayerError

        try:
            async with time_limit(timeout):
                with self._progress() as show_step:
                    async for report in reports:
                        await self._add(report)
                        show_step(f"{counted(self._total, 'image')}, {self.broken} broken")
            self._rows += [] if self._as_json else [str(self)]
        except asyncio.CancelledError:
            print_line(f"interrupted; until then, {self}")
            raise
        except ECRLayerError as error:
            if self._total:
                error.args = (f"{error}; until then, {self}",)
            raise
        finally:
            for row in self._rows:
                await self._output.write(row)
            await self._output.drain()

    async def _add(self, report: ImageReport) -> None:
        self._complete += report.deployable
        self.broken += not report.deployable
        if self._as_json:
            await self._output.write(report_json(report))
        elif not report.deployable:
            self._rows += [image_name(report), *defect_rows(report)]

    def _progress(self) -> AbstractContextManager[Callable[[str], None]]:
        """Show progress, unless the reports scroll by on the same terminal."""
        if self._as_json and sys.stdout is not None and sys.stdout.isatty():
            return nullcontext(lambda _: None)
        return waiting("checking the images", quiet=self._quiet)

    @property
    def _total(self) -> int:
        return self._complete + self.broken

    def __str__(self) -> str:
        """Return the counts in one line."""
        images = counted(self._total, "image")
        return f"{images}: {self._complete} complete, {self.broken} broken"


def _config(concurrency: int, *, allow_http: bool) -> ClientConfig:
    from ecr_layer_client._models.config import ClientConfig

    return ClientConfig(max_concurrency=concurrency, allow_insecure_endpoint=allow_http)
