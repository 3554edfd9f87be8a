"""`ImageReport`: a value that says whether an image is complete in its repository."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from pydantic import BaseModel

from ecr_layer_client._models.repository import Repository
from ecr_layer_client._models.tables import TableMixin
from ecr_layer_client._text.plurals import counted
from ecr_layer_client._text.quoting import escaped, line, printable, short
from ecr_layer_client._text.truth import no_truth_value
from ecr_layer_client.display import MOST_ROWS, Description, DisplayMixin, Part, Tone, first_rows

from ._descriptor import Descriptor, Platform, each_once

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from ecr_layer_client.display import Table

# The parts whose blobs are defects.
_DEFECTIVE = ("archived", "absent", "undetermined", "wrong_size")
_PARTS = (
    ("available", Tone.GOOD),
    ("archived", Tone.HELD),
    ("absent", Tone.NEW),
    ("wrong_size", Tone.BAD),
    ("undetermined", Tone.REST),
)
# A line names this many defects and only counts the others.
_MAX_NAMED_DEFECTS = 3

_INSTEAD_OF_TRUTH = "report.deployable"


class ImageReport(TableMixin, DisplayMixin, BaseModel, frozen=True):
    """The state of an image's manifest and of each blob in it.

    The report of an index also has a report for each of its children. As a table, a report has one
    row for each of its `images`.

    Attributes:
        repository: The repository of the image.
        reference: The tag or digest that was requested.
        tags: The known tags of the image: the requested tag, or in an audit all tags.
        digest: The digest of the manifest. None if the manifest does not exist.
        media_type: The media type of the manifest. None if the manifest does not exist.
        platform: The platform that an index gives for this child. Default None.
        problem: The reason why the manifest itself can't be used: not found, archived, or not a
            valid manifest. None if it can be used.
        available: Blobs that the repository holds with the size in the manifest.
        archived: Blobs that only archived images hold, so that a pull fails.
        absent: Blobs that the repository does not hold.
        undetermined: Blobs for which ECR gave no clear answer.
        wrong_size: Blobs that the repository holds with another size than the manifest says.
        children: One report for each child of an index, in the order of the index. If an index
            lists an image for several platforms, there is one report for each of these.

    Example:
        >>> repository = Repository(name="team/app")
        >>> report = ImageReport(repository=repository, reference="latest", problem="archived")
        >>> report.deployable, report.defects
        (False, ('archived: latest',))
    """

    repository: Repository
    reference: str
    tags: tuple[str, ...] = ()
    digest: str | None = None
    media_type: str | None = None
    platform: Platform | None = None
    problem: str | None = None
    available: tuple[Descriptor, ...] = ()
    archived: tuple[Descriptor, ...] = ()
    absent: tuple[Descriptor, ...] = ()
    undetermined: tuple[Descriptor, ...] = ()
    wrong_size: tuple[Descriptor, ...] = ()
    children: tuple[ImageReport, ...] = ()

    @property
    def deployable(self) -> bool:
        """Whether each manifest exists, and each blob is available with the right size.

        Foreign layers don't count.
        """
        return next(self._defects(), None) is None

    @property
    def defects(self) -> tuple[str, ...]:
        """One line for each defect: its platform, its kind, and the digest."""
        return tuple(self._defects())

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The configs and layers of all images, each digest once, whatever their state."""
        return each_once(
            blob for report in self._tree() for kind, _ in _PARTS for blob in getattr(report, kind)
        )

    @property
    def images(self) -> tuple[ImageReport, ...]:
        """The reports of all images of an index, or only this report for a single image."""
        if not self.children:
            return (self,)
        return tuple(image for child in self.children for image in child.images)

    def _reader(self) -> pa.RecordBatchReader:
        from ._record_batches import image_reader  # noqa: PLC0415 (optional)

        return image_reader(image_rows([self]))

    def _defects(self) -> Iterator[str]:
        # The platform is text from the index, so it may contain anything.
        where = "" if self.platform is None else f"{escaped(str(self.platform))}: "

        if self.problem is not None:
            yield f"{where}{printable(self.problem)}: {self.digest or self.reference}"

        for kind in _DEFECTIVE:
            blobs: tuple[Descriptor, ...] = getattr(self, kind)
            yield from (f"{where}{kind.replace('_', ' ')}: {blob.digest}" for blob in blobs)

        for child in self.children:
            yield from child._defects()  # noqa: SLF001 (of this class)

    def _count(self) -> int:
        """Return the number of defects, without building a line for each.

        A defect in a blob that many images share counts for each of them.
        """
        own = (self.problem is not None) + sum(len(getattr(self, kind)) for kind in _DEFECTIVE)
        return own + sum(child._count() for child in self.children)  # noqa: SLF001 (of this class)

    def _describe(self) -> Description:
        total = self._count()
        separator = "@" if ":" in self.reference else ":"
        title = f"Image {line(self.repository)}{separator}{short(self.reference)}"
        verdict = "complete: every manifest and blob exists"
        if total:
            verdict = f"not deployable: {counted(total, 'defect')}"

        return Description(
            title,
            verdict,
            self._parts(),
            facts=tuple(self._facts()),
            tables=(*self._defect_table(total), *self._platform_table()),
        )

    def _tree(self) -> Iterator[ImageReport]:
        yield self
        for child in self.children:
            yield from child._tree()  # noqa: SLF001 (of this class)

    def _parts(self) -> tuple[Part, ...]:
        reports = list(self._tree())
        parts: list[Part] = []
        for kind, tone in _PARTS:
            blobs = {blob.digest: blob for report in reports for blob in getattr(report, kind)}
            size = sum(blob.size or 0 for blob in blobs.values())
            parts.append(Part(kind.replace("_", " "), tone, len(blobs), size))
        return tuple(parts)

    def _facts(self) -> Iterator[tuple[str, str]]:
        if self.digest is not None:
            yield "digest", short(self.digest)
        if self.tags:
            rest = len(self.tags) - MOST_ROWS
            shown = ", ".join(line(tag) for tag in self.tags[:MOST_ROWS])
            yield "tags", f"{shown} and {rest:,} more" if rest > 0 else shown
        if self.media_type is not None:
            yield "media type", line(self.media_type)

    def _defect_table(self, total: int) -> Iterator[Table]:
        # The report of a single image has no platform, so that column is left out.
        first = 0 if self.children else 1
        columns = ("platform", "what", "digest")[first:]
        defects = (report._defect_rows() for report in self._tree())  # noqa: SLF001 (of this class)
        rows = (row[first:] for each in defects for row in each)
        return first_rows("Defects", columns, rows, total)

    def _defect_rows(self) -> Iterator[tuple[str, ...]]:
        platform = "" if self.platform is None else line(self.platform)
        if self.problem is not None:
            yield platform, line(self.problem), short(self.digest or self.reference)

        for kind in _DEFECTIVE:
            for blob in getattr(self, kind):
                yield platform, kind.replace("_", " "), short(blob.digest)

    def _platform_table(self) -> Iterator[Table]:
        images = self.images if self.children else ()
        rows = (image._platform_row() for image in images)  # noqa: SLF001 (of this class)
        return first_rows("Images", ("platform", "blobs", "state"), rows, len(images))

    def _platform_row(self) -> tuple[str | int, ...]:
        blobs = sum(len(getattr(self, kind)) for kind, _ in _PARTS)
        defects = self._count()
        state = counted(defects, "defect") if defects else "complete"
        return "not given" if self.platform is None else line(self.platform), blobs, state

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """Yield the members of a short repr."""
        yield "repository", str(self.repository)
        yield "reference", self.reference
        yield "digest", self.digest
        yield "images", len(self.images)
        yield "deployable", self.deployable
        yield "defects", self._count()

    def __bool__(self) -> bool:
        """Raise an error, because a report has no truth value.

        Raises:
            TypeError: Always.
        """
        raise no_truth_value(self, _INSTEAD_OF_TRUTH)

    def __str__(self) -> str:
        """Return one line for people: the image and its defects."""
        name = f"{self.repository}{'@' if ':' in self.reference else ':'}{self.reference}"
        count = self._count()
        if not count:
            return f"{name}: complete"

        shown = "; ".join(map(printable, islice(self._defects(), _MAX_NAMED_DEFECTS)))
        more = "; ..." if count > _MAX_NAMED_DEFECTS else ""
        return f"{name}: {shown}{more} ({count} in all)"


def image_rows(reports: Iterable[ImageReport]) -> Iterator[Sequence[object]]:
    """Yield the row of each image in a table of reports."""
    for report in reports:
        for image in report.images:
            yield (
                str(report.repository),
                image.digest,
                report.tags,
                None if image.platform is None else str(image.platform),
                image.deployable,
                image.problem == "archived" or bool(image.archived),
                sum(blob.size or 0 for blob in image.blobs),
                [blob.digest for blob in image.blobs],
                image.defects,
            )
