"""`described`: the description of each object that shows itself."""

from __future__ import annotations

from functools import singledispatch
from heapq import nlargest
from itertools import chain
from typing import TYPE_CHECKING

from ecr_layer_client._checks.many import ManyLayerStream
from ecr_layer_client._checks.stream import LayerStream
from ecr_layer_client._checks.waiting import AvailabilityStream
from ecr_layer_client._models.layer import Layer, LayerAvailability, LayerFailure
from ecr_layer_client._models.result import LayerCheckResult
from ecr_layer_client._models.results import LayerCheckResults
from ecr_layer_client._text.byte_sizes import human_bytes
from ecr_layer_client._text.plurals import counted
from ecr_layer_client._text.quoting import line, short
from ecr_layer_client.images import ImageReport, PushPlan

from ._cells import Bytes
from ._description import MOST_ROWS, Description, Part, Table, Tone, first_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ecr_layer_client import ByRepository, CallError, LayerOutcome, Progress
    from ecr_layer_client.images import Descriptor

    Row = tuple[str | int, ...]


@singledispatch
def described(shown: object) -> Description:
    """Describe a result, a plan, a report or a stream.

    Raises:
        TypeError: It is something else.
    """
    msg = f"a {type(shown).__name__} has no description"
    raise TypeError(msg)


# -- results ----------------------------------------------------------------------------------------------------------


@described.register
def _(result: LayerCheckResult) -> Description:
    unclear = [result[digest] for digest in result.undetermined[:MOST_ROWS]]
    tables = first_rows("Undetermined", ("digest", "answer", "reason"), map(_unclear_row, unclear), len(result.undetermined))
    return Description(f"Layers of {line(result.repository)}", _verdict([result]), _result_parts([result]), tables=tuple(tables))


@described.register
def _(results: LayerCheckResults) -> Description:
    every = list(results.values())
    lacking = [result for result in every if not result.all_available]
    title = f"Layers of {counted(len(results) + len(results.errors), 'repository')}"
    verdict = f"{_verdict(every)}; {counted(len(results.errors), 'repository')} failed" if results.errors else _verdict(every)
    columns = ("repository", "asked", "available", "absent", "other")
    most = (_repository_row(result) for result in nlargest(MOST_ROWS, lacking, key=lambda result: len(result.not_available)))
    tables = chain(_errors(results.errors), first_rows("Repositories that lack most", columns, most, len(lacking)))
    return Description(title, verdict, _result_parts(every), tables=tuple(tables))


def _verdict(results: list[LayerCheckResult]) -> str:
    asked = sum(len(result) + len(result.unanswered) for result in results)
    available = sum(len(result.available) for result in results)
    if not asked:
        return "nothing was asked"
    if available == asked:
        return f"{'all ' if asked > 1 else ''}{counted(asked, 'layer')} available"
    return f"{available:,} of {counted(asked, 'layer')} available"


def _result_parts(results: list[LayerCheckResult]) -> tuple[Part, ...]:
    layers = [layer for result in results for layer in result.layers]

    def count(group: str) -> int:
        return sum(len(getattr(result, group)) for result in results)

    return (
        Part("available", Tone.GOOD, count("available"), _bytes_of(layers, LayerAvailability.AVAILABLE)),
        Part("archived", Tone.HELD, count("archived"), _bytes_of(layers, LayerAvailability.ARCHIVED)),
        Part("absent", Tone.NEW, count("absent")),
        Part("undetermined", Tone.BAD, count("undetermined")),
        Part("unanswered", Tone.REST, count("unanswered")),
    )


def _bytes_of(layers: Iterable[Layer], availability: LayerAvailability) -> int | None:
    sizes = [layer.size for layer in layers if layer.availability is availability and layer.size is not None]
    return sum(sizes) if sizes else None


def _unclear_row(outcome: LayerOutcome) -> Row:
    if isinstance(outcome, LayerFailure):
        return short(outcome.digest), line(outcome.raw_code or outcome.code), line(outcome.reason or "")
    return short(outcome.digest), line(outcome.raw_availability or outcome.availability), ""


def _repository_row(result: LayerCheckResult) -> Row:
    other = len(result.not_available) - len(result.absent)
    return line(result.repository), len(result) + len(result.unanswered), len(result.available), len(result.absent), other


def _errors(errors: ByRepository[CallError]) -> Iterable[Table]:
    rows = ((line(repository), type(error).__name__, line(error, 200)) for repository, error in errors.items())
    return first_rows("Failed", ("repository", "error", "message"), rows, len(errors))


# -- images -----------------------------------------------------------------------------------------------------------


@described.register
def _(plan: PushPlan) -> Description:
    where = "" if plan.repository is None else f" to {line(plan.repository)}"
    again = plan.archived + plan.undetermined
    verdict = "every blob is there: only manifests are put"
    if plan.to_upload:
        at_least = "at least " if plan.unknown_sizes else ""
        verdict = f"{counted(len(plan.to_upload), 'blob')} to upload, {at_least}{human_bytes(plan.bytes_to_upload)}"
    parts = (
        Part("present", Tone.GOOD, len(plan.present), plan.bytes_present),
        Part("to upload", Tone.NEW, len(plan.to_upload) - len(again), plan.bytes_to_upload - _bytes(again)),
        Part("to upload, archived", Tone.HELD, len(plan.archived), _bytes(plan.archived)),
        Part("to upload, undetermined", Tone.BAD, len(plan.undetermined), _bytes(plan.undetermined)),
        Part("foreign, not pushed", Tone.REST, len(plan.skipped), plan.bytes_skipped),
    )
    largest = nlargest(MOST_ROWS, plan.to_upload, key=lambda blob: blob.size or 0)
    rows = ((short(blob.digest), "unknown" if blob.size is None else Bytes(blob.size), line(blob.media_type)) for blob in largest)
    tables = first_rows("Largest uploads", ("digest", "size", "media type"), rows, len(plan.to_upload))
    title = f"Push of {counted(len(plan.manifests), 'manifest')}{where}"
    return Description(title, verdict, parts, by_size=True, facts=tuple(_plan_facts(plan)), tables=tuple(tables))


def _plan_facts(plan: PushPlan) -> Iterator[tuple[str, str]]:
    if plan.shared_bytes:
        yield "shared between the images", human_bytes(plan.shared_bytes)
    if plan.unknown_sizes:
        yield "of unknown size", counted(len(plan.unknown_sizes), "blob")
    calls = [f"{count:,} {line(operation)}" for operation, count in plan.calls.items() if count]
    yield "calls", ", ".join(calls[:MOST_ROWS]) or "none"
    yield "at ECR's quotas", f"at least {plan.seconds_at_quota:,.2f} s"


@described.register
def _(report: ImageReport) -> Description:
    every = list(_reports(report))
    total = len(report.defects)
    name = f"{line(report.repository)}{'@' if ':' in report.reference else ':'}{short(report.reference)}"
    verdict = "whole: every manifest and blob is there" if report.deployable else f"not deployable: {counted(total, 'defect')}"
    parts = tuple(
        Part(label, tone, len(blobs), _bytes(blobs.values()))
        for label, tone, kind in (
            ("available", Tone.GOOD, "available"),
            ("archived", Tone.HELD, "archived"),
            ("absent", Tone.NEW, "absent"),
            ("wrong size", Tone.BAD, "wrong_size"),
            ("undetermined", Tone.REST, "undetermined"),
        )
        for blobs in [{blob.digest: blob for each in every for blob in getattr(each, kind)}]
    )
    first = 0 if report.children else 1  # a single image has no platform here
    defects = first_rows("Defects", ("platform", "what", "digest")[first:], (row[first:] for row in _defect_rows(every)), total)
    images = report.images if report.children else ()
    platforms = first_rows("Images", ("platform", "blobs", "state"), map(_image_row, images), len(images))
    return Description(f"Image {name}", verdict, parts, facts=tuple(_report_facts(report)), tables=(*defects, *platforms))


def _reports(report: ImageReport) -> Iterator[ImageReport]:
    yield report
    for child in report.children:
        yield from _reports(child)


def _report_facts(report: ImageReport) -> Iterator[tuple[str, str]]:
    if report.digest is not None:
        yield "digest", short(report.digest)
    if report.tags:
        more = f" and {len(report.tags) - MOST_ROWS:,} more" if len(report.tags) > MOST_ROWS else ""
        yield "tags", ", ".join(line(tag) for tag in report.tags[:MOST_ROWS]) + more
    if report.media_type is not None:
        yield "media type", line(report.media_type)


def _defect_rows(reports: Iterable[ImageReport]) -> Iterator[Row]:
    for report in reports:
        platform = "" if report.platform is None else line(report.platform)
        if report.problem is not None:
            yield platform, line(report.problem), short(report.digest or report.reference)
        for kind in ("archived", "absent", "undetermined", "wrong_size"):
            yield from ((platform, kind.replace("_", " "), short(blob.digest)) for blob in getattr(report, kind))


def _image_row(report: ImageReport) -> Row:
    blobs = sum(map(len, (report.available, report.archived, report.absent, report.undetermined, report.wrong_size)))
    state = "whole" if report.deployable else counted(len(report.defects), "defect")
    return "not said" if report.platform is None else line(report.platform), blobs, state


def _bytes(blobs: Iterable[Descriptor]) -> int:
    return sum(blob.size or 0 for blob in blobs)


# -- streams ----------------------------------------------------------------------------------------------------------


@described.register
def _(stream: LayerStream) -> Description:
    return _moving(f"Checking layers of {line(stream.repository)}", stream.progress)


@described.register
def _(stream: ManyLayerStream) -> Description:
    return _moving("Checking layers of many repositories", stream.progress, _errors(stream.errors))


@described.register
def _(stream: AvailabilityStream) -> Description:
    progress = stream.progress
    total = progress.pulled if progress.total is None else progress.total
    parts = Part("available", Tone.GOOD, progress.answered), Part("waited for", Tone.REST, total - progress.answered)
    return Description(f"Waiting for layers of {line(stream.repository)}", _so_far(progress, "available"), parts)


def _moving(title: str, progress: Progress, tables: Iterable[Table] = ()) -> Description:
    total = progress.pulled if progress.total is None else progress.total
    parts = (
        Part("answered", Tone.GOOD, progress.answered),
        Part("asked, not answered", Tone.HELD, progress.pulled - progress.answered),
        Part("to come", Tone.REST, total - progress.pulled),
    )
    return Description(title, _so_far(progress, "answered"), parts, tables=tuple(tables))


def _so_far(progress: Progress, what: str) -> str:
    if progress.total is not None:
        return f"{progress.answered:,} of {counted(progress.total, 'digest')} {what}"
    if not progress.pulled:
        return "nothing asked yet"
    return f"{progress.answered:,} of {counted(progress.pulled, 'digest')} {what} so far"
