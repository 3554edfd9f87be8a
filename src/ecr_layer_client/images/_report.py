"""`ImageReport`: whether an image is whole in its repository; a value."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from pydantic import BaseModel

from ecr_layer_client._models.repository import Repository
from ecr_layer_client._text.quoting import escaped
from ecr_layer_client._visible import Visible

from ._descriptor import Descriptor, Platform

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFECTIVE = ("archived", "absent", "undetermined", "wrong_size")  # the parts whose blobs are defects
_NAMED = 3  # defects that a line names before it only counts


class ImageReport(Visible, BaseModel, frozen=True):
    """What became of an image's manifest and of each blob it names; of an index, of each of its children, too.

    Attributes:
        repository: Where it was looked for.
        reference: The tag or digest that was asked for.
        tags: Its tags, as far as they are known: the one asked for, or all of them in an audit.
        digest: Of its manifest. None when there is none.
        media_type: Of its manifest. None when there is none.
        platform: Of an index's child: what it is for, as the index says. Default None.
        problem: Why the manifest itself can't be used: not found, archived, no manifest. None when it can.
        available: Blobs that the repository holds, with the size that the manifest says.
        archived: Blobs that archived images alone hold: a pull fails.
        absent: Blobs that the repository does not hold.
        undetermined: Blobs of which ECR gave no clear answer.
        wrong_size: Blobs that the repository holds with another size than the manifest says.
        children: Of an index: its children, in its order; an image that serves several platforms once for each.

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
        return tuple(image for child in self.children for image in child.images) if self.children else (self,)

    def _defects(self) -> Iterator[str]:
        where = "" if self.platform is None else f"{escaped(str(self.platform))}: "  # the index's own words, which may be anything
        if self.problem is not None:
            yield f"{where}{_printable(self.problem)}: {self.digest or self.reference}"
        for kind in _DEFECTIVE:
            blobs: tuple[Descriptor, ...] = getattr(self, kind)
            yield from (f"{where}{kind.replace('_', ' ')}: {blob.digest}" for blob in blobs)
        for child in self.children:
            yield from child._defects()  # noqa: SLF001 (of this class)

    def _count(self) -> int:
        """Count the defects without a line for each: what many images share may be wrong of each of them."""
        own = (self.problem is not None) + sum(len(getattr(self, kind)) for kind in _DEFECTIVE)
        return own + sum(child._count() for child in self.children)  # noqa: SLF001 (of this class)

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """Give one bounded line."""
        yield from (("repository", str(self.repository)), ("reference", self.reference), ("digest", self.digest))
        yield from (("images", len(self.images)), ("deployable", self.deployable), ("defects", self._count()))

    def __bool__(self) -> bool:
        """Refuse: a report has no truth value.

        Raises:
            TypeError: Always.
        """
        msg = "an ImageReport has no truth value: ask report.deployable"
        raise TypeError(msg)

    def __str__(self) -> str:
        """One line for people: the image, and what is wrong with it."""
        name = f"{self.repository}{'@' if ':' in self.reference else ':'}{self.reference}"
        count = self._count()
        shown = "; ".join(map(_printable, islice(self._defects(), _NAMED)))
        return f"{name}: {shown}{'; ...' if count > _NAMED else ''} ({count} in all)" if count else f"{name}: whole"


def _printable(text: str) -> str:
    return text if text.isprintable() else escaped(text)
