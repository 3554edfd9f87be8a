"""Builds reports from the manifests that were found and the outcomes of their blobs.

This module sends no request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ecr_layer_client._models.layer import Layer, group_of
from ecr_layer_client._text.quoting import escaped, quoted

from ._manifest import ImageIndex
from ._manifest_tree import Manifest
from ._operations import NotGiven, is_digest
from ._report import ImageReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.repository import Repository

    from ._descriptor import Descriptor

NOT_FOUND = "ImageNotFound"  # ECR model: an ImageFailureCode
NO_SUCH_IMAGE = f"not found ({NOT_FOUND})"
# ECR model: an ImageFailureCode. ECR returns it for an archived image.
INACCESSIBLE = "ImageInaccessible"

Found = dict[str, Manifest | NotGiven]


def below(manifest: Manifest) -> tuple[Descriptor, ...]:
    """Return the manifests that a manifest names, each once per platform. An image names none."""
    return manifest.children if isinstance(manifest, ImageIndex) else ()


class Reporting:
    """Builds the reports of one repository's images.

    Args:
        repository: The repository.
        found: The manifests by reference, or the reason why there is none.
        outcomes: The outcomes of the blobs by digest.
    """

    def __init__(
        self, repository: Repository, found: Found, outcomes: Mapping[str, LayerOutcome]
    ) -> None:
        self._repository = repository
        self._found = found
        self._outcomes = outcomes

    def report(self, reference: str, tags: tuple[str, ...] = ()) -> ImageReport:
        """Return the report of an image that was requested."""
        return self._report(reference, tags, None, {})

    def _report(
        self,
        reference: str,
        tags: tuple[str, ...],
        said: Descriptor | None,
        written: dict[str, ImageReport | None],
    ) -> ImageReport:
        """Return the report of an image or of a child.

        Args:
            reference: A tag or a digest.
            tags: The tags of the image.
            said: The descriptor of a child in its index, or None for the requested image.
            written: The reports by digest, with None for those that are not finished. Their
                children are not visited again.
        """
        manifest = self._found[reference]
        known: dict[str, Any] = {
            "repository": self._repository,
            "reference": reference,
            "tags": tags,
            "platform": said and said.platform,
        }
        own_digest = reference if is_digest(reference) else None
        if isinstance(manifest, NotGiven):
            return ImageReport(problem=_problem(manifest), digest=own_digest, **known)

        return ImageReport(
            digest=own_digest or manifest.digest,
            media_type=manifest.media_type,
            problem=None if said is None else _misfit(manifest, said),
            children=self._children(manifest, written),
            **self._parts(manifest),
            **known,
        )

    def _parts(self, manifest: Manifest) -> dict[str, Any]:
        parts: dict[str, list[Descriptor]] = {}
        for blob in manifest.blobs:
            parts.setdefault(_state(blob, self._outcomes.get(blob.digest)), []).append(blob)
        return {state: tuple(blobs) for state, blobs in parts.items()}

    def _children(
        self, manifest: Manifest, written: dict[str, ImageReport | None]
    ) -> tuple[ImageReport, ...]:
        named = [
            child
            for child in below(manifest)
            if child.digest not in written or self._is_image(child)
        ]
        written.update((child.digest, None) for child in named if child.digest not in written)
        return tuple(self._of_child(child, written) for child in named)

    def _is_image(self, child: Descriptor) -> bool:
        return not isinstance(self._found[child.digest], ImageIndex)

    def _of_child(self, child: Descriptor, written: dict[str, ImageReport | None]) -> ImageReport:
        """Return the report of a child.

        An image that serves several platforms has the same report for each.
        """
        before = written[child.digest]
        if before is None:
            report = written[child.digest] = self._report(child.digest, (), child, written)
            return report

        manifest = self._found[child.digest]
        problem = before.problem if isinstance(manifest, NotGiven) else _misfit(manifest, child)
        return before.model_copy(update={"platform": child.platform, "problem": problem})


def _state(blob: Descriptor, outcome: LayerOutcome | None) -> str:
    """Return the part of a report that a blob belongs to."""
    if outcome is None:
        return "undetermined"

    is_other = (
        isinstance(outcome, Layer)
        and outcome.is_available
        and None not in {blob.size, outcome.size}
        and blob.size != outcome.size
    )
    return "wrong_size" if is_other else group_of(outcome)


def _misfit(manifest: Manifest, said: Descriptor) -> str | None:
    """Return how a manifest differs from its descriptor in the index, or None if it does not."""
    size = len(manifest.raw)
    return None if said.size == size else f"it has {size} bytes, but its index says {said.size}"


def _problem(given: NotGiven) -> str:
    if given.code is None:
        return given.reason
    if given.code == INACCESSIBLE:
        return "archived"
    if given.code == NOT_FOUND:
        return NO_SUCH_IMAGE
    return f"not returned by ECR ({escaped(given.code)}: {quoted(given.reason)})"
