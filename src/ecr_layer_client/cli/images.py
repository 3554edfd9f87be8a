"""`ecr-layers plan`, `verify` and `audit`: what a push would upload, and whether images are whole."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecr_layer_client._text.byte_sizes import human_bytes
from ecr_layer_client._text.plurals import counted

from .exit_codes import ALL_AVAILABLE, NOT_ALL_AVAILABLE, run, say
from .options import AllowInsecureEndpoint, Concurrency, EndpointUrl, Profile, Region, client_of
from .output import shown
from .progress import waiting
from .stdio import Output, _in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractContextManager

    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client.images import ImageReport, PushPlan

_REPOSITORY = typer.Argument(
    metavar="REPOSITORY",
    help="A repository's name (team/app), its registry URI or its ARN.",
    show_default=False,
)
_AS_JSON = typer.Option("--json", help="Print JSON, one object a line, and no table.")
_LONGEST_PLATFORM = 40  # characters
_COLUMNS = f"{'IMAGE':<7}  {'PLATFORM':<16}  {'BLOBS':>6}  {'SIZE':>9}  DIGEST"


def plan(  # noqa: PLR0913 (the options)
    image_source: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE_SOURCE",
            help="An OCI layout (a directory or a tar archive), an archive of docker save, or a manifest's JSON; archives may be gzipped.",
            show_default=False,
        ),
    ],
    repository: Annotated[str, _REPOSITORY],
    *,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    allow_insecure_endpoint: AllowInsecureEndpoint = False,
    as_json: Annotated[bool, _AS_JSON] = False,
    concurrency: Concurrency = 10,
) -> None:
    """Say what a push of an image would upload; nothing is uploaded.

    \b
    Examples:
      ecr-layers plan ./layout team/app
      docker save app:1 | gzip > app.tar.gz; ecr-layers plan app.tar.gz team/app --json

    \b
    What is printed, a word for each blob:
      upload   the repository does not hold it; or, as a note says, only archived images do, or
      nobody is sure present  held: a push skips it skip     a foreign layer, which no registry
      stores

    The manifests are not asked after, for a push puts them in any case: whether the image is there,
    ecr-layers verify says.

    \b
    Exit codes:
      0    the repository holds every blob: a push uploads none, and puts the manifests alone
      1    something is to be uploaded
      2    an error, in one line on standard error
      130  interrupted; 143 by SIGTERM, 141 where nobody reads on

    The caller needs the IAM action ecr:BatchCheckLayerAvailability on the repository.
    """  # noqa: D301 (typer's mark of lines to keep as they are)

    async def ask() -> int:
        from ecr_layer_client._models.repository import Repository
        from ecr_layer_client.images import ImageSource

        where = Repository.parse(repository)
        client = client_of(
            where,
            region,
            profile,
            endpoint_url,
            _config(concurrency, insecure=allow_insecure_endpoint),
        )
        with waiting("reading the image") as told:
            source = await _in_thread(
                partial(ImageSource.from_path, image_source)
            )  # one that Ctrl-C need not wait for
            told("checking its blobs")
            async with client:
                planned = await client.plan_push(where, source)
        await _print([_plan_json(planned)] if as_json else [*_plan_rows(planned), str(planned)])
        return ALL_AVAILABLE if planned.all_blobs_present else NOT_ALL_AVAILABLE

    if image_source == "-":
        message = "an image is read in more than one pass, so it can't come from a pipe: save it to a file"
        raise typer.BadParameter(message, param_hint="IMAGE_SOURCE")
    run(ask())


def verify(  # noqa: PLR0913 (the options)
    image: Annotated[
        str,
        typer.Argument(
            metavar="REPOSITORY:TAG",
            help="An image: team/app:1.0, or team/app@sha256:...; of both, the digest counts.",
            show_default=False,
        ),
    ],
    *,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    allow_insecure_endpoint: AllowInsecureEndpoint = False,
    as_json: Annotated[bool, _AS_JSON] = False,
    concurrency: Concurrency = 10,
) -> None:
    """Look whether an image is whole: every manifest there, every blob available and of the right size. Nothing is downloaded.

    \b
    Examples:
      ecr-layers verify team/app:1.0 && deploy
      ecr-layers verify 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app@sha256:4f4f...b1
      --json

    \b
    Exit codes:
      0    whole, on every platform
      1    something is missing, archived or of another size; or there is no such image
      2    an error, in one line on standard error
      130  interrupted; 143 by SIGTERM, 141 where nobody reads on

    The caller needs the IAM actions ecr:BatchGetImage and ecr:BatchCheckLayerAvailability on the
    repository.
    """  # noqa: D301 (typer's mark of lines to keep as they are)

    async def ask() -> int:
        from ecr_layer_client._models.repository import Repository

        name, reference = _parted(image)
        where = Repository.parse(name)
        async with client_of(
            where,
            region,
            profile,
            endpoint_url,
            _config(concurrency, insecure=allow_insecure_endpoint),
        ) as client:
            with waiting("looking at the image"):
                report = await client.verify_image(where, reference)
        await _print(
            [_report_json(report)] if as_json else [_COLUMNS, *_image_rows(report), str(report)]
        )
        return ALL_AVAILABLE if report.deployable else NOT_ALL_AVAILABLE

    run(ask())


def audit(  # noqa: PLR0913 (the options)
    repository: Annotated[str, _REPOSITORY],
    *,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    allow_insecure_endpoint: AllowInsecureEndpoint = False,
    as_json: Annotated[bool, _AS_JSON] = False,
    concurrency: Concurrency = 10,
) -> None:
    """Look whether each image of a repository is whole, archived ones left aside.

    Print those that are not.

    \b
    Examples:
      ecr-layers audit team/app
      ecr-layers audit team/app --json | jq -r 'select(.deployable | not) | .digest'

    With --json there is a line for every image, as soon as it is known. An image that is deleted
    meanwhile is left out.

    \b
    Exit codes:
      0    all are whole
      1    some are not
      2    an error, in one line on standard error; what was found before it is printed
      130  interrupted; what was found before is printed; 143 by SIGTERM, 141 where nobody reads on

    The caller needs the IAM actions ecr:ListImages, ecr:BatchGetImage and
    ecr:BatchCheckLayerAvailability on the repository.
    """  # noqa: D301 (typer's mark of lines to keep as they are)

    async def ask() -> int:
        from ecr_layer_client._models.repository import Repository

        where = Repository.parse(repository)
        printer = _AuditPrinter(as_json=as_json)
        async with client_of(
            where,
            region,
            profile,
            endpoint_url,
            _config(concurrency, insecure=allow_insecure_endpoint),
        ) as client:
            await printer.print_all(client.audit(where))
        return NOT_ALL_AVAILABLE if printer.broken else ALL_AVAILABLE

    run(ask())


class _AuditPrinter:
    """Prints reports: as JSON all of them as they come.

    For people, at the end, those that are not whole; however it ends.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.broken = 0
        self._whole = 0
        self._as_json = as_json
        self._output = Output()
        self._rows: list[str] = []

    async def print_all(self, reports: AsyncIterator[ImageReport]) -> None:
        from ecr_layer_client._models.errors import ECRLayerError

        try:
            with self._progress() as told:
                async for report in reports:
                    await self._add(report)
                    told(f"{counted(self._whole + self.broken, 'image')}, {self.broken} not whole")
            self._rows += [] if self._as_json else [str(self)]
        except asyncio.CancelledError:
            say(f"interrupted; until then, {self}")
            raise
        except ECRLayerError as error:
            if self._whole + self.broken:
                error.args = (f"{error}; until then, {self}",)
            raise
        finally:
            for row in self._rows:
                await self._output.write(row)
            await self._output.drain()

    async def _add(self, report: ImageReport) -> None:
        self._whole += report.deployable
        self.broken += not report.deployable
        if self._as_json:
            await self._output.write(_report_json(report))
        elif not report.deployable:
            self._rows += [_name(report), *_defect_rows(report)]

    def _progress(self) -> AbstractContextManager[Callable[[str], None]]:
        """Show how far it is, unless what is printed as it comes shows that on the same terminal."""
        if self._as_json and sys.stdout is not None and sys.stdout.isatty():
            return nullcontext(lambda _: None)
        return waiting("looking at the images")

    def __str__(self) -> str:
        """One line of counts."""
        return (
            f"{counted(self._whole + self.broken, 'image')}: {self._whole} whole, {self.broken} not"
        )


def _config(concurrency: int, *, insecure: bool) -> ClientConfig:
    from ecr_layer_client._models.config import ClientConfig

    return ClientConfig(max_concurrency=concurrency, allow_insecure_endpoint=insecure)


def _parted(image: str) -> tuple[str, str]:
    """Return the repository and the reference of an image's name.

    Of a tag and a digest the digest, as Docker and Kubernetes have it.

    Raises:
        InvalidInputError: It has no reference, or a tag or digest that is none.
    """
    from ecr_layer_client._models.errors import InvalidInputError
    from ecr_layer_client.images._operations import checked_reference, is_digest

    name, at, digest = image.rpartition("@")
    path, slash, last = (name if at else image).rpartition("/")
    last, colon, tag = last.partition(":")
    if colon:
        checked_reference(tag)
    if at:
        if not is_digest(digest):
            message = f"{image!r} has no digest behind '@': a tag is appended with ':'"
            raise InvalidInputError(message)
        return f"{path}{slash}{last}", digest
    if not colon:
        message = f"{image!r} names no image: append ':' and a tag, or '@' and a digest"
        raise InvalidInputError(message)
    return f"{path}{slash}{last}", tag


async def _print(lines: list[str]) -> None:
    output = Output()
    for line in lines:
        await output.write(line)
    await output.drain()


def _plan_rows(planned: PushPlan) -> Iterator[str]:
    notes = {blob.digest: "  (archived)" for blob in planned.archived} | {
        blob.digest: "  (undetermined)" for blob in planned.undetermined
    }
    yield f"{'ACTION':<7}  {'SIZE':>9}  DIGEST"
    for action, blobs in (
        ("upload", planned.to_upload),
        ("present", planned.present),
        ("skip", planned.foreign),
    ):
        for blob in blobs:
            size = "-" if blob.size is None else human_bytes(blob.size)
            yield f"{action:<7}  {size:>9}  {shown(blob.digest)}{notes.get(blob.digest, '')}"


def _plan_json(planned: PushPlan) -> str:
    names = (
        "bytes_to_upload",
        "bytes_present",
        "bytes_foreign",
        "seconds_at_quota",
        "all_blobs_present",
    )
    totals = {name: getattr(planned, name) for name in names}
    return json.dumps(
        planned.model_dump(mode="json") | {"repository": str(planned.repository)} | totals
    )


def _report_json(report: ImageReport) -> str:
    return json.dumps(_report_members(report))


def _report_members(report: ImageReport) -> dict[str, Any]:
    """Return a report's members; those of an index's images are the same ones."""
    members: dict[str, Any] = report.model_dump(mode="json", exclude={"children"}) | {
        "repository": str(report.repository)
    }
    members["children"] = [_report_members(child) for child in report.children]
    return members | {"deployable": report.deployable, "defects": report.defects}


def _image_rows(report: ImageReport) -> Iterator[str]:
    for image in report.images:
        blobs = (
            *image.available,
            *image.archived,
            *image.absent,
            *image.undetermined,
            *image.wrong_size,
        )
        size = human_bytes(sum(blob.size or 0 for blob in blobs))
        platform = "-" if image.platform is None else shown(str(image.platform), _LONGEST_PLATFORM)
        word = "whole" if image.deployable else "broken"
        yield f"{word:<7}  {platform:<16}  {len(blobs):>6}  {size:>9}  {shown(image.digest or '-')}"
    yield from _defect_rows(report)


def _defect_rows(report: ImageReport) -> Iterator[str]:
    yield from (f"  {shown(defect)}" for defect in report.defects)


def _name(report: ImageReport) -> str:
    return (
        f"{shown(report.digest or report.reference)}  {shown(', '.join(report.tags) or '(no tag)')}"
    )
