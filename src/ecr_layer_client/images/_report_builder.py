"""Reports from what was found of images and the outcomes of their blobs; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ecr_layer_client._models.layer import Layer, group_of
from ecr_layer_client._text.quoting import escaped, quoted

from ._manifest import ImageIndex
from ._oci_layout import Manifest
from ._operations import NotGiven, is_digest
from ._report import ImageReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.repository import Repository

    from ._descriptor import Descriptor

NOT_FOUND = "ImageNotFound"  # ECR model: an ImageFailureCode
INACCESSIBLE = "ImageInaccessible"  # ECR model: an ImageFailureCode; of an archived image

Found = dict[str, Manifest | NotGiven]


def below(manifest: Manifest) -> tuple[Descriptor, ...]:
    """Return the manifests that a manifest names, each once for each platform.

    An image names none.
    """
    return manifest.children if isinstance(manifest, ImageIndex) else ()


class Reporting:
    """Writes reports from what was found and the outcomes of its blobs."""

    def __init__(
        self, repository: Repository, found: Found, outcomes: Mapping[str, LayerOutcome]
    ) -> None:
        self._repository = repository
        self._found = found
        self._outcomes = outcomes

    def report(self, reference: str, tags: tuple[str, ...] = ()) -> ImageReport:
        """Write the report of an image that was asked for."""
        return self._report(reference, tags, None, {})

    def _report(
        self,
        reference: str,
        tags: tuple[str, ...],
        of: Descriptor | None,
        written: dict[str, ImageReport | None],
    ) -> ImageReport:
        """Write one; `of` is what the index says of a child.

        Nothing is gone through again that is `written`, or being written.
        """
        manifest = self._found[reference]
        known: dict[str, Any] = {
            "repository": self._repository,
            "reference": reference,
            "tags": tags,
            "platform": of and of.platform,
        }
        if isinstance(manifest, NotGiven):
            return ImageReport(
                problem=_problem(manifest),
                digest=reference if is_digest(reference) else None,
                **known,
            )
        parts: dict[str, list[Descriptor]] = {}
        for blob in manifest.blobs:
            parts.setdefault(_state(blob, self._outcomes.get(blob.digest)), []).append(blob)
        known |= {
            "digest": reference if is_digest(reference) else manifest.digest,
            "media_type": manifest.media_type,
        }
        known |= {"problem": None if of is None else _misfit(manifest, of)}
        known |= {state: tuple(blobs) for state, blobs in parts.items()}
        named = [
            child
            for child in below(manifest)
            if child.digest not in written or self._is_image(child)
        ]
        written.update((child.digest, None) for child in named if child.digest not in written)
        return ImageReport(
            children=tuple(self._of_child(child, written) for child in named), **known
        )

    def _is_image(self, child: Descriptor) -> bool:
        return not isinstance(self._found[child.digest], ImageIndex)

    def _of_child(self, child: Descriptor, written: dict[str, ImageReport | None]) -> ImageReport:
        """Write a child's report.

        Of an image that serves several platforms, the same one for each.
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
    """Return what is wrong with a manifest that its index describes; None where nothing is."""
    size = len(manifest.raw)
    return None if said.size == size else f"it has {size} bytes, and its index says {said.size}"


def _problem(given: NotGiven) -> str:
    if given.code is None:
        return given.reason
    if given.code == INACCESSIBLE:
        return "archived"
    return (
        f"not found ({NOT_FOUND})"
        if given.code == NOT_FOUND
        else f"not given ({escaped(given.code)}: {quoted(given.reason)})"
    )
