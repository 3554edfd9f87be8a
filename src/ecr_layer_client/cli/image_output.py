"""Plans of pushes and reports of images, as rows for people and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ecr_layer_client._text.byte_sizes import human_bytes

from .output import shown
from .stdio import Output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ecr_layer_client.images import ImageReport, PushPlan

_MAX_PLATFORM_LENGTH = 40
COLUMNS = f"{'IMAGE':<8}  {'PLATFORM':<16}  {'BLOBS':>6}  {'SIZE':>9}  DIGEST"


async def print_lines(lines: Iterable[str], *, quiet: bool) -> None:
    """Print lines on standard output, unless `quiet`.

    Raises:
        OSError: Standard output, or the pipe behind it, is closed or full.
    """
    output = Output(quiet=quiet)
    for line in lines:
        await output.write(line)
    await output.drain()


async def print_plan(planned: PushPlan, *, as_json: bool, quiet: bool, verb: str = "push") -> None:
    """Print a plan, as JSON or as a table and a summary.

    Args:
        planned: The plan.
        as_json: Whether to print JSON.
        quiet: Whether to print nothing.
        verb: What is planned. Default a push.

    Raises:
        OSError: As of `print_lines`.
    """
    summary = f"{verb}{str(planned).removeprefix('push')}"
    lines = [_plan_json(planned)] if as_json else [*_plan_rows(planned), summary]
    await print_lines(lines, quiet=quiet)


def _plan_rows(planned: PushPlan) -> Iterator[str]:
    """Yield the rows of a plan: an action for each blob."""
    notes = {blob.digest: "  (archived)" for blob in planned.archived} | {
        blob.digest: "  (undetermined)" for blob in planned.undetermined
    }
    actions = {"upload": planned.to_upload, "present": planned.present, "skip": planned.foreign}

    yield f"{'ACTION':<7}  {'SIZE':>9}  DIGEST"
    for action, blobs in actions.items():
        for blob in blobs:
            size = "-" if blob.size is None else human_bytes(blob.size)
            yield f"{action:<7}  {size:>9}  {shown(blob.digest)}{notes.get(blob.digest, '')}"


def _plan_json(planned: PushPlan) -> str:
    """Return a plan and its totals as a JSON object."""
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


def report_json(report: ImageReport) -> str:
    """Return a report as a JSON object."""
    return json.dumps(_report_members(report))


def _report_members(report: ImageReport) -> dict[str, Any]:
    """Return a report's members. The images of an index have the same members as the index."""
    members: dict[str, Any] = report.model_dump(mode="json", exclude={"children"}) | {
        "repository": str(report.repository)
    }
    members["children"] = [_report_members(child) for child in report.children]
    return members | {"deployable": report.deployable, "defects": report.defects}


def image_rows(report: ImageReport) -> Iterator[str]:
    """Yield the rows under `COLUMNS`: one for each image, and one for each defect."""
    for image in report.images:
        blobs = (
            *image.available,
            *image.archived,
            *image.absent,
            *image.undetermined,
            *image.wrong_size,
        )
        size = human_bytes(sum(blob.size or 0 for blob in blobs))
        platform = (
            "-" if image.platform is None else shown(str(image.platform), _MAX_PLATFORM_LENGTH)
        )
        state = "complete" if image.deployable else "broken"

        yield (
            f"{state:<8}  {platform:<16}  {len(blobs):>6}  {size:>9}  {shown(image.digest or '-')}"
        )

    yield from defect_rows(report)


def defect_rows(report: ImageReport) -> Iterator[str]:
    """Yield a row for each defect."""
    yield from (f"  {shown(defect)}" for defect in report.defects)


def image_name(report: ImageReport) -> str:
    """Return the digest and the tags of an image in one row."""
    tags = ", ".join(report.tags) or "(no tag)"
    return f"{shown(report.digest or report.reference)}  {shown(tags)}"
