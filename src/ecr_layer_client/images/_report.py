"""`ImageReport`: whether an image is whole in its repository; a value."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from pydantic import BaseModel

from ecr_layer_client._models.repository import Repository
from ecr_layer_client._text.plurals import counted
from ecr_layer_client._text.quoting import escaped, line, printable, short
from ecr_layer_client._text.truth import no_truth_value
from ecr_layer_client.display import MOST_ROWS, Description, DisplayMixin, Part, Tone, first_rows

from ._descriptor import Descriptor, Platform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecr_layer_client.display import Table

_DEFECTIVE = (
    "archived",
    "absent",
    "undetermined",
    "wrong_size",
)  # the parts whose blobs are defects
_PARTS = (
    ("available", Tone.GOOD),
    ("archived", Tone.HELD),
    ("absent", Tone.NEW),
    ("wrong_size", Tone.BAD),
    ("undetermined", Tone.REST),
)
_NAMED = 3  # defects that a line names before it only counts

_INSTEAD_OF_TRUTH = "report.deployable"


class ImageReport(DisplayMixin, BaseModel, frozen=True):
    """What became of an image's manifest and of each blob it names.

    Of an index, of each of its children, too.

    Attributes:
        repository: Where it was looked for.
        reference: The tag or digest that was asked for.
        tags: Its tags, as far as they are known: the one asked for, or all of them in an audit.
        digest: Of its manifest. None when there is none.
        media_type: Of its manifest. None when there is none.
        platform: Of an index's child: what it is for, as the index says. Default None.
        problem: Why the manifest itself can't be used: not found, archived, no manifest. None when
            it can.
        available: Blobs that the repository holds, with the size that the manifest says.
        archived: Blobs that archived images alone hold: a pull fails.
        absent: Blobs that the repository does not hold.
        undetermined: Blobs of which ECR gave no clear answer.
        wrong_size: Blobs that the repository holds with another size than the manifest says.
        children: Of an index: its children, in its order; an image that serves several platforms
            once for each.

    Example:
        >>> report = ImageReport(repository=Repository(name="team/app"), reference="latest", tags=("latest",), problem="archived")
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
        """Whether everything is there: each manifest and each blob, available and of the right size; foreign layers don't count."""
        return next(self._defects(), None) is None

    @property
    def defects(self) -> tuple[str, ...]:
        """A line for each thing that is wrong: for which platform, what, and the digest."""
        return tuple(self._defects())

    @property
    def images(self) -> tuple[ImageReport, ...]:
        """The reports of the single images: of an index those of its children, else this one."""
        return (
            tuple(image for child in self.children for image in child.images)
            if self.children
            else (self,)
        )

    def _defects(self) -> Iterator[str]:
        where = (
            "" if self.platform is None else f"{escaped(str(self.platform))}: "
        )  # the index's own words, which may be anything
        if self.problem is not None:
            yield f"{where}{printable(self.problem)}: {self.digest or self.reference}"
        for kind in _DEFECTIVE:
            blobs: tuple[Descriptor, ...] = getattr(self, kind)
            yield from (f"{where}{kind.replace('_', ' ')}: {blob.digest}" for blob in blobs)
        for child in self.children:
            yield from child._defects()  # noqa: SLF001 (of this class)

    def _count(self) -> int:
        """Count the defects without a line for each: what many images share may be wrong of each of them."""
        own = (self.problem is not None) + sum(len(getattr(self, kind)) for kind in _DEFECTIVE)
        return own + sum(child._count() for child in self.children)  # noqa: SLF001 (of this class)

    def _describe(self) -> Description:
        total = self._count()
        separator = "@" if ":" in self.reference else ":"
        title = f"Image {line(self.repository)}{separator}{short(self.reference)}"
        verdict = "whole: every manifest and blob is there"
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
        # A single image has no platform here.
        first = 0 if self.children else 1
        columns = ("platform", "what", "digest")[first:]
        # Of this class.
        rows = (row[first:] for report in self._tree() for row in report._defect_rows())  # noqa: SLF001
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
        state = counted(defects, "defect") if defects else "whole"
        return "not said" if self.platform is None else line(self.platform), blobs, state

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """Give one bounded line."""
        yield from (
            ("repository", str(self.repository)),
            ("reference", self.reference),
            ("digest", self.digest),
        )
        yield from (
            ("images", len(self.images)),
            ("deployable", self.deployable),
            ("defects", self._count()),
        )

    def __bool__(self) -> bool:
        """Refuse: a report has no truth value.

        Raises:
            TypeError: Always.
        """
        raise no_truth_value(self, _INSTEAD_OF_TRUTH)

    def __str__(self) -> str:
        """One line for people: the image, and what is wrong with it."""
        name = f"{self.repository}{'@' if ':' in self.reference else ':'}{self.reference}"
        count = self._count()
        shown = "; ".join(map(printable, islice(self._defects(), _NAMED)))
        return (
            f"{name}: {shown}{'; ...' if count > _NAMED else ''} ({count} in all)"
            if count
            else f"{name}: whole"
        )
